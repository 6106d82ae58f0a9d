//! The newest records, in memory until they are made a table.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cmp::Reverse;
use core::ops::Bound;

use cluster_format::Version;
use rpds::RedBlackTreeMapSync;

use crate::{Direction, Position};

/// Bytes a record costs in memory beyond its key and value: tree node, two reference counts each.
const RECORD_OVERHEAD: usize = 144;

/// A [`Position`] that owns its key, ordered alike.
type Place = (Arc<[u8]>, Reverse<Version>);

/// Records in memory. A clone shares them, takes constant time, and never changes.
#[derive(Clone, Default)]
pub struct MemTable {
    records: RedBlackTreeMapSync<Place, Option<Arc<[u8]>>>,
    len: usize,
}

/// Records of a [`MemTable`], in one direction.
pub(crate) type MemRecords<'a> =
    Box<dyn Iterator<Item = (&'a Place, &'a Option<Arc<[u8]>>)> + Send + Sync + 'a>;

impl MemTable {
    /// The last key that is not deleted.
    pub fn last_key(&self) -> Option<Arc<[u8]>> {
        let is_set =
            |key: &&Arc<[u8]>| self.get(key, Version(u64::MAX)).is_some_and(|(_, value)| value.is_some());
        self.records.keys().rev().map(|(key, _)| key).find(is_set).cloned()
    }

    /// `key` was set to `value`, or deleted, by `version`.
    pub fn add(&mut self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        self.len += key.len() + value.as_ref().map_or(0, |value| value.len()) + RECORD_OVERHEAD;
        self.records.insert_mut((key.clone(), Reverse(version)), value);
    }

    /// About how many bytes of memory it takes.
    pub fn len_bytes(&self) -> usize {
        self.len
    }

    /// What `key` was as of `version`, and since when; none if the records do not tell.
    pub fn get(&self, key: &[u8], version: Version) -> Option<(Version, Option<Arc<[u8]>>)> {
        let from = Bound::Included(place(Position { key, version }));
        let ((found, Reverse(since)), value) = self.records.range((from, Bound::Unbounded)).next()?;
        (**found == *key).then(|| (*since, value.clone()))
    }

    /// All records that are not before `target`, or, backwards, those that are.
    pub(crate) fn records(&self, target: Position<'_>, direction: Direction) -> MemRecords<'_> {
        let target = place(target);
        match direction {
            Direction::Forward => Box::new(self.records.range((Bound::Included(target), Bound::Unbounded))),
            Direction::Backward => {
                Box::new(self.records.range((Bound::Unbounded, Bound::Excluded(target))).rev())
            }
        }
    }
}

fn place(position: Position<'_>) -> Place {
    (position.key.into(), Reverse(position.version))
}
