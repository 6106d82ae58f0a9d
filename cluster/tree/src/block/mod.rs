//! A block: records in order, keys without what they share with the one before.
//!
//! ```text
//!  ┌──────────┬─ ─ ─┬─────────┬─ ─ ─┬─────────────────────┬────────────────────────┬─────────┐
//!  │ record 1 │     │ value 1 │     │ heads, 8 bytes each │ restarts, 8 bytes each │ trailer │
//!  └──────────┴─ ─ ─┴─────────┴─ ─ ─┴─────────────────────┴────────────────────────┴─────────┘
//!  record = shared, rest's length, the key's rest, version's difference (zigzag), value's length × 4 + kind
//!  head = of a restart: its key's first 8 bytes behind the prefix, as a big-endian number
//!  restart = where its record begins, and its value behind the records' end
//!  trailer = the prefix's length, records' end, how many restarts
//! ```
//! Integers are [`crate::varint`]s, those behind the values eight and four bytes, little-endian. The first record, and at
//! least one of sixteen in a row, is a *restart*: it shares nothing, and its version is the difference from 0, so that a
//! position is found by halving. *Shared* is all that a key has in common with the one before, *prefix* what all keys of
//! the block have in common. After LevelDB's tables; but the values lie apart, so that looking for a key touches as little
//! memory as there are keys, and what is halved is the heads, which mostly tell keys apart (as in Graefe and Larson,
//! "B-tree indexes and CPU caches", 2001: poor man's normalized keys).

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

/// The same, in blocks that are made here: fewer would make tables longer, and going from one record to the next is what
/// looking for a key takes most of its time for.
const RESTART_INTERVAL: usize = 8;

const HEAD_LEN: usize = 8;

/// Where the record begins, and its value.
const START_LEN: usize = 8;

/// What a restart takes behind the values.
const RESTART_LEN: usize = HEAD_LEN + START_LEN;

/// The prefix's length, the records' end, and how many restarts there are.
const TRAILER_LEN: usize = 12;

const DELETED: u64 = 0;
const INLINE: u64 = 1;
const FAR: u64 = 2;

/// A block, as it was read.
#[derive(Clone, Debug)]
pub struct Block {
    bytes: Arc<[u8]>,
    prefix_len: usize,
    records_end: usize,
    /// Where the heads begin.
    values_end: usize,
    restarts: usize,
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
    /// Its version, if the one before has `version`.
    fn version_after(&self, version: Version) -> Version {
        Version(version.0.wrapping_add(unzigzag(self.difference) as u64))
    }

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
            let next = (restart < block.restarts).then(|| block.restart(restart)).transpose()?;
            *self = Walk { restart, restart_at: next.map(|next| next.record), ..Walk::default() };
        }
        self.since_restart += 1;
        if parts.shared > self.key_len || self.since_restart > RESTART_INTERVAL_MAX {
            return Err(FrameError::Malformed);
        }
        self.key_len = parts.shared + parts.rest.len();
        self.version = parts.version_after(self.version);
        Ok(parts)
    }
}

impl Block {
    /// The block in `bytes`. Whether its records are well formed is found out on the way.
    pub fn parse(bytes: Arc<[u8]>) -> Result<Block, FrameError> {
        let trailer = bytes.len().checked_sub(TRAILER_LEN).ok_or(FrameError::Malformed)?;
        let [prefix_len, records_end, restarts] =
            [0, 4, 8].map(|number| u32_at(&bytes, trailer + number) as usize);
        let restarts_len = restarts.checked_mul(RESTART_LEN).ok_or(FrameError::Malformed)?;
        let values_end = trailer.checked_sub(restarts_len).ok_or(FrameError::Malformed)?;
        let block = Block { bytes, prefix_len, records_end, values_end, restarts };
        let is_well_formed = match restarts {
            0 => values_end == 0 && records_end == 0,
            _ => {
                let first = block.start_at(0);
                (1..=values_end).contains(&records_end) && (first.record, first.value) == (0, records_end)
            }
        };
        if is_well_formed { Ok(block) } else { Err(FrameError::Malformed) }
    }

    fn heads(&self) -> &[[u8; HEAD_LEN]] {
        self.bytes[self.values_end..][..HEAD_LEN * self.restarts].as_chunks().0
    }

    /// What a restart says, which may be anything.
    #[inline]
    fn start_at(&self, restart: usize) -> Start {
        let at = self.values_end + HEAD_LEN * self.restarts + START_LEN * restart;
        let value = self.records_end.saturating_add(u32_at(&self.bytes, at + 4) as usize);
        Start { record: u32_at(&self.bytes, at) as usize, value }
    }

