//! The newest records, in memory until they are made a table.
//!
//! Records never change, and what is added is newer than all that is there. So a snapshot needs no copy: it shares the
//! records, and looks at none that are newer than itself.

use alloc::borrow::Borrow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};
use core::ops::Bound;

use cluster_format::{KeyRange, Version};
use spin::Mutex;

use crate::{DeadRanges, Direction, Position, RangeTombstones};

/// Bytes a record costs in memory beyond its key and value: its share of a node that is two thirds full, and two
/// allocations with two reference counts each.
const RECORD_OVERHEAD: usize = 144;

/// A [`Position`] that owns its key, ordered alike: the key's first bytes as a number come first, so that hardly any
/// comparison has to look at the key itself, which lies elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    head: u128,
    key: Arc<[u8]>,
    version: Reverse<Version>,
}

/// The first bytes of a key, as a number that is ordered as they are.
fn head_of(key: &[u8]) -> u128 {
    let mut head = [0; 16];
    let len = key.len().min(head.len());
    head[..len].copy_from_slice(&key[..len]);
    u128::from_be_bytes(head)
}

/// What is compared of a place, whoever owns the key: a map of places can be searched without making one.
trait Placed {
    fn parts(&self) -> (u128, &[u8], Reverse<Version>);
}

impl Placed for Place {
    fn parts(&self) -> (u128, &[u8], Reverse<Version>) {
        (self.head, &self.key, self.version)
    }
}

/// A [`Position`] that is looked for.
struct Sought<'a> {
    head: u128,
    position: Position<'a>,
}

