//! Elections: pre-vote (Ongaro's thesis, 9.6), vote, and who may disturb a leader (check-quorum, 6.2).

use alloc::vec;
use cluster_format::{NodeId, Payload, Version};
use drivers_api::Now;

use crate::raft::{Raft, Role, Vote};
use crate::{LogPosition, MessageBody};

impl Raft {
    /// No leader was heard in time: asks whether an election could be won.
    pub(crate) fn stand(&mut self, now: Now) {
        self.reset_election_timer(now);
        self.role = Role::PreCandidate { granted: vec![self.id] };
        if self.quorum() == 1 {
            return self.campaign(now);
        }
        let (term, last) = (self.vote.term + 1, self.log.last());
        for voter in self.others() {
            self.send(voter, term, MessageBody::PreVoteRequest { last });
        }
    }

    fn campaign(&mut self, now: Now) {
        self.set_vote(Vote { term: self.vote.term + 1, voted_for: Some(self.id) });
        self.reset_election_timer(now);
        // Its own vote counts once it is durable, see `count_own_vote`.
        self.role = Role::Candidate { granted: vec![] };
        let last = self.log.last();
        for voter in self.others() {
            self.send_with_vote(voter, MessageBody::VoteRequest { last });
        }
    }

    /// A candidate's own vote has become durable, perhaps.
    pub(crate) fn count_own_vote(&mut self, now: Now) {
        if self.vote_is_durable() && matches!(self.role, Role::Candidate { .. }) {
            self.count_vote(now, self.id);
        }
    }

    pub(crate) fn pre_vote_requested(&mut self, now: Now, from: NodeId, term: u64, last: LogPosition) {
        let granted = term > self.vote.term
            && last >= self.log.last()
            && self.may_vote_for(last)
            && !self.leader_is_alive(now);
        // A refusal tells the newest term, so that a member that was away catches up.
        let term = if granted { term } else { self.vote.term };
        self.send(from, term, MessageBody::PreVoteReply { granted });
    }

    pub(crate) fn pre_vote_replied(&mut self, now: Now, from: NodeId, term: u64, granted: bool) {
        if !granted && term > self.vote.term {
            return self.follow(now, term, None);
        }
        let quorum = self.quorum();
        let Role::PreCandidate { granted: voters } = &mut self.role else { return };
        if granted && term == self.vote.term + 1 && !voters.contains(&from) {
            voters.push(from);
            if voters.len() >= quorum {
                self.campaign(now);
            }
        }
    }

    pub(crate) fn vote_requested(&mut self, now: Now, from: NodeId, term: u64, last: LogPosition) {
        if term > self.vote.term {
            // A member that cannot hear the leader must not depose it for those who can.
            if self.leader_is_alive(now) {
                return;
            }
            self.follow(now, term, None);
        }
        let free = self.vote.voted_for.is_none_or(|candidate| candidate == from);
        let granted = term == self.vote.term && free && last >= self.log.last() && self.may_vote_for(last);
        if granted {
            self.set_vote(Vote { term, voted_for: Some(from) });
            self.reset_election_timer(now);
        }
        self.send_with_vote(from, MessageBody::VoteReply { granted });
    }

    /// A member that has lost its disk may have acknowledged what a candidate lacks, so it votes only in a
    /// cluster that is all new; else a leader must bring it the log first.
    fn may_vote_for(&self, last: LogPosition) -> bool {
        !self.is_blank() || last.version == Version::ZERO
    }

    pub(crate) fn vote_replied(&mut self, now: Now, from: NodeId, term: u64, granted: bool) {
        if term > self.vote.term {
            self.follow(now, term, None);
        } else if term == self.vote.term && granted {
            self.count_vote(now, from);
        }
    }

    fn count_vote(&mut self, now: Now, from: NodeId) {
        let quorum = self.quorum();
        let Role::Candidate { granted } = &mut self.role else { return };
        if !granted.contains(&from) {
            granted.push(from);
        }
        if granted.len() >= quorum {
            self.lead(now);
        }
    }

    fn lead(&mut self, now: Now) {
        let next = self.log.last().version.next();
        for peer in &mut self.peers {
            peer.start(next, now.monotonic);
        }
        self.reads.restart();
        let term_start = self.push_entry(now, Payload::TermStart);
        self.role = Role::Leader { term_start };
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
        self.reset_election_timer(now);
        true
    }

    fn leader_is_alive(&self, now: Now) -> bool {
        let heard = |at| now.monotonic.since(at) < self.timing.election;
        self.is_leader() || (self.leader().is_some() && self.leader_heard.is_some_and(heard))
    }

    fn others(&self) -> alloc::vec::Vec<NodeId> {
        self.peers.iter().map(|peer| peer.node).collect()
    }
}
