//! A block: records in order, keys without what they share with the one before.
//!
//! ```text
//!  ┌──────────┬──────────┬─ ─ ─┬─────────┬─────────┬─ ─ ─┬────────────────────────┬───────────────┬───────────────────┐
//!  │ record 1 │ record 2 │     │ value 1 │ value 2 │     │ restarts, 8 bytes each │ records' end  │ how many restarts │
//!  └──────────┴──────────┴─ ─ ─┴─────────┴─────────┴─ ─ ─┴────────────────────────┴───────────────┴───────────────────┘
//!  record = shared, rest's length, version's difference (zigzag), value's length × 4 + kind; the key's rest
//!  restart = where its record begins, and its value behind the records' end
//! ```
//! Integers are [`crate::varint`]s, those at the end four bytes, little-endian. The first record, and at least one of
//! sixteen in a row, is a *restart*: it shares nothing, and its version is the difference from 0, so that a position is found
//! by halving. After LevelDB's tables; but the values lie apart, so that looking for a key touches as little memory as there
//! are keys.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use cluster_format::Version;

use crate::frame::u32_at;
use crate::varint::{put, take, take_len, unzigzag, zigzag};
use crate::{FrameError, Position, Record, Value};

/// Records from one restart to the next, at most.
const RESTART_INTERVAL_MAX: usize = 16;

const RESTART_LEN: usize = 8;

/// The records' end, and how many restarts there are.
const TRAILER_LEN: usize = 8;

const DELETED: u64 = 0;
const INLINE: u64 = 1;
const FAR: u64 = 2;

/// Collects records, which must come in order.
pub struct BlockBuilder {
    /// Records from one restart to the next.
    interval: usize,
    bytes: Vec<u8>,
    values: Vec<u8>,
    restarts: Vec<(u32, u32)>,
    records: usize,
    last_key: Vec<u8>,
    last_version: Version,
}

impl Default for BlockBuilder {
    fn default() -> BlockBuilder {
        BlockBuilder::with_interval(RESTART_INTERVAL_MAX)
    }
}

impl BlockBuilder {
    fn with_interval(interval: usize) -> BlockBuilder {
        BlockBuilder {
            interval,
            bytes: Vec::new(),
            values: Vec::new(),
            restarts: Vec::new(),
            records: 0,
            last_key: Vec::new(),
            last_version: Version::ZERO,
        }
    }

    /// One for an index, which is looked into more often than it is gone through: all its records are restarts.
    pub(crate) fn for_index() -> BlockBuilder {
        BlockBuilder::with_interval(1)
    }

    /// A record behind all others.
    pub fn add(&mut self, record: Record<'_>) {
        let Record { position: Position { key, version }, value } = record;
        debug_assert!(self.records == 0 || self.last() < record.position, "records come in order");
        let is_restart = self.records.is_multiple_of(self.interval);
        if is_restart {
            self.restarts.push((self.bytes.len() as u32, self.values.len() as u32));
            self.last_key.clear();
            self.last_version = Version::ZERO;
        }
        let shared = key.iter().zip(&self.last_key).take_while(|(own, last)| own == last).count();
        let (kind, bytes) = match value {
            Value::Deleted => (DELETED, &[][..]),
            Value::Inline(bytes) => (INLINE, bytes),
            Value::Far(bytes) => (FAR, bytes),
        };
        put(&mut self.bytes, shared as u64);
        put(&mut self.bytes, (key.len() - shared) as u64);
        put(&mut self.bytes, zigzag(version.0.wrapping_sub(self.last_version.0) as i64));
        put(&mut self.bytes, (bytes.len() as u64) << 2 | kind);
        self.bytes.extend_from_slice(&key[shared..]);
        self.values.extend_from_slice(bytes);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.last_version = version;
        self.records += 1;
    }

