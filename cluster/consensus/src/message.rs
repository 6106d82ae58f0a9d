//! What members say to each other.

use alloc::sync::Arc;
use alloc::vec::Vec;
use cluster_format::{Entry, Version};
use serde::{Deserialize, Serialize};

use crate::LogPosition;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's term; in a pre-vote the term it would stand in.
    pub term: u64,
    /// What it says.
    pub body: MessageBody,
}

/// No cluster lives to see this many terms or versions: whoever speaks of more is broken, and arithmetic
/// on what is less cannot overflow.
const COUNT_MAX: u64 = u64::MAX / 4;

impl Message {
    /// Whether its numbers can be real.
    pub(crate) fn is_plausible(&self) -> bool {
        let versions = match &self.body {
            MessageBody::PreVoteRequest { last } | MessageBody::VoteRequest { last } => last.version,
            MessageBody::PreVoteReply { .. } | MessageBody::VoteReply { .. } => Version::ZERO,
            MessageBody::Append { previous, .. } => previous.version,
            MessageBody::AppendReply { outcome: AppendOutcome::Matched(version), .. } => *version,
            MessageBody::AppendReply { outcome: AppendOutcome::Mismatch { probed, last }, .. } => {
                *probed.max(last)
            }
        };
        self.term < COUNT_MAX && versions.0 < COUNT_MAX
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    },
}

/// Whether an append fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// The receiver's log equals the leader's up to here, durably.
    Matched(Version),
    /// The receiver's log does not hold what should precede.
    Mismatch {
        /// The version that should have preceded.
        probed: Version,
        /// The end of the receiver's log.
        last: Version,
    },
}
