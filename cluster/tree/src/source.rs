//! Where records come from, in one direction.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cmp::Reverse;

use crate::memtable::MemRecords;
use crate::{Frames, MemTable, Position, ReadError, Table, TableCursor, Value};

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Keys ascend, and the versions of one key descend.
    Forward,
    /// The other way.
    Backward,
}

/// Records in one direction. It is at one of them, or at the end.
pub struct Source<'a> {
    place: Kind<'a>,
}

enum Kind<'a> {
    Memory(&'a MemTable, Option<Memory<'a>>),
    Run(Box<Run<'a>>),
}

struct Memory<'a> {
    records: MemRecords<'a>,
    current: (Position<'a>, &'a Option<Arc<[u8]>>),
}

/// Tables that do not overlap, by key.
struct Run<'a> {
    tables: &'a [Arc<Table>],
    /// The table it is in.
    index: usize,
    cursor: Option<TableCursor>,
}

impl<'a> Source<'a> {
    /// What is in memory.
    pub fn memory(table: &'a MemTable) -> Source<'a> {
        Source { place: Kind::Memory(table, None) }
    }

    /// What is in tables that come one behind the other and share no key.
    pub fn run(tables: &'a [Arc<Table>]) -> Source<'a> {
        Source { place: Kind::Run(Box::new(Run { tables, index: 0, cursor: None })) }
    }

    /// Where it is; none at the end.
    pub fn position(&self) -> Option<Position<'_>> {
        match &self.place {
            Kind::Memory(_, memory) => memory.as_ref().map(|memory| memory.current.0),
            Kind::Run(run) => run.cursor.as_ref()?.record().map(|record| record.position),
        }
    }

    /// Whether the record there deletes.
    pub fn is_deletion(&self) -> bool {
        match &self.place {
            Kind::Memory(_, memory) => memory.as_ref().is_some_and(|memory| memory.current.1.is_none()),
            Kind::Run(run) => {
                let record = run.cursor.as_ref().and_then(TableCursor::record);
                record.is_some_and(|record| record.value == Value::Deleted)
            }
        }
    }

    /// The value there, unless it lies in another frame; none inside if the record deletes.
    pub(crate) fn value_at_hand(&self) -> Option<Option<&[u8]>> {
        match &self.place {
            Kind::Memory(_, memory) => memory.as_ref().map(|memory| memory.current.1.as_deref()),
            Kind::Run(run) => match run.cursor.as_ref()?.record()?.value {
                Value::Deleted => Some(None),
                Value::Inline(bytes) => Some(Some(bytes)),
                Value::Far(_) => None,
            },
        }
    }

    /// The value there; none if the record deletes.
    pub async fn value<F: Frames>(&self, frames: &F) -> Result<Option<Arc<[u8]>>, ReadError> {
        match &self.place {
            Kind::Memory(_, memory) => Ok(memory.as_ref().and_then(|memory| memory.current.1.clone())),
            Kind::Run(run) => match &run.cursor {
                Some(cursor) => cursor.value(frames).await,
                None => Ok(None),
            },
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

impl Run<'_> {
    async fn seek<F: Frames>(
        &mut self,
        frames: &F,
        target: Position<'_>,
        direction: Direction,
    ) -> Result<(), ReadError> {
        // The first table that does not end before the target's key, or the last of all. Where one ends with that
        // key, the target may be behind.
        let index = self.tables.partition_point(|table| *table.head.last < *target.key);
        self.enter(Some(index.min(self.tables.len().saturating_sub(1))));
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        match direction {
            Direction::Forward => cursor.seek(frames, target).await?,
            Direction::Backward => cursor.seek_before(frames, target).await?,
        }
        self.leave_ended(frames, direction).await
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
        self.cursor = table.map(|table| TableCursor::new(table.clone()));
        self.index = index.unwrap_or_default();
    }

    /// From the end of a table to the next one.
    async fn leave_ended<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        while let Some(cursor) = &self.cursor
            && cursor.record().is_none()
        {
            self.enter(match direction {
                Direction::Forward => Some(self.index + 1),
                Direction::Backward => self.index.checked_sub(1),
            });
            match (&mut self.cursor, direction) {
                (None, _) => {}
                (Some(cursor), Direction::Forward) => cursor.first(frames).await?,
                (Some(cursor), Direction::Backward) => cursor.last(frames).await?,
            }
        }
        Ok(())
    }
}
