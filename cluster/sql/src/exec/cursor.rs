//! A plan in progress: each operator pulls batches of rows from those below it.

use alloc::boxed::Box;
use alloc::format;
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
use super::filter::FilterCursor;
use super::join::{JoinCursor, MergeCursor};
use super::limit::LimitCursor;
use super::project::ProjectCursor;
use super::recursive::RecursiveCursor;
use super::scan::{ScanCursor, SeriesCursor};
use super::unroll::UnrollCursor;
use super::{Context, Row, row_len};
use crate::ast::SetOperator;
use crate::batch::{BATCH_LEN_MAX, Batch};
use crate::database::{Database, LiveTable};
use crate::error::{SqlResult, SqlState};
use crate::plan::rel::{Called, Counters, JoinMethod, Rel, Shared, Values};
use crate::session::Notice;
use crate::settings;
use crate::system::SystemTable;
use crate::types::Datum;

/// A plan in progress.
pub(crate) enum Cursor {
    Rows(vec::IntoIter<Row>),
    Scan(ScanCursor),
    Series(SeriesCursor),
    /// A routine that was not called yet.
    Called(Arc<Called>),
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
    Filter(Box<FilterCursor>),
    Project(Box<ProjectCursor>),
    Limit(Box<LimitCursor>),
    Join(Box<JoinCursor>),
    Merge(Box<MergeCursor>),
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
            Rel::Called(called) => Cursor::Called(called.clone()),
            Rel::Unroll(unroll) => Cursor::Unroll(Box::new(UnrollCursor::new(unroll.clone()))),
            Rel::Shared(shared) => Cursor::Shared(shared.clone()),
            Rel::Working(id, _) => Cursor::Working(id.0),
            Rel::Recursive(recursive) => Cursor::Recursive(Box::new(RecursiveCursor::new(recursive.clone()))),
            Rel::Measured(measured) => {
                measured.counters.0.loops.fetch_add(1, Ordering::Relaxed);
                Cursor::Measured(measured.counters.clone(), boxed(&measured.input))
            }
            Rel::Filter(filter) => Cursor::Filter(FilterCursor::open(filter)),
            Rel::Project(project) => Cursor::Project(ProjectCursor::open(project)),
            Rel::Join(join) => match &join.method {
                JoinMethod::Hash => Cursor::Join(Box::new(JoinCursor::new(join.clone()))),
                JoinMethod::Merge(descending) => {
                    Cursor::Merge(Box::new(MergeCursor::new(join.clone(), descending)))
                }
            },
            Rel::Apply(apply) => Cursor::Apply(Box::new(ApplyCursor::new(apply.clone()))),
            Rel::Distinct(distinct) => Cursor::Distinct(Box::new(DistinctCursor::new(distinct.clone()))),
            Rel::Limit(limit) => Cursor::Limit(LimitCursor::open(limit)),
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
        self.next_wanted(context, usize::MAX).await
    }

    /// The same for one who may never want more than `wanted` rows: there may be more of them in the batch, but nothing is
    /// evaluated for more than are needed to give so many, as it might fail, or ask a sequence for numbers. Joins are apart:
    /// their conditions are tried on a batch of pairs, of ever more rows on the left as long as these give too few.
    pub(crate) async fn next_wanted<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        if self.is_at_end() {
            return Ok(None);
        }
        match self {
            Cursor::Rows(rows) => Ok(batch(rows).map(Batch::Rows)),
            Cursor::Scan(scan) => scan.next_batch(context, wanted).await,
            inner => inner.boxed(context, wanted).await,
        }
    }

    /// Whether it is known, without a look, that no rows come any more.
    pub(super) fn is_at_end(&self) -> bool {
        match self {
            Cursor::Scan(scan) => scan.is_at_end(),
            Cursor::Project(project) => project.is_at_end(),
            _ => false,
        }
    }

    /// Operators are as deep as plans are, so those that pull from others do so on the heap.
    fn boxed<'a, D: Database>(&'a mut self, context: &'a mut Context<'_, D>, wanted: usize) -> NextBatch<'a> {
        Box::pin(self.pull(context, wanted))
    }

    async fn pull<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        match self {
            Cursor::Rows(rows) => Ok(batch(rows).map(Batch::Rows)),
            Cursor::Scan(scan) => scan.next_batch(context, wanted).await,
            Cursor::Series(series) => series.next_batch(context).await,
            Cursor::Unroll(unroll) => Ok(unroll.next_rows(context).await?.map(Batch::Rows)),
            Cursor::Values(values, next) => {
                let (mut rows, mut len) = (Vec::new(), 0);
                for exprs in values.rows.iter().skip(*next).take(BATCH_ROWS.min(wanted)) {
                    let row = context.eval_all(exprs, &[]).await?;
                    len += row_len(&row);
                    rows.push(row);
                    if len >= BATCH_LEN_MAX {
                        break;
                    }
                }
                *next += rows.len();
                Ok(Some(rows).filter(|rows| !rows.is_empty()).map(Batch::Rows))
            }
            Cursor::Measured(counters, input) => measured(counters, input, context, wanted).await,
            Cursor::Filter(filter) => filter.next_batch(context, wanted).await,
            Cursor::Project(project) => project.next_batch(context, wanted).await,
            Cursor::Limit(limit) => limit.next_batch(context, wanted).await,
            Cursor::Join(join) => join.next_batch(context, wanted).await,
            Cursor::Merge(merge) => merge.next_batch(context, wanted).await,
            Cursor::Apply(apply) => Ok(apply.next_rows(context, wanted).await?.map(Batch::Rows)),
            Cursor::Distinct(distinct) => distinct.next_batch(context, wanted).await,
            Cursor::Set(set) => set.next_batch(context, wanted).await,
            Cursor::Recursive(recursive) => Ok(recursive.next_rows(context).await?.map(Batch::Rows)),
            Cursor::Ordered(ordered) => {
                yield_now().await;
                Ok(ordered.next_batch().map(Batch::Columns))
            }
            Cursor::Append(both) => match both.0.next_wanted(context, wanted).await? {
                Some(rows) => Ok(Some(rows)),
                None => both.1.next_wanted(context, wanted).await,
            },
            Cursor::Listed(rows, given) => {
                context.check_cancel()?;
                yield_now().await;
                let mut rest = rows.iter().skip(*given).cloned();
                let some = batch(&mut rest);
                *given += some.as_ref().map_or(0, Vec::len);
                Ok(some.map(Batch::Rows))
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
            Cursor::Called(called) => {
                let arguments = context.eval_all(&called.call.arguments, &[]).await?;
                let rows = match called.call.is_null(&arguments) {
                    true => Vec::new(),
                    false => context.call(&called.call.routine, &arguments).await?,
                };
                for row in &rows {
                    context.budget.charge_row(row)?;
                }
                Cursor::Rows(rows.into_iter())
            }
            Cursor::Live(table) => {
                let live = context.database.live_rows(table.name).await?;
                for node in live.silent {
                    let message = format!("node {node} did not answer; its rows are missing");
                    context.env.session.remarks.lock().push(Notice::warning(SqlState::WARNING, message));
                }
                for row in &live.rows {
                    context.budget.charge_row(row)?;
                }
                Cursor::Rows(live.rows.into_iter())
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

/// The next of `rows`, as many as a batch has; none at the end.
pub(super) fn batch(rows: &mut impl Iterator<Item = Row>) -> Option<Vec<Row>> {
    let (mut some, mut len) = (Vec::new(), 0);
    while some.len() < BATCH_ROWS
        && len < BATCH_LEN_MAX
        && let Some(row) = rows.next()
    {
        len += row_len(&row);
        some.push(row);
    }
    (!some.is_empty()).then_some(some)
}

async fn measured<D: Database>(
    counters: &Counters,
    input: &mut Cursor,
    context: &mut Context<'_, D>,
    wanted: usize,
) -> SqlResult<Option<Batch>> {
    let reads = context.transaction.block_reads();
    let (since, before) = (context.database.wall_micros(), (reads.all(), reads.from_disk()));
    let rows = input.next_wanted(context, wanted).await?;
    let micros = context.database.wall_micros().saturating_sub(since);
    let add = |counter: &AtomicU64, more| _ = counter.fetch_add(more, Ordering::Relaxed);
    add(&counters.0.micros, u64::try_from(micros).unwrap_or(0));
    add(&counters.0.rows, rows.as_ref().map_or(0, |rows| rows.len() as u64));
    add(&counters.0.blocks, reads.all() - before.0);
    add(&counters.0.blocks_from_disk, reads.from_disk() - before.1);
    Ok(rows)
}
