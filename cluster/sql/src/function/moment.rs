//! Functions of dates, times and intervals.

use alloc::string::ToString;

use cluster_calendar::{Date, Error, Field, Interval, Time, Timestamp, Timestamptz, overlaps};

use super::{int, signatures, text, unexpected};
use crate::error::SqlResult;
use crate::eval::SessionFacts;
use crate::types::Datum;
use crate::wire::Style;

fn field(unit: &Datum, value: &Datum, style: &Style) -> Result<Field, Error> {
    let unit = text(unit);
    match value {
        Datum::Date(value) => value.extract(unit),
        Datum::Time(value) => value.extract(unit),
        Datum::Timestamp(value) => value.extract(unit),
        Datum::Timestamptz(value) => value.extract(unit, &style.zone),
        Datum::Interval(value) => value.extract(unit),
        _ => Ok(Field::Null),
    }
}

fn extract(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [unit, value] = arguments else { return Err(unexpected()) };
    match field(unit, value, &session.style)? {
        Field::Null => Ok(Datum::Null),
        field => Ok(Datum::numeric(field.to_string().parse()?)),
    }
}

/// Of dates, Postgres takes the fields of their midnight, so that there are hours, too.
fn date_part(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [unit, value] = arguments else { return Err(unexpected()) };
    let field = match value {
        Datum::Date(date) => field(unit, &Datum::Timestamp(date.to_timestamp()?), &session.style)?,
        value => field(unit, value, &session.style)?,
    };
    Ok(field.to_f64().map_or(Datum::Null, Datum::Float8))
}

fn date_trunc(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    Ok(match arguments {
        [unit, Datum::Timestamp(value)] => Datum::Timestamp(value.truncate(text(unit))?),
        [unit, Datum::Timestamptz(value)] => {
            Datum::Timestamptz(value.truncate(text(unit), &session.style.zone)?)
        }
        [unit, Datum::Timestamptz(value), zone] => {
            Datum::Timestamptz(value.truncate_at(text(unit), text(zone))?)
        }
        [unit, Datum::Interval(value)] => Datum::Interval(value.truncate(text(unit))?),
        _ => return Err(unexpected()),
    })
}

fn date_bin(arguments: &[&Datum]) -> SqlResult<Datum> {
    Ok(match arguments {
        [Datum::Interval(stride), Datum::Timestamp(value), Datum::Timestamp(origin)] => {
            Datum::Timestamp(value.bin(*stride, *origin)?)
        }
        [Datum::Interval(stride), Datum::Timestamptz(value), Datum::Timestamptz(origin)] => {
            Datum::Timestamptz(value.bin(*stride, *origin)?)
        }
        _ => return Err(unexpected()),
    })
}

/// Today's midnight on the session's clock.
fn midnight(style: &Style) -> Result<Timestamp, Error> {
    style.now.to_timestamp(&style.zone)?.to_date().to_timestamp()
}

fn age(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let style = &session.style;
    Ok(Datum::Interval(match arguments {
        [Datum::Timestamp(left), Datum::Timestamp(right)] => left.age(*right)?,
        [Datum::Timestamptz(left), Datum::Timestamptz(right)] => left.age(*right, &style.zone)?,
        [Datum::Timestamp(value)] => midnight(style)?.age(*value)?,
        [Datum::Timestamptz(value)] => {
            midnight(style)?.to_timestamptz(&style.zone)?.age(*value, &style.zone)?
        }
        _ => return Err(unexpected()),
    }))
}

fn number(datum: &Datum) -> i32 {
    i32::try_from(int(datum)).unwrap_or(0)
}

fn make_date(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [year, month, day] = arguments else { return Err(unexpected()) };
    Ok(Datum::Date(Date::make(number(year), number(month), number(day))?))
}

fn make_time(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [hour, minute, Datum::Float8(second)] = arguments else { return Err(unexpected()) };
    Ok(Datum::Time(Time::make(number(hour), number(minute), *second)?))
}

fn make_timestamp(arguments: &[&Datum]) -> SqlResult<Timestamp> {
    let [year, month, day, hour, minute, Datum::Float8(second), ..] = arguments else {
        return Err(unexpected());
    };
    let [year, month, day, hour, minute] = [year, month, day, hour, minute].map(|part| number(part));
    Ok(Timestamp::make(year, month, day, hour, minute, *second)?)
}

fn make_timestamptz(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let local = make_timestamp(arguments)?;
    Ok(Datum::Timestamptz(match arguments.get(6) {
        Some(zone) => Timestamptz::make_at(local, text(zone))?,
        None => local.to_timestamptz(&session.style.zone)?,
    }))
}

fn make_interval(arguments: &[&Datum]) -> SqlResult<Datum> {
    let part = |at: usize| arguments.get(at).map_or(0, |part| number(part));
    let seconds = arguments.get(6).and_then(|seconds| seconds.as_f64()).unwrap_or(0.0);
    Ok(Datum::Interval(Interval::make([part(0), part(1), part(2), part(3), part(4), part(5)], seconds)?))
}

