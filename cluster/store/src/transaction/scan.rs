//! The rows of a range, as a transaction sees them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use cluster_format::KeyRange;
use cluster_format::limits::BATCH_ROWS;

use super::{StoreError, Transaction};
use crate::{Direction, Most, Row, RowSink, yield_now};

/// A scan in progress: the part of its range that is still ahead. It sees the writes that its transaction
/// made before each batch, so a statement that changes what it scans collects its changes first.
pub struct Scan {
    range: KeyRange,
    direction: Direction,
}

impl Scan {
    pub(super) fn new(range: KeyRange, direction: Direction) -> Scan {
        Scan { range, direction }
    }

    /// The next rows in order, at most [`BATCH_ROWS`]; none at the end. Lets others run first.
    pub async fn next_batch(&mut self, transaction: &Transaction) -> Result<Vec<Row>, StoreError> {
        loop {
            if self.range.is_empty() {
                return Ok(Vec::new());
            }
            yield_now().await;
            let (mut stored, most) = (Vec::new(), Most::rows(BATCH_ROWS));
            let last = transaction.snapshot.read_into(&self.range, self.direction, most, &mut stored).await?;
            let covered = self.advance(last);
            if !transaction.deletes.is_empty() {
                stored.retain(|(key, _)| !transaction.deletes.contains(key));
            }
            let rows = overlay(stored, &transaction.writes, &covered, self.direction);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    /// Gives `sink` the next rows in order, `most` of them; whether others may follow. Lets others run first. Nothing is copied
    /// on the way, but where the transaction has written in the range.
    pub async fn next_into<S: RowSink>(
        &mut self,
        transaction: &Transaction,
        most: Most,
        sink: &mut S,
    ) -> Result<bool, StoreError> {
        if transaction.writes_in(&self.range) {
            let rows = self.next_batch(transaction).await?;
            rows.iter().for_each(|(key, value)| sink.shared(key, value));
            return Ok(!rows.is_empty());
        }
        if self.range.is_empty() {
            return Ok(false);
        }
        yield_now().await;
        let last = transaction.snapshot.read_into(&self.range, self.direction, most, sink).await?;
        let goes_on = last.is_some();
        self.advance(last);
        Ok(goes_on)
    }

    /// Shrinks the range by what has been read from its front, up to the key `last` or to its end, and returns that part.
    fn advance(&mut self, last: Option<Arc<[u8]>>) -> KeyRange {
        let KeyRange { start, end } = self.range.clone();
        match (last, self.direction) {
            (None, _) => {
                self.range.start = end.clone();
                KeyRange { start, end }
            }
            (Some(last), Direction::Forward) => {
                let behind = KeyRange::single(&last).end;
                self.range.start = behind.clone();
                KeyRange { start, end: behind }
            }
            (Some(last), Direction::Backward) => {
                self.range.end = last.clone();
                KeyRange { start: last, end }
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
