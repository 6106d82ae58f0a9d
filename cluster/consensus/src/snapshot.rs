//! Bringing a member there that the log cannot: the leader's tables, piece by piece, each at the receiver's disk before the
//! next is sent. After a break it goes on where it was, as long as the leader offers the same snapshot; a receiver that
//! was restarted does so if whoever drives it has kept the pieces.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{LogPosition, NodeId, SnapshotChunk, SnapshotHead, Version};
use drivers_api::{Instant, Now};

use crate::progress::{Flow, Progress};
use crate::raft::{Raft, Role};
use crate::{Log, Mark, MessageBody};

/// A piece that a member needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkWanted {
    /// Who needs it.
    pub peer: NodeId,
    /// Of which snapshot; none: the first piece of a new one.
    pub head: Option<Arc<SnapshotHead>>,
    /// Its number.
    pub index: u64,
}

/// Leader: where a snapshot to a member stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sending {
    /// Once its first piece was read.
    head: Option<Arc<SnapshotHead>>,
    /// The piece that is due.
    next: u64,
    /// When the piece was sent or, while it is awaited from the driver, nothing.
    sent: Option<Instant>,
    /// When the next piece may be read.
    pause_ends: Option<Instant>,
}

impl Sending {
    /// Whether a member whose log matches up to `matched` has the snapshot.
    pub(crate) fn is_reached(&self, matched: Version) -> bool {
        self.head.as_ref().is_some_and(|head| matched >= head.last.version)
    }
}

/// Follower: a snapshot that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    head: Arc<SnapshotHead>,
    /// Pieces that are durable.
    next: u64,
    /// The piece that is to be made durable, until the driver takes it.
    chunk: Option<SnapshotChunk>,
    writing: bool,
    /// It began to arrive before a restart.
    is_recovered: bool,
}

impl Incoming {
    fn new(head: Arc<SnapshotHead>) -> Incoming {
        Incoming { head, next: 0, chunk: None, writing: false, is_recovered: false }
    }

    pub(crate) fn recovered(head: Arc<SnapshotHead>, next: u64) -> Incoming {
        Incoming { next, is_recovered: true, ..Incoming::new(head) }
    }
}

impl Progress {
    /// When the pause between two pieces ends.
    pub(crate) fn pause_ends(&self) -> Option<Instant> {
        match &self.flow {
            Flow::Snapshot(sending) => sending.pause_ends,
            _ => None,
        }
    }
}

impl Raft {
    /// Pieces to be read from the tables and given to [`Raft::chunk_fetched`].
    pub fn take_chunks_wanted(&mut self) -> Vec<ChunkWanted> {
        core::mem::take(&mut self.chunks_wanted)
    }

    pub(crate) fn want_chunk(&mut self, index: usize) {
        let Progress { node, flow: Flow::Snapshot(sending), .. } = &mut self.peers[index] else { return };
        sending.sent = None;
        sending.pause_ends = None;
        let wanted = ChunkWanted { peer: *node, head: sending.head.clone(), index: sending.next };
        self.chunks_wanted.push(wanted);
    }

    /// Leader: a piece that was wanted; none if its snapshot is no longer there, and a new one is begun.
    pub fn chunk_fetched(&mut self, now: Now, peer: NodeId, chunk: Option<SnapshotChunk>) {
        if !self.is_leader() {
            return;
        }
        let Some(index) = self.peers.iter().position(|progress| progress.node == peer) else { return };
        let Flow::Snapshot(sending) = &mut self.peers[index].flow else { return };
        let Some(chunk) = chunk else {
            *sending = Sending::default();
            return self.want_chunk(index);
        };
        if chunk.index != sending.next {
            return;
        }
        sending.head = Some(chunk.head.clone());
        sending.sent = Some(now.monotonic);
        self.send(peer, self.vote.term, MessageBody::Snapshot(chunk));
    }

