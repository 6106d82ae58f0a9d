//! Who takes part: one change at a time (thesis, chapter 4), each an entry of the log that is in force as
//! soon as a member has it.
//!
//! ```text
//!   a node nobody knows ── joins ──► Learner ── has caught up ──► Voter ── is removed ──► Removed
//!                                      ▲                            │
//!                                      └── comes back with another ─┘
//!                                          disk: has forgotten its promises
//! ```
//!
//! A change is begun when the one before it is committed, and an entry of the leader's own term too (Ongaro,
//! "bug in single-server membership changes", raft-dev, 2015): then any two majorities that can be in force
//! at once have a voter in common.

use alloc::sync::Arc;

use cluster_format::limits::{MEMBERS_MAX, VOTERS_MAX};
use cluster_format::{Incarnation, Member, Membership, Mistake, NodeId, Payload, REMOVED_MAX, Version};
use drivers_api::{Instant, Now};

use crate::progress::Progress;
use crate::raft::{Raft, Role};
use crate::{Mark, MessageBody};

/// Why members, or the leader, were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// This member does not lead; here is who does, as far as it knows.
    NotLeader(Option<NodeId>),
    /// Another change is under way: ask again soon.
    Busy,
    /// There is no such member.
    NotMember,
    /// The leader does not remove itself: hand over first.
    IsLeader,
    /// Of the voters that would be left, too few have been heard lately to make a majority.
    NoQuorumLeft,
    /// No voter can take over.
    NoSuccessor,
}

/// A node that is not a member, or not with the disk that it speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    incarnation: Incarnation,
    heard: Instant,
}

impl Raft {
    /// Whether this member has a vote.
    pub fn is_voter(&self) -> bool {
        let voter = self.log.membership().voter(self.id);
        voter.is_some_and(|voter| self.is_same(voter.incarnation, self.incarnation))
    }

    /// Whether what the node `from` promises with this disk is a member's promise.
    pub(crate) fn is_member(&self, from: NodeId, incarnation: Incarnation) -> bool {
        let member = self.log.membership().member(from);
        member.is_some_and(|member| self.is_same(member.incarnation, incarnation))
    }

    fn is_same(&self, known: Incarnation, spoken_of: Incarnation) -> bool {
        known == spoken_of || known == Incarnation::UNKNOWN || self.makes(Mistake::BlankDiskVotes)
    }

