//! A transaction: a snapshot, the writes over it, and a note of what was read.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;

use cluster_format::limits::{BATCH_ROWS, KEY_LEN_MAX, READ_RANGES_MAX, ROW_LEN_MAX, TRANSACTION_LEN_MAX};
use cluster_format::{Commit, KeyRange, Origin, RequestId, Version, Write};

use crate::{Direction, Lease, ReadError, Row, Snapshot, yield_now};

/// Why a write was refused, or a read failed. What is too long is the caller's fault and fails alike
/// everywhere; the last two are this node's, and another may manage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The key is longer than [`KEY_LEN_MAX`].
    KeyTooLong {
        /// Its length.
        len: usize,
    },
    /// The value is longer than [`ROW_LEN_MAX`].
    RowTooLong {
        /// Its length.
        len: usize,
    },
    /// The transaction would write more than [`TRANSACTION_LEN_MAX`].
    TransactionTooLong,
    /// The transaction was begun to read only.
    ReadOnly,
    /// The node's memory for sessions is used up for now.
    MemoryFull,
    /// What was asked for cannot be read here.
    Read(ReadError),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::KeyTooLong { len } => {
                write!(f, "a primary key of {len} bytes exceeds the limit of {KEY_LEN_MAX} bytes")
            }
            StoreError::RowTooLong { len } => {
                write!(f, "a row of {len} bytes exceeds the limit of {ROW_LEN_MAX} bytes")
            }
            StoreError::TransactionTooLong => {
                write!(f, "the transaction writes more than the limit of {TRANSACTION_LEN_MAX} bytes")
            }
            StoreError::ReadOnly => write!(f, "a transaction that only reads cannot write"),
            StoreError::MemoryFull => {
                write!(f, "this node's memory for sessions is used up: try again later, or on another node")
            }
            StoreError::Read(error) => write!(f, "{error}"),
        }
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        StoreError::Read(error)
    }
}

/// Disjoint ranges: start -> end.
type Ranges = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

/// A running transaction. Dropping it forgets it: nothing has happened yet.
pub struct Transaction {
    snapshot: Snapshot,
    writes: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    writes_len: usize,
    lease: Lease,
    /// None if nobody will ask.
    reads: Option<Ranges>,
}

impl Transaction {
    /// A transaction that reads `snapshot` and holds what it writes on `lease`.
    pub fn new(snapshot: Snapshot, lease: Lease) -> Transaction {
        let reads = Some(BTreeMap::new());
        Transaction { snapshot, writes: BTreeMap::new(), writes_len: 0, lease, reads }
    }

    /// One that only reads, so that what it reads need not be noted.
    pub fn reading(snapshot: Snapshot, lease: Lease) -> Transaction {
        Transaction { reads: None, ..Transaction::new(snapshot, lease) }
    }

    /// The version it reads at.
    pub fn read_version(&self) -> Version {
        self.snapshot.version()
    }

    /// Whether it has written nothing, so that there is nothing to commit.
    pub fn is_read_only(&self) -> bool {
        self.writes.is_empty()
    }

    /// The value of `key`, its own writes included.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StoreError> {
        if self.reads.is_some() {
            self.note_read(KeyRange::single(key));
        }
        match self.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => Ok(self.snapshot.get(key).await?),
        }
    }

    /// Sets `key` to `value` if it has none; whether it had none.
    pub async fn insert(&mut self, key: &Arc<[u8]>, value: Arc<[u8]>) -> Result<bool, StoreError> {
        check_lens(key, &value)?;
        let is_taken = match self.writes.get(key) {
            Some(written) => written.is_some(),
            None => self.snapshot.get(key).await?.is_some(),
        };
        if is_taken {
            self.note_read(KeyRange::single(key));
            return Ok(false);
        }
        // What is written counts as read; if it cannot be, it was seen to be absent all the same.
        self.write(key, Some(value)).inspect_err(|_| self.note_read(KeyRange::single(key)))?;
        Ok(true)
    }

    /// A scan of `range`, its own writes included. The whole range counts as read.
    pub fn scan(&mut self, range: KeyRange, direction: Direction) -> Scan {
        self.note_read(range.clone());
        Scan { range, direction }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        check_lens(key, value)?;
        self.write(&key.into(), Some(value.into()))
    }

    /// Deletes `key`.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.write(&key.into(), None)
    }

    fn write(&mut self, key: &Arc<[u8]>, value: Option<Arc<[u8]>>) -> Result<(), StoreError> {
        if self.reads.is_none() {
            return Err(StoreError::ReadOnly);
        }
        let len_of = |value: &Option<Arc<[u8]>>| key.len() + value.as_ref().map_or(0, |v| v.len());
        let replaced = self.writes.get(key).map_or(0, len_of);
        let len = self.writes_len - replaced + len_of(&value);
        if len > TRANSACTION_LEN_MAX {
            return Err(StoreError::TransactionTooLong);
        }
        self.lease.resize(len).map_err(|_| StoreError::MemoryFull)?;
        self.writes_len = len;
        self.writes.insert(key.clone(), value);
        Ok(())
    }

    /// What a rollback to here needs; see [`Transaction::restore`]. Costs a copy of the write buffer's
    /// index, not of its values.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { writes: self.writes.clone(), writes_len: self.writes_len }
    }

    /// Undoes every write since `savepoint` was taken. What was read since stays noted.
    pub fn restore(&mut self, savepoint: Savepoint) {
        let undone = core::mem::replace(&mut self.writes, savepoint.writes);
        for key in undone.keys() {
            // Whether it was there may have been seen when it was written.
            if !self.writes.contains_key(key) {
                self.note_read(KeyRange::single(key));
            }
        }
        self.writes_len = savepoint.writes_len;
        // A savepoint holds no more than was held when it was taken, or is held now.
        let _ = self.lease.resize(self.writes_len);
    }

    /// What the leader needs to commit this, and the lease that is to be held until its fate is known.
    pub fn into_commit(self, request: RequestId, origin: Origin) -> (Commit, Lease) {
        let reads = self.reads.into_iter().flatten().map(|(start, end)| KeyRange { start, end }).collect();
        let writes = self.writes.into_iter().map(|(key, value)| Write { key, value }).collect();
        let read_version = self.snapshot.version();
        (Commit { request, origin, read_version, reads, writes }, self.lease)
    }

    /// Merges `range` into the disjoint ranges read so far.
    fn note_read(&mut self, range: KeyRange) {
        let Some(reads) = self.reads.as_mut().filter(|_| !range.is_empty()) else { return };
        let KeyRange { mut start, mut end } = range;
        if let Some((before, before_end)) = reads.range::<Arc<[u8]>, _>(..=&start).next_back()
            && *before_end >= start
        {
            if *before_end >= end {
                return;
            }
            start = before.clone();
        }
        while let Some((next, next_end)) =
            reads.range::<Arc<[u8]>, _>((Bound::Included(&start), Bound::Included(&end))).next()
        {
            let next = next.clone();
            if *next_end > end {
                end = next_end.clone();
            }
            reads.remove(&next);
        }
        reads.insert(start, end);
        if reads.len() > READ_RANGES_MAX {
            coarsen(reads);
        }
    }
}

