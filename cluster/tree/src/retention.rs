//! Which records still matter.

use alloc::vec::Vec;

use cluster_format::Version;

use crate::{Position, RangeTombstones};

/// Decides which records a compaction keeps, in their order. Whoever reads at the horizon or later sees no difference.
pub struct Retention {
    /// The oldest version that may still be read.
    horizon: Version,
    /// Whether no older record of any of the keys lies elsewhere.
    is_oldest: bool,
    tombstones: RangeTombstones,
    cleared: Version,
    key: Vec<u8>,
    /// The version of the record of `key` that came last; none before the first record.
    last: Option<Version>,
}

impl Retention {
    /// Keeps what reads from `horizon` on may see. Deletions that nobody can see are dropped if `is_oldest` says
    /// that no older record of their keys lies elsewhere.
    pub fn new(horizon: Version, is_oldest: bool) -> Retention {
        let (tombstones, cleared) = (RangeTombstones::default(), Version::ZERO);
        Retention { horizon, is_oldest, tombstones, cleared, key: Vec::new(), last: None }
    }

    /// Drops what `tombstones` hide from everyone as well: all there are up to `cleared`, and some that are newer.
    pub fn without_hidden(self, tombstones: RangeTombstones, cleared: Version) -> Retention {
        Retention { tombstones, cleared, ..self }
    }

    /// No range tombstone up to this version hides anything that is kept.
    pub fn cleared(&self) -> Version {
        self.cleared
    }

    /// Whether the next record is kept. The same record may come twice.
    pub fn keeps(&mut self, position: Position<'_>, is_deletion: bool) -> bool {
        let newer = self.last.filter(|_| self.key == position.key);
        if newer.is_none() {
            self.key.clear();
            self.key.extend_from_slice(position.key);
        }
        self.last = Some(position.version);
        let hidden = newer.is_some_and(|newer| newer <= self.horizon || newer == position.version);
        // A deletion that everyone sees is no different from nothing.
        let needless = is_deletion && self.is_oldest && position.version <= self.horizon;
        !hidden && !needless && !self.tombstones.hides(position, self.horizon)
    }
}
