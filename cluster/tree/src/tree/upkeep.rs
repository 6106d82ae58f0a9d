//! Looking after tables: reading them to see whether they are intact, mending them, and tidying up when there is time.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Job, Tree};
use crate::patch::Patches;
use crate::scrub::scrub;
use crate::{Patch, ReadError, Scrubbed, Table};

impl Tree {
    /// Somebody has met damage: if that is in a table, and not known yet, it is read from end to end, before others.
    pub fn suspect(&mut self, error: &ReadError) {
        if let ReadError::Frame(table, ..) | ReadError::Device(table, _) = error
            && self.has(*table)
            && !self.damaged.contains(table)
        {
            self.suspects.insert(*table);
            self.wake();
        }
    }

    /// Begins to write a table anew that has lost records, the first of those that have a patch here, and any other that is
    /// then to be merged with it. The patches must be [whole](Patch::question), and the tree must have come to the
    /// [horizon](Patch::horizon) of each. [`TreeEvent::Mended`] or [`TreeEvent::NotMended`] follows.
    pub fn mend(&mut self, patches: Vec<Patch>) {
        let patches = Patches::new(patches);
        self.set_horizon(patches.horizon());
        self.patches = Some(Arc::new(patches));
        self.wake();
    }

    /// Begins to read the next table from end to end, in the order of their places and around again; whether there is one
    /// and none is being read. Whoever owns the tree paces it by calling this.
    pub fn scrub_next(&mut self) -> bool {
        let next = |from: u32| {
            let tables = self.levels.tables().filter(move |table| table.cells.first >= from);
            tables.min_by_key(|table| table.cells.first).cloned()
        };
        let Some(table) = next(self.scrub_from).or_else(|| next(0)).filter(|_| self.scrub.is_none()) else {
            return false;
        };
        self.scrub_from = table.cells.first + 1;
        self.scrub = Some(self.scrubbing(table));
        self.wake();
        true
    }

    pub(super) fn scrubbing(&self, table: Arc<Table>) -> Job<Scrubbed> {
        let grid = self.grid.clone();
        Box::pin(async move { scrub(&grid, &table).await })
    }

    /// If nothing was written since the last call, merges all young runs, as loading may have left nearly as many as it takes to
    /// merge them, and each read looks into all; and clears range tombstones. Whoever owns the tree paces it by calling this.
    pub fn rest(&mut self) {
        let newest = self.memory.newest().max(self.levels.newest());
        let is_rested = core::mem::replace(&mut self.rested_at, newest) == newest;
        self.is_idle = is_rested && !self.is_nearly_full(0);
        if self.is_idle && (self.levels.young.len() > 1 || !self.levels.tombstones.is_empty()) {
            self.may_compact = true;
            self.wake();
        }
    }
}
