//! The member: its role, its term, and what enters and leaves.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use cluster_format::{Entry, NodeId, Payload, Version};
use drivers_api::{Instant, Now};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::reading::Reads;
use crate::replication::{EntriesWanted, Progress};
use crate::{Log, LogPosition, Message, MessageBody};

/// Intervals. Heartbeats must be well below elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between a leader's heartbeats.
    pub heartbeat: Duration,
    /// A follower that hears no leader for between one and two of these stands for election.
    pub election: Duration,
    /// The same for a member that has just started and never heard a leader.
    pub first_election: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_millis(100),
            election: Duration::from_millis(600),
            first_election: Duration::from_millis(150),
        }
    }
}

/// Who this member is and who may vote.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub id: NodeId,
    /// All voters, this member among them.
    pub voters: Vec<NodeId>,
    /// Intervals.
    pub timing: Timing,
    /// Seeds the randomised timeouts.
    pub seed: [u8; 32],
    /// Most bytes of entries in memory: those that wait for disk and quorum, and recent ones.
    pub log_len_max: usize,
}

/// What a member must never forget about elections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The highest term seen.
    pub term: u64,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
}

/// What the journal brought back.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The last vote.
    pub vote: Vote,
    /// The whole log; entries behind `applied` are in memory.
    pub log: Log,
    /// An index known to be committed.
    pub commit: Version,
    /// How far the tables are.
    pub applied: Version,
}

/// What a member is doing.
#[derive(Clone, Debug)]
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

/// Something to make durable: append `entries` to the journal (the first of them and everything behind it
/// is replaced), with the vote.
#[derive(Clone, Debug)]
pub struct LogWrite {
    /// To be given to [`Raft::written`].
    pub mark: WriteMark,
    /// The vote.
    pub vote: Vote,
    /// An index known to be committed.
    pub commit: Version,
    /// The entries, contiguous; may be empty.
    pub entries: Vec<Arc<Entry>>,
}

/// Names a [`LogWrite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteMark {
    pub(crate) vote_change: u64,
    pub(crate) last: Option<LogPosition>,
}

/// Why a proposal was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProposed {
    /// This member does not lead; here is who does, as far as it knows.
    NotLeader(Option<NodeId>),
    /// Too much is waiting for the quorum.
    Busy,
}

/// The share of the log's memory that is kept for followers that are a little behind.
const RECENT_SHARE: usize = 4;

/// Most bytes of entries in one [`LogWrite`], unless one entry alone is longer.
const WRITE_LEN_MAX: usize = 1024 * 1024;

/// One member. See the crate's head for the rules of driving it.
pub struct Raft {
    pub(crate) id: NodeId,
    pub(crate) voters: Vec<NodeId>,
    pub(crate) timing: Timing,
    log_len_max: usize,
    rng: ChaCha8Rng,

    pub(crate) role: Role,
    pub(crate) vote: Vote,
    pub(crate) log: Log,
    pub(crate) commit: Version,
    committed_taken: Version,

    /// Counts changes of `vote`; those up to `vote_saved` are durable.
    vote_change: u64,
    vote_saved: u64,
    writing: bool,
    write_next: Version,
    pub(crate) durable: Version,

    pub(crate) peers: Vec<Progress>,
    pub(crate) reads: Reads,
    pub(crate) wanted: Vec<EntriesWanted>,
    /// Follower: how far the log is known to equal the leader's, in this term.
    pub(crate) verified: Version,
    /// Follower: the leader's newest round heard.
    pub(crate) round_heard: u64,

    pub(crate) leader_heard: Option<Instant>,
    pub(crate) election_due: Instant,
    pub(crate) heartbeat_due: Instant,
    outbox: Vec<(NodeId, Message)>,
    /// Messages that promise the vote of this change.
    withheld: Vec<(u64, NodeId, Message)>,
}

impl Raft {
    /// A member that has just started. Panics if `config.voters` lacks `config.id`.
    pub fn new(config: Config, recovered: Recovered, now: Now) -> Raft {
        assert!(config.voters.contains(&config.id), "a member is one of the voters");
        let Recovered { vote, log, commit, applied } = recovered;
        let last = log.last().version;
        let peers = config.voters.iter().filter(|voter| **voter != config.id);
        let mut raft = Raft {
            peers: peers.map(|peer| Progress::new(*peer)).collect(),
            id: config.id,
            voters: config.voters,
            timing: config.timing,
            log_len_max: config.log_len_max,
            rng: ChaCha8Rng::from_seed(config.seed),
            role: Role::Follower { leader: None },
            vote,
            commit,
            committed_taken: applied,
            vote_change: 0,
            vote_saved: 0,
            writing: false,
            write_next: last.next(),
            durable: last,
            log,
            reads: Reads::default(),
            wanted: Vec::new(),
            verified: Version::ZERO,
            round_heard: 0,
            leader_heard: None,
            election_due: Instant::ZERO,
            heartbeat_due: Instant::ZERO,
            outbox: Vec::new(),
            withheld: Vec::new(),
        };
        raft.election_due = now.monotonic + raft.randomised(raft.timing.first_election);
        raft
    }

