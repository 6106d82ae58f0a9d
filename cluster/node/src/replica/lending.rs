//! What this node gives to peers, and takes from them: entries that a log lacks, tables that cannot be
//! built from a log.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::limits::APPEND_LEN_MAX;
use cluster_format::{Entry, NodeId, SnapshotChunk, SnapshotHead, Version};
use cluster_store::{Outgoing, ReadError};
use drivers_api::{Instant, Level, Now};

use super::agreeing::Summing;
use super::arriving::Arrival;
use super::mending::Patching;
use super::{Phase, Reader, Replica};
use crate::job::Job;
use crate::marks::Mark;
use crate::message::PeerMessage;
use crate::rebuilding::entries_in_memory;

/// Tables for which nobody has asked for this long are no longer kept for it.
const LENT_FOR: Duration = Duration::from_secs(10);

/// Tables that one peer gets. Each has its own, so that two at a time do not make each other begin anew.
pub(super) struct Lent {
    outgoing: Outgoing,
    head: Arc<SnapshotHead>,
    asked_at: Instant,
}

/// A piece that a peer waits for.
pub(super) struct Lending {
    to: NodeId,
    /// Of which tables; none: of new ones.
    head: Option<Arc<SnapshotHead>>,
    index: u64,
    /// Whether Raft asks; else the peer itself does, for tables that nobody can rely on.
    is_rafts: bool,
    /// The version that new tables are to have at least.
    version: Version,
    reading: Option<Reading>,
}

/// A piece that is being read.
struct Reading {
    head: Arc<SnapshotHead>,
    is_last: bool,
    job: Job<Result<Option<Vec<u8>>, ReadError>>,
}

impl Lending {
    /// Whether it can go on.
    pub(super) fn is_woken(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.job.is_woken())
    }
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

    /// Goes on with the pieces that peers wait for.
    pub(super) fn lend(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let wanted = raft.take_chunks_wanted();
        for wanted in wanted {
            self.piece_asked(wanted.peer, wanted.head, wanted.index, true);
        }
        self.lent.retain(|_, lent| now.monotonic.since(lent.asked_at) < LENT_FOR);
        for mut lending in core::mem::take(&mut self.lending) {
            match self.lend_one(now, &mut lending) {
                None => self.lending.push(lending),
                Some(chunk) if lending.is_rafts => {
                    if let Phase::Running(raft) = &mut self.phase {
                        raft.chunk_fetched(now, lending.to, chunk);
                    }
                }
                Some(chunk) => self.outbox.push((lending.to, PeerMessage::TablesAnswer(chunk))),
            }
        }
    }

    fn piece_asked(&mut self, to: NodeId, head: Option<Arc<SnapshotHead>>, index: u64, is_rafts: bool) {
        // Whoever asks again wants only one answer.
        let is_same = |lending: &Lending| (lending.to, lending.is_rafts) == (to, is_rafts);
        if let Some(known) = self.lending.iter().find(|lending| is_same(lending))
            && (known.index, &known.head) == (index, &head)
        {
            return;
        }
        self.lending.retain(|lending| !is_same(lending));
        let version = self.tables.version();
        self.lending.push(Lending { to, head, index, is_rafts, version, reading: None });
    }

    /// The piece, or none if there is no such piece, once that is known.
    fn lend_one(&mut self, now: Now, lending: &mut Lending) -> Option<Option<SnapshotChunk>> {
        let Some(reading) = &mut lending.reading else { return self.begin_reading(now, lending) };
        let piece = reading.job.poll()?;
        let body = match piece {
            Ok(piece) => piece,
            Err(error) => {
                self.tables.suspect(&error);
                None
            }
        };
        let (head, index, is_last) = (reading.head.clone(), lending.index, reading.is_last);
        Some(body.map(|body| SnapshotChunk { head, index, is_last, body: body.into() }))
    }

    fn begin_reading(&mut self, now: Now, lending: &mut Lending) -> Option<Option<SnapshotChunk>> {
        let Phase::Running(raft) = &self.phase else { return Some(None) };
        if lending.head.is_none() {
            let is_member = raft.log().membership().member(lending.to).is_some();
            if self.rebuilding.is_some() || self.replacement.is_some() || !is_member {
                return if lending.is_rafts { None } else { Some(None) };
            }
            // What is in memory only is not sent, so it goes to tables first.
            self.tables.freeze();
            let (outgoing, head) = self.tables.outgoing(lending.version)?;
            let lent = Lent { outgoing, head: Arc::new(head), asked_at: now.monotonic };
            lending.head = Some(lent.head.clone());
            self.lent.insert(lending.to, lent);
        }
        let lent = self.lent.get_mut(&lending.to).filter(|lent| Some(&lent.head) == lending.head.as_ref());
        let Some(lent) = lent else { return Some(None) };
        lent.asked_at = now.monotonic;
        let (outgoing, index, head) = (lent.outgoing.clone(), lending.index, lent.head.clone());
        let is_last = outgoing.is_last(index);
        let job = Job::new(async move { outgoing.piece(index).await });
        lending.reading = Some(Reading { head, is_last, job });
        self.lend_one(now, lending)
    }

    /// Whether work that waits for the disk can go on.
    pub(super) fn has_woken_job(&self) -> bool {
        self.lending.iter().any(Lending::is_woken)
            || self.arrival.as_ref().is_some_and(Arrival::is_woken)
            || self.patching.iter().any(Patching::is_woken)
            || self.summing.as_ref().is_some_and(Summing::is_woken)
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

    /// A peer rebuilds its tables and asks for a piece of this node's.
    pub(crate) fn tables_asked(&mut self, from: NodeId, head: Option<Arc<SnapshotHead>>, index: u64) {
        if matches!(self.phase, Phase::Running(_)) {
            self.piece_asked(from, head, index, false);
        }
    }
}
