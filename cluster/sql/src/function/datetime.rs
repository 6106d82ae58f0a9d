//! Arithmetic of dates, times and intervals.

use super::{signatures, unexpected};
use crate::error::SqlResult;
use crate::eval::SessionFacts;
use crate::types::Datum;

fn add(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    Ok(match (left, right) {
        (Datum::Date(date), Datum::Int4(days)) => Datum::Date(date.checked_add_days(*days)?),
        (Datum::Date(date), Datum::Time(time)) => Datum::Timestamp(date.checked_add_time(*time)?),
        (Datum::Date(date), Datum::Interval(span)) => {
            Datum::Timestamp(date.to_timestamp()?.checked_add(*span)?)
        }
        (Datum::Timestamp(value), Datum::Interval(span)) => Datum::Timestamp(value.checked_add(*span)?),
        (Datum::Timestamptz(value), Datum::Interval(span)) => {
            Datum::Timestamptz(value.checked_add(*span, &session.style.zone)?)
        }
        (Datum::Time(time), Datum::Interval(span)) => Datum::Time(time.plus(*span)),
        (Datum::Interval(left), Datum::Interval(right)) => Datum::Interval(left.checked_add(*right)?),
        (Datum::Int4(_) | Datum::Time(_) | Datum::Interval(_), _) => return add(&[right, left], session),
        _ => return Err(unexpected()),
    })
}

fn subtract(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    Ok(match (left, right) {
        (Datum::Date(date), Datum::Int4(days)) => Datum::Date(date.checked_sub_days(*days)?),
        (Datum::Date(left), Datum::Date(right)) => Datum::Int4(left.days_since(*right)?),
        (Datum::Date(date), Datum::Interval(span)) => {
            Datum::Timestamp(date.to_timestamp()?.checked_sub(*span)?)
        }
        (Datum::Timestamp(value), Datum::Interval(span)) => Datum::Timestamp(value.checked_sub(*span)?),
        (Datum::Timestamp(left), Datum::Timestamp(right)) => Datum::Interval(left.since(*right)?),
        (Datum::Timestamptz(value), Datum::Interval(span)) => {
            Datum::Timestamptz(value.checked_sub(*span, &session.style.zone)?)
        }
        (Datum::Timestamptz(left), Datum::Timestamptz(right)) => Datum::Interval(left.since(*right)?),
        (Datum::Time(time), Datum::Interval(span)) => Datum::Time(time.minus(*span)),
        (Datum::Time(left), Datum::Time(right)) => Datum::Interval(left.since(*right)),
        (Datum::Interval(left), Datum::Interval(right)) => Datum::Interval(left.checked_sub(*right)?),
        _ => return Err(unexpected()),
    })
}

fn scale(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Interval(span), Datum::Float8(factor)] | [Datum::Float8(factor), Datum::Interval(span)] => {
            Ok(Datum::Interval(span.checked_mul(*factor)?))
        }
        _ => Err(unexpected()),
    }
}

fn divide(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Interval(span), Datum::Float8(divisor)] => Ok(Datum::Interval(span.checked_div(*divisor)?)),
        _ => Err(unexpected()),
    }
}

fn negate(arguments: &[&Datum]) -> SqlResult<Datum> {
    match arguments {
        [Datum::Interval(span)] => Ok(Datum::Interval(span.checked_neg()?)),
        _ => Err(unexpected()),
    }
}

signatures! { OPERATORS:
    "+" (Date, Int4) Date, Strict, add;
    "+" (Int4, Date) Date, Strict, add;
    "+" (Date, Time) Timestamp, Strict, add;
    "+" (Time, Date) Timestamp, Strict, add;
    "+" (Date, Interval) Timestamp, Strict, add;
    "+" (Interval, Date) Timestamp, Strict, add;
    "+" (Timestamp, Interval) Timestamp, Strict, add;
    "+" (Interval, Timestamp) Timestamp, Strict, add;
    "+" (Timestamptz, Interval) Timestamptz, Strict, add;
    "+" (Interval, Timestamptz) Timestamptz, Strict, add;
    "+" (Time, Interval) Time, Strict, add;
    "+" (Interval, Time) Time, Strict, add;
    "+" (Interval, Interval) Interval, Strict, add;
    "-" (Date, Int4) Date, Strict, subtract;
    "-" (Date, Date) Int4, Strict, subtract;
    "-" (Date, Interval) Timestamp, Strict, subtract;
    "-" (Timestamp, Interval) Timestamp, Strict, subtract;
    "-" (Timestamp, Timestamp) Interval, Strict, subtract;
    "-" (Timestamptz, Interval) Timestamptz, Strict, subtract;
    "-" (Timestamptz, Timestamptz) Interval, Strict, subtract;
    "-" (Time, Interval) Time, Strict, subtract;
    "-" (Time, Time) Interval, Strict, subtract;
    "-" (Interval, Interval) Interval, Strict, subtract;
    "-" (Interval) Interval, Strict, |a, _| negate(a);
    "*" (Interval, Float8) Interval, Strict, |a, _| scale(a);
    "*" (Float8, Interval) Interval, Strict, |a, _| scale(a);
    "/" (Interval, Float8) Interval, Strict, |a, _| divide(a);
}