    /// Its role.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.vote.term
    }

    /// The commit index.
    pub fn commit(&self) -> Version {
        self.commit
    }

    /// The end of its log.
    pub fn last(&self) -> LogPosition {
        self.log.last()
    }

    /// Whether it leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// The leader of its term, itself perhaps, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader { .. } => Some(self.id),
            Role::Follower { leader } => *leader,
            _ => None,
        }
    }

    /// When [`Raft::tick`] has something to do.
    pub fn deadline(&self) -> Instant {
        if self.is_leader() { self.heartbeat_due } else { self.election_due }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        if self.is_leader() {
            if now.monotonic >= self.heartbeat_due {
                self.heartbeat(now);
            }
        } else if now.monotonic >= self.election_due {
            self.stand(now);
        }
    }

    /// A message has come from the voter `from`.
    pub fn receive(&mut self, now: Now, from: NodeId, message: Message) {
        if from == self.id || !self.voters.contains(&from) || !message.is_plausible() {
            return;
        }
        match message.body {
            MessageBody::PreVoteRequest { last } => self.pre_vote_requested(now, from, message.term, last),
            MessageBody::PreVoteReply { granted } => self.pre_vote_replied(now, from, message.term, granted),
            MessageBody::VoteRequest { last } => self.vote_requested(now, from, message.term, last),
            MessageBody::VoteReply { granted } => self.vote_replied(now, from, message.term, granted),
            MessageBody::Append { previous, entries, commit, round } => {
                if self.accept_leader(now, from, message.term) {
                    self.append(from, previous, entries, commit, round);
                }
            }
            MessageBody::AppendReply { round, outcome } => {
                if message.term > self.vote.term {
                    self.follow(now, message.term, None);
                } else if message.term == self.vote.term && self.is_leader() {
                    self.append_replied(now, from, round, outcome);
                }
            }
        }
    }

    /// Appends `payload` if this member leads, and returns its version: committed when an entry of this
    /// version *and term* comes out of [`Raft::take_committed`].
    pub fn propose(&mut self, now: Now, payload: Payload) -> Result<Version, NotProposed> {
        if !self.is_leader() {
            return Err(NotProposed::NotLeader(self.leader()));
        }
        if self.is_backlogged() {
            return Err(NotProposed::Busy);
        }
        // It leaves with the next messages, together with what else is proposed until then.
        Ok(self.push_entry(now, payload))
    }

    pub(crate) fn push_entry(&mut self, now: Now, payload: Payload) -> Version {
        let version = self.log.last().version.next();
        let (term, wall_micros, previous) = (self.vote.term, now.wall.unix_micros, self.log.last_digest());
        let entry = Entry { version, term, wall_micros, previous, payload };
        self.log.push(Arc::new(entry));
        version
    }

    /// What to make durable next, if anything, and nothing is being written.
    pub fn take_write(&mut self) -> Option<LogWrite> {
        let last = self.log.last().version;
        if self.writing || (self.vote_saved == self.vote_change && self.write_next > last) {
            return None;
        }
        let entries = self.log.entries(self.write_next, last, WRITE_LEN_MAX);
        let position = entries.last().map(|entry| LogPosition { term: entry.term, version: entry.version });
        self.write_next = position.map_or(self.write_next, |position| position.version.next());
        self.writing = true;
        let mark = WriteMark { vote_change: self.vote_change, last: position };
        Some(LogWrite { mark, vote: self.vote, commit: self.commit, entries })
    }

    /// The write with this mark is durable.
    pub fn written(&mut self, now: Now, mark: WriteMark) {
        self.writing = false;
        // Entries that were replaced while they were being written are not durable.
        if let Some(last) = mark.last
            && self.log.holds(last)
            && last.version > self.durable
        {
            self.durable = last.version;
            match self.role {
                Role::Leader { .. } => self.advance_commit(),
                Role::Follower { leader: Some(leader) } => self.acknowledge(leader),
                _ => {}
            }
        }
        self.vote_written(now, mark);
    }

    /// Whether the newest vote is durable.
    pub(crate) fn vote_is_durable(&self) -> bool {
        self.vote_saved == self.vote_change
    }

    /// Entries that became committed since the last call, in order; only those in memory, which are all
    /// that a member cannot have applied yet.
    pub fn take_committed(&mut self, len_max: usize) -> Vec<Arc<Entry>> {
        let entries = self.log.entries(self.committed_taken.next(), self.commit, len_max);
        if let Some(last) = entries.last() {
            self.committed_taken = last.version;
        }
        // What a follower still needs comes from the journal; what is not durable yet stays here.
        let recent = self.log_len_max / RECENT_SHARE;
        self.log.forget(self.committed_taken.min(self.durable), recent);
        entries
    }

    /// Messages to send.
    pub fn take_messages(&mut self) -> Vec<(NodeId, Message)> {
        if self.is_leader() {
            self.replicate();
            self.announce_commit();
        }
        core::mem::take(&mut self.outbox)
    }

    /// Entries that a follower needs and memory no longer has: read them from the journal and give them
    /// to [`Raft::fetched`].
    pub fn take_wanted(&mut self) -> Vec<EntriesWanted> {
        core::mem::take(&mut self.wanted)
    }

    pub(crate) fn send(&mut self, to: NodeId, term: u64, body: MessageBody) {
        self.outbox.push((to, Message { term, body }));
    }

    /// Sends once the newest vote is durable.
    pub(crate) fn send_with_vote(&mut self, to: NodeId, body: MessageBody) {
        let message = Message { term: self.vote.term, body };
        if self.vote_is_durable() {
            self.outbox.push((to, message));
        } else {
            self.withheld.push((self.vote_change, to, message));
        }
    }

    pub(crate) fn set_vote(&mut self, vote: Vote) {
        if vote != self.vote {
            self.vote = vote;
            self.vote_change += 1;
        }
    }

    /// Becomes a follower in `term`, no lower than its own.
    pub(crate) fn follow(&mut self, now: Now, term: u64, leader: Option<NodeId>) {
        assert!(term >= self.vote.term, "terms never fall");
        if term > self.vote.term {
            self.set_vote(Vote { term, voted_for: None });
        }
        if self.is_leader() {
            self.reads.drop_pending();
        }
        self.role = Role::Follower { leader };
        self.verified = Version::ZERO;
        self.round_heard = 0;
        self.wanted.clear();
        self.reset_election_timer(now);
    }

    pub(crate) fn truncate(&mut self, first: Version) {
        assert!(first > self.commit, "committed entries are never replaced");
        self.log.truncate(first);
        let before = Version(first.0 - 1);
        self.write_next = self.write_next.min(first);
        self.durable = self.durable.min(before);
        self.verified = self.verified.min(before);
    }

    pub(crate) fn reset_election_timer(&mut self, now: Now) {
        self.election_due = now.monotonic + self.randomised(self.timing.election);
    }

    /// Whether too many entries wait for the disk or the quorum to take more.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.log.recent_len() > self.log_len_max
    }

    /// Whether a write under way, or entries still to be applied, will shrink what is in memory.
    pub(crate) fn will_make_room(&self) -> bool {
        self.durable < self.log.last().version || self.committed_taken < self.commit
    }

    /// Whether this member may have lost its disk: it remembers neither an entry nor a vote.
    pub(crate) fn is_blank(&self) -> bool {
        self.log.last().version == Version::ZERO && self.vote.voted_for.is_none()
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

    /// The newest vote, to make durable by itself while a [`LogWrite`] cannot be written.
    pub fn take_vote_write(&self) -> Option<LogWrite> {
        let mark = WriteMark { vote_change: self.vote_change, last: None };
        let unsaved = self.vote_saved < self.vote_change;
        unsaved.then(|| LogWrite { mark, vote: self.vote, commit: self.commit, entries: Vec::new() })
    }

    /// The vote of [`Raft::take_vote_write`] is durable.
    pub fn vote_written(&mut self, now: Now, mark: WriteMark) {
        self.vote_saved = self.vote_saved.max(mark.vote_change);
        let released = self.withheld.extract_if(.., |(change, _, _)| *change <= mark.vote_change);
        self.outbox.extend(released.map(|(_, to, message)| (to, message)));
        self.count_own_vote(now);
    }

    pub(crate) fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Between one and two times `base`.
    fn randomised(&mut self, base: Duration) -> Duration {
        let nanos = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX / 2).max(1);
        base + Duration::from_nanos(self.rng.next_u64() % nanos)
    }
}

impl fmt::Debug for Raft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Raft { id, role, vote, commit, durable, .. } = self;
        let last = self.log.last();
        write!(f, "n{id} {role:?} {vote:?} last {last:?} durable {durable} commit {commit}")
    }
}
