//! The jobs of a tree, as far as each can go on now.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll};

use drivers_api::SECTOR_SIZE;

use super::memory::{Frozen, Memory};
use super::{Full, Phase, Rooting, Tree, TreeEvent, TreeOptions, WriteJob};
use crate::cells::CELL_SECTORS;
use crate::levels::Compaction;
use crate::patch::Patches;
use crate::writer::{Room, write_tables};
use crate::{Manifest, OpenError, ReadError, Retention, Root, Source, WriteError};

/// So many range tombstones are cleared at once, unless nothing else is to do: one alone is not worth writing what else is in
/// its tables.
const CLEARED_TOGETHER: usize = 256;

/// Tables of the longest usual compaction of two levels.
const LEVEL_TABLES: u64 = 12;

impl Tree {
    pub(super) fn continue_opening(&mut self, context: &mut Context<'_>) {
        let Phase::Opening(job) = &mut self.phase else { return };
        let Poll::Ready(read) = job.as_mut().poll(context) else { return };
        let claimed = read.and_then(|manifest| {
            let is_claimed = self.root.as_ref().is_some_and(|root| manifest.claim(&self.grid, root));
            if is_claimed { Ok(manifest) } else { Err(OpenError::Damaged) }
        });
        match claimed {
            Ok(Manifest { levels, horizon, mark }) => {
                (self.levels, self.horizon, self.mark) =
                    (Arc::new(levels), self.horizon.max(horizon), mark.clone());
                self.phase = Phase::Open;
                self.may_settle = !self.levels.tombstones.is_empty();
                self.events.push(TreeEvent::Opened(mark));
                self.wake();
            }
            Err(error) => {
                // Nothing of it is this tree's.
                (self.phase, self.root) = (Phase::Broken, None);
                self.events.push(TreeEvent::NotOpened(error));
            }
        }
    }

    pub(super) fn continue_flush(&mut self, context: &mut Context<'_>) {
        let is_wanted = self.replacement.is_none() && self.full.flush.is_none();
        if self.flush.is_none()
            && self.is_open()
            && is_wanted
            && let Some(Frozen { records, mark }) = self.memory.frozen().cloned()
        {
            let (grid, ids) = (self.grid.clone(), self.ids.for_job());
            // Whatever lies deeper may be older.
            let retention = self.retention(false);
            let room = self.room(self.compaction_cells());
            let job = async move {
                let source = Source::memory(&records, records.newest());
                write_tables(&grid, [source].into(), retention, ids, room).await
            };
            self.flush = Some((mark, Box::pin(job)));
        }
        let Some((_, job)) = &mut self.flush else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        let Some((mark, _)) = self.flush.take() else { return };
        match written {
            Ok(tables) => {
                let levels = Arc::make_mut(&mut self.levels);
                if !tables.is_empty() {
                    levels.add_young(tables);
                }
                if let Some(Frozen { records, .. }) = self.memory.frozen() {
                    levels.tombstones.extend(&records.tombstones(), records.newest());
                    levels.flushed = levels.flushed.max(records.newest());
                }
                self.mark = mark;
                self.memory.flushed();
                self.levels_changed();
            }
            Err(error) => self.full.flush = self.failed(error),
        }
    }

    pub(super) fn continue_compaction(&mut self, context: &mut Context<'_>) {
        let may_begin = self.compaction.is_none() && self.is_open() && self.replacement.is_none();
        if may_begin && let Some(patches) = self.patches.take() {
            self.start_mending(patches);
        } else if may_begin && core::mem::take(&mut self.may_compact) {
            self.settle_tombstones();
            let has_room = self.full.compaction.is_none();
            let picked = match has_room {
                true => self.levels.pick(&self.options, &mut self.turns, &self.damaged),
                false => None,
            };
            // That takes no more room than it gives.
            let clears = self.is_idle || self.levels.tombstones.len() > CLEARED_TOGETHER;
            let picked = picked.or_else(|| self.levels.rewrite(self.horizon, clears, &self.damaged));
            let picked = picked.or_else(|| {
                // Whoever reads a key has to look into each of several.
                let is_due = self.is_idle && self.levels.young.len() > 1
                    || clears && self.levels.has_deleted_young(self.horizon);
                if has_room && is_due { self.levels.gather_young(&self.damaged) } else { None }
            });
            self.compaction = picked.map(|compaction| self.start(compaction));
        }
        let Some((_, job)) = &mut self.compaction else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        let Some((compaction, _)) = self.compaction.take() else { return };
        let is_mending = self.mending.is_some();
        self.mended(&compaction, written.as_ref().err());
        match written {
            Err(WriteError::Full) if is_mending => self.events.push(TreeEvent::Full),
            Err(WriteError::PatchTooLong) if is_mending => {}
            Ok(tables) => {
                Arc::make_mut(&mut self.levels).replace(&compaction, tables);
                if !compaction.is_move {
                    self.retired.extend(compaction.tables());
                }
                self.levels_changed();
            }
            Err(WriteError::Read(error)) => {
                if let ReadError::Frame(table, ..) | ReadError::Device(table, _) = error {
                    self.damaged.insert(table);
                    self.suspects.insert(table);
                }
                self.may_compact = true;
                self.wake();
            }
            Err(error) => {
                self.full.compaction = self.failed(error);
                // Rewriting a table may still be possible.
                if !compaction.upper.is_empty() {
                    self.may_compact = true;
                    self.wake();
                }
            }
        }
    }

