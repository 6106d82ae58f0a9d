//! Grouping.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::accumulator::Accumulator;
use super::{Context, Row, SourceCursor, row_len};
use crate::bind::AggregateCall;
use crate::database::Database;
use crate::error::SqlResult;
use crate::key::{self, KeyOrder};
use crate::plan::{Aggregation, SelectPlan};

struct Group {
    keys: Row,
    accumulators: Vec<Accumulator>,
}

impl Group {
    fn new(keys: Row, calls: &[AggregateCall]) -> Group {
        let accumulators = calls.iter().map(Accumulator::new).collect();
        Group { keys, accumulators }
    }
}

/// The rows of the groups that pass `HAVING`: keys, then results; in the order of their first rows.
pub(super) async fn aggregate<D: Database>(
    plan: &SelectPlan,
    aggregation: &Aggregation,
    source: &mut SourceCursor,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Row>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut bytes = Vec::new();
    if aggregation.keys.is_empty() {
        groups.push(Group::new(Row::new(), &aggregation.calls));
    }
    while let Some(batch) = source.next_batch(plan, context).await? {
        for (_, row) in batch {
            let mut at = 0;
            if !aggregation.keys.is_empty() {
                let mut keys = Row::with_capacity(aggregation.keys.len());
                bytes.clear();
                for expr in &aggregation.keys {
                    let value = expr.eval(&row, &context.env)?;
                    key::write(&value, KeyOrder::Ascending, &mut bytes);
                    keys.push(value.into_owned());
                }
                at = match index.get(&bytes) {
                    Some(at) => *at,
                    None => {
                        let len = row_len(&keys) + 2 * bytes.len() + 64 * (1 + aggregation.calls.len());
                        context.budget.charge(len)?;
                        index.insert(bytes.clone(), groups.len());
                        groups.push(Group::new(keys, &aggregation.calls));
                        groups.len() - 1
                    }
                };
            }
            if let Some(group) = groups.get_mut(at) {
                for (accumulator, call) in group.accumulators.iter_mut().zip(&aggregation.calls) {
                    accumulator.add(call, &row, &context.env, context.budget)?;
                }
            }
        }
    }
    let mut rows = Vec::new();
    for group in groups {
        let mut row = group.keys;
        for (accumulator, call) in group.accumulators.into_iter().zip(&aggregation.calls) {
            row.push(accumulator.finish(call)?);
        }
        let passes = match &aggregation.having {
            Some(having) => having.test(&row, &context.env)? == Some(true),
            None => true,
        };
        if passes {
            rows.push(row);
        }
    }
    Ok(rows)
}
