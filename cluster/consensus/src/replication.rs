//! The leader's side of the log: heartbeats, pipelined appends, commit by quorum.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Entry, LogPosition, Mistake, NodeId, Version};
use drivers_api::Now;

use crate::progress::Flow;
use crate::raft::{Raft, Role};
use crate::snapshot::Sending;
use crate::{AppendOutcome, Mark, MessageBody};

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

impl Raft {
    /// Leader: tells everyone that it is there, and steps down if a quorum does not answer.
    pub(crate) fn heartbeat(&mut self, now: Now) {
        let alive_since = self.timing.election * 2;
        let is_alive = |heard| now.monotonic.since(heard) < alive_since;
        if self.by_quorum(true, |peer| is_alive(peer.heard)) == Some(false) {
            self.marks.hit(Mark::LeaderWithoutQuorum as u32);
            return self.follow(now, self.vote.term, None);
        }
        self.heartbeat_due = now.monotonic + self.timing.heartbeat;
        self.reads.next_round(now.monotonic);
        for index in 0..self.peers.len() {
            if let Flow::Probing { paused } = &mut self.peers[index].flow {
                *paused = false;
            }
            self.send_append(index, Vec::new());
        }
        // A cluster of one has its quorum already.
        self.confirm_reads();
    }

    /// Leader: sends what the others lack, as far as their pipelines have room.
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
                Flow::Fetching { .. } | Flow::Snapshot(_) => false,
            };
            if peer.next > last || !has_room {
                return;
            }
            let first = peer.next;
            if first <= self.log.base().version {
                return self.begin_snapshot(index);
            }
            if first < self.log.recent_first() {
                let through = Version(self.log.recent_first().0 - 1);
                peer.flow = Flow::Fetching { first, met: peer.flow == Flow::Streaming };
                let node = peer.node;
                let len_max = self.append_len_max;
                self.wanted.push(EntriesWanted { peer: node, first, through, len_max });
                return;
            }
            let entries = self.log.entries(first, last, self.append_len_max);
            if let Flow::Probing { paused } = &mut self.peers[index].flow {
                *paused = true;
            }
            self.send_append(index, entries);
        }
    }

    /// Entries that a follower needs and memory no longer has: read them from the journal and give them
    /// to [`Raft::fetched`].
    pub fn take_wanted(&mut self) -> Vec<EntriesWanted> {
        core::mem::take(&mut self.wanted)
    }

    /// Leader: the journal has read what [`Raft::take_wanted`] asked for, from `first` on. If it could not, a
    /// snapshot is sent instead.
    pub fn fetched(&mut self, peer: NodeId, first: Version, entries: Vec<Arc<Entry>>) {
        if !self.is_leader() {
            return;
        }
        let Some(index) = self.peers.iter().position(|progress| progress.node == peer) else { return };
        // Not the answer to the newest question.
        let Flow::Fetching { first: asked, met } = self.peers[index].flow else { return };
        if asked != first {
            return;
        }
        // Meanwhile the follower has said that it has them.
        if self.peers[index].next != first {
            self.peers[index].flow = if met { Flow::Streaming } else { Flow::Probing { paused: false } };
            return;
        }
        let fits = entries.first().is_some_and(|entry| entry.version == first)
            && entries.iter().all(|entry| self.log.term_at(entry.version) == Some(entry.term));
        if !fits {
            return self.begin_snapshot(index);
        }
        self.marks.hit(Mark::EntriesFetched as u32);
        self.peers[index].flow = if met { Flow::Streaming } else { Flow::Probing { paused: true } };
        self.send_append(index, entries);
    }

    fn begin_snapshot(&mut self, index: usize) {
        self.marks.hit(Mark::SnapshotNeeded as u32);
        self.peers[index].probe();
        self.peers[index].flow = Flow::Snapshot(Sending::default());
        self.want_chunk(index);
    }

    pub(crate) fn send_append(&mut self, index: usize, entries: Vec<Arc<Entry>>) {
        let peer = &mut self.peers[index];
        let before = Version(peer.next.0 - 1);
        // What only a snapshot can bring is not asked about: the heartbeat says that the leader is there.
        let (previous, commit) = match self.log.term_at(before) {
            Some(term) if !matches!(peer.flow, Flow::Snapshot(_)) => {
                (LogPosition { term, version: before }, self.commit)
            }
            _ => (LogPosition::default(), Version::ZERO),
        };
        // While probing, nothing says that these will be kept.
        if peer.flow == Flow::Streaming
            && let Some(last) = entries.last()
        {
            peer.launch(last.version, entries.iter().map(|entry| entry.len_estimate()).sum());
        }
        peer.commit_sent = self.commit;
        let body = MessageBody::Append { previous, entries, commit, round: self.reads.round() };
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

    /// Leader: a follower has answered.
    pub(crate) fn append_replied(
        &mut self,
        now: Now,
        from: NodeId,
        round: u64,
        outcome: AppendOutcome,
        priority: u8,
    ) {
        let last = self.log.last().version;
        let Some(index) = self.peers.iter().position(|peer| peer.node == from) else { return };
        let peer = &mut self.peers[index];
        peer.heard = now.monotonic;
        peer.priority = priority;
        peer.round_acked = peer.round_acked.max(round);
        match outcome {
            AppendOutcome::Matched(matched) if matched <= last => self.matched(now, index, matched),
            // A claim to match what this leader does not have is not heeded.
            AppendOutcome::Matched(_) => {}
            AppendOutcome::Mismatch { probed, last, commit } => self.step_back(index, probed, last, commit),
        }
        self.confirm_reads();
        if !self.is_leader() {
            return;
        }
        // A probe finds out even when there is nothing to send.
        let peer = &mut self.peers[index];
        if peer.flow == (Flow::Probing { paused: false }) && peer.next > last {
            peer.flow = Flow::Probing { paused: true };
            self.send_append(index, Vec::new());
        }
    }

    fn matched(&mut self, now: Now, index: usize, matched: Version) {
        let peer = &mut self.peers[index];
        peer.matched = peer.matched.max(matched);
        match &peer.flow {
            // It answers heartbeats while the snapshot is on its way.
            Flow::Snapshot(sending) if !sending.is_reached(matched) => return,
            Flow::Snapshot(_) => {
                peer.probe();
                peer.flow = Flow::Streaming;
            }
            Flow::Probing { .. } => peer.flow = Flow::Streaming,
            Flow::Streaming => {}
            Flow::Fetching { first, .. } => peer.flow = Flow::Fetching { first: *first, met: true },
        }
        peer.next = peer.next.max(peer.matched.next());
        peer.land(matched);
        self.advance_commit(now);
        self.hand_over_when_caught_up();
    }

    /// Leader: a follower's log, which ends at `follower_last` and is known to be committed up to
    /// `follower_commit`, does not meet this one at `probed`.
    fn step_back(&mut self, index: usize, probed: Version, follower_last: Version, follower_commit: Version) {
        let peer = &mut self.peers[index];
        if matches!(peer.flow, Flow::Snapshot(_)) {
            return;
        }
        if follower_last < peer.matched {
            // It has lost a part of its log, and says so.
            peer.matched = follower_last;
            peer.next = follower_last.next();
            return peer.probe();
        }
        let current = Version(peer.next.0 - 1);
        // It has since given up what it had acknowledged: entries that it restored from a peer.
        if probed == current && probed <= peer.matched && matches!(peer.flow, Flow::Probing { .. }) {
            peer.matched = Version(probed.0.saturating_sub(1));
        }
        // An answer to an older probe says nothing new.
        if probed <= peer.matched || probed > current || (peer.flow != Flow::Streaming && probed != current) {
            return;
        }
        self.marks.hit(Mark::LogsProbed as u32);
        // If its log is long enough, its terms differ: go back by one of the leader's terms at a time.
        let back = if follower_last < probed {
            follower_last
        } else {
            Version(self.log.first_of_term_at(probed).0.saturating_sub(1))
        };
        // What is committed is the same everywhere. Without this, one entry too many of a leader that reigned
        // for long would bring all the entries of its term back.
        let floor = peer.matched.max(follower_commit.min(Version(probed.0.saturating_sub(1))));
        peer.next = back.max(floor).next();
        peer.probe();
    }

    /// Leader: commits what a quorum has flushed. Only entries of its own term count (Raft, 5.4.2).
    pub(crate) fn advance_commit(&mut self, now: Now) {
        let Role::Leader { term_start } = self.role else { return };
        let Some(by_quorum) = self.by_quorum(self.kept(), |peer| peer.matched) else { return };
        let own_term = by_quorum >= term_start || self.makes(Mistake::OldTermCommittedByCount);
        if own_term && by_quorum > self.commit {
            self.commit = by_quorum;
            self.advance_membership(now);
        }
    }
}
