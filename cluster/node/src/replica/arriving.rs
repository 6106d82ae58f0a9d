//! Tables that arrive: through Raft, for a log that is too far behind, or from the leader, for tables that differ from
//! everyone else's or are damaged.

use alloc::string::ToString;
use alloc::sync::Arc;

use cluster_consensus::Raft;
use cluster_format::{SnapshotChunk, SnapshotHead, Version};
use cluster_journal::JournalError;
use cluster_store::{Arrived, Incoming, TransferError};
use drivers_api::{Level, Now};

use super::storing::Replacement;
use super::{Phase, Replica};
use crate::job::Job;
use crate::marks::Mark;
use crate::message::PeerMessage;
use crate::rebuilding::Rebuilding;

/// Tables on their way.
pub(super) struct Arrival {
    head: Arc<SnapshotHead>,
    /// Until all pieces are on the disk.
    incoming: Option<Incoming>,
    /// Whether they come through Raft.
    is_rafts: bool,
    work: Work,
}

enum Work {
    /// The next piece is awaited.
    None,
    /// A piece is being written, perhaps the last.
    Piece(Job<Result<(), TransferError>>, bool),
    /// All of them are being read again.
    Finish(Job<Result<Arrived, TransferError>>),
}

impl Arrival {
    fn new(head: Arc<SnapshotHead>, incoming: Incoming, is_rafts: bool) -> Arrival {
        Arrival { head, incoming: Some(incoming), is_rafts, work: Work::None }
    }

    /// What they stand for.
    pub(super) fn version(&self) -> Version {
        self.head.last.version
    }

    /// Whether it can go on.
    pub(super) fn is_woken(&self) -> bool {
        match &self.work {
            Work::None => false,
            Work::Piece(job, _) => job.is_woken(),
            Work::Finish(job) => job.is_woken(),
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.work, Work::None)
    }

    fn next(&self) -> u64 {
        self.incoming.as_ref().map_or(0, Incoming::next)
    }

    /// Takes the next piece.
    fn take(&mut self, chunk: &SnapshotChunk) -> Result<(), TransferError> {
        let incoming = self.incoming.as_mut().ok_or(TransferError::OutOfOrder)?;
        self.work = Work::Piece(Job::new(incoming.add(chunk.index, &chunk.body)?), chunk.is_last);
        Ok(())
    }
}

impl Replica {
    /// Goes on with what arrives.
    pub(super) fn arrive(&mut self, now: Now) {
        self.take_raft_chunk(now);
        let Some(arrival) = &mut self.arrival else { return };
        match &mut arrival.work {
            Work::None => {
                let raft_waits = self.raft().is_some_and(|raft| raft.is_receiving_snapshot());
                // Nobody sends it any more.
                let is_wanted = |arrival: &Arrival| {
                    if arrival.is_rafts { raft_waits } else { self.rebuilding.is_some() && !raft_waits }
                };
                if self.arrival.as_ref().is_some_and(|arrival| !is_wanted(arrival)) {
                    self.arrival = None;
                }
            }
            Work::Piece(job, is_last) => {
                let Some(result) = job.poll() else { return };
                let is_last = *is_last;
                arrival.work = Work::None;
                match result {
                    Ok(()) if is_last => self.verify(),
                    Ok(()) => self.piece_written(now),
                    Err(error) => self.refuse_arrival(error),
                }
            }
            Work::Finish(job) => {
                let Some(result) = job.poll() else { return };
                let (head, is_rafts) = (arrival.head.clone(), arrival.is_rafts);
                match result.and_then(|arrived| self.tables.replace(&head, arrived)) {
                    Ok(()) => {
                        self.arrival = None;
                        self.replacement = Some(Replacement { head, is_rafts, keeps_log: false });
                        self.tables_are_busy = true;
                    }
                    Err(error) => self.refuse_arrival(error),
                }
            }
        }
    }

    fn verify(&mut self) {
        if let Some(arrival) = &mut self.arrival
            && let Some(incoming) = arrival.incoming.take()
        {
            arrival.work = Work::Finish(Job::new(incoming.finish()));
        }
    }

    fn piece_written(&mut self, now: Now) {
        let is_rafts = self.arrival.as_ref().is_some_and(|arrival| arrival.is_rafts);
        match (&mut self.phase, &mut self.rebuilding) {
            (Phase::Running(raft), _) if is_rafts => raft.chunk_written(),
            (_, Some(rebuilding)) => rebuilding.progressed(now),
            _ => {}
        }
    }

    fn refuse_arrival(&mut self, error: TransferError) {
        let Some(arrival) = self.arrival.take() else { return };
        if let TransferError::Device(error) = error {
            return self.stop(JournalError::Device(error));
        }
        self.say(Level::Error, error.to_string());
        if let (true, Phase::Running(raft)) = (arrival.is_rafts, &mut self.phase) {
            raft.snapshot_refused();
        }
    }

