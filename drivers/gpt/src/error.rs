//! Why a disk's partitions cannot be used.

use core::fmt;

use crate::Guid;

/// Why a disk's partitions cannot be used. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GptError {
    /// Both copies of the table are damaged, or cannot be read.
    Damaged,
    /// The disk ends before its table says.
    TooSmall {
        /// Its sectors.
        sectors: u64,
        /// What the table says.
        needed: u64,
    },
    /// No partition has the type that was looked for.
    NoPartition {
        /// The type.
        kind: Guid,
    },
    /// Partitions do not fit a disk that is to be made.
    NoRoom,
}

impl fmt::Display for GptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GptError::Damaged => f.write_str(
                "both copies of the disk's partition table are damaged: write the image anew, or give a blank disk",
            ),
            GptError::TooSmall { sectors, needed } => {
                let (has, needs) = (sectors / 2, needed.div_ceil(2));
                write!(
                    f,
                    "the disk has {has} KiB where its partition table says {needs} KiB: it was cut short: copy the whole image"
                )
            }
            GptError::NoPartition { kind } => write!(
                f,
                "the disk has a partition table, but no partition of type {kind}, which holds Relix data: give a disk made by 'relix image build', or a blank one"
            ),
            GptError::NoRoom => f.write_str("the partitions do not fit the disk: make it larger"),
        }
    }
}
