//! Doing what a plan says: rows are pulled in batches, others run in between.

mod accumulator;
mod aggregate;
mod apply;
mod change;
mod collect;
mod cursor;
mod deferred;
mod distinct;
mod filter;
mod foreign;
mod insert;
mod join;
mod limit;
mod program;
mod project;
mod recursive;
mod routine;
mod scan;
mod sequence;
mod sort;
mod store;
mod subquery;
#[cfg(test)]
mod tests;
mod trigger;
mod unroll;
mod vector;
mod window;
mod with;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::{Lease, MemoryPool, StoreError, Transaction, yield_now};

pub(crate) use change::{collect, delete_all, replay_inserts};
pub(crate) use cursor::Cursor;
pub(crate) use deferred::{
    Deferred, Waiting, check_deferred, check_not_pending, find_constraint, settle_keys,
};
pub(crate) use foreign::References;
pub(crate) use program::check_program;
pub(crate) use routine::{Body, NEW, OLD, plan_body};
pub(crate) use sequence::{OwnSequences, store_own_sequences};
pub(crate) use store::{
    Replaced, RowIds, UniqueKey, add_to_index, check_row, ensure_in_index, replace_rows, store_row,
};
pub(crate) use trigger::{before_row, check_trigger};
pub(crate) use with::run_change;

use crate::cancel::CancelFlag;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::expr::Expr;
use crate::memo::Memo;
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
        } else if self.lease.resize(needed).is_ok() {
            return Ok(());
        } else if needed > self.lease.pool().hopeful_len() {
            format!("the statement needs more than the {needed} bytes of memory this node has left for it")
        } else {
            return Err(StoreError::MemoryFull.into());
        };
        Err(SqlError::new(SqlState::OUT_OF_MEMORY, message))
    }

    pub(crate) fn charge_row(&mut self, row: &Row) -> SqlResult<()> {
        self.charge(row_len(row))
    }

    pub(crate) fn refund(&mut self, len: usize) {
        self.return_to(self.lease.len().saturating_sub(len));
    }

    /// How much is in use, in bytes.
    pub(crate) fn in_use(&self) -> usize {
        self.lease.len()
    }

    /// Gives back all that was charged since `len` bytes were in use.
    pub(crate) fn return_to(&mut self, len: usize) {
        // Giving back never fails.
        let _ = self.lease.resize(len.min(self.lease.len()));
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

/// So many rows are looked at before others may run.
const ROWS_BETWEEN_YIELDS: usize = 256;

impl<'a, D> Context<'a, D> {
    /// 57014 if someone asked for it.
    pub(crate) fn check_cancel(&self) -> SqlResult<()> {
        self.cancel.check()
    }

    /// Lets others run now and then: `index` counts up with each row.
    pub(crate) async fn breathe(&self, index: usize) -> SqlResult<()> {
        if index % ROWS_BETWEEN_YIELDS == ROWS_BETWEEN_YIELDS - 1 {
            self.check_cancel()?;
            yield_now().await;
        }
        Ok(())
    }

    /// This statement as a query sees it for which `outer` is what it sees of the row around it.
    pub(crate) fn within<'b>(&'b mut self, outer: &'b [Datum]) -> Context<'b, D>
    where
        'a: 'b,
    {
        Context {
            database: self.database,
            transaction: self.transaction,
            env: Env { outer, ..self.env },
            cancel: self.cancel,
            budget: self.budget,
        }
    }

    /// What a statement of a routine works with that this one calls: it sees nothing of this one but its parameters.
    fn of_routine<'b>(
        &'b mut self,
        params: &'b [Datum],
        memo: &'b Memo,
        budget: &'b mut Budget,
    ) -> Context<'b, D>
    where
        'a: 'b,
    {
        Context {
            database: self.database,
            transaction: self.transaction,
            env: Env { params, outer: &[], memo, depth: self.env.depth + 1, ..self.env },
            cancel: self.cancel,
            budget,
        }
    }
}

impl<D: Database> Context<'_, D> {
    /// The value of `expr` for `row`; subqueries that it needs are run.
    pub(crate) async fn eval(&mut self, expr: &Expr, row: &[Datum]) -> SqlResult<Datum> {
        let mut has_asked = false;
        loop {
            match expr.eval(row, &self.env) {
                Ok(value) => {
                    let value = value.into_owned();
                    if has_asked {
                        self.env.memo.settle();
                    }
                    return Ok(value);
                }
                Err(error) if error.is_pending() => {
                    has_asked = true;
                    self.run_pending().await?;
                }
                Err(error) => {
                    // The next row has nothing to do with what this one was told.
                    self.env.memo.settle();
                    return Err(error);
                }
            }
        }
    }

    /// Whether `predicate` holds for `row`, if there is one.
    async fn passes(&mut self, predicate: Option<&Expr>, row: &[Datum]) -> SqlResult<bool> {
        let Some(predicate) = predicate else { return Ok(true) };
        let mut has_asked = false;
        loop {
            match predicate.test(row, &self.env) {
                Ok(truth) => {
                    if has_asked {
                        self.env.memo.settle();
                    }
                    return Ok(truth == Some(true));
                }
                Err(error) if error.is_pending() => {
                    has_asked = true;
                    self.run_pending().await?;
                }
                Err(error) => {
                    // The next row has nothing to do with what this one was told.
                    self.env.memo.settle();
                    return Err(error);
                }
            }
        }
    }

    /// The values of `exprs` for `row`.
    async fn eval_all(&mut self, exprs: &[Expr], row: &[Datum]) -> SqlResult<Row> {
        let mut values = Row::with_capacity(exprs.len());
        for expr in exprs {
            values.push(self.eval(expr, row).await?);
        }
        Ok(values)
    }
}
