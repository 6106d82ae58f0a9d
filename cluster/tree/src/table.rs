//! A table, as its readers know it.

use alloc::sync::Arc;
use core::fmt;

use cluster_format::{Version, shared_bytes};
use serde::{Deserialize, Serialize};

use crate::cells::CELL_SECTORS;
use crate::{
    Block, BlockCursor, CellRun, Filter, Found, FrameError, FrameKind, FrameRef, HashedKey, Position,
    TableId, Value,
};

/// What must be known of a table to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHead {
    /// Its name.
    pub id: TableId,
    /// How many sectors it takes.
    pub sectors: u32,
    /// How many records it has.
    pub records: u64,
    /// How many of them delete.
    pub deletions: u64,
    /// How many of them come behind a newer one of the same key.
    pub hidden: u64,
    /// The first record's key.
    #[serde(with = "shared_bytes")]
    pub first: Arc<[u8]>,
    /// The last record's key.
    #[serde(with = "shared_bytes")]
    pub last: Arc<[u8]>,
    /// The oldest version in it.
    pub oldest: Version,
    /// The newest.
    pub newest: Version,
    /// None of its records is hidden by a range tombstone of this version, or an older one.
    pub cleared: Version,
    /// Where its filter is.
    pub filter: FrameRef,
    /// Where its index is.
    pub index: FrameRef,
}

/// A table, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What is known of it.
    pub head: TableHead,
    /// Its cells: it begins with the first.
    pub cells: CellRun,
}

/// Why a frame cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// What is there is not what should be. Another node has it.
    Frame(TableId, FrameRef, FrameError),
    /// The device reports an error. Another node has it.
    Device(TableId, FrameRef),
    /// What was at this version is no longer kept.
    Forgotten(Version),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Frame(TableId(table), frame, error) => {
                write!(f, "table {table:016x}, sector {}: {error}", frame.offset)
            }
            ReadError::Device(TableId(table), frame) => {
                write!(f, "table {table:016x}, sector {}: the disk reported an I/O error", frame.offset)
            }
            ReadError::Forgotten(version) => write!(f, "version {version} is older than what is kept"),
        }
    }
}

/// Where frames come from: a cache over a disk.
pub trait Frames {
    /// The payload of a frame of `table`.
    fn read(
        &self,
        table: &Table,
        kind: FrameKind,
        frame: &FrameRef,
    ) -> impl Future<Output = Result<Arc<[u8]>, ReadError>>;

    /// These frames, which lie one behind the other, will be read soon.
    fn expect(&self, table: &Table, kind: FrameKind, frames: &[FrameRef]) {
        let _ = (table, kind, frames);
    }
}

impl TableHead {
    /// No range tombstone of this version or an older one hides any of its records.
    pub(crate) fn clear_up_to(&self) -> Version {
        self.oldest.max(self.cleared)
    }
}

impl Table {
    /// Whether what it says of itself can be so. Bytes of a disk or a peer may say anything.
    pub(crate) fn is_well_formed(&self) -> bool {
        let TableHead { sectors, first, last, filter, index, .. } = &self.head;
        let cells = self.cells.count.checked_mul(CELL_SECTORS);
        first <= last
            && cells.is_some_and(|cells| *sectors <= cells)
            && [filter, index].into_iter().all(|frame| self.contains(frame))
    }

    fn contains(&self, frame: &FrameRef) -> bool {
        let end = frame.offset.checked_add(frame.sectors);
        frame.is_bounded() && end.is_some_and(|end| end <= self.head.sectors)
    }

    /// Whether `key` may be among its keys, as far as their range tells.
    pub fn covers(&self, key: &[u8]) -> bool {
        *self.head.first <= *key && *key <= *self.head.last
    }

