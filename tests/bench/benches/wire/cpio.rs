//! An archive that Linux unpacks as its first file system: the "new" format of cpio
//! (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).

const FILE: u32 = 0o100_755;
const FOLDER: u32 = 0o040_755;
const TRAILER: &str = "TRAILER!!!";

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder.
    pub fn add_folder(&mut self, name: &str) {
        self.add(name, FOLDER, &[]);
    }

    /// Adds a file that may be run.
    pub fn add_file(&mut self, name: &str, contents: &[u8]) {
        self.add(name, FILE, contents);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.add(TRAILER, 0, &[]);
        self.bytes
    }

    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        // inode, mode, owner, group, links, time, length, four numbers of devices, length of the name, checksum
        let (len, name_len) = (contents.len() as u32, name.len() as u32 + 1);
        let fields = [self.entries, mode, 0, 0, 1, 0, len, 0, 0, 0, 0, name_len, 0];
        self.bytes.extend(b"070701");
        fields.iter().for_each(|field| self.bytes.extend(format!("{field:08x}").bytes()));
        self.bytes.extend(name.bytes().chain([0]));
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    /// What follows begins at a multiple of four.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
