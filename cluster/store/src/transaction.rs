//! A transaction: a snapshot, the writes over it, and a note of what was read.

mod scan;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;

use cluster_format::limits::{
    KEY_LEN_MAX, RANGE_DELETES_MAX, READ_RANGES_MAX, ROW_LEN_MAX, TRANSACTION_LEN_MAX, WRITES_MAX,
};
use cluster_format::{Commit, KeyRange, Origin, RequestId, Version, Write};

pub use self::scan::Scan;
use crate::ranges::Ranges;
use crate::{BlockReads, Direction, Lease, ReadError, Snapshot};

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
    /// The transaction would write more than [`TRANSACTION_LEN_MAX`], or [`WRITES_MAX`] keys.
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
                write!(f, "the transaction writes more than the limit of {TRANSACTION_LEN_MAX} bytes")?;
                write!(f, ", or {WRITES_MAX} rows")
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

/// A running transaction. Dropping it forgets it: nothing has happened yet.
pub struct Transaction {
    snapshot: Snapshot,
    /// Ranges that it has deleted, before what is in `writes`.
    deletes: Ranges,
    writes: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    /// Bytes of both.
    writes_len: usize,
    lease: Lease,
    /// None if nobody will ask.
    reads: Option<Ranges>,
    /// While several statements see the same rows: what of the writes they do not see.
    aside: Option<Aside>,
    /// What it has read of tables, if somebody wants to know.
    block_reads: Option<Arc<BlockReads>>,
}

/// The other one of two states of a transaction's writes: what was there before, or what is there by now.
struct Aside {
    other: Savepoint,
    /// Whether the state that is in force is what was there before.
    is_before: bool,
}

/// The parts of a statement that waits for one within it.
pub struct Parts(Option<(Aside, bool)>);

impl Transaction {
    /// A transaction that reads `snapshot` and holds what it writes on `lease`.
    pub fn new(snapshot: Snapshot, lease: Lease) -> Transaction {
        let reads = Some(Ranges::default());
        let (deletes, writes) = (Ranges::default(), BTreeMap::new());
        Transaction { snapshot, deletes, writes, writes_len: 0, lease, reads, aside: None, block_reads: None }
    }

    /// One that only reads, so that what it reads need not be noted.
    pub fn reading(snapshot: Snapshot, lease: Lease) -> Transaction {
        Transaction { reads: None, ..Transaction::new(snapshot, lease) }
    }

    /// The version it reads at.
    pub fn read_version(&self) -> Version {
        self.snapshot.version()
    }

    /// What it has read of tables, in blocks, since it was first asked.
    pub fn block_reads(&mut self) -> Arc<BlockReads> {
        let reads = self.block_reads.get_or_insert_with(|| {
            let reads = Arc::new(BlockReads::default());
            self.snapshot = self.snapshot.clone().counted(reads.clone());
            reads
        });
        reads.clone()
    }

    /// Whether it has written nothing, so that there is nothing to commit.
    pub fn is_read_only(&self) -> bool {
        self.writes.is_empty() && self.deletes.is_empty()
    }

