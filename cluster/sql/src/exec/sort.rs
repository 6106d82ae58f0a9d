//! Sorting.

use alloc::vec::Vec;
use core::cmp::Ordering;

use cluster_store::yield_now;

use super::limit::bounds;
use super::{Context, Cursor};
use crate::batch::{Columns, Gathered};
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::{Sort, SortKey};
use crate::types::Datum;

/// Up to so many rows, a sort keeps no more than it must.
const TOP_ROWS_MAX: u64 = 10_000;

/// So many more than it must, before it lets go of what it need not keep.
const SPARE_ROWS: usize = 1024;

/// Rows that are sorted, or merged, before others may run.
const RUN_ROWS: usize = 4096;

/// The rows below `node`, and in which order they come; if only the first are wanted, perhaps no others.
pub(super) async fn sort<D: Database>(
    node: &Sort,
    context: &mut Context<'_, D>,
) -> SqlResult<(Columns, Vec<u32>)> {
    let top = match &node.top {
        None => None,
        Some((limit, offset)) => {
            let (skip, wanted) = bounds(limit.as_ref(), offset.as_ref(), context).await?;
            let top = wanted.map(|wanted| wanted.saturating_add(skip)).filter(|top| *top <= TOP_ROWS_MAX);
            top.and_then(|top| usize::try_from(top).ok())
        }
    };
    let width = node.input.width();
    let mut cursor = Cursor::open(&node.input);
    let mut rows = Gathered::new(width);
    let mut charged = 0;
    while let Some(batch) = cursor.next_batch(context).await? {
        let columns = batch.into_columns(width);
        // And twice the order.
        let len = columns.len_gathered() + columns.len * 2 * size_of::<u32>();
        context.budget.charge(len)?;
        charged += len;
        rows.append(columns);
        if let Some(top) = top
            && rows.len() > 2 * top + SPARE_ROWS
        {
            let all = rows.finish();
            let mut order = sorted(&all, &node.keys, context).await?;
            order.truncate(top);
            rows = Gathered::new(width);
            let kept = all.gather(&order);
            context.budget.refund(charged);
            charged = kept.len_gathered();
            context.budget.charge(charged)?;
            rows.append(kept);
        }
    }
    let all = rows.finish();
    let mut order = sorted(&all, &node.keys, context).await?;
    order.truncate(top.unwrap_or(usize::MAX));
    Ok((all, order))
}

/// In which order the rows of `columns` come by `keys`; those that are alike stay as they are. A merge sort whose runs are
/// sorted at once, so that others may run in between.
async fn sorted<D>(columns: &Columns, keys: &[SortKey], context: &Context<'_, D>) -> SqlResult<Vec<u32>> {
    let mut order: Vec<u32> = (0..u32::try_from(columns.len).unwrap_or(u32::MAX)).collect();
    for run in order.chunks_mut(RUN_ROWS) {
        run.sort_by(|one, other| compare(columns, keys, *one, *other));
        context.check_cancel()?;
        yield_now().await;
    }
    let mut len = RUN_ROWS;
    while len < order.len() {
        let mut merged = Vec::with_capacity(order.len());
        for pair in order.chunks(2 * len) {
            let (mut one, mut other) = pair.split_at(len.min(pair.len()));
            while let ([first, one_rest @ ..], [second, other_rest @ ..]) = (one, other) {
                match compare(columns, keys, *first, *second) {
                    Ordering::Greater => {
                        merged.push(*second);
                        other = other_rest;
                    }
                    _ => {
                        merged.push(*first);
                        one = one_rest;
                    }
                }
                if merged.len() % RUN_ROWS == 0 {
                    context.check_cancel()?;
                    yield_now().await;
                }
            }
            merged.extend_from_slice(one);
            merged.extend_from_slice(other);
        }
        order = merged;
        len *= 2;
    }
    Ok(order)
}

fn compare(columns: &Columns, keys: &[SortKey], one: u32, other: u32) -> Ordering {
    let (one, other) = (one as usize, other as usize);
    for key in keys {
        let Some(column) = columns.columns.get(key.column) else { continue };
        let nulls = (column.is_null(one), column.is_null(other));
        let order = directed(key.descending, key.nulls_first, nulls, || column.order(one, other));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// How two values are ordered.
pub(super) fn order(a: &Datum, b: &Datum, descending: bool, nulls_first: bool) -> Ordering {
    directed(descending, nulls_first, (a.is_null(), b.is_null()), || a.order(b))
}

/// How two values are ordered, of which `are_null` says whether they are, if the ascending order of others is `order`.
#[inline]
fn directed(
    descending: bool,
    nulls_first: bool,
    are_null: (bool, bool),
    order: impl FnOnce() -> Ordering,
) -> Ordering {
    let nulls = if nulls_first { Ordering::Less } else { Ordering::Greater };
    match are_null {
        (false, false) if descending => order().reverse(),
        (false, false) => order(),
        (true, true) => Ordering::Equal,
        (true, false) => nulls,
        (false, true) => nulls.reverse(),
    }
}