impl<'a> Sought<'a> {
    fn new(position: Position<'a>) -> Sought<'a> {
        Sought { head: head_of(position.key), position }
    }

    fn as_placed(&self) -> &(dyn Placed + 'a) {
        self
    }
}

impl Placed for Sought<'_> {
    fn parts(&self) -> (u128, &[u8], Reverse<Version>) {
        (self.head, self.position.key, Reverse(self.position.version))
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Placed + '_ {}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl<'a> Borrow<dyn Placed + 'a> for Place {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

/// Records in memory.
#[derive(Clone, Default)]
pub(crate) struct Records {
    by_place: BTreeMap<Place, Option<Arc<[u8]>>>,
    len: usize,
    /// What hides records of these, and of older ones elsewhere.
    tombstones: RangeTombstones,
    newest: Version,
    /// Zero as long as there is none.
    oldest: Version,
}

impl Records {
    /// `key` was set to `value`, or deleted, by `version`.
    pub(crate) fn add(&mut self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        self.len += Records::len_of(key, &value);
        self.newest = self.newest.max(version);
        self.oldest = if self.by_place.is_empty() { version } else { self.oldest.min(version) };
        let place = Place { head: head_of(key), key: key.clone(), version: Reverse(version) };
        self.by_place.insert(place, value);
    }

    /// What was in `range` was deleted by `version`.
    fn delete_range(&mut self, range: &KeyRange, version: Version) {
        let before = self.tombstones.len_bytes();
        self.tombstones.add(range, version);
        self.len += self.tombstones.len_bytes().saturating_sub(before);
        self.newest = self.newest.max(version);
    }

    /// About how many bytes of memory a record takes.
    pub(crate) fn len_of(key: &[u8], value: &Option<Arc<[u8]>>) -> usize {
        key.len() + value.as_ref().map_or(0, |value| value.len()) + RECORD_OVERHEAD
    }

    /// About how many bytes of memory they take.
    pub(crate) fn len_bytes(&self) -> usize {
        self.len
    }

    /// What `key` was as of `version`, and since when; none if they do not tell.
    pub(crate) fn get(&self, key: &[u8], version: Version) -> Option<(Version, Option<Arc<[u8]>>)> {
        let target = Position { key, version };
        let next = self.between(Bound::Included(target), Bound::Unbounded).next();
        let found = next.filter(|(place, _)| *place.key == *key);
        match self.tombstones.newest_at(key, version) {
            Some(deleted) if found.is_none_or(|(place, _)| place.version.0 < deleted) => {
                Some((deleted, None))
            }
            _ => found.map(|(place, value)| (place.version.0, value.clone())),
        }
    }

    fn between(
        &self,
        from: Bound<Position<'_>>,
        to: Bound<Position<'_>>,
    ) -> impl DoubleEndedIterator<Item = (&Place, &Option<Arc<[u8]>>)> {
        let (from, to) = (from.map(Sought::new), to.map(Sought::new));
        let bounds = (from.as_ref().map(Sought::as_placed), to.as_ref().map(Sought::as_placed));
        self.by_place.range::<dyn Placed, _>(bounds)
    }
}

/// Keys of a piece of [`ByVersion`].
const PIECE_KEYS: usize = 256;

/// Which keys were written, by ascending version. It is in pieces, so that it grows without being moved, and needs no long
/// stretch of memory.
#[derive(Default)]
struct ByVersion(Vec<Vec<(Version, Arc<[u8]>)>>);

impl ByVersion {
    fn push(&mut self, version: Version, key: Arc<[u8]>) {
        match self.0.last_mut() {
            Some(piece) if piece.len() < PIECE_KEYS => piece.push((version, key)),
            _ => {
                let mut piece = Vec::with_capacity(PIECE_KEYS);
                piece.push((version, key));
                self.0.push(piece);
            }
        }
    }

    /// About how many bytes of memory it takes.
    fn len_bytes(&self) -> usize {
        let last = self.0.last().map_or(0, |piece| PIECE_KEYS - piece.len());
        (self.0.len() * PIECE_KEYS - last) * size_of::<(Version, Arc<[u8]>)>()
    }

    /// What was written behind `since`, the newest first.
    fn since(&self, since: Version) -> impl Iterator<Item = &(Version, Arc<[u8]>)> {
        self.0.iter().rev().flat_map(|piece| piece.iter().rev()).take_while(move |added| added.0 > since)
    }
}

/// Records, and what was written when.
#[derive(Default)]
struct Added {
    records: Records,
    by_version: ByVersion,
    /// What readers have found, in these and in whatever is older.
    dead: DeadRanges,
}

/// What was written to a part of memory since a version.
pub struct WrittenSince<'a> {
    added: &'a Added,
    since: Version,
}

impl WrittenSince<'_> {
    /// A version that has written a key in `range`. It goes through the range and through what was written since, step by
    /// step, until either is at its end: a wide range costs no more than what is new, and a lot that is new no more than the
    /// range.
    pub fn inside(&self, range: &KeyRange) -> Option<Version> {
        if range.is_empty() {
            return None;
        }
        let start = Bound::Included(Position::first_of(&range.start));
        let end = Bound::Excluded(Position::first_of(&range.end));
        let places = self.added.records.between(start, end).map(|(place, _)| place.version.0);
        let written = self.added.by_version.since(self.since);
        let found = places.zip(written).find_map(|(there, (version, key))| {
            let newest = if range.contains(key) { *version } else { there };
            (newest > self.since).then_some(newest)
        });
        found.or_else(|| self.added.records.tombstones.newer_inside(range, self.since))
    }

    /// A version that has written `key`.
    pub fn at(&self, key: &[u8]) -> Option<Version> {
        let (newest, _) = self.added.records.get(key, Version(u64::MAX))?;
        (newest > self.since).then_some(newest)
    }
}

/// A record of a [`MemTable`].
pub(crate) struct MemRecord {
    key: Arc<[u8]>,
    version: Version,
    pub(crate) value: Option<Arc<[u8]>>,
}

impl MemRecord {
    pub(crate) fn position(&self) -> Position<'_> {
        Position { key: &self.key, version: self.version }
    }
}

