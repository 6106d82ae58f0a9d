//! The member: its role, its term, and what enters and leaves.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use cluster_format::limits::VOTERS_MAX;
use cluster_format::{Incarnation, LogPosition, Marks, Mistake, NodeId, Planted, Version};
use drivers_api::{Instant, Now};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::config::{Config, Recovered, Timing, Vote};
use crate::follower::Refused;
use crate::membership::Stranger;
use crate::progress::Progress;
use crate::reading::Reads;
use crate::replication::EntriesWanted;
use crate::snapshot::{ChunkWanted, Incoming};
use crate::transfer::Transfer;
use crate::{Log, Mark, Message, MessageBody};

/// What a member is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes entries from a leader, or waits for one.
    Follower {
        /// The leader of this term, once heard.
        leader: Option<NodeId>,
    },
    /// Asks whether an election could be won, disturbing nobody.
    PreCandidate {
        /// Who would vote for it.
        granted: Vec<NodeId>,
    },
    /// Stands for election.
    Candidate {
        /// Who voted for it.
        granted: Vec<NodeId>,
    },
    /// Decides what is appended.
    Leader {
        /// Its first entry: once committed, so is everything before it.
        term_start: Version,
    },
}

/// One member. See the crate's head for the rules of driving it.
#[derive(Clone)]
pub struct Raft {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) timing: Timing,
    pub(crate) log_len_max: usize,
    pub(crate) append_len_max: usize,
    pub(crate) write_len_max: usize,
    pub(crate) priority: u8,
    /// Members that are not to lead if another one can.
    pub(crate) avoided: Vec<NodeId>,
    pub(crate) planted: Planted,
    pub(crate) rng: ChaCha8Rng,

    pub(crate) role: Role,
    pub(crate) vote: Vote,
    pub(crate) log: Log,
    pub(crate) commit: Version,
    pub(crate) committed_taken: Version,
    /// Where the log ended before something of it was lost; of no account once the log is as long again.
    pub(crate) promised: LogPosition,

    /// Counts changes of `vote`; those up to `vote_saved` are durable.
    pub(crate) vote_change: u64,
    pub(crate) vote_saved: u64,
    /// Since when something is being written.
    pub(crate) writing_since: Option<Instant>,
    pub(crate) write_next: Version,
    pub(crate) durable: Version,

    /// Leader: the other members. Kept in step with the membership in every role.
    pub(crate) peers: Vec<Progress>,
    pub(crate) reads: Reads,
    pub(crate) transfer: Option<Transfer>,
    /// No transfer is begun unasked before.
    pub(crate) transfer_after: Instant,
    pub(crate) strangers: BTreeMap<NodeId, Stranger>,
    pub(crate) wanted: Vec<EntriesWanted>,
    pub(crate) chunks_wanted: Vec<ChunkWanted>,
    /// Follower: how far the log is known to equal the leader's, in this term.
    pub(crate) verified: Version,
    /// Follower: the leader's newest round heard.
    pub(crate) round_heard: u64,
    pub(crate) incoming: Option<Incoming>,
    pub(crate) refused: Option<Refused>,
    pub(crate) removed: bool,
    /// A node that is said to lead.
    pub(crate) told_of: Option<NodeId>,

    /// Leader: when it was elected.
    pub(crate) elected_at: Instant,
    pub(crate) leader_heard: Option<Instant>,
    /// No vote is granted before.
    pub(crate) grants_from: Instant,
    pub(crate) election_due: Instant,
    pub(crate) heartbeat_due: Instant,
    /// Reads bring heartbeats forward, and must not put this off.
    pub(crate) look_around_due: Instant,
    pub(crate) outbox: Vec<(NodeId, Message)>,
    /// Messages that promise the vote of this change.
    pub(crate) withheld: Vec<(u64, NodeId, Message)>,
    pub(crate) marks: Marks,
}

impl Raft {
    /// A member that has just started.
    pub fn new(config: Config, recovered: Recovered, now: Now) -> Raft {
        let Recovered { vote, log, commit, applied, promised, incoming } = recovered;
        let last = log.last().version;
        let mut raft = Raft {
            id: config.id,
            incarnation: config.incarnation,
            timing: config.timing,
            log_len_max: config.log_len_max,
            append_len_max: config.append_len_max,
            write_len_max: config.write_len_max,
            priority: config.priority,
            avoided: Vec::new(),
            planted: config.planted,
            rng: ChaCha8Rng::from_seed(config.seed),
            role: Role::Follower { leader: None },
            vote,
            commit: commit.max(log.base().version).min(last),
            committed_taken: applied,
            promised,
            vote_change: 0,
            vote_saved: 0,
            writing_since: None,
            write_next: last.next(),
            durable: last,
            log,
            peers: Vec::new(),
            reads: Reads::default(),
            transfer: None,
            transfer_after: Instant::ZERO,
            strangers: BTreeMap::new(),
            wanted: Vec::new(),
            chunks_wanted: Vec::new(),
            verified: Version::ZERO,
            round_heard: 0,
            incoming: incoming.map(|(head, next)| Incoming::recovered(head, next)),
            refused: None,
            removed: false,
            told_of: None,
            elected_at: Instant::ZERO,
            leader_heard: None,
            grants_from: Instant::ZERO,
            election_due: Instant::ZERO,
            heartbeat_due: Instant::ZERO,
            look_around_due: Instant::ZERO,
            outbox: Vec::new(),
            withheld: Vec::new(),
            marks: Marks::NONE,
        };
        raft.sync_peers();
        // In its last life it may have told a leader that it heard it, just now.
        raft.grants_from = now.monotonic + raft.timing.lease;
        let later = raft.log.membership().is_founding() && raft.is_voter() && !raft.is_first_founder();
        let patience = if later { raft.timing.election } else { raft.timing.first_election };
        raft.election_due = now.monotonic + raft.timing.lease + raft.randomised(patience);
        raft
    }

