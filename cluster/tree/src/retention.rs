//! Which records still matter.

use cluster_format::Version;

use crate::Position;

/// Decides which records a compaction keeps, in their order. Whoever reads at the horizon or later sees no difference.
pub struct Retention {
    /// The oldest version that may still be read.
    horizon: Version,
    /// Whether no older record of any of the keys lies elsewhere.
    is_oldest: bool,
    key: alloc::vec::Vec<u8>,
    /// The version of the record of `key` that came last; none before the first record.
    last: Option<Version>,
}

impl Retention {
    /// Keeps what reads from `horizon` on may see. Deletions that nobody can see are dropped if `is_oldest` says
    /// that no older record of their keys lies elsewhere.
    pub fn new(horizon: Version, is_oldest: bool) -> Retention {
        Retention { horizon, is_oldest, key: alloc::vec::Vec::new(), last: None }
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
        !hidden && !needless
    }
}
