//! Which tables there are, and which are to be merged next.
//!
//! ```text
//!  young    ┌──────────┐ ┌──────────┐     each from memory at one time, the newest first; they overlap
//!  level 1  ┌──┐┌──┐┌──┐                  from here on the tables of a level share no record's place, by key
//!  level 2  ┌──┐┌──┐┌──┐┌──┐┌──┐┌──┐┌──┐   eight times as long as the one above
//! ```
//! For every key, what lies higher is newer. After O'Neil and others, "The log-structured merge-tree" (1996), with
//! LevelDB's levels.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Table, TableId};

/// Young tables are merged once there are so many.
const YOUNG_MAX: usize = 4;

/// A level is so many times as long as the one above.
const GROWTH: u64 = 8;

/// The tables of a tree. A clone shares them and never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// The newest first.
    pub young: Vec<Arc<Table>>,
    /// By level, then by key.
    pub levels: Vec<Vec<Arc<Table>>>,
}

/// What to merge: whatever is newer comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Tables that overlap, the newest first: all young ones, or none.
    pub young: Vec<Arc<Table>>,
    /// Tables of the level above `into`, by key.
    pub upper: Vec<Arc<Table>>,
    /// Tables of level `into`, by key.
    pub lower: Vec<Arc<Table>>,
    /// The level that the result belongs to, from 0 for the first.
    pub into: usize,
    /// Whether none of its keys lies in a deeper level.
    pub is_oldest: bool,
}

impl Compaction {
    /// The tables that are replaced.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.young.iter().chain(&self.upper).chain(&self.lower)
    }

    /// Whether the tables only change their level.
    pub fn is_move(&self) -> bool {
        self.lower.is_empty() && self.young.is_empty()
    }
}

impl Levels {
    /// All tables, what is newer for a key before what is older.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.young.iter().chain(self.levels.iter().flatten())
    }

    /// The tables that may have `key`, what is newer before what is older.
    pub fn candidates(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Table>> {
        let levels = self.levels.iter().flat_map(move |tables| {
            let start = tables.partition_point(|table| *table.head.last < *key);
            tables[start..].iter().take_while(move |table| *table.head.first <= *key)
        });
        self.young.iter().filter(move |table| table.covers(key)).chain(levels)
    }

    /// What to do next, if anything: `base_len` is how long the first level may be, in sectors; of each level the
    /// table goes on that follows the last one that did, `turns` by level.
    pub fn pick(&self, base_len: u64, turns: &mut Vec<Arc<[u8]>>) -> Option<Compaction> {
        if self.young.len() >= YOUNG_MAX {
            return Some(self.compact_young());
        }
        let mut len_max = base_len;
        for (level, tables) in self.levels.iter().enumerate() {
            let len: u64 = tables.iter().map(|table| u64::from(table.head.sectors)).sum();
            // The last level may grow: another one begins below it.
            if len > len_max {
                turns.resize_with(turns.len().max(level + 1), Arc::default);
                let turn = &mut turns[level];
                let next = tables.iter().position(|table| *table.head.first > **turn).unwrap_or(0);
                let compaction = self.compact(level, next);
                if let Some(last) = compaction.upper.last() {
                    *turn = last.head.last.clone();
                }
                return Some(compaction);
            }
            len_max = len_max.saturating_mul(GROWTH);
        }
        None
    }

    fn compact_young(&self) -> Compaction {
        let (first, last) = bounds(&self.young);
        let lower = self.overlapping(0, &first, &last);
        let mut by_key = self.young.clone();
        by_key.sort_by(|one, other| one.head.first.cmp(&other.head.first));
        let are_apart = by_key.windows(2).all(|pair| pair[0].head.last < pair[1].head.first);
        // As when rows come in the order of their keys.
        let (young, upper) = match lower.is_empty() && are_apart {
            true => (Vec::new(), by_key),
            false => (self.young.clone(), Vec::new()),
        };
        let (first, last) = bounds(self.young.iter().chain(&lower));
        Compaction { young, upper, lower, into: 0, is_oldest: self.is_oldest(1, &first, &last) }
    }

    /// Takes one table of a level down, with its neighbours as far as they have a key in common.
    fn compact(&self, level: usize, index: usize) -> Compaction {
        let tables = &self.levels[level];
        let is_joined = |index: usize| tables[index].head.last == tables[index + 1].head.first;
        let mut start = index;
        while start > 0 && is_joined(start - 1) {
            start -= 1;
        }
        let mut end = index + 1;
        while end < tables.len() && is_joined(end - 1) {
            end += 1;
        }
        let upper = tables[start..end].to_vec();
        let (first, last) = bounds(&upper);
        let into = level + 1;
        let lower = self.overlapping(into, &first, &last);
        let (first, last) = bounds(upper.iter().chain(&lower));
        let is_oldest = self.is_oldest(into + 1, &first, &last);
        Compaction { young: Vec::new(), upper, lower, into, is_oldest }
    }

    /// The tables of a level that have keys from `first` to `last`, or one of their neighbours' keys.
    fn overlapping(&self, level: usize, first: &[u8], last: &[u8]) -> Vec<Arc<Table>> {
        let Some(tables) = self.levels.get(level) else { return Vec::new() };
        let mut start = tables.partition_point(|table| *table.head.last < *first);
        let mut end = tables.partition_point(|table| *table.head.first <= *last);
        while start > 0 && start < end && tables[start - 1].head.last == tables[start].head.first {
            start -= 1;
        }
        while start < end && end < tables.len() && tables[end - 1].head.last == tables[end].head.first {
            end += 1;
        }
        tables.get(start..end).unwrap_or_default().to_vec()
    }

    /// Whether no table from `level` on has keys from `first` to `last`.
    fn is_oldest(&self, level: usize, first: &[u8], last: &[u8]) -> bool {
        let deeper = self.levels.iter().skip(level).flatten();
        deeper.into_iter().all(|table| *table.head.last < *first || *last < *table.head.first)
    }

    /// A table from memory.
    pub fn add_young(&mut self, table: Arc<Table>) {
        self.young.insert(0, table);
    }

    /// The tables of `compaction` have become `tables`.
    pub fn replace(&mut self, compaction: &Compaction, tables: Vec<Arc<Table>>) {
        let gone: Vec<TableId> = compaction.tables().map(|table| table.head.id).collect();
        let stays = |table: &Arc<Table>| !gone.contains(&table.head.id);
        self.young.retain(stays);
        self.levels.iter_mut().for_each(|level| level.retain(stays));
        self.levels.resize_with(self.levels.len().max(compaction.into + 1), Vec::new);
        let level = &mut self.levels[compaction.into];
        if let Some(first) = tables.first() {
            let index = level.partition_point(|table| *table.head.last < *first.head.first);
            level.splice(index..index, tables);
        }
    }
}

/// The first and the last key of some tables.
fn bounds<'a>(tables: impl IntoIterator<Item = &'a Arc<Table>>) -> (Arc<[u8]>, Arc<[u8]>) {
    let mut tables = tables.into_iter();
    let Some(one) = tables.next() else { return Default::default() };
    tables.fold((one.head.first.clone(), one.head.last.clone()), |(first, last), table| {
        (first.min(table.head.first.clone()), last.max(table.head.last.clone()))
    })
}
