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

use cluster_format::{Commit, Version};

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
    /// Whether `commit` may be, as far as these entries go.
    pub fn check(&self, commit: &Commit) -> Result<(), Conflict> {
        let Commit { read_version, reads, writes, .. } = commit;
        if self.entries.back().is_none_or(|(newest, _)| read_version >= newest) {
            return Ok(());
        }
        let ranges = reads.iter().filter(|range| !range.is_empty()).flat_map(|range| {
            let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
            self.last_written.range::<Arc<[u8]>, _>(bounds).map(|(_, version)| version)
        });
        let keys = writes.iter().filter_map(|write| self.last_written.get(&write.key));
        match ranges.chain(keys).find(|written| *written > read_version) {
            Some(written) => Err(Conflict::Written(*written)),
            None => Ok(()),
        }
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
    use cluster_format::{KeyRange, NodeId, Origin, RequestId, Write};

    fn commit(read_version: u64, reads: &[(&[u8], &[u8])], writes: &[&[u8]]) -> Commit {
        Commit {
            request: RequestId { session: 1, sequence: 1 },
            origin: Origin { node: NodeId(1) },
            read_version: Version(read_version),
            reads: reads
                .iter()
                .map(|(start, end)| KeyRange { start: (*start).into(), end: (*end).into() })
                .collect(),
            writes: writes.iter().map(|key| Write { key: (*key).into(), value: None }).collect(),
        }
    }

    #[test]
    fn a_read_conflicts_only_with_later_writes_in_its_range() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"b"]));
        let conflict = Err(Conflict::Written(Version(5)));
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"c")], &[])), conflict);
        assert_eq!(resolver.check(&commit(5, &[(b"a", b"c")], &[])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"b")], &[])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[], &[])), Ok(()));
    }

    #[test]
    fn what_is_written_counts_as_read() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"b"]));
        assert_eq!(resolver.check(&commit(4, &[], &[b"b"])), Err(Conflict::Written(Version(5))));
        assert_eq!(resolver.check(&commit(4, &[], &[b"c"])), Ok(()));
    }

    #[test]
    fn what_was_applied_is_forgotten_and_what_came_later_is_not() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"a", b"b"]));
        resolver.record(Version(6), &commit(0, &[], &[b"b"]));
        resolver.forget_through(Version(5));
        assert_eq!(resolver.check(&commit(4, &[], &[b"a"])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[], &[b"b"])), Err(Conflict::Written(Version(6))));
        resolver.forget_through(Version(6));
        assert_eq!(resolver.check(&commit(4, &[], &[b"b"])), Ok(()));
    }
}
