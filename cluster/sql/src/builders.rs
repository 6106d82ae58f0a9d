//! Which sessions build indexes, and which of those are no more.
//!
//! A builder leaves a note with each of its transactions, which says on which node it is, and changes. A node knows which of
//! its own sessions are building. Of others it knows when it has seen their notes change last, by its own clock: no clock is
//! compared with another.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{NodeId, Version};
use spin::Mutex;

/// A session of another node whose note has not changed for so long is taken to be no more. If it goes on after all, it finds
/// its index gone, and fails.
const SILENT_MICROS_MAX: i64 = 60_000_000;

/// What a builder on `node` leaves with a transaction that reads the tables at `version`.
pub(crate) fn note(node: NodeId, version: Version) -> Vec<u8> {
    [&[node.0][..], &version.0.to_be_bytes()].concat()
}

/// The note of a builder that is no more: what was being built when a backup was made.
pub(crate) const NOBODY: &[u8] = &[];

/// The sessions that build indexes, as a node knows them.
#[derive(Debug, Default)]
pub struct Builders {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Those on this node.
    here: BTreeSet<u64>,
    /// The notes of others, and since when they are the same.
    notes: BTreeMap<u64, (Arc<[u8]>, i64)>,
}

/// A session that builds an index; it does no more when this is dropped.
pub(crate) struct Builder {
    builders: Arc<Builders>,
    session: u64,
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.builders.known.lock().here.remove(&self.session);
    }
}

impl Builders {
    /// `session` begins to build on this node.
    pub(crate) fn begin(self: &Arc<Builders>, session: u64) -> Builder {
        self.known.lock().here.insert(session);
        Builder { builders: self.clone(), session }
    }

    /// Those of `notes` whose sessions are no more, as far as `node`, whose clock shows `now_micros`, can tell.
    pub(crate) fn lost(&self, notes: Vec<(u64, Arc<[u8]>)>, node: NodeId, now_micros: i64) -> Vec<u64> {
        let mut known = self.known.lock();
        known.notes.retain(|session, _| notes.iter().any(|(noted, _)| noted == session));
        let is_lost = |(session, note): (u64, Arc<[u8]>)| match note.first() {
            None => Some(session),
            Some(at) if *at == node.0 => (!known.here.contains(&session)).then_some(session),
            Some(_) => {
                let (seen, since) = known.notes.entry(session).or_insert_with(|| (note.clone(), now_micros));
                if *seen != note || now_micros < *since {
                    (*seen, *since) = (note, now_micros);
                }
                (now_micros - *since > SILENT_MICROS_MAX).then_some(session)
            }
        };
        notes.into_iter().filter_map(is_lost).collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_builder_is_lost_when_its_node_knows_it_no_more_or_others_have_not_heard_of_it_for_long() {
        let builders = Arc::new(Builders::default());
        let noted =
            |session: u64, node: u8, version: u64| (session, Arc::from(note(NodeId(node), Version(version))));
        let second = 1_000_000;
        let lost = |notes, seconds: i64| builders.lost(notes, NodeId(1), seconds * second);
        // One on this node.
        let building = builders.begin(7);
        assert_eq!(lost(vec![noted(7, 1, 1)], 0), []);
        assert_eq!(lost(vec![noted(7, 1, 1)], 1_000), []);
        drop(building);
        assert_eq!(lost(vec![noted(7, 1, 1)], 1_000), [7]);
        // One on another, which is slow, and then no more.
        assert_eq!(lost(vec![noted(8, 2, 1)], 2_000), []);
        assert_eq!(lost(vec![noted(8, 2, 2)], 2_059), []);
        assert_eq!(lost(vec![noted(8, 2, 2)], 2_118), []);
        // A clock that is set back begins anew.
        assert_eq!(lost(vec![noted(8, 2, 2)], 10), []);
        assert_eq!(lost(vec![noted(8, 2, 2)], 71), [8]);
        // Nothing is remembered of what is not there any more.
        assert_eq!(lost(vec![], 100), []);
        assert_eq!(lost(vec![noted(8, 2, 2)], 1_000), []);
        // What came with a backup is nobody's.
        assert_eq!(lost(vec![(9, NOBODY.into())], 1_000), [9]);
    }
}
