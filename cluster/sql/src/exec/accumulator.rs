//! What an aggregate has made of its inputs so far.

mod float;
mod list;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use cluster_calendar::Interval;
use cluster_numeric::{Numeric, Spread};
use hashbrown::HashSet;

use self::float::{Pairs, Single};
use self::list::List;
use super::Budget;
use crate::batch::WordKind;
use crate::bind::{AggregateCall, AggregateFunction as F};
use crate::cast;
use crate::error::SqlResult;
use crate::eval::Env;
use crate::expr::Expr;
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
    Numerics(Box<cluster_numeric::Accumulator>),
    /// The sum of `real`s, which is one, too.
    Halves(Option<f32>),
    Sum(Option<f64>),
    Floats(Box<Single>),
    Pairs(Box<Pairs>),
    Intervals(Interval, i64),
    Extreme(Datum),
    Truth(Option<bool>),
    Bits(Option<i64>),
    List(Box<List>),
}

/// Whether the exact sums are of the squares, too.
fn is_spread(function: F) -> bool {
    matches!(function, F::Variance(_) | F::Deviation(_))
}

impl Value {
    fn new(call: &AggregateCall) -> Value {
        use cluster_numeric::Accumulator as Exact;
        match (call.function, call.data_type) {
            (F::Count, _) => Value::Count(0),
            (F::Sum, DataType::Int8) => Value::Integers(0, 0),
            (F::Sum, DataType::Float4) => Value::Halves(None),
            (F::Sum, DataType::Float8) => Value::Sum(None),
            (F::Sum | F::Average, DataType::Interval) => Value::Intervals(Interval::new(0, 0, 0), 0),
            (F::Sum | F::Average, DataType::Numeric) => Value::Numerics(Box::new(Exact::of_sums())),
            (function, DataType::Numeric) if is_spread(function) => {
                Value::Numerics(Box::new(Exact::of_squares()))
            }
            (F::Sum | F::Average | F::Variance(_) | F::Deviation(_), _) => Value::Floats(Box::default()),
            (F::Least | F::Greatest, _) => Value::Extreme(Datum::Null),
            (F::All | F::Any, _) => Value::Truth(None),
            (F::BitAnd | F::BitOr | F::BitXor, _) => Value::Bits(None),
            (F::Regression(_), _) => Value::Pairs(Box::default()),
            (function, data_type) => Value::List(Box::new(List::new(function, data_type))),
        }
    }
}

/// Whether what `call` has gathered is what `other` has: the sum and the average of the same numbers differ in what is made of
/// them in the end.
pub(super) fn gathers_same(call: &AggregateCall, other: &AggregateCall) -> bool {
    let is_sum = |call: &AggregateCall| {
        matches!(call.function, F::Sum | F::Average) && matches!(Value::new(call), Value::Numerics(_))
    };
    is_sum(call)
        && is_sum(other)
        && call.arguments == other.arguments
        && call.distinct == other.distinct
        && call.filter == other.filter
        && call.order.is_empty()
        && other.order.is_empty()
        && !call.arguments.iter().chain(&call.filter).any(Expr::is_volatile)
}

