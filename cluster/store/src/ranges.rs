//! Sets of keys, as disjoint ranges.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound;

use cluster_format::KeyRange;

/// Keys that have so many bytes in common are of one table, or index: its space and its id.
const TABLE_LEN: usize = 5;

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

    /// Makes fewer ranges by joining neighbours, with what lies between: half as many, or nearly, if most have one in their
    /// own table. What lies between two tables is left alone as long as that helps: it may be a row that everybody writes.
    pub(crate) fn coarsen(&mut self) {
        let count = self.len();
        self.join(|one, next| one.get(..TABLE_LEN).is_some_and(|table| next.starts_with(table)));
        if self.len() > count - count / 4 {
            self.join(|_, _| true);
        }
    }

    /// Joins neighbours two by two, where both of these starts may be in one range.
    fn join(&mut self, may_be_one: impl Fn(&[u8], &[u8]) -> bool) {
        let mut ranges = core::mem::take(&mut self.0).into_iter().peekable();
        while let Some((start, end)) = ranges.next() {
            let next = ranges.next_if(|(next, _)| may_be_one(&start, next));
            let end = next.map_or(end, |(_, next_end)| next_end);
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// The row of a table by its number.
    fn row(table: u8, number: u8) -> KeyRange {
        KeyRange::single(&[1, 0, 0, 0, table, number])
    }

    #[test]
    fn what_lies_between_tables_is_not_joined_as_long_as_that_helps() {
        let mut ranges = Ranges::default();
        // Even tables have many rows that were read; odd ones are what everybody writes.
        for table in [2, 4, 6] {
            (0..21).for_each(|number| ranges.insert(row(table, 2 * number)));
        }
        ranges.coarsen();
        assert_eq!(ranges.len(), 33);
        for table in [1, 3, 5, 7] {
            assert!(!ranges.contains(&row(table, 0).start));
        }
        for table in [2, 4, 6] {
            assert!((0..21).all(|number| ranges.contains(&row(table, 2 * number).start)));
        }
    }

    #[test]
    fn rows_of_as_many_tables_are_joined_all_the_same() {
        let mut ranges = Ranges::default();
        let rows: Vec<KeyRange> = (0..40).map(|table| row(2 * table, 0)).collect();
        rows.iter().for_each(|row| ranges.insert(row.clone()));
        ranges.coarsen();
        assert_eq!(ranges.len(), 20);
        assert!(rows.iter().all(|row| ranges.contains(&row.start)));
    }
}
