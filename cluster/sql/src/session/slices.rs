//! Slices of a long table: ranges of keys, spread evenly over what it takes on the disk, that stand for the rest.
//!
//! How long the rows of a range are on the disk is known from the tree's indexes, without reading the rows. So the key that
//! a given part of the bytes lies before is found by halving the space of keys, as far as their first bytes tell them apart.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::future::Future;

use cluster_format::KeyRange;
use cluster_store::Transaction;

use crate::error::SqlResult;

/// Shorter tables are read as a whole.
pub(super) const WHOLE_LEN_MAX: u64 = 32 << 20;

/// How many slices there are, and about how long each is.
const SLICES: u64 = 128;
const SLICE_LEN: u64 = 64 << 10;

/// Two blocks: lengths are in whole ones.
const SLACK: u64 = 32 << 10;

/// Says how many bytes of the disk the rows of a range take.
pub(super) trait Lengths {
    fn disk_len(&self, range: &KeyRange) -> impl Future<Output = SqlResult<u64>> + Send;
}

impl Lengths for Transaction {
    async fn disk_len(&self, range: &KeyRange) -> SqlResult<u64> {
        Ok(Transaction::disk_len(self, range).await?)
    }
}

/// Slices of `range`, which takes `total` bytes, and how many each takes; none if keys are so alike that there are few.
pub(super) async fn of(
    range: &KeyRange,
    total: u64,
    lengths: &impl Lengths,
) -> SqlResult<Option<Vec<(KeyRange, u64)>>> {
    let mut landmarks = Landmarks { range, lengths, known: BTreeMap::from([(0, 0), (u128::MAX, total)]) };
    let mut slices = Vec::new();
    for slice in 0..SLICES {
        let target = total / SLICES * slice + total / SLICES / 2;
        let (start, before) = landmarks.at(target).await?;
        let (end, through) = landmarks.at(target + SLICE_LEN).await?;
        if start < end && before < through {
            slices
                .push((KeyRange { start: landmarks.key(start), end: landmarks.key(end) }, through - before));
        }
    }
    Ok((slices.len() as u64 >= SLICES / 2).then_some(slices))
}

/// Places in the space of keys, and how many bytes lie before each.
struct Landmarks<'a, L> {
    range: &'a KeyRange,
    lengths: &'a L,
    known: BTreeMap<u128, u64>,
}

impl<L: Lengths> Landmarks<'_, L> {
    /// The key at a place: what all keys of the range begin with, and 16 bytes.
    fn key(&self, place: u128) -> alloc::sync::Arc<[u8]> {
        [&*self.range.start, &place.to_be_bytes()].concat().into()
    }

    /// The last place that is found before which no more than `target` bytes lie, and how many.
    async fn at(&mut self, target: u64) -> SqlResult<(u128, u64)> {
        loop {
            let low = self.known.iter().rev().find(|(_, len)| **len <= target);
            let (low, before) = low.map_or((0, 0), |(place, len)| (*place, *len));
            let high = self.known.range(low..).nth(1).map_or(u128::MAX, |(place, _)| *place);
            if target - before <= SLACK || high - low <= 1 {
                return Ok((low, before));
            }
            let middle = low + (high - low) / 2;
            let range = KeyRange { start: self.range.start.clone(), end: self.key(middle) };
            let len = self.lengths.disk_len(&range).await?;
            self.known.insert(middle, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;
    use crate::key::{table_prefix, table_range};

    /// Rows of one length, by the number that their keys have, in blocks of 16 KiB.
    struct Rows {
        count: u64,
        len: u64,
        key: fn(u64) -> Vec<u8>,
    }

    impl Rows {
        fn before(&self, key: &[u8]) -> u64 {
            let (mut low, mut high) = (0, self.count);
            while low < high {
                let middle = low.midpoint(high);
                if *[table_prefix(7), (self.key)(middle)].concat() < *key {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            low
        }
    }

    impl Lengths for Rows {
        async fn disk_len(&self, range: &KeyRange) -> SqlResult<u64> {
            Ok((self.before(&range.end) - self.before(&range.start)) * self.len / 16384 * 16384)
        }
    }

    fn slices(rows: &Rows) -> Option<Vec<(KeyRange, u64)>> {
        let (range, total) = (table_range(7), rows.count * rows.len);
        let found = pin!(of(&range, total, rows)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(found)) = found else { panic!("nothing is waited for") };
        found
    }

    fn stand_for_all(rows: &Rows) {
        let slices = slices(rows).expect("slices");
        let met: u64 =
            slices.iter().map(|(slice, _)| rows.before(&slice.end) - rows.before(&slice.start)).sum();
        let read: u64 = slices.iter().map(|(_, len)| len).sum();
        assert!(read < rows.count * rows.len / 3, "{read} bytes are read");
        let estimate = met * rows.count * rows.len / read;
        assert!(estimate.abs_diff(rows.count) < rows.count / 5, "{estimate} of {}", rows.count);
        assert!(slices.is_sorted_by(|(one, _), (next, _)| one.end <= next.start), "no row is met twice");
        let last = slices.last().map_or(0, |(slice, _)| rows.before(&slice.start));
        assert!(last > rows.count / 100 * 95, "up to the end");
    }

    #[test]
    fn a_few_rows_stand_for_all() {
        stand_for_all(&Rows { count: 2_000_000, len: 50, key: |at| at.to_be_bytes().to_vec() });
        // Keys that are nowhere near even: most of them close together, behind a long beginning.
        let key = |at: u64| [b"user-0000".to_vec(), (at * at * at).to_be_bytes()[1..].to_vec()].concat();
        stand_for_all(&Rows { count: 400_000, len: 150, key });
    }

    #[test]
    fn keys_that_are_alike_for_long_have_no_slices() {
        let key = |at: u64| [[b'x'; 32].to_vec(), at.to_be_bytes().to_vec()].concat();
        assert_eq!(slices(&Rows { count: 1_000_000, len: 100, key }), None);
    }
}
