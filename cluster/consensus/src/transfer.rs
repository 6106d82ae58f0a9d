//! Handing over leadership (thesis, 3.10): on request, to a preferred node, away from a stuck disk or a node that drains.
//!
//! The leader takes no more proposals, waits until the successor's log is as long as its own, and tells it
//! to stand at once. If that does not come about within an election timeout, it goes on leading.

use cluster_format::{NodeId, Version};
use drivers_api::{Instant, Now};

use crate::progress::{Flow, Progress};
use crate::raft::{Raft, Role};
use crate::{Mark, MessageBody, NotChanged};

/// Leadership on its way to another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    to: NodeId,
    /// When it is given up.
    ends: Instant,
    /// The successor was told to stand.
    told: bool,
}

/// A leader is not replaced by a preferred node until it has led for this many election timeouts, and does not
/// try again to hand over unasked for as long.
const SETTLED_AFTER: u32 = 5;

impl Raft {
    /// Leader: hands over to `to`, or to the member that is furthest if none is named.
    pub fn transfer(&mut self, now: Now, to: Option<NodeId>) -> Result<(), NotChanged> {
        if !self.is_leader() {
            return Err(NotChanged::NotLeader(self.leader()));
        }
        if self.transfer.is_some() {
            return Err(NotChanged::Busy);
        }
        let to = to.or_else(|| self.best_successor(now)).ok_or(NotChanged::NoSuccessor)?;
        let is_there = self.peers.iter().any(|peer| peer.node == to && self.is_heard(now, peer));
        if !is_there || self.log.membership().voter(to).is_none() {
            return Err(NotChanged::NoSuccessor);
        }
        self.begin_transfer(now, to);
        Ok(())
    }

    /// Leadership is kept from these members, as far as others can take it. Each member may be told something else: who leads
    /// hands over if it is one of them, and to none of them.
    pub fn avoid(&mut self, members: &[NodeId]) {
        if self.avoided != members {
            self.avoided = members.to_vec();
        }
    }

    fn begin_transfer(&mut self, now: Now, to: NodeId) {
        self.marks.hit(Mark::TransferStarted as u32);
        self.transfer = Some(Transfer { to, ends: now.monotonic + self.timing.election, told: false });
        // The successor will be voted for although this leader is alive.
        self.reads.lease_is_void = true;
        self.hand_over_when_caught_up();
    }

    /// The voter that has been heard lately and is furthest.
    fn best_successor(&self, now: Now) -> Option<NodeId> {
        let membership = self.log.membership();
        let voters = self.peers.iter().filter(|peer| membership.voter(peer.node).is_some());
        let alive = voters.filter(|peer| self.is_heard(now, peer) && peer.flow == Flow::Streaming);
        let order = |peer: &&Progress| (!self.avoided.contains(&peer.node), peer.matched, peer.priority);
        alive.max_by_key(order).map(|peer| peer.node)
    }

    pub(crate) fn hand_over_when_caught_up(&mut self) {
        let last = self.log.last().version;
        let Some(Transfer { to, told: false, .. }) = self.transfer else { return };
        if self.peers.iter().any(|peer| peer.node == to && peer.matched == last) {
            if let Some(transfer) = &mut self.transfer {
                transfer.told = true;
            }
            self.send(to, self.vote.term, MessageBody::StandNow);
        }
    }

    /// Gives up what takes too long, and begins what should be done unasked.
    pub(crate) fn advance_transfer(&mut self, now: Now) {
        if let Some(transfer) = self.transfer {
            if now.monotonic >= transfer.ends {
                self.marks.hit(Mark::TransferGivenUp as u32);
                self.transfer = None;
                // Each attempt holds proposals up.
                self.transfer_after = now.monotonic + self.timing.election * SETTLED_AFTER;
            }
            return;
        }
        if now.monotonic < self.transfer_after {
            return;
        }
        if let Some(to) = self.better_disk(now) {
            self.marks.hit(Mark::StuckDisk as u32);
            return self.begin_transfer(now, to);
        }
        if let Some(to) = self.preferred(now) {
            self.marks.hit(Mark::PreferredNode as u32);
            self.begin_transfer(now, to);
        }
    }

    /// A successor, if this leader's disk has been busy with one write for long and the successor's is not.
    fn better_disk(&self, now: Now) -> Option<NodeId> {
        let stuck =
            self.writing_since.is_some_and(|since| now.monotonic.since(since) > self.timing.election * 2);
        let best = self.best_successor(now).filter(|_| stuck)?;
        let further = |peer: &Version| *peer > self.durable;
        self.peers.iter().any(|peer| peer.node == best && further(&peer.matched)).then_some(best)
    }

    /// A voter that is to be preferred and has caught up: any, to a leader that is avoided.
    fn preferred(&self, now: Now) -> Option<NodeId> {
        let Role::Leader { term_start } = self.role else { return None };
        let settled = now.monotonic.since(self.elected_at) > self.timing.election * SETTLED_AFTER;
        if !settled || self.commit < term_start {
            return None;
        }
        let membership = self.log.membership();
        let voters = self.peers.iter().filter(|peer| membership.voter(peer.node).is_some());
        let is_avoided = self.avoided.contains(&self.id);
        let better = voters.filter(|peer| {
            let is_better = is_avoided || peer.priority > self.priority;
            is_better
                && !self.avoided.contains(&peer.node)
                && self.is_heard(now, peer)
                && peer.matched >= self.commit
        });
        better.max_by_key(|peer| (peer.priority, peer.matched)).map(|peer| peer.node)
    }
}
