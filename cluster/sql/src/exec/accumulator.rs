//! What an aggregate has made of its inputs so far.

use alloc::vec::Vec;
use core::cmp::Ordering;

use hashbrown::HashSet;

use super::Budget;
use crate::arithmetic;
use crate::bind::{AggregateCall, AggregateFunction};
use crate::error::SqlResult;
use crate::eval::Env;
use crate::key::{self, KeyOrder};
use crate::types::{DataType, Datum};

/// One aggregate of one group.
#[derive(Clone)]
pub(super) struct Accumulator {
    value: Value,
    /// The inputs so far, for `DISTINCT`.
    seen: HashSet<Vec<u8>>,
}

#[derive(Clone)]
enum Value {
    Count(i64),
    /// Sum and number of the inputs.
    Integers(i128, i64),
    Floats(f64, i64),
    Extreme(Datum),
    Truth(Option<bool>),
}

impl Accumulator {
    pub(super) fn new(call: &AggregateCall) -> Accumulator {
        let value = match call.function {
            AggregateFunction::Count => Value::Count(0),
            AggregateFunction::Sum if call.data_type == DataType::Int8 => Value::Integers(0, 0),
            AggregateFunction::Sum | AggregateFunction::Average => Value::Floats(0.0, 0),
            AggregateFunction::Least | AggregateFunction::Greatest => Value::Extreme(Datum::Null),
            AggregateFunction::All | AggregateFunction::Any => Value::Truth(None),
        };
        Accumulator { value, seen: HashSet::new() }
    }

    /// Takes the arguments of `call` for `row`.
    pub(super) fn add(
        &mut self,
        call: &AggregateCall,
        row: &[Datum],
        env: &Env<'_>,
        budget: &mut Budget,
    ) -> SqlResult<()> {
        let Some(argument) = call.arguments.first() else {
            if let Value::Count(count) = &mut self.value {
                *count += 1;
            }
            return Ok(());
        };
        let value = argument.eval(row, env)?;
        if value.is_null() {
            return Ok(());
        }
        if call.distinct {
            let mut bytes = Vec::new();
            key::write(&value, KeyOrder::Ascending, &mut bytes);
            let len = bytes.len() + 48;
            if !self.seen.insert(bytes) {
                return Ok(());
            }
            budget.charge(len)?;
        }
        self.value.add(call.function, &value);
        Ok(())
    }

    /// The result.
    pub(super) fn finish(self, call: &AggregateCall) -> SqlResult<Datum> {
        Ok(match self.value {
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
}

impl Value {
    /// Adds `input`, which is not NULL.
    fn add(&mut self, function: AggregateFunction, input: &Datum) {
        match self {
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
}