fn at_zone(arguments: &[&Datum]) -> SqlResult<Datum> {
    Ok(match arguments {
        [Datum::Interval(offset), Datum::Timestamp(value)] => Datum::Timestamptz(value.at_offset(*offset)?),
        [Datum::Interval(offset), Datum::Timestamptz(value)] => Datum::Timestamp(value.at_offset(*offset)?),
        [zone, Datum::Timestamp(value)] => Datum::Timestamptz(value.at_zone_named(text(zone))?),
        [zone, Datum::Timestamptz(value)] => Datum::Timestamp(value.at_zone_named(text(zone))?),
        _ => return Err(unexpected()),
    })
}

fn to_char(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [value, template] = arguments else { return Err(unexpected()) };
    let template = text(template);
    let shown = match value {
        Datum::Timestamp(value) => value.format(template)?,
        Datum::Timestamptz(value) => value.format(template, &session.style.zone)?,
        Datum::Interval(value) => value.format(template)?,
        _ => return Err(unexpected()),
    };
    Ok(shown.map_or(Datum::Null, Datum::Text))
}

fn to_date(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, template] = arguments else { return Err(unexpected()) };
    Ok(Datum::Date(Date::parse_as(text(value), text(template))?))
}

fn to_timestamp(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    Ok(Datum::Timestamptz(match arguments {
        [Datum::Float8(seconds)] => Timestamptz::from_unix_seconds(*seconds)?,
        [value, template] => Timestamptz::parse_as(text(value), text(template), &session.style.zone)?,
        _ => return Err(unexpected()),
    }))
}

fn is_finite(arguments: &[&Datum]) -> SqlResult<Datum> {
    Ok(Datum::Bool(match arguments {
        [Datum::Date(value)] => value.is_finite(),
        [Datum::Timestamp(value)] => value.is_finite(),
        [Datum::Timestamptz(value)] => value.is_finite(),
        _ => true,
    }))
}

fn justify(arguments: &[&Datum], how: fn(Interval) -> Result<Interval, Error>) -> SqlResult<Datum> {
    let [Datum::Interval(span)] = arguments else { return Err(unexpected()) };
    Ok(Datum::Interval(how(*span)?))
}

/// Two periods, each of a start and an end or a length.
fn periods_overlap(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [start, end, other_start, other_end] = arguments else { return Err(unexpected()) };
    let style = &session.style;
    let end_of = |start: &Datum, end: &Datum| -> SqlResult<Datum> {
        Ok(match (start, end) {
            (Datum::Null, Datum::Interval(_)) => Datum::Null,
            (Datum::Timestamp(start), Datum::Interval(span)) => Datum::Timestamp(start.checked_add(*span)?),
            (Datum::Timestamptz(start), Datum::Interval(span)) => {
                Datum::Timestamptz(start.checked_add(*span, &style.zone)?)
            }
            (Datum::Time(start), Datum::Interval(span)) => Datum::Time(start.plus(*span)),
            (_, end) => end.clone(),
        })
    };
    let micros = |datum: &Datum| match datum {
        Datum::Timestamp(value) => Some(value.micros()),
        Datum::Timestamptz(value) => Some(value.micros()),
        Datum::Time(value) => Some(value.micros()),
        _ => None,
    };
    let (end, other_end) = (end_of(start, end)?, end_of(other_start, other_end)?);
    let known = overlaps(micros(start), micros(&end), micros(other_start), micros(&other_end));
    Ok(known.map_or(Datum::Null, Datum::Bool))
}

fn local(session: &SessionFacts) -> SqlResult<Timestamp> {
    Ok(session.style.now.to_timestamp(&session.style.zone)?)
}

fn of_statement(session: &SessionFacts) -> SqlResult<Datum> {
    Ok(Datum::Timestamptz(Timestamptz::from_unix_micros(session.statement_micros)?))
}

