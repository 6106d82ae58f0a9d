//! One state of the tables, as a value.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use cluster_format::{KeyRange, Version};
use rpds::RedBlackTreeMapSync;

use crate::{Direction, ReadError, Row};

pub(crate) type Map = RedBlackTreeMapSync<Arc<[u8]>, Arc<[u8]>>;

/// The tables as they were after one ledger entry. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) version: Version,
    pub(crate) map: Map,
}

impl Snapshot {
    /// The empty state.
    pub fn empty() -> Snapshot {
        Snapshot { version: Version::ZERO, map: Map::new_sync() }
    }

    /// The version of this state.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.map.size()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The value of `key`. Asynchronous, and it may fail, as a store larger than memory reads its disk.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, ReadError> {
        Ok(self.map.get(key).cloned())
    }

    /// The first `rows_max` rows of `range`, by `direction`.
    pub async fn read(
        &self,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, ReadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(&*range.start), Bound::Excluded(&*range.end));
        let rows = self.map.range::<[u8], _>(bounds);
        let own = |(key, value): (&Arc<[u8]>, &Arc<[u8]>)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => rows.take(rows_max).map(own).collect(),
            Direction::Backward => rows.rev().take(rows_max).map(own).collect(),
        })
    }
}
