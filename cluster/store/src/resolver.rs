//! The conflict check: optimistic concurrency control by backward validation (Kung and Robinson, "On
//! Optimistic Methods for Concurrency Control", TODS 1981), on key ranges as in FoundationDB's resolver.
//!
//! A transaction that read at version `r` commits at version `c` only if no entry in `(r, c)` wrote a key
//! it read. Every node keeps the window of recent writes while it applies the ledger, so a new leader can
//! check at once what its predecessor would have.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use cluster_format::limits::RESOLVER_WINDOW_LEN_MAX;
use cluster_format::{Commit, KeyRange, Version};

/// Why a transaction may not commit. Running it again on a new snapshot is the cure for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Something it read was written since, by the entry at this version.
    Written(Version),
    /// Its snapshot is older than the window of recent writes.
    TooOld,
}

/// The window of recent writes: which key was last written by which version.
pub struct Resolver {
    /// Reads at or after this version can be checked.
    horizon: Version,
    last_written: BTreeMap<Arc<[u8]>, Version>,
    /// What each version wrote, oldest first, to forget it by.
    history: VecDeque<(Version, Vec<Arc<[u8]>>)>,
    len: usize,
    len_max: usize,
}

/// Bytes a key costs in the window beyond itself.
const KEY_OVERHEAD: usize = 64;

impl Resolver {
    /// An empty window that can check reads at or after `horizon`.
    pub fn new(horizon: Version) -> Resolver {
        Resolver::with_len_max(horizon, RESOLVER_WINDOW_LEN_MAX)
    }

    /// As [`Resolver::new`], with a window of at most `len_max` bytes.
    pub fn with_len_max(horizon: Version, len_max: usize) -> Resolver {
        Resolver { horizon, last_written: BTreeMap::new(), history: VecDeque::new(), len: 0, len_max }
    }

    /// Whether a transaction that read `reads` at `read_version` may commit now.
    pub fn check(&self, read_version: Version, reads: &[KeyRange]) -> Result<(), Conflict> {
        if reads.is_empty() {
            return Ok(());
        }
        if read_version < self.horizon {
            return Err(Conflict::TooOld);
        }
        let newest_read = self.history.back().map_or(self.horizon, |(version, _)| *version);
        if read_version >= newest_read {
            return Ok(());
        }
        for range in reads.iter().filter(|range| !range.is_empty()) {
            let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
            for (_, written) in self.last_written.range::<Arc<[u8]>, _>(bounds) {
                if *written > read_version {
                    return Err(Conflict::Written(*written));
                }
            }
        }
        Ok(())
    }

    /// Notes what the entry at `version`, newer than all before, wrote.
    pub fn record(&mut self, version: Version, commit: &Commit) {
        let keys: Vec<Arc<[u8]>> = commit.writes.iter().map(|write| write.key.clone()).collect();
        for key in &keys {
            self.len += key.len() + KEY_OVERHEAD;
            self.last_written.insert(key.clone(), version);
        }
        self.history.push_back((version, keys));
        while self.len > self.len_max && self.history.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Forgets every entry up to `version`, without raising the horizon: another window has them.
    pub fn forget_through(&mut self, version: Version) {
        let horizon = self.horizon;
        while self.history.front().is_some_and(|(oldest, _)| *oldest <= version) {
            self.forget_oldest();
        }
        self.horizon = horizon;
    }

    fn forget_oldest(&mut self) {
        let Some((version, keys)) = self.history.pop_front() else { return };
        for key in keys {
            self.len -= key.len() + KEY_OVERHEAD;
            if self.last_written.get(&key) == Some(&version) {
                self.last_written.remove(&key);
            }
        }
        self.horizon = version;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_format::{NodeId, Origin, RequestId, Write};

    fn writing(keys: &[&[u8]]) -> Commit {
        Commit {
            request: RequestId { session: 1, sequence: 1 },
            origin: Origin { node: NodeId(1) },
            read_version: Version::ZERO,
            reads: Vec::new(),
            writes: keys.iter().map(|key| Write { key: (*key).into(), value: None }).collect(),
        }
    }

    #[test]
    fn a_read_conflicts_only_with_later_writes_in_its_range() {
        let mut resolver = Resolver::new(Version::ZERO);
        resolver.record(Version(5), &writing(&[b"b"]));
        let reads = |range: &[u8; 2]| [KeyRange { start: range[..1].into(), end: range[1..].into() }];
        assert_eq!(resolver.check(Version(4), &reads(b"ac")), Err(Conflict::Written(Version(5))));
        assert_eq!(resolver.check(Version(5), &reads(b"ac")), Ok(()));
        assert_eq!(resolver.check(Version(4), &reads(b"ab")), Ok(()));
        assert_eq!(resolver.check(Version(4), &[]), Ok(()));
    }

    #[test]
    fn a_snapshot_older_than_the_window_is_refused_rather_than_guessed_at() {
        let mut resolver = Resolver::with_len_max(Version::ZERO, 2 * (1 + KEY_OVERHEAD));
        for (version, key) in [(1, b"a"), (2, b"b"), (3, b"c")] {
            resolver.record(Version(version), &writing(&[key]));
        }
        assert_eq!(resolver.check(Version(0), &[KeyRange::single(b"z")]), Err(Conflict::TooOld));
        assert_eq!(resolver.check(Version(1), &[KeyRange::single(b"a")]), Ok(()));
        assert_eq!(resolver.check(Version(1), &[KeyRange::single(b"b")]), Err(Conflict::Written(Version(2))));
    }
}
