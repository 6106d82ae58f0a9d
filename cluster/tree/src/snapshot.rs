//! One state of a tree.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Version};
use drivers_api::SECTOR_SIZE;

use crate::grid::Grid;
use crate::{
    BlockReads, Dead, HashedKey, Levels, MemTable, RangeRead, RangeTombstones, ReadError, Row, RowSink,
    Source, read, yield_now,
};

/// One state of a tree, as a value: it never changes, and shares everything with the tree. What it refers to keeps its
/// place on the disk as long as it lives, unless the disk has no other room for what is new: then reads fail as those of
/// [forgotten](ReadError::Forgotten) versions do.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) grid: Grid,
    pub(crate) memory: MemTable,
    pub(crate) frozen: Option<MemTable>,
    /// What is added to memory later is newer than this, and not a part of it.
    pub(crate) newest: Version,
    pub(crate) levels: Arc<Levels>,
    /// Older versions are no longer kept whole.
    pub(crate) horizon: Version,
}

impl Snapshot {
    fn memories(&self) -> impl Iterator<Item = &MemTable> {
        [&self.memory].into_iter().chain(&self.frozen)
    }

    /// Where records come from, those in memory only as far as they are in `range`.
    pub(crate) fn sources<'a>(&'a self, range: Option<&'a KeyRange>) -> Vec<Source<'a>> {
        let runs = self.levels.runs().map(|run| Source::run(run));
        let memories = self.memories().map(|memory| Source::memory_within(memory, self.newest, range));
        memories.chain(runs).collect()
    }

    /// What hides records of the sources from whoever reads in `range`.
    pub(crate) fn tombstones(&self, range: &KeyRange) -> Cow<'_, RangeTombstones> {
        let mut tombstones = Cow::Borrowed(&self.levels.tombstones);
        for memory in self.memories() {
            let newer = memory.tombstones_in(range);
            if !newer.is_empty() {
                // All of the others are not worth a copy.
                let mut both = tombstones.inside(range);
                both.extend(&newer, self.newest);
                tombstones = Cow::Owned(both);
            }
        }
        tombstones
    }

    /// How many range tombstones have become durable. With [`crate::RANGE_TOMBSTONES_MAX`], ranges should not be deleted any
    /// more.
    pub fn range_tombstones(&self) -> usize {
        self.levels.tombstones.len()
    }

    /// The same state, where what is read of tables counts for `reads`.
    pub fn counted(self, reads: Arc<BlockReads>) -> Snapshot {
        Snapshot { grid: self.grid.counted(reads), ..self }
    }

    fn check(&self, version: Version) -> Result<(), ReadError> {
        if version < self.horizon { Err(ReadError::Forgotten(version)) } else { Ok(()) }
    }

    /// What a table's frame could not be had for.
    fn explain(&self, error: ReadError, version: Version) -> ReadError {
        match error {
            ReadError::Frame(table, ..) | ReadError::Device(table, _) if self.grid.is_revoked(table) => {
                ReadError::Forgotten(version)
            }
            error => error,
        }
    }

    /// The value of `key` as of `version`.
    pub async fn get(&self, key: &[u8], version: Version) -> Result<Option<Arc<[u8]>>, ReadError> {
        self.check(version)?;
        for memory in self.memories() {
            if let Some((_, value)) = memory.get(key, version.min(self.newest)) {
                return Ok(value);
            }
        }
        let hashed = HashedKey::new(key);
        let deleted = self.levels.tombstones.newest_at(key, version).unwrap_or_default();
        for table in self.levels.candidates(key).filter(|table| table.head.newest >= deleted) {
            let found = table.get(&self.grid, hashed, version).await;
            if let Some((written, value)) = found.map_err(|error| self.explain(error, version))? {
                return Ok(value.filter(|_| written >= deleted));
            }
        }
        Ok(None)
    }

    /// Bytes of the disk that records with keys in `range` take, to the block. Of a table that has others as well, the index
    /// is read, but no rows.
    pub async fn disk_len(&self, range: &KeyRange) -> Result<u64, ReadError> {
        let mut sectors = 0;
        for table in self.levels.tables() {
            let (first, last) = (&table.head.first, &table.head.last);
            sectors += if range.contains(first) && range.contains(last) {
                u64::from(table.head.sectors)
            } else if *last < range.start || *first >= range.end {
                0
            } else {
                let begin = table.place_of(&self.grid, &range.start).await?;
                u64::from(table.place_of(&self.grid, &range.end).await?.saturating_sub(begin))
            };
            yield_now().await;
        }
        Ok(sectors * SECTOR_SIZE as u64)
    }

    /// The rows that are asked for.
    pub async fn read(&self, asked: RangeRead<'_>) -> Result<Vec<Row>, ReadError> {
        let mut rows = Vec::new();
        self.read_into(asked, &mut rows).await?;
        Ok(rows)
    }

    /// Gives `sink` the rows that are asked for. Returns the last key, unless the range is at its end: what remains lies behind
    /// it.
    pub async fn read_into<S: RowSink>(
        &self,
        asked: RangeRead<'_>,
        sink: &mut S,
    ) -> Result<Option<Arc<[u8]>>, ReadError> {
        let RangeRead { range, version, .. } = asked;
        self.check(version)?;
        if range.is_empty() {
            return Ok(None);
        }
        let (sources, tombstones) = (self.sources(Some(range)), self.tombstones(range));
        let newest = self.newest.max(self.levels.flushed);
        let dead = Dead { memory: &self.memory, newest };
        let last = read(&self.grid, sources, &tombstones, dead, asked, sink).await;
        last.map_err(|error| self.explain(error, version))
    }
}
