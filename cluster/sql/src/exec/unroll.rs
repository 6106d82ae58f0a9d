//! Functions that give several rows for each row of others.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Context, Cursor, Row, row_len};
use crate::batch::BATCH_LEN_MAX;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::plan::rel::{RowSet, RowSetKind, Unroll};
use crate::types::{DataType, Datum};

/// Rows that are given at once at most: a set is begun anew behind them.
const BATCH_MAX: i64 = 1024;

/// Rows of others, each with what functions give of it.
pub(crate) struct UnrollCursor {
    node: Arc<Unroll>,
    input: Cursor,
    waiting: alloc::vec::IntoIter<Row>,
    now: Option<(Row, Vec<Set>, i64)>,
}

/// What one function gives of the row in hand.
enum Set {
    Items(Vec<Datum>),
    Numbers { first: i64, step: i64, count: i64, data_type: DataType },
}

impl Set {
    fn len(&self) -> i64 {
        match self {
            Set::Items(items) => i64::try_from(items.len()).unwrap_or(i64::MAX),
            Set::Numbers { count, .. } => *count,
        }
    }

    fn get(&self, at: i64) -> Datum {
        match self {
            Set::Items(items) => {
                let at = usize::try_from(at).ok();
                at.and_then(|at| items.get(at)).cloned().unwrap_or(Datum::Null)
            }
            Set::Numbers { first, step, count, data_type } if at < *count => {
                let number = step.checked_mul(at).and_then(|offset| first.checked_add(offset));
                crate::cast::integer(number, *data_type).unwrap_or(Datum::Null)
            }
            Set::Numbers { .. } => Datum::Null,
        }
    }
}

impl UnrollCursor {
    pub(super) fn new(node: Arc<Unroll>) -> UnrollCursor {
        let input = Cursor::open(&node.input);
        UnrollCursor { node, input, waiting: Vec::new().into_iter(), now: None }
    }

    pub(super) async fn next_rows<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Option<Vec<Row>>> {
        let Some((row, sets, at)) = &mut self.now else {
            return self.next_row(context).await;
        };
        let len = sets.iter().map(Set::len).max().unwrap_or(0);
        // Each of the rows has a copy of what they are made of.
        let most = i64::try_from(BATCH_LEN_MAX / row_len(row)).unwrap_or(BATCH_MAX).clamp(1, BATCH_MAX);
        let end = len.min(at.saturating_add(most));
        let mut rows = Vec::new();
        for at in *at..end {
            let mut unrolled = row.clone();
            unrolled.extend(sets.iter().map(|set| set.get(at)));
            if self.node.ordinality {
                unrolled.push(Datum::Int8(at.saturating_add(1)));
            }
            rows.push(unrolled);
        }
        *at = end;
        if end == len {
            self.now = None;
        }
        context.check_cancel()?;
        cluster_store::yield_now().await;
        Ok(Some(rows))
    }

    /// Takes the next row of the input in hand; a batch of none, or the end.
    async fn next_row<D: Database>(&mut self, context: &mut Context<'_, D>) -> SqlResult<Option<Vec<Row>>> {
        let Some(row) = self.waiting.next() else {
            return Ok(self.input.next_rows(context).await?.map(|rows| {
                self.waiting = rows.into_iter();
                Vec::new()
            }));
        };
        let mut sets = Vec::with_capacity(self.node.sets.len());
        for set in &self.node.sets {
            sets.push(open(set, &row, context).await?);
        }
        self.now = Some((row, sets, 0));
        Ok(Some(Vec::new()))
    }
}

async fn open<D: Database>(set: &RowSet, row: &Row, context: &mut Context<'_, D>) -> SqlResult<Set> {
    let none = Set::Items(Vec::new());
    Ok(match &set.kind {
        RowSetKind::Elements(array) => match context.eval(array, row).await? {
            Datum::Array(array) => Set::Items(array.items),
            _ => none,
        },
        RowSetKind::Subscripts(array) => match context.eval(array, row).await? {
            Datum::Array(array) => Set::Numbers {
                first: 1,
                step: 1,
                count: i64::try_from(array.items.len()).unwrap_or(0),
                data_type: DataType::Int4,
            },
            _ => none,
        },
        RowSetKind::Series(arguments) => {
            let mut numbers = Vec::with_capacity(3);
            for argument in arguments.iter() {
                numbers.push(context.eval(argument, row).await?.as_i64());
            }
            match numbers[..] {
                [_, _, Some(0)] => {
                    let message = "step size cannot equal zero";
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                }
                [Some(first), Some(last), Some(step)] => {
                    let span = i128::from(last) - i128::from(first);
                    let count = span / i128::from(step) + 1;
                    let is_empty = span != 0 && (span > 0) != (step > 0);
                    let count = if is_empty { 0 } else { i64::try_from(count).unwrap_or(i64::MAX) };
                    Set::Numbers { first, step, count, data_type: set.data_type }
                }
                _ => none,
            }
        }
    })
}
