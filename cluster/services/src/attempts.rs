//! The tasks that run on this node, and when each must be through.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use cluster_sql::{CancelFlag, CancelReason};
use drivers_api::Instant;
use spin::Mutex;

/// The tasks that run on this node.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    by_task: BTreeMap<i64, Attempt>,
    now: Instant,
}

#[derive(Debug)]
struct Attempt {
    cancel: Arc<CancelFlag>,
    /// By when it must be through.
    end: Option<Instant>,
    /// Whether it was found to be wanted again, while it has not ended.
    again: bool,
}

impl Attempts {
    /// `assigned` are the tasks that this node is to run, sorted. Those that run and are not among them are stopped; `begin` is
    /// called for those that do not run, and says how they are stopped. [`Attempts::end`] follows for each of these.
    pub(crate) fn begin(&self, assigned: &[i64], mut begin: impl FnMut(i64) -> Arc<CancelFlag>) {
        self.keep(assigned);
        let mut running = self.running.lock();
        for task in assigned {
            let new = || Attempt { cancel: begin(*task), end: None, again: false };
            running.by_task.entry(*task).or_insert_with(new);
        }
    }

    /// The same, but none is begun.
    pub(crate) fn keep(&self, assigned: &[i64]) {
        for (task, attempt) in &mut self.running.lock().by_task {
            match assigned.binary_search(task) {
                Ok(_) => attempt.again = true,
                Err(_) => attempt.cancel.set(CancelReason::Request),
            }
        }
    }

    /// The attempt at `task` must be through after so long, all of its repetitions included.
    pub(crate) fn set_timeout(&self, task: i64, timeout: Duration) {
        let mut running = self.running.lock();
        let end = running.now + timeout;
        if let Some(attempt) = running.by_task.get_mut(&task) {
            attempt.end.get_or_insert(end);
        }
    }

    /// The attempt at `task` has ended; whether this node should look for tasks again, as it may be given the same one.
    pub(crate) fn end(&self, task: i64) -> bool {
        self.running.lock().by_task.remove(&task).is_some_and(|attempt| attempt.again)
    }

    /// It is `now`: those whose time is over are stopped. Returns when the next one's is.
    pub(crate) fn advance(&self, now: Instant) -> Option<Instant> {
        let mut running = self.running.lock();
        running.now = now;
        let mut next: Option<Instant> = None;
        for attempt in running.by_task.values_mut() {
            let Some(end) = attempt.end else { continue };
            if end <= now {
                attempt.cancel.set(CancelReason::Timeout);
                attempt.end = None;
            } else {
                next = Some(next.map_or(end, |known| known.min(end)));
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// The tasks that are begun, and how they are stopped.
    fn begin(attempts: &Attempts, assigned: &[i64]) -> Vec<(i64, Arc<CancelFlag>)> {
        let mut begun = Vec::new();
        attempts.begin(assigned, |task| {
            let cancel = Arc::<CancelFlag>::default();
            begun.push((task, cancel.clone()));
            cancel
        });
        begun
    }

    #[test]
    fn what_is_assigned_runs_once_and_what_is_taken_away_is_stopped() {
        let attempts = Attempts::default();
        let begun = begin(&attempts, &[1, 2]);
        assert_eq!(begun.iter().map(|(task, _)| *task).collect::<Vec<_>>(), vec![1, 2]);
        assert!(begin(&attempts, &[2]).is_empty());
        let stopped: Vec<bool> = begun.iter().map(|(_, cancel)| cancel.is_set()).collect();
        assert_eq!(stopped, vec![true, false]);
        attempts.keep(&[2]);
        assert!(!attempts.end(1));
        assert!(attempts.end(2), "it was assigned while it ran: perhaps once more");
        assert_eq!(begin(&attempts, &[2]).len(), 1);
    }

    #[test]
    fn an_attempt_is_stopped_when_its_time_is_over() {
        let attempts = Attempts::default();
        let begun = begin(&attempts, &[1, 2]);
        let at = Instant::from_nanos;
        attempts.set_timeout(1, Duration::from_nanos(100));
        attempts.set_timeout(2, Duration::from_nanos(200));
        attempts.set_timeout(2, Duration::from_nanos(900));
        assert_eq!(attempts.advance(at(50)), Some(at(100)));
        assert_eq!(attempts.advance(at(100)), Some(at(200)));
        assert!(begun[0].1.is_set() && !begun[1].1.is_set());
    }
}