signatures! { FUNCTIONS:
    "now" () Timestamptz, Strict, |_, s| Ok(Datum::Timestamptz(s.style.now));
    "current_timestamp" () Timestamptz, Strict, |_, s| Ok(Datum::Timestamptz(s.style.now));
    "transaction_timestamp" () Timestamptz, Strict, |_, s| Ok(Datum::Timestamptz(s.style.now));
    "statement_timestamp" () Timestamptz, Strict, |_, s| of_statement(s);
    "clock_timestamp" () Timestamptz, Strict, |_, s| of_statement(s);
    "localtimestamp" () Timestamp, Strict, |_, s| Ok(Datum::Timestamp(local(s)?));
    "current_date" () Date, Strict, |_, s| Ok(Datum::Date(local(s)?.to_date()));
    "localtime" () Time, Strict, |_, s| Ok(local(s)?.to_time().map_or(Datum::Null, Datum::Time));
    "extract" (Text, Date) Numeric, Strict, extract;
    "extract" (Text, Time) Numeric, Strict, extract;
    "extract" (Text, Timestamp) Numeric, Strict, extract;
    "extract" (Text, Timestamptz) Numeric, Strict, extract;
    "extract" (Text, Interval) Numeric, Strict, extract;
    "date_part" (Text, Date) Float8, Strict, date_part;
    "date_part" (Text, Time) Float8, Strict, date_part;
    "date_part" (Text, Timestamp) Float8, Strict, date_part;
    "date_part" (Text, Timestamptz) Float8, Strict, date_part;
    "date_part" (Text, Interval) Float8, Strict, date_part;
    "date_trunc" (Text, Timestamp) Timestamp, Strict, date_trunc;
    "date_trunc" (Text, Timestamptz) Timestamptz, Strict, date_trunc;
    "date_trunc" (Text, Timestamptz, Text) Timestamptz, Strict, date_trunc;
    "date_trunc" (Text, Interval) Interval, Strict, date_trunc;
    "date_bin" (Interval, Timestamp, Timestamp) Timestamp, Strict, |a, _| date_bin(a);
    "date_bin" (Interval, Timestamptz, Timestamptz) Timestamptz, Strict, |a, _| date_bin(a);
    "age" (Timestamp, Timestamp) Interval, Strict, age;
    "age" (Timestamptz, Timestamptz) Interval, Strict, age;
    "age" (Timestamp) Interval, Strict, age;
    "age" (Timestamptz) Interval, Strict, age;
    "make_date" (Int4, Int4, Int4) Date, Strict, |a, _| make_date(a);
    "make_time" (Int4, Int4, Float8) Time, Strict, |a, _| make_time(a);
    "make_timestamp" (Int4, Int4, Int4, Int4, Int4, Float8) Timestamp, Strict,
        |a, _| make_timestamp(a).map(Datum::Timestamp);
    "make_timestamptz" (Int4, Int4, Int4, Int4, Int4, Float8) Timestamptz, Strict, make_timestamptz;
    "make_timestamptz" (Int4, Int4, Int4, Int4, Int4, Float8, Text) Timestamptz, Strict, make_timestamptz;
    "make_interval" () Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4) Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4, Int4) Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4, Int4, Int4) Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4, Int4, Int4, Int4) Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4, Int4, Int4, Int4, Int4) Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4, Int4, Int4, Int4, Int4, Int4) Interval, Strict, |a, _| make_interval(a);
    "make_interval" (Int4, Int4, Int4, Int4, Int4, Int4, Float8) Interval, Strict, |a, _| make_interval(a);
    "timezone" (Text, Timestamp) Timestamptz, Strict, |a, _| at_zone(a);
    "timezone" (Text, Timestamptz) Timestamp, Strict, |a, _| at_zone(a);
    "timezone" (Interval, Timestamp) Timestamptz, Strict, |a, _| at_zone(a);
    "timezone" (Interval, Timestamptz) Timestamp, Strict, |a, _| at_zone(a);
    "to_char" (Timestamp, Text) Text, Strict, to_char;
    "to_char" (Timestamptz, Text) Text, Strict, to_char;
    "to_char" (Interval, Text) Text, Strict, to_char;
    "to_date" (Text, Text) Date, Strict, |a, _| to_date(a);
    "to_timestamp" (Text, Text) Timestamptz, Strict, to_timestamp;
    "to_timestamp" (Float8) Timestamptz, Strict, to_timestamp;
    "isfinite" (Date) Bool, Strict, |a, _| is_finite(a);
    "isfinite" (Timestamp) Bool, Strict, |a, _| is_finite(a);
    "isfinite" (Timestamptz) Bool, Strict, |a, _| is_finite(a);
    "isfinite" (Interval) Bool, Strict, |a, _| is_finite(a);
    "justify_hours" (Interval) Interval, Strict, |a, _| justify(a, Interval::justify_hours);
    "justify_days" (Interval) Interval, Strict, |a, _| justify(a, Interval::justify_days);
    "justify_interval" (Interval) Interval, Strict, |a, _| justify(a, Interval::justify_interval);
    "overlaps" (Timestamp, Timestamp, Timestamp, Timestamp) Bool, Nullable, periods_overlap;
    "overlaps" (Timestamp, Interval, Timestamp, Interval) Bool, Nullable, periods_overlap;
    "overlaps" (Timestamp, Timestamp, Timestamp, Interval) Bool, Nullable, periods_overlap;
    "overlaps" (Timestamp, Interval, Timestamp, Timestamp) Bool, Nullable, periods_overlap;
    "overlaps" (Timestamptz, Timestamptz, Timestamptz, Timestamptz) Bool, Nullable, periods_overlap;
    "overlaps" (Timestamptz, Interval, Timestamptz, Interval) Bool, Nullable, periods_overlap;
    "overlaps" (Time, Time, Time, Time) Bool, Nullable, periods_overlap;
    "overlaps" (Time, Interval, Time, Interval) Bool, Nullable, periods_overlap;
}
