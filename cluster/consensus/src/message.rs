//! What members say to each other.

use alloc::sync::Arc;
use alloc::vec::Vec;
use cluster_format::limits::COUNT_MAX;
use cluster_format::{Entry, Incarnation, LogPosition, NodeId, SnapshotChunk, Version};
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The sender's term; in a pre-vote the term it would stand in.
    pub term: u64,
    /// The sender's disk: what it promises counts only if that is the one the receiver knows.
    pub incarnation: Incarnation,
    /// What it says.
    pub body: MessageBody,
}

impl Message {
    /// Whether its numbers can be real.
    pub(crate) fn is_plausible(&self) -> bool {
        let (term, version) = match &self.body {
            MessageBody::PreVoteRequest { last } | MessageBody::VoteRequest { last, .. } => {
                (last.term, last.version)
            }
            MessageBody::Append { previous, .. } => (previous.term, previous.version),
            MessageBody::AppendReply { outcome: AppendOutcome::Matched(version), .. } => (0, *version),
            MessageBody::AppendReply {
                outcome: AppendOutcome::Mismatch { probed, last, commit }, ..
            } => (0, *probed.max(last).max(commit)),
            MessageBody::Snapshot(chunk) => (chunk.head.last.term, chunk.head.last.version),
            MessageBody::SnapshotReply { last, .. } => (last.term, last.version),
            MessageBody::PreVoteReply { .. }
            | MessageBody::VoteReply { .. }
            | MessageBody::StandNow
            | MessageBody::Join
            | MessageBody::Leader(_)
            | MessageBody::Removed => (0, Version::ZERO),
        };
        self.term < COUNT_MAX && term < COUNT_MAX && version.0 < COUNT_MAX
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MessageBody {
    /// Would you vote for me? Changes nothing at the receiver.
    PreVoteRequest {
        /// The end of the sender's log.
        last: LogPosition,
    },
    /// The answer.
    PreVoteReply {
        /// Yes or no.
        granted: bool,
    },
    /// Vote for me.
    VoteRequest {
        /// The end of the sender's log.
        last: LogPosition,
        /// The leader has asked the sender to stand, so it is not in the way.
        leader_agrees: bool,
    },
    /// The answer, durable before it is sent.
    VoteReply {
        /// Yes or no.
        granted: bool,
    },
    /// The leader's entries; without any, a heartbeat.
    Append {
        /// What must precede `entries` in the receiver's log.
        previous: LogPosition,
        /// The entries behind it.
        entries: Vec<Arc<Entry>>,
        /// The leader's commit index.
        commit: Version,
        /// The leader's read round; replies echo it.
        round: u64,
    },
    /// The answer.
    AppendReply {
        /// The newest round heard in this term.
        round: u64,
        /// Whether the logs meet.
        outcome: AppendOutcome,
        /// How much the sender is to be preferred as leader.
        priority: u8,
    },
    /// A piece of the leader's snapshot, for a member that cannot be brought there entry by entry.
    Snapshot(SnapshotChunk),
    /// The answer, once the piece is durable.
    SnapshotReply {
        /// The snapshot's end.
        last: LogPosition,
        /// The piece that is due next; none when the snapshot is of no use to the sender.
        next: Option<u64>,
    },
    /// From the leader: stand for election at once (Ongaro's thesis, 3.10).
    StandNow,
    /// I hear no leader: take me in, if I am no member.
    Join,
    /// To who asked to be taken in: ask the leader, which is this node.
    Leader(NodeId),
    /// You were taken out of the cluster.
    Removed,
}

/// Whether an append fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// The receiver's log equals the leader's up to here, durably.
    Matched(Version),
    /// The receiver's log does not hold what should precede.
    Mismatch {
        /// The version that should have preceded.
        probed: Version,
        /// The end of the receiver's log.
        last: Version,
        /// The receiver's commit index, up to which its log equals everyone's.
        commit: Version,
    },
}
