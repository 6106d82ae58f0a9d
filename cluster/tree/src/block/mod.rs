//! A block: records in order, keys without what they share with the one before.
//!
//! ```text
//!  ┌──────────┬──────────┬─ ─ ─┬─────────┬─────────┬─ ─ ─┬────────────────────────┬───────────────┬───────────────────┐
//!  │ record 1 │ record 2 │     │ value 1 │ value 2 │     │ restarts, 8 bytes each │ records' end  │ how many restarts │
//!  └──────────┴──────────┴─ ─ ─┴─────────┴─────────┴─ ─ ─┴────────────────────────┴───────────────┴───────────────────┘
//!  record = shared, rest's length, the key's rest, version's difference (zigzag), value's length × 4 + kind
//!  restart = where its record begins, and its value behind the records' end
//! ```
//! Integers are [`crate::varint`]s, those at the end four bytes, little-endian. The first record, and at least one of
//! sixteen in a row, is a *restart*: it shares nothing, and its version is the difference from 0, so that a position is found
//! by halving. *Shared* is all that a key has in common with the one before. After LevelDB's tables; but the values lie apart, so that looking for a key touches as little memory as there
//! are keys.

mod builder;
mod cursor;

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::ops::Range;

use cluster_format::Version;

pub use self::builder::BlockBuilder;
pub use self::cursor::BlockCursor;
use crate::frame::u32_at;
use crate::varint::{take, take_len, unzigzag};
use crate::{FrameError, Position, Value};

/// Records from one restart to the next, at most.
const RESTART_INTERVAL_MAX: usize = 16;

/// The same, in blocks that are made here: every second one would make tables longer, and going from one to the next is
/// what looking for a key takes most of its time for.
const RESTART_INTERVAL: usize = 8;

const RESTART_LEN: usize = 8;

/// The records' end, and how many restarts there are.
const TRAILER_LEN: usize = 8;

const DELETED: u64 = 0;
const INLINE: u64 = 1;
const FAR: u64 = 2;

/// A block, as it was read.
#[derive(Clone, Debug)]
pub struct Block {
    bytes: Arc<[u8]>,
    records_end: usize,
    values_end: usize,
}

/// Where a record begins, and its value.
#[derive(Clone, Copy)]
struct Start {
    record: usize,
    value: usize,
}

/// Where one record's parts are.
#[derive(Clone, Debug)]
struct Parts {
    /// Where the record ends.
    end: usize,
    shared: usize,
    rest: Range<usize>,
    difference: u64,
    kind: u64,
    value: Range<usize>,
}

impl Parts {
    /// Where the next record begins.
    fn next(&self) -> Start {
        Start { record: self.end, value: self.value.end }
    }
}

/// Goes from record to record, and knows what those since the last restart say of each.
#[derive(Clone, Debug, Default)]
struct Walk {
    /// The next restart, and where its record begins; none is behind the last.
    restart: usize,
    restart_at: Option<usize>,
    /// How many records came since the last restart, itself included.
    since_restart: usize,
    key_len: usize,
    version: Version,
}

impl Walk {
    /// From a restart on, and where its record begins.
    fn from(block: &Block, restart: usize) -> Result<(Walk, Start), FrameError> {
        let start = block.restart(restart)?;
        Ok((Walk { restart, restart_at: Some(start.record), ..Walk::default() }, start))
    }

    /// The record at `start`, which follows the one before.
    fn step(&mut self, block: &Block, start: Start) -> Result<Parts, FrameError> {
        let parts = block.parts(start)?;
        if self.restart_at == Some(start.record) {
            let restart = self.restart + 1;
            let next = (restart < block.restarts()).then(|| block.restart(restart)).transpose()?;
            *self = Walk { restart, restart_at: next.map(|next| next.record), ..Walk::default() };
        }
        self.since_restart += 1;
        if parts.shared > self.key_len || self.since_restart > RESTART_INTERVAL_MAX {
            return Err(FrameError::Malformed);
        }
        self.key_len = parts.shared + parts.rest.len();
        self.version = Version(self.version.0.wrapping_add(unzigzag(parts.difference) as u64));
        Ok(parts)
    }

    /// Whether the last step was to a restart.
    fn is_at_restart(&self) -> bool {
        self.since_restart == 1
    }
}

impl Block {
    /// The block in `bytes`. Whether its records are well formed is found out on the way.
    pub fn parse(bytes: Arc<[u8]>) -> Result<Block, FrameError> {
        let trailer = bytes.len().checked_sub(TRAILER_LEN).ok_or(FrameError::Malformed)?;
        let (records_end, count) = (u32_at(&bytes, trailer) as usize, u32_at(&bytes, trailer + 4) as usize);
        let restarts_len = count.checked_mul(RESTART_LEN).ok_or(FrameError::Malformed)?;
        let values_end = trailer.checked_sub(restarts_len).ok_or(FrameError::Malformed)?;
        let block = Block { bytes, records_end, values_end };
        let is_well_formed = match count {
            0 => values_end == 0 && records_end == 0,
            _ => {
                let first = [values_end, values_end + 4].map(|at| u32_at(&block.bytes, at));
                (1..=values_end).contains(&records_end) && first == [0, 0]
            }
        };
        if is_well_formed { Ok(block) } else { Err(FrameError::Malformed) }
    }

    fn restarts(&self) -> usize {
        (self.bytes.len() - self.values_end - TRAILER_LEN) / RESTART_LEN
    }