    /// The value of `key`, its own writes included.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StoreError> {
        if self.reads.is_some() {
            self.note_read(KeyRange::single(key));
        }
        match self.written(key) {
            Some(written) => Ok(written.cloned()),
            None => Ok(self.snapshot.get(key).await?),
        }
    }

    /// The value of `key` in its snapshot, for what may be out of date, such as statistics: the commit does not depend on
    /// it.
    pub async fn peek(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.snapshot.get(key).await?)
    }

    /// About how many bytes of the disk rows in `range` take in its snapshot: see [`Snapshot::disk_len`]. Of what may be out
    /// of date, too.
    pub async fn disk_len(&self, range: &KeyRange) -> Result<u64, StoreError> {
        Ok(self.snapshot.disk_len(range).await?)
    }

    /// How many keys it has written, or ranges deleted, and the bytes of these.
    pub fn written_size(&self) -> (usize, usize) {
        (self.writes.len() + self.deletes.len(), self.writes_len)
    }

    /// The keys that it has written, in order.
    pub fn written_keys(&self) -> impl Iterator<Item = &Arc<[u8]>> {
        self.writes.keys()
    }

    /// What it has made of `key`, if it has.
    fn written(&self, key: &[u8]) -> Option<Option<&Arc<[u8]>>> {
        let written = self.writes.get(key).map(Option::as_ref);
        written.or_else(|| self.deletes.contains(key).then_some(None))
    }

    /// Whether it may have written something in `range`.
    fn writes_in(&self, range: &KeyRange) -> bool {
        !self.deletes.is_empty() || (!self.writes.is_empty() && self.has_written(range))
    }

    /// Whether it has written a key in `range`; ranges that it deletes do not count.
    pub fn has_written(&self, range: &KeyRange) -> bool {
        let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
        !range.is_empty() && self.writes.range::<Arc<[u8]>, _>(bounds).next().is_some()
    }

    /// Sets `key` to `value` if it has none; whether it had none.
    pub async fn insert(&mut self, key: &Arc<[u8]>, value: Arc<[u8]>) -> Result<bool, StoreError> {
        check_lens(key, &value)?;
        let is_taken = match self.written(key) {
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
        Scan::new(range, direction)
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

    /// Deletes all keys in `range` at once, however many there are; whether it may. If not, there are too many ranges, and keys
    /// are to be deleted one by one.
    pub fn delete_range(&mut self, range: &KeyRange) -> Result<bool, StoreError> {
        if self.reads.is_none() {
            return Err(StoreError::ReadOnly);
        }
        if range.is_empty() {
            return Ok(true);
        }
        if self.deletes.len() >= RANGE_DELETES_MAX || self.snapshot.has_many_range_deletes() {
            return Ok(false);
        }
        let longest = range.start.len().max(range.end.len());
        if longest > KEY_LEN_MAX + 1 {
            return Err(StoreError::KeyTooLong { len: longest });
        }
        let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
        let written = self.writes.range::<Arc<[u8]>, _>(bounds);
        let written: Vec<Arc<[u8]>> = written.map(|(key, _)| key.clone()).collect();
        let undone: usize = written.iter().map(|key| self.write_len(key)).sum();
        self.resize(self.writes_len - undone + range.start.len() + range.end.len())?;
        written.iter().for_each(|key| _ = self.writes.remove(key));
        self.deletes.insert(range.clone());
        Ok(true)
    }

    fn write(&mut self, key: &Arc<[u8]>, value: Option<Arc<[u8]>>) -> Result<(), StoreError> {
        if self.reads.is_none() {
            return Err(StoreError::ReadOnly);
        }
        if self.writes.len() >= WRITES_MAX && !self.writes.contains_key(key) {
            return Err(StoreError::TransactionTooLong);
        }
        let len = key.len() + value.as_ref().map_or(0, |value| value.len());
        self.resize(self.writes_len - self.write_len(key) + len)?;
        self.writes.insert(key.clone(), value);
        Ok(())
    }

    /// Bytes that what it has written to `key` takes.
    fn write_len(&self, key: &Arc<[u8]>) -> usize {
        let len = |value: &Option<Arc<[u8]>>| key.len() + value.as_ref().map_or(0, |value| value.len());
        self.writes.get(key).map_or(0, len)
    }

    /// Makes room for so many bytes of writes.
    fn resize(&mut self, len: usize) -> Result<(), StoreError> {
        if len > TRANSACTION_LEN_MAX {
            return Err(StoreError::TransactionTooLong);
        }
        self.lease.resize(len).map_err(|_| StoreError::MemoryFull)?;
        self.writes_len = len;
        Ok(())
    }

    /// What a rollback to here needs; see [`Transaction::restore`]. Costs a copy of the write buffer's
    /// index, not of its values.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { deletes: self.deletes.clone(), writes: self.writes.clone(), writes_len: self.writes_len }
    }

    /// Undoes every write since `savepoint` was taken. What was read since stays noted.
    pub fn restore(&mut self, savepoint: Savepoint) {
        let deletes = core::mem::replace(&mut self.deletes, savepoint.deletes);
        deletes.into_iter().for_each(|range| self.note_read(range));
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

    /// From here to [`Transaction::end_parts`], several statements see what there is now: [`Transaction::see_before`] lets
    /// the next one read, and [`Transaction::see_now`] write.
    pub fn begin_parts(&mut self) {
        self.aside = Some(Aside { other: self.savepoint(), is_before: false });
    }

    /// Whether several statements see the same rows.
    pub fn has_parts(&self) -> bool {
        self.aside.is_some()
    }

    /// What is read is as it was before the first of these statements.
    pub fn see_before(&mut self) {
        self.see(true);
    }

    /// What is read is what there is by now; whoever writes must see it.
    pub fn see_now(&mut self) {
        self.see(false);
    }

    fn see(&mut self, before: bool) {
        if let Some(aside) = &mut self.aside
            && aside.is_before != before
        {
            aside.is_before = before;
            core::mem::swap(&mut self.deletes, &mut aside.other.deletes);
            core::mem::swap(&mut self.writes, &mut aside.other.writes);
            core::mem::swap(&mut self.writes_len, &mut aside.other.writes_len);
        }
    }

    /// Whether one of these statements has written `key`.
    pub fn has_changed(&self, key: &[u8]) -> bool {
        let Some(Aside { other, .. }) = &self.aside else { return false };
        let before = other.writes.get(key).map(Option::as_ref);
        let before = before.or_else(|| other.deletes.contains(key).then_some(None));
        before != self.written(key)
    }

    /// A statement within one of these begins: it sees what there is by now, and may have parts of its own. What is returned
    /// is to be [brought back](Transaction::bring_parts_back) behind it.
    pub fn put_parts_aside(&mut self) -> Parts {
        let is_before = self.aside.as_ref().is_some_and(|aside| aside.is_before);
        self.see_now();
        Parts(self.aside.take().map(|aside| (aside, is_before)))
    }

    /// The statement within is through.
    pub fn bring_parts_back(&mut self, parts: Parts) {
        self.end_parts();
        if let Some((aside, is_before)) = parts.0 {
            self.aside = Some(aside);
            self.see(is_before);
        }
    }

    /// The last of these statements has been run.
    pub fn end_parts(&mut self) {
        self.see_now();
        self.aside = None;
    }

    /// What the leader needs to commit this, and the lease that is to be held until its fate is known.
    pub fn into_commit(self, request: RequestId, origin: Origin) -> (Commit, Lease) {
        let reads = self.reads.into_iter().flatten().collect();
        let deletes = self.deletes.into_iter().collect();
        let writes = self.writes.into_iter().map(|(key, value)| Write { key, value }).collect();
        let read_version = self.snapshot.version();
        (Commit { request, origin, read_version, reads, deletes, writes }, self.lease)
    }

    /// `range` counts as read.
    fn note_read(&mut self, range: KeyRange) {
        let Some(reads) = &mut self.reads else { return };
        reads.insert(range);
        if reads.len() > READ_RANGES_MAX {
            // A coarser read set can only cause a conflict that was none, never miss one.
            reads.coarsen();
        }
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
    deletes: Ranges,
    writes: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    writes_len: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryPool, Tables};

    #[test]
    fn a_transaction_writes_no_more_rows_than_an_entry_may_have() {
        let pool = MemoryPool::new(TRANSACTION_LEN_MAX);
        let mut transaction = Transaction::new(Tables::in_memory().snapshot(), pool.lease());
        let key = |number: usize| (number as u32).to_be_bytes();
        for number in 0..WRITES_MAX {
            assert_eq!(transaction.delete(&key(number)), Ok(()));
        }
        assert_eq!(transaction.delete(&key(WRITES_MAX)), Err(StoreError::TransactionTooLong));
        assert_eq!(transaction.put(&key(7), b"again"), Ok(()));
    }
}
