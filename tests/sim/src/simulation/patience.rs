//! How long one waits for nodes that are getting on.

use std::time::Duration;

use drivers_api::Instant;

/// Waits on as long as the nodes apply something now and then. How long they take altogether depends on how slow
/// the disks of the seed are, and how short its messages.
pub(super) struct Patience {
    start: Instant,
    end: Instant,
    /// Something is applied within this.
    within: Duration,
    /// It ends after this in any case.
    at_most: Duration,
    /// The sum of what the nodes have applied.
    applied: u64,
}

impl Patience {
    pub(super) fn new(now: Instant, within: Duration, at_most: Duration) -> Patience {
        Patience { start: now, end: now + within, within, at_most, applied: 0 }
    }

    /// Whether to wait on, now that the nodes have `applied` so much together; if not, how long that was.
    pub(super) fn go_on(&mut self, now: Instant, applied: u64) -> Result<(), Duration> {
        if applied > self.applied {
            self.applied = applied;
            self.end = (now + self.within).min(self.start + self.at_most);
        }
        if now < self.end { Ok(()) } else { Err(self.end.since(self.start)) }
    }
}
