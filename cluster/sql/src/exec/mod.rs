//! Doing what a plan says: rows are pulled in batches, others run in between.

mod accumulator;
mod aggregate;
mod change;
mod cursor;
mod insert;
mod source;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::{Lease, MemoryPool, Transaction};

pub(crate) use change::{RowIds, delete_all, replay_inserts, run_delete, run_insert, run_update, store_row};
pub(crate) use cursor::SelectCursor;
pub(crate) use source::SourceCursor;

use crate::cancel::CancelFlag;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::types::Datum;

/// One row.
pub type Row = Vec<Datum>;

/// Bytes that one statement may hold: to sort, to group, to collect what it changes or returns.
pub const STATEMENT_MEMORY_MAX: usize = 64 * 1024 * 1024;

/// What is left of a statement's memory.
#[derive(Debug)]
pub(crate) struct Budget {
    lease: Lease,
}

impl Budget {
    pub(crate) fn new(pool: &Arc<MemoryPool>) -> Budget {
        Budget { lease: pool.lease() }
    }

    pub(crate) fn charge(&mut self, len: usize) -> SqlResult<()> {
        let needed = self.lease.len().saturating_add(len);
        let message = if needed > STATEMENT_MEMORY_MAX {
            format!("the statement needs more than the limit of {STATEMENT_MEMORY_MAX} bytes of memory")
        } else if self.lease.resize(needed).is_err() {
            format!("the statement needs more than the {needed} bytes of memory this node has left for it")
        } else {
            return Ok(());
        };
        Err(SqlError::new(SqlState::OUT_OF_MEMORY, message))
    }

    pub(crate) fn charge_row(&mut self, row: &Row) -> SqlResult<()> {
        self.charge(row_len(row))
    }

    pub(crate) fn refund(&mut self, len: usize) {
        // Giving back never fails.
        let _ = self.lease.resize(self.lease.len().saturating_sub(len));
    }
}

/// About how many bytes of memory `row` takes.
pub(crate) fn row_len(row: &Row) -> usize {
    core::mem::size_of::<Row>() + row.iter().map(Datum::len_memory).sum::<usize>()
}

/// What a running statement works with.
pub(crate) struct Context<'a, D> {
    pub(crate) database: &'a D,
    pub(crate) transaction: &'a mut Transaction,
    pub(crate) env: Env<'a>,
    pub(crate) cancel: &'a CancelFlag,
    pub(crate) budget: &'a mut Budget,
}

impl<D> Context<'_, D> {
    /// 57014 if someone asked for it.
    pub(crate) fn check_cancel(&self) -> SqlResult<()> {
        if self.cancel.is_set() {
            return Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"));
        }
        Ok(())
    }
}
