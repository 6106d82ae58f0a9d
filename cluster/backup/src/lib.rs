//! A backup: all rows of a cluster at one version, as bytes that are sent and kept alike.
//!
//! 1. **Whole or refused.** Every frame's sum goes on from the one before, and the last frame counts what came before
//!    it. A bit that has changed, and a piece that is missing, repeated or out of place, is noticed.
//! 2. **One frame at a time.** Whoever writes or reads a backup holds one frame, however long the backup is.
//! 3. **Old backups stay readable.** Formats are counted from 1, and a [`Decoder`] reads all up to [`FORMAT`]:
//!    `tests/format1.backup` is a file of the first, and must still be restored by whatever comes after it.
//!
//! ```text
//! backup:   "RELIXBAK" | format, u32 | head | tables, some frames | rows, some frames | end
//!
//! frame:    0  kind: 1 head, 2 tables, 3 rows, 4 end     1  coding: 0 the payload itself, 1 an LZ4 block of it
//!           2  zero, 2 bytes
//!           4  length of the payload as it is stored, u32     8  length of the payload, u32
//!          12  payload
//!          ..  BLAKE3 hash of this frame up to here, keyed by that of the frame before; by the
//!              hash of the first 12 bytes of the backup, if there is none before
//!
//! head:     a [`Head`], encoded
//! tables:   which tables there are: keys and values, as in rows
//! rows:     length of the key, u32 | length of the value, u32 | key | value, and so on: keys ascend
//! end:      the [`Totals`], encoded
//! ```
//! Numbers are little-endian. What keys and values mean is SQL's, and if that changes, the format does.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod decode;
mod encode;
mod frame;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::fmt;

use cluster_format::Version;
use cluster_format::limits::{KEY_LEN_MAX, ROW_LEN_MAX};
use serde::{Deserialize, Serialize};

pub use decode::{Decoder, Part, Rows};
pub use encode::Encoder;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// A frame of rows is written once it holds so many bytes.
pub const FRAME_LEN: usize = 256 * 1024;

/// The longest payload of a frame: what is just short of [`FRAME_LEN`], and the longest row.
pub const PAYLOAD_LEN_MAX: usize = FRAME_LEN + ROW_OVERHEAD + KEY_LEN_MAX + ROW_LEN_MAX;

/// What every backup begins with.
const MAGIC: [u8; 8] = *b"RELIXBAK";

/// [`MAGIC`] and the format.
const PREAMBLE_LEN: usize = 12;

/// The lengths before each key and value.
const ROW_OVERHEAD: usize = 8;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The state of the ledger that its rows are.
    pub version: Version,
    /// When it was begun, in microseconds since the Unix epoch.
    pub wall_micros: i64,
    /// The name of the cluster it was taken from.
    pub cluster: String,
}

/// What keys and values are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Which tables there are; comes first.
    Tables,
    /// What is in them.
    Rows,
}

/// How much is in a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows of tables.
    pub rows: u64,
    /// Bytes of keys and values, theirs and those that say which tables there are.
    pub bytes: u64,
}

impl Totals {
    fn add(&mut self, section: Section, key: &[u8], value: &[u8]) {
        self.rows += u64::from(section == Section::Rows);
        self.bytes += (key.len() + value.len()) as u64;
    }
}

/// Why bytes are no backup that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupError {
    /// They do not begin as backups do.
    NotABackup,
    /// A newer Relix wrote them.
    Newer {
        /// The format.
        format: u32,
    },
    /// They are not what was written.
    Damaged {
        /// The byte that the first wrong frame begins at.
        at: u64,
    },
    /// They are what was written, by somebody who does not keep to the format.
    Malformed {
        /// The byte that the frame begins at.
        at: u64,
    },
    /// They end too early.
    Truncated,
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::NotABackup => {
                f.write_str("this is no backup of Relix: give it a file that 'relix backup' has written")
            }
            BackupError::Newer { format } => write!(
                f,
                "the backup is of format {format}, and this Relix reads formats up to {FORMAT}: restore it with a newer Relix"
            ),
            BackupError::Damaged { at } => write!(
                f,
                "the backup is damaged, or a piece of it is missing or out of place, at byte {at}: use another copy of it"
            ),
            BackupError::Malformed { at } => write!(
                f,
                "the backup is not as Relix writes them at byte {at}, though nothing has damaged it: use another backup"
            ),
            BackupError::Truncated => {
                f.write_str("the backup ends too early: copy it once more, or use another one")
            }
        }
    }
}

impl core::error::Error for BackupError {}
