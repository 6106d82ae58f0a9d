//! The conflict check: optimistic concurrency control by backward validation (Kung and Robinson, "On
//! Optimistic Methods for Concurrency Control", TODS 1981), on key ranges as in FoundationDB's resolver.
//!
//! A transaction that read at version `r` commits at version `c` only if no entry in `(r, c)` wrote a key
//! it read. What was applied is looked for where it is, in the [memory of the tables](crate::Tables::check), on every
//! node, so that a new leader can check at once what its predecessor would have; what was only appended, here.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
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

/// An entry that writes more keys is searched by itself: to note them one by one would take longer than its rows took to be
/// read.
const NOTED_WRITES_MAX: usize = 64;

/// What entries write that are appended, but not applied.
#[derive(Default)]
pub struct Resolver {
    /// Of entries that write few keys.
    last_written: BTreeMap<Arc<[u8]>, Version>,
    /// Oldest first.
    entries: VecDeque<Pending>,
}

struct Pending {
    version: Version,
    commit: Arc<Commit>,
    /// It is looked through when a commit is checked.
    is_searched: bool,
}

impl Resolver {
    /// Whether `commit` may be, as far as these entries go.
    pub fn check(&self, commit: &Commit) -> Result<(), Conflict> {
        let since = commit.read_version;
        let reads = || commit.reads.iter().chain(&commit.deletes).filter(|range| !range.is_empty());
        if self.entries.back().is_none_or(|newest| since >= newest.version) {
            return Ok(());
        }
        let ranges = reads().flat_map(|range| {
            let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
            self.last_written.range::<Arc<[u8]>, _>(bounds).map(|(_, version)| *version)
        });
        let keys = commit.writes.iter().filter_map(|write| self.last_written.get(&write.key).copied());
        // The newest, since whoever tries again must see all that it met.
        let noted = ranges.chain(keys).filter(|written| *written > since).max();
        let mut newer = self.entries.iter().rev().take_while(|pending| pending.version > since);
        let searched = newer.find(|Pending { commit: entry, is_searched, .. }| {
            let is_written = || {
                reads().any(|range| writes_inside(entry, range))
                    || commit.writes.iter().any(|write| writes_at(entry, &write.key))
            };
            let is_deleted = |deleted: &KeyRange| {
                reads().any(|range| range.overlaps(deleted))
                    || commit.writes.iter().any(|write| deleted.contains(&write.key))
            };
            entry.deletes.iter().any(is_deleted) || *is_searched && is_written()
        });
        let written = noted.max(searched.map(|pending| pending.version));
        written.map_or(Ok(()), |version| Err(Conflict::Written(version)))
    }

    /// Notes what the entry at `version`, newer than all before, writes.
    pub fn record(&mut self, version: Version, commit: &Arc<Commit>) {
        let is_searched = is_searched(commit);
        if !is_searched {
            self.last_written.extend(commit.writes.iter().map(|write| (write.key.clone(), version)));
        }
        self.entries.push_back(Pending { version, commit: commit.clone(), is_searched });
    }

    /// Forgets every entry up to `version`: the tables have them.
    pub fn forget_through(&mut self, version: Version) {
        while let Some(pending) = self.entries.pop_front_if(|oldest| oldest.version <= version) {
            for write in pending.commit.writes.iter().filter(|_| !pending.is_searched) {
                if self.last_written.get(&write.key) == Some(&pending.version) {
                    self.last_written.remove(&write.key);
                }
            }
        }
    }
}

/// Whether it writes many keys. They come in order, as a transaction has them.
fn is_searched(entry: &Commit) -> bool {
    entry.writes.len() > NOTED_WRITES_MAX && entry.writes.is_sorted_by(|one, next| one.key < next.key)
}

fn writes_inside(entry: &Commit, range: &KeyRange) -> bool {
    let first = entry.writes.partition_point(|write| write.key < range.start);
    entry.writes.get(first).is_some_and(|write| write.key < range.end)
}

