//! Jobs that clients give a cluster, numbered, and what they were told of each.

use std::collections::{BTreeMap, BTreeSet};

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

    /// Whether of all jobs, each that was acknowledged was done once, and none that was refused; `what` is what is done.
    pub(crate) fn check_done(&self, done: &[i64], what: &str) -> Result<(), String> {
        let mut times = BTreeMap::new();
        done.iter().for_each(|job| *times.entry(*job).or_insert(0_u32) += 1);
        if let Some((job, times)) = times.iter().find(|(_, times)| **times > 1) {
            return Err(format!("the {what} of job {job} was done {times} times"));
        }
        if let Some(job) = self.acknowledged.iter().find(|job| !times.contains_key(job)) {
            return Err(format!("the {what} of job {job} is gone, and was not done"));
        }
        match self.refused.iter().find(|job| times.contains_key(job)) {
            Some(job) => Err(format!("the {what} of job {job} was done, though it was refused")),
            None => Ok(()),
        }
    }

    /// What became of giving `job`.
    pub(crate) fn note<T>(&mut self, job: i64, fate: Fate<T>) -> Step {
        match &fate {
            Fate::Committed(_) => drop(self.acknowledged.insert(job)),
            Fate::Refused(_) => drop(self.refused.insert(job)),
            Fate::Unknown(_) => {}
        }
        fate.done()
    }
}
