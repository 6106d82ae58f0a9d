//! Floats.

use super::integer::division_by_zero;
use super::{signatures, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::Datum;

fn range(message: &str) -> SqlError {
    SqlError::new(SqlState::OUT_OF_RANGE, message)
}

/// The result, unless finite operands made it infinite, or made zero of what is none.
fn checked(result: f64, is_finite: bool, may_be_zero: bool) -> SqlResult<f64> {
    match () {
        _ if result.is_infinite() && is_finite => Err(range("value out of range: overflow")),
        _ if result == 0.0 && !may_be_zero => Err(range("value out of range: underflow")),
        _ => Ok(result),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
}

fn compute(op: Op, left: f64, right: f64, round: fn(f64) -> f64) -> SqlResult<f64> {
    let result = match op {
        Op::Add => left + right,
        Op::Subtract => left - right,
        Op::Multiply => left * right,
        Op::Divide if right == 0.0 && !left.is_nan() => return Err(division_by_zero()),
        Op::Divide => left / right,
    };
    let may_be_zero = match op {
        Op::Multiply => left == 0.0 || right == 0.0,
        Op::Divide => left == 0.0 || right.is_infinite(),
        _ => true,
    };
    checked(round(result), left.is_finite() && right.is_finite(), may_be_zero)
}

fn arithmetic(arguments: &[&Datum], op: Op) -> SqlResult<Datum> {
    match arguments {
        // The product and the quotient of two halves are exact enough in twice the width.
        [Datum::Float4(left), Datum::Float4(right)] => {
            let result = compute(op, (*left).into(), (*right).into(), |wide| f64::from(wide as f32))?;
            Ok(Datum::Float4(result as f32))
        }
        [left, right] => {
            let (left, right) = (left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0));
            compute(op, left, right, |result| result).map(Datum::Float8)
        }
        _ => Err(unexpected()),
    }
}

fn one(arguments: &[&Datum], op: fn(f64) -> f64) -> SqlResult<Datum> {
    match arguments {
        [Datum::Float4(value)] => Ok(Datum::Float4(op(f64::from(*value)) as f32)),
        [Datum::Float8(value)] => Ok(Datum::Float8(op(*value))),
        _ => Err(unexpected()),
    }
}

/// As `one`, where an infinite result of a finite argument is an error.
fn bounded(arguments: &[&Datum], op: fn(f64) -> f64) -> SqlResult<Datum> {
    let [Datum::Float8(value)] = arguments else { return Err(unexpected()) };
    checked(op(*value), value.is_finite(), true).map(Datum::Float8)
}

/// As `one`, within bounds of the argument; NaN passes.
fn within(arguments: &[&Datum], low: f64, high: f64, op: fn(f64) -> f64) -> SqlResult<Datum> {
    let [Datum::Float8(value)] = arguments else { return Err(unexpected()) };
    if *value < low || *value > high {
        return Err(range("input is out of range"));
    }
    Ok(Datum::Float8(op(*value)))
}

fn circular(arguments: &[&Datum], op: fn(f64) -> f64) -> SqlResult<Datum> {
    within(arguments, f64::MIN, f64::MAX, op)
}

fn sqrt(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Float8(value)] if *value < 0.0 => {
            Err(SqlError::new(SqlState("2201F"), "cannot take square root of a negative number"))
        }
        _ => one(arguments, libm::sqrt),
    }
}

fn logarithm(arguments: &[&Datum], op: fn(f64) -> f64) -> SqlResult<Datum> {
    match arguments {
        [Datum::Float8(value)] if *value == 0.0 => {
            Err(SqlError::new(SqlState("2201E"), "cannot take logarithm of zero"))
        }
        [Datum::Float8(value)] if *value < 0.0 => {
            Err(SqlError::new(SqlState("2201E"), "cannot take logarithm of a negative number"))
        }
        _ => one(arguments, op),
    }
}

fn exp(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Float8(value)] = arguments else { return Err(unexpected()) };
    checked(libm::exp(*value), value.is_finite(), *value == f64::NEG_INFINITY).map(Datum::Float8)
}

fn power(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [Datum::Float8(base), Datum::Float8(exponent)] = arguments else { return Err(unexpected()) };
    let wrong = |message: &str| Err(SqlError::new(SqlState("2201F"), message));
    if *base == 0.0 && *exponent < 0.0 {
        return wrong("zero raised to a negative power is undefined");
    }
    if *base < 0.0 && exponent.is_finite() && libm::floor(*exponent) != *exponent {
        return wrong("a negative number raised to a non-integer power yields a complex result");
    }
    let result = libm::pow(*base, *exponent);
    checked(
        result,
        base.is_finite() && exponent.is_finite(),
        !base.is_finite() || !exponent.is_finite() || *base == 0.0,
    )
    .map(Datum::Float8)
}

fn sign(value: f64) -> f64 {
    match value {
        _ if value > 0.0 => 1.0,
        _ if value < 0.0 => -1.0,
        _ => 0.0,
    }
}

fn two(arguments: &[&Datum], op: fn(f64, f64) -> f64) -> SqlResult<Datum> {
    let [Datum::Float8(left), Datum::Float8(right)] = arguments else { return Err(unexpected()) };
    Ok(Datum::Float8(op(*left, *right)))
}