/// Records in memory, to which newer ones may be added. Clones share them.
#[derive(Clone, Default)]
pub struct MemTable {
    added: Arc<Mutex<Added>>,
}

/// Records to be read; nobody asks when they were written.
impl From<Records> for MemTable {
    fn from(records: Records) -> MemTable {
        MemTable { added: Arc::new(Mutex::new(Added { records, ..Added::default() })) }
    }
}

impl MemTable {
    /// `key` was set to `value`, or deleted, by `version`, which is no older than any before.
    pub fn add(&self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        let mut added = self.added.lock();
        if value.is_some() {
            added.dead.note_written(key);
        }
        added.records.add(key, version, value);
        added.by_version.push(version, key.clone());
    }

    /// Nothing is added to these any more, but to the ones that are returned, from now on.
    pub(crate) fn succeed(&self) -> MemTable {
        let dead = core::mem::take(&mut self.added.lock().dead);
        MemTable { added: Arc::new(Mutex::new(Added { dead, ..Added::default() })) }
    }

    /// The end of the range without rows that `key` is in, as of `version`, if one is known.
    pub(crate) fn dead_end(&self, key: &[u8], version: Version) -> Option<Arc<[u8]>> {
        self.added.lock().dead.end_at(key, version)
    }

    /// Nothing is left in `range` as of `version`, and whatever was written since is in these records: that is remembered, if
    /// none of it is in the range. `keys` of those in it were not known to be deleted.
    pub(crate) fn note_dead(&self, range: &KeyRange, version: Version, keys: usize) {
        let mut added = self.added.lock();
        let written = WrittenSince { added: &added, since: version }.inside(range);
        if written.is_none() {
            added.dead.add(range, version, keys);
        }
    }

    /// What was in `range` was deleted by `version`, which is no older than any before. What that version writes itself is
    /// added afterwards.
    pub(crate) fn delete_range(&self, range: &KeyRange, version: Version) {
        self.added.lock().records.delete_range(range, version);
    }

    /// What hides records in `range`, those that were added later included.
    pub(crate) fn tombstones_in(&self, range: &KeyRange) -> RangeTombstones {
        self.added.lock().records.tombstones.inside(range)
    }

    /// All of them.
    pub(crate) fn tombstones(&self) -> RangeTombstones {
        self.added.lock().records.tombstones.clone()
    }

    /// About how many bytes of memory it takes.
    pub fn len_bytes(&self) -> usize {
        let added = self.added.lock();
        added.records.len_bytes() + added.by_version.len_bytes()
    }

    /// The newest version that has added a record; zero if there is none.
    pub(crate) fn newest(&self) -> Version {
        self.added.lock().records.newest
    }

    /// What `key` was as of `version`, and since when; none if the records do not tell.
    pub fn get(&self, key: &[u8], version: Version) -> Option<(Version, Option<Arc<[u8]>>)> {
        self.added.lock().records.get(key, version)
    }

