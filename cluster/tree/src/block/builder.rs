//! Writes a block.

use alloc::vec::Vec;

use cluster_format::Version;

use super::{DELETED, FAR, INLINE, RESTART_INTERVAL, RESTART_LEN, TRAILER_LEN, common_len};
use crate::varint::{put, zigzag};
use crate::{Position, Record, Value};

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
            self.restarts.push((self.bytes.len() as u32, self.values.len() as u32));
            self.last_key.clear();
            self.last_version = Version::ZERO;
        }
        let shared = common_len(key, &self.last_key);
        let (kind, bytes) = match value {
            Value::Deleted => (DELETED, &[][..]),
            Value::Inline(bytes) => (INLINE, bytes),
            Value::Far(bytes) => (FAR, bytes),
        };
        put(&mut self.bytes, shared as u64);
        put(&mut self.bytes, (key.len() - shared) as u64);
        self.bytes.extend_from_slice(&key[shared..]);
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
