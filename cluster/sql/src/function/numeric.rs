//! Exact decimal numbers.

use cluster_numeric::{Error, Numeric};

use super::{int, signatures, unexpected};
use crate::error::SqlResult;
use crate::types::Datum;

type Result = core::result::Result<Numeric, Error>;

fn one(arguments: &[&Datum], op: fn(&Numeric) -> Result) -> SqlResult<Datum> {
    let [Datum::Numeric(value)] = arguments else { return Err(unexpected()) };
    Ok(Datum::numeric(op(value)?))
}

fn two(arguments: &[&Datum], op: fn(&Numeric, &Numeric) -> Result) -> SqlResult<Datum> {
    let [Datum::Numeric(left), Datum::Numeric(right)] = arguments else { return Err(unexpected()) };
    Ok(Datum::numeric(op(left, right)?))
}

/// Rounds to so many digits, or to a whole number.
fn to_scale(arguments: &[&Datum], op: fn(&Numeric, i32) -> Result) -> SqlResult<Datum> {
    match arguments {
        [Datum::Numeric(value)] => Ok(Datum::numeric(op(value, 0)?)),
        [Datum::Numeric(value), Datum::Int4(scale)] => Ok(Datum::numeric(op(value, *scale)?)),
        _ => Err(unexpected()),
    }
}

fn scale(arguments: &[&Datum], op: fn(&Numeric) -> Option<u32>) -> SqlResult<Datum> {
    let [Datum::Numeric(value)] = arguments else { return Err(unexpected()) };
    Ok(op(value).map_or(Datum::Null, |scale| Datum::Int4(scale.cast_signed())))
}

fn width_bucket(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Numeric(value), Datum::Numeric(low), Datum::Numeric(high), Datum::Int4(count)] => {
            Ok(Datum::Int4(value.width_bucket(low, high, *count)?))
        }
        _ => Err(unexpected()),
    }
}

fn factorial(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    Ok(Datum::numeric(Numeric::factorial(int(value))?))
}

signatures! { OPERATORS:
    "+" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::add);
    "-" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::sub);
    "*" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::mul);
    "/" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::div);
    "%" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::rem);
    "^" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::power);
    "-" (Numeric) Numeric, Strict, |a, _| one(a, |value| Ok(value.neg()));
    "+" (Numeric) Numeric, Strict, |a, _| one(a, |value| Ok(value.clone()));
    "@" (Numeric) Numeric, Strict, |a, _| one(a, |value| Ok(value.abs()));
}

signatures! { FUNCTIONS:
    "abs" (Numeric) Numeric, Strict, |a, _| one(a, |value| Ok(value.abs()));
    "sign" (Numeric) Numeric, Strict, |a, _| one(a, |value| Ok(value.sign()));
    "ceil" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::ceil);
    "ceiling" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::ceil);
    "floor" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::floor);
    "round" (Numeric) Numeric, Strict, |a, _| to_scale(a, Numeric::round);
    "round" (Numeric, Int4) Numeric, Strict, |a, _| to_scale(a, Numeric::round);
    "trunc" (Numeric) Numeric, Strict, |a, _| to_scale(a, Numeric::trunc);
    "trunc" (Numeric, Int4) Numeric, Strict, |a, _| to_scale(a, Numeric::trunc);
    "mod" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::rem);
    "div" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::div_trunc);
    "power" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::power);
    "pow" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::power);
    "sqrt" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::sqrt);
    "exp" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::exp);
    "ln" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::ln);
    "log" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::log10);
    "log10" (Numeric) Numeric, Strict, |a, _| one(a, Numeric::log10);
    "log" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, |base, value| value.log(base));
    "gcd" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::gcd);
    "lcm" (Numeric, Numeric) Numeric, Strict, |a, _| two(a, Numeric::lcm);
    "factorial" (Int8) Numeric, Strict, |a, _| factorial(a);
    "scale" (Numeric) Int4, Strict, |a, _| scale(a, Numeric::scale);
    "min_scale" (Numeric) Int4, Strict, |a, _| scale(a, Numeric::min_scale);
    "trim_scale" (Numeric) Numeric, Strict, |a, _| one(a, |value| Ok(value.trim_scale()));
    "width_bucket" (Numeric, Numeric, Numeric, Int4) Int4, Strict, |a, _| width_bucket(a);
}
