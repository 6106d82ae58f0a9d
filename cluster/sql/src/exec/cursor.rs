//! A plan in progress: each operator pulls batches of rows from those below it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};

use cluster_format::limits::BATCH_ROWS;
use cluster_store::yield_now;

use super::apply::ApplyCursor;
use super::collect::{Collected, Ordered, collect};
use super::distinct::{DistinctCursor, SetCursor};
use super::join::JoinCursor;
use super::recursive::RecursiveCursor;
use super::scan::{ScanCursor, SeriesCursor};
use super::unroll::UnrollCursor;
use super::{Context, Row};
use crate::ast::SetOperator;
use crate::batch::{Batch, Column, Columns};
use crate::database::{Database, LiveTable};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::plan::rel::{Counters, Filter, Limit, Project, Rel, Shared, Values};
use crate::settings;
use crate::system::SystemTable;
use crate::types::Datum;

/// A plan in progress.
pub(crate) enum Cursor {
    Rows(vec::IntoIter<Row>),
    Scan(ScanCursor),
    Series(SeriesCursor),
    Unroll(Box<UnrollCursor>),
    Values(Arc<Values>, usize),
    Live(&'static LiveTable),
    Settings,
    System(&'static SystemTable),
    Shared(Arc<Shared>),
    /// Rows that others read too, and how many of them have been given.
    Listed(Arc<Vec<Row>>, usize),
    Working(usize),
    Measured(Counters, Box<Cursor>),
    Filter(Arc<Filter>, Box<Cursor>),
    Project(Arc<Project>, Box<Cursor>),
    Limit(Box<LimitCursor>),
    Join(Box<JoinCursor>),
    Apply(Box<ApplyCursor>),
    Distinct(Box<DistinctCursor>),
    Set(Box<SetCursor>),
    Append(Box<(Cursor, Cursor)>),
    Recursive(Box<RecursiveCursor>),
    Ordered(Box<Ordered>),
    /// What gives its first row once it has seen the last one below.
    Collected(Collected),
}

/// The next rows; none at the end. A batch may be empty.
type NextBatch<'a> = Pin<Box<dyn Future<Output = SqlResult<Option<Batch>>> + Send + 'a>>;

impl Cursor {
    /// Nothing is read before the first batch is asked for.
    pub(crate) fn open(rel: &Rel) -> Cursor {
        let boxed = |rel: &Rel| Box::new(Cursor::open(rel));
        match rel {
            Rel::Row => Cursor::Rows(vec![Row::new()].into_iter()),
            Rel::Empty(_) => Cursor::Rows(Vec::new().into_iter()),
            Rel::Values(values) => Cursor::Values(values.clone(), 0),
            Rel::Scan(scan) => Cursor::Scan(ScanCursor::new(scan.clone())),
            Rel::Live(table) => Cursor::Live(table),
            Rel::Settings => Cursor::Settings,
            Rel::System(table) => Cursor::System(table),
            Rel::Series(series) => Cursor::Series(SeriesCursor::Unopened(series.clone())),
            Rel::Unroll(unroll) => Cursor::Unroll(Box::new(UnrollCursor::new(unroll.clone()))),
            Rel::Shared(shared) => Cursor::Shared(shared.clone()),
            Rel::Working(id, _) => Cursor::Working(id.0),
            Rel::Recursive(recursive) => Cursor::Recursive(Box::new(RecursiveCursor::new(recursive.clone()))),
            Rel::Measured(measured) => {
                measured.counters.0.loops.fetch_add(1, Ordering::Relaxed);
                Cursor::Measured(measured.counters.clone(), boxed(&measured.input))
            }
            Rel::Filter(filter) => Cursor::Filter(filter.clone(), boxed(&filter.input)),
            Rel::Project(project) => Cursor::Project(project.clone(), boxed(&project.input)),
            Rel::Join(join) => Cursor::Join(Box::new(JoinCursor::new(join.clone()))),
            Rel::Apply(apply) => Cursor::Apply(Box::new(ApplyCursor::new(apply.clone()))),
            Rel::Distinct(distinct) => Cursor::Distinct(Box::new(DistinctCursor::new(distinct.clone()))),
            Rel::Limit(limit) => Cursor::Limit(Box::new(LimitCursor::new(limit.clone()))),
            Rel::Set(set) if set.operator == SetOperator::Union => {
                Cursor::Append(Box::new((Cursor::open(&set.left), Cursor::open(&set.right))))
            }
            Rel::Set(set) => Cursor::Set(Box::new(SetCursor::new(set.clone()))),
            Rel::Aggregate(aggregate) => Cursor::Collected(Collected::Aggregate(aggregate.clone())),
            Rel::Window(window) => Cursor::Collected(Collected::Window(window.clone())),
            Rel::Sort(sort) => Cursor::Collected(Collected::Sort(sort.clone())),
        }
    }

    /// The next rows, one by one; none at the end. A batch may be empty.
    pub(crate) async fn next_rows<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        Ok(self.next_batch(context).await?.map(Batch::into_rows))
    }

    /// The next rows; none at the end. A batch may be empty.
    pub(crate) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Batch>> {
        match self {
            Cursor::Rows(rows) => Ok(batch(rows).map(Batch::Rows)),
            Cursor::Scan(scan) => scan.next_batch(context).await,
            inner => inner.boxed(context).await,
        }
    }

    /// Operators are as deep as plans are, so those that pull from others do so on the heap.
    fn boxed<'a, D: Database>(&'a mut self, context: &'a mut Context<'_, D>) -> NextBatch<'a> {
        Box::pin(self.pull(context))
    }

    async fn pull<D: Database>(&mut self, context: &mut Context<'_, D>) -> SqlResult<Option<Batch>> {
        match self {
            Cursor::Rows(rows) => Ok(batch(rows).map(Batch::Rows)),
            Cursor::Scan(scan) => scan.next_batch(context).await,
            Cursor::Series(series) => series.next_batch(context).await,
            Cursor::Unroll(unroll) => Ok(unroll.next_rows(context).await?.map(Batch::Rows)),
            Cursor::Values(values, next) => {
                let mut rows = Vec::new();
                for exprs in values.rows.iter().skip(*next).take(BATCH_ROWS) {
                    rows.push(context.eval_all(exprs, &[]).await?);
                }
                *next += rows.len();
                Ok(Some(rows).filter(|rows| !rows.is_empty()).map(Batch::Rows))
            }
            Cursor::Measured(counters, input) => {
                let reads = context.transaction.block_reads();
                let (since, before) = (context.database.wall_micros(), (reads.all(), reads.from_disk()));
                let rows = input.next_batch(context).await?;
                let micros = context.database.wall_micros().saturating_sub(since);
                let add = |counter: &AtomicU64, more| _ = counter.fetch_add(more, Ordering::Relaxed);
                add(&counters.0.micros, u64::try_from(micros).unwrap_or(0));
                add(&counters.0.rows, rows.as_ref().map_or(0, |rows| rows.len() as u64));
                add(&counters.0.blocks, reads.all() - before.0);
                add(&counters.0.blocks_from_disk, reads.from_disk() - before.1);
                Ok(rows)
            }
            Cursor::Filter(filter, input) => filtered(filter, input, context).await,
            Cursor::Project(project, input) => projected(project, input, context).await,
            Cursor::Limit(limit) => limit.next_batch(context).await,
            Cursor::Join(join) => join.next_batch(context).await,
            Cursor::Apply(apply) => Ok(apply.next_rows(context).await?.map(Batch::Rows)),
            Cursor::Distinct(distinct) => distinct.next_batch(context).await,
            Cursor::Set(set) => set.next_batch(context).await,
            Cursor::Recursive(recursive) => Ok(recursive.next_rows(context).await?.map(Batch::Rows)),
            Cursor::Ordered(ordered) => {
                yield_now().await;
                Ok(ordered.next_batch().map(Batch::Columns))
            }
            Cursor::Append(both) => match both.0.next_batch(context).await? {
                Some(rows) => Ok(Some(rows)),
                None => both.1.next_batch(context).await,
            },
            Cursor::Listed(rows, given) => {
                context.check_cancel()?;
                yield_now().await;
                let some: Vec<Row> = rows.iter().skip(*given).take(BATCH_ROWS).cloned().collect();
                *given += some.len();
                Ok(Some(some).filter(|rows| !rows.is_empty()).map(Batch::Rows))
            }
            unopened => {
                *unopened = unopened.ready(context).await?;
                Ok(Some(Batch::Rows(Vec::new())))
            }
        }
    }

    /// A cursor over rows that are all there, for what has them all or none.
    async fn ready<D: Database>(&mut self, context: &mut Context<'_, D>) -> SqlResult<Cursor> {
        Ok(match self {
            Cursor::Collected(collected) => collect(collected, context).await?,
            Cursor::Live(table) => {
                let rows = context.database.live_rows(table.name).await?;
                for row in &rows {
                    context.budget.charge_row(row)?;
                }
                Cursor::Rows(rows.into_iter())
            }
            Cursor::Settings => {
                let mut rows = Vec::new();
                for (key, mut row) in settings::rows(context.transaction).await? {
                    row.push(Datum::Bytea(key));
                    rows.push(row);
                }
                Cursor::Rows(rows.into_iter())
            }
            Cursor::System(table) => Cursor::Listed(context.system_rows(table).await?, 0),
            Cursor::Working(id) => Cursor::Listed(context.env.memo.working(*id), 0),
            Cursor::Shared(shared) => {
                if let Some(rows) = context.env.memo.shared(shared.id.0) {
                    return Ok(Cursor::Listed(rows, 0));
                }
                let mut input = Cursor::open(&shared.input);
                let mut all = Vec::new();
                while let Some(rows) = input.next_rows(context).await? {
                    for row in rows {
                        context.budget.charge_row(&row)?;
                        all.push(row);
                    }
                }
                let all = Arc::new(all);
                context.env.memo.note_shared(shared.id.0, all.clone());
                Cursor::Listed(all, 0)
            }
            _ => Cursor::Rows(Vec::new().into_iter()),
        })
    }
}