const DEGREES: f64 = core::f64::consts::PI / 180.0;

signatures! { OPERATORS:
    "+" (Float4, Float4) Float4, Strict, |a, _| arithmetic(a, Op::Add);
    "+" (Float8, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Add);
    "+" (Float4, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Add);
    "+" (Float8, Float4) Float8, Strict, |a, _| arithmetic(a, Op::Add);
    "-" (Float4, Float4) Float4, Strict, |a, _| arithmetic(a, Op::Subtract);
    "-" (Float8, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Subtract);
    "-" (Float4, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Subtract);
    "-" (Float8, Float4) Float8, Strict, |a, _| arithmetic(a, Op::Subtract);
    "*" (Float4, Float4) Float4, Strict, |a, _| arithmetic(a, Op::Multiply);
    "*" (Float8, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Multiply);
    "*" (Float4, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Multiply);
    "*" (Float8, Float4) Float8, Strict, |a, _| arithmetic(a, Op::Multiply);
    "/" (Float4, Float4) Float4, Strict, |a, _| arithmetic(a, Op::Divide);
    "/" (Float8, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Divide);
    "/" (Float4, Float8) Float8, Strict, |a, _| arithmetic(a, Op::Divide);
    "/" (Float8, Float4) Float8, Strict, |a, _| arithmetic(a, Op::Divide);
    "^" (Float8, Float8) Float8, Strict, |a, _| power(a);
    "-" (Float4) Float4, Strict, |a, _| one(a, |value| -value);
    "-" (Float8) Float8, Strict, |a, _| one(a, |value| -value);
    "+" (Float4) Float4, Strict, |a, _| one(a, |value| value);
    "+" (Float8) Float8, Strict, |a, _| one(a, |value| value);
    "@" (Float4) Float4, Strict, |a, _| one(a, f64::abs);
    "@" (Float8) Float8, Strict, |a, _| one(a, f64::abs);
    "|/" (Float8) Float8, Strict, |a, _| sqrt(a);
    "||/" (Float8) Float8, Strict, |a, _| one(a, libm::cbrt);
}

signatures! { FUNCTIONS:
    "abs" (Float4) Float4, Strict, |a, _| one(a, f64::abs);
    "abs" (Float8) Float8, Strict, |a, _| one(a, f64::abs);
    "ceil" (Float8) Float8, Strict, |a, _| one(a, libm::ceil);
    "ceiling" (Float8) Float8, Strict, |a, _| one(a, libm::ceil);
    "floor" (Float8) Float8, Strict, |a, _| one(a, libm::floor);
    "round" (Float8) Float8, Strict, |a, _| one(a, libm::rint);
    "trunc" (Float8) Float8, Strict, |a, _| one(a, libm::trunc);
    "sign" (Float8) Float8, Strict, |a, _| one(a, sign);
    "sqrt" (Float8) Float8, Strict, |a, _| sqrt(a);
    "cbrt" (Float8) Float8, Strict, |a, _| one(a, libm::cbrt);
    "exp" (Float8) Float8, Strict, |a, _| exp(a);
    "ln" (Float8) Float8, Strict, |a, _| logarithm(a, libm::log);
    "log" (Float8) Float8, Strict, |a, _| logarithm(a, libm::log10);
    "log10" (Float8) Float8, Strict, |a, _| logarithm(a, libm::log10);
    "power" (Float8, Float8) Float8, Strict, |a, _| power(a);
    "pow" (Float8, Float8) Float8, Strict, |a, _| power(a);
    "sin" (Float8) Float8, Strict, |a, _| circular(a, libm::sin);
    "cos" (Float8) Float8, Strict, |a, _| circular(a, libm::cos);
    "tan" (Float8) Float8, Strict, |a, _| circular(a, libm::tan);
    "cot" (Float8) Float8, Strict, |a, _| circular(a, |x| 1.0 / libm::tan(x));
    "asin" (Float8) Float8, Strict, |a, _| within(a, -1.0, 1.0, libm::asin);
    "acos" (Float8) Float8, Strict, |a, _| within(a, -1.0, 1.0, libm::acos);
    "atan" (Float8) Float8, Strict, |a, _| one(a, libm::atan);
    "atan2" (Float8, Float8) Float8, Strict, |a, _| two(a, libm::atan2);
    "sinh" (Float8) Float8, Strict, |a, _| one(a, libm::sinh);
    "cosh" (Float8) Float8, Strict, |a, _| one(a, libm::cosh);
    "tanh" (Float8) Float8, Strict, |a, _| one(a, libm::tanh);
    "asinh" (Float8) Float8, Strict, |a, _| one(a, libm::asinh);
    "acosh" (Float8) Float8, Strict, |a, _| within(a, 1.0, f64::INFINITY, libm::acosh);
    "atanh" (Float8) Float8, Strict, |a, _| within(a, -1.0, 1.0, libm::atanh);
    "degrees" (Float8) Float8, Strict, |a, _| bounded(a, |x| x / DEGREES);
    "radians" (Float8) Float8, Strict, |a, _| bounded(a, |x| x * DEGREES);
    "pi" () Float8, Strict, |_, _| Ok(Datum::Float8(core::f64::consts::PI));
}