    /// Takes a piece from Raft, once the one before it is written.
    fn take_raft_chunk(&mut self, now: Now) {
        let is_free = self.replacement.is_none() && self.arrival.as_ref().is_none_or(Arrival::is_idle);
        let Phase::Running(raft) = &mut self.phase else { return };
        if !is_free || self.writer.is_busy() {
            return;
        }
        let Some(chunk) = raft.take_chunk_write(now) else { return };
        let is_same =
            self.arrival.as_ref().is_some_and(|arrival| arrival.is_rafts && arrival.head == chunk.head);
        if chunk.index == 0 || !is_same {
            let incoming = self.tables.incoming(&chunk.head);
            self.arrival = Some(Arrival::new(chunk.head.clone(), incoming, true));
        }
        let Some(arrival) = &mut self.arrival else { return };
        if let Err(error) = arrival.take(&chunk) {
            self.refuse_arrival(error);
        }
    }

    /// Asks the leader for its tables, and takes leadership away from itself.
    pub(super) fn rebuild(&mut self, now: Now) {
        let (Some(_), Phase::Running(raft)) = (&self.rebuilding, &mut self.phase) else { return };
        if raft.is_leader() {
            // Whoever does not serve does not lead; if nobody else could so far, an election follows.
            let _ = raft.transfer(now, None);
        }
        let leader = raft.leader();
        if self.is_alone() && self.rebuilding.as_mut().is_some_and(Rebuilding::is_alone) {
            let line = "no other member has the tables: restart this node, or give it a blank disk if that is in vain";
            self.say(Level::Error, line.to_string());
        }
        if !self.may_ask_for_tables() {
            return;
        }
        let (Some(rebuilding), arrival) = (&mut self.rebuilding, self.arrival.as_ref()) else { return };
        if let Some(leader) = rebuilding.asks(now, leader) {
            let head = arrival.map(|arrival| arrival.head.clone());
            let index = arrival.map_or(0, Arrival::next);
            self.outbox.push((leader, PeerMessage::Tables(head, index)));
        }
    }

    /// Whether nothing is under way that stands for a question to the leader.
    pub(super) fn may_ask_for_tables(&self) -> bool {
        let is_others = |raft: &Raft| raft.is_leader() || raft.is_receiving_snapshot();
        let is_idle = self.arrival.as_ref().is_none_or(Arrival::is_idle);
        is_idle && self.replacement.is_none() && self.raft().is_some_and(|raft| !is_others(raft))
    }

    /// A piece of the leader's tables, or none: then it no longer has the others either.
    pub(crate) fn tables_lent(&mut self, chunk: Option<SnapshotChunk>) {
        let is_rafts = self.arrival.as_ref().is_some_and(|arrival| arrival.is_rafts);
        let is_idle = self.arrival.as_ref().is_none_or(Arrival::is_idle);
        let is_asking = self.rebuilding.is_some() && matches!(self.phase, Phase::Running(_));
        if !is_asking || self.replacement.is_some() || is_rafts || !is_idle {
            return;
        }
        let Some(chunk) = chunk else {
            self.arrival = None;
            return;
        };
        if chunk.index == 0 {
            let incoming = self.tables.incoming(&chunk.head);
            self.arrival = Some(Arrival::new(chunk.head.clone(), incoming, false));
        }
        let Some(arrival) = &mut self.arrival else { return };
        // One that came twice, or late.
        if chunk.head != arrival.head || chunk.index != arrival.next() {
            return;
        }
        if let Err(error) = arrival.take(&chunk) {
            return self.refuse_arrival(error);
        }
        if let Some(rebuilding) = &mut self.rebuilding {
            rebuilding.answered();
        }
    }

    /// Tables that arrived are durably in place of those that were there.
    pub(super) fn installed(&mut self, now: Now) {
        let (Some(replacement), Phase::Running(raft)) = (self.replacement.take(), &mut self.phase) else {
            return;
        };
        let Replacement { head, is_rafts, keeps_log } = replacement;
        match (is_rafts, keeps_log) {
            (true, _) => raft.installed(&head),
            (false, true) => raft.resumed_behind(&head),
            (false, false) => raft.rebuilt(now, &head),
        }
        let version = head.last.version;
        let line = if self.rebuilding.take().is_some() {
            self.hit(Mark::TablesRebuilt);
            alloc::format!("the tables are rebuilt as of version {version}")
        } else {
            alloc::format!("installed a snapshot of version {version}")
        };
        self.say(Level::Info, line);
        self.lent.clear();
        self.summing = None;
        self.agreement.restart(self.tables.version(), self.tables.requests_hash());
        self.replaced = true;
    }

    /// Whether the tables were replaced as a whole since the last call.
    pub(crate) fn take_replaced(&mut self) -> bool {
        core::mem::take(&mut self.replaced)
    }
}