pub(super) fn batch(rows: &mut impl Iterator<Item = Row>) -> Option<Vec<Row>> {
    let rows: Vec<Row> = rows.take(BATCH_ROWS).collect();
    (!rows.is_empty()).then_some(rows)
}

async fn filtered<D: Database>(
    filter: &Filter,
    input: &mut Cursor,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Batch>> {
    let Some(mut batch) = input.next_batch(context).await? else { return Ok(None) };
    match &mut batch {
        Batch::Rows(rows) => retain(rows, &filter.predicate, context).await?,
        Batch::Columns(columns) => {
            let kept = context.select(Some(&filter.predicate), columns).await?;
            columns.keep(&kept);
        }
    }
    Ok(Some(batch))
}

/// Keeps the rows for which `predicate` holds.
pub(super) async fn retain<D: Database>(
    rows: &mut Vec<Row>,
    predicate: &Expr,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let mut kept = 0;
    for at in 0..rows.len() {
        let Some(row) = rows.get(at) else { break };
        if context.passes(Some(predicate), row).await? {
            rows.swap(kept, at);
            kept += 1;
        }
    }
    rows.truncate(kept);
    Ok(())
}

async fn projected<D: Database>(
    project: &Project,
    input: &mut Cursor,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Batch>> {
    let Some(mut batch) = input.next_batch(context).await? else { return Ok(None) };
    // What two of them ask of a sequence, they ask row by row.
    if project.outputs.iter().filter(|output| output.is_volatile()).count() > 1 {
        batch = Batch::Rows(batch.into_rows());
    }
    Ok(Some(match batch {
        Batch::Rows(mut rows) => {
            for row in &mut rows {
                project_row(&project.outputs, row, context).await?;
            }
            Batch::Rows(rows)
        }
        Batch::Columns(columns) => Batch::Columns(project_columns(&project.outputs, columns, context).await?),
    }))
}

async fn project_row<D: Database>(
    outputs: &[Expr],
    row: &mut Row,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    // The whole row, as it is: the commonest list of all.
    let is_whole =
        outputs.len() == row.len() && outputs.iter().enumerate().all(|(at, expr)| *expr == Expr::Column(at));
    if !is_whole {
        *row = match outputs {
            // Nobody looks at the row any more: its value need not be copied.
            [Expr::Column(only)] => {
                let value = row.get_mut(*only);
                vec![value.map_or(Datum::Null, |value| core::mem::replace(value, Datum::Null))]
            }
            all => context.eval_all(all, row).await?,
        };
    }
    Ok(())
}

async fn project_columns<D: Database>(
    outputs: &[Expr],
    mut columns: Columns,
    context: &mut Context<'_, D>,
) -> SqlResult<Columns> {
    let mut values = Vec::with_capacity(outputs.len());
    for (at, output) in outputs.iter().enumerate() {
        let is_needed_later = |column: usize| {
            let later = outputs.get(at + 1..).unwrap_or_default();
            later.iter().any(|expr| !expr.sees_only(|seen| seen != column))
        };
        values.push(match output {
            Expr::Column(column) if !is_needed_later(*column) => {
                let slot = columns.columns.get_mut(*column);
                slot.map_or(Column::Same(Datum::Null), |slot| {
                    core::mem::replace(slot, Column::Same(Datum::Null))
                })
            }
            other => context.compute(other, &columns).await?.into_owned(),
        });
    }
    Ok(Columns { len: columns.len, columns: values })
}

/// `LIMIT` and `OFFSET` in progress.
pub(crate) struct LimitCursor {
    node: Arc<Limit>,
    input: Cursor,
    /// How many rows are still to be skipped, and how many are still wanted, all if none; not known at first.
    left: Option<(u64, Option<u64>)>,
}

impl LimitCursor {
    fn new(node: Arc<Limit>) -> LimitCursor {
        let input = Cursor::open(&node.input);
        LimitCursor { node, input, left: None }
    }

    async fn next_batch<D: Database>(&mut self, context: &mut Context<'_, D>) -> SqlResult<Option<Batch>> {
        let (mut skip, mut wanted) = match self.left {
            Some(left) => left,
            None => bounds(self.node.limit.as_ref(), self.node.offset.as_ref(), context).await?,
        };
        let batch = match wanted {
            Some(0) => None,
            _ => self.input.next_batch(context).await?,
        };
        let Some(mut batch) = batch else {
            self.left = Some((skip, Some(0)));
            return Ok(None);
        };
        let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(batch.len());
        skip -= skipped as u64;
        let most = wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(usize::MAX);
        batch.cut(skipped, most);
        if let Some(wanted) = &mut wanted {
            *wanted -= batch.len() as u64;
        }
        self.left = Some((skip, wanted));
        Ok(Some(batch))
    }
}

/// How many rows are to be skipped, and how many are wanted; all if none.
pub(super) async fn bounds<D: Database>(
    limit: Option<&Expr>,
    offset: Option<&Expr>,
    context: &mut Context<'_, D>,
) -> SqlResult<(u64, Option<u64>)> {
    let skip = row_count(offset, SqlState::INVALID_OFFSET, "OFFSET", context).await?.unwrap_or(0);
    Ok((skip, row_count(limit, SqlState::INVALID_LIMIT, "LIMIT", context).await?))
}

async fn row_count<D: Database>(
    expr: Option<&Expr>,
    state: SqlState,
    clause: &str,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<u64>> {
    let Some(expr) = expr else { return Ok(None) };
    match context.eval(expr, &[]).await?.as_i64().map(u64::try_from) {
        None => Ok(None),
        Some(Ok(count)) => Ok(Some(count)),
        Some(Err(_)) => Err(SqlError::new(state, alloc::format!("{clause} must not be negative"))),
    }
}
