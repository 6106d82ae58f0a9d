//! Where records come from, in one direction.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::cmp::Reverse;

use crate::memtable::MemRecords;
use crate::{FrameRef, Frames, Gap, MemTable, Position, ReadError, Table, TableCursor, TableId, Value};

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Keys ascend, and the versions of one key descend.
    Forward,
    /// The other way.
    Backward,
}

/// A record's value, wherever it is.
#[derive(Clone, Copy)]
pub enum SourceValue<'a> {
    /// There is none: the record deletes.
    Deleted,
    /// It is in memory.
    Shared(&'a Arc<[u8]>),
    /// It is in a block.
    Borrowed(&'a [u8]),
    /// It is in a frame of its own, of this table; the block that refers to it, and how.
    Far(&'a Arc<Table>, FrameRef, &'a [u8]),
}

impl SourceValue<'_> {
    /// The value, to keep; if it is far away, what is needed to read it.
    pub(crate) fn hold(self) -> Held {
        match self {
            SourceValue::Deleted => Held::Value(None),
            SourceValue::Shared(value) => Held::Value(Some(value.clone())),
            SourceValue::Borrowed(bytes) => Held::Value(Some(bytes.into())),
            SourceValue::Far(table, rows, reference) => Held::Far(table.clone(), rows, reference.into()),
        }
    }
}

/// A [`SourceValue`] that owns what it is.
pub(crate) enum Held {
    Value(Option<Arc<[u8]>>),
    Far(Arc<Table>, FrameRef, Arc<[u8]>),
}

impl Held {
    /// The value; none if the record deletes.
    pub(crate) async fn get<F: Frames>(self, frames: &F) -> Result<Option<Arc<[u8]>>, ReadError> {
        match self {
            Held::Value(value) => Ok(value),
            Held::Far(table, rows, reference) => table.value(frames, Value::Far(&reference), &rows).await,
        }
    }
}

/// What is lost of each table.
pub(crate) type Gaps = BTreeMap<TableId, Arc<[Gap]>>;

static NO_GAPS: Gaps = Gaps::new();

/// Records in one direction. It is at one of them, or at the end.
pub struct Source<'a> {
    place: Kind<'a>,
}

enum Kind<'a> {
    Memory(&'a MemTable, Option<Memory<'a>>),
    Run(Box<RunCursor<'a>>),
}

struct Memory<'a> {
    records: MemRecords<'a>,
    current: (Position<'a>, &'a Option<Arc<[u8]>>),
}

/// Tables that do not overlap, by key.
struct RunCursor<'a> {
    tables: &'a [Arc<Table>],
    gaps: &'a Gaps,
    /// The table it is in.
    index: usize,
    cursor: Option<TableCursor>,
}

impl<'a> Source<'a> {
    /// What is in memory.
    pub fn memory(table: &'a MemTable) -> Source<'a> {
        Source { place: Kind::Memory(table, None) }
    }

    /// What is in tables that come one behind the other: a key's newer versions may end one, and its older ones
    /// begin the next.
    pub fn run(tables: &'a [Arc<Table>]) -> Source<'a> {
        Source::run_but(tables, &NO_GAPS)
    }

    /// The same, but for what is lost.
    pub fn run_but(tables: &'a [Arc<Table>], gaps: &'a Gaps) -> Source<'a> {
        Source { place: Kind::Run(Box::new(RunCursor { tables, gaps, index: 0, cursor: None })) }
    }

    /// Where it is; none at the end.
    pub fn position(&self) -> Option<Position<'_>> {
        match &self.place {
            Kind::Memory(_, memory) => memory.as_ref().map(|memory| memory.current.0),
            Kind::Run(run) => run.cursor.as_ref()?.record().map(|record| record.position),
        }
    }

    /// The value there; none at the end.
    pub fn value(&self) -> Option<SourceValue<'_>> {
        match &self.place {
            Kind::Memory(_, memory) => Some(match memory.as_ref()?.current.1 {
                None => SourceValue::Deleted,
                Some(value) => SourceValue::Shared(value),
            }),
            Kind::Run(run) => {
                let cursor = run.cursor.as_ref()?;
                Some(match cursor.record()?.value {
                    Value::Deleted => SourceValue::Deleted,
                    Value::Inline(bytes) => SourceValue::Borrowed(bytes),
                    Value::Far(reference) => SourceValue::Far(cursor.table(), cursor.frame()?, reference),
                })
            }
        }
    }

    /// Goes to the first record that is not before `target`; backwards, to the last that is.
    pub async fn seek<F: Frames>(
        &mut self,
        frames: &F,
        target: Position<'_>,
        direction: Direction,
    ) -> Result<(), ReadError> {
        match &mut self.place {
            Kind::Memory(table, memory) => {
                *memory = next_in_memory(table.records(target, direction));
                Ok(())
            }
            Kind::Run(run) => run.seek(frames, target, direction).await,
        }
    }

    /// Goes on by one record. The direction is that of [`Source::seek`].
    pub async fn advance<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        match &mut self.place {
            Kind::Memory(_, memory) => {
                *memory = memory.take().and_then(|memory| next_in_memory(memory.records));
                Ok(())
            }
            Kind::Run(run) => run.advance(frames, direction).await,
        }
    }
}

fn next_in_memory(mut records: MemRecords<'_>) -> Option<Memory<'_>> {
    let ((key, Reverse(version)), value) = records.next()?;
    let position = Position { key, version: *version };
    Some(Memory { records, current: (position, value) })
}

impl RunCursor<'_> {
    async fn seek<F: Frames>(
        &mut self,
        frames: &F,
        target: Position<'_>,
        direction: Direction,
    ) -> Result<(), ReadError> {
        // Several tables in a row may have the target's key.
        self.enter(match direction {
            Direction::Forward => Some(self.tables.partition_point(|table| *table.head.last < *target.key)),
            Direction::Backward => {
                self.tables.partition_point(|table| *table.head.first <= *target.key).checked_sub(1)
            }
        });
        while let Some(cursor) = &mut self.cursor {
            match direction {
                Direction::Forward => cursor.seek(frames, target).await?,
                Direction::Backward => cursor.seek_before(frames, target).await?,
            }
            if cursor.record().is_some() {
                break;
            }
            self.enter_next(direction);
        }
        Ok(())
    }

    async fn advance<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        match direction {
            Direction::Forward => cursor.advance(frames).await?,
            Direction::Backward => cursor.retreat(frames).await?,
        }
        self.leave_ended(frames, direction).await
    }

    fn enter(&mut self, index: Option<usize>) {
        let table = index.and_then(|index| self.tables.get(index));
        self.cursor = table.map(|table| {
            let gaps = self.gaps.get(&table.head.id).cloned();
            TableCursor::new(table.clone(), gaps.unwrap_or_default())
        });
        self.index = index.unwrap_or_default();
    }

    fn enter_next(&mut self, direction: Direction) {
        self.enter(match direction {
            Direction::Forward => Some(self.index + 1),
            Direction::Backward => self.index.checked_sub(1),
        });
    }

    /// From the end of a table to the next one.
    async fn leave_ended<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        while let Some(cursor) = &self.cursor
            && cursor.record().is_none()
        {
            self.enter_next(direction);
            match (&mut self.cursor, direction) {
                (None, _) => {}
                (Some(cursor), Direction::Forward) => cursor.first(frames).await?,
                (Some(cursor), Direction::Backward) => cursor.last(frames).await?,
            }
        }
        Ok(())
    }
}
