//! Reading ranges of keys.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use cluster_format::{KeyRange, Version};

use crate::block::order_of;
use crate::cursor::Within;
use crate::dead::{ASKED_EVERY, DEAD_MIN, DeadRun, RANGE_KEYS};
use crate::source::Held;
use crate::{
    Direction, FrameError, Frames, MemTable, Merge, Position, RangeTombstones, ReadError, Source,
    SourceValue, Value, yield_now,
};

/// Records between two pauses, in which others run: some of them hide many that are never returned.
const RECORDS_PER_TURN: usize = 1000;

/// So many records of one key are passed over one by one; where there are more, it is quicker to look for where they end.
const PASSED_MAX: usize = if cfg!(test) { 2 } else { 16 };

/// A key and its value.
pub type Row = (Arc<[u8]>, Arc<[u8]>);

/// Who takes rows as they are read: bytes that are lent need not be copied.
pub trait RowSink: Send {
    /// The next row.
    fn row(&mut self, key: &[u8], value: &[u8]);

    /// The next row, whose value others have as well.
    fn shared(&mut self, key: &[u8], value: &Arc<[u8]>) {
        self.row(key, value);
    }

    /// What was given so far will be given again: reading has failed, and is tried anew.
    fn begin_again(&mut self);
}

impl RowSink for Vec<Row> {
    fn row(&mut self, key: &[u8], value: &[u8]) {
        self.push((key.into(), value.into()));
    }

    fn shared(&mut self, key: &[u8], value: &Arc<[u8]>) {
        self.push((key.into(), value.clone()));
    }

    fn begin_again(&mut self) {
        self.clear();
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

/// What is read of a range: its first rows, as of a version, by a direction.
#[derive(Clone, Copy, Debug)]
pub struct RangeRead<'a> {
    /// Of these keys.
    pub range: &'a KeyRange,
    /// What was written until then.
    pub version: Version,
    /// From which end on.
    pub direction: Direction,
    /// So many.
    pub most: Most,
}

/// What is known of ranges without rows, and who is told of more.
#[derive(Clone, Copy)]
pub struct Dead<'a> {
    /// The newest records.
    pub memory: &'a MemTable,
    /// Whatever is read and newer than this is among them.
    pub newest: Version,
}

impl Dead<'_> {
    /// Up to where in the range that is read no row follows at `key`, if that is known.
    fn end_at(&self, key: &[u8], asked: &RangeRead<'_>) -> Option<Arc<[u8]>> {
        let end = self.memory.dead_end(key, asked.version)?;
        // Nothing is sought beyond the range.
        Some(end.min(asked.range.end.clone()))
    }
}

/// A read in progress: what it has given, and what is known so far of the key that it is at.
struct Reading<'a, S> {
    asked: RangeRead<'a>,
    tombstones: &'a RangeTombstones,
    dead: Dead<'a>,
    /// Since the last row.
    dead_run: DeadRun,
    sink: &'a mut S,
    rows: usize,
    len: usize,
    /// The key that it is at, if it is at one.
    key: Vec<u8>,
    is_at_key: bool,
    /// Whether no other record of the key counts.
    is_known: bool,
    /// Backwards: the newest record that was visible so far, if any was.
    newest: Option<Held>,
    /// How many records of the key have been passed over in a row.
    passed: usize,
    /// Whether looking for where they end has led there so far: not so in tables that are not in order.
    is_ordered: bool,
    /// How many records it has seen since others could run.
    records: usize,
}

/// Records in order, as far as they are at hand.
pub(crate) trait Records {
    /// Where it is; none at the end.
    fn position(&self) -> Option<Position<'_>>;

    /// The value there.
    fn value(&self) -> Option<SourceValue<'_>>;

    /// Goes on by one record. If it cannot, or others come first now, says why.
    fn step(&mut self) -> Result<Option<Pause>, ReadError>;

    /// Whether all of them are known to be in the range that is read.
    fn are_inside(&self) -> bool {
        false
    }

    /// Whether range tombstones are known to hide none of them.
    fn are_clear(&self) -> bool {
        false
    }
}

/// Goes forward through a block, as long as its records come before those of other sources: most of what is read is in the
/// blocks of the largest run, and has nothing between.
pub(crate) struct InBlock<'a> {
    pub(crate) block: Within<'a>,
    /// Where the next source stands, if that is in between.
    pub(crate) next: Option<Position<'a>>,
    /// Whether its last record is in the range that is read.
    pub(crate) is_inside: bool,
    /// Whether range tombstones hide none of its records from whoever reads.
    pub(crate) is_clear: bool,
}

