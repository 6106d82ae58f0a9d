//! Stopping a statement from outside.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::{Poll, Waker};

use spin::Mutex;

use crate::error::{SqlError, SqlResult, SqlState};

/// Why a statement is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody wants it to.
    Request,
    /// It has taken longer than `statement_timeout`.
    Timeout,
    /// The session is to end.
    End,
}

/// What the client of a session is told that was to end.
pub const ENDED: &str = "terminating connection due to administrator command";

/// Set by whoever wants a session's running statement to stop; looked at between batches.
#[derive(Debug, Default)]
pub struct CancelFlag {
    reasons: AtomicU8,
    /// Of a statement that waits for something else.
    waker: Mutex<Option<Waker>>,
}

const REQUEST: u8 = 1;
const TIMEOUT: u8 = 2;
const END: u8 = 4;

impl CancelFlag {
    /// Asks the running statement to stop.
    pub fn set(&self, reason: CancelReason) {
        let bit = match reason {
            CancelReason::Request => REQUEST,
            CancelReason::Timeout => TIMEOUT,
            CancelReason::End => END,
        };
        self.reasons.fetch_or(bit, Ordering::Relaxed);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Forgets a request: at the start of each statement. That the session is to end holds for all of them.
    pub fn clear(&self) {
        self.reasons.fetch_and(END, Ordering::Relaxed);
    }

    /// Whether the session is to end.
    pub fn ends(&self) -> bool {
        self.reasons.load(Ordering::Relaxed) & END != 0
    }

    /// Whether it was asked for.
    pub fn is_set(&self) -> bool {
        self.reasons.load(Ordering::Relaxed) != 0
    }

    /// What `future` gives, unless that is asked for before.
    pub(crate) async fn unless_set<F: Future>(&self, future: F) -> Option<F::Output> {
        self.unless(u8::MAX, future).await
    }

    /// What `future` gives, unless the session is to end before.
    pub async fn unless_ended<F: Future>(&self, future: F) -> Option<F::Output> {
        self.unless(END, future).await
    }

    async fn unless<F: Future>(&self, reasons: u8, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            *self.waker.lock() = Some(context.waker().clone());
            match future.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if self.reasons.load(Ordering::Relaxed) & reasons != 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// 57014 if it was asked for.
    pub(crate) fn check(&self) -> SqlResult<()> {
        let message = match self.reasons.load(Ordering::Relaxed) {
            0 => return Ok(()),
            reasons if reasons & END != 0 => {
                return Err(SqlError::new(SqlState::ADMIN_SHUTDOWN, ENDED));
            }
            reasons if reasons & TIMEOUT != 0 => "canceling statement due to statement timeout",
            _ => "canceling statement due to user request",
        };
        Err(SqlError::new(SqlState::QUERY_CANCELED, message))
    }
}
