//! Sets of keys, as disjoint ranges.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound;

use cluster_format::KeyRange;

/// Disjoint ranges: start -> end.
#[derive(Clone, Default)]
pub(crate) struct Ranges(BTreeMap<Arc<[u8]>, Arc<[u8]>>);

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let before = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        before.is_some_and(|(_, end)| *key < **end)
    }

    /// Adds a range, and merges it with those that it meets.
    pub(crate) fn insert(&mut self, range: KeyRange) {
        if range.is_empty() {
            return;
        }
        let ranges = &mut self.0;
        let KeyRange { mut start, mut end } = range;
        if let Some((before, before_end)) = ranges.range::<Arc<[u8]>, _>(..=&start).next_back()
            && *before_end >= start
        {
            if *before_end >= end {
                return;
            }
            start = before.clone();
        }
        while let Some((next, next_end)) =
            ranges.range::<Arc<[u8]>, _>((Bound::Included(&start), Bound::Included(&end))).next()
        {
            let next = next.clone();
            if *next_end > end {
                end = next_end.clone();
            }
            ranges.remove(&next);
        }
        ranges.insert(start, end);
    }

    /// Halves the number of ranges by joining neighbours, with what lies between.
    pub(crate) fn coarsen(&mut self) {
        let mut ranges = core::mem::take(&mut self.0).into_iter();
        while let Some((start, end)) = ranges.next() {
            let end = ranges.next().map_or(end, |(_, next_end)| next_end);
            self.0.insert(start, end);
        }
    }
}

impl IntoIterator for Ranges {
    type Item = KeyRange;
    type IntoIter = core::iter::Map<
        alloc::collections::btree_map::IntoIter<Arc<[u8]>, Arc<[u8]>>,
        fn((Arc<[u8]>, Arc<[u8]>)) -> KeyRange,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(start, end)| KeyRange { start, end })
    }
}
