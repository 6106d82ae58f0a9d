//! Grouping.

use alloc::vec::Vec;
use core::cmp::Ordering;

use hashbrown::HashMap;

use super::accumulator::Accumulator;
use super::distinct::write_same_form;
use super::sort::order;
use super::{Context, Cursor, Row, row_len};
use crate::bind::AggregateCall;
use crate::database::Database;
use crate::error::SqlResult;
use crate::plan::rel::Aggregate;

struct Group {
    keys: Row,
    results: Vec<Result>,
}

/// One aggregate of one group.
enum Result {
    Running(Accumulator),
    /// Rows that are to be seen in an order of their own: what they are ordered by, and they themselves.
    Waiting(Vec<(Row, Row)>),
}

impl Group {
    fn new(keys: Row, calls: &[AggregateCall]) -> Group {
        let result = |call: &AggregateCall| match call.order.is_empty() {
            true => Result::Running(Accumulator::new(call)),
            false => Result::Waiting(Vec::new()),
        };
        Group { keys, results: calls.iter().map(result).collect() }
    }
}

/// The rows of the groups: keys, then results; in the order of their first rows.
pub(super) async fn aggregate<D: Database>(
    node: &Aggregate,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
    if node.keys.is_empty() {
        groups.push(Group::new(Row::new(), &node.calls));
    }
    let mut cursor = Cursor::open(&node.input);
    // Of one row after the other: most belong to groups that are there already.
    let (mut keys, mut form) = (Row::new(), Vec::new());
    while let Some(batch) = cursor.next_batch(context).await? {
        for row in batch {
            let mut at = 0;
            if !node.keys.is_empty() {
                context.eval_into(&node.keys, &row, &mut keys).await?;
                form.clear();
                keys.iter().for_each(|key| write_same_form(key, &mut form));
                at = match index.get(&form) {
                    Some(at) => *at,
                    None => {
                        let keys = core::mem::take(&mut keys);
                        let len = row_len(&keys) + 2 * form.len() + 64 * (1 + node.calls.len());
                        context.budget.charge(len)?;
                        index.insert(form.clone(), groups.len());
                        groups.push(Group::new(keys, &node.calls));
                        groups.len() - 1
                    }
                };
            }
            if let Some(group) = groups.get_mut(at) {
                for (result, call) in group.results.iter_mut().zip(&node.calls) {
                    take(result, call, &row, context).await?;
                }
            }
        }
    }
    let mut rows = Vec::with_capacity(groups.len());
    for group in groups {
        let mut row = group.keys;
        for (result, call) in group.results.into_iter().zip(&node.calls) {
            let accumulator = match result {
                Result::Running(accumulator) => accumulator,
                Result::Waiting(rows) => in_order(rows, call, context).await?,
            };
            row.push(accumulator.finish(call)?);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Lets `call` see `row`, now or later.
async fn take<D: Database>(
    result: &mut Result,
    call: &AggregateCall,
    row: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    if !context.passes(call.filter.as_ref(), row).await? {
        return Ok(());
    }
    match result {
        Result::Running(accumulator) => add(accumulator, call, row, context).await,
        Result::Waiting(rows) => {
            let mut keys = Row::with_capacity(call.order.len());
            for key in &call.order {
                keys.push(context.eval(&key.expr, row).await?);
            }
            context.budget.charge(row_len(&keys) + row_len(row))?;
            rows.push((keys, row.clone()));
            Ok(())
        }
    }
}

/// Adds to `accumulator` what `call` makes of `row`.
pub(super) async fn add<D: Database>(
    accumulator: &mut Accumulator,
    call: &AggregateCall,
    row: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    loop {
        match accumulator.add(call, row, &context.env, context.budget) {
            Err(error) if error.is_pending() => context.run_pending().await?,
            done => return done,
        }
    }
}

async fn in_order<D: Database>(
    mut rows: Vec<(Row, Row)>,
    call: &AggregateCall,
    context: &mut Context<'_, D>,
) -> SqlResult<Accumulator> {
    rows.sort_by(|(a, _), (b, _)| {
        let keys = call.order.iter().zip(a.iter().zip(b));
        keys.map(|(key, (a, b))| order(a, b, key.descending, key.nulls_first))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    let mut accumulator = Accumulator::new(call);
    for (_, row) in &rows {
        add(&mut accumulator, call, row, context).await?;
    }
    Ok(accumulator)
}
