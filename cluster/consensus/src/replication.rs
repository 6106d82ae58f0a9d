//! Replication: pipelined appends, acknowledgement after the flush, commit by quorum.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::limits::APPEND_LEN_MAX;
use cluster_format::{Entry, NodeId, Version};
use drivers_api::{Instant, Now};

use crate::raft::{Raft, Role};
use crate::{AppendOutcome, LogPosition, MessageBody};

/// Most bytes of entries on their way to one follower.
const INFLIGHT_LEN_MAX: usize = 2 * 1024 * 1024;

/// Most appends with entries on their way to one follower.
const INFLIGHT_COUNT_MAX: usize = 64;

/// Entries a follower needs that are only in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntriesWanted {
    /// Who needs them.
    pub peer: NodeId,
    /// The first of them.
    pub first: Version,
    /// The last that may be given.
    pub through: Version,
    /// About how many bytes to give at most.
    pub len_max: usize,
}

/// How the leader sends to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// It is not known where the logs meet: one append at a time.
    Probing {
        /// One is on its way.
        paused: bool,
    },
    /// They have met: appends follow each other without waiting.
    Streaming,
    /// The next entries are being read from the journal.
    Fetching,
}

/// What the leader knows of a follower.
pub(crate) struct Progress {
    pub(crate) node: NodeId,
    /// The next entry to send.
    next: Version,
    /// What is known to be durable there.
    pub(crate) matched: Version,
    flow: Flow,
    /// The last version and the bytes of each append on its way.
    inflight: VecDeque<(Version, usize)>,
    inflight_len: usize,
    pub(crate) round_acked: u64,
    commit_sent: Version,
    pub(crate) heard: Instant,
}

impl Progress {
    pub(crate) fn new(node: NodeId) -> Progress {
        Progress {
            node,
            next: Version(1),
            matched: Version::ZERO,
            flow: Flow::Probing { paused: false },
            inflight: VecDeque::new(),
            inflight_len: 0,
            round_acked: 0,
            commit_sent: Version::ZERO,
            heard: Instant::ZERO,
        }
    }

    /// A new leader takes the follower on.
    pub(crate) fn start(&mut self, next: Version, now: Instant) {
        *self = Progress { next, heard: now, ..Progress::new(self.node) };
    }

    fn probe(&mut self) {
        self.flow = Flow::Probing { paused: false };
        self.inflight.clear();
        self.inflight_len = 0;
    }

    fn land(&mut self, matched: Version) {
        while let Some((last, len)) = self.inflight.front()
            && *last <= matched
        {
            self.inflight_len -= len;
            self.inflight.pop_front();
        }
    }
}

impl Raft {
    /// Leader: tells everyone that it is there, and steps down if a quorum does not answer.
    pub(crate) fn heartbeat(&mut self, now: Now) {
        let alive_since = self.timing.election * 2;
        let alive = self.peers.iter().filter(|peer| now.monotonic.since(peer.heard) < alive_since).count();
        if alive + 1 < self.quorum() {
            return self.follow(now, self.vote.term, None);
        }
        self.heartbeat_due = now.monotonic + self.timing.heartbeat;
        self.reads.next_round();
        for index in 0..self.peers.len() {
            if let Flow::Probing { paused } = &mut self.peers[index].flow {
                *paused = false;
            }
            self.send_append(index, Vec::new());
        }
        // A cluster of one has its quorum already.
        self.confirm_reads();
    }

    /// Leader: sends what the followers lack, as far as their pipelines have room.
    pub(crate) fn replicate(&mut self) {
        for index in 0..self.peers.len() {
            self.replicate_to(index);
        }
    }

