//! Bringing back what this node has lost: ledger entries that a damaged disk no longer gives, and tables
//! that differ from everyone else's.
//!
//! Both are asked of peers, piece by piece, by the one who needs them: a peer only answers, so nothing is
//! left behind when a request or its answer is lost.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_consensus::Raft;
use cluster_format::{NodeId, SnapshotChunk, SnapshotHead, Version};
use cluster_store::{Incoming, Tables};
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

/// Getting the leader's tables in place of this node's.
#[derive(Default)]
pub(crate) struct Rebuilding {
    incoming: Option<Incoming>,
    ask_at: Option<Instant>,
    /// All pieces have arrived; the log may still have to catch up with them.
    arrived: Option<(Arc<SnapshotHead>, Tables)>,
}

impl Rebuilding {
    /// What to ask the leader now, if anything.
    pub(crate) fn advance(&mut self, now: Now, leader: Option<NodeId>) -> Option<(NodeId, PeerMessage)> {
        let Some(leader) = leader else {
            self.ask_at = None;
            return None;
        };
        if self.arrived.is_some() || self.ask_at.is_some_and(|at| now.monotonic < at) {
            return None;
        }
        self.ask_at = Some(now.monotonic + ASK_AGAIN_AFTER);
        let head = self.incoming.as_ref().map(|incoming| incoming.head().clone());
        let index = self.incoming.as_ref().map_or(0, Incoming::next);
        Some((leader, PeerMessage::Tables(head, index)))
    }

    /// The version of the tables that are on their way; zero before any are.
    pub(crate) fn reaches(&self) -> Version {
        let incoming = self.incoming.as_ref().map(|incoming| incoming.head());
        let head = incoming.or(self.arrived.as_ref().map(|(head, _)| head));
        head.map_or(Version::ZERO, |head| head.last.version)
    }

    /// When [`Rebuilding::advance`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ask_at.filter(|_| self.arrived.is_none())
    }

    /// A piece has come, or none: then the peer no longer has the others either.
    pub(crate) fn chunk(&mut self, now: Now, chunk: Option<SnapshotChunk>) {
        let Some(chunk) = chunk else {
            self.incoming = None;
            return;
        };
        if chunk.index == 0 {
            self.incoming = Some(Incoming::new(chunk.head.clone()));
        }
        let Some(mut incoming) = self.incoming.take() else { return };
        // One that came twice, or late.
        if chunk.index != incoming.next() {
            self.incoming = Some(incoming);
            return;
        }
        self.ask_at = Some(now.monotonic);
        if incoming.add(&chunk).is_err() {
            return;
        }
        if !chunk.is_last {
            self.incoming = Some(incoming);
        } else if let Ok(tables) = incoming.finish() {
            self.arrived = Some((chunk.head, tables));
        }
    }

    /// The tables, once the log holds what they stand for and can go on behind them.
    pub(crate) fn finish(&mut self, raft: &mut Raft) -> Option<Tables> {
        let (head, tables) = self.arrived.take()?;
        if raft.commit() < head.last.version {
            self.arrived = Some((head, tables));
            return None;
        }
        if raft.log().holds(head.last) && raft.resume_behind(head.last.version) {
            return Some(tables);
        }
        // Too old by now: from the beginning.
        *self = Rebuilding::default();
        None
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
        assert!(rebuilding.advance(at(0), Some(NodeId(2))).is_some());
        assert_eq!(rebuilding.deadline(), Some(at(500).monotonic));
        assert!(rebuilding.advance(at(600), None).is_none());
        assert_eq!(rebuilding.deadline(), None, "or it would be past, and the node never idle");
        assert!(rebuilding.advance(at(700), Some(NodeId(3))).is_some());
    }
}
