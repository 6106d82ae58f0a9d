//! Projections.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::{Context, Cursor, Row, row_len};
use crate::batch::{BATCH_LEN_MAX, Batch, Column, Columns, numbers};
use crate::database::Database;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::Project;
use crate::types::Datum;

/// A projection in progress.
pub(crate) struct ProjectCursor {
    node: Arc<Project>,
    input: Cursor,
    /// Whether any of the outputs is more than a column.
    computes: bool,
    /// Whether the rows are given as they are.
    is_whole: bool,
    /// Rows from below that nobody has asked for yet.
    rest: Option<Rest>,
}

enum Rest {
    Rows(vec::IntoIter<Row>),
    /// And how many of them have been given.
    Columns(Columns, usize),
}

impl ProjectCursor {
    pub(super) fn open(node: &Arc<Project>) -> Box<ProjectCursor> {
        let outputs = &node.outputs;
        let computes = !outputs.iter().all(|output| matches!(output, Expr::Column(_)));
        // The commonest list of all.
        let is_whole = outputs.len() == node.input.width()
            && outputs.iter().enumerate().all(|(at, output)| *output == Expr::Column(at));
        let input = Cursor::open(&node.input);
        Box::new(ProjectCursor { node: node.clone(), input, computes, is_whole, rest: None })
    }

    /// Whether it is known that no rows come any more.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_none() && self.input.is_at_end()
    }

    /// The next rows. No more are computed than are wanted, or than make a batch as long as it may be.
    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        wanted: usize,
    ) -> SqlResult<Option<Batch>> {
        let rest = match self.rest.take() {
            Some(rest) => rest,
            None => match self.input.next_wanted(context, wanted).await? {
                None => return Ok(None),
                Some(batch) if self.is_whole => return Ok(Some(batch)),
                Some(Batch::Rows(rows)) => Rest::Rows(rows.into_iter()),
                Some(Batch::Columns(columns)) => Rest::Columns(columns, 0),
            },
        };
        let wanted = if self.computes { wanted } else { usize::MAX };
        let outputs = &self.node.outputs;
        Ok(Some(match rest {
            Rest::Rows(mut rows) => {
                let projected = project_rows(outputs, &mut rows, context, wanted).await?;
                self.rest = (rows.len() > 0).then_some(Rest::Rows(rows));
                Batch::Rows(projected)
            }
            Rest::Columns(mut columns, start) => {
                let rows = start..columns.len.min(start.saturating_add(wanted));
                let projected = project_columns(outputs, &mut columns, rows, context).await?;
                let end = start + projected.len;
                self.rest = (end < columns.len).then_some(Rest::Columns(columns, end));
                Batch::Columns(projected)
            }
        }))
    }
}

async fn project_rows<D: Database>(
    outputs: &[Expr],
    rows: &mut vec::IntoIter<Row>,
    context: &mut Context<'_, D>,
    wanted: usize,
) -> SqlResult<Vec<Row>> {
    let (mut projected, mut len) = (Vec::with_capacity(rows.len().min(wanted)), 0);
    while projected.len() < wanted
        && len < BATCH_LEN_MAX
        && let Some(mut row) = rows.next()
    {
        let values = match outputs {
            // Nobody looks at the row any more: its value need not be copied.
            [Expr::Column(only)] => {
                let value = row.get_mut(*only);
                vec![value.map_or(Datum::Null, |value| core::mem::replace(value, Datum::Null))]
            }
            all => context.eval_all(all, &row).await?,
        };
        len += row_len(&values);
        projected.push(values);
    }
    Ok(projected)
}

/// The outputs for the first of `rows`. Of columns that have been given as a whole, nothing is left.
async fn project_columns<D: Database>(
    outputs: &[Expr],
    columns: &mut Columns,
    rows: Range<usize>,
    context: &mut Context<'_, D>,
) -> SqlResult<Columns> {
    let is_column = |output: &&Expr| matches!(output, Expr::Column(_));
    let computed = outputs.iter().filter(|output| !is_column(output));
    let start = rows.start;
    let (computed, len) = context.compute(computed, columns, rows).await?;
    let mut computed: vec::IntoIter<Column> =
        computed.into_iter().map(|values| values.into_owned()).collect::<Vec<Column>>().into_iter();
    let part: Option<Vec<u32>> = (len < columns.len).then(|| numbers(start..start + len).collect());
    let mut values = Vec::with_capacity(outputs.len());
    for (at, output) in outputs.iter().enumerate() {
        let Expr::Column(column) = output else {
            values.extend(computed.next());
            continue;
        };
        let is_needed_later = || outputs.iter().skip(at + 1).any(|later| later == output);
        let none = Column::Same(Datum::Null);
        values.push(match (columns.columns.get_mut(*column), &part) {
            (None, _) => none,
            (Some(values), Some(part)) => values.gather(part),
            (Some(values), None) if is_needed_later() => values.clone(),
            (Some(values), None) => core::mem::replace(values, none),
        });
    }
    Ok(Columns { len, columns: values })
}
