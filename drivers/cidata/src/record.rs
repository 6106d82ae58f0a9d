//! Records of directories (ECMA-119, section 9.1), and the names they give (Rock Ridge: IEEE P1282, section 4.1.4).

use alloc::vec::Vec;

use crate::{BLOCK_LEN, CidataError, Names};

/// Bytes before a record's identifier.
pub(crate) const HEAD_LEN: usize = 33;
const FLAG_DIRECTORY: u8 = 1 << 1;
const FLAG_ASSOCIATED: u8 = 1 << 2;
const FLAG_CONTINUES: u8 = 1 << 7;

/// What tools make of `user-data` where names have eight letters, or none but letters, digits and `_`.
const PLAIN_NAMES: [&[u8]; 5] = [b"USER-DATA", b"USER_DATA", b"USER_DAT", b"USER-DAT", b"USERDATA"];
const NAME: &str = "user-data";

/// Where bytes are on a volume, as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first block.
    pub(crate) block: u64,
    pub(crate) len: u32,
}

/// A record of a directory.
pub(crate) struct Record<'a> {
    pub(crate) extent: Extent,
    flags: u8,
    /// Whether its bytes lie in one piece.
    is_contiguous: bool,
    identifier: &'a [u8],
    /// What is behind the identifier: Rock Ridge's.
    system_use: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record that `bytes` begin with; `None` if it makes no sense.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Record<'a>> {
        let bytes = bytes.get(..usize::from(*bytes.first()?))?;
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
        let (identifier, rest) = rest.split_at_checked(usize::from(head[32]))?;
        // The identifier is padded such that its end is even.
        let system_use = rest.get(usize::from(identifier.len().is_multiple_of(2))..).unwrap_or_default();
        let number =
            |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).map(|four| u32::from_le_bytes(*four));
        // Attributes are before the file's own bytes.
        let block = u64::from(number(2)?) + u64::from(head[1]);
        let extent = Extent { block, len: number(10)? };
        let (flags, is_interleaved) = (head[25], head[26] != 0 || head[27] != 0);
        let is_contiguous = !is_interleaved && flags & FLAG_CONTINUES == 0;
        Some(Record { extent, flags, is_contiguous, identifier, system_use })
    }

    fn is_user_data(&self, names: Names) -> bool {
        if self.flags & (FLAG_DIRECTORY | FLAG_ASSOCIATED) != 0 {
            return false;
        }
        match (names, rock_ridge_name(self.system_use)) {
            (Names::Plain, Some(name)) => name == NAME.as_bytes(),
            (Names::Plain, None) => {
                let name = self.identifier.split(|byte| *byte == b';').next().unwrap_or_default();
                let name = name.strip_suffix(b".").unwrap_or(name);
                PLAIN_NAMES.iter().any(|plain| plain.eq_ignore_ascii_case(name))
            }
            (Names::Joliet, _) => {
                let units = self.identifier.chunks(2).map(|pair| match *pair {
                    [high, low] => u16::from_be_bytes([high, low]),
                    _ => 0,
                });
                let mut name = units.take_while(|unit| *unit != u16::from(b';'));
                NAME.encode_utf16().all(|unit| name.next() == Some(unit)) && name.next().is_none()
            }
        }
    }
}

/// The name among the entries of a record, if there is one: its pieces that are in the record itself.
fn rock_ridge_name(mut entries: &[u8]) -> Option<Vec<u8>> {
    let mut name = None;
    // A kind of two letters, the whole length, a version.
    while let Some([first, second, len, _]) = entries.first_chunk() {
        let Some((entry, rest)) = entries.split_at_checked(usize::from(*len)) else { break };
        // One that is shorter than its own head would be met again and again.
        let Some(content) = entry.get(4..) else { break };
        if let (b"NM", [_flags, piece @ ..]) = (&[*first, *second], content) {
            name.get_or_insert_with(Vec::new).extend_from_slice(piece);
        }
        entries = rest;
    }
    name
}

/// Where the directory has `user-data`; `None` if it has not.
pub(crate) fn find_user_data(directory: &[u8], names: Names) -> Result<Option<Extent>, CidataError> {
    for block in directory.chunks(BLOCK_LEN) {
        let mut rest = block;
        // Zeros are what is left of a block.
        while let Some(len) = rest.first().copied().filter(|len| *len != 0) {
            let record = Record::parse(rest).ok_or(CidataError::Damaged)?;
            if record.is_user_data(names) {
                return match record.is_contiguous {
                    true => Ok(Some(record.extent)),
                    false => Err(CidataError::Damaged),
                };
            }
            rest = &rest[usize::from(len)..];
        }
    }
    Ok(None)
}
