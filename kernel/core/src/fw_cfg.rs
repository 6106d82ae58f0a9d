//! The directory of QEMU's firmware configuration device (QEMU's docs/specs/fw_cfg): files by name.

/// The item that begins with [`SIGNATURE`] if there is such a device.
pub const ITEM_SIGNATURE: u16 = 0x0000;
/// What that item holds.
pub const SIGNATURE: [u8; 4] = *b"QEMU";
/// The item that holds the directory: how many files there are, big-endian, in four bytes, and then these.
pub const ITEM_DIRECTORY: u16 = 0x0019;
/// Bytes of a file in the directory: length, item, two reserved, and the name, padded with zeros.
pub const ENTRY_LEN: usize = 64;
/// The most files that are looked at.
pub const FILES_MAX: u32 = 4096;

/// A file of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Bytes in it.
    pub len: u32,
    /// The item that holds them.
    pub item: u16,
}

/// The file that `entry` tells of, if it is called `name`.
pub fn file(entry: &[u8; ENTRY_LEN], name: &str) -> Option<File> {
    let (head, padded) = entry.split_first_chunk::<8>()?;
    let [a, b, c, d, e, f, _, _] = *head;
    let len = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    (&padded[..len] == name.as_bytes())
        .then_some(File { len: u32::from_be_bytes([a, b, c, d]), item: u16::from_be_bytes([e, f]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_whole_name() {
        let mut entry = [0; ENTRY_LEN];
        entry[..8].copy_from_slice(&[0, 0, 1, 2, 0, 0x2a, 0, 0]);
        entry[8..26].copy_from_slice(b"opt/relix/settings");
        assert_eq!(file(&entry, "opt/relix/settings"), Some(File { len: 258, item: 42 }));
        assert_eq!(file(&entry, "opt/relix/setting"), None);
        assert_eq!(file(&entry, "opt/relix/settings2"), None);
        entry[8..].fill(b'a');
        let name = core::str::from_utf8(&entry[8..]).expect("letters");
        assert!(file(&entry, name).is_some(), "a name may fill its place");
    }
}
