//! Elections: pre-vote (thesis, 9.6), vote, and who may disturb a leader (check-quorum, 6.2).

use alloc::vec;
use alloc::vec::Vec;
use cluster_format::{LogPosition, Mistake, NodeId, Payload, Version};
use drivers_api::Now;

use crate::config::Vote;
use crate::raft::{Raft, Role};
use crate::{Mark, MessageBody};

impl Raft {
    /// No leader was heard in time: asks whether an election could be won.
    pub(crate) fn stand(&mut self, now: Now) {
        self.reset_election_timer(now);
        let (new, may_stand) = (self.log.membership().is_founding(), self.may_stand());
        // Whoever leads may be nobody that this member knows of, nor it one of theirs any more.
        let in_vain = matches!(self.role, Role::PreCandidate { .. }) || !may_stand || new;
        if in_vain && !self.removed {
            self.send(NodeId::EVERYONE, self.vote.term, MessageBody::Join);
        }
        // All founders must vote for the first leader, so there is no need for more than one to ask.
        if !may_stand || (new && !self.is_first_founder()) {
            self.role = Role::Follower { leader: None };
            return;
        }
        self.role = Role::PreCandidate { granted: vec![self.id] };
        if self.is_quorum(&[self.id]) {
            return self.campaign(now, false);
        }
        let (term, last) = (self.vote.term + 1, self.log.last());
        for voter in self.other_voters() {
            self.send(voter, term, MessageBody::PreVoteRequest { last });
        }
    }

    /// Whether this member could lead: it votes, and has not lost what it promised to keep.
    pub(crate) fn may_stand(&mut self) -> bool {
        let whole = self.log.last() >= self.promised;
        if !whole {
            self.marks.hit(Mark::StoodAside as u32);
        }
        whole && self.is_voter() && !self.removed
    }

    pub(crate) fn campaign(&mut self, now: Now, leader_agrees: bool) {
        self.set_vote(Vote { term: self.vote.term + 1, voted_for: Some(self.id) });
        self.reset_election_timer(now);
        // Its own vote counts once it is durable, see `count_own_vote`.
        self.role = Role::Candidate { granted: vec![] };
        let last = self.log.last();
        for voter in self.other_voters() {
            self.send_with_vote(voter, MessageBody::VoteRequest { last, leader_agrees });
        }
        if self.makes(Mistake::VoteNotFlushed) {
            self.count_own_vote(now);
        }
    }

    /// The leader hands over to this member.
    pub(crate) fn told_to_stand(&mut self, now: Now, from: NodeId, term: u64) {
        if term == self.vote.term && self.leader() == Some(from) && self.may_stand() {
            self.marks.hit(Mark::TransferDone as u32);
            self.campaign(now, true);
        }
    }

    /// A candidate's own vote has become durable, perhaps.
    pub(crate) fn count_own_vote(&mut self, now: Now) {
        if self.vote_is_durable() && matches!(self.role, Role::Candidate { .. }) {
            self.count_vote(now, self.id);
        }
    }

    pub(crate) fn pre_vote_requested(&mut self, now: Now, from: NodeId, term: u64, last: LogPosition) {
        let granted =
            term > self.vote.term && self.may_vote_for(now, last, false) && !self.leader_is_alive(now);
        if !granted {
            self.marks.hit(Mark::PreVoteRefused as u32);
        }
        // A refusal tells the newest term, so that a member that was away catches up.
        let term = if granted { term } else { self.vote.term };
        self.send(from, term, MessageBody::PreVoteReply { granted });
    }

    pub(crate) fn pre_vote_replied(&mut self, now: Now, from: NodeId, term: u64, granted: bool) {
        if !granted && term > self.vote.term {
            return self.follow(now, term, None);
        }
        let Role::PreCandidate { granted: voters } = &mut self.role else { return };
        if granted && term == self.vote.term + 1 && !voters.contains(&from) {
            voters.push(from);
            let voters = voters.clone();
            if self.is_quorum(&voters) {
                self.campaign(now, false);
            }
        }
    }

