//! What a node does now and then, one at a time.

use core::time::Duration;

use drivers_api::{Instant, Now};

/// After a failure, so long until the next attempt.
const PAUSE: Duration = Duration::from_millis(200);

/// Something that is done when it is due, once at a time.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    is_due: bool,
    is_running: bool,
    /// Due then, if not before.
    at: Option<Instant>,
    has_failed: bool,
}

impl Activity {
    /// It is to be done, again if it is being done.
    pub(crate) fn set_due(&mut self) {
        self.is_due = true;
    }

    /// It is to be done then, if not before.
    pub(crate) fn set_due_at(&mut self, at: Instant) {
        self.at = Some(self.at.map_or(at, |known| known.min(at)));
    }

    /// Whether it is to be done now. [`Activity::end`] follows.
    pub(crate) fn begin(&mut self, now: Now) -> bool {
        if core::mem::take(&mut self.has_failed) {
            self.at = Some(now.monotonic + PAUSE);
        }
        let is_due = self.is_due || self.at.is_some_and(|at| at <= now.monotonic);
        if self.is_running || !is_due {
            return false;
        }
        (self.is_due, self.is_running, self.at) = (false, true, None);
        true
    }

    /// It is not being done any more, and was or was not done.
    pub(crate) fn end(&mut self, done: bool) {
        self.is_running = false;
        self.has_failed |= !done;
    }

    /// It is to be done again after a pause.
    pub(crate) fn fail(&mut self) {
        self.has_failed = true;
    }

    /// When it is due, if that is known.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.at.filter(|_| !self.is_running)
    }
}
