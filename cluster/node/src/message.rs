//! What nodes say to each other, beside and including consensus.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::Message;
use cluster_format::{Commit, Entry, NodeId, RequestId, SnapshotChunk, SnapshotHead, Version};
use cluster_sql::sessions::Signal;
use cluster_sql::types::Datum;
use cluster_store::{PatchPiece, PatchQuestion};
use serde::{Deserialize, Serialize};

use crate::agreement::AgreementMessage;

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
    /// Your ledger entries from this version on, please: as many as fit one message.
    Entries(Version),
    /// Here they are; none if there are none.
    EntriesAnswer(Vec<Arc<Entry>>),
    /// This piece of your tables, please: of this snapshot, or the first of a new one.
    Tables(Option<Arc<SnapshotHead>>, u64),
    /// Here it is; none if that snapshot is no longer there.
    TablesAnswer(Option<SnapshotChunk>),
    /// These rows of your tables, please, of which mine have lost some.
    Patch(Arc<PatchQuestion>),
    /// Here they are.
    PatchAnswer(Arc<PatchQuestion>, PatchPiece),
    /// Whether all tables are equal.
    Agreement(AgreementMessage),
    /// To the leader: change the cluster. The number is the asker's.
    Change(u64, Change),
    /// From the leader: done, or why not.
    ChangeAnswer(u64, Result<(), ChangeRefused>),
    /// Your rows of this live table, please.
    Live(u64, String),
    /// Here they are.
    LiveAnswer(u64, Vec<Vec<Datum>>),
    /// One of your sessions is to stop its statement, or to end.
    Signal(u64, Signal),
    /// It was told to; or there is none.
    SignalAnswer(u64, bool),
}

/// A change of the cluster itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Let this node lead; none: whichever is best.
    Lead(Option<NodeId>),
    /// Take this node out.
    Remove(NodeId),
}

/// Why the cluster was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeRefused {
    /// Whoever was asked does not lead, or another change is under way: ask again soon.
    NotYet,
    /// There is no such node.
    NoSuchNode,
    /// No node can take over.
    NoSuccessor,
    /// Too few of the nodes that would be left are up.
    NoQuorumLeft,
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
    /// The leader's tables cannot take any more: they have lost something that no other member has.
    Damaged,
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
