//! Bits of integers.

use super::{int, signatures, unexpected};
use crate::cast;
use crate::error::SqlResult;
use crate::types::{DataType, Datum};

/// `op` of two integers of one type.
fn both(arguments: &[&Datum], op: fn(i64, i64) -> i64) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    cast::integer(Some(op(int(left), int(right))), left.data_type().unwrap_or(DataType::Int8))
}

/// Shifts as machines do: by the count modulo the width, dropping what leaves it.
fn shift(arguments: &[&Datum], left: bool) -> SqlResult<Datum> {
    match arguments {
        [Datum::Int2(value), Datum::Int4(count)] => {
            // Postgres shifts an int2 as an int4.
            let wide = i32::from(*value);
            let count = count.cast_unsigned();
            let shifted = if left { wide.wrapping_shl(count) } else { wide.wrapping_shr(count) };
            Ok(Datum::Int2(shifted as i16))
        }
        [Datum::Int4(value), Datum::Int4(count)] => {
            let count = count.cast_unsigned();
            Ok(Datum::Int4(if left { value.wrapping_shl(count) } else { value.wrapping_shr(count) }))
        }
        [Datum::Int8(value), Datum::Int4(count)] => {
            let count = count.cast_unsigned();
            Ok(Datum::Int8(if left { value.wrapping_shl(count) } else { value.wrapping_shr(count) }))
        }
        _ => Err(unexpected()),
    }
}

fn not(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    cast::integer(Some(!int(value)), value.data_type().unwrap_or(DataType::Int8))
}

signatures! { OPERATORS:
    "&" (Int2, Int2) Int2, Strict, |a, _| both(a, |x, y| x & y);
    "&" (Int4, Int4) Int4, Strict, |a, _| both(a, |x, y| x & y);
    "&" (Int8, Int8) Int8, Strict, |a, _| both(a, |x, y| x & y);
    "|" (Int2, Int2) Int2, Strict, |a, _| both(a, |x, y| x | y);
    "|" (Int4, Int4) Int4, Strict, |a, _| both(a, |x, y| x | y);
    "|" (Int8, Int8) Int8, Strict, |a, _| both(a, |x, y| x | y);
    "#" (Int2, Int2) Int2, Strict, |a, _| both(a, |x, y| x ^ y);
    "#" (Int4, Int4) Int4, Strict, |a, _| both(a, |x, y| x ^ y);
    "#" (Int8, Int8) Int8, Strict, |a, _| both(a, |x, y| x ^ y);
    "<<" (Int2, Int4) Int2, Strict, |a, _| shift(a, true);
    "<<" (Int4, Int4) Int4, Strict, |a, _| shift(a, true);
    "<<" (Int8, Int4) Int8, Strict, |a, _| shift(a, true);
    ">>" (Int2, Int4) Int2, Strict, |a, _| shift(a, false);
    ">>" (Int4, Int4) Int4, Strict, |a, _| shift(a, false);
    ">>" (Int8, Int4) Int8, Strict, |a, _| shift(a, false);
    "~" (Int2) Int2, Strict, |a, _| not(a);
    "~" (Int4) Int4, Strict, |a, _| not(a);
    "~" (Int8) Int8, Strict, |a, _| not(a);
}