    /// The last record's position; meaningless if there is none.
    pub fn last(&self) -> Position<'_> {
        Position { key: &self.last_key, version: self.last_version }
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How long the block is.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.values.len() + RESTART_LEN * self.restarts.len() + TRAILER_LEN
    }

    /// The block; the builder is empty afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let empty = BlockBuilder::with_interval(self.interval);
        let BlockBuilder { mut bytes, values, restarts, .. } = core::mem::replace(self, empty);
        let records_end = bytes.len() as u32;
        bytes.reserve_exact(values.len() + RESTART_LEN * restarts.len() + TRAILER_LEN);
        bytes.extend_from_slice(&values);
        let restarts_len = restarts.len() as u32;
        let starts = restarts.into_iter().flat_map(|(record, value)| [record, value]);
        for number in starts.chain([records_end, restarts_len]) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

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
        let (difference, at) = take(records, at)?;
        let (tag, at) = take(records, at)?;
        let rest = at..at.checked_add(rest_len)?;
        let value = start.value..start.value.checked_add(usize::try_from(tag >> 2).ok()?)?;
        let kind = tag & 3;
        let is_inside = rest.end <= records.len() && value.end <= self.values_end;
        let is_well_formed = is_inside && kind <= FAR && (kind != DELETED || value.is_empty());
        is_well_formed.then_some(Parts { end: rest.end, shared, rest, difference, kind, value })
    }

    /// The position of the record at a restart.
    fn position_at_restart(&self, index: usize) -> Result<Position<'_>, FrameError> {
        let parts = self.parts(self.restart(index)?)?;
        if parts.shared != 0 {
            return Err(FrameError::Malformed);
        }
        Ok(Position { key: &self.bytes[parts.rest], version: Version(unzigzag(parts.difference) as u64) })
    }
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
        let restart = self.last_restart(|index| Ok(self.position_at_restart(index)? < target))?;
        if restart >= self.restarts() {
            return Ok(None);
        }
        let mut start = self.restart(restart)?;
        let mut restarts = restart + 1..self.restarts();
        let mut next_restart = Some(start.record);
        let mut version = 0u64;
        // How long the key is that the record before and the target have in common.
        let mut common = 0;
        loop {
            let parts = self.parts(start)?;
            if next_restart == Some(start.record) {
                (version, common) = (0, 0);
                let next = restarts.next().map(|index| self.restart(index)).transpose()?;
                next_restart = next.map(|next| next.record);
            }
            version = version.wrapping_add(unzigzag(parts.difference) as u64);
            let order = match parts.shared.cmp(&common) {
                // It differs from the target where the one before does.
                Ordering::Greater => Ordering::Less,
                // It is behind the one before, which is equal to the target there.
                Ordering::Less => Ordering::Greater,
                Ordering::Equal => {
                    let (own, wanted) = (&self.bytes[parts.rest.clone()], &target.key[common..]);
                    common += own.iter().zip(wanted).take_while(|(own, wanted)| own == wanted).count();
                    own.cmp(wanted)
                }
            };
            let is_found = match order {
                Ordering::Less => false,
                Ordering::Equal => version <= target.version.0,
                Ordering::Greater => true,
            };
            if is_found {
                let is_same_key = order == Ordering::Equal;
                let value = self.value(&parts);
                return Ok(Some(Found { is_same_key, version: Version(version), value }));
            }
            if parts.end == self.records_end {
                return Ok(None);
            }
            start = Start { record: parts.end, value: parts.value.end };
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

/// Goes through a block's records. It is at one of them, or at none.
#[derive(Clone, Debug)]
pub struct BlockCursor {
    block: Block,
    /// Where the record begins that it is at, and what it is.
    at: usize,
    current: Option<Parts>,
    /// How many records were read since the last restart, itself included.
    since_restart: usize,
    /// The restart behind it, and where its record begins; none is behind the last.
    next_restart: usize,
    next_restart_at: Option<usize>,
    key: Vec<u8>,
    version: Version,
}

impl BlockCursor {
    /// A cursor at no record.
    pub fn new(block: Block) -> BlockCursor {
        BlockCursor {
            block,
            at: 0,
            current: None,
            since_restart: 0,
            next_restart: 0,
            next_restart_at: None,
            key: Vec::new(),
            version: Version::ZERO,
        }
    }

    /// The record it is at.
    pub fn record(&self) -> Option<Record<'_>> {
        let parts = self.current.as_ref()?;
        Some(Record { position: self.position(), value: self.block.value(parts) })
    }

    fn position(&self) -> Position<'_> {
        Position { key: &self.key, version: self.version }
    }

    /// Goes to the first record; whether there is one.
    pub fn first(&mut self) -> Result<bool, FrameError> {
        self.enter(0)
    }

    /// Goes to the last record; whether there is one.
    pub fn last(&mut self) -> Result<bool, FrameError> {
        let end = self.block.records_end;
        self.last_before(end)
    }

    /// Goes to the first record that is not before `target`; whether there is one.
    pub fn seek(&mut self, target: Position<'_>) -> Result<bool, FrameError> {
        let restart = self.block.last_restart(|index| Ok(self.block.position_at_restart(index)? < target))?;
        let mut found = self.enter(restart)?;
        while found && self.position() < target {
            found = self.advance()?;
        }
        Ok(found)
    }

    /// Goes to the next record; whether there is one.
    pub fn advance(&mut self) -> Result<bool, FrameError> {
        let Some(parts) = &self.current else { return Ok(false) };
        let next = Start { record: parts.end, value: parts.value.end };
        if next.record == self.block.records_end {
            self.current = None;
            return Ok(false);
        }
        self.read(next)?;
        Ok(true)
    }

    /// Goes to the record before; whether there is one.
    pub fn retreat(&mut self) -> Result<bool, FrameError> {
        if self.current.is_none() {
            return Ok(false);
        }
        self.last_before(self.at)
    }

    /// Goes to the record at a restart; whether there is one.
    fn enter(&mut self, restart: usize) -> Result<bool, FrameError> {
        self.current = None;
        if restart >= self.block.restarts() {
            return Ok(false);
        }
        let start = self.block.restart(restart)?;
        (self.next_restart, self.next_restart_at) = (restart, Some(start.record));
        self.read(start)?;
        Ok(true)
    }

    /// Goes to the last record that begins before `end`, which is the end of a record.
    fn last_before(&mut self, end: usize) -> Result<bool, FrameError> {
        let restart = self.block.last_restart(|index| Ok(self.block.restart(index)?.record < end))?;
        if end == 0 || !self.enter(restart)? {
            self.current = None;
            return Ok(false);
        }
        while let Some(parts) = &self.current
            && parts.end < end
        {
            // A restart that is missing would make going backwards take as long as the block is, for each record.
            if self.since_restart == RESTART_INTERVAL_MAX {
                return Err(FrameError::Malformed);
            }
            self.read(Start { record: parts.end, value: parts.value.end })?;
        }
        // Where records do not end where others begin, it would go nowhere.
        match &self.current {
            Some(parts) if parts.end == end && self.at < end => Ok(true),
            _ => Err(FrameError::Malformed),
        }
    }

    /// Reads the record at `start`, which follows the one that was read last.
    fn read(&mut self, start: Start) -> Result<(), FrameError> {
        self.current = None;
        let mut parts = self.block.parts(start)?;
        if self.next_restart_at == Some(start.record) {
            self.since_restart = 0;
            self.key.clear();
            self.version = Version::ZERO;
            self.next_restart += 1;
            let is_there = self.next_restart < self.block.restarts();
            let next = is_there.then(|| self.block.restart(self.next_restart)).transpose()?;
            self.next_restart_at = next.map(|next| next.record);
        }
        self.since_restart += 1;
        if parts.shared > self.key.len() {
            return Err(FrameError::Malformed);
        }
        self.key.truncate(parts.shared);
        self.key.extend_from_slice(&self.block.bytes[parts.rest.clone()]);
        self.version = Version(self.version.0.wrapping_add(unzigzag(parts.difference) as u64));
        parts.rest = 0..0;
        (self.at, self.current) = (start.record, Some(parts));
        Ok(())
    }
}
