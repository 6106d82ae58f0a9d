//! Why a config drive cannot be used.

use core::fmt;

/// Why a config drive cannot be used; its text goes on behind what names the drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidataError {
    /// Some of its sectors cannot be read.
    Unreadable {
        /// The first of those that were wanted.
        sector: u64,
    },
    /// Its file system is none: lengths or places that cannot be.
    Damaged,
    /// It has no file `user-data`.
    NoUserData,
    /// That file is longer than the caller allows.
    TooLong {
        /// Its bytes.
        len: u32,
        /// How many are allowed.
        most: usize,
    },
}

impl fmt::Display for CidataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CidataError::Unreadable { sector } => {
                write!(f, "it cannot be read at sector {sector}: give another one")
            }
            CidataError::Damaged => f.write_str("it is damaged or cut short: make it anew"),
            CidataError::NoUserData => f.write_str(
                "it has no file user-data: make it anew, with one that holds relix.KEY=VALUE words",
            ),
            CidataError::TooLong { len, most } => {
                write!(f, "its user-data has {len} bytes, {most} at most: make it shorter")
            }
        }
    }
}