/// Halves the number of ranges by joining neighbours: a coarser read set can only cause a conflict
/// that was none, never miss one.
fn coarsen(reads: &mut Ranges) {
    let mut ranges = core::mem::take(reads).into_iter();
    while let Some((start, end)) = ranges.next() {
        let end = ranges.next().map_or(end, |(_, next_end)| next_end);
        reads.insert(start, end);
    }
}

fn check_lens(key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    if key.len() > KEY_LEN_MAX {
        return Err(StoreError::KeyTooLong { len: key.len() });
    }
    if value.len() > ROW_LEN_MAX {
        return Err(StoreError::RowTooLong { len: value.len() });
    }
    Ok(())
}

/// The writes of a transaction at some point.
pub struct Savepoint {
    writes: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    writes_len: usize,
}

/// A scan in progress: the part of its range that is still ahead. It sees the writes that its transaction
/// made before each batch, so a statement that changes what it scans collects its changes first.
pub struct Scan {
    range: KeyRange,
    direction: Direction,
}

impl Scan {
    /// The next rows in order, at most [`BATCH_ROWS`]; none at the end. Lets others run first.
    pub async fn next_batch(&mut self, transaction: &Transaction) -> Result<Vec<Row>, StoreError> {
        loop {
            if self.range.is_empty() {
                return Ok(Vec::new());
            }
            yield_now().await;
            let stored = transaction.snapshot.read(&self.range, self.direction, BATCH_ROWS).await?;
            let covered = self.advance(&stored);
            let rows = overlay(stored, &transaction.writes, &covered, self.direction);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    /// Shrinks the range by what `stored`, read from its front, covers, and returns that part.
    fn advance(&mut self, stored: &[Row]) -> KeyRange {
        let whole = KeyRange { start: self.range.start.clone(), end: self.range.end.clone() };
        let last = match stored.last() {
            Some((last, _)) if stored.len() == BATCH_ROWS => last,
            _ => {
                self.range.start = self.range.end.clone();
                return whole;
            }
        };
        match self.direction {
            Direction::Forward => {
                let behind = KeyRange::single(last).end;
                self.range.start = behind.clone();
                KeyRange { start: whole.start, end: behind }
            }
            Direction::Backward => {
                self.range.end = last.clone();
                KeyRange { start: last.clone(), end: whole.end }
            }
        }
    }
}

/// `stored`, which is all that the snapshot holds in `covered`, with `writes` over it.
fn overlay(
    stored: Vec<Row>,
    writes: &BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    covered: &KeyRange,
    direction: Direction,
) -> Vec<Row> {
    let bounds = (Bound::Included(&covered.start), Bound::Excluded(&covered.end));
    let mut written = writes.range::<Arc<[u8]>, _>(bounds).peekable();
    if written.peek().is_none() {
        return stored;
    }
    let mut merged: BTreeMap<Arc<[u8]>, Arc<[u8]>> = stored.into_iter().collect();
    for (key, value) in written {
        match value {
            Some(value) => merged.insert(key.clone(), value.clone()),
            None => merged.remove(key),
        };
    }
    match direction {
        Direction::Forward => merged.into_iter().collect(),
        Direction::Backward => merged.into_iter().rev().collect(),
    }
}
