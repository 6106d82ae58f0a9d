//! What nodes say to each other, beside and including consensus.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::Message;
use cluster_format::{Commit, RequestId, Version};
use cluster_sql::types::Datum;
use serde::{Deserialize, Serialize};

/// One message between two nodes, in postcard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Consensus.
    Raft(Message),
    /// To the leader: commit this. Whoever asked learns of success by applying the entry.
    Commit(Arc<Commit>),
    /// From the leader of this term: this commit was refused.
    CommitRefused(RequestId, Refused, u64),
    /// To the leader: at which version may I read? The number is the asker's.
    Read(u64),
    /// From the leader: at this one; or none, when it no longer leads.
    ReadAnswer(u64, Option<Version>),
    /// Your rows of this live table, please.
    Live(u64, String),
    /// Here they are.
    LiveAnswer(u64, Vec<Vec<Datum>>),
}

/// Why a commit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// What it read was written at this version.
    Conflict(Version),
    /// Its snapshot is too old to be checked.
    TooOld,
    /// The leader's disk is full.
    DiskFull,
    /// The tables are as large as they may be.
    MemoryFull,
    /// It is so old that an earlier request with its id may have been forgotten.
    Forgotten,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_format::{decode, encode};
    use proptest::prelude::*;

    proptest! {
        /// Any bytes are a message or are refused.
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = decode::<PeerMessage>(&bytes) {
                prop_assert_eq!(decode(&encode(&message)), Ok(message));
            }
        }
    }
}
