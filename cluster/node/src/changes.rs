//! How much of each table has changed since it was analyzed: when it is to be analyzed again.
//!
//! Every node counts what it applies, and the leader does something about it: one table at a time, with a pause after each.
//! Counts are in memory: a cluster that begins anew counts anew, and a change may be counted again where somebody has
//! analyzed meanwhile. PostgreSQL's rule is meant roughly there, too.

use alloc::collections::BTreeMap;
use core::time::Duration;

use cluster_format::Commit;
use cluster_sql::catalog::analyzed;
use cluster_sql::key::table_id;
use drivers_api::{Instant, Now};

/// A table is due after so many changes, and as many percent of its rows.
const CHANGES_MIN: u64 = 50;
const CHANGES_PERCENT: u64 = 10;

/// From the start of one analysis to that of the next, at least.
const PAUSE: Duration = Duration::from_secs(5);

/// Most tables and indexes that are counted. Those that change when there are more have to wait.
const TABLES_MAX: usize = 4096;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    by_table: BTreeMap<u32, Changed>,
    /// Whether some table may be due.
    any_due: bool,
    is_running: bool,
    next_at: Instant,
}

#[derive(Debug)]
struct Changed {
    changes: u64,
    due_at: u64,
}

impl Changed {
    fn of_rows(rows: u64) -> Changed {
        Changed {
            changes: 0,
            due_at: CHANGES_MIN + rows / 100 * CHANGES_PERCENT + rows % 100 * CHANGES_PERCENT / 100,
        }
    }
}

impl Changes {
    /// `commit` was applied.
    pub(crate) fn note(&mut self, commit: &Commit) {
        // All that was in a range is gone, however much it was.
        commit
            .deletes
            .iter()
            .filter_map(|range| table_id(&range.start))
            .for_each(|id| self.add(id, u64::MAX));
        for write in &commit.writes {
            if let Some(id) = table_id(&write.key) {
                self.add(id, 1);
            } else if let Some((id, rows)) = analyzed(&write.key, write.value.as_deref()) {
                match write.value {
                    Some(_) => drop(self.by_table.insert(id, Changed::of_rows(rows))),
                    None => drop(self.by_table.remove(&id)),
                }
            }
        }
    }

    fn add(&mut self, id: u32, changes: u64) {
        if self.by_table.len() >= TABLES_MAX && !self.by_table.contains_key(&id) {
            return;
        }
        let changed = self.by_table.entry(id).or_insert_with(|| Changed::of_rows(0));
        changed.changes = changed.changes.saturating_add(changes);
        self.any_due |= changed.changes >= changed.due_at;
    }

    /// When a table is to be analyzed, if one is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.any_due && !self.is_running).then_some(self.next_at)
    }

    /// The table that is to be analyzed now, if there is one: that has changed most, for its size. [`Changes::end`] follows.
    pub(crate) fn begin(&mut self, now: Now) -> Option<u32> {
        self.deadline().filter(|at| *at <= now.monotonic)?;
        let due = self.by_table.iter_mut().filter(|(_, changed)| changed.changes >= changed.due_at);
        let Some((id, changed)) = due.max_by_key(|(_, changed)| changed.changes / changed.due_at) else {
            self.any_due = false;
            return None;
        };
        // What changes from now on counts for the next time.
        changed.changes = 0;
        (self.is_running, self.next_at) = (true, now.monotonic + PAUSE);
        Some(*id)
    }

    /// The analysis of `id` has ended: done, or else it is no table, or something was in the way.
    pub(crate) fn end(&mut self, id: u32, done: bool) {
        self.is_running = false;
        if let Some(changed) = self.by_table.get_mut(&id)
            && !done
        {
            // Entries of indexes are counted, too, and whatever failed would fail again soon.
            changed.due_at = changed.due_at.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use cluster_format::{KeyRange, NodeId, Origin, RequestId, Version, Write};
    use cluster_sql::key::{table_prefix, table_range};
    use drivers_api::WallTime;

    use super::*;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Instant::from_nanos(seconds * 1_000_000_000), wall: WallTime::default() }
    }

    fn commit(tables: &[u32]) -> Commit {
        let write = |id: &u32| Write { key: table_prefix(*id).into(), value: None };
        Commit {
            request: RequestId { session: 1, sequence: 1 },
            origin: Origin { node: NodeId(1) },
            read_version: Version(0),
            reads: Vec::new(),
            deletes: Vec::new(),
            writes: tables.iter().map(write).collect(),
        }
    }

    #[test]
    fn a_table_is_due_after_enough_changes_and_a_pause() {
        let mut changes = Changes::default();
        (0..49).for_each(|_| changes.note(&commit(&[7])));
        assert_eq!(changes.begin(at(9)), None);
        changes.note(&commit(&[7, 8, 8]));
        assert_eq!(changes.begin(at(9)), Some(7));
        (0..60).for_each(|_| changes.note(&commit(&[8])));
        assert_eq!((changes.begin(at(20)), changes.deadline()), (None, None), "one at a time");
        changes.end(7, true);
        assert_eq!(changes.begin(at(13)), None);
        assert_eq!(changes.deadline(), Some(at(14).monotonic));
        assert_eq!(changes.begin(at(14)), Some(8));
        changes.end(8, false);
        assert_eq!(changes.begin(at(30)), None);
        // It was no table: it is looked at half as often.
        (0..99).for_each(|_| changes.note(&commit(&[8])));
        assert_eq!(changes.begin(at(40)), None);
        changes.note(&commit(&[8]));
        assert_eq!(changes.begin(at(40)), Some(8));
    }

    #[test]
    fn a_range_that_is_deleted_counts_for_all_its_rows() {
        let mut changes = Changes::default();
        changes.note(&Commit { deletes: [table_range(7)].into(), ..commit(&[]) });
        changes.note(&Commit { deletes: [KeyRange::single(b"x")].into(), ..commit(&[]) });
        assert_eq!(changes.begin(at(0)), Some(7));
        assert_eq!(changes.by_table.len(), 1);
    }

    #[test]
    fn long_tables_may_change_more() {
        assert_eq!(
            [0, 99, 1000, u64::MAX].map(|rows| Changed::of_rows(rows).due_at).map(|due| due.min(1 << 40)),
            [50, 59, 150, 1 << 40]
        );
    }
}
