//! Which tables there are, and which are to be merged next.
//!
//! ```text
//!  young    ┌──┐┌──┐ ┌──┐┌──┐┌──┐         runs, each what was in memory at one time, the newest first
//!  level 1  ┌──┐┌──┐┌──┐                  one run
//!  level 2  ┌──┐┌──┐┌──┐┌──┐┌──┐┌──┐┌──┐  one run, eight times as long as the one above
//! ```
//! The tables of a run come one behind the other, by key; a key's newer versions may end one, and its older ones begin
//! the next. For every key, what lies higher is newer. After O'Neil and others, "The log-structured merge-tree" (1996),
//! with LevelDB's levels.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use cluster_format::{Version, bounded};
use drivers_api::SECTOR_SIZE;
use serde::{Deserialize, Serialize};

use crate::cells::CELL_SECTORS;
use crate::{RangeTombstones, Table, TableHead, TableId, TreeOptions};

/// A level is so many times as long as the one above.
const GROWTH: u64 = 8;

/// A table is written anew if one in so many of its records is of no use.
const WASTE_SHARE: u64 = 4;

/// Most young runs, and most levels: those would be longer than any disk. An empty one takes a byte there, and many times that
/// in memory.
const RUNS_MAX: usize = 64;

/// Tables that use no more than this share of their cells are merged with their neighbours: three quarters.
const USED_SHARE: (u64, u64) = (3, 4);

/// Tables that come one behind the other.
pub type Run = Vec<Arc<Table>>;

/// The tables of a tree. A clone shares them and never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// The newest first.
    #[serde(deserialize_with = "bounded::deserialize::<_, _, RUNS_MAX>")]
    pub young: Vec<Run>,
    /// By level.
    #[serde(deserialize_with = "bounded::deserialize::<_, _, RUNS_MAX>")]
    pub levels: Vec<Run>,
    /// What hides records of theirs.
    pub tombstones: RangeTombstones,
    /// All that was added up to here has been flushed, range tombstones too. What was mended may be newer.
    pub flushed: Version,
}

/// What to merge: whatever is newer comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compaction {
    /// Runs that overlap, the newest first.
    pub(crate) upper: Vec<Run>,
    /// Those tables of level `into` that have keys of the upper ones, or a key in common with one that has.
    pub(crate) lower: Run,
    /// The level that the result belongs to, from 0 for the first.
    pub(crate) into: usize,
    /// Whether none of its keys lies in a deeper level.
    pub(crate) is_oldest: bool,
    /// The tables only change their level: they lie apart from each other, and from all that is there.
    pub(crate) is_move: bool,
}

impl Compaction {
    /// The tables that are replaced.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.upper.iter().flatten().chain(&self.lower)
    }

    fn spares(&self, damaged: &BTreeSet<TableId>) -> bool {
        self.is_move || !self.tables().any(|table| damaged.contains(&table.head.id))
    }
}

