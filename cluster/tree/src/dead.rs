//! Stretches of keys in which nothing is left.
//!
//! A queue is an index whose first entries are deleted as fast as others are added behind them. What is deleted stays where
//! it is for a while, as older versions may still be read: whoever asks for the first entry would go past all those that
//! there were. So a reader that has passed over many keys without a row remembers where, and others begin behind them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use cluster_format::{KeyRange, Version};

/// A reader asks at least so often whether more is known, in keys without a row that it passes over.
pub(crate) const ASKED_EVERY: usize = if cfg!(test) { 2 } else { 16 };

/// So many keys without a row, that nobody knew of, are worth remembering.
pub(crate) const DEAD_MIN: usize = 4 * ASKED_EVERY;

/// Deleted keys of a range, as far as that can be helped. Who writes into a range makes its rear unknown after a few times: that
/// is to cost readers no more than so many keys.
pub(crate) const RANGE_KEYS: usize = 16 * DEAD_MIN;

/// Most ranges that are known. Where there are more, neighbours become one, and then those with the fewest keys give way.
const RANGES_MAX: usize = 512;

/// So many are left then.
const RANGES_KEPT: usize = RANGES_MAX * 3 / 4;

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
    /// The end of the keys without rows that `key` is among, as of `version`; none if none are known.
    pub(crate) fn end_at(&self, key: &[u8], version: Version) -> Option<Arc<[u8]>> {
        let (_, dead) = self.0.range::<[u8], _>(up_to(key)).next_back()?;
        if *key >= *dead.end || version < dead.since {
            return None;
        }
        let mut end = &dead.end;
        while let Some(next) = self.0.get(end).filter(|next| version >= next.since) {
            end = &next.end;
        }
        Some(end.clone())
    }

    /// Nothing is left in `range` since a version, after which nothing was written there, and `keys` of it were not known to
    /// be deleted.
    pub(crate) fn add(&mut self, range: &KeyRange, since: Version, keys: usize) {
        // Of a table that is not in order, perhaps.
        if range.is_empty() {
            return;
        }
        let known = self.take_touching(range);
        // What is known, and the gaps between, in which the keys are; each up to the next.
        let ends = core::iter::once(&range.start).chain(known.iter().map(|(_, dead)| &dead.end));
        let starts = known.iter().map(|(start, _)| start).chain([&range.end]);
        let gaps = ends.zip(starts).filter(|(end, start)| end < start).count();
        let gap = |start, end| (start, DeadRange { end, since, keys: keys / gaps.max(1) });
        let mut pieces = Vec::new();
        let mut at = range.start.clone();
        for (start, dead) in known {
            if at < start {
                pieces.push(gap(at, start.clone()));
            }
            at = dead.end.clone();
            pieces.push((start, dead));
        }
        if at < range.end {
            pieces.push(gap(at, range.end.clone()));
        }
        for (start, dead) in join_neighbours(pieces, RANGE_KEYS) {
            self.insert(start, dead);
        }
    }

    /// Takes out the ranges that overlap `range` or are next to it, in order.
    fn take_touching(&mut self, range: &KeyRange) -> Vec<(Arc<[u8]>, DeadRange)> {
        let mut touching = Vec::new();
        while let Some((start, dead)) = self.0.range::<[u8], _>(up_to(&range.end)).next_back()
            && dead.end >= range.start
        {
            let start = start.clone();
            let Some(dead) = self.0.remove(&start) else { break };
            touching.push((start, dead));
        }
        touching.reverse();
        touching
    }

    /// A row was written at `key`. Nobody knows how many keys lie behind it, and new rows mostly come behind all that were deleted:
    /// what lies there counts for less each time, until it is not worth remembering.
    pub(crate) fn note_written(&mut self, key: &[u8]) {
        let Some((start, dead)) = self.0.range_mut::<[u8], _>(up_to(key)).next_back() else { return };
        if *key >= *dead.end {
            return;
        }
        let KeyRange { start: at, end: behind } = KeyRange::single(key);
        let start = start.clone();
        let end = core::mem::replace(&mut dead.end, at);
        let (since, keys) = (dead.since, dead.keys / 2);
        dead.keys -= keys;
        if *start == *key {
            self.0.remove(&start);
        }
        if keys >= DEAD_MIN && behind < end {
            self.insert(behind, DeadRange { end, since, keys });
        }
    }

    fn insert(&mut self, start: Arc<[u8]>, dead: DeadRange) {
        self.0.insert(start, dead);
        if self.0.len() > RANGES_MAX {
            self.thin();
        }
    }

    /// Makes room for others. Whoever goes through a long range that writers have made unknown finds short ones there again.
    fn thin(&mut self) {
        let all: usize = self.0.values().map(|dead| dead.keys).sum();
        let mut keys_max = RANGE_KEYS;
        while self.0.len() > RANGES_KEPT && keys_max <= all {
            keys_max *= 2;
            self.0 = join_neighbours(core::mem::take(&mut self.0), keys_max).into_iter().collect();
        }
        let mut by_keys: Vec<_> = self.0.iter().map(|(start, dead)| (dead.keys, start.clone())).collect();
        by_keys.sort_unstable();
        for (_, start) in by_keys.iter().take(self.0.len().saturating_sub(RANGES_KEPT)) {
            self.0.remove(start);
        }
    }
}