    /// Leader: a member has made a piece durable, or says which one it needs.
    pub(crate) fn chunk_replied(&mut self, now: Now, from: NodeId, last: LogPosition, next: Option<u64>) {
        let pause_ends = now.monotonic + self.timing.snapshot_pause;
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == from) else { return };
        peer.heard = now.monotonic;
        let Flow::Snapshot(sending) = &mut peer.flow else { return };
        if sending.head.as_ref().is_none_or(|head| head.last != last) || sending.sent.is_none() {
            return;
        }
        match next {
            Some(next) => {
                sending.next = next;
                sending.sent = None;
                sending.pause_ends = Some(pause_ends);
            }
            // Its log goes on from there.
            None => {
                peer.next = last.version.next();
                peer.probe();
            }
        }
    }

    /// Leader: asks for pieces whose pause has ended, and again for those whose answer is lost.
    pub(crate) fn end_pauses(&mut self, now: Now) {
        for index in 0..self.peers.len() {
            let Flow::Snapshot(sending) = &self.peers[index].flow else { continue };
            let paused = sending.pause_ends.is_some_and(|ends| now.monotonic >= ends);
            let lost = sending.sent.is_some_and(|at| now.monotonic.since(at) > self.timing.election * 2);
            if paused || lost {
                self.want_chunk(index);
            }
        }
    }

    /// Follower: a piece has come.
    pub(crate) fn chunk_received(&mut self, from: NodeId, chunk: SnapshotChunk) {
        let last = chunk.head.last;
        if self.is_useless(last) {
            self.marks.hit(Mark::SnapshotUseless as u32);
            // What is being written belongs to the snapshot that is here.
            self.incoming.take_if(|incoming| !incoming.writing);
            return self.send(from, self.vote.term, MessageBody::SnapshotReply { last, next: None });
        }
        let same = self.incoming.as_ref().is_some_and(|incoming| incoming.head == chunk.head);
        if !same && self.incoming.as_ref().is_some_and(|incoming| incoming.writing) {
            return;
        }
        if !same {
            self.incoming = Some(Incoming::new(chunk.head.clone()));
        }
        let Some(incoming) = &mut self.incoming else { return };
        if incoming.writing || incoming.chunk.is_some() {
            return;
        }
        if incoming.next != chunk.index {
            let next = Some(incoming.next);
            return self.send(from, self.vote.term, MessageBody::SnapshotReply { last, next });
        }
        if incoming.is_recovered {
            self.marks.hit(Mark::SnapshotResumed as u32);
        }
        incoming.chunk = Some(chunk);
    }

    /// Follower: whether a snapshot is arriving.
    pub fn is_receiving_snapshot(&self) -> bool {
        self.incoming.is_some()
    }

    /// Whether the log holds what a snapshot that ends in `last` stands for.
    fn is_useless(&self, last: LogPosition) -> bool {
        self.log.holds(last) || last.version <= self.commit
    }

    /// What has begun to arrive is of no use once the log has come there by itself: whoever sent it may be gone, and would
    /// never say so.
    pub(crate) fn forget_useless_snapshot(&mut self) {
        let last =
            self.incoming.as_ref().filter(|incoming| !incoming.writing).map(|incoming| incoming.head.last);
        if last.is_some_and(|last| self.is_useless(last)) {
            self.incoming = None;
        }
    }

    /// Follower: a piece to make durable, if nothing else is being written.
    pub fn take_chunk_write(&mut self, now: Now) -> Option<SnapshotChunk> {
        if self.writing_since.is_some() {
            return None;
        }
        let incoming = self.incoming.as_mut()?;
        let chunk = incoming.chunk.take()?;
        // While it waited, the log may have come there by itself.
        if self.is_useless(chunk.head.last) {
            self.marks.hit(Mark::SnapshotUseless as u32);
            self.incoming = None;
            if let Some(leader) = self.leader() {
                let reply = MessageBody::SnapshotReply { last: chunk.head.last, next: None };
                self.send(leader, self.vote.term, reply);
            }
            return None;
        }
        let incoming = self.incoming.as_mut()?;
        incoming.writing = true;
        self.writing_since = Some(now.monotonic);
        Some(chunk)
    }

    /// Follower: the piece of [`Raft::take_chunk_write`] is durable, and it is not the last.
    pub fn chunk_written(&mut self) {
        self.writing_since = None;
        let Some(incoming) = &mut self.incoming else { return };
        incoming.writing = false;
        incoming.next += 1;
        let (last, next) = (incoming.head.last, Some(incoming.next));
        if let Some(leader) = self.leader() {
            self.send(leader, self.vote.term, MessageBody::SnapshotReply { last, next });
        }
    }

    /// Follower: the last piece is durable, and the tables are what the snapshot says: the log goes on
    /// behind it.
    pub fn installed(&mut self, head: &SnapshotHead) {
        self.marks.hit(Mark::SnapshotInstalled as u32);
        self.writing_since = None;
        self.incoming = None;
        let version = head.last.version;
        if !self.log.rebase(head) {
            let latest_micros = self.log.latest_micros();
            self.log = Log::behind(head);
            self.log.note_time(latest_micros);
            // Its log ends earlier, perhaps, than it has said, or was about to say once its vote is durable.
            self.withheld.clear();
            self.verified = Version::ZERO;
            if matches!(self.role, Role::PreCandidate { .. } | Role::Candidate { .. }) {
                self.role = Role::Follower { leader: None };
            }
        }
        // Where the tables were rebuilt, more was committed here than the log has now.
        self.commit = self.commit.max(version).min(self.log.last().version);
        self.committed_taken = version;
        self.write_next = version.next();
        self.durable = version;
        self.verified = self.verified.max(version);
        self.sync_peers();
        if let Some(leader) = self.leader() {
            self.acknowledge(leader);
        }
    }

    /// Whether the log goes on behind the tables that `head` stands for, and memory has what they lack.
    pub fn can_resume_behind(&self, head: &SnapshotHead) -> bool {
        let version = head.last.version;
        self.log.holds(head.last) && version <= self.commit && self.log.recent_first() <= version.next()
    }

    /// This member's tables, which nobody could rely on, were replaced by those that `head` stands for:
    /// [`Raft::take_committed`] goes on behind them, as it [can](Raft::can_resume_behind).
    pub fn resumed_behind(&mut self, head: &SnapshotHead) {
        self.committed_taken = head.last.version;
    }

    /// This member's tables, which nobody could rely on, were replaced by those that `head` stands for, and its journal
    /// begins behind them: what it had promised to keep of the log has to be brought again.
    pub fn rebuilt(&mut self, now: Now, head: &SnapshotHead) {
        self.promised = self.promised.max(self.kept_through());
        // Whoever has lost what it led with leads no longer.
        self.follow(now, self.vote.term, self.leader().filter(|leader| *leader != self.id));
        self.installed(head);
    }

    /// Follower: the rows that came are not what the snapshot's head says. It is asked for again.
    pub fn snapshot_refused(&mut self) {
        self.writing_since = None;
        self.incoming = None;
    }
}
