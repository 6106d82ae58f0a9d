//! Stopping a statement from outside.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::error::{SqlError, SqlResult, SqlState};

/// Why a statement is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody wants it to.
    Request,
    /// It has taken longer than `statement_timeout`.
    Timeout,
}

/// Set by whoever wants a session's running statement to stop; looked at between batches.
#[derive(Debug, Default)]
pub struct CancelFlag(AtomicU8);

const REQUEST: u8 = 1;
const TIMEOUT: u8 = 2;

impl CancelFlag {
    /// Asks the running statement to stop.
    pub fn set(&self, reason: CancelReason) {
        let bit = match reason {
            CancelReason::Request => REQUEST,
            CancelReason::Timeout => TIMEOUT,
        };
        self.0.fetch_or(bit, Ordering::Relaxed);
    }

    /// Forgets a request: at the start of each statement.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// 57014 if it was asked for.
    pub(crate) fn check(&self) -> SqlResult<()> {
        let message = match self.0.load(Ordering::Relaxed) {
            0 => return Ok(()),
            reasons if reasons & TIMEOUT != 0 => "canceling statement due to statement timeout",
            _ => "canceling statement due to user request",
        };
        Err(SqlError::new(SqlState::QUERY_CANCELED, message))
    }
}