impl Records for InBlock<'_> {
    #[inline]
    fn position(&self) -> Option<Position<'_>> {
        self.block.rows.place()
    }

    #[inline]
    fn value(&self) -> Option<SourceValue<'_>> {
        let Within { table, frame, rows, .. } = &self.block;
        Some(match rows.value()? {
            Value::Deleted => SourceValue::Deleted,
            Value::Inline(bytes) => SourceValue::Borrowed(bytes),
            Value::Far(reference) => SourceValue::Far(table, *frame, reference),
        })
    }

    #[inline]
    fn step(&mut self) -> Result<Option<Pause>, ReadError> {
        let Within { table, frame, rows, last } = &mut self.block;
        if !rows.advance().map_err(|error| table.malformed(frame, error))? {
            // The index was believed.
            return match rows.position() > *last {
                true => Err(table.malformed(frame, FrameError::Malformed)),
                false => Ok(Some(Pause::Advance)),
            };
        }
        let is_behind = match (self.next, rows.place()) {
            (Some(next), Some(own)) => match order_of(own.key, next.key).1 {
                Ordering::Less => false,
                Ordering::Equal => own.version < next.version,
                Ordering::Greater => true,
            },
            _ => false,
        };
        Ok(is_behind.then_some(Pause::Settle))
    }

    #[inline]
    fn are_inside(&self) -> bool {
        self.is_inside
    }

    #[inline]
    fn are_clear(&self) -> bool {
        self.is_clear
    }
}

/// Why a read does not go on by itself.
pub(crate) enum Pause {
    /// The range is at its end.
    End,
    /// It has given as much as is wanted.
    Full,
    /// What comes next must be read from the disk first.
    Advance,
    /// There are many more versions of this key: this is the next that counts, if any.
    Pass(Version),
    /// The value of the key that it is at is elsewhere.
    Far(Held),
    /// So many keys had no row that there may be a shorter way.
    Dead,
    /// Others should run.
    Turn,
    /// Another source is next, or may be.
    Settle,
}