    /// What a job that begins now keeps.
    fn retention(&self, is_oldest: bool) -> Retention {
        // Those that are in memory only are not among them.
        let cleared = self.horizon.min(self.levels.flushed);
        Retention::new(self.horizon, is_oldest).without_hidden(self.levels.tombstones.clone(), cleared)
    }

    /// Does away with tables that have nothing but deleted ranges, and with tombstones that hide nothing.
    fn settle_tombstones(&mut self) {
        if !core::mem::take(&mut self.may_settle) {
            return;
        }
        let levels = Arc::make_mut(&mut self.levels);
        let gone = levels.settle_tombstones(self.horizon);
        self.settle_at = levels.tombstones.first_behind(self.horizon);
        if !gone.is_empty() {
            self.retired.extend(gone.iter());
            let damaged = gone.iter().filter(|table| self.damaged.remove(&table.head.id));
            self.events.extend(damaged.map(|table| TreeEvent::Mended(table.head.id)));
            self.levels_changed();
        }
    }

    fn start(&mut self, compaction: Compaction) -> (Compaction, WriteJob) {
        let (grid, ids, room) = (self.grid.clone(), self.ids.for_job(), self.room(0));
        let retention = self.retention(compaction.is_oldest);
        let Compaction { upper, lower, is_move, .. } = compaction.clone();
        let job = async move {
            if is_move {
                return Ok(upper.into_iter().flatten().collect());
            }
            let sources = upper.iter().chain([&lower]).map(|run| Source::run(run)).collect();
            write_tables(&grid, sources, retention, ids, room).await
        };
        (compaction, Box::pin(job))
    }

    pub(super) fn continue_root(&mut self, context: &mut Context<'_>) {
        let may_begin = matches!(self.rooting, Rooting::Idle)
            && self.is_open()
            && self.full.manifest.is_none()
            && self.replacement.is_none();
        if may_begin && self.is_changed {
            self.is_changed = false;
            self.retired.manifest_begun();
            let (levels, mark) = ((*self.levels).clone(), self.mark.clone());
            let manifest = Manifest { levels, horizon: self.horizon, mark: mark.clone() };
            let grid = self.grid.clone();
            self.rooting = Rooting::Writing(mark, Box::pin(async move { manifest.write(&grid).await }));
        }
        let Rooting::Writing(mark, job) = &mut self.rooting else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        match written {
            Ok(root) => {
                let (mark, is_replacement) = (mark.clone(), core::mem::take(&mut self.is_replaced));
                self.events.push(TreeEvent::Root { root: root.clone(), mark, is_replacement });
                self.rooting = Rooting::Handed(root);
            }
            Err(error) => {
                (self.rooting, self.is_changed) = (Rooting::Idle, true);
                self.full.manifest = self.failed(error);
            }
        }
    }

    pub(super) fn continue_replacement(&mut self) {
        // What they write belongs to what is being replaced; and a root is handed out for one of both.
        let is_busy =
            self.flush.is_some() || self.compaction.is_some() || !matches!(self.rooting, Rooting::Idle);
        if is_busy || matches!(self.phase, Phase::Opening(_)) {
            return;
        }
        let Some(arrived) = self.replacement.take() else { return };
        let (levels, horizon, mark) = arrived.take();
        self.retired.extend(self.levels.tables());
        self.events.push(TreeEvent::Replaced(mark.clone()));
        (self.levels, self.horizon, self.mark) = (Arc::new(levels), horizon, mark);
        self.memory = Memory::default();
        (self.full, self.is_replaced) = (Full::default(), true);
        self.damaged.clear();
        self.suspects.clear();
        self.patches = None;
        self.phase = Phase::Open;
        self.levels_changed();
    }

