//! Why a disk cannot be used.

use alloc::string::String;
use core::fmt;

use cluster_format::NodeId;
use drivers_api::DiskError;

use crate::superblock::{CLUSTER_NAME_LEN_MAX, FORMAT, SUPERBLOCK_LEN};

/// Why a disk cannot be used. Unless the device failed, nothing was written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// It holds something, but not a Relix disk.
    Foreign,
    /// It belongs to another cluster.
    OtherCluster {
        /// The cluster's name.
        name: String,
    },
    /// It belongs to another node of this cluster.
    OtherNode {
        /// The node.
        node: NodeId,
    },
    /// Another release wrote it, in a format that this one does not read.
    OtherFormat {
        /// Its format.
        format: u16,
    },
    /// It is smaller than it has been, or than any use.
    TooSmall {
        /// Its size.
        sectors: u64,
        /// What it has been, or the least that is of use.
        needed: u64,
    },
    /// Something acknowledged can no longer be read, and nothing says whose it was.
    Damaged {
        /// Where.
        sector: u64,
    },
    /// The device takes too little in one request.
    ShortTransfers {
        /// How many bytes.
        len: usize,
    },
    /// The cluster's name does not fit the superblock.
    NameTooLong,
    /// The device failed.
    Device(DiskError),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Foreign => f.write_str(
                "the data disk holds something else than Relix data: give a blank disk or the right one",
            ),
            JournalError::OtherCluster { name } => write!(
                f,
                "the data disk belongs to the cluster '{name}': give this cluster's disk or a blank one"
            ),
            JournalError::OtherNode { node } => {
                write!(f, "the data disk belongs to node {node} of this cluster: give this node's disk")
            }
            JournalError::OtherFormat { format } => write!(
                f,
                "the data disk has format {format}, and this release reads format {FORMAT}: start the release that wrote it, or give a blank disk"
            ),
            JournalError::TooSmall { sectors, needed } => {
                let (has, needs) = (sectors / 2, needed.div_ceil(2));
                write!(
                    f,
                    "the data disk has {has} KiB where {needs} KiB are needed: it was truncated, or is too small: give the whole disk back, or a larger one"
                )
            }
            JournalError::Damaged { sector } => write!(
                f,
                "the data disk is damaged at sector {sector}, before records that are intact: replace it by a blank one"
            ),
            JournalError::ShortTransfers { len } => write!(
                f,
                "the data disk takes {len} bytes in one request where {SUPERBLOCK_LEN} are needed: raise its limit"
            ),
            JournalError::NameTooLong => write!(
                f,
                "the cluster's name is longer than {CLUSTER_NAME_LEN_MAX} bytes: choose a shorter one"
            ),
            JournalError::Device(error) => write!(f, "{error}"),
        }
    }
}

impl From<DiskError> for JournalError {
    fn from(error: DiskError) -> Self {
        JournalError::Device(error)
    }
}
