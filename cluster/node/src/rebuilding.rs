//! Bringing back what this node has lost: ledger entries that a damaged disk no longer gives, and tables
//! that differ from everyone else's or are lost.
//!
//! Both are asked of peers, piece by piece, by the one who needs them: a peer only answers, so nothing is
//! left behind when a request or its answer is lost.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_consensus::Raft;
use cluster_format::{NodeId, Version};
use drivers_api::{Instant, Now};

use crate::message::PeerMessage;

/// What was asked and not answered is asked again after this long.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Asking peers for entries that this node had promised to keep.
#[derive(Debug, Default)]
pub(crate) struct Restoring {
    ask_at: Option<Instant>,
    /// How far it had come when it last asked: if no further, the logs differ earlier.
    asked: Version,
}

impl Restoring {
    /// What to ask everyone now, if anything. While a leader is there, it brings the entries unasked.
    pub(crate) fn advance(&mut self, now: Now, raft: &Raft) -> Option<PeerMessage> {
        let (Some(missing), None) = (raft.missing(), raft.leader()) else {
            *self = Restoring::default();
            return None;
        };
        if self.ask_at.is_some_and(|at| now.monotonic < at) {
            return None;
        }
        self.ask_at = Some(now.monotonic + ASK_AGAIN_AFTER);
        let first = if missing > self.asked { missing } else { raft.commit().next() };
        self.asked = missing;
        Some(PeerMessage::Entries(first))
    }

    /// When [`Restoring::advance`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ask_at
    }

    /// An answer has helped, so the next question need not wait.
    pub(crate) fn progressed(&mut self, now: Now) {
        self.ask_at = Some(now.monotonic);
    }
}

/// Getting the leader's tables in place of this node's: when to ask for the next piece.
#[derive(Debug, Default)]
pub(crate) struct Rebuilding {
    ask_at: Option<Instant>,
    /// That nobody could be asked was said.
    said_alone: bool,
}

impl Rebuilding {
    /// Whom to ask now, if anyone: this leader.
    pub(crate) fn asks(&mut self, now: Now, leader: Option<NodeId>) -> Option<NodeId> {
        if leader.is_none() {
            self.ask_at = None;
        }
        if self.ask_at.is_some_and(|at| now.monotonic < at) {
            return None;
        }
        self.ask_at = leader.map(|_| now.monotonic + ASK_AGAIN_AFTER);
        leader
    }

    /// When [`Rebuilding::asks`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ask_at
    }

    /// There is nobody to ask; whether that is news.
    pub(crate) fn is_alone(&mut self) -> bool {
        !core::mem::replace(&mut self.said_alone, true)
    }

    /// A piece is on the disk: the next question need not wait.
    pub(crate) fn progressed(&mut self, now: Now) {
        self.ask_at = Some(now.monotonic);
    }

    /// A piece has come, and is being written: there is nothing to ask for.
    pub(crate) fn answered(&mut self) {
        self.ask_at = None;
    }
}

/// Entries for a peer, of those in memory; none if the journal must be read for them.
pub(crate) fn entries_in_memory(
    raft: &Raft,
    first: Version,
    len_max: usize,
) -> Option<Vec<Arc<cluster_format::Entry>>> {
    let log = raft.log();
    if first > log.last().version {
        return Some(Vec::new());
    }
    (first >= log.recent_first()).then(|| log.entries(first, log.last().version, len_max))
}

#[cfg(test)]
mod tests {
    use drivers_api::WallTime;

    use super::*;

    #[test]
    fn without_a_leader_nothing_is_due() {
        let at = |millis| Now {
            monotonic: Instant::ZERO + Duration::from_millis(millis),
            wall: WallTime::default(),
        };
        let mut rebuilding = Rebuilding::default();
        assert!(rebuilding.asks(at(0), Some(NodeId(2))).is_some());
        assert_eq!(rebuilding.deadline(), Some(at(500).monotonic));
        assert!(rebuilding.asks(at(400), Some(NodeId(2))).is_none());
        assert!(rebuilding.asks(at(600), None).is_none());
        assert_eq!(rebuilding.deadline(), None, "or it would be past, and the node never idle");
        assert!(rebuilding.asks(at(700), Some(NodeId(3))).is_some());
    }
}
