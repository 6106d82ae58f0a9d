//! Jobs that clients give a cluster, numbered, and what they were told of each.

use std::collections::BTreeSet;

use crate::transaction::Fate;
use crate::workload::Step;

/// The jobs so far.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    next: i64,
    /// Given to the cluster, as the client was told.
    pub(crate) acknowledged: BTreeSet<i64>,
    /// Refused: nothing must have come of them.
    pub(crate) refused: BTreeSet<i64>,
}

impl Jobs {
    /// A new job.
    pub(crate) fn number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// What became of giving `job`.
    pub(crate) fn note<T>(&mut self, job: i64, fate: Fate<T>) -> Step {
        match fate {
            Fate::Committed(_) => {
                self.acknowledged.insert(job);
                Fate::Committed(())
            }
            Fate::Refused(failure) => {
                self.refused.insert(job);
                Fate::Refused(failure)
            }
            Fate::Unknown(failure) => Fate::Unknown(failure),
        }
    }
}