    fn replicate_to(&mut self, index: usize) {
        let last = self.log.last().version;
        loop {
            let peer = &mut self.peers[index];
            let has_room = match peer.flow {
                Flow::Probing { paused } => !paused,
                Flow::Streaming => {
                    peer.inflight.len() < INFLIGHT_COUNT_MAX && peer.inflight_len < INFLIGHT_LEN_MAX
                }
                Flow::Fetching => false,
            };
            if peer.next > last || !has_room {
                return;
            }
            let first = peer.next;
            if first < self.log.recent_first() {
                let through = Version(self.log.recent_first().0 - 1);
                peer.flow = Flow::Fetching;
                let node = peer.node;
                self.wanted.push(EntriesWanted { peer: node, first, through, len_max: APPEND_LEN_MAX });
                return;
            }
            let entries = self.log.entries(first, last, APPEND_LEN_MAX);
            if let Flow::Probing { paused } = &mut self.peers[index].flow {
                *paused = true;
            }
            self.send_append(index, entries);
        }
    }

    /// Leader: the journal has read what [`Raft::take_wanted`] asked for. An empty or foreign answer is
    /// asked for again at the next heartbeat.
    pub fn fetched(&mut self, peer: NodeId, entries: Vec<Arc<Entry>>) {
        if !self.is_leader() {
            return;
        }
        let Some(index) = self.peers.iter().position(|progress| progress.node == peer) else { return };
        if self.peers[index].flow != Flow::Fetching {
            return;
        }
        let fits = entries.first().is_some_and(|first| first.version == self.peers[index].next)
            && entries.iter().all(|entry| self.log.term_at(entry.version) == Some(entry.term));
        self.peers[index].flow = Flow::Probing { paused: true };
        if fits {
            self.send_append(index, entries);
        }
    }

    fn send_append(&mut self, index: usize, entries: Vec<Arc<Entry>>) {
        let peer = &mut self.peers[index];
        let before = Version(peer.next.0 - 1);
        let Some(term) = self.log.term_at(before) else { return };
        let previous = LogPosition { term, version: before };
        // While probing, nothing says that these will be kept.
        if peer.flow == Flow::Streaming
            && let Some(last) = entries.last()
        {
            let len = entries.iter().map(|entry| entry.len_estimate()).sum();
            peer.next = last.version.next();
            peer.inflight.push_back((last.version, len));
            peer.inflight_len += len;
        }
        peer.commit_sent = self.commit;
        let body = MessageBody::Append { previous, entries, commit: self.commit, round: self.reads.round() };
        let (to, term) = (peer.node, self.vote.term);
        self.send(to, term, body);
    }

    /// Leader: lets idle followers know a new commit index at once, so that they can serve it.
    pub(crate) fn announce_commit(&mut self) {
        for index in 0..self.peers.len() {
            let peer = &self.peers[index];
            if peer.flow == Flow::Streaming && peer.commit_sent < self.commit {
                self.send_append(index, Vec::new());
            }
        }
    }

    /// Follower: takes the leader's entries.
    pub(crate) fn append(
        &mut self,
        from: NodeId,
        previous: LogPosition,
        entries: Vec<Arc<Entry>>,
        commit: Version,
        round: u64,
    ) {
        if !self.is_well_formed(previous, &entries) {
            return;
        }
        // A disk or tables that do not keep up must not fill the memory: the leader offers them again. When
        // nothing here will make room, only these entries can.
        if !entries.is_empty() && self.is_backlogged() && self.will_make_room() {
            return;
        }
        let new_round = round > self.round_heard;
        self.round_heard = self.round_heard.max(round);
        if !self.log.holds(previous) {
            return self.reply_mismatch(from, previous.version);
        }
        let had_entries = !entries.is_empty();
        let through = Version(previous.version.0 + entries.len() as u64);
        for entry in entries {
            match self.log.term_at(entry.version) {
                Some(term) if term == entry.term => continue,
                // A leader never contradicts what was committed; whoever does is not heeded.
                Some(_) if entry.version <= self.commit => return,
                Some(_) => self.truncate(entry.version),
                None => {}
            }
            self.log.push(entry);
        }
        self.verified = self.verified.max(through);
        self.commit = self.commit.max(commit.min(through));
        // Entries are acknowledged when they are durable; a repeated one already is.
        if new_round || (had_entries && through <= self.durable) {
            self.acknowledge(from);
        }
    }