impl Accumulator {
    pub(super) fn new(call: &AggregateCall) -> Accumulator {
        Accumulator { value: Value::new(call), seen: HashSet::new() }
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
            self.count();
            return Ok(());
        };
        let value = argument.eval(row, env)?;
        if value.is_null() && !call.function.takes_null() {
            return Ok(());
        }
        let second = call.arguments.get(1).map(|argument| argument.eval(row, env)).transpose()?;
        self.add_value(call, &value, second.as_deref(), env, budget)
    }

    /// Takes a row, whatever it is.
    #[inline]
    pub(super) fn count(&mut self) {
        if let Value::Count(count) = &mut self.value {
            *count += 1;
        }
    }

    /// Takes a NULL.
    pub(super) fn add_null(
        &mut self,
        call: &AggregateCall,
        env: &Env<'_>,
        budget: &mut Budget,
    ) -> SqlResult<()> {
        if call.function.takes_null() {
            return self.add_value(call, &Datum::Null, None, env, budget);
        }
        Ok(())
    }

    /// Takes a value that is a word.
    #[inline]
    pub(super) fn add_word(
        &mut self,
        call: &AggregateCall,
        (kind, word): (WordKind, i64),
        env: &Env<'_>,
        budget: &mut Budget,
    ) -> SqlResult<()> {
        match &mut self.value {
            Value::Count(count) => *count += 1,
            Value::Integers(sum, count) => {
                *sum += i128::from(word);
                *count += 1;
            }
            Value::Numerics(sums) => match kind {
                WordKind::Decimal(scale) => sums.add_parts(word, scale),
                _ => sums.add_parts(word, 0),
            },
            Value::Extreme(best) => {
                let is_better = match kind.word_of(best) {
                    Some(best) if call.function == F::Least => word < best,
                    Some(best) => word > best,
                    None => return self.value.add(call.function, &kind.datum(word)),
                };
                if is_better {
                    *best = kind.datum(word);
                }
            }
            _ => return self.add_value(call, &kind.datum(word), None, env, budget),
        }
        Ok(())
    }

    /// Takes the values of the arguments.
    pub(super) fn add_value(
        &mut self,
        call: &AggregateCall,
        value: &Datum,
        second: Option<&Datum>,
        env: &Env<'_>,
        budget: &mut Budget,
    ) -> SqlResult<()> {
        if value.is_null() && !call.function.takes_null() {
            return Ok(());
        }
        if call.distinct {
            let mut bytes = Vec::new();
            key::write(value, KeyOrder::Ascending, &mut bytes);
            second.iter().for_each(|second| key::write(second, KeyOrder::Ascending, &mut bytes));
            let len = bytes.len() + 48;
            if !self.seen.insert(bytes) {
                return Ok(());
            }
            budget.charge(len)?;
        }
        match (&mut self.value, second) {
            (Value::List(list), second) => budget.charge(list.add(value, second, &env.session.style)?),
            (Value::Pairs(pairs), Some(second)) => match (value.as_f64(), second.as_f64()) {
                (Some(y), Some(x)) => pairs.add(y, x),
                _ => Ok(()),
            },
            (single, _) => single.add(call.function, value),
        }
    }

    /// The result.
    pub(super) fn finish(self, call: &AggregateCall) -> SqlResult<Datum> {
        let float = |value: Option<f64>| value.map_or(Datum::Null, Datum::Float8);
        let exact = |value: Option<Numeric>| value.map_or(Datum::Null, Datum::numeric);
        Ok(match self.value {
            Value::Count(count) => Datum::Int8(count),
            Value::Integers(_, 0) | Value::Intervals(_, 0) => Datum::Null,
            Value::Integers(sum, _) => cast::integer(sum.try_into().ok(), DataType::Int8)?,
            Value::Halves(sum) => sum.map_or(Datum::Null, Datum::Float4),
            Value::Sum(sum) => float(sum),
            Value::Numerics(sums) => exact(match call.function {
                F::Sum => sums.sum()?,
                F::Average => sums.avg()?,
                F::Variance(spread) => sums.variance(spread)?,
                F::Deviation(spread) => sums.stddev(spread)?,
                _ => None,
            }),
            Value::Floats(sums) => float(match call.function {
                F::Variance(spread) => sums.variance(spread),
                F::Deviation(spread) => sums.variance(spread).map(libm::sqrt),
                _ => sums.average(),
            }),
            Value::Pairs(pairs) => match call.function {
                F::Regression(what) => pairs.result(what),
                _ => Datum::Null,
            },
            Value::Intervals(sum, count) if call.function == F::Average => {
                Datum::Interval(sum.checked_div(count as f64)?)
            }
            Value::Intervals(sum, _) => Datum::Interval(sum),
            Value::Extreme(best) => best,
            Value::Truth(truth) => truth.map_or(Datum::Null, Datum::Bool),
            Value::Bits(None) => Datum::Null,
            Value::Bits(bits) => cast::integer(bits, call.data_type)?,
            Value::List(list) => list.finish()?,
        })
    }
}

/// A number, exact.
fn exact(input: &Datum) -> Numeric {
    match input {
        Datum::Numeric(value) => value.clone(),
        other => Numeric::from(other.as_i64().unwrap_or(0)),
    }
}

impl Value {
    /// Adds `input`, which is not NULL.
    fn add(&mut self, function: F, input: &Datum) -> SqlResult<()> {
        let float = || input.as_f64().unwrap_or(0.0);
        match self {
            Value::Count(count) => *count += 1,
            Value::Integers(sum, count) => {
                // 2^64 of the largest inputs would be needed to overflow this.
                *sum += i128::from(input.as_i64().unwrap_or(0));
                *count += 1;
            }
            Value::Numerics(sums) => sums.add(&exact(input)),
            Value::Halves(sum) => {
                let before = f64::from(sum.unwrap_or(0.0));
                let after = (before + float()) as f32;
                float::refuse_overflow(f64::from(after), &[before, float()])?;
                *sum = Some(after);
            }
            Value::Sum(sum) => {
                let before = sum.unwrap_or(0.0);
                let after = if sum.is_some() { before + float() } else { float() };
                float::refuse_overflow(after, &[before, float()])?;
                *sum = Some(after);
            }
            Value::Floats(sums) => sums.add(float())?,
            Value::Intervals(sum, count) => {
                if let Datum::Interval(input) = input {
                    *sum = sum.checked_add(*input)?;
                    *count += 1;
                }
            }
            Value::Extreme(best) => {
                let wanted = if function == F::Least { Ordering::Less } else { Ordering::Greater };
                if best.is_null() || input.order(best) == wanted {
                    *best = input.clone();
                }
            }
            Value::Truth(truth) => {
                let input = *input == Datum::Bool(true);
                *truth = Some(match (*truth, function) {
                    (None, _) => input,
                    (Some(truth), F::All) => truth && input,
                    (Some(truth), _) => truth || input,
                });
            }
            Value::Bits(bits) => {
                let input = input.as_i64().unwrap_or(0);
                *bits = Some(match (*bits, function) {
                    (None, _) => input,
                    (Some(bits), F::BitAnd) => bits & input,
                    (Some(bits), F::BitOr) => bits | input,
                    (Some(bits), _) => bits ^ input,
                });
            }
            Value::Pairs(_) | Value::List(_) => {}
        }
        Ok(())
    }
}

/// The number that a variance divides by; none if it has no value.
fn divisor(spread: Spread, count: f64) -> Option<f64> {
    match spread {
        Spread::Population if count > 0.0 => Some(count),
        Spread::Sample if count > 1.0 => Some(count - 1.0),
        _ => None,
    }
}
