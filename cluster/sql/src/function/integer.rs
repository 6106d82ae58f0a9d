//! Integers.

use alloc::format;

use super::{int, signatures, unexpected};
use crate::cast::{self, out_of_range};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, Datum};

/// `op` of two integers, in the wider of their types.
fn arithmetic(arguments: &[&Datum], op: fn(i64, i64) -> Option<i64>) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    let data_type = match (left, right) {
        (Datum::Int8(_), _) | (_, Datum::Int8(_)) => DataType::Int8,
        (Datum::Int2(_), Datum::Int2(_)) => DataType::Int2,
        _ => DataType::Int4,
    };
    cast::integer(op(int(left), int(right)), data_type)
}

fn add(arguments: &[&Datum]) -> SqlResult<Datum> {
    arithmetic(arguments, i64::checked_add)
}

fn subtract(arguments: &[&Datum]) -> SqlResult<Datum> {
    arithmetic(arguments, i64::checked_sub)
}

fn multiply(arguments: &[&Datum]) -> SqlResult<Datum> {
    arithmetic(arguments, i64::checked_mul)
}

fn refuse_zero(arguments: &[&Datum]) -> SqlResult<()> {
    match arguments {
        [_, divisor] if int(divisor) == 0 => Err(division_by_zero()),
        _ => Ok(()),
    }
}

fn divide(arguments: &[&Datum]) -> SqlResult<Datum> {
    refuse_zero(arguments)?;
    arithmetic(arguments, i64::checked_div)
}

fn modulo(arguments: &[&Datum]) -> SqlResult<Datum> {
    refuse_zero(arguments)?;
    arithmetic(arguments, |left, right| Some(left.wrapping_rem(right)))
}

/// 22012
pub(super) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

fn of_type(like: &Datum, value: Option<i64>) -> SqlResult<Datum> {
    cast::integer(value, like.data_type().unwrap_or(DataType::Int8))
}

fn one(arguments: &[&Datum], op: fn(i64) -> Option<i64>) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    of_type(value, op(int(value)))
}

fn negate(arguments: &[&Datum]) -> SqlResult<Datum> {
    one(arguments, i64::checked_neg)
}

fn plus(arguments: &[&Datum]) -> SqlResult<Datum> {
    one(arguments, Some)
}

fn abs(arguments: &[&Datum]) -> SqlResult<Datum> {
    one(arguments, i64::checked_abs)
}

/// The greatest common divisor, none if it is beyond 2^63.
fn divisor(left: i64, right: i64) -> Option<i64> {
    let (mut a, mut b) = (left.unsigned_abs(), right.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).ok()
}

fn multiple(left: i64, right: i64) -> Option<i64> {
    match divisor(left, right)? {
        0 => Some(0),
        divisor => (left / divisor).checked_mul(right)?.checked_abs(),
    }
}

fn to_hex(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Int4(value)] => Ok(Datum::Text(format!("{value:x}"))),
        [value] => Ok(Datum::Text(format!("{:x}", int(value)))),
        _ => Err(unexpected()),
    }
}

/// Buckets of equal width; see [`cluster_numeric::Numeric::width_bucket`].
pub(super) fn width_bucket(arguments: &[&Datum]) -> SqlResult<Datum> {
    let wrong = |message: &str| Err(SqlError::new(SqlState("2201G"), message));
    let [Datum::Float8(value), Datum::Float8(low), Datum::Float8(high), Datum::Int4(count)] = arguments
    else {
        return Err(unexpected());
    };
    match () {
        _ if *count <= 0 => return wrong("count must be greater than zero"),
        _ if value.is_nan() || low.is_nan() || high.is_nan() => {
            return wrong("operand, lower bound, and upper bound cannot be NaN");
        }
        _ if low.is_infinite() || high.is_infinite() => {
            return wrong("lower and upper bounds must be finite");
        }
        _ if low == high => return wrong("lower bound cannot equal upper bound"),
        _ => {}
    }
    let is_rising = low < high;
    let (below, beyond) = if is_rising { (value < low, value >= high) } else { (value > low, value <= high) };
    let beyond_number = count.checked_add(1).ok_or_else(|| out_of_range(DataType::Int4));
    Ok(Datum::Int4(match (below, beyond) {
        (true, _) => 0,
        (_, true) => beyond_number?,
        _ => {
            let share = (value - low) / (high - low);
            libm::floor(share * f64::from(*count)) as i32 + 1
        }
    }))
}