impl Levels {
    /// All tables, what is newer for a key before what is older.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.runs().flatten()
    }

    /// The newest version of a record or a range tombstone.
    pub(crate) fn newest(&self) -> Version {
        let newest = self.tables().map(|table| table.head.newest).max().unwrap_or_default();
        newest.max(self.tombstones.newest())
    }

    /// Bytes that they take.
    pub fn disk_len(&self) -> u64 {
        self.tables().map(|table| u64::from(table.head.sectors)).sum::<u64>() * SECTOR_SIZE as u64
    }

    /// All runs, what is newer for a key before what is older.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.young.iter().chain(&self.levels)
    }

    /// The tables that may have `key`, what is newer before what is older.
    pub(crate) fn candidates(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Table>> {
        self.runs().flat_map(move |tables| {
            let start = tables.partition_point(|table| *table.head.last < *key);
            tables[start..].iter().take_while(move |table| *table.head.first <= *key)
        })
    }

    /// Whether they can be those of a tree: names that differ, runs in order. Bytes of a disk may say anything.
    pub(crate) fn are_well_formed(&self) -> bool {
        let follow = |pair: &[Arc<Table>]| pair[0].head.last <= pair[1].head.first;
        let mut names: Vec<TableId> = self.tables().map(|table| table.head.id).collect();
        names.sort_unstable();
        self.tables().all(|table| table.is_well_formed())
            && self.runs().all(|run| run.windows(2).all(follow))
            && names.windows(2).all(|pair| pair[0] != pair[1])
            && names.first() != Some(&TableId(0))
    }

    /// What to do next, if anything: whatever exceeds its measure most. Of each level the table goes on that follows the
    /// last one that did, `turns` by level. Tables that are `damaged` are left alone.
    pub(crate) fn pick(
        &self,
        options: &TreeOptions,
        turns: &mut Vec<Arc<[u8]>>,
        damaged: &BTreeSet<TableId>,
    ) -> Option<Compaction> {
        let percent = |len: u64, max: u64| len.saturating_mul(100) / max.max(1);
        let mut due = Vec::from([(percent(self.young.len() as u64, options.young_runs), None)]);
        let mut len_max = options.base_sectors_max;
        for (level, tables) in self.levels.iter().enumerate() {
            let len: u64 = tables.iter().map(|table| u64::from(table.head.sectors)).sum();
            due.push((percent(len, len_max).saturating_sub(1), Some(level)));
            len_max = len_max.saturating_mul(GROWTH);
        }
        due.retain(|(excess, _)| *excess >= 100);
        due.sort_by_key(|(excess, _)| Reverse(*excess));
        let compactions = due.iter().map(|(_, level)| match level {
            Some(level) => self.compact_level(*level, turns),
            None => self.compact_young(options.young_runs),
        });
        compactions.into_iter().find(|compaction| compaction.spares(damaged))
    }

    /// Takes all young runs down; there is one.
    pub(crate) fn gather_young(&self, damaged: &BTreeSet<TableId>) -> Option<Compaction> {
        Some(self.compact_young(self.young.len() as u64)).filter(|compaction| compaction.spares(damaged))
    }

    /// Whether one of them has something that is deleted for all who read at `horizon` or later.
    pub(crate) fn has_deleted_young(&self, horizon: Version) -> bool {
        self.young.iter().flatten().any(|table| self.has_deleted(table, horizon))
    }

    /// Takes so many young runs down, the oldest.
    fn compact_young(&self, runs: u64) -> Compaction {
        let (_, young) = self.young.split_at(self.young.len().saturating_sub(runs as usize));
        let mut by_key: Run = young.iter().flatten().cloned().collect();
        by_key.sort_by(|one, other| one.head.first.cmp(&other.head.first));
        let lower = self.overlapping(0, &by_key);
        let are_apart = by_key.windows(2).all(|pair| pair[0].head.last < pair[1].head.first);
        // As when rows come in the order of their keys.
        let is_move = lower.is_empty() && are_apart && use_their_cells(&by_key);
        let lower = if is_move { lower } else { self.with_small_neighbours(0, &by_key, lower) };
        let upper = if is_move { [by_key].into() } else { young.to_vec() };
        self.merging_into(upper, lower, 0, is_move)
    }

    /// Whether a table may have records that range tombstones hide from all who read at `horizon` or later.
    fn has_deleted(&self, table: &Table, horizon: Version) -> bool {
        let head = &table.head;
        self.tombstones.hide_any(&head.first, &head.last, head.clear_up_to(), horizon)
    }

    /// Takes one table of a level down, with its neighbours as far as they have a key in common.
    fn compact_level(&self, level: usize, turns: &mut Vec<Arc<[u8]>>) -> Compaction {
        let tables = &self.levels[level];
        turns.resize_with(turns.len().max(level + 1), Arc::default);
        let next = tables.iter().position(|table| *table.head.first > *turns[level]).unwrap_or(0);
        let upper = joined(tables, next, next + 1);
        turns[level] = upper.last().map(|table| table.head.last.clone()).unwrap_or_default();
        let lower = self.overlapping(level + 1, &upper);
        let is_move = lower.is_empty();
        self.merging_into([upper].into(), lower, level + 1, is_move)
    }

    /// A table much of which nobody can see any more, if nobody reads at versions older than `horizon`; if it `clears` range
    /// tombstones, any in which they may hide something.
    pub(crate) fn rewrite(
        &self,
        horizon: Version,
        clears: bool,
        damaged: &BTreeSet<TableId>,
    ) -> Option<Compaction> {
        let levels = self.levels.iter().enumerate();
        let wasteful = levels.flat_map(|(level, tables)| {
            let is_wasteful = move |(index, table): &(usize, &Arc<Table>)| {
                let head = &table.head;
                let useless = |count: u64| count > 0 && count.saturating_mul(WASTE_SHARE) >= head.records;
                let is_oldest = || self.is_oldest(level + 1, &joined(tables, *index, index + 1));
                let is_useless = head.newest <= horizon
                    && (useless(head.hidden) || (useless(head.deletions) && is_oldest()));
                is_useless || clears && self.has_deleted(table, horizon)
            };
            let indexes = tables.iter().enumerate().filter(is_wasteful).map(|(index, _)| index);
            indexes.map(move |index| {
                self.merging_into(Vec::new(), joined(tables, index, index + 1), level, false)
            })
        });
        wasteful.into_iter().find(|compaction| compaction.spares(damaged))
    }

    /// Takes out the tables of which nobody who reads at `horizon` or later sees anything, and forgets the tombstones that
    /// hide nothing any more. Nothing must be under way that reads any of them to write others.
    pub(crate) fn settle_tombstones(&mut self, horizon: Version) -> Vec<Arc<Table>> {
        let Levels { young, levels, tombstones, .. } = self;
        let is_gone = |table: &mut Arc<Table>| {
            let TableHead { first, last, newest, .. } = &table.head;
            tombstones.hide_all(first, last, *newest, horizon)
        };
        let runs = young.iter_mut().chain(levels);
        let gone = runs.flat_map(|run| run.extract_if(.., is_gone)).collect();
        self.tidy();
        let mut tombstones = core::mem::take(&mut self.tombstones);
        tombstones.settle(horizon, |start, end, version| {
            self.runs().any(|run| {
                let from = run.partition_point(|table| *table.head.last < *start);
                let mut overlapping = run[from..].iter().take_while(|table| *table.head.first < *end);
                overlapping.any(|table| table.head.clear_up_to() < version)
            })
        });
        self.tombstones = tombstones;
        gone
    }

    /// Runs without tables are none.
    fn tidy(&mut self) {
        self.young.retain(|run| !run.is_empty());
        while self.levels.last().is_some_and(Vec::is_empty) {
            self.levels.pop();
        }
    }

    /// What takes `table` in, wherever it is, for its records to be written anew with those that it lacks.
    pub(crate) fn mend(&self, table: TableId) -> Option<Compaction> {
        let index_in = |run: &Run| run.iter().position(|known| known.head.id == table);
        if self.young.iter().any(|run| index_in(run).is_some()) {
            let young: Run = self.young.iter().flatten().cloned().collect();
            let lower = self.overlapping(0, &young);
            return Some(self.merging_into(self.young.clone(), lower, 0, false));
        }
        self.levels.iter().enumerate().find_map(|(level, tables)| {
            let index = index_in(tables)?;
            Some(self.merging_into(Vec::new(), joined(tables, index, index + 1), level, false))
        })
    }

    fn merging_into(&self, upper: Vec<Run>, lower: Run, into: usize, is_move: bool) -> Compaction {
        let all: Run = upper.iter().flatten().chain(&lower).cloned().collect();
        let is_oldest = self.is_oldest(into + 1, &all);
        Compaction { upper, lower, into, is_oldest, is_move }
    }

    /// The tables of a level that have keys between those of `tables`, with their neighbours as far as they have a key
    /// in common.
    fn overlapping(&self, level: usize, tables: &[Arc<Table>]) -> Run {
        let Some(own) = self.levels.get(level) else { return Run::new() };
        let (first, last) = bounds(tables);
        let start = own.partition_point(|table| table.head.last < first);
        let end = own.partition_point(|table| table.head.first <= last);
        if start < end { joined(own, start, end) } else { Run::new() }
    }

    /// `overlapping`, the tables of a level that have keys between those of `tables`, or none, with the next ones to either
    /// side if they waste space: nothing else would ever merge them.
    fn with_small_neighbours(&self, level: usize, tables: &[Arc<Table>], overlapping: Run) -> Run {
        let Some(own) = self.levels.get(level) else { return overlapping };
        let (first, last) = bounds(tables);
        let mut start = own.partition_point(|table| table.head.last < first);
        let mut end = own.partition_point(|table| table.head.first <= last).max(start);
        let is_small =
            |index: usize| own.get(index).is_some_and(|table| !use_their_cells(core::slice::from_ref(table)));
        if start > 0 && is_small(start - 1) {
            start -= 1;
        }
        if is_small(end) {
            end += 1;
        }
        if start < end { joined(own, start, end) } else { overlapping }
    }

    /// Whether no table from `level` on has keys between those of `tables`.
    fn is_oldest(&self, level: usize, tables: &[Arc<Table>]) -> bool {
        let (first, last) = bounds(tables);
        let mut deeper = self.levels.iter().skip(level).flatten();
        deeper.all(|table| table.head.last < first || last < table.head.first)
    }

    /// A run from memory.
    pub(crate) fn add_young(&mut self, run: Run) {
        self.young.insert(0, run);
    }

    /// The tables of `compaction` have become `tables`.
    pub(crate) fn replace(&mut self, compaction: &Compaction, tables: Run) {
        let gone: Vec<TableId> = compaction.tables().map(|table| table.head.id).collect();
        for run in self.young.iter_mut().chain(&mut self.levels) {
            run.retain(|table| !gone.contains(&table.head.id));
        }
        self.levels.resize_with(self.levels.len().max(compaction.into + 1), Vec::new);
        let level = &mut self.levels[compaction.into];
        if let Some(first) = tables.first() {
            let index = level.partition_point(|table| table.head.last < first.head.first);
            level.splice(index..index, tables);
        }
        self.tidy();
    }
}

/// Whether tables take most of the cells that they have.
fn use_their_cells(tables: &[Arc<Table>]) -> bool {
    let used: u64 = tables.iter().map(|table| u64::from(table.head.sectors)).sum();
    let taken: u64 = tables.iter().map(|table| u64::from(table.cells.count) * u64::from(CELL_SECTORS)).sum();
    used.saturating_mul(USED_SHARE.1) >= taken.saturating_mul(USED_SHARE.0)
}

/// `run[start..end]`, with its neighbours as far as they have a key in common.
fn joined(run: &[Arc<Table>], mut start: usize, mut end: usize) -> Run {
    let are_joined = |index: usize| run[index - 1].head.last == run[index].head.first;
    while start > 0 && are_joined(start) {
        start -= 1;
    }
    while end < run.len() && are_joined(end) {
        end += 1;
    }
    run[start..end].to_vec()
}

/// The first and the last key of some tables.
fn bounds(tables: &[Arc<Table>]) -> (Arc<[u8]>, Arc<[u8]>) {
    let first = tables.iter().map(|table| &table.head.first).min();
    let last = tables.iter().map(|table| &table.head.last).max();
    (first.cloned().unwrap_or_default(), last.cloned().unwrap_or_default())
}