    /// This member.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Its role.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Its vote, and so its term.
    pub fn vote(&self) -> Vote {
        self.vote
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.vote.term
    }

    /// The commit index.
    pub fn commit(&self) -> Version {
        self.commit
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether it leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Whether it was told that it was taken out of the cluster.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// The leader of its term, itself perhaps, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader { .. } => Some(self.id),
            Role::Follower { leader } => *leader,
            _ => None,
        }
    }

    /// The rare branches it took.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// A message has come from the node `from`.
    pub fn receive(&mut self, now: Now, from: NodeId, message: Message) {
        if from == self.id || !message.is_plausible() {
            return;
        }
        let Message { term, incarnation, body } = message;
        self.note_incarnation(from, incarnation);
        let counts = self.is_member(from, incarnation);
        if self.is_leader() && !counts {
            self.meet_stranger(now, from, incarnation);
        }
        match body {
            MessageBody::PreVoteRequest { last } => self.pre_vote_requested(now, from, term, last),
            MessageBody::VoteRequest { last, leader_agrees } => {
                self.vote_requested(now, from, term, last, leader_agrees);
            }
            MessageBody::Append { previous, entries, commit, round } => {
                if self.accept_leader(now, from, term) {
                    self.append(from, previous, entries, commit, round);
                }
            }
            MessageBody::Snapshot(chunk) => {
                if self.accept_leader(now, from, term) {
                    self.chunk_received(from, chunk);
                }
            }
            MessageBody::StandNow => self.told_to_stand(now, from, term),
            MessageBody::Removed => self.told_removed(now),
            MessageBody::Join => self.asked_to_join(from),
            MessageBody::Leader(leader) => self.told_of = Some(leader),
            // What follows are promises, and those of another disk are worth nothing.
            _ if !counts => self.marks.hit(Mark::StrangerIgnored as u32),
            MessageBody::PreVoteReply { granted } => self.pre_vote_replied(now, from, term, granted),
            MessageBody::VoteReply { granted } => self.vote_replied(now, from, term, granted),
            MessageBody::AppendReply { round, outcome, priority } => {
                if self.is_reply_to_leader(now, term) {
                    self.append_replied(now, from, round, outcome, priority);
                }
            }
            MessageBody::SnapshotReply { last, next } => {
                if self.is_reply_to_leader(now, term) {
                    self.chunk_replied(now, from, last, next);
                }
            }
        }
    }

    /// Whether a reply of `term` answers this member's leadership. A higher term ends it.
    fn is_reply_to_leader(&mut self, now: Now, term: u64) -> bool {
        if term > self.vote.term {
            self.follow(now, term, None);
        }
        term == self.vote.term && self.is_leader()
    }

    /// Messages to send, some of them to [`NodeId::EVERYONE`].
    pub fn take_messages(&mut self) -> Vec<(NodeId, Message)> {
        if self.is_leader() {
            self.replicate();
            self.announce_commit();
        }
        core::mem::take(&mut self.outbox)
    }

    pub(crate) fn send(&mut self, to: NodeId, term: u64, body: MessageBody) {
        self.outbox.push((to, Message { term, incarnation: self.incarnation, body }));
    }

    /// Becomes a follower in `term`, no lower than its own.
    pub(crate) fn follow(&mut self, now: Now, term: u64, leader: Option<NodeId>) {
        assert!(term >= self.vote.term, "terms never fall");
        if self.is_leader() {
            if term > self.vote.term {
                self.marks.hit(Mark::LeaderDeposed as u32);
            }
            self.leave_office();
        }
        if term > self.vote.term {
            // The leader of the old term may still serve reads by its lease.
            let lease_ends = self.leader_heard.map(|heard| heard + self.timing.lease);
            self.grants_from = self.grants_from.max(lease_ends.unwrap_or(Instant::ZERO));
            self.set_vote(Vote { term, voted_for: None });
        }
        self.role = Role::Follower { leader };
        self.verified = Version::ZERO;
        self.round_heard = 0;
        self.reset_election_timer(now);
    }

    fn leave_office(&mut self) {
        if self.reads.drop_pending() {
            self.marks.hit(Mark::ReadDropped as u32);
        }
        self.transfer = None;
        self.strangers.clear();
        self.wanted.clear();
        self.chunks_wanted.clear();
    }

    /// Whether it is the one that asks the other founders to elect it the first leader.
    pub(crate) fn is_first_founder(&self) -> bool {
        self.log.membership().voters.first().is_some_and(|first| first.node == self.id)
    }

    /// What a quorum of voters has reached: the largest value that this many of them have or exceed.
    pub(crate) fn by_quorum<T: Ord + Copy>(&self, own: T, of: impl Fn(&Progress) -> T) -> Option<T> {
        let membership = self.log.membership();
        let value = |node: NodeId| match self.peers.iter().find(|peer| peer.node == node) {
            Some(peer) => Some(of(peer)),
            None => (node == self.id).then_some(own),
        };
        // Called for every answer of every follower: takes no memory.
        let mut values = [None; VOTERS_MAX];
        for (slot, voter) in values.iter_mut().zip(&membership.voters) {
            *slot = value(voter.node);
        }
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.get(membership.quorum() - 1).copied().flatten()
    }

    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.planted.is(mistake)
    }
}

impl fmt::Debug for Raft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Raft { id, role, vote, commit, durable, .. } = self;
        let (last, membership) = (self.log.last(), self.log.membership());
        write!(f, "n{id} {role:?} {vote:?} last {last} durable {durable} commit {commit} {membership}")
    }
}