signatures! { OPERATORS:
    "+" (Int4, Int4) Int4, Strict, |a, _| add(a);
    "+" (Int2, Int2) Int2, Strict, |a, _| add(a);
    "+" (Int8, Int8) Int8, Strict, |a, _| add(a);
    "+" (Int2, Int4) Int4, Strict, |a, _| add(a);
    "+" (Int4, Int2) Int4, Strict, |a, _| add(a);
    "+" (Int2, Int8) Int8, Strict, |a, _| add(a);
    "+" (Int8, Int2) Int8, Strict, |a, _| add(a);
    "+" (Int4, Int8) Int8, Strict, |a, _| add(a);
    "+" (Int8, Int4) Int8, Strict, |a, _| add(a);
    "-" (Int4, Int4) Int4, Strict, |a, _| subtract(a);
    "-" (Int2, Int2) Int2, Strict, |a, _| subtract(a);
    "-" (Int8, Int8) Int8, Strict, |a, _| subtract(a);
    "-" (Int2, Int4) Int4, Strict, |a, _| subtract(a);
    "-" (Int4, Int2) Int4, Strict, |a, _| subtract(a);
    "-" (Int2, Int8) Int8, Strict, |a, _| subtract(a);
    "-" (Int8, Int2) Int8, Strict, |a, _| subtract(a);
    "-" (Int4, Int8) Int8, Strict, |a, _| subtract(a);
    "-" (Int8, Int4) Int8, Strict, |a, _| subtract(a);
    "*" (Int4, Int4) Int4, Strict, |a, _| multiply(a);
    "*" (Int2, Int2) Int2, Strict, |a, _| multiply(a);
    "*" (Int8, Int8) Int8, Strict, |a, _| multiply(a);
    "*" (Int2, Int4) Int4, Strict, |a, _| multiply(a);
    "*" (Int4, Int2) Int4, Strict, |a, _| multiply(a);
    "*" (Int2, Int8) Int8, Strict, |a, _| multiply(a);
    "*" (Int8, Int2) Int8, Strict, |a, _| multiply(a);
    "*" (Int4, Int8) Int8, Strict, |a, _| multiply(a);
    "*" (Int8, Int4) Int8, Strict, |a, _| multiply(a);
    "/" (Int4, Int4) Int4, Strict, |a, _| divide(a);
    "/" (Int2, Int2) Int2, Strict, |a, _| divide(a);
    "/" (Int8, Int8) Int8, Strict, |a, _| divide(a);
    "/" (Int2, Int4) Int4, Strict, |a, _| divide(a);
    "/" (Int4, Int2) Int4, Strict, |a, _| divide(a);
    "/" (Int2, Int8) Int8, Strict, |a, _| divide(a);
    "/" (Int8, Int2) Int8, Strict, |a, _| divide(a);
    "/" (Int4, Int8) Int8, Strict, |a, _| divide(a);
    "/" (Int8, Int4) Int8, Strict, |a, _| divide(a);
    "%" (Int4, Int4) Int4, Strict, |a, _| modulo(a);
    "%" (Int2, Int2) Int2, Strict, |a, _| modulo(a);
    "%" (Int8, Int8) Int8, Strict, |a, _| modulo(a);
    "-" (Int2) Int2, Strict, |a, _| negate(a);
    "-" (Int4) Int4, Strict, |a, _| negate(a);
    "-" (Int8) Int8, Strict, |a, _| negate(a);
    "+" (Int2) Int2, Strict, |a, _| plus(a);
    "+" (Int4) Int4, Strict, |a, _| plus(a);
    "+" (Int8) Int8, Strict, |a, _| plus(a);
    "@" (Int2) Int2, Strict, |a, _| abs(a);
    "@" (Int4) Int4, Strict, |a, _| abs(a);
    "@" (Int8) Int8, Strict, |a, _| abs(a);
}

signatures! { FUNCTIONS:
    "abs" (Int2) Int2, Strict, |a, _| abs(a);
    "abs" (Int4) Int4, Strict, |a, _| abs(a);
    "abs" (Int8) Int8, Strict, |a, _| abs(a);
    "mod" (Int2, Int2) Int2, Strict, |a, _| modulo(a);
    "mod" (Int4, Int4) Int4, Strict, |a, _| modulo(a);
    "mod" (Int8, Int8) Int8, Strict, |a, _| modulo(a);
    "gcd" (Int4, Int4) Int4, Strict, |a, _| arithmetic(a, divisor);
    "gcd" (Int8, Int8) Int8, Strict, |a, _| arithmetic(a, divisor);
    "lcm" (Int4, Int4) Int4, Strict, |a, _| arithmetic(a, multiple);
    "lcm" (Int8, Int8) Int8, Strict, |a, _| arithmetic(a, multiple);
    "to_hex" (Int4) Text, Strict, |a, _| to_hex(a);
    "to_hex" (Int8) Text, Strict, |a, _| to_hex(a);
    "width_bucket" (Float8, Float8, Float8, Int4) Int4, Strict, |a, _| width_bucket(a);
}