    fn is_well_formed(&self, previous: LogPosition, entries: &[Arc<Entry>]) -> bool {
        let mut before = previous;
        entries.iter().all(|entry| {
            let follows = entry.version == before.version.next()
                && entry.term >= before.term
                && entry.term <= self.vote.term;
            before = LogPosition { term: entry.term, version: entry.version };
            follows
        })
    }

    /// Follower: says how far its log equals the leader's, durably.
    pub(crate) fn acknowledge(&mut self, leader: NodeId) {
        let outcome = AppendOutcome::Matched(self.verified.min(self.durable));
        let body = MessageBody::AppendReply { round: self.round_heard, outcome };
        self.send(leader, self.vote.term, body);
    }

    /// Follower: says that the logs do not meet at `probed`.
    pub(crate) fn reply_mismatch(&mut self, to: NodeId, probed: Version) {
        let last = self.log.last().version;
        let outcome = AppendOutcome::Mismatch { probed, last };
        let body = MessageBody::AppendReply { round: self.round_heard, outcome };
        self.send(to, self.vote.term, body);
    }

    /// Leader: a follower has answered.
    pub(crate) fn append_replied(&mut self, now: Now, from: NodeId, round: u64, outcome: AppendOutcome) {
        let last = self.log.last().version;
        let Some(index) = self.peers.iter().position(|peer| peer.node == from) else { return };
        let peer = &mut self.peers[index];
        peer.heard = now.monotonic;
        peer.round_acked = peer.round_acked.max(round);
        match outcome {
            AppendOutcome::Matched(matched) if matched <= last => {
                peer.matched = peer.matched.max(matched);
                peer.next = peer.next.max(peer.matched.next());
                peer.land(matched);
                if matches!(peer.flow, Flow::Probing { .. }) {
                    peer.flow = Flow::Streaming;
                }
                self.advance_commit();
            }
            // A claim to match what this leader does not have is not heeded.
            AppendOutcome::Matched(_) => {}
            AppendOutcome::Mismatch { probed, last } => self.step_back(index, probed, last),
        }
        self.confirm_reads();
        // A probe finds out even when there is nothing to send.
        if self.peers[index].flow == (Flow::Probing { paused: false }) && self.peers[index].next > last {
            self.peers[index].flow = Flow::Probing { paused: true };
            self.send_append(index, Vec::new());
        }
    }

    /// Leader: a follower's log, which ends at `follower_last`, does not meet this one at `probed`.
    fn step_back(&mut self, index: usize, probed: Version, follower_last: Version) {
        let peer = &mut self.peers[index];
        if follower_last < peer.matched {
            // It has lost its disk and begins anew.
            peer.matched = Version::ZERO;
            peer.next = follower_last.next();
            return peer.probe();
        }
        let current = Version(peer.next.0 - 1);
        // An answer to an older probe says nothing new.
        if probed <= peer.matched || probed > current || (peer.flow != Flow::Streaming && probed != current) {
            return;
        }
        // If its log is long enough, its terms differ: go back by one of the leader's terms at a time.
        let back = if follower_last < probed {
            follower_last
        } else {
            Version(self.log.first_of_term_at(probed).0.saturating_sub(1))
        };
        peer.next = back.max(peer.matched).next();
        peer.probe();
    }

    /// Leader: commits what a quorum has flushed. Only entries of its own term count (Raft, 5.4.2).
    pub(crate) fn advance_commit(&mut self) {
        let Role::Leader { term_start } = self.role else { return };
        let mut durable: Vec<Version> = self.peers.iter().map(|peer| peer.matched).collect();
        durable.push(self.durable);
        durable.sort_unstable_by(|a, b| b.cmp(a));
        let by_quorum = durable[self.quorum() - 1];
        if by_quorum >= term_start && by_quorum > self.commit {
            self.commit = by_quorum;
        }
    }
}
