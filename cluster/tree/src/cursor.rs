//! Goes through a table, in either direction.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{
    BlockCursor, Direction, FrameError, FrameKind, FrameRef, Frames, Gap, Position, ReadError, Record, Table,
};

/// Frames of records that are announced together: about 256 KiB, before compression.
const READ_AHEAD_FRAMES: usize = 16;

/// A step of a [`BlockCursor`].
type Go = fn(&mut BlockCursor) -> Result<bool, FrameError>;

/// How to go on, and where to begin in what comes next.
fn going(direction: Direction) -> (Go, Go) {
    match direction {
        Direction::Forward => (BlockCursor::advance, BlockCursor::first),
        Direction::Backward => (BlockCursor::retreat, BlockCursor::last),
    }
}

/// Goes through a table's records. It is at one of them, or at none.
pub struct TableCursor {
    table: Arc<Table>,
    place: Option<Place>,
    /// Frames up to this offset were announced.
    expected: u32,
    /// What it passes over, since it cannot be had.
    gaps: Arc<[Gap]>,
}

/// Where it is.
struct Place {
    index: BlockCursor,
    /// The frame that `index` is at, and where in it.
    frame: FrameRef,
    rows: BlockCursor,
}

/// The block that a cursor is in.
pub(crate) struct Within<'a> {
    pub(crate) table: &'a Arc<Table>,
    pub(crate) frame: FrameRef,
    pub(crate) rows: &'a mut BlockCursor,
    /// Where its last record stands, as the index says.
    pub(crate) last: Position<'a>,
}

impl TableCursor {
    /// A cursor at no record, which passes over what is known to be lost.
    pub fn new(table: Arc<Table>, gaps: Arc<[Gap]>) -> TableCursor {
        TableCursor { table, place: None, expected: 0, gaps }
    }

