//! Many sources as one.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Version};

use crate::{Direction, Frames, Position, ReadError, Source};

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

    /// Whether the record there deletes.
    pub fn is_deletion(&self) -> bool {
        self.sources.last().is_some_and(Source::is_deletion)
    }

    /// The value there, unless it lies in another frame; none inside if the record deletes.
    pub(crate) fn value_at_hand(&self) -> Option<Option<&[u8]>> {
        self.sources.last()?.value_at_hand()
    }

    /// The value there; none if the record deletes.
    pub async fn value<F: Frames>(&self, frames: &F) -> Result<Option<Arc<[u8]>>, ReadError> {
        match self.sources.last() {
            Some(source) => source.value(frames).await,
            None => Ok(None),
        }
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
    /// Whether one of its records was visible.
    is_decided: bool,
    value: Option<Arc<[u8]>>,
}

/// The first `rows_max` rows of `range` as of `version`, by `direction`.
pub async fn read<'a, F: Frames>(
    frames: &F,
    sources: Vec<Source<'a>>,
    range: &KeyRange,
    version: Version,
    direction: Direction,
    rows_max: usize,
) -> Result<Vec<Row>, ReadError> {
    let start = match direction {
        Direction::Forward => &range.start,
        Direction::Backward => &range.end,
    };
    let target = Position { key: start, version: Version(u64::MAX) };
    let mut merge = Merge::new(frames, sources, target, direction).await?;
    let mut rows: Vec<Row> = Vec::new();
    let mut current: Option<Current> = None;
    while let Some(position) = merge.position() {
        if current.as_ref().is_none_or(|current| *current.key != *position.key) {
            rows.extend(current.take().and_then(Current::into_row));
            if rows.len() >= rows_max || !range.contains(position.key) {
                return Ok(rows);
            }
            current = Some(Current { key: position.key.into(), is_decided: false, value: None });
        }
        if let Some(current) = &mut current
            && position.version <= version
            // The newest that is visible counts: it comes first, or, backwards, last.
            && !(current.is_decided && direction == Direction::Forward)
        {
            current.is_decided = true;
            current.value = merge.value(frames).await?;
        }
        merge.advance(frames).await?;
    }
    rows.extend(current.and_then(Current::into_row).filter(|_| rows.len() < rows_max));
    Ok(rows)
}

impl Current {
    fn into_row(self) -> Option<Row> {
        Some((self.key, self.value?))
    }
}
