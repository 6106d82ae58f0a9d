//! Writes that may still turn out to be the last, and what was done to them.
//!
//! A log on a single disk notices that something acknowledged is missing by what comes after it. If the
//! very last write is lost, nothing does. So this is the bound within which faults stay: a write *settles*
//! when a later one, which was submitted after it completed and lies behind it, has arrived well together
//! with all that was in flight with it. Until then a crash puts right what was wrong with it, and decay
//! spares it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use drivers_api::{Instant, SECTOR_SIZE};

use super::medium::Sector;

/// What went wrong with a write that was reported as done.
#[derive(Clone, Debug)]
pub(super) enum Wrong {
    Lost,
    /// These sectors were overwritten by these bytes; what they held before.
    Misdirected(Vec<(u64, Sector, Sector)>),
    /// Arrives at this time.
    Late(Instant),
}

/// A write that was reported as done.
#[derive(Clone, Debug)]
pub(super) struct DoneWrite {
    pub(super) sector: u64,
    pub(super) buffer: Box<[u8]>,
    pub(super) wrong: Option<Wrong>,
}

impl DoneWrite {
    pub(super) fn sectors(&self) -> Range<u64> {
        self.sector..self.sector + (self.buffer.len() / SECTOR_SIZE) as u64
    }
}

/// Writes that were reported as done.
#[derive(Clone, Default)]
pub(super) struct Settling {
    /// Since no write was in flight.
    batch: Vec<DoneWrite>,
    /// Before, and not settled yet.
    unsettled: Vec<DoneWrite>,
}

impl Settling {
    pub(super) fn push(&mut self, write: DoneWrite) {
        self.batch.push(write);
    }

    /// No write is in flight. Returns the late writes that have settled: they are lost for good unless they
    /// arrive.
    pub(super) fn quiet(&mut self) -> Vec<DoneWrite> {
        let mut late = Vec::new();
        if self.batch.iter().all(|write| write.wrong.is_none())
            && let Some(first) = self.batch.iter().map(|write| write.sector).min()
        {
            let before = core::mem::take(&mut self.unsettled);
            let (settled, unsettled) = before.into_iter().partition(|write| write.sector <= first);
            self.unsettled = unsettled;
            late = settled;
            late.retain(|write| matches!(write.wrong, Some(Wrong::Late(_))));
        }
        self.unsettled.append(&mut self.batch);
        late
    }

    /// The machine lost its power: what was in flight with the last writes may not have arrived.
    pub(super) fn crashed(&mut self) {
        self.unsettled.append(&mut self.batch);
    }

    /// Every write that has not settled, in order.
    pub(super) fn writes(&mut self) -> impl Iterator<Item = &mut DoneWrite> {
        self.unsettled.iter_mut().chain(&mut self.batch)
    }

    /// Whether a fault of this sector could not be noticed.
    pub(super) fn covers(&self, sector: u64) -> bool {
        self.unsettled.iter().chain(&self.batch).any(|write| write.sectors().contains(&sector))
    }
}