    pub(crate) fn note_incarnation(&mut self, from: NodeId, incarnation: Incarnation) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == from) {
            peer.incarnation = incarnation;
        }
    }

    /// Brings the list of the others in step with the members.
    pub(crate) fn sync_peers(&mut self) {
        let Raft { peers, log, id, .. } = self;
        let membership = log.membership();
        peers.retain(|peer| membership.member(peer.node).is_some());
        for member in membership.members().filter(|member| member.node != *id) {
            if !peers.iter().any(|peer| peer.node == member.node) {
                peers.push(Progress { next: log.last().version.next(), ..Progress::new(member.node) });
            }
        }
    }

    /// A leader says that this member was removed, by an entry that is committed. That stays true whatever the term:
    /// this member may have stood in a later one, in which nobody listens to it any more.
    pub(crate) fn told_removed(&mut self, now: Now) {
        // A leader that has this member in its log knows better.
        if self.leader_heard.is_none_or(|at| now.monotonic.since(at) > self.timing.election) {
            self.removed = true;
        }
    }

    /// A node asks to be taken in, which only the leader can do: it may not know who that is.
    pub(crate) fn asked_to_join(&mut self, from: NodeId) {
        if let Some(leader) = self.leader().filter(|leader| *leader != self.id && *leader != from) {
            self.send(from, self.vote.term, MessageBody::Leader(leader));
        }
    }

    /// A node that this one was told of since the last call, because it leads: it is to be looked for.
    pub fn take_told_of(&mut self) -> Option<NodeId> {
        self.told_of.take()
    }

    /// Leader: a node speaks that is no member.
    pub(crate) fn meet_stranger(&mut self, now: Now, from: NodeId, incarnation: Incarnation) {
        let member = Member { node: from, incarnation };
        if self.log.membership().removed.contains(&member) {
            if self.log.membership_version() <= self.commit {
                self.marks.hit(Mark::RemovedMemberTold as u32);
                self.send(from, self.vote.term, MessageBody::Removed);
            }
            return;
        }
        if self.strangers.len() < MEMBERS_MAX || self.strangers.contains_key(&from) {
            self.strangers.insert(from, Stranger { incarnation, heard: now.monotonic });
        }
    }

    /// The founders with their disks, which are known once they have voted.
    pub(crate) fn founders(&self) -> Arc<Membership> {
        let mut membership = Membership::clone(self.log.membership());
        for voter in &mut membership.voters {
            let peer = self.peers.iter().find(|peer| peer.node == voter.node);
            voter.incarnation = peer.map_or(self.incarnation, |peer| peer.incarnation);
        }
        Arc::new(membership)
    }

    /// Leader: begins the change that is due, if any.
    pub(crate) fn advance_membership(&mut self, now: Now) {
        let Role::Leader { term_start } = self.role else { return };
        if self.is_changing(term_start) || self.transfer.is_some() {
            return;
        }
        // Taken out by an earlier leader: this one's office ends with the change.
        if !self.is_voter() {
            return self.follow(now, self.vote.term, None);
        }
        let lately = |heard| now.monotonic.since(heard) < self.timing.election * 2;
        self.strangers.retain(|_, stranger| lately(stranger.heard));
        let (mark, next) = if let Some(change) = self.taken_in(now) {
            change
        } else if let Some(promoted) = self.promoted(now) {
            (Mark::LearnerPromoted, promoted)
        } else {
            return;
        };
        self.marks.hit(mark as u32);
        self.change_membership(now, next);
    }

    /// Whether a majority of these voters have answered this leader, and lately.
    fn has_quorum_of(&self, now: Now, membership: &Membership) -> bool {
        let answers = |peer: &&Progress| {
            peer.round_acked > 0 && now.monotonic.since(peer.heard) < self.timing.election * 2
        };
        let answering =
            self.peers.iter().filter(answers).filter(|peer| membership.voter(peer.node).is_some());
        answering.count() + usize::from(membership.voter(self.id).is_some()) >= membership.quorum()
    }

    /// Whether a change is under way, or one of an earlier leader may be.
    fn is_changing(&self, term_start: Version) -> bool {
        let under_way = self.log.membership_version() > self.commit || self.commit < term_start;
        under_way && !self.makes(Mistake::OverlappingMembershipChanges)
    }

    fn change_membership(&mut self, now: Now, next: Arc<Membership>) -> Version {
        let version = self.push_entry(now, Payload::Membership(next));
        for peer in self.peers.iter_mut().filter(|peer| peer.heard == Instant::ZERO) {
            peer.heard = now.monotonic;
        }
        version
    }

    /// The members with one stranger as a learner.
    fn taken_in(&mut self, now: Now) -> Option<(Mark, Arc<Membership>)> {
        let current = self.log.membership().clone();
        self.strangers.retain(|node, stranger| {
            current.member(*node).is_none_or(|member| member.incarnation != stranger.incarnation)
        });
        let (node, incarnation) = self.strangers.iter().find_map(|(node, stranger)| {
            let peer = self.peers.iter().find(|peer| peer.node == *node);
            // Two machines with the same id are a mistake of whoever runs them; the one at work stays.
            let silent = |heard| now.monotonic.since(heard) >= self.timing.election * 2;
            let free = peer.is_none_or(|peer| silent(peer.heard));
            (free && *node != self.id).then_some((*node, stranger.incarnation))
        })?;
        let mut next = Membership::clone(&current);
        let known = current.member(node).is_some();
        if !known && current.members().count() >= MEMBERS_MAX {
            return None;
        }
        next.voters.retain(|member| member.node != node);
        next.learners.retain(|member| member.node != node);
        next.learners.push(Member { node, incarnation });
        next.learners.sort_unstable();
        self.strangers.remove(&node);
        // It begins anew.
        self.peers.retain(|peer| peer.node != node);
        Some((if known { Mark::MemberReplaced } else { Mark::LearnerAdded }, Arc::new(next)))
    }

    /// The members with one learner that has caught up as a voter.
    fn promoted(&self, now: Now) -> Option<Arc<Membership>> {
        let current = self.log.membership();
        let is_ready = |member: &&Member| {
            let peer = self.peers.iter().find(|peer| peer.node == member.node);
            peer.is_some_and(|peer| peer.matched >= self.commit && self.is_heard(now, peer))
        };
        if current.voters.len() >= VOTERS_MAX {
            return None;
        }
        let ready = *current.learners.iter().find(is_ready)?;
        let mut next = Membership::clone(current);
        next.learners.retain(|member| *member != ready);
        next.voters.push(ready);
        next.voters.sort_unstable();
        Some(Arc::new(next))
    }

    /// Leader: takes `node` out of the cluster, for good unless it comes back with another disk. Returns the
    /// version of the entry that says so.
    pub fn remove(&mut self, now: Now, node: NodeId) -> Result<Version, NotChanged> {
        let Role::Leader { term_start } = self.role else { return Err(NotChanged::NotLeader(self.leader())) };
        if node == self.id {
            return Err(NotChanged::IsLeader);
        }
        let current = self.log.membership();
        let member = *current.member(node).ok_or(NotChanged::NotMember)?;
        if self.is_changing(term_start) || self.transfer.is_some() {
            return Err(NotChanged::Busy);
        }
        let mut next = Membership::clone(current);
        next.voters.retain(|other| other.node != node);
        next.learners.retain(|other| other.node != node);
        if !self.has_quorum_of(now, &next) {
            return Err(NotChanged::NoQuorumLeft);
        }
        next.removed.push(member);
        let forgotten = next.removed.len().saturating_sub(REMOVED_MAX);
        next.removed.drain(..forgotten);
        self.marks.hit(Mark::MemberRemoved as u32);
        Ok(self.change_membership(now, Arc::new(next)))
    }
}