    /// What `key` was as of `version`, and since when; none if the table does not tell.
    pub async fn get<F: Frames>(
        &self,
        frames: &F,
        key: HashedKey<'_>,
        version: Version,
    ) -> Result<Option<(Version, Option<Arc<[u8]>>)>, ReadError> {
        if !self.covers(key.bytes) || version < self.head.oldest {
            return Ok(None);
        }
        let filter = frames.read(self, FrameKind::Filter, &self.head.filter).await?;
        let filter = Filter::parse(filter).map_err(|error| self.malformed(&self.head.filter, error))?;
        if !filter.may_have(key) {
            return Ok(None);
        }
        let target = Position { key: key.bytes, version };
        let index = self.block(frames, FrameKind::Index, &self.head.index).await?;
        let found = index.find(target).map_err(|error| self.malformed(&self.head.index, error))?;
        let Some(rows) = self.named(found.map(|found| found.value))? else { return Ok(None) };
        let block = self.block(frames, FrameKind::Rows, &rows).await?;
        let found = block.find(target).map_err(|error| self.malformed(&rows, error))?;
        let Some(Found { version, value, .. }) = found.filter(|found| found.is_same_key) else {
            return Ok(None);
        };
        Ok(Some((version, self.value(frames, value, &rows).await?)))
    }

    /// A record's value; `rows` is where the record is.
    pub(crate) async fn value<F: Frames>(
        &self,
        frames: &F,
        value: Value<'_>,
        rows: &FrameRef,
    ) -> Result<Option<Arc<[u8]>>, ReadError> {
        match value {
            Value::Deleted => Ok(None),
            Value::Inline(bytes) => Ok(Some(bytes.into())),
            Value::Far(reference) => {
                let reference = self.reference(reference, rows)?;
                Ok(Some(frames.read(self, FrameKind::Value, &reference).await?))
            }
        }
    }

    pub(crate) async fn index<F: Frames>(&self, frames: &F) -> Result<BlockCursor, ReadError> {
        self.block(frames, FrameKind::Index, &self.head.index).await.map(BlockCursor::new)
    }

    pub(crate) async fn rows<F: Frames>(
        &self,
        frames: &F,
        rows: &FrameRef,
    ) -> Result<BlockCursor, ReadError> {
        self.block(frames, FrameKind::Rows, rows).await.map(BlockCursor::new)
    }

    async fn block<F: Frames>(
        &self,
        frames: &F,
        kind: FrameKind,
        frame: &FrameRef,
    ) -> Result<Block, ReadError> {
        let bytes = frames.read(self, kind, frame).await?;
        Block::parse(bytes).map_err(|error| self.malformed(frame, error))
    }

    /// The frame with the first record that is not before `target`; none if all are.
    pub(crate) fn seek_index(
        &self,
        index: &mut BlockCursor,
        target: Position<'_>,
    ) -> Result<Option<FrameRef>, ReadError> {
        let found = index.seek(target);
        found.map_err(|error| self.malformed(&self.head.index, error))?;
        self.named_at(index)
    }

    /// The frame that `index` is at.
    pub(crate) fn named_at(&self, index: &BlockCursor) -> Result<Option<FrameRef>, ReadError> {
        self.named(index.record().map(|record| record.value))
    }

    /// The frame that a value of the index names.
    fn named(&self, value: Option<Value<'_>>) -> Result<Option<FrameRef>, ReadError> {
        match value {
            None => Ok(None),
            Some(Value::Inline(bytes)) => self.reference(bytes, &self.head.index).map(Some),
            Some(_) => Err(self.malformed(&self.head.index, FrameError::Malformed)),
        }
    }

    /// What `bytes`, which lie in `frame`, refer to.
    pub(crate) fn reference(&self, bytes: &[u8], frame: &FrameRef) -> Result<FrameRef, ReadError> {
        let reference = FrameRef::from_bytes(bytes);
        reference.filter(|to| self.contains(to)).ok_or(self.malformed(frame, FrameError::Malformed))
    }

    /// How many sectors lie before what belongs to the block that `key` is in, or would be: its long values come first.
    pub(crate) async fn place_of<F: Frames>(&self, frames: &F, key: &[u8]) -> Result<u32, ReadError> {
        let mut index = self.index(frames).await?;
        if self.seek_index(&mut index, Position::first_of(key))?.is_none() {
            return Ok(self.head.sectors);
        }
        index.retreat().map_err(|error| self.malformed(&self.head.index, error))?;
        Ok(self.named_at(&index)?.map_or(0, |before| before.offset.saturating_add(before.sectors)))
    }

    pub(crate) fn malformed(&self, frame: &FrameRef, error: FrameError) -> ReadError {
        ReadError::Frame(self.head.id, *frame, error)
    }
}
