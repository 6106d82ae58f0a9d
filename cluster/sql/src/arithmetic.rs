//! Arithmetic and casts, with Postgres's errors.

use alloc::format;
use alloc::string::String;

use crate::ast::BinaryOperator;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, Datum};
use crate::wire;

/// `left op right` in `data_type`; neither is NULL.
pub(crate) fn arithmetic(
    op: BinaryOperator,
    data_type: DataType,
    left: &Datum,
    right: &Datum,
) -> SqlResult<Datum> {
    if data_type == DataType::Float8 {
        let (left, right) = (left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0));
        return float(op, left, right).map(Datum::Float8);
    }
    let (left, right) = (left.as_i64().unwrap_or(0), right.as_i64().unwrap_or(0));
    let result = match op {
        BinaryOperator::Add => left.checked_add(right),
        BinaryOperator::Subtract => left.checked_sub(right),
        BinaryOperator::Multiply => left.checked_mul(right),
        BinaryOperator::Divide | BinaryOperator::Modulo if right == 0 => return Err(division_by_zero()),
        BinaryOperator::Divide => left.checked_div(right),
        _ => Some(left.wrapping_rem(right)),
    };
    integer(result, data_type)
}

/// `value` as an `int4` or `int8`.
pub(crate) fn integer(value: Option<i64>, data_type: DataType) -> SqlResult<Datum> {
    let value = value.ok_or_else(|| out_of_range(data_type))?;
    match data_type {
        DataType::Int4 => value.try_into().map(Datum::Int4).map_err(|_| out_of_range(data_type)),
        _ => Ok(Datum::Int8(value)),
    }
}

fn float(op: BinaryOperator, left: f64, right: f64) -> SqlResult<f64> {
    let result = match op {
        BinaryOperator::Add => left + right,
        BinaryOperator::Subtract => left - right,
        BinaryOperator::Multiply => left * right,
        _ if right == 0.0 && !left.is_nan() => return Err(division_by_zero()),
        // There is no remainder of floats, in Postgres either.
        _ => left / right,
    };
    if result.is_infinite() && left.is_finite() && right.is_finite() {
        return Err(SqlError::new(SqlState::OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(result)
}

/// `value` plus `offset`, or minus if not `up`: the end of a window's frame.
pub(crate) fn offset(value: &Datum, offset: &Datum, up: bool) -> SqlResult<Datum> {
    let op = if up { BinaryOperator::Add } else { BinaryOperator::Subtract };
    match (value.as_i64(), offset.as_i64(), value.as_f64(), offset.as_f64()) {
        (Some(value), Some(offset), ..) => {
            let end = if up { value.saturating_add(offset) } else { value.saturating_sub(offset) };
            Ok(Datum::Int8(end))
        }
        (_, _, Some(value), Some(offset)) => float(op, value, offset).map(Datum::Float8),
        _ => Err(SqlError::not_supported("RANGE with offset PRECEDING/FOLLOWING of this type")),
    }
}

/// Whether it is a number below zero.
pub(crate) fn is_negative(value: &Datum) -> bool {
    value.as_f64().is_some_and(|value| value < 0.0)
}

pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

pub(crate) fn out_of_range(data_type: DataType) -> SqlError {
    SqlError::new(SqlState::OUT_OF_RANGE, format!("{} out of range", data_type.name()))
}

/// `-value`
pub(crate) fn negate(value: &Datum) -> SqlResult<Datum> {
    match value {
        Datum::Int4(value) => {
            value.checked_neg().map(Datum::Int4).ok_or_else(|| out_of_range(DataType::Int4))
        }
        Datum::Int8(value) => {
            value.checked_neg().map(Datum::Int8).ok_or_else(|| out_of_range(DataType::Int8))
        }
        Datum::Float8(value) => Ok(Datum::Float8(-value)),
        other => Ok(other.clone()),
    }
}

/// Whether `CAST` goes from one type to the other.
pub(crate) fn can_cast(from: DataType, to: DataType) -> bool {
    use DataType::{Bool, Int4, Text};
    from == to
        || from == Text
        || to == Text
        || (from.is_numeric() && to.is_numeric())
        || matches!((from, to), (Bool, Int4) | (Int4, Bool))
}

/// `value` as a `data_type`.
pub(crate) fn cast(value: &Datum, data_type: DataType) -> SqlResult<Datum> {
    match (value, data_type) {
        (Datum::Null, _) => Ok(Datum::Null),
        (value, to) if value.data_type() == Some(to) => Ok(value.clone()),
        (Datum::Bool(value), DataType::Text) => Ok(Datum::Text(if *value { "true" } else { "false" }.into())),
        (value, DataType::Text) => {
            let mut text = String::new();
            wire::write_text(value, &mut text);
            Ok(Datum::Text(text))
        }
        (Datum::Text(text), to) => wire::parse_text(to, text),
        (Datum::Bool(value), _) => Ok(Datum::Int4(i32::from(*value))),
        (Datum::Int4(value), DataType::Bool) => Ok(Datum::Bool(*value != 0)),
        (Datum::Float8(value), DataType::Int4 | DataType::Int8) => from_float(*value, data_type),
        (value, DataType::Float8) => Ok(value.as_f64().map_or(Datum::Null, Datum::Float8)),
        (value, to) => integer(value.as_i64(), to),
    }
}

fn from_float(value: f64, data_type: DataType) -> SqlResult<Datum> {
    let rounded = round_half_even(value);
    // 2^63 itself is out of range; NaN fails both.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        integer(Some(rounded as i64), data_type)
    } else {
        Err(out_of_range(data_type))
    }
}

/// The nearest whole number, ties to even: beyond 2^52 every float is whole.
pub(crate) fn round_half_even(value: f64) -> f64 {
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    if value.abs() < WHOLE {
        let shift = WHOLE.copysign(value);
        ((value + shift) - shift).copysign(value)
    } else {
        value
    }
}

/// The whole number towards zero.
pub(crate) fn truncate(value: f64) -> f64 {
    let rounded = round_half_even(value);
    if rounded.abs() > value.abs() { rounded - 1f64.copysign(value) } else { rounded }
}

/// The greatest whole number not above.
pub(crate) fn floor(value: f64) -> f64 {
    let rounded = round_half_even(value);
    if rounded > value { rounded - 1.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_rounded_as_the_c_library_does() {
        for (value, rounded, truncated, floored) in [
            (0.5, 0.0, 0.0, 0.0),
            (1.5, 2.0, 1.0, 1.0),
            (2.5, 2.0, 2.0, 2.0),
            (-1.5, -2.0, -1.0, -2.0),
            (-0.2, 0.0, 0.0, -1.0),
            (1e300, 1e300, 1e300, 1e300),
        ] {
            assert_eq!(
                (round_half_even(value), truncate(value), floor(value)),
                (rounded, truncated, floored)
            );
        }
    }
}
