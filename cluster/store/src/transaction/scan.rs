//! The rows of a range, as a transaction sees them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
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
        let mut rows = Vec::new();
        while rows.is_empty() && self.next_into(transaction, Most::rows(BATCH_ROWS), &mut rows).await? {}
        Ok(rows)
    }

    /// Gives `sink` the next rows in order, `most` of them; whether others may follow. Lets others run first. Nothing is copied
    /// on the way, but where the transaction has written in the range.
    pub async fn next_into<S: RowSink>(
        &mut self,
        transaction: &Transaction,
        most: Most,
        sink: &mut S,
    ) -> Result<bool, StoreError> {
        if self.range.is_empty() {
            return Ok(false);
        }
        yield_now().await;
        if !transaction.writes_in(&self.range) {
            let last = transaction.snapshot.read_into(&self.range, self.direction, most, sink).await?;
            return Ok(self.advance(last));
        }
        let mut stored = Vec::new();
        let last = transaction.snapshot.read_into(&self.range, self.direction, most, &mut stored).await?;
        let given = overlay(stored, transaction, &self.covered(last.as_ref()), self.direction, most, sink);
        Ok(self.advance(given.or(last)))
    }

    /// Begins again at `key`, which has been read: the next row is that one.
    pub fn go_back_to(&mut self, key: Arc<[u8]>) {
        match self.direction {
            Direction::Forward => self.range.start = key,
            Direction::Backward => self.range.end = KeyRange::single(&key).end,
        }
    }

    /// The part of the range up to the key `last`, or to its end.
    fn covered(&self, last: Option<&Arc<[u8]>>) -> KeyRange {
        let KeyRange { start, end } = self.range.clone();
        match (last, self.direction) {
            (None, _) => KeyRange { start, end },
            (Some(last), Direction::Forward) => KeyRange { start, end: KeyRange::single(last).end },
            (Some(last), Direction::Backward) => KeyRange { start: last.clone(), end },
        }
    }

    /// Shrinks the range by what has been read from its front, up to the key `last` or to its end; whether others may follow.
    fn advance(&mut self, last: Option<Arc<[u8]>>) -> bool {
        match (&last, self.direction) {
            (None, Direction::Forward) => self.range.start = self.range.end.clone(),
            (None, Direction::Backward) => self.range.end = self.range.start.clone(),
            (Some(last), Direction::Forward) => self.range.start = KeyRange::single(last).end,
            (Some(last), Direction::Backward) => self.range.end = last.clone(),
        }
        last.is_some()
    }
}

/// Gives `sink` the rows of `stored`, which is all that the snapshot holds in `covered`, with what `transaction` has written
/// there over it: `most` of them. Returns the last key given if that was not all: however much has been written since the last
/// row that is stored, no more is taken than is asked for.
fn overlay<S: RowSink>(
    stored: Vec<Row>,
    transaction: &Transaction,
    covered: &KeyRange,
    direction: Direction,
    most: Most,
    sink: &mut S,
) -> Option<Arc<[u8]>> {
    let bounds = (Bound::Included(&covered.start), Bound::Excluded(&covered.end));
    let mut written = transaction.writes.range::<Arc<[u8]>, _>(bounds);
    let next_written = || match direction {
        Direction::Forward => written.next(),
        Direction::Backward => written.next_back(),
    };
    let mut written = core::iter::from_fn(next_written).peekable();
    let is_left = |(key, _): &Row| !transaction.deletes.contains(key);
    let mut stored = stored.into_iter().filter(is_left).peekable();
    let (mut rows, mut len) = (0, 0);
    loop {
        let order = match (stored.peek(), written.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) if direction == Direction::Forward => one.cmp(other),
            (Some((one, _)), Some((other, _))) => (*other).cmp(one),
        };
        let below = if order.is_le() { stored.next() } else { None };
        let next = match order {
            Ordering::Less => below,
            _ => written.next().and_then(|(key, value)| Some((key.clone(), value.clone()?))),
        };
        let Some((key, value)) = next else { continue };
        sink.shared(&key, &value);
        rows += 1;
        len += key.len() + value.len();
        if rows >= most.rows || len >= most.len {
            return Some(key);
        }
    }
}
