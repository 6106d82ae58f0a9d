//! Rows from where they are: keys, ranges of keys, live tables, series, lists.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_format::limits::BATCH_ROWS;
use cluster_store::{Direction, Scan, yield_now};

use super::{Context, Row};
use crate::access::Keys;
use crate::arithmetic;
use crate::catalog::StoredTable;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::plan::{SelectPlan, Source};
use crate::row;
use crate::settings;
use crate::types::{DataType, Datum};

/// A row with its key, if it is stored.
pub(crate) type SourceRow = (Option<Arc<[u8]>>, Row);

/// The rows of a plan's source that pass its filter, in progress.
pub(crate) enum SourceCursor {
    Unopened,
    Once,
    Points(vec::IntoIter<Vec<u8>>),
    Ranges(vec::IntoIter<KeyRange>, Option<Scan>),
    Rows(vec::IntoIter<SourceRow>),
    Series(Series),
    Values(usize),
    End,
}

/// A series in progress.
pub(crate) struct Series {
    next: Option<i64>,
    stop: i64,
    step: i64,
    data_type: DataType,
}

impl SourceCursor {
    /// The next rows; none at the end. A batch may be empty.
    pub(crate) async fn next_batch<D: Database>(
        &mut self,
        plan: &SelectPlan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<SourceRow>>> {
        if let SourceCursor::Unopened = self {
            *self = open(&plan.source, context).await?;
        } else {
            context.check_cancel()?;
        }
        let Some(mut rows) = self.unfiltered(plan, context).await? else {
            *self = SourceCursor::End;
            return Ok(None);
        };
        if let Some(filter) = &plan.filter {
            let mut failed = None;
            rows.retain(|(_, row)| match filter.test(row, &context.env) {
                Ok(passes) => passes == Some(true),
                Err(error) => {
                    failed.get_or_insert(error);
                    false
                }
            });
            failed.map_or(Ok(()), Err)?;
        }
        Ok(Some(rows))
    }

    async fn unfiltered<D: Database>(
        &mut self,
        plan: &SelectPlan,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<SourceRow>>> {
        match self {
            SourceCursor::Unopened | SourceCursor::End => Ok(None),
            SourceCursor::Once => {
                *self = SourceCursor::End;
                Ok(Some(vec![(None, Row::new())]))
            }
            SourceCursor::Points(keys) => points(keys, &plan.source, context).await,
            SourceCursor::Ranges(ranges, scan) => scan_batch(ranges, scan, &plan.source, context).await,
            SourceCursor::Rows(rows) => Ok(batch(rows)),
            SourceCursor::Series(series) => {
                yield_now().await;
                Ok(batch(series.map(|datum| (None, vec![datum]))))
            }
            SourceCursor::Values(next) => {
                let Source::Values(rows) = &plan.source else { return Ok(None) };
                let Some(exprs) = rows.get(*next) else { return Ok(None) };
                *next += 1;
                Ok(Some(vec![(None, eval_row(exprs, context)?)]))
            }
        }
    }
}

fn batch(rows: impl Iterator<Item = SourceRow>) -> Option<Vec<SourceRow>> {
    let rows: Vec<SourceRow> = rows.take(BATCH_ROWS).collect();
    (!rows.is_empty()).then_some(rows)
}

fn eval_row<D>(exprs: &[Expr], context: &Context<'_, D>) -> SqlResult<Row> {
    exprs.iter().map(|expr| expr.eval(&[], &context.env).map(|value| value.into_owned())).collect()
}

async fn open<D: Database>(source: &Source, context: &mut Context<'_, D>) -> SqlResult<SourceCursor> {
    Ok(match source {
        Source::Nothing => SourceCursor::Once,
        Source::Values(_) => SourceCursor::Values(0),
        Source::Table { table, access, backward, .. } => {
            match access.keys(table.descriptor.id, &context.env)? {
                Keys::Points(mut keys) => {
                    if *backward {
                        keys.reverse();
                    }
                    SourceCursor::Points(keys.into_iter())
                }
                Keys::Ranges(mut ranges) => {
                    if *backward {
                        ranges.reverse();
                    }
                    SourceCursor::Ranges(ranges.into_iter(), None)
                }
            }
        }
        Source::Live(table) => {
            let rows = context.database.live_rows(table.name).await?;
            let mut keyless = Vec::with_capacity(rows.len());
            for row in rows {
                context.budget.charge_row(&row)?;
                keyless.push((None, row));
            }
            SourceCursor::Rows(keyless.into_iter())
        }
        Source::Settings => {
            let rows = settings::rows(context.transaction).await?;
            let keyed: Vec<SourceRow> = rows.into_iter().map(|(key, row)| (Some(key), row)).collect();
            SourceCursor::Rows(keyed.into_iter())
        }
        Source::Series(arguments, data_type) => {
            let values = eval_row(arguments, context)?;
            let number = |at: usize| values.get(at).and_then(Datum::as_i64);
            match (number(0), number(1), number(2)) {
                (_, _, Some(0)) => {
                    let message = "step size cannot equal zero";
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                }
                (Some(next), Some(stop), Some(step)) => {
                    SourceCursor::Series(Series { next: Some(next), stop, step, data_type: *data_type })
                }
                _ => SourceCursor::End,
            }
        }
    })
}

impl Iterator for Series {
    type Item = Datum;

    fn next(&mut self) -> Option<Datum> {
        let value = self.next?;
        let is_within = if self.step > 0 { value <= self.stop } else { value >= self.stop };
        if !is_within {
            self.next = None;
            return None;
        }
        self.next = value.checked_add(self.step);
        arithmetic::integer(Some(value), self.data_type).ok()
    }
}

async fn points<D>(
    keys: &mut vec::IntoIter<Vec<u8>>,
    source: &Source,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Vec<SourceRow>>> {
    let Source::Table { table, needed, .. } = source else { return Ok(None) };
    if keys.len() == 0 {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(keys.len().min(BATCH_ROWS));
    for key in keys.take(BATCH_ROWS) {
        if let Some(value) = context.transaction.get(&key).await? {
            rows.push((Some(key.into()), row::read(&value, &table.types, needed)?));
        }
    }
    if keys.len() > 0 {
        yield_now().await;
    }
    Ok(Some(rows))
}

async fn scan_batch<D>(
    ranges: &mut vec::IntoIter<KeyRange>,
    scan: &mut Option<Scan>,
    source: &Source,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Vec<SourceRow>>> {
    let Source::Table { table, needed, backward, .. } = source else { return Ok(None) };
    let direction = if *backward { Direction::Backward } else { Direction::Forward };
    loop {
        let current = match scan {
            Some(current) => current,
            None => match ranges.next() {
                Some(range) => scan.insert(context.transaction.scan(range, direction)),
                None => return Ok(None),
            },
        };
        let stored = current.next_batch(context.transaction).await?;
        if stored.is_empty() {
            *scan = None;
            continue;
        }
        return decode(stored, table, needed).map(Some);
    }
}

fn decode(
    stored: Vec<cluster_store::Row>,
    table: &StoredTable,
    needed: &[bool],
) -> SqlResult<Vec<SourceRow>> {
    stored.into_iter().map(|(key, value)| Ok((Some(key), row::read(&value, &table.types, needed)?))).collect()
}
