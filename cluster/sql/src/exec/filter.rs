//! Filters.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::{Context, Cursor, Row};
use crate::batch::{Batch, Columns, numbers};
use crate::database::Database;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::Filter;

/// A batch of which rows are still to be looked at: what a predicate does with them, it does when somebody asks for more.
#[derive(Default)]
pub(super) struct Sieve(Option<Rest>);

enum Rest {
    Rows(vec::IntoIter<Row>),
    /// Rows for which the first conjuncts hold, so many, and the others are to be evaluated.
    Columns(Columns, usize, vec::IntoIter<u32>),
}

impl Sieve {
    /// Whether there is nothing left to be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Puts `batch` in, whose rows are to be looked at next.
    pub(super) fn put<D: Database>(&mut self, batch: Batch, predicate: &Expr, context: &Context<'_, D>) {
        self.0 = Some(match batch {
            Batch::Rows(rows) => Rest::Rows(rows.into_iter()),
            Batch::Columns(columns) => {
                let mut rows: Vec<u32> = numbers(0..columns.len).collect();
                let told = context.narrow_by_first(predicate.conjuncts(), &columns, &mut rows);
                Rest::Columns(columns, told, rows.into_iter())
            }
        });
    }

    /// The next rows for which `predicate` holds: `wanted` of them, or more if they are known.
    pub(super) async fn next<D: Database>(
        &mut self,
        predicate: &Expr,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Batch> {
        match self.0.take() {
            None => Ok(Batch::Rows(Vec::new())),
            Some(Rest::Rows(mut rows)) => {
                let mut kept = Vec::new();
                while kept.len() < wanted
                    && let Some(row) = rows.next()
                {
                    if context.passes(Some(predicate), &row).await? {
                        kept.push(row);
                    }
                }
                self.0 = (rows.len() > 0).then_some(Rest::Rows(rows));
                Ok(Batch::Rows(kept))
            }
            Some(Rest::Columns(mut columns, told, mut rows)) => {
                let conjuncts = predicate.conjuncts().get(told..).unwrap_or_default();
                let kept = context.take_passing(conjuncts, &columns, &mut rows, wanted).await?;
                if rows.len() == 0 {
                    columns.keep(&kept);
                    return Ok(Batch::Columns(columns));
                }
                let some = columns.gather(&kept);
                self.0 = Some(Rest::Columns(columns, told, rows));
                Ok(Batch::Columns(some))
            }
        }
    }
}

/// A filter in progress.
pub(crate) struct FilterCursor {
    node: Arc<Filter>,
    input: Cursor,
    sieve: Sieve,
}

impl FilterCursor {
    pub(super) fn open(node: &Arc<Filter>) -> Box<FilterCursor> {
        let input = Cursor::open(&node.input);
        Box::new(FilterCursor { node: node.clone(), input, sieve: Sieve::default() })
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        let predicate = &self.node.predicate;
        if self.sieve.is_empty() {
            // For so many rows to pass, at least so many must be looked at.
            let Some(batch) = self.input.next_wanted(context, wanted).await? else { return Ok(None) };
            self.sieve.put(batch, predicate, context);
        }
        self.sieve.next(predicate, context, wanted).await.map(Some)
    }
}