    /// The record it is at.
    pub fn record(&self) -> Option<Record<'_>> {
        self.place.as_ref()?.rows.record()
    }

    /// The table it goes through.
    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The frame that the record is in.
    pub(crate) fn frame(&self) -> Option<FrameRef> {
        self.place.as_ref().map(|place| place.frame)
    }

    /// Goes to the first record that is not before `target`, if there is one.
    pub async fn seek<F: Frames>(&mut self, frames: &F, target: Position<'_>) -> Result<(), ReadError> {
        self.place = None;
        if self.is_all_lost() {
            return Ok(());
        }
        let mut index = self.table.index(frames).await?;
        let Some(frame) = self.table.seek_index(&mut index, target)? else { return Ok(()) };
        self.enter(frames, index, frame, Direction::Forward, |rows| rows.seek(target)).await
    }

    /// Goes to the last record that is before `target`, if there is one.
    pub async fn seek_before<F: Frames>(
        &mut self,
        frames: &F,
        target: Position<'_>,
    ) -> Result<(), ReadError> {
        self.seek(frames, target).await?;
        if self.place.is_some() { self.retreat(frames).await } else { self.last(frames).await }
    }

    /// Goes to the first record.
    pub async fn first<F: Frames>(&mut self, frames: &F) -> Result<(), ReadError> {
        self.enter_by(frames, Direction::Forward).await
    }

    /// Goes to the last record.
    pub async fn last<F: Frames>(&mut self, frames: &F) -> Result<(), ReadError> {
        self.enter_by(frames, Direction::Backward).await
    }

    /// Goes to the next record, if there is one.
    pub async fn advance<F: Frames>(&mut self, frames: &F) -> Result<(), ReadError> {
        self.step(frames, Direction::Forward).await
    }

    /// Goes to the record before, if there is one.
    pub async fn retreat<F: Frames>(&mut self, frames: &F) -> Result<(), ReadError> {
        self.step(frames, Direction::Backward).await
    }

    /// The frame that the record is in, and the cursor in it.
    pub(crate) fn within(&mut self) -> Option<Within<'_>> {
        let TableCursor { table, place, .. } = self;
        let Place { index, frame, rows } = place.as_mut().filter(|place| place.rows.place().is_some())?;
        Some(Within { table, frame: *frame, rows, last: index.place()? })
    }

    /// Goes one record further within the frame; false at its end, where the other ways lead on.
    #[inline]
    pub(crate) fn step_within(&mut self, direction: Direction) -> Result<bool, ReadError> {
        let Some(place) = &mut self.place else { return Ok(true) };
        let found = match direction {
            Direction::Forward => place.rows.advance(),
            Direction::Backward => place.rows.retreat(),
        };
        found.map_err(|error| self.table.malformed(&place.frame, error))
    }

    /// Goes to the record from which `direction` leads to all others.
    async fn enter_by<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        self.place = None;
        if self.is_all_lost() {
            return Ok(());
        }
        let (_, end) = going(direction);
        let mut index = self.table.index(frames).await?;
        end(&mut index).map_err(|error| self.index_error(error))?;
        let Some(frame) = self.table.named_at(&index)? else { return Ok(()) };
        self.enter(frames, index, frame, direction, end).await
    }

    /// Goes one record further, if need be into the neighbouring frame.
    async fn step<F: Frames>(&mut self, frames: &F, direction: Direction) -> Result<(), ReadError> {
        let (step, end) = going(direction);
        let Some(mut place) = self.place.take() else { return Ok(()) };
        if step(&mut place.rows).map_err(|error| self.table.malformed(&place.frame, error))? {
            self.place = Some(place);
            return Ok(());
        }
        let mut index = place.index;
        step(&mut index).map_err(|error| self.index_error(error))?;
        let Some(frame) = self.table.named_at(&index)? else { return Ok(()) };
        if direction == Direction::Forward {
            self.read_ahead(frames, &index, &frame)?;
        }
        self.enter(frames, index, frame, direction, end).await
    }

    /// Whoever has gone through a whole frame will want the next ones.
    fn read_ahead<F: Frames>(
        &mut self,
        frames: &F,
        index: &BlockCursor,
        frame: &FrameRef,
    ) -> Result<(), ReadError> {
        if frame.offset < self.expected {
            return Ok(());
        }
        let mut ahead = Vec::from([*frame]);
        let mut index = index.clone();
        let mut end = frame.offset.saturating_add(frame.sectors);
        while ahead.len() < READ_AHEAD_FRAMES && index.advance().map_err(|error| self.index_error(error))? {
            // Long values may lie between.
            let Some(next) = self.table.named_at(&index)?.filter(|next| next.offset == end) else { break };
            ahead.push(next);
            end = end.saturating_add(next.sectors);
        }
        self.expected = end;
        frames.expect(&self.table, FrameKind::Rows, &ahead);
        Ok(())
    }

    /// Goes to a record of the frame that `index` is at; if that is lost, to the nearest by `direction`.
    async fn enter<F: Frames>(
        &mut self,
        frames: &F,
        mut index: BlockCursor,
        frame: FrameRef,
        direction: Direction,
        go: impl FnOnce(&mut BlockCursor) -> Result<bool, FrameError>,
    ) -> Result<(), ReadError> {
        let (step, end) = going(direction);
        let mut nearest = frame;
        while self.is_lost(&nearest) {
            step(&mut index).map_err(|error| self.index_error(error))?;
            let Some(next) = self.table.named_at(&index)? else { return Ok(()) };
            nearest = next;
        }
        let mut rows = self.table.rows(frames, &nearest).await?;
        let found = if nearest == frame { go(&mut rows) } else { end(&mut rows) };
        let (frame, found) = (nearest, found.map_err(|error| self.table.malformed(&nearest, error))?);
        if !found {
            // The index says that there is one.
            return Err(self.table.malformed(&frame, FrameError::Malformed));
        }
        self.place = Some(Place { index, frame, rows });
        Ok(())
    }

    fn is_lost(&self, frame: &FrameRef) -> bool {
        self.gaps.iter().any(|gap| gap.rows == Some(*frame))
    }

    fn is_all_lost(&self) -> bool {
        self.gaps.iter().any(|gap| gap.rows.is_none())
    }

    fn index_error(&self, error: FrameError) -> ReadError {
        self.table.malformed(&self.table.head.index, error)
    }
}
