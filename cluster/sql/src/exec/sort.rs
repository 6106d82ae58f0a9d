//! Sorting.

use alloc::vec::Vec;
use core::cmp::Ordering;

use cluster_format::limits::BATCH_ROWS;

use super::cursor::bounds;
use super::{Context, Cursor, Row, row_len};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::Sort;
use crate::types::Datum;

/// Up to so many rows, a sort keeps no more than it must.
const TOP_ROWS_MAX: u64 = 10_000;

/// The rows below `node`, sorted; if only the first are wanted, perhaps no others.
pub(super) async fn sort<D: Database>(node: &Sort, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let top = match &node.top {
        None => None,
        Some((limit, offset)) => {
            let (skip, wanted) = bounds(limit.as_ref(), offset.as_ref(), context).await?;
            let top = wanted.map(|wanted| wanted.saturating_add(skip)).filter(|top| *top <= TOP_ROWS_MAX);
            top.and_then(|top| usize::try_from(top).ok())
        }
    };
    let by_keys = |a: &Row, b: &Row| {
        let keys = node.keys.iter();
        keys.map(|key| {
            let (Some(a), Some(b)) = (a.get(key.column), b.get(key.column)) else { return Ordering::Equal };
            order(a, b, key.descending, key.nulls_first)
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
    };
    let mut cursor = Cursor::open(&node.input);
    let mut rows: Vec<Row> = Vec::new();
    while let Some(batch) = cursor.next_batch(context).await? {
        for row in batch {
            context.budget.charge_row(&row)?;
            rows.push(row);
        }
        if let Some(top) = top
            && rows.len() > 2 * top + BATCH_ROWS
        {
            rows.sort_by(by_keys);
            rows.drain(top..).for_each(|row| context.budget.refund(row_len(&row)));
        }
    }
    rows.sort_by(by_keys);
    Ok(rows)
}

/// How two values are ordered.
pub(super) fn order(a: &Datum, b: &Datum, descending: bool, nulls_first: bool) -> Ordering {
    let nulls = if nulls_first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (false, false) if descending => b.order(a),
        (false, false) => a.order(b),
        (true, true) => Ordering::Equal,
        (true, false) => nulls,
        (false, true) => nulls.reverse(),
    }
}
