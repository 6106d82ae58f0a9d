//! `LIMIT` and `OFFSET`.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{Context, Cursor};
use crate::batch::Batch;
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::plan::rel::Limit;

/// `LIMIT` and `OFFSET` in progress.
pub(crate) struct LimitCursor {
    node: Arc<Limit>,
    input: Cursor,
    /// How many rows are still to be skipped, and how many are still wanted, all if none; not known at first.
    left: Option<(u64, Option<u64>)>,
}

impl LimitCursor {
    pub(super) fn open(node: &Arc<Limit>) -> Box<LimitCursor> {
        let input = Cursor::open(&node.input);
        Box::new(LimitCursor { node: node.clone(), input, left: None })
    }

    pub(super) async fn next_batch<D: Database>(
        &mut self,
        context: &mut Context<'_, D>,
        most: usize,
    ) -> SqlResult<Option<Batch>> {
        let (mut skip, mut wanted) = match self.left {
            Some(left) => left,
            None => bounds(self.node.limit.as_ref(), self.node.offset.as_ref(), context).await?,
        };
        let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let given = wanted.map_or(usize::MAX, count).min(most);
        let batch = match wanted {
            Some(0) => None,
            _ => self.input.next_wanted(context, count(skip).saturating_add(given)).await?,
        };
        let Some(mut batch) = batch else {
            self.left = Some((skip, Some(0)));
            return Ok(None);
        };
        let skipped = count(skip).min(batch.len());
        skip -= skipped as u64;
        batch.cut(skipped, wanted.map_or(usize::MAX, count));
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