/// These ranges, in order, but those that are next to each other have become one, as long as that has no more than so many keys.
fn join_neighbours(
    ranges: impl IntoIterator<Item = (Arc<[u8]>, DeadRange)>,
    keys_max: usize,
) -> Vec<(Arc<[u8]>, DeadRange)> {
    let mut joined: Vec<(Arc<[u8]>, DeadRange)> = Vec::new();
    for (start, dead) in ranges {
        match joined.last_mut() {
            Some((_, last)) if last.end == start && last.keys + dead.keys <= keys_max => {
                let (since, keys) = (last.since.max(dead.since), last.keys + dead.keys);
                *last = DeadRange { since, keys, ..dead };
            }
            _ => joined.push((start, dead)),
        }
    }
    joined
}

/// Keys without a row, one behind the other, that a read has passed over.
pub(crate) struct DeadRun {
    /// Those of which nothing was known.
    pub(crate) keys: usize,
    /// From where on there is no row, once that may be worth remembering.
    pub(crate) from: Option<Arc<[u8]>>,
    /// At how many keys it asks whether more is known: soon behind a row or what was known, then less and less often.
    pub(crate) asks_at: usize,
    asks_every: usize,
}

impl Default for DeadRun {
    fn default() -> DeadRun {
        // The first key may well have a row.
        DeadRun { keys: 0, from: None, asks_at: 2, asks_every: 1 }
    }
}

impl DeadRun {
    /// Nothing was known.
    pub(crate) fn asked_in_vain(&mut self) {
        self.asks_at = self.keys + self.asks_every;
        self.asks_every = (2 * self.asks_every).min(ASKED_EVERY);
    }

    /// The key that it is at was known to have no row, and so were some behind it.
    pub(crate) fn has_learned(&mut self) {
        self.keys -= 1;
        (self.asks_at, self.asks_every) = (self.keys + 2, 1);
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

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
        let bytes =
            |number: usize, low: u8| -> Arc<[u8]> { [(number >> 8) as u8, number as u8, low][..].into() };
        for number in 0..=RANGES_MAX {
            let range = KeyRange { start: bytes(number, 0), end: bytes(number, 9) };
            dead.add(&range, Version(1), if number.is_multiple_of(8) { 10 } else { 20 });
        }
        assert_eq!(dead.0.len(), RANGES_KEPT);
        assert!(dead.0.values().all(|dead| dead.keys == 20));
    }

    #[test]
    fn neighbours_become_one_before_any_gives_way() {
        let mut dead = DeadRanges::default();
        let bytes = |number: usize| -> Arc<[u8]> { number.to_be_bytes()[..].into() };
        for number in 0..4 * RANGES_MAX {
            let range = KeyRange { start: bytes(number), end: bytes(number + 1) };
            dead.add(&range, Version(1), RANGE_KEYS);
        }
        assert!(dead.0.len() <= RANGES_MAX);
        assert_eq!(dead.end_at(&bytes(0), Version(1)), Some(bytes(4 * RANGES_MAX)));
    }

    /// The index of tasks that run: writes go round it, from its beginning to its end.
    #[test]
    fn writes_everywhere_leave_most_known() {
        let mut dead = DeadRanges::default();
        for start in (0..240).step_by(10) {
            dead.add(&range(start, start + 10), Version(1), RANGE_KEYS);
        }
        assert_eq!(dead.end_at(&[0], Version(1)).as_deref(), Some(&[240][..]));
        for key in (5..240).step_by(10) {
            dead.note_written(&[key]);
        }
        let known: usize = dead.0.values().map(|dead| dead.keys).sum();
        assert!(known > 20 * RANGE_KEYS, "{known}");
        dead.add(&range(0, 240), Version(2), 240);
        assert_eq!(dead.end_at(&[0], Version(2)).as_deref(), Some(&[240][..]));
        assert!(
            dead.0.len() > 12 && dead.0.values().all(|dead| dead.keys <= 2 * RANGE_KEYS),
            "{}",
            dead.0.len()
        );
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