    /// Where the record at a restart begins.
    fn restart(&self, index: usize) -> Result<Start, FrameError> {
        let start = self.start_at(index);
        if start.record < self.records_end { Ok(start) } else { Err(FrameError::Malformed) }
    }

    /// The last restart that comes before `target`, or the first.
    fn restart_before(&self, target: Position<'_>) -> Result<usize, FrameError> {
        if self.restarts == 0 {
            return Ok(0);
        }
        let prefix = self.restart_key(0)?.get(..self.prefix_len).ok_or(FrameError::Malformed)?;
        let (common, order) = order_of(prefix, target.key);
        if common < prefix.len() {
            return Ok(if order == Ordering::Less { self.restarts - 1 } else { 0 });
        }
        let (heads, head) = (self.heads(), head_of(&target.key[common..]));
        let mut low = 0;
        let mut len = heads.len();
        // There is no branch in it: which way it goes cannot be foreseen.
        while len > 1 {
            let half = len / 2;
            low += if u64::from_le_bytes(heads[low + half]) < head { half } else { 0 };
            len -= half;
        }
        let has_same_head =
            |restart: usize| heads.get(restart).is_some_and(|other| *other == head.to_le_bytes());
        if !has_same_head(low + 1) {
            return Ok(low);
        }
        let end = low + 1 + heads[low + 1..].partition_point(|other| u64::from_le_bytes(*other) <= head);
        self.last_restart(low, end, |restart| self.restarts_before(restart, target))
    }

    /// The last restart from `low` on that comes before something, or `low`. Those from `high` on do not; `is_before` says so
    /// of each other.
    fn last_restart(
        &self,
        mut low: usize,
        mut high: usize,
        is_before: impl Fn(usize) -> Result<bool, FrameError>,
    ) -> Result<usize, FrameError> {
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

    /// The key at a restart, and where its version is.
    fn try_restart_key(&self, restart: usize) -> Option<(&[u8], usize)> {
        let records = &self.bytes[..self.records_end];
        let (shared, at) = take_len(records, self.start_at(restart).record)?;
        let (rest_len, at) = take_len(records, at)?;
        let end = at.checked_add(rest_len).filter(|_| shared == 0)?;
        Some((records.get(at..end)?, end))
    }

    fn restart_key(&self, restart: usize) -> Result<&[u8], FrameError> {
        self.try_restart_key(restart).map(|(key, _)| key).ok_or(FrameError::Malformed)
    }

    /// Whether the record at a restart comes before `target`. Its version is only looked at if its key is the same.
    fn restarts_before(&self, restart: usize, target: Position<'_>) -> Result<bool, FrameError> {
        let is_before = || {
            let (key, version_at) = self.try_restart_key(restart)?;
            Some(match order_of(key, target.key).1 {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => {
                    let (version, _) = take(&self.bytes[..self.records_end], version_at)?;
                    unzigzag(version) as u64 > target.version.0
                }
            })
        };
        is_before().ok_or(FrameError::Malformed)
    }
}

/// The first bytes of a key's rest as a number: what has the lesser one comes first.
fn head_of(rest: &[u8]) -> u64 {
    let mut head = [0; HEAD_LEN];
    match rest.first_chunk() {
        Some(whole) => head = *whole,
        None => head[..rest.len()].copy_from_slice(rest),
    }
    u64::from_be_bytes(head)
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
pub(crate) fn order_of(one: &[u8], other: &[u8]) -> (usize, Ordering) {
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
        let restart = self.restart_before(target)?;
        if restart >= self.restarts {
            return Ok(None);
        }
        let end =
            if restart + 1 < self.restarts { self.restart(restart + 1)?.record } else { self.records_end };
        let mut start = self.restart(restart)?;
        let mut version = Version::ZERO;
        // How long what the key before and the target have in common is.
        let mut common = 0;
        while start.record < end {
            let parts = self.parts(start)?;
            version = parts.version_after(version);
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
                Ordering::Equal => version <= target.version,
                Ordering::Greater => true,
            };
            if is_found {
                let is_same_key = order == Ordering::Equal;
                return Ok(Some(Found { is_same_key, version, value: self.value(&parts) }));
            }
            start = parts.next();
        }
        if end == self.records_end {
            return Ok(None);
        }
        // All before the next restart come before the target, and that one does not.
        let parts = self.parts(self.restart(restart + 1)?)?;
        let is_same_key = self.bytes[parts.rest.clone()] == *target.key;
        let version = parts.version_after(Version::ZERO);
        Ok(Some(Found { is_same_key, version, value: self.value(&parts) }))
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