    pub(crate) fn vote_requested(
        &mut self,
        now: Now,
        from: NodeId,
        term: u64,
        last: LogPosition,
        leader_agrees: bool,
    ) {
        if term > self.vote.term {
            // A member that cannot hear the leader must not depose it for those who can.
            if self.leader_is_alive(now) && !leader_agrees {
                return;
            }
            self.follow(now, term, None);
        }
        let free = self.vote.voted_for.is_none_or(|candidate| candidate == from);
        let granted = term == self.vote.term && free && self.may_vote_for(now, last, leader_agrees);
        if granted {
            self.set_vote(Vote { term, voted_for: Some(from) });
            self.reset_election_timer(now);
        }
        self.send_with_vote(from, MessageBody::VoteReply { granted });
    }

    /// Whether a log that ends in `last` holds everything that this member may have helped to commit. (One
    /// that has lost its disk may have helped with anything, but its vote does not count, see `receive`.) And
    /// whether no leader counts on its not voting yet: one that agrees does not.
    fn may_vote_for(&self, now: Now, last: LogPosition, leader_agrees: bool) -> bool {
        let free = leader_agrees || now.monotonic >= self.grants_from;
        last >= self.log.last().max(self.promised) && free
    }

    pub(crate) fn vote_replied(&mut self, now: Now, from: NodeId, term: u64, granted: bool) {
        if term > self.vote.term {
            self.follow(now, term, None);
        } else if term == self.vote.term && granted {
            self.count_vote(now, from);
        }
    }

    fn count_vote(&mut self, now: Now, from: NodeId) {
        let Role::Candidate { granted } = &mut self.role else { return };
        if !granted.contains(&from) {
            granted.push(from);
        }
        let granted = granted.clone();
        if self.is_quorum(&granted) {
            self.lead(now);
        }
    }

    /// Whether these elect a leader. A cluster is founded by all its founders: were a majority enough, then
    /// a majority that came back with blank disks would found it again, without what the others hold.
    fn is_quorum(&self, nodes: &[NodeId]) -> bool {
        let membership = self.log.membership();
        let needed = if membership.is_founding() { membership.voters.len() } else { membership.quorum() };
        nodes.iter().filter(|node| membership.voter(**node).is_some()).count() >= needed
    }

    fn lead(&mut self, now: Now) {
        let next = self.log.last().version.next();
        for peer in &mut self.peers {
            peer.start(next, now.monotonic);
        }
        self.reads.restart();
        // From the first entry on, the founders, all of whom have voted, are bound to their disks.
        let opening = match self.log.membership().is_founding() {
            true => Payload::Membership(self.founders()),
            false => Payload::TermStart,
        };
        self.role = Role::Leader { term_start: next };
        self.elected_at = now.monotonic;
        self.look_around_due = now.monotonic + self.timing.heartbeat;
        self.transfer_after = now.monotonic;
        self.push_entry(now, opening);
        self.heartbeat(now);
    }

    /// Whether a message of `term` from `from`, which only a leader sends, is to be heeded; if so, this
    /// member now follows it.
    pub(crate) fn accept_leader(&mut self, now: Now, from: NodeId, term: u64) -> bool {
        if term < self.vote.term {
            // Tells a deposed leader the newest term.
            self.reply_mismatch(from, Version::ZERO);
            return false;
        }
        // Two leaders of one term cannot be: such a message is forged or corrupt.
        if term == self.vote.term && self.is_leader() {
            return false;
        }
        if term > self.vote.term || self.leader() != Some(from) {
            self.follow(now, term, Some(from));
        }
        self.leader_heard = Some(now.monotonic);
        self.removed = false;
        self.reset_election_timer(now);
        true
    }

    fn leader_is_alive(&self, now: Now) -> bool {
        let heard = |at| now.monotonic.since(at) < self.timing.election;
        self.is_leader() || (self.leader().is_some() && self.leader_heard.is_some_and(heard))
    }

    fn other_voters(&self) -> Vec<NodeId> {
        let voters = self.log.membership().voters.iter().map(|voter| voter.node);
        voters.filter(|node| *node != self.id).collect()
    }
}
