//! Reads that have met damage wait until it is mended, which takes a peer's answer and one table's writing, rather than
//! fail.

use core::time::Duration;

use cluster_sql::database::DatabaseError;
use cluster_store::{ReadError, Snapshot, TableId};
use drivers_api::{Instant, Now};

use super::{Phase, Replica};
use crate::shared::Reply;

/// A read fails if the damage is not mended within this.
const MENDED_WITHIN: Duration = Duration::from_secs(1);

/// A read that waits.
pub(super) struct Awaiting {
    table: TableId,
    error: ReadError,
    reply: Reply<Snapshot>,
    give_up_at: Instant,
}

impl Replica {
    /// A read has met damage: answers with the tables once that one is mended, or has given way to others.
    pub(crate) fn await_mended(&mut self, now: Now, error: ReadError, reply: Reply<Snapshot>) {
        if let ReadError::Frame(table, ..) | ReadError::Device(table, _) = error {
            self.tables.suspect(&error);
            let give_up_at = now.monotonic + MENDED_WITHIN;
            self.awaiting.push(Awaiting { table, error, reply, give_up_at });
            self.answer_awaiting(now);
        }
    }

    /// Answers those for whom something has come of it, or nothing can.
    pub(super) fn answer_awaiting(&mut self, now: Now) {
        let is_hopeless =
            !matches!(self.phase, Phase::Running(_)) || self.rebuilding.is_some() || self.is_alone();
        let is_over = |awaiting: &mut Awaiting| {
            is_hopeless || now.monotonic >= awaiting.give_up_at || !self.tables.has(awaiting.table)
        };
        for Awaiting { table, error, reply, .. } in self.awaiting.extract_if(.., is_over) {
            let answer = if self.tables.has(table) {
                Err(DatabaseError::Unreadable(error))
            } else {
                Ok(self.tables.snapshot())
            };
            // A session that has gone is not missed.
            let _ = reply.send(answer);
        }
    }

    /// This table can be read after all.
    pub(super) fn table_intact(&mut self, table: TableId) {
        for awaiting in self.awaiting.extract_if(.., |awaiting| awaiting.table == table) {
            let _ = awaiting.reply.send(Ok(self.tables.snapshot()));
        }
    }

    /// Nothing has come of mending so far.
    pub(super) fn fail_awaiting(&mut self) {
        for Awaiting { error, reply, .. } in self.awaiting.drain(..) {
            let _ = reply.send(Err(DatabaseError::Unreadable(error)));
        }
    }

    /// When [`Replica::answer_awaiting`] has something to do.
    pub(super) fn awaiting_due(&self) -> Option<Instant> {
        self.awaiting.iter().map(|awaiting| awaiting.give_up_at).min()
    }
}
