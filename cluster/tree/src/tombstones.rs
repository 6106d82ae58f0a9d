//! Ranges of keys that were deleted as a whole.
//!
//! A *range tombstone* hides what was written to its keys before its version from whoever reads at that version or later
//! (as RocksDB's and Pebble's do). There are few of them, since only what would be many deletions becomes one: so all lie
//! in memory, as fragments that do not overlap, and in the manifest. Compactions leave out what everyone sees deleted, tables
//! that hold nothing else go without being read, and a tombstone goes when no table has anything left that it hides.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Version, bounded, shared_bytes};
use serde::{Deserialize, Serialize};

use crate::Position;

/// With so many of them, no more ranges should be deleted: keys one by one. It is not looked at again when a commit is applied,
/// so there may be some more.
pub const RANGE_TOMBSTONES_MAX: usize = 1 << 14;

/// So many there can never be.
const ENCODED_MAX: usize = 8 * RANGE_TOMBSTONES_MAX;

/// Bytes of memory that a fragment takes beyond its keys.
const FRAGMENT_OVERHEAD: usize = 120;

/// A range of keys, and when it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fragment {
    start: Arc<[u8]>,
    end: Arc<[u8]>,
    /// The newest first; at least one.
    versions: Vec<Version>,
}

impl Fragment {
    /// The newest of its versions that somebody sees who reads at `as_of`.
    fn newest(&self, as_of: Version) -> Option<Version> {
        self.versions.iter().copied().find(|version| *version <= as_of)
    }

    /// The same with other bounds, if there is anything between them.
    fn within(&self, start: &Arc<[u8]>, end: &Arc<[u8]>) -> Option<Fragment> {
        let (start, end) = (start.max(&self.start), end.min(&self.end));
        let versions = &self.versions;
        (start < end).then(|| Fragment { start: start.clone(), end: end.clone(), versions: versions.clone() })
    }
}

/// Range tombstones, as fragments: disjoint, ascending, each with all that delete it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Encoded", try_from = "Encoded")]
pub struct RangeTombstones {
    fragments: Vec<Fragment>,
}

impl RangeTombstones {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// How many there are: each version of each fragment.
    pub fn len(&self) -> usize {
        self.fragments.iter().map(|fragment| fragment.versions.len()).sum()
    }

    /// Whether there are more than can be written.
    pub(crate) fn are_too_many(&self) -> bool {
        self.len() > ENCODED_MAX
    }

