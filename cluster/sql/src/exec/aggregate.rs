//! Grouping.

use alloc::vec::Vec;
use core::cmp::Ordering;

use hashbrown::{HashMap, HashSet};

use super::{Context, Row, SourceCursor, row_len};
use crate::arithmetic;
use crate::bind::{AggregateCall, AggregateFunction};
use crate::database::Database;
use crate::error::SqlResult;
use crate::key::{self, KeyOrder};
use crate::plan::{Aggregation, SelectPlan};
use crate::types::{DataType, Datum};

/// One aggregate of one group.
struct Accumulator {
    value: Value,
    /// The inputs so far, for `DISTINCT`.
    seen: HashSet<Vec<u8>>,
}

enum Value {
    Count(i64),
    /// Sum and number of the inputs.
    Integers(i128, i64),
    Floats(f64, i64),
    Extreme(Datum),
    Truth(Option<bool>),
}

struct Group {
    keys: Row,
    accumulators: Vec<Accumulator>,
}

impl Group {
    fn new(keys: Row, calls: &[AggregateCall]) -> Group {
        let accumulators =
            calls.iter().map(|call| Accumulator { value: start(call), seen: HashSet::new() }).collect();
        Group { keys, accumulators }
    }
}

fn start(call: &AggregateCall) -> Value {
    match call.function {
        AggregateFunction::Count => Value::Count(0),
        AggregateFunction::Sum if call.data_type == DataType::Int8 => Value::Integers(0, 0),
        AggregateFunction::Sum | AggregateFunction::Average => Value::Floats(0.0, 0),
        AggregateFunction::Least | AggregateFunction::Greatest => Value::Extreme(Datum::Null),
        AggregateFunction::All | AggregateFunction::Any => Value::Truth(None),
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
                accumulate(group, &aggregation.calls, &row, context)?;
            }
        }
    }
    let mut rows = Vec::new();
    for group in groups {
        let mut row = group.keys;
        for (accumulator, call) in group.accumulators.into_iter().zip(&aggregation.calls) {
            row.push(finish(accumulator.value, call)?);
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

fn accumulate<D>(
    group: &mut Group,
    calls: &[AggregateCall],
    row: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    for (accumulator, call) in group.accumulators.iter_mut().zip(calls) {
        let Some(argument) = &call.argument else {
            if let Value::Count(count) = &mut accumulator.value {
                *count += 1;
            }
            continue;
        };
        let env = context.env;
        let value = argument.eval(row, &env)?;
        if value.is_null() {
            continue;
        }
        if call.distinct {
            let mut bytes = Vec::new();
            key::write(&value, KeyOrder::Ascending, &mut bytes);
            let len = bytes.len() + 48;
            if !accumulator.seen.insert(bytes) {
                continue;
            }
            context.budget.charge(len)?;
        }
        add(&mut accumulator.value, call.function, &value);
    }
    Ok(())
}

/// Adds `input`, which is not NULL.
fn add(value: &mut Value, function: AggregateFunction, input: &Datum) {
    match value {
        Value::Count(count) => *count += 1,
        Value::Integers(sum, count) => {
            // 2^64 of the largest inputs would be needed to overflow this.
            *sum += i128::from(input.as_i64().unwrap_or(0));
            *count += 1;
        }
        Value::Floats(sum, count) => {
            *sum += input.as_f64().unwrap_or(0.0);
            *count += 1;
        }
        Value::Extreme(best) => {
            let wanted =
                if function == AggregateFunction::Least { Ordering::Less } else { Ordering::Greater };
            if best.is_null() || input.order(best) == wanted {
                *best = input.clone();
            }
        }
        Value::Truth(truth) => {
            let input = *input == Datum::Bool(true);
            *truth = Some(match (*truth, function) {
                (None, _) => input,
                (Some(truth), AggregateFunction::All) => truth && input,
                (Some(truth), _) => truth || input,
            });
        }
    }
}

fn finish(value: Value, call: &AggregateCall) -> SqlResult<Datum> {
    Ok(match value {
        Value::Count(count) => Datum::Int8(count),
        Value::Integers(_, 0) | Value::Floats(_, 0) => Datum::Null,
        Value::Integers(sum, _) => arithmetic::integer(sum.try_into().ok(), DataType::Int8)?,
        Value::Floats(sum, count) if call.function == AggregateFunction::Average => {
            Datum::Float8(sum / count as f64)
        }
        Value::Floats(sum, _) => Datum::Float8(sum),
        Value::Extreme(best) => best,
        Value::Truth(truth) => truth.map_or(Datum::Null, Datum::Bool),
    })
}