    /// What `look` finds in what was written since; it is not asked if nothing was.
    pub(crate) fn written_since(
        &self,
        since: Version,
        look: impl Fn(&WrittenSince<'_>) -> Option<Version>,
    ) -> Option<Version> {
        let added = self.added.lock();
        if added.records.newest > since { look(&WrittenSince { added: &added, since }) } else { None }
    }

    /// The first records, `count` at most, that are not before `target`, or, if that is excluded, behind it; backwards, the
    /// last ones that are before it. None of them is newer than `newest`, or on the far side of `far`.
    pub(crate) fn read(
        &self,
        target: Bound<Position<'_>>,
        far: Bound<Position<'_>>,
        direction: Direction,
        newest: Version,
        count: usize,
    ) -> Vec<MemRecord> {
        let records = &self.added.lock().records;
        if newest < records.oldest {
            return Vec::new();
        }
        let hold = |(place, value): (&Place, &Option<Arc<[u8]>>)| MemRecord {
            key: place.key.clone(),
            version: place.version.0,
            value: value.clone(),
        };
        let is_seen = |(place, _): &(&Place, &Option<Arc<[u8]>>)| place.version.0 <= newest;
        match direction {
            Direction::Forward => {
                let found = records.between(target, far);
                found.filter(is_seen).take(count).map(hold).collect()
            }
            Direction::Backward => {
                let found = records.between(far, target).rev();
                found.filter(is_seen).take(count).map(hold).collect()
            }
        }
    }

    /// The last key that is not deleted.
    pub fn last_key(&self) -> Option<Arc<[u8]>> {
        let records = &self.added.lock().records;
        let is_set =
            |key: &&Arc<[u8]>| records.get(key, Version(u64::MAX)).is_some_and(|(_, value)| value.is_some());
        records.by_place.keys().rev().map(|place| &place.key).find(is_set).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_added_later_is_not_seen_as_of_a_version_before() {
        let table = MemTable::default();
        let key: Arc<[u8]> = b"k"[..].into();
        table.add(&key, Version(1), Some([1][..].into()));
        let one = table.clone();
        table.add(&key, Version(2), None);
        assert_eq!(one.get(&key, Version(1)), Some((Version(1), Some([1][..].into()))));
        let start = Bound::Included(Position::first_of(&[]));
        let seen = one.read(start, Bound::Unbounded, Direction::Forward, Version(1), 10);
        assert_eq!(seen.iter().map(|record| record.version).collect::<Vec<_>>(), [Version(1)]);
    }

    #[test]
    fn what_was_written_while_a_reader_passed_is_not_passed_over() {
        let (table, range) = (MemTable::default(), KeyRange { start: [1][..].into(), end: [9][..].into() });
        table.add(&[5][..].into(), Version(3), Some([1][..].into()));
        table.note_dead(&range, Version(2), 100);
        assert_eq!(table.dead_end(&[1], Version(4)), None);
        table.add(&[5][..].into(), Version(4), None);
        table.note_dead(&range, Version(4), 100);
        assert_eq!(table.dead_end(&[1], Version(4)).as_deref(), Some(&[9][..]));
        assert_eq!(table.dead_end(&[1], Version(3)), None, "it was there then");
        assert_eq!(table.succeed().dead_end(&[1], Version(4)).as_deref(), Some(&[9][..]));
    }

    proptest! {
        #[test]
        fn heads_are_ordered_as_keys_are(
            one in proptest::collection::vec(0..3u8, 0..20),
            other in proptest::collection::vec(0..3u8, 0..20),
        ) {
            let place = |key: &[u8]| Place { head: head_of(key), key: key.into(), version: Reverse(Version(1)) };
            prop_assert_eq!(place(&one).cmp(&place(&other)), one.cmp(&other));
        }

        #[test]
        fn a_write_is_found_in_its_range(
            changes in proptest::collection::vec((0..20u8, 1..9u64), 0..20),
            start in 0..20u8,
            len in 0..20u8,
            since in 0..9u64,
        ) {
            let mut changes = changes;
            changes.sort_by_key(|(_, version)| *version);
            let table = MemTable::default();
            for (key, version) in &changes {
                table.add(&[*key][..].into(), Version(*version), None);
            }
            let range = KeyRange { start: [start][..].into(), end: [start + len][..].into() };
            let expected = changes.iter().any(|(key, version)| range.contains(&[*key]) && *version > since);
            let added = table.added.lock();
            let written = WrittenSince { added: &added, since: Version(since) };
            let found = written.inside(&range);
            prop_assert!(found.is_none_or(|version| version > Version(since)));
            prop_assert_eq!(found.is_some(), expected);
            let expected = changes.iter().any(|(key, version)| *key == start && *version > since);
            prop_assert_eq!(written.at(&[start]).is_some(), expected);
        }
    }
}
