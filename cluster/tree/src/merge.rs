//! Many sources as one.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::block::order_of;
use crate::cursor::Within;
use crate::read::{InBlock, Pause, RangeRead, Records};
use crate::{Direction, Frames, Position, RangeTombstones, ReadError, Source, SourceValue};

/// The records of many sources in order. It is at one of them, or at the end.
pub struct Merge<'a> {
    direction: Direction,
    /// Those that are not at their end, the next one last.
    sources: Vec<Source<'a>>,
}

impl<'a> Merge<'a> {
    /// The records that are not before `target`; backwards, those that are.
    pub async fn new<F: Frames>(
        frames: &F,
        sources: Vec<Source<'a>>,
        target: Position<'_>,
        direction: Direction,
    ) -> Result<Merge<'a>, ReadError> {
        let mut merge = Merge { direction, sources: Vec::with_capacity(sources.len()) };
        for mut source in sources {
            source.seek(frames, target, direction).await?;
            merge.insert(source);
        }
        Ok(merge)
    }

    /// Where it is; none at the end.
    pub fn position(&self) -> Option<Position<'_>> {
        self.sources.last()?.position()
    }

    /// The value there; none at the end.
    pub fn value(&self) -> Option<SourceValue<'_>> {
        self.sources.last()?.value()
    }

    /// Goes on by one record. What several sources have comes as often.
    pub async fn advance<F: Frames>(&mut self, frames: &F) -> Result<(), ReadError> {
        let Some(source) = self.sources.last_mut() else { return Ok(()) };
        if !source.step(self.direction)? {
            source.advance(frames, self.direction).await?;
        }
        self.settle();
        Ok(())
    }

    /// The block that it goes forward through, and the other sources; none if it is in memory, or goes backward.
    fn within(&mut self) -> Option<(Within<'_>, &[Source<'a>])> {
        let is_forward = self.direction == Direction::Forward;
        let (source, others) = self.sources.split_last_mut().filter(|_| is_forward)?;
        Some((source.block()?, others))
    }

    /// The block that it goes forward through, if it does, and what of the range's end, `tombstones` and the next source lies
    /// within: all of it must be looked at for each record.
    pub(crate) fn block(
        &mut self,
        asked: RangeRead<'_>,
        tombstones: &RangeTombstones,
    ) -> Option<InBlock<'_>> {
        let (block, others) = self.within()?;
        let (first, last, head) = (block.rows.position().key, block.last, &block.table.head);
        let is_clear = !tombstones.hide_any(first, last.key, head.clear_up_to(), asked.version);
        let is_inside = order_of(last.key, &asked.range.end).1.is_lt();
        let is_within = |next: &Position<'_>| {
            order_of(next.key, last.key).1.then(last.version.cmp(&next.version)).is_lt()
        };
        let next = others.last().and_then(Source::position).filter(is_within);
        Some(InBlock { block, next, is_inside, is_clear })
    }

    /// The source that it is at passes over what comes before `target`, a later version of the key there; whether it has gone
    /// on by that. In a table that is not in order, it may not have.
    pub(crate) async fn pass<F: Frames>(
        &mut self,
        frames: &F,
        target: Position<'_>,
    ) -> Result<bool, ReadError> {
        let Some(source) = self.sources.last_mut() else { return Ok(true) };
        let passed = source.position().map(|position| position.version);
        source.seek(frames, target, self.direction).await?;
        let has_gone = source.position().is_none_or(|position| match position.key.cmp(target.key) {
            Ordering::Less => false,
            Ordering::Equal => Some(position.version) < passed,
            Ordering::Greater => true,
        });
        self.settle();
        Ok(has_gone)
    }

    /// Goes forward to the first record that is not before `target`, which is ahead.
    pub(crate) async fn seek<F: Frames>(
        &mut self,
        frames: &F,
        target: Position<'_>,
    ) -> Result<(), ReadError> {
        for mut source in core::mem::take(&mut self.sources) {
            if source.position().is_some_and(|position| position < target) {
                source.seek(frames, target, self.direction).await?;
            }
            self.insert(source);
        }
        Ok(())
    }

    /// Puts the source that has gone on where it belongs. Mostly that is where it was: records of one source come in a row.
    pub(crate) fn settle(&mut self) {
        let [.., next, moved] = self.sources.as_slice() else {
            self.sources.pop_if(|only| only.position().is_none());
            return;
        };
        let is_in_place = match (moved.position(), next.position()) {
            (Some(moved), Some(next)) => match self.direction {
                Direction::Forward => moved <= next,
                Direction::Backward => moved >= next,
            },
            _ => false,
        };
        if !is_in_place && let Some(moved) = self.sources.pop() {
            self.insert(moved);
        }
    }

    /// Puts a source where it belongs.
    fn insert(&mut self, source: Source<'a>) {
        let Some(position) = source.position() else { return };
        let is_sooner = |other: &&Source<'a>| {
            let other = other.position();
            other.is_some_and(|other| match self.direction {
                Direction::Forward => other < position,
                Direction::Backward => other > position,
            })
        };
        let sooner = self.sources.iter().rev().take_while(is_sooner).count();
        self.sources.insert(self.sources.len() - sooner, source);
    }
}

impl Records for Merge<'_> {
    fn position(&self) -> Option<Position<'_>> {
        Merge::position(self)
    }

    fn value(&self) -> Option<SourceValue<'_>> {
        Merge::value(self)
    }

    fn step(&mut self) -> Result<Option<Pause>, ReadError> {
        let Some(source) = self.sources.last_mut() else { return Ok(None) };
        if !source.step(self.direction)? {
            return Ok(Some(Pause::Advance));
        }
        self.settle();
        Ok(self.within().is_some().then_some(Pause::Settle))
    }
}