    /// Their ranges and versions.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyRange, &[Version])> {
        self.fragments.iter().map(|Fragment { start, end, versions }| {
            (KeyRange { start: start.clone(), end: end.clone() }, &versions[..])
        })
    }

    /// About how many bytes of memory they take.
    pub(crate) fn len_bytes(&self) -> usize {
        let versions_len = |fragment: &Fragment| fragment.versions.len() * size_of::<Version>();
        let keys_len = |fragment: &Fragment| fragment.start.len() + fragment.end.len();
        let len = |fragment: &Fragment| keys_len(fragment) + versions_len(fragment) + FRAGMENT_OVERHEAD;
        self.fragments.iter().map(len).sum()
    }

    /// The newest one's version; zero if there is none.
    pub(crate) fn newest(&self) -> Version {
        let newest = self.fragments.iter().filter_map(|fragment| fragment.versions.first()).max();
        newest.copied().unwrap_or_default()
    }

    /// The oldest version behind `after`; none if all are older.
    pub(crate) fn first_behind(&self, after: Version) -> Option<Version> {
        let versions = self.fragments.iter().flat_map(|fragment| fragment.versions.iter());
        versions.filter(|version| **version > after).min().copied()
    }

    /// What was in `range` is deleted by `version`.
    pub fn add(&mut self, range: &KeyRange, version: Version) {
        if range.is_empty() {
            return;
        }
        let KeyRange { start, end } = range;
        let overlapping = self.overlapping(start, end);
        let mut merged: Vec<Fragment> = Vec::new();
        // From where on `range` is not covered by fragments yet.
        let mut rest = start.clone();
        for old in &self.fragments[overlapping.clone()] {
            merged.extend(old.within(&old.start, start));
            if rest < old.start {
                let (start, end) = (rest.clone(), old.start.clone());
                merged.push(Fragment { start, end, versions: [version].into() });
            }
            if let Some(mut both) = old.within(start, end) {
                let at = both.versions.partition_point(|other| *other > version);
                if both.versions.get(at) != Some(&version) {
                    both.versions.insert(at, version);
                }
                rest = both.end.clone();
                merged.push(both);
            }
            merged.extend(old.within(end, &old.end));
        }
        if rest < *end {
            merged.push(Fragment { start: rest, end: end.clone(), versions: [version].into() });
        }
        self.fragments.splice(overlapping, merged);
    }

    /// All of these that are no newer than `newest` as well.
    pub(crate) fn extend(&mut self, others: &RangeTombstones, newest: Version) {
        for Fragment { start, end, versions } in &others.fragments {
            let range = KeyRange { start: start.clone(), end: end.clone() };
            let seen = versions.iter().filter(|version| **version <= newest);
            seen.for_each(|version| self.add(&range, *version));
        }
    }

    /// Those that have keys in `range`.
    pub(crate) fn inside(&self, range: &KeyRange) -> RangeTombstones {
        let fragments = &self.fragments[self.overlapping(&range.start, &range.end)];
        RangeTombstones { fragments: fragments.to_vec() }
    }

    /// A version that has deleted something in `range` after `since`.
    pub(crate) fn newer_inside(&self, range: &KeyRange, since: Version) -> Option<Version> {
        let fragments = &self.fragments[self.overlapping(&range.start, &range.end)];
        fragments
            .iter()
            .flat_map(|fragment| fragment.versions.first().copied())
            .find(|newest| *newest > since)
    }

    /// The last one that has deleted `key` for whoever reads at `as_of`: what was written before is not there.
    pub(crate) fn newest_at(&self, key: &[u8], as_of: Version) -> Option<Version> {
        self.at(key)?.newest(as_of)
    }

    /// Whether one deletes this record for whoever reads at `as_of`.
    pub(crate) fn hides(&self, record: Position<'_>, as_of: Version) -> bool {
        self.newest_at(record.key, as_of).is_some_and(|newest| record.version < newest)
    }

    /// The oldest one that deletes this record, whoever reads.
    pub(crate) fn first_over(&self, record: Position<'_>) -> Option<Version> {
        let versions = &self.at(record.key)?.versions;
        versions.iter().copied().take_while(|version| *version > record.version).last()
    }

    /// Whether all between two keys that was written up to `newest` is deleted for whoever reads at `as_of`.
    pub(crate) fn hide_all(&self, first: &[u8], last: &[u8], newest: Version, as_of: Version) -> bool {
        let mut from = first;
        for fragment in &self.fragments[self.index_from(first)..] {
            let hides =
                *fragment.start <= *from && fragment.newest(as_of).is_some_and(|version| version > newest);
            if !hides {
                return false;
            }
            if *last < *fragment.end {
                return true;
            }
            from = &fragment.end;
        }
        false
    }

    /// Whether one hides something between two keys that may have been written from `oldest` on, from whoever reads at
    /// `as_of`.
    pub(crate) fn hide_any(&self, first: &[u8], last: &[u8], oldest: Version, as_of: Version) -> bool {
        let from = &self.fragments[self.index_from(first)..];
        let overlapping = from.iter().take_while(|fragment| *fragment.start <= *last);
        overlapping.into_iter().any(|fragment| fragment.newest(as_of).is_some_and(|version| version > oldest))
    }

    /// Forgets what makes no difference to whoever reads at `horizon` or later. `may_hide` says whether anything is left in
    /// a range of keys, from the first to before the last, that is older than a version.
    pub(crate) fn settle(&mut self, horizon: Version, may_hide: impl Fn(&[u8], &[u8], Version) -> bool) {
        for Fragment { start, end, versions } in &mut self.fragments {
            let newer = versions.partition_point(|version| *version > horizon);
            // Of those that everyone sees, the newest hides as much as all of them.
            versions.truncate(newer + 1);
            versions.pop_if(|oldest| *oldest <= horizon && !may_hide(start, end, *oldest));
        }
        self.fragments.retain(|fragment| !fragment.versions.is_empty());
        self.fragments.dedup_by(|next, before| {
            let is_same = before.end == next.start && before.versions == next.versions;
            if is_same {
                before.end = next.end.clone();
            }
            is_same
        });
    }

    /// The index of the first fragment that has `key`, or later ones.
    fn index_from(&self, key: &[u8]) -> usize {
        self.fragments.partition_point(|fragment| *fragment.end <= *key)
    }

    fn at(&self, key: &[u8]) -> Option<&Fragment> {
        self.fragments.get(self.index_from(key)).filter(|fragment| *fragment.start <= *key)
    }

    /// The indexes of fragments that have keys from `start` to before `end`.
    fn overlapping(&self, start: &Arc<[u8]>, end: &Arc<[u8]>) -> core::ops::Range<usize> {
        let first = self.index_from(start);
        let len = self.fragments[first..].partition_point(|fragment| fragment.start < *end);
        first..first + len
    }

    /// Whether [`RangeTombstones::add`] can have made them. Bytes of a disk may say anything.
    fn are_well_formed(&self) -> bool {
        let is_whole = |fragment: &Fragment| {
            let descend = fragment.versions.is_sorted_by(|newer, older| newer > older);
            fragment.start < fragment.end && !fragment.versions.is_empty() && descend
        };
        let follow = |pair: &[Fragment]| pair[0].end <= pair[1].start;
        self.fragments.iter().all(is_whole) && self.fragments.windows(2).all(follow)
    }
}

