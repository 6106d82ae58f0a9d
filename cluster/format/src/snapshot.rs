//! A state of the tables on its way to a member that is too far behind to be brought there entry by entry.

use alloc::sync::Arc;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::limits::COUNT_MAX;
use crate::{Digest, Membership, Version, shared_bytes};

/// A version and the term of the entry there. Ordered as logs are compared in elections (Raft, 5.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    /// The term of the entry; 0 before the first.
    pub term: u64,
    /// The entry's version; 0 before the first.
    pub version: Version,
}

impl LogPosition {
    /// Whether a ledger can be so long. Bytes of a disk or a peer may say anything.
    pub fn is_plausible(&self) -> bool {
        self.term < COUNT_MAX && self.version.0 < COUNT_MAX
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.version, self.term)
    }
}

/// What a snapshot stands for: the ledger up to here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The newest entry it contains.
    pub last: LogPosition,
    /// That entry's digest: the next entry's `previous`.
    pub digest: Digest,
    /// The members as of that entry.
    pub membership: Membership,
    /// The digest of the list of its tables.
    pub content: Digest,
    /// How many bytes that list has.
    pub content_len: u64,
}

/// A piece of a snapshot. Pieces are numbered from 0 and come in order; what is in `body` is the tree's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotChunk {
    /// What it is a piece of. Snapshots are the same if their heads are.
    pub head: Arc<SnapshotHead>,
    /// Its number.
    pub index: u64,
    /// Whether it is the last.
    pub is_last: bool,
    /// At most [`crate::limits::CHUNK_LEN_MAX`] bytes.
    #[serde(with = "shared_bytes")]
    pub body: Arc<[u8]>,
}