    /// Begins to write the first table of `patches` anew.
    fn start_mending(&mut self, patches: Arc<Patches>) {
        let Some(table) = patches.first() else { return };
        let Some(compaction) = self.levels.mend(table) else {
            // It has been merged, or replaced, after all.
            self.events.push(TreeEvent::Mended(table));
            return;
        };
        let (snapshot, ids, room) = (self.snapshot(), self.ids.for_job(), self.room(0));
        let retention = self.retention(compaction.is_oldest);
        let Compaction { upper, lower, .. } = compaction.clone();
        let job = async move {
            let mut lost = Vec::new();
            for table in upper.iter().flatten().chain(&lower) {
                if let Some(patch) = patches.get(table.head.id) {
                    lost.push(patch.complete(&snapshot, patches.gaps()).await?);
                }
            }
            let runs = upper.iter().chain([&lower]).map(|run| Source::run_but(run, patches.gaps()));
            let lost = lost.iter().map(|lost| Source::memory(lost, lost.newest()));
            let sources = lost.chain(runs).collect();
            write_tables(&snapshot.grid, sources, retention, ids, room).await
        };
        self.compaction = Some((compaction, Box::pin(job)));
        self.mending = Some(table);
    }

    /// If a compaction was to mend tables, says whether it did.
    fn mended(&mut self, compaction: &Compaction, error: Option<&WriteError>) {
        let Some(mending) = self.mending.take() else { return };
        if let Some(error) = error {
            self.events.push(TreeEvent::NotMended(*error));
            self.may_compact = true;
            return self.wake();
        }
        for table in compaction.tables() {
            let id = table.head.id;
            if self.damaged.remove(&id) || id == mending {
                self.events.push(TreeEvent::Mended(id));
            }
        }
    }

    pub(super) fn continue_scrub(&mut self, context: &mut Context<'_>) {
        if self.scrub.is_none()
            && let Some(suspect) = self.suspects.pop_first()
        {
            let table = self.levels.tables().find(|table| table.head.id == suspect).cloned();
            self.scrub = table.map(|table| self.scrubbing(table));
            // The next one may be there where this one is not.
            self.wake();
        }
        if let Some(Poll::Ready(mut scrubbed)) = self.scrub.as_mut().map(|job| job.as_mut().poll(context)) {
            self.scrub = None;
            if scrubbed.damaged.is_empty() {
                // What could not be read once can be read again.
                if self.damaged.remove(&scrubbed.table) {
                    self.may_compact = true;
                    self.events.push(TreeEvent::Mended(scrubbed.table));
                }
            } else if self.has(scrubbed.table) {
                self.damaged.insert(scrubbed.table);
            }
            scrubbed.needed = scrubbed.needed.max(self.horizon).max(self.levels.newest());
            self.events.push(TreeEvent::Scrubbed(scrubbed));
            self.wake();
        }
    }

    fn levels_changed(&mut self) {
        (self.is_changed, self.may_compact) = (true, true);
        self.may_settle = !self.levels.tombstones.is_empty();
        self.wake();
    }

    /// A job has failed. If that was for want of room, how many cells were free.
    fn failed(&mut self, error: WriteError) -> Option<u32> {
        if error == WriteError::Full {
            self.events.push(TreeEvent::Full);
            return Some(self.grid.free_cells());
        }
        // Other jobs that were under way fail as well.
        if !matches!(self.phase, Phase::Broken) {
            self.phase = Phase::Broken;
            self.events.push(TreeEvent::Failed(error));
        }
        None
    }

    /// Room for a job that leaves so many cells, and two manifests.
    pub(super) fn room(&self, spare: u32) -> Room {
        let table_cells_max = self.options.table_cells_max;
        let manifests = self.root.iter().flat_map(|root| root.copies).map(|copy| copy.count + 1).sum::<u32>();
        Room { table_cells_max, left: manifests.max(2) + spare }
    }

    /// What compactions need: flushes leave it, so that a full disk can get rid of what is of no use.
    pub(super) fn compaction_cells(&self) -> u32 {
        let TreeOptions { memory_len_max, young_runs, base_sectors_max, table_cells_max } = self.options;
        let young = young_runs.saturating_mul((memory_len_max / SECTOR_SIZE) as u64);
        let cells = young.saturating_add(base_sectors_max) / u64::from(CELL_SECTORS);
        let level = LEVEL_TABLES * u64::from(table_cells_max);
        cells.max(level).min(u64::from(self.grid.cells() / 4)) as u32
    }

    pub(super) fn give_back(&self, root: Option<&Root>) {
        self.grid.with_cells(|cells| {
            root.iter().flat_map(|root| root.copies).for_each(|copy| cells.give_back(copy));
        });
    }
}