/// A version of a fragment.
#[derive(Serialize, Deserialize)]
struct Tombstone {
    #[serde(with = "shared_bytes")]
    start: Arc<[u8]>,
    #[serde(with = "shared_bytes")]
    end: Arc<[u8]>,
    version: Version,
}

/// As they are encoded: one by one, in order, so that a bound on how many there are bounds the memory they take.
#[derive(Serialize, Deserialize)]
struct Encoded(#[serde(deserialize_with = "bounded::deserialize::<_, _, ENCODED_MAX>")] Vec<Tombstone>);

impl From<RangeTombstones> for Encoded {
    fn from(tombstones: RangeTombstones) -> Encoded {
        let all = tombstones.fragments.into_iter().flat_map(|Fragment { start, end, versions }| {
            let tombstone = move |version| Tombstone { start: start.clone(), end: end.clone(), version };
            versions.into_iter().map(tombstone)
        });
        Encoded(all.collect())
    }
}

impl TryFrom<Encoded> for RangeTombstones {
    type Error = &'static str;

    fn try_from(Encoded(all): Encoded) -> Result<RangeTombstones, &'static str> {
        let mut fragments: Vec<Fragment> = Vec::new();
        for Tombstone { start, end, version } in all {
            match fragments.last_mut() {
                Some(last) if (&last.start, &last.end) == (&start, &end) => last.versions.push(version),
                _ => fragments.push(Fragment { start, end, versions: [version].into() }),
            }
        }
        let tombstones = RangeTombstones { fragments };
        if tombstones.are_well_formed() { Ok(tombstones) } else { Err("range tombstones are out of order") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_format::{decode, encode};
    use proptest::prelude::*;

    fn range(start: u8, end: u8) -> KeyRange {
        KeyRange { start: [start][..].into(), end: [end][..].into() }
    }

    proptest! {
        #[test]
        fn they_hide_what_a_list_of_all_of_them_hides(
            added in proptest::collection::vec((0..12u8, 0..12u8), 0..12),
            split in 0..12usize,
            horizon in 0..14u64,
            written in 0..14u64,
        ) {
            let all: Vec<(KeyRange, Version)> =
                added.iter().zip(1..).map(|((start, end), version)| (range(*start, *end), Version(version))).collect();
            let (earlier, later) = all.split_at(split.min(all.len()));
            let [mut tombstones, more] = [earlier, later].map(|some| {
                let mut tombstones = RangeTombstones::default();
                some.iter().for_each(|(range, version)| tombstones.add(range, *version));
                tombstones
            });
            tombstones.extend(&more, Version(u64::MAX));
            prop_assert_eq!(decode(&encode(&tombstones)), Ok(tombstones.clone()));
            prop_assert_eq!(tombstones.inside(&range(0, 255)), tombstones.clone());
            let covering = |key: u8, as_of: u64| {
                let seen = all.iter().filter(move |(range, version)| range.contains(&[key]) && version.0 <= as_of);
                seen.map(|(_, version)| *version)
            };
            let (written, horizon) = (Version(written), Version(horizon));
            // What is left of the keys has been written by then.
            let is_left = |key: u8| key.is_multiple_of(3);
            let mut settled = tombstones.clone();
            settled.settle(horizon, |start, end, version| {
                version > written && (start[0]..end[0]).any(is_left)
            });
            prop_assert!(settled.are_well_formed());
            for key in 0..12u8 {
                for as_of in 0..14u64 {
                    let newest = covering(key, as_of).max();
                    prop_assert_eq!(tombstones.newest_at(&[key], Version(as_of)), newest);
                    let record = Position { key: &[key], version: written };
                    let is_hidden = newest.is_some_and(|newest| newest > written);
                    prop_assert_eq!(tombstones.hides(record, Version(as_of)), is_hidden);
                    if as_of >= horizon.0 && is_left(key) {
                        prop_assert_eq!(settled.hides(record, Version(as_of)), is_hidden);
                    }
                    let last = key.saturating_add(2).min(11);
                    let is_gone = |key: u8| covering(key, as_of).any(|version| version > written);
                    // Between two keys of one byte lie longer ones, which the first one's ranges have as well.
                    prop_assert_eq!(
                        tombstones.hide_all(&[key], &[last], written, Version(as_of)),
                        (key..=last).all(is_gone)
                    );
                    prop_assert_eq!(
                        tombstones.hide_any(&[key], &[last], written, Version(as_of)),
                        (key..=last).any(is_gone)
                    );
                }
                let first = covering(key, 14).filter(|version| *version > written).min();
                prop_assert_eq!(tombstones.first_over(Position { key: &[key], version: written }), first);
                let since = covering(key, 14).any(|version| version > written);
                prop_assert_eq!(tombstones.newer_inside(&range(key, key + 1), written).is_some(), since);
            }
        }

        #[test]
        fn any_bytes_make_range_tombstones_or_an_error(bytes in proptest::collection::vec(0..4u8, 0..60)) {
            if let Ok(tombstones) = decode::<RangeTombstones>(&bytes) {
                prop_assert!(tombstones.are_well_formed());
            }
        }
    }

    #[test]
    fn more_than_there_may_be_are_refused() {
        let tombstone = |version: usize| Tombstone {
            start: [1][..].into(),
            end: [2][..].into(),
            version: Version(ENCODED_MAX as u64 + 1 - version as u64),
        };
        let of = |count: usize| encode(&Encoded((0..count).map(tombstone).collect()));
        let most = decode::<RangeTombstones>(&of(ENCODED_MAX)).unwrap();
        assert_eq!((most.len(), most.are_too_many()), (ENCODED_MAX, false));
        assert!(decode::<RangeTombstones>(&of(ENCODED_MAX + 1)).is_err());
    }

    #[test]
    fn settling_joins_what_has_become_alike() {
        let mut tombstones = RangeTombstones::default();
        tombstones.add(&range(1, 3), Version(4));
        tombstones.add(&range(3, 5), Version(4));
        tombstones.add(&range(1, 2), Version(2));
        assert_eq!((tombstones.len(), tombstones.fragments.len()), (4, 3));
        tombstones.settle(Version(3), |_, _, _| false);
        assert_eq!(tombstones, {
            RangeTombstones {
                fragments: [Fragment {
                    start: [1][..].into(),
                    end: [5][..].into(),
                    versions: [Version(4)].into(),
                }]
                .into(),
            }
        });
        tombstones.settle(Version(4), |_, _, _| true);
        assert!(!tombstones.is_empty());
        tombstones.settle(Version(4), |_, _, _| false);
        assert!(tombstones.is_empty());
    }
}
