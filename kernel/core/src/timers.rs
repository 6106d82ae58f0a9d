//! Deadlines and who waits for them.

use alloc::collections::BTreeMap;
use core::task::Waker;

use drivers_api::Instant;

/// Names one pending timer, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    deadline: Instant,
    number: u64,
}

/// Pending timers, ordered by deadline.
#[derive(Default)]
pub struct Timers {
    pending: BTreeMap<TimerKey, Waker>,
    next_number: u64,
}

impl Timers {
    /// No timers.
    pub const fn new() -> Self {
        Timers { pending: BTreeMap::new(), next_number: 0 }
    }

    /// Wakes `waker` once `deadline` has passed.
    pub fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let key = TimerKey { deadline, number: self.next_number };
        self.next_number += 1;
        self.pending.insert(key, waker);
        key
    }

    /// Forgets a timer; whether it was still pending.
    pub fn cancel(&mut self, key: TimerKey) -> bool {
        self.pending.remove(&key).is_some()
    }

    /// When the core must wake at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(key, _)| key.deadline)
    }

    /// Wakes everyone whose deadline is `now` or earlier; returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let mut expired = 0;
        while let Some(entry) = self.pending.first_entry()
            && entry.key().deadline <= now
        {
            entry.remove().wake();
            expired += 1;
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicUsize, Ordering};

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn expire_in_order_and_cancel() {
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&counter));
        let mut timers = Timers::new();
        let at = Instant::from_nanos;
        timers.insert(at(30), waker.clone());
        let cancelled = timers.insert(at(10), waker.clone());
        timers.insert(at(20), waker.clone());
        timers.insert(at(20), waker);
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert!(timers.cancel(cancelled));
        assert!(!timers.cancel(cancelled));
        assert_eq!(timers.expire(at(19)), 0);
        assert_eq!(timers.expire(at(20)), 2);
        assert_eq!(timers.next_deadline(), Some(at(30)));
        assert_eq!(timers.expire(at(99)), 1);
        assert_eq!((timers.next_deadline(), counter.0.load(Ordering::Relaxed)), (None, 3));
    }
}
