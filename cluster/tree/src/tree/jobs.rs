//! The jobs of a tree, as far as each can go on now.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::task::{Context, Poll};

use super::{Job, Phase, Rooting, Tree, TreeEvent};
use crate::levels::{Compaction, Run};
use crate::writer::{Room, write_tables};
use crate::{Levels, Manifest, MemTable, OpenError, Retention, Root, Source, WriteError};

/// Tables of the longest usual compaction: its room is left free by flushes, so that a full disk can get rid of what
/// is of no use.
const COMPACTION_TABLES: u32 = 12;

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
        if self.flush.is_none()
            && self.is_open()
            && self.no_flush_at.is_none()
            && self.replacement.is_none()
            && let Some(frozen) = &self.frozen
        {
            let (grid, memory, ids) = (self.grid.clone(), frozen.memory.clone(), self.ids.for_job());
            // Whatever lies deeper may be older.
            let retention = Retention::new(self.horizon, false);
            let room = self.room(COMPACTION_TABLES);
            self.flush = Some(Box::pin(async move {
                write_tables(&grid, [Source::memory(&memory)].into(), retention, ids, room).await
            }));
        }
        let Some(Poll::Ready(written)) = self.flush.as_mut().map(|job| job.as_mut().poll(context)) else {
            return;
        };
        self.flush = None;
        match (written, self.frozen.take()) {
            (Ok(tables), Some(frozen)) => {
                let levels = Arc::make_mut(&mut self.levels);
                if !tables.is_empty() {
                    levels.add_young(tables);
                }
                self.mark = frozen.mark;
                self.levels_changed();
            }
            (Err(error), frozen) => {
                self.frozen = frozen;
                self.no_flush_at = self.failed(error);
            }
            (Ok(_), None) => {}
        }
    }

    pub(super) fn continue_compaction(&mut self, context: &mut Context<'_>) {
        let is_wanted = self.replacement.is_none() && self.no_room_at.is_none();
        let may_begin = self.compaction.is_none() && self.is_open() && is_wanted;
        if may_begin && core::mem::take(&mut self.may_compact) {
            let picked = self.levels.pick(self.options.base_sectors_max, &mut self.turns, self.horizon);
            self.compaction = picked.map(|compaction| self.start(compaction));
        }
        let Some((_, job)) = &mut self.compaction else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        let Some((compaction, _)) = self.compaction.take() else { return };
        match written {
            Ok(tables) => {
                Arc::make_mut(&mut self.levels).replace(&compaction, tables);
                if !compaction.is_move {
                    self.retired.extend(compaction.tables());
                }
                self.levels_changed();
            }
            // It would meet the same frame again.
            Err(WriteError::Read(error)) => self.events.push(TreeEvent::Damaged(error)),
            Err(error) => {
                self.may_compact = true;
                self.no_room_at = self.failed(error);
            }
        }
    }

    fn start(&mut self, compaction: Compaction) -> (Compaction, Job<Result<Run, WriteError>>) {
        let (grid, ids, room) = (self.grid.clone(), self.ids.for_job(), self.room(0));
        let retention = Retention::new(self.horizon, compaction.is_oldest);
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
        let may_begin = matches!(self.rooting, Rooting::Idle) && self.is_open() && self.no_room_at.is_none();
        if may_begin && self.is_changed {
            self.is_changed = false;
            self.retired.manifest_begun();
            let (levels, mark) = ((*self.levels).clone(), self.mark.clone());
            let manifest = Manifest { levels, horizon: self.horizon, mark };
            let grid = self.grid.clone();
            self.rooting = Rooting::Writing(Box::pin(async move { manifest.write(&grid).await }));
        }
        let Rooting::Writing(job) = &mut self.rooting else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        match written {
            Ok(root) => {
                self.events.push(TreeEvent::Root(root.clone()));
                self.rooting = Rooting::Handed(root);
            }
            Err(error) => {
                (self.rooting, self.is_changed) = (Rooting::Idle, true);
                self.no_room_at = self.failed(error);
            }
        }
    }

    pub(super) fn continue_ingest(&mut self, context: &mut Context<'_>) {
        if let Some(Poll::Ready(written)) = self.ingest.as_mut().map(|(_, job)| job.as_mut().poll(context)) {
            self.ingest = None;
            match (written, self.ingested.take()) {
                (Ok(Some(tables)), Some((mark, horizon))) => self.replacement = Some((tables, mark, horizon)),
                (Ok(_), _) => {}
                (Err(error), _) => self.events.push(TreeEvent::NotIngested(error)),
            }
        }
        // What they write belongs to what is being replaced.
        if self.flush.is_some() || self.compaction.is_some() {
            return;
        }
        let Some((tables, mark, horizon)) = self.replacement.take() else { return };
        self.retired.extend(self.levels.tables());
        self.levels = Arc::new(Levels::of_run(tables, self.options.base_sectors_max));
        (self.memory, self.frozen) = (MemTable::default(), None);
        (self.mark, self.horizon) = (mark, horizon);
        self.events.push(TreeEvent::Ingested);
        self.levels_changed();
    }

    pub(super) fn continue_scrub(&mut self, context: &mut Context<'_>) {
        if let Some(Poll::Ready(scrubbed)) = self.scrub.as_mut().map(|job| job.as_mut().poll(context)) {
            self.scrub = None;
            self.events.push(TreeEvent::Scrubbed(scrubbed));
        }
    }

    fn levels_changed(&mut self) {
        (self.is_changed, self.may_compact) = (true, true);
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

    /// Room for a job that leaves as many cells as so many tables take, and two manifests.
    pub(super) fn room(&self, tables: u32) -> Room {
        let table_cells_max = self.options.table_cells_max;
        let manifests = self.root.iter().flat_map(|root| root.copies).map(|copy| copy.count + 1).sum::<u32>();
        let spare = (tables * table_cells_max).min(self.grid.cells() / 4);
        Room { table_cells_max, left: manifests.max(2) + spare }
    }

    pub(super) fn give_back(&self, root: Option<&Root>) {
        self.grid.with_cells(|cells| {
            root.iter().flat_map(|root| root.copies).for_each(|copy| cells.give_back(copy));
        });
    }
}