impl<S: RowSink> Reading<'_, S> {
    /// Goes on as far as nothing must be waited for.
    fn run<R: Records>(&mut self, records: &mut R) -> Result<Pause, ReadError> {
        let RangeRead { range, version, direction, .. } = self.asked;
        let is_backward = direction == Direction::Backward;
        loop {
            let Some(position) = records.position() else {
                return Ok(self.newest.take().map_or(Pause::End, Pause::Far));
            };
            if !self.is_at_key || order_of(&self.key, position.key).1.is_ne() {
                if let Some(newest) = self.newest.take() {
                    return Ok(Pause::Far(newest));
                }
                if self.is_full() {
                    return Ok(Pause::Full);
                }
                let is_inside = || match is_backward {
                    false => order_of(position.key, &range.end).1.is_lt(),
                    true => order_of(position.key, &range.start).1.is_ge(),
                };
                if !records.are_inside() && !is_inside() {
                    return Ok(Pause::End);
                }
                self.enter(position.key);
                if self.dead_run.keys >= self.dead_run.asks_at && self.is_ordered && !is_backward {
                    return Ok(Pause::Dead);
                }
            }
            if !self.is_known && position.version <= version {
                let is_hidden = !records.are_clear() && self.tombstones.hides(position, version);
                let value = records.value().filter(|_| !is_hidden);
                // The newest counts: it comes first, or, backwards, last.
                if is_backward {
                    self.newest = value.map(SourceValue::hold).or(self.newest.take());
                } else {
                    self.is_known = true;
                    match value {
                        None | Some(SourceValue::Deleted) => {}
                        Some(SourceValue::Borrowed(value)) => {
                            self.sink.row(&self.key, value);
                            self.note_row(value.len());
                        }
                        Some(SourceValue::Shared(value)) => {
                            self.sink.shared(&self.key, value);
                            self.note_row(value.len());
                        }
                        Some(far) => return Ok(Pause::Far(far.hold())),
                    }
                    if self.is_full() {
                        return Ok(Pause::Full);
                    }
                }
            }
            self.passed += 1;
            self.records += 1;
            if self.passed > PASSED_MAX && self.is_ordered && !is_backward {
                return Ok(Pause::Pass(if self.is_known { Version::ZERO } else { version }));
            }
            if self.records >= RECORDS_PER_TURN {
                return Ok(Pause::Turn);
            }
            if let Some(pause) = records.step()? {
                return Ok(pause);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.rows >= self.asked.most.rows || self.len >= self.asked.most.len
    }

    fn enter(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.is_at_key = true;
        (self.is_known, self.passed) = (false, 0);
        self.dead_run.keys += 1;
    }

    /// Many keys in a row had none, that it is at among them, unless it turns out to have one; where the next may be that has,
    /// if that is known.
    fn dead_end(&mut self) -> Option<Arc<[u8]>> {
        let end = self.dead.end_at(&self.key, &self.asked);
        // A few deleted keys here and there are not worth the memory.
        if end.is_some() || self.dead_run.keys >= ASKED_EVERY {
            let from = || if self.rows == 0 { self.asked.range.start.clone() } else { self.key[..].into() };
            self.dead_run.from.get_or_insert_with(from);
        }
        if self.dead_run.keys > RANGE_KEYS {
            let here: Arc<[u8]> = self.key[..].into();
            self.end_dead_run(here.clone());
            (self.dead_run.keys, self.dead_run.from) = (1, Some(here));
        }
        match end {
            Some(_) => self.dead_run.has_learned(),
            None => self.dead_run.asked_in_vain(),
        }
        end
    }

    /// There was no row since the last, up to `end`.
    fn end_dead_run(&mut self, end: Arc<[u8]>) {
        let DeadRun { keys, from, .. } = core::mem::take(&mut self.dead_run);
        let Some(start) = from.filter(|_| keys >= DEAD_MIN && self.asked.version >= self.dead.newest) else {
            return;
        };
        self.dead.memory.note_dead(&KeyRange { start, end }, self.asked.version, keys);
    }

    fn note_row(&mut self, value_len: usize) {
        if self.dead_run.from.is_some() {
            self.end_dead_run(self.key[..].into());
        }
        self.dead_run = DeadRun::default();
        self.len += self.key.len() + value_len;
        self.rows += 1;
    }

    /// Gives the key's row, unless it is deleted.
    async fn give<F: Frames>(&mut self, frames: &F, value: Held) -> Result<(), ReadError> {
        if let Some(value) = value.get(frames).await? {
            self.sink.shared(&self.key, &value);
            self.note_row(value.len());
        }
        Ok(())
    }
}

/// Gives `sink` the rows that are asked for: what `sources` have and `tombstones` do not hide.
/// Returns the last key that was looked at, unless the range is at its end.
pub async fn read<'a, F: Frames, S: RowSink>(
    frames: &F,
    sources: Vec<Source<'a>>,
    tombstones: &RangeTombstones,
    dead: Dead<'_>,
    asked: RangeRead<'_>,
    sink: &mut S,
) -> Result<Option<Arc<[u8]>>, ReadError> {
    let start = match asked.direction {
        Direction::Forward => dead.end_at(&asked.range.start, &asked),
        Direction::Backward => Some(asked.range.end.clone()),
    };
    let start = Position::first_of(start.as_deref().unwrap_or(&asked.range.start));
    let mut merge = Merge::new(frames, sources, start, asked.direction).await?;
    let mut reading = Reading {
        asked,
        tombstones,
        dead,
        dead_run: DeadRun::default(),
        sink,
        rows: 0,
        len: 0,
        key: Vec::new(),
        is_at_key: false,
        is_known: false,
        newest: None,
        passed: 0,
        is_ordered: true,
        records: 0,
    };
    loop {
        let pause = match merge.block(asked, tombstones) {
            Some(mut block) => reading.run(&mut block)?,
            None => reading.run(&mut merge)?,
        };
        match pause {
            Pause::End => {
                reading.end_dead_run(asked.range.end.clone());
                return Ok(None);
            }
            Pause::Full => return Ok(Some(reading.key.into())),
            Pause::Advance => merge.advance(frames).await?,
            Pause::Pass(version) => {
                let has_gone = merge.pass(frames, Position { key: &reading.key, version }).await?;
                (reading.passed, reading.is_ordered) = (0, has_gone);
            }
            Pause::Far(value) => reading.give(frames, value).await?,
            Pause::Dead => {
                if let Some(end) = reading.dead_end() {
                    merge.seek(frames, Position::first_of(&end)).await?;
                    reading.is_ordered = merge.position().is_none_or(|position| *position.key >= *end);
                }
            }
            Pause::Turn => {
                reading.records = 0;
                yield_now().await;
                merge.advance(frames).await?;
            }
            Pause::Settle => merge.settle(),
        }
    }
}
