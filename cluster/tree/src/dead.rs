//! Stretches of keys in which nothing is left.
//!
//! A queue is an index whose first entries are deleted as fast as others are added behind them. What is deleted stays where
//! it is for a while, as older versions may still be read: whoever asks for the first entry would go past all those that
//! there were. So a reader that has passed over many keys without a row remembers where, and others begin behind them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound;

use cluster_format::{KeyRange, Version};

/// A reader asks whether more is known whenever it has passed over so many keys without a row.
pub(crate) const ASKED_EVERY: usize = if cfg!(test) { 2 } else { 16 };

/// So many keys without a row, that nobody knew of, are worth remembering.
pub(crate) const DEAD_MIN: usize = 4 * ASKED_EVERY;

/// Most ranges that are known. Those with the fewest keys give way.
const RANGES_MAX: usize = 256;

/// Ranges that have had no row since a version, and into which nothing was written since. They do not overlap.
#[derive(Default)]
pub(crate) struct DeadRanges(BTreeMap<Arc<[u8]>, DeadRange>);

struct DeadRange {
    end: Arc<[u8]>,
    since: Version,
    /// About how many deleted keys are in it.
    keys: usize,
}

fn up_to(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(key))
}

impl DeadRanges {
    /// The end of the range without rows that `key` is in, as of `version`; none if none is known.
    pub(crate) fn end_at(&self, key: &[u8], version: Version) -> Option<Arc<[u8]>> {
        let (_, dead) = self.0.range::<[u8], _>(up_to(key)).next_back()?;
        (*key < *dead.end && version >= dead.since).then(|| dead.end.clone())
    }

    /// Nothing is left in `range` since a version, after which nothing was written there, and `keys` of it were not known to
    /// be deleted.
    pub(crate) fn add(&mut self, range: &KeyRange, since: Version, keys: usize) {
        // Of a table that is not in order, perhaps.
        if range.is_empty() {
            return;
        }
        let KeyRange { mut start, mut end } = range.clone();
        let mut dead = DeadRange { end: end.clone(), since, keys };
        while let Some((known, other)) = self.0.range::<[u8], _>(up_to(&end)).next_back()
            && other.end >= start
        {
            let known = known.clone();
            let Some(other) = self.0.remove(&known) else { break };
            (start, end) = (start.min(known), end.max(other.end));
            dead.since = dead.since.max(other.since);
            dead.keys = dead.keys.saturating_add(other.keys);
        }
        dead.end = end;
        self.insert(start, dead);
    }

    /// A row was written at `key`. New rows mostly come behind those that were deleted: what lies behind it counts for less each
    /// time, until it is not worth remembering.
    pub(crate) fn note_written(&mut self, key: &[u8]) {
        let Some((start, dead)) = self.0.range_mut::<[u8], _>(up_to(key)).next_back() else { return };
        if *key >= *dead.end {
            return;
        }
        let KeyRange { start: at, end: behind } = KeyRange::single(key);
        let start = start.clone();
        let end = core::mem::replace(&mut dead.end, at);
        let (since, keys) = (dead.since, dead.keys / 2);
        if *start == *key {
            self.0.remove(&start);
        }
        if keys >= DEAD_MIN && behind < end {
            self.insert(behind, DeadRange { end, since, keys });
        }
    }

    fn insert(&mut self, start: Arc<[u8]>, dead: DeadRange) {
        self.0.insert(start, dead);
        if self.0.len() > RANGES_MAX
            && let Some((least, _)) = self.0.iter().min_by_key(|(_, dead)| dead.keys)
        {
            let least = least.clone();
            self.0.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn range(start: u8, end: u8) -> KeyRange {
        KeyRange { start: [start][..].into(), end: [end][..].into() }
    }

    #[test]
    fn what_is_written_behind_the_deleted_leaves_them_known() {
        let mut dead = DeadRanges::default();
        dead.add(&range(0, 200), Version(1), 1000);
        for key in 100..200 {
            dead.note_written(&[key]);
        }
        assert_eq!(dead.end_at(&[0], Version(1)).as_deref(), Some(&[100][..]));
        assert!(dead.0.len() < 10, "not a piece for each row");
    }

    #[test]
    fn those_with_the_fewest_keys_give_way() {
        let mut dead = DeadRanges::default();
        for number in 0..=RANGES_MAX {
            let bytes = |low: u8| -> Arc<[u8]> { [(number >> 8) as u8, number as u8, low][..].into() };
            let range = KeyRange { start: bytes(0), end: bytes(9) };
            dead.add(&range, Version(1), if number == 3 { 10 } else { 20 });
        }
        assert_eq!(dead.0.len(), RANGES_MAX);
        assert!(dead.end_at(&[0, 3, 0], Version(1)).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn only_what_has_no_rows_is_passed_over(
            steps in proptest::collection::vec((any::<bool>(), 0..30u8, 1..10u8, 1..200usize), 1..60),
        ) {
            // Rows, and the version since which each key has had none.
            let mut rows = BTreeSet::new();
            let mut dead = DeadRanges::default();
            for (version, (writes, key, len, keys)) in (1..).zip(steps) {
                if writes {
                    rows.insert(key);
                    dead.note_written(&[key]);
                } else {
                    rows.retain(|row| !(key..key + len).contains(row));
                    dead.add(&range(key, key + len), Version(version), keys);
                }
                for at in 0..40u8 {
                    let Some(end) = dead.end_at(&[at], Version(version)) else { continue };
                    let passed: Vec<u8> = rows.iter().copied().filter(|row| *row >= at && [*row][..] < *end).collect();
                    prop_assert!(passed.is_empty(), "from {at} to {end:?}: {passed:?}");
                }
                let ends: Vec<_> = dead.0.iter().map(|(start, dead)| (start.clone(), dead.end.clone())).collect();
                prop_assert!(ends.iter().all(|(start, end)| start < end));
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            }
        }
    }
}