    /// Where the record at a restart begins.
    fn restart(&self, index: usize) -> Result<Start, FrameError> {
        let [record, value] =
            [0, 4].map(|part| u32_at(&self.bytes, self.values_end + RESTART_LEN * index + part) as usize);
        let value = self.records_end.checked_add(value).ok_or(FrameError::Malformed)?;
        if record < self.records_end { Ok(Start { record, value }) } else { Err(FrameError::Malformed) }
    }

    /// The last restart that comes before something, or the first. `is_before` says so of each.
    fn last_restart(
        &self,
        is_before: impl Fn(usize) -> Result<bool, FrameError>,
    ) -> Result<usize, FrameError> {
        let (mut low, mut high) = (0, self.restarts());
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            match is_before(middle)? {
                true => low = middle,
                false => high = middle,
            }
        }
        Ok(low)
    }

    fn parts(&self, start: Start) -> Result<Parts, FrameError> {
        self.try_parts(start).ok_or(FrameError::Malformed)
    }

    fn try_parts(&self, start: Start) -> Option<Parts> {
        let records = &self.bytes[..self.records_end];
        let (shared, at) = take_len(records, start.record)?;
        let (rest_len, at) = take_len(records, at)?;
        let rest = at..at.checked_add(rest_len)?;
        let (difference, at) = take(records, rest.end)?;
        let (tag, end) = take(records, at)?;
        let value = start.value..start.value.checked_add(usize::try_from(tag >> 2).ok()?)?;
        let kind = tag & 3;
        let is_inside = value.end <= self.values_end;
        let is_well_formed = is_inside && kind <= FAR && (kind != DELETED || value.is_empty());
        is_well_formed.then_some(Parts { end, shared, rest, difference, kind, value })
    }

    /// Whether the record at a restart comes before `target`. Its version is only looked at if its key is the same.
    fn restarts_before(&self, index: usize, target: Position<'_>) -> Result<bool, FrameError> {
        let record = u32_at(&self.bytes, self.values_end + RESTART_LEN * index) as usize;
        let records = &self.bytes[..self.records_end];
        let is_before = || {
            let (shared, at) = take_len(records, record)?;
            let (rest_len, at) = take_len(records, at)?;
            let rest = at..at.checked_add(rest_len).filter(|_| shared == 0)?;
            Some(match order_of(records.get(rest.clone())?, target.key).1 {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => unzigzag(take(records, rest.end)?.0) as u64 > target.version.0,
            })
        };
        is_before().ok_or(FrameError::Malformed)
    }
}

/// How many bytes two keys have in common at their beginnings.
fn common_len(one: &[u8], other: &[u8]) -> usize {
    let len = one.len().min(other.len());
    let ((ones, one_rest), (others, other_rest)) =
        (one[..len].as_chunks::<8>(), other[..len].as_chunks::<8>());
    for (index, (one, other)) in ones.iter().zip(others).enumerate() {
        let differences = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differences != 0 {
            return 8 * index + differences.trailing_zeros() as usize / 8;
        }
    }
    let rest = one_rest.iter().zip(other_rest).take_while(|(one, other)| one == other).count();
    8 * ones.len() + rest
}

/// The same, and how the keys compare. Keys are short: this is sooner done than a call of `memcmp`.
#[inline]
fn order_of(one: &[u8], other: &[u8]) -> (usize, Ordering) {
    let common = common_len(one, other);
    // Where one of them ends, it has none, which is the least.
    (common, one.get(common).cmp(&other.get(common)))
}

/// What a block has at a position or behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Whether the record is of the key that was looked for.
    pub is_same_key: bool,
    /// Its version.
    pub version: Version,
    /// Its value.
    pub value: Value<'a>,
}

impl Block {
    /// The first record that is not before `target`. Keys are compared as they are stored: what a key shares with the one
    /// before is known to be less than the target, or to be equal so far, so that no key has to be put together.
    pub fn find(&self, target: Position<'_>) -> Result<Option<Found<'_>>, FrameError> {
        let restart = self.last_restart(|index| self.restarts_before(index, target))?;
        if restart >= self.restarts() {
            return Ok(None);
        }
        let (mut walk, mut start) = Walk::from(self, restart)?;
        // How long what the key before and the target have in common is.
        let mut common = 0;
        loop {
            let parts = walk.step(self, start)?;
            if walk.is_at_restart() {
                common = 0;
            }
            let order = match parts.shared.cmp(&common) {
                // It differs from the target where the one before does.
                Ordering::Greater => Ordering::Less,
                // It is behind the one before, which is equal to the target there.
                Ordering::Less => Ordering::Greater,
                Ordering::Equal => {
                    let (own, wanted) = (&self.bytes[parts.rest.clone()], &target.key[common..]);
                    let (shared, order) = order_of(own, wanted);
                    common += shared;
                    order
                }
            };
            let is_found = match order {
                Ordering::Less => false,
                Ordering::Equal => walk.version <= target.version,
                Ordering::Greater => true,
            };
            if is_found {
                let is_same_key = order == Ordering::Equal;
                let value = self.value(&parts);
                return Ok(Some(Found { is_same_key, version: walk.version, value }));
            }
            if parts.end == self.records_end {
                return Ok(None);
            }
            start = parts.next();
        }
    }

    fn value(&self, parts: &Parts) -> Value<'_> {
        let bytes = &self.bytes[parts.value.clone()];
        match parts.kind {
            DELETED => Value::Deleted,
            INLINE => Value::Inline(bytes),
            _ => Value::Far(bytes),
        }
    }
}