fn writes_at(entry: &Commit, key: &[u8]) -> bool {
    entry.writes.binary_search_by(|write| (*write.key).cmp(key)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use cluster_format::{NodeId, Origin, RequestId, Write};

    fn commit(read_version: u64, reads: &[(&[u8], &[u8])], writes: &[&[u8]]) -> Commit {
        Commit {
            request: RequestId { session: 1, sequence: 1 },
            origin: Origin { node: NodeId(1) },
            read_version: Version(read_version),
            reads: reads
                .iter()
                .map(|(start, end)| KeyRange { start: (*start).into(), end: (*end).into() })
                .collect(),
            deletes: Vec::new(),
            writes: writes.iter().map(|key| Write { key: (*key).into(), value: None }).collect(),
        }
    }

    #[test]
    fn a_read_conflicts_only_with_later_writes_in_its_range() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"b"]).into());
        let conflict = Err(Conflict::Written(Version(5)));
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"c")], &[])), conflict);
        assert_eq!(resolver.check(&commit(5, &[(b"a", b"c")], &[])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"b")], &[])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[], &[])), Ok(()));
    }

    #[test]
    fn the_newest_of_conflicts_is_named() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"a"]).into());
        resolver.record(Version(6), &commit(0, &[], &[b"b"]).into());
        resolver.record(Version(7), &commit(0, &[], &[b"c"]).into());
        let newest = Err(Conflict::Written(Version(7)));
        assert_eq!(resolver.check(&commit(4, &[], &[b"a", b"c", b"b"])), newest);
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"z")], &[b"a"])), newest);
    }

    #[test]
    fn what_is_written_counts_as_read() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"b"]).into());
        assert_eq!(resolver.check(&commit(4, &[], &[b"b"])), Err(Conflict::Written(Version(5))));
        assert_eq!(resolver.check(&commit(4, &[], &[b"c"])), Ok(()));
    }

    #[test]
    fn what_is_deleted_as_a_range_counts_as_read_and_written() {
        let mut resolver = Resolver::default();
        let range = |start: &[u8], end: &[u8]| KeyRange { start: start.into(), end: end.into() };
        let deleting =
            |since, start, end| Commit { deletes: [range(start, end)].into(), ..commit(since, &[], &[]) };
        resolver.record(Version(5), &deleting(4, b"b", b"d").into());
        let conflict = Err(Conflict::Written(Version(5)));
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"c")], &[])), conflict);
        assert_eq!(resolver.check(&commit(4, &[], &[b"c"])), conflict);
        assert_eq!(resolver.check(&deleting(4, b"c", b"e")), conflict);
        assert_eq!(resolver.check(&commit(5, &[(b"a", b"c")], &[b"c"])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[(b"a", b"b"), (b"d", b"e")], &[b"d"])), Ok(()));
        resolver.record(Version(6), &commit(0, &[], &[b"x"]).into());
        assert_eq!(resolver.check(&deleting(5, b"w", b"y")), Err(Conflict::Written(Version(6))));
        resolver.forget_through(Version(6));
        assert_eq!(resolver.check(&deleting(4, b"c", b"e")), Ok(()));
    }

    #[test]
    fn what_was_applied_is_forgotten_and_what_came_later_is_not() {
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &commit(0, &[], &[b"a", b"b"]).into());
        resolver.record(Version(6), &commit(0, &[], &[b"b"]).into());
        resolver.forget_through(Version(5));
        assert_eq!(resolver.check(&commit(4, &[], &[b"a"])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[], &[b"b"])), Err(Conflict::Written(Version(6))));
        resolver.forget_through(Version(6));
        assert_eq!(resolver.check(&commit(4, &[], &[b"b"])), Ok(()));
    }

    #[test]
    fn an_entry_that_writes_many_keys_is_searched() {
        let keys: Vec<[u8; 1]> = (0..200).step_by(2).map(|key| [key]).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        let many = Arc::new(commit(0, &[], &keys));
        assert!(is_searched(&many));
        let mut resolver = Resolver::default();
        resolver.record(Version(5), &many);
        resolver.record(Version(6), &commit(0, &[], &[&[250]]).into());
        let conflict = Err(Conflict::Written(Version(5)));
        assert_eq!(resolver.check(&commit(4, &[], &[&[20]])), conflict);
        assert_eq!(resolver.check(&commit(4, &[(&[19], &[21])], &[])), conflict);
        assert_eq!(resolver.check(&commit(4, &[(&[19], &[20])], &[&[21]])), Ok(()));
        assert_eq!(resolver.check(&commit(5, &[(&[19], &[21])], &[])), Ok(()));
        resolver.forget_through(Version(5));
        assert_eq!(resolver.check(&commit(4, &[], &[&[20]])), Ok(()));
        assert_eq!(resolver.check(&commit(4, &[], &[&[250]])), Err(Conflict::Written(Version(6))));
    }
}
