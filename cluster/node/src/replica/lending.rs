//! What this node gives to peers, and takes from them: entries that a log lacks, tables that cannot be
//! built from a log.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::limits::APPEND_LEN_MAX;
use cluster_format::{Entry, NodeId, SnapshotChunk, SnapshotHead, Version};
use cluster_store::Outgoing;
use drivers_api::{Instant, Level, Now};

use super::{Phase, Reader, Replica};
use crate::marks::Mark;
use crate::message::PeerMessage;
use crate::rebuilding::entries_in_memory;

/// Tables for which nobody has asked for this long are no longer kept for it.
const LENT_FOR: Duration = Duration::from_secs(10);

/// Tables that one peer gets. Each has its own, so that two at a time do not make each other begin anew.
pub(super) struct Lent {
    outgoing: Outgoing,
    asked_at: Instant,
}

impl Replica {
    pub(super) fn read_for_followers(&mut self) {
        let (Phase::Running(raft), Some(journal)) = (&mut self.phase, &mut self.journal) else { return };
        for wanted in raft.take_wanted() {
            self.readers.push_back(Reader::Follower(wanted.peer, wanted.first));
            journal.read(0, wanted.first, wanted.through, wanted.len_max);
        }
    }

    pub(super) fn have_read(&mut self, now: Now, entries: Vec<Arc<Entry>>) {
        match self.readers.pop_front() {
            Some(Reader::Follower(peer, first)) => {
                if let Phase::Running(raft) = &mut self.phase {
                    raft.fetched(peer, first, entries);
                }
            }
            Some(Reader::Peer(peer)) => self.outbox.push((peer, PeerMessage::EntriesAnswer(entries))),
            Some(Reader::Own) => self.entries_lent(now, &entries),
            None => {}
        }
    }

    pub(super) fn send_snapshots(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let wanted = raft.take_chunks_wanted();
        self.lent.retain(|_, lent| now.monotonic.since(lent.asked_at) < LENT_FOR);
        for wanted in wanted {
            let chunk = self.chunk(now, wanted.peer, wanted.head.as_ref(), wanted.index);
            if let Phase::Running(raft) = &mut self.phase {
                raft.chunk_fetched(now, wanted.peer, chunk);
            }
        }
    }

    /// A piece of this node's tables for the member `to`: of a new snapshot of them, or of the one with `head`.
    fn chunk(
        &mut self,
        now: Now,
        to: NodeId,
        head: Option<&Arc<SnapshotHead>>,
        index: u64,
    ) -> Option<SnapshotChunk> {
        let Phase::Running(raft) = &self.phase else { return None };
        let asked_at = now.monotonic;
        if head.is_none() && self.rebuilding.is_none() && raft.log().membership().member(to).is_some() {
            let head = raft.snapshot_head(self.tables.state())?;
            let outgoing = Outgoing::new(&self.tables, head);
            self.lent.insert(to, Lent { outgoing, asked_at });
        }
        let lent =
            self.lent.get_mut(&to).filter(|lent| head.is_none_or(|head| lent.outgoing.head() == head))?;
        lent.asked_at = asked_at;
        lent.outgoing.chunk(index)
    }

    pub(super) fn restore(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let Some(question) = self.restoring.advance(now, raft) else { return };
        self.marks.hit(Mark::EntriesAsked as u32);
        self.outbox.push((NodeId::EVERYONE, question));
        // Behind the damage, the own disk may hold them, too.
        if let (Some(missing), Some(journal)) = (raft.missing(), &mut self.journal) {
            self.readers.push_back(Reader::Own);
            journal.read(0, missing, raft.promised().version, APPEND_LEN_MAX);
        }
    }

    /// A peer has lost entries and asks for this node's.
    pub(crate) fn entries_asked(&mut self, from: NodeId, first: Version) {
        let (Phase::Running(raft), Some(journal)) = (&mut self.phase, &mut self.journal) else { return };
        match entries_in_memory(raft, first, APPEND_LEN_MAX) {
            Some(entries) if entries.is_empty() => {}
            Some(entries) => self.outbox.push((from, PeerMessage::EntriesAnswer(entries))),
            None => {
                self.readers.push_back(Reader::Peer(from));
                journal.read(0, first, raft.log().last().version, APPEND_LEN_MAX);
            }
        }
    }

    /// A peer lends what this node has lost.
    pub(crate) fn entries_lent(&mut self, now: Now, entries: &[Arc<Entry>]) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let before = raft.log().last();
        raft.restore(now, entries);
        if raft.log().last() != before {
            self.restoring.progressed(now);
        }
        if raft.missing().is_none() && raft.log().last() != before {
            let line =
                alloc::format!("the ledger is whole again up to version {}", raft.log().last().version);
            self.say(Level::Info, line);
        }
    }

    pub(super) fn rebuild(&mut self, now: Now) {
        let (Some(rebuilding), Phase::Running(raft)) = (&mut self.rebuilding, &mut self.phase) else {
            return;
        };
        let leader = raft.leader().filter(|leader| *leader != raft.id());
        if let Some(question) = rebuilding.advance(now, leader) {
            self.outbox.push(question);
        }
        if raft.is_leader() {
            // Nobody else could lead so far.
            let _ = raft.transfer(now, None);
            return;
        }
        if let Some(tables) = rebuilding.finish(raft) {
            self.rebuilding = None;
            self.replace_tables(tables);
            self.hit(Mark::TablesRebuilt);
            let line = alloc::format!("the tables are rebuilt as of version {}", self.tables.version());
            self.say(Level::Info, line);
        }
    }

    /// A peer rebuilds its tables and asks for a piece of this node's.
    pub(crate) fn tables_asked(
        &mut self,
        now: Now,
        from: NodeId,
        head: Option<&Arc<SnapshotHead>>,
        index: u64,
    ) {
        let chunk = self.chunk(now, from, head, index);
        self.outbox.push((from, PeerMessage::TablesAnswer(chunk)));
    }

    /// A piece of a peer's tables.
    pub(crate) fn tables_lent(&mut self, now: Now, chunk: Option<SnapshotChunk>) {
        if let Some(rebuilding) = &mut self.rebuilding {
            rebuilding.chunk(now, chunk);
        }
    }
}
