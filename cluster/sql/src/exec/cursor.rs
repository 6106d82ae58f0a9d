//! A query in progress. Without sorting or grouping, rows pass through as they come.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use cluster_format::limits::BATCH_ROWS;
use hashbrown::HashSet;

use super::aggregate::aggregate;
use super::{Context, Row, SourceCursor, row_len};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::Env;
use crate::expr::Expr;
use crate::key::{self, KeyOrder};
use crate::plan::{SelectPlan, SortKey};
use crate::types::Datum;

/// A query in progress.
pub(crate) struct SelectCursor {
    source: SourceCursor,
    /// Sorted or grouped rows, once there are any.
    ready: Option<vec::IntoIter<Row>>,
    seen: HashSet<Vec<u8>>,
    skip: u64,
    /// Rows still wanted; none is all.
    wanted: Option<u64>,
}

/// Up to so many rows, a sort keeps no more than it must.
const TOP_ROWS_MAX: u64 = 10_000;

impl SelectCursor {
    pub(crate) fn new(plan: &SelectPlan, env: &Env<'_>) -> SqlResult<SelectCursor> {
        let skip = row_count(plan.offset.as_ref(), env, SqlState::INVALID_OFFSET, "OFFSET")?.unwrap_or(0);
        let wanted = row_count(plan.limit.as_ref(), env, SqlState::INVALID_LIMIT, "LIMIT")?;
        Ok(SelectCursor { source: SourceCursor::Unopened, ready: None, seen: HashSet::new(), skip, wanted })
    }

    /// The next rows; none at the end. A batch may be empty.
    pub(crate) async fn next_batch<D: Database>(
        &mut self,
        plan: &SelectPlan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        if self.wanted == Some(0) {
            return Ok(None);
        }
        if self.ready.is_none() && (plan.aggregation.is_some() || !plan.sort.is_empty()) {
            let rows = self.collect(plan, context).await?;
            self.ready = Some(rows.into_iter());
        }
        let rows = match &mut self.ready {
            Some(ready) => Some(ready.take(BATCH_ROWS).collect::<Vec<Row>>()).filter(|rows| !rows.is_empty()),
            None => self.stream(plan, context).await?,
        };
        Ok(rows.map(|rows| self.cut(rows)))
    }

    /// Rows that need not wait for others.
    async fn stream<D: Database>(
        &mut self,
        plan: &SelectPlan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        let Some(source) = self.source.next_batch(plan, context).await? else { return Ok(None) };
        let mut rows = Vec::with_capacity(source.len());
        for (_, row) in source {
            let row = project(&plan.outputs, row, &context.env)?;
            if !plan.distinct || self.is_new(&row, context)? {
                rows.push(row);
            }
        }
        Ok(Some(rows))
    }

    /// All rows, where the last may come first.
    async fn collect<D: Database>(
        &mut self,
        plan: &SelectPlan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<Row>> {
        let mut rows = Vec::new();
        if let Some(aggregation) = &plan.aggregation {
            for row in aggregate(plan, aggregation, &mut self.source, context).await? {
                let row = project(&plan.outputs, row, &context.env)?;
                if !plan.distinct || self.is_new(&row, context)? {
                    rows.push(row);
                }
            }
        } else {
            let top =
                self.wanted.map(|wanted| wanted.saturating_add(self.skip)).filter(|top| *top <= TOP_ROWS_MAX);
            while let Some(batch) = self.stream(plan, context).await? {
                for row in batch {
                    context.budget.charge_row(&row)?;
                    rows.push(row);
                }
                if let Some(top) = top.and_then(|top| usize::try_from(top).ok())
                    && rows.len() > 2 * top + BATCH_ROWS
                {
                    rows.sort_by(|a, b| order(a, b, &plan.sort));
                    rows.drain(top..).for_each(|row| context.budget.refund(row_len(&row)));
                }
            }
        }
        rows.sort_by(|a, b| order(a, b, &plan.sort));
        for row in &mut rows {
            row.truncate(plan.columns.len());
        }
        Ok(rows)
    }

    fn is_new<D>(&mut self, row: &Row, context: &mut Context<'_, D>) -> SqlResult<bool> {
        let mut bytes = Vec::new();
        row.iter().for_each(|datum| key::write(datum, KeyOrder::Ascending, &mut bytes));
        let len = bytes.len() + 48;
        let is_new = self.seen.insert(bytes);
        if is_new {
            context.budget.charge(len)?;
        }
        Ok(is_new)
    }

    /// Applies `OFFSET` and `LIMIT`.
    fn cut(&mut self, mut rows: Vec<Row>) -> Vec<Row> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows.len());
        if skipped > 0 {
            rows.drain(..skipped);
            self.skip -= skipped as u64;
        }
        if let Some(wanted) = &mut self.wanted {
            rows.truncate(usize::try_from(*wanted).unwrap_or(usize::MAX));
            *wanted -= rows.len() as u64;
        }
        rows
    }
}

/// The value of `LIMIT` or `OFFSET`; none if there is none, or NULL.
fn row_count(expr: Option<&Expr>, env: &Env<'_>, state: SqlState, clause: &str) -> SqlResult<Option<u64>> {
    let Some(expr) = expr else { return Ok(None) };
    let value = expr.eval(&[], env)?;
    match value.as_i64().map(u64::try_from) {
        None => Ok(None),
        Some(Ok(count)) => Ok(Some(count)),
        Some(Err(_)) => Err(SqlError::new(state, alloc::format!("{clause} must not be negative"))),
    }
}

/// The outputs for `row`.
pub(crate) fn project(outputs: &[Expr], mut row: Row, env: &Env<'_>) -> SqlResult<Row> {
    // The whole row, as it is: the commonest list of all.
    if outputs.len() == row.len() && outputs.iter().enumerate().all(|(at, expr)| *expr == Expr::Column(at)) {
        return Ok(row);
    }
    let mut projected = Row::with_capacity(outputs.len());
    let (last, others) = match outputs {
        [only @ Expr::Column(_)] => (Some(only), &[][..]),
        all => (None, all),
    };
    for expr in others {
        projected.push(expr.eval(&row, env)?.into_owned());
    }
    if let Some(Expr::Column(index)) = last
        && let Some(datum) = row.get_mut(*index)
    {
        projected.push(core::mem::replace(datum, Datum::Null));
    }
    Ok(projected)
}

fn order(a: &Row, b: &Row, sort: &[SortKey]) -> Ordering {
    for key in sort {
        let (Some(a), Some(b)) = (a.get(key.output), b.get(key.output)) else { continue };
        let nulls = if key.nulls_first { Ordering::Less } else { Ordering::Greater };
        let order = match (a.is_null(), b.is_null()) {
            (false, false) if key.descending => b.order(a),
            (false, false) => a.order(b),
            (true, true) => Ordering::Equal,
            (true, false) => nulls,
            (false, true) => nulls.reverse(),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
