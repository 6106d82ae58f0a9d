//! Where records come from, in one direction.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use core::ops::Bound;

use cluster_format::{KeyRange, Version};

use crate::cursor::Within;
use crate::memtable::MemRecord;
use crate::{FrameRef, Frames, Gap, MemTable, Position, ReadError, Table, TableCursor, TableId, Value};

/// Records that are taken from memory at a time: so many at first, and twice as many each time, up to the second.
const MEMORY_BATCH: (usize, usize) = (4, 64);

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
    Memory(MemCursor<'a>),
    Run(Box<RunCursor<'a>>),
}

/// Goes through what is in memory and not newer than `newest`, a few records at a time.
struct MemCursor<'a> {
    table: &'a MemTable,
    newest: Version,
    /// Nobody asks for keys beyond it: what is there is too new, perhaps, and would have to be passed over.
    range: Option<&'a KeyRange>,
    current: Option<MemRecord>,
    batch: vec::IntoIter<MemRecord>,
    batch_len: usize,
}

impl MemCursor<'_> {
    fn seek(&mut self, target: Position<'_>, direction: Direction) {
        let target = match direction {
            Direction::Forward => Bound::Included(target),
            Direction::Backward => Bound::Excluded(target),
        };
        self.batch_len = MEMORY_BATCH.0;
        self.read(target, direction);
    }

    fn read(&mut self, from: Bound<Position<'_>>, direction: Direction) {
        let far = match (self.range, direction) {
            (None, _) => Bound::Unbounded,
            (Some(range), Direction::Forward) => Bound::Excluded(Position::first_of(&range.end)),
            (Some(range), Direction::Backward) => Bound::Included(Position::first_of(&range.start)),
        };
        self.batch = self.table.read(from, far, direction, self.newest, self.batch_len).into_iter();
        self.current = self.batch.next();
    }

    fn advance(&mut self, direction: Direction) {
        let passed = self.current.take();
        self.current = self.batch.next();
        if let Some(passed) = passed.filter(|_| self.current.is_none()) {
            self.batch_len = (2 * self.batch_len).min(MEMORY_BATCH.1);
            self.read(Bound::Excluded(passed.position()), direction);
        }
    }
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
    /// What is in memory, and not newer than `newest`.
    pub fn memory(table: &'a MemTable, newest: Version) -> Source<'a> {
        Source::memory_within(table, newest, None)
    }

    /// The same, if it is only sought and gone through inside `range`.
    pub fn memory_within(table: &'a MemTable, newest: Version, range: Option<&'a KeyRange>) -> Source<'a> {
        let batch = vec::Vec::new().into_iter();
        Source { place: Kind::Memory(MemCursor { table, newest, range, current: None, batch, batch_len: 0 }) }
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
            Kind::Memory(memory) => memory.current.as_ref().map(MemRecord::position),
            Kind::Run(run) => run.cursor.as_ref()?.record().map(|record| record.position),
        }
    }

    /// The value there; none at the end.
    pub fn value(&self) -> Option<SourceValue<'_>> {
        match &self.place {
            Kind::Memory(memory) => Some(match &memory.current.as_ref()?.value {
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
            Kind::Memory(memory) => {
                memory.seek(target, direction);
                Ok(())
            }
            Kind::Run(run) => run.seek(frames, target, direction).await,
        }
    }

    /// The block that it is in, and where that is; none if it is in memory.
    pub(crate) fn block(&mut self) -> Option<Within<'_>> {
        match &mut self.place {
            Kind::Memory(_) => None,
            Kind::Run(run) => run.cursor.as_mut()?.within(),
        }
    }

    /// Goes on by one record, as far as nothing has to be read for it; whether it has. The direction is that of
    /// [`Source::seek`], and if it has not, [`Source::advance`] does.
    #[inline]
    pub fn step(&mut self, direction: Direction) -> Result<bool, ReadError> {
        match &mut self.place {
            Kind::Memory(memory) => {
                memory.advance(direction);
                Ok(true)
            }
            Kind::Run(run) => run.cursor.as_mut().map_or(Ok(true), |cursor| cursor.step_within(direction)),
        }
    }

    /// Goes on by one record. The direction is that of [`Source::seek`].
    pub async fn advance<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        match &mut self.place {
            Kind::Memory(memory) => {
                memory.advance(direction);
                Ok(())
            }
            Kind::Run(run) => run.advance(frames, direction).await,
        }
    }
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
