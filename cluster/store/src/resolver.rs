//! The conflict check: optimistic concurrency control by backward validation (Kung and Robinson, "On
//! Optimistic Methods for Concurrency Control", TODS 1981), on key ranges as in FoundationDB's resolver.
//!
//! A transaction that read at version `r` commits at version `c` only if no entry in `(r, c)` wrote a key
//! it read. What was applied is looked for where it is, in the [memory of the tables](crate::Tables::check), on every
//! node, so that a new leader can check at once what its predecessor would have; what was only appended, here.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use cluster_format::{Commit, KeyRange, Version};

/// Why a transaction may not commit. Running it again on a new snapshot is the cure for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Something it read was written since, by the entry at this version.
    Written(Version),
    /// Its snapshot is older than what is remembered of recent writes.
    TooOld,
}

/// What entries write that are appended, but not applied.
#[derive(Default)]
pub struct Resolver {
    last_written: BTreeMap<Arc<[u8]>, Version>,
    /// What each version writes, oldest first, to forget it by.
    entries: VecDeque<(Version, Vec<Arc<[u8]>>)>,
}

impl Resolver {
    /// Whether a transaction that read `reads` at `read_version` may commit now, as far as these entries go.
    pub fn check(&self, read_version: Version, reads: &[KeyRange]) -> Result<(), Conflict> {
        if self.entries.back().is_none_or(|(newest, _)| read_version >= *newest) {
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

    /// Notes what the entry at `version`, newer than all before, writes.
    pub fn record(&mut self, version: Version, commit: &Commit) {
        let keys: Vec<Arc<[u8]>> = commit.writes.iter().map(|write| write.key.clone()).collect();
        self.last_written.extend(keys.iter().map(|key| (key.clone(), version)));
        self.entries.push_back((version, keys));
    }

    /// Forgets every entry up to `version`: the tables have them.
    pub fn forget_through(&mut self, version: Version) {
        while let Some((oldest, keys)) = self.entries.pop_front_if(|(oldest, _)| *oldest <= version) {
            if self.entries.is_empty() {
                return self.last_written.clear();
            }
            for key in keys {
                if self.last_written.get(&key) == Some(&oldest) {
                    self.last_written.remove(&key);
                }
            }
        }
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
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &writing(&[b"b"]));
        let reads = |range: &[u8; 2]| [KeyRange { start: range[..1].into(), end: range[1..].into() }];
        assert_eq!(resolver.check(Version(4), &reads(b"ac")), Err(Conflict::Written(Version(5))));
        assert_eq!(resolver.check(Version(5), &reads(b"ac")), Ok(()));
        assert_eq!(resolver.check(Version(4), &reads(b"ab")), Ok(()));
        assert_eq!(resolver.check(Version(4), &[]), Ok(()));
    }

    #[test]
    fn what_was_applied_is_forgotten_and_what_came_later_is_not() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &writing(&[b"a", b"b"]));
        resolver.record(Version(6), &writing(&[b"b"]));
        resolver.forget_through(Version(5));
        assert_eq!(resolver.check(Version(4), &[KeyRange::single(b"a")]), Ok(()));
        assert_eq!(resolver.check(Version(4), &[KeyRange::single(b"b")]), Err(Conflict::Written(Version(6))));
        resolver.forget_through(Version(6));
        assert_eq!(resolver.check(Version(4), &[KeyRange::single(b"b")]), Ok(()));
    }
}
