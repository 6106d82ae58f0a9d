//! Builds a table, record by record.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::Version;
use drivers_api::SECTOR_SIZE;

use crate::filter::{Filter, hash_of};
use crate::{BlockBuilder, Frame, FrameKind, FrameRef, Position, Record, TableHead, TableId, Value};

/// A block of records is closed once it is so long, before compression.
const BLOCK_LEN: usize = 16 << 10;

/// Longer values lie in frames of their own.
const INLINE_LEN_MAX: usize = 8 << 10;

/// More than a record takes beside its key and an inline value: four integers, a restart, a reference.
const RECORD_HEAD_LEN_MAX: usize = 96;

/// Builds a table. Its frames can be taken as they become ready, and lie one behind the other.
pub struct TableBuilder {
    id: TableId,
    /// Where the next frame goes, in sectors.
    offset: u32,
    rows: BlockBuilder,
    index: BlockBuilder,
    /// Of each key, once.
    hashes: Vec<u64>,
    ready: Vec<Frame>,
    first: Option<Arc<[u8]>>,
    last: Vec<u8>,
    records: u64,
    deletions: u64,
    hidden: u64,
    oldest: Version,
    newest: Version,
}

impl TableBuilder {
    /// An empty table, for which `id` was drawn.
    pub fn new(id: TableId) -> TableBuilder {
        TableBuilder {
            id,
            offset: 0,
            rows: BlockBuilder::default(),
            index: BlockBuilder::for_index(),
            hashes: Vec::new(),
            ready: Vec::new(),
            first: None,
            last: Vec::new(),
            records: 0,
            deletions: 0,
            hidden: 0,
            oldest: Version(u64::MAX),
            newest: Version::ZERO,
        }
    }

    /// Adds a record behind all others: `key` was set to `value`, or deleted, by `version`.
    pub fn add(&mut self, key: &[u8], version: Version, value: Option<&[u8]>) {
        if self.first.is_none() || *self.last != *key {
            self.hashes.push(hash_of(key));
            self.last.clear();
            self.last.extend_from_slice(key);
            self.first.get_or_insert_with(|| key.into());
        } else {
            self.hidden += 1;
        }
        let far;
        let stored = match value {
            None => Value::Deleted,
            Some(bytes) if bytes.len() <= INLINE_LEN_MAX => Value::Inline(bytes),
            Some(bytes) => {
                far = self.frame(FrameKind::Value, bytes).to_bytes();
                Value::Far(&far)
            }
        };
        self.rows.add(Record { position: Position { key, version }, value: stored });
        self.records += 1;
        self.deletions += u64::from(value.is_none());
        self.oldest = self.oldest.min(version);
        self.newest = self.newest.max(version);
        if self.rows.len() >= BLOCK_LEN {
            self.close_block();
        }
    }

    /// No more sectors than these will it take, if only a record of `key` and `value` is added yet.
    pub fn sectors_at_most(&self, key: &[u8], value: Option<&[u8]>) -> u32 {
        let record_len = key.len() + value.map_or(0, <[u8]>::len) + RECORD_HEAD_LEN_MAX;
        // The record may be a frame of its own, and so may be what precedes it.
        let rows = sectors_of(self.rows.len()) + 2 * sectors_of(record_len);
        let index = self.index.len() + 2 * (key.len() + self.last.len() + RECORD_HEAD_LEN_MAX);
        self.offset + rows + sectors_of(index) + sectors_of(Filter::len_for(self.hashes.len() + 1))
    }

    /// The frames that are ready, by offset.
    pub fn take_frames(&mut self) -> Vec<Frame> {
        core::mem::take(&mut self.ready)
    }

    /// The table, which must have a record, and its last frames.
    pub fn finish(mut self) -> (TableHead, Vec<Frame>) {
        if !self.rows.is_empty() {
            self.close_block();
        }
        let filter = Filter::build(&self.hashes);
        let filter = self.frame(FrameKind::Filter, &filter);
        let index = self.index.finish();
        let index = self.frame(FrameKind::Index, &index);
        let head = TableHead {
            id: self.id,
            sectors: self.offset,
            records: self.records,
            deletions: self.deletions,
            hidden: self.hidden,
            first: self.first.unwrap_or_default(),
            last: self.last.into(),
            oldest: self.oldest,
            newest: self.newest,
            cleared: Version::ZERO,
            filter,
            index,
        };
        (head, self.ready)
    }

    fn close_block(&mut self) {
        let version = self.rows.last().version;
        let payload = self.rows.finish();
        let reference = self.frame(FrameKind::Rows, &payload).to_bytes();
        let position = Position { key: &self.last, version };
        self.index.add(Record { position, value: Value::Inline(&reference) });
    }

    fn frame(&mut self, kind: FrameKind, payload: &[u8]) -> FrameRef {
        let frame = Frame::build(self.id, self.offset, kind, payload);
        let reference = frame.reference;
        self.offset += reference.sectors;
        self.ready.push(frame);
        reference
    }
}

/// At most so many sectors does a frame take whose payload has `len` bytes.
fn sectors_of(len: usize) -> u32 {
    (len / SECTOR_SIZE) as u32 + 2
}
