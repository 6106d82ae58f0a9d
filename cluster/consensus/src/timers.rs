//! What happens because time has passed.

use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::NodeId;
use drivers_api::{Instant, Now};
use rand_chacha::rand_core::Rng;

use crate::progress::Progress;
use crate::raft::Raft;

impl Raft {
    /// When [`Raft::tick`] has something to do.
    pub fn deadline(&self) -> Instant {
        if !self.is_leader() {
            return self.election_due;
        }
        let pauses = self.peers.iter().filter_map(Progress::pause_ends);
        pauses.fold(self.heartbeat_due.min(self.look_around_due), Instant::min)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        self.forget_useless_snapshot();
        if self.is_leader() {
            self.end_pauses(now);
            if now.monotonic >= self.heartbeat_due {
                self.heartbeat(now);
            }
            if self.is_leader() && now.monotonic >= self.look_around_due {
                self.look_around(now);
            }
        } else if now.monotonic >= self.election_due {
            self.stand(now);
        }
    }

    /// Leader: once in a while, what no message brings about.
    pub(crate) fn look_around(&mut self, now: Now) {
        self.look_around_due = now.monotonic + self.timing.heartbeat;
        self.advance_transfer(now);
        self.advance_membership(now);
    }

    pub(crate) fn reset_election_timer(&mut self, now: Now) {
        let patience = match self.log.membership().is_founding() && self.is_first_founder() {
            // The others' disks may be slower than it thinks: it waits longer each time it asked in vain.
            true => self.timing.first_election * (self.vote.term.min(15) as u32 + 1),
            false => self.timing.election,
        };
        self.election_due = now.monotonic + self.randomised(patience);
    }

    /// Leader: whether a member has been heard within an election timeout.
    pub(crate) fn is_heard(&self, now: Now, peer: &Progress) -> bool {
        now.monotonic.since(peer.heard) < self.timing.election
    }

    /// Leader: all members, and whether each has been heard within two election timeouts, or within one if it has said
    /// nothing yet in this term: it was the leader before, perhaps, and has been silent for one already. Others know of none.
    pub fn members_heard(&self, now: Now) -> Vec<(NodeId, bool)> {
        if !self.is_leader() {
            return Vec::new();
        }
        let is_up = |node: NodeId| {
            let timeouts = |peer: &Progress| if peer.round_acked > 0 { 2 } else { 1 };
            let lately =
                |peer: &Progress| now.monotonic.since(peer.heard) < self.timing.election * timeouts(peer);
            node == self.id || self.peers.iter().any(|peer| peer.node == node && lately(peer))
        };
        self.log.membership().members().map(|member| (member.node, is_up(member.node))).collect()
    }

    /// A part of a long message has come from `from`, which is therefore alive.
    pub fn heard(&mut self, now: Now, from: NodeId) {
        if self.is_leader() {
            self.peers
                .iter_mut()
                .filter(|peer| peer.node == from)
                .for_each(|peer| peer.heard = now.monotonic);
        } else if self.leader() == Some(from) {
            self.leader_heard = Some(now.monotonic);
            self.reset_election_timer(now);
        }
    }

    /// Between one and two times `base`.
    pub(crate) fn randomised(&mut self, base: Duration) -> Duration {
        let nanos = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX / 2).max(1);
        base + Duration::from_nanos(self.rng.next_u64() % nanos)
    }
}
