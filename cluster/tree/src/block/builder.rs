//! Writes a block.

use alloc::vec::Vec;
use core::ops::Range;

use cluster_format::Version;

use super::{DELETED, FAR, INLINE, RESTART_INTERVAL, RESTART_LEN, TRAILER_LEN, common_len, head_of};
use crate::varint::{put, zigzag};
use crate::{Position, Record, Value};

/// Where a record begins, its value behind all records, and its key.
struct Restart {
    record: u32,
    value: u32,
    key: Range<usize>,
}

/// Collects records, which must come in order.
pub struct BlockBuilder {
    /// Records from one restart to the next.
    interval: usize,
    bytes: Vec<u8>,
    values: Vec<u8>,
    restarts: Vec<Restart>,
    records: usize,
    last_key: Vec<u8>,
    last_version: Version,
}

impl Default for BlockBuilder {
    fn default() -> BlockBuilder {
        BlockBuilder::with_interval(RESTART_INTERVAL)
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
            self.last_key.clear();
            self.last_version = Version::ZERO;
        }
        let shared = common_len(key, &self.last_key);
        let begin = self.bytes.len();
        let (kind, bytes) = match value {
            Value::Deleted => (DELETED, &[][..]),
            Value::Inline(bytes) => (INLINE, bytes),
            Value::Far(bytes) => (FAR, bytes),
        };
        put(&mut self.bytes, shared as u64);
        put(&mut self.bytes, (key.len() - shared) as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        if is_restart {
            let key = self.bytes.len() - key.len()..self.bytes.len();
            self.restarts.push(Restart { record: begin as u32, value: self.values.len() as u32, key });
        }
        put(&mut self.bytes, zigzag(version.0.wrapping_sub(self.last_version.0) as i64));
        put(&mut self.bytes, (bytes.len() as u64) << 2 | kind);
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
        let BlockBuilder { mut bytes, values, restarts, last_key, .. } = core::mem::replace(self, empty);
        let key_of = |restart: &Restart| &bytes[restart.key.clone()];
        // Keys come in order: what the first and the last have in common, all have.
        let prefix_len = restarts.first().map_or(0, |first| common_len(key_of(first), &last_key));
        let heads: Vec<u64> =
            restarts.iter().map(|restart| head_of(&key_of(restart)[prefix_len..])).collect();
        let records_end = bytes.len() as u32;
        bytes.reserve_exact(values.len() + RESTART_LEN * restarts.len() + TRAILER_LEN);
        bytes.extend_from_slice(&values);
        bytes.extend(heads.into_iter().flat_map(u64::to_le_bytes));
        let starts = restarts.iter().flat_map(|restart| [restart.record, restart.value]);
        let trailer = [prefix_len as u32, records_end, restarts.len() as u32];
        bytes.extend(starts.chain(trailer).flat_map(u32::to_le_bytes));
        bytes
    }
}
