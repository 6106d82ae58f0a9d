//! The member: its role, its term, and what enters and leaves.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use cluster_format::limits::VOTERS_MAX;
use cluster_format::{
    Entry, Incarnation, LogPosition, Marks, Mistake, NodeId, Payload, Planted, SnapshotHead, Version,
};
use drivers_api::{Instant, Now};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::follower::Refused;
use crate::membership::Stranger;
use crate::progress::Progress;
use crate::reading::Reads;
use crate::replication::EntriesWanted;
use crate::snapshot::{ChunkWanted, Incoming};
use crate::transfer::Transfer;
use crate::{Log, Mark, Message, MessageBody};

/// Intervals. Heartbeats must be well below elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between a leader's heartbeats.
    pub heartbeat: Duration,
    /// A follower that hears no leader for between one and two of these stands for election.
    pub election: Duration,
    /// The same for a member that has just started and never heard a leader.
    pub first_election: Duration,
    /// How long a leader may serve reads after a quorum has heard from it, without asking again; zero
    /// switches that off. At most half of `election`, and safe only where no node's clock stands still or
    /// runs more than a tenth faster or slower than another's: not where VMs are paused or migrated.
    pub lease: Duration,
    /// Between pieces of a snapshot, so that it leaves room for other traffic.
    pub snapshot_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_millis(100),
            election: Duration::from_millis(600),
            first_election: Duration::from_millis(150),
            lease: Duration::ZERO,
            snapshot_pause: Duration::from_millis(2),
        }
    }
}

/// Who this member is.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub id: NodeId,
    /// The life of its disk.
    pub incarnation: Incarnation,
    /// Intervals.
    pub timing: Timing,
    /// Seeds the randomised timeouts.
    pub seed: [u8; 32],
    /// Most bytes of entries in memory: those that wait for disk and quorum, and recent ones.
    pub log_len_max: usize,
    /// About how many bytes of entries one append carries at most, unless one entry alone is longer.
    pub append_len_max: usize,
    /// Leadership goes to the member with the highest, when it can.
    pub priority: u8,
    /// A mistake to make, in test builds.
    pub planted: Planted,
}

/// What a member must never forget about elections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The highest term seen.
    pub term: u64,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
}

/// What the journal brought back.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last vote.
    pub vote: Vote,
    /// The log up to the first damage; entries behind `applied` are in memory.
    pub log: Log,
    /// An index known to be committed.
    pub commit: Version,
    /// How far the tables are.
    pub applied: Version,
    /// Where the log ended before something of it was lost, or an earlier position if nothing was. The
    /// member has promised to keep it up to here.
    pub promised: LogPosition,
    /// A snapshot that had begun to arrive, and how many pieces are there.
    pub incoming: Option<(Arc<SnapshotHead>, u64)>,
}

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

/// Why a proposal was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProposed {
    /// This member does not lead; here is who does, as far as it knows.
    NotLeader(Option<NodeId>),
    /// Too much is waiting for the quorum, or leadership is being handed over: ask again soon.
    Busy,
}

/// The share of the log's memory that is kept for followers that are a little behind.
const RECENT_SHARE: usize = 4;

/// One member. See the crate's head for the rules of driving it.
#[derive(Clone)]
pub struct Raft {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) timing: Timing,
    pub(crate) log_len_max: usize,
    pub(crate) append_len_max: usize,
    pub(crate) priority: u8,
    pub(crate) planted: Planted,
    rng: ChaCha8Rng,

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
            priority: config.priority,
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
    fn look_around(&mut self, now: Now) {
        self.look_around_due = now.monotonic + self.timing.heartbeat;
        self.advance_transfer(now);
        self.advance_membership(now);
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
            MessageBody::Removed => self.told_removed(now, term),
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

    /// Appends `payload` if this member leads, and returns its version: committed when an entry of this
    /// version *and term* comes out of [`Raft::take_committed`].
    pub fn propose(&mut self, now: Now, payload: Payload) -> Result<Version, NotProposed> {
        if !self.is_leader() {
            return Err(NotProposed::NotLeader(self.leader()));
        }
        if self.is_backlogged() || self.transfer.is_some() {
            return Err(NotProposed::Busy);
        }
        // It leaves with the next messages, together with what else is proposed until then.
        Ok(self.push_entry(now, payload))
    }

    pub(crate) fn push_entry(&mut self, now: Now, payload: Payload) -> Version {
        let version = self.log.last().version.next();
        let position = LogPosition { term: self.vote.term, version };
        let entry = Entry::new(position, now.wall.unix_micros, self.log.last_digest(), payload);
        self.push(Arc::new(entry));
        version
    }

    /// Appends an entry to the log, and heeds what it says about the members.
    pub(crate) fn push(&mut self, entry: Arc<Entry>) {
        let changes_members = matches!(entry.payload, Payload::Membership(_));
        self.log.push(entry);
        if changes_members {
            self.sync_peers();
        }
    }

    /// Entries that became committed since the last call, in order; only those in memory, which are all
    /// that a member cannot have applied yet.
    pub fn take_committed(&mut self, len_max: usize) -> Vec<Arc<Entry>> {
        let entries = self.log.entries(self.committed_taken.next(), self.commit, len_max);
        if let Some(last) = entries.last() {
            self.committed_taken = last.version;
        }
        self.forget_taken();
        entries
    }

    /// Entries up to `through` are in tables that are on their way: those that are committed need not be
    /// taken, and make room for what comes behind.
    pub fn pass_over(&mut self, through: Version) {
        let through = through.min(self.commit);
        if through > self.committed_taken {
            self.committed_taken = through;
            self.forget_taken();
        }
    }

    /// What a follower still needs comes from the journal; what is not durable yet stays in memory.
    fn forget_taken(&mut self) {
        let recent = self.log_len_max / RECENT_SHARE;
        self.log.forget(self.committed_taken.min(self.durable), recent);
    }

    /// The tables were replaced by those of `version`, which is committed: [`Raft::take_committed`] goes on
    /// behind it. False if the entries there, or the members as of then, are no longer in memory.
    pub fn resume_behind(&mut self, version: Version) -> bool {
        let known = version == self.log.last().version || self.log.entry(version.next()).is_some();
        let possible = version <= self.commit && known && self.log.remembers_members_at(version);
        if possible {
            self.committed_taken = version;
        }
        possible
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

    pub(crate) fn reset_election_timer(&mut self, now: Now) {
        let patience = match self.log.membership().is_founding() && self.is_first_founder() {
            // The others' disks may be slower than it thinks: it waits longer each time it asked in vain.
            true => self.timing.first_election * (self.vote.term.min(15) as u32 + 1),
            false => self.timing.election,
        };
        self.election_due = now.monotonic + self.randomised(patience);
    }

    /// Whether it is the one that asks the other founders to elect it the first leader.
    pub(crate) fn is_first_founder(&self) -> bool {
        self.log.membership().voters.first().is_some_and(|first| first.node == self.id)
    }

    /// Whether too many entries wait for the disk or the quorum to take more.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.log.recent_len() > self.log_len_max
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

    /// Between one and two times `base`.
    fn randomised(&mut self, base: Duration) -> Duration {
        let nanos = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX / 2).max(1);
        base + Duration::from_nanos(self.rng.next_u64() % nanos)
    }
}

impl fmt::Debug for Raft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Raft { id, role, vote, commit, durable, .. } = self;
        let (last, membership) = (self.log.last(), self.log.membership());
        write!(f, "n{id} {role:?} {vote:?} last {last} durable {durable} commit {commit} {membership}")
    }
}
