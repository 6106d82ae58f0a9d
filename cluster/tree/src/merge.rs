//! Many sources as one.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Version};

use crate::source::Held;
use crate::{Direction, Frames, Position, RangeTombstones, ReadError, Source, SourceValue, yield_now};

/// Records between two pauses, in which others run: some of them hide many that are never returned.
const RECORDS_PER_TURN: usize = 1000;

/// A key and its value.
pub type Row = (Arc<[u8]>, Arc<[u8]>);

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
        if let Some(mut source) = self.sources.pop() {
            source.advance(frames, self.direction).await?;
            self.insert(source);
        }
        Ok(())
    }

    /// Puts a source where it belongs. Mostly that is where it was: records of one source come in a row.
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

/// What is known so far of the key that a read is at.
struct Current {
    key: Arc<[u8]>,
    /// What was written to it before is deleted.
    deleted: Option<Version>,
    /// The newest record that was visible so far, if any was.
    value: Option<Held>,
}

impl Current {
    async fn into_row<F: Frames>(self, frames: &F) -> Result<Option<Row>, ReadError> {
        let Some(value) = self.value else { return Ok(None) };
        Ok(value.get(frames).await?.map(|value| (self.key, value)))
    }
}

/// How much a read returns at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// So many rows.
    pub rows: usize,
    /// No more rows once their keys and values have so many bytes.
    pub len: usize,
}

impl Most {
    /// So many rows, however long they are.
    pub const fn rows(rows: usize) -> Most {
        Most { rows, len: usize::MAX }
    }
}

/// The first rows of `range` as of `version`, by `direction`: what `sources` have and `tombstones` do not hide.
pub async fn read<'a, F: Frames>(
    frames: &F,
    sources: Vec<Source<'a>>,
    tombstones: &RangeTombstones,
    range: &KeyRange,
    version: Version,
    direction: Direction,
    most: Most,
) -> Result<Vec<Row>, ReadError> {
    let start = match direction {
        Direction::Forward => &range.start,
        Direction::Backward => &range.end,
    };
    let target = Position::first_of(start);
    let mut merge = Merge::new(frames, sources, target, direction).await?;
    let mut rows: Vec<Row> = Vec::new();
    let mut len = 0;
    let mut current: Option<Current> = None;
    let mut records = 0;
    while let Some(position) = merge.position() {
        let seen = Some(position.version).filter(|written| *written <= version);
        if current.as_ref().is_none_or(|current| *current.key != *position.key) {
            let deleted = tombstones.newest_at(position.key, version);
            let next = Current { key: position.key.into(), deleted, value: None };
            let is_inside = range.contains(position.key);
            if let Some(passed) = current.replace(next)
                && let Some(row) = passed.into_row(frames).await?
            {
                len += row.0.len() + row.1.len();
                rows.push(row);
            }
            if rows.len() >= most.rows || len >= most.len || !is_inside {
                return Ok(rows);
            }
        }
        if let Some(current) = &mut current
            && seen.is_some_and(|written| current.deleted.is_none_or(|deleted| written >= deleted))
            // The newest counts: it comes first, or, backwards, last.
            && (current.value.is_none() || direction == Direction::Backward)
        {
            current.value = merge.value().map(SourceValue::hold);
        }
        merge.advance(frames).await?;
        records += 1;
        if records % RECORDS_PER_TURN == 0 {
            yield_now().await;
        }
    }
    if let Some(last) = current.filter(|_| rows.len() < most.rows && len < most.len) {
        rows.extend(last.into_row(frames).await?);
    }
    Ok(rows)
}
