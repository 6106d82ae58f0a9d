//! Computes the expressions of the golden file with the crate alone.

pub mod syntax;

use cluster_calendar::{
    Date, Error, Field, Interval, IntervalFields, Modifier, Session, Time, Timestamp, Timestamptz, Zone,
    overlaps,
};
use syntax::Expression;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Date(Date),
    Time(Time),
    Timestamp(Timestamp),
    Timestamptz(Timestamptz),
    Interval(Interval),
    Field(Field),
}

use Value::{Float, Integer, Text};

type Answer = Result<Value, Error>;

/// What Postgres's `text` of the value is.
pub fn text(value: &Value, zone: &Zone) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Bool(value) => value.to_string(),
        Integer(value) => value.to_string(),
        Float(value) => float_text(*value),
        Text(value) => value.clone(),
        Value::Date(value) => value.to_string(),
        Value::Time(value) => value.to_string(),
        Value::Timestamp(value) => value.to_string(),
        Value::Timestamptz(value) => value.to_text(zone),
        Value::Interval(value) => value.to_string(),
        Value::Field(value) => value.to_string(),
    }
}

/// The shortest text of a float8, as Postgres writes it.
fn float_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    if value == 0.0 || (-5..15).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn fields(text: &str) -> Option<IntervalFields> {
    Some(match text {
        "" => return None,
        "year" => IntervalFields::Year,
        "month" => IntervalFields::Month,
        "day" => IntervalFields::Day,
        "hour" => IntervalFields::Hour,
        "minute" => IntervalFields::Minute,
        "second" => IntervalFields::Second,
        "year to month" => IntervalFields::YearToMonth,
        "day to hour" => IntervalFields::DayToHour,
        "day to minute" => IntervalFields::DayToMinute,
        "day to second" => IntervalFields::DayToSecond,
        "hour to minute" => IntervalFields::HourToMinute,
        "hour to second" => IntervalFields::HourToSecond,
        "minute to second" => IntervalFields::MinuteToSecond,
        other => panic!("fields {other}"),
    })
}

fn literal(name: &str, precision: Option<u8>, text: &str, restriction: &str, session: Session<'_>) -> Answer {
    let rounded = precision.unwrap_or(6);
    Ok(match name {
        "date" => Value::Date(Date::parse(text, session)?),
        "time" => Value::Time(Time::parse(text, session)?.round(rounded)),
        "timestamp" => Value::Timestamp(Timestamp::parse(text, session)?.round(rounded)?),
        "timestamptz" => Value::Timestamptz(Timestamptz::parse(text, session)?.round(rounded)?),
        "interval" => {
            Value::Interval(Interval::parse(text, Modifier { fields: fields(restriction), precision })?)
        }
        other => panic!("type {other}"),
    })
}

/// Computes an expression.
///
/// # Panics
/// If the golden file has no such thing.
pub fn evaluate(expression: &Expression, session: Session<'_>) -> Answer {
    match expression {
        Expression::Integer(value) => Ok(Integer(*value)),
        Expression::Float(value) => Ok(Float(*value)),
        Expression::Text(value) => Ok(Text(value.clone())),
        Expression::Bool(value) => Ok(Value::Bool(*value)),
        Expression::Literal(name, precision, text, fields) => {
            literal(name, *precision, text, fields, session)
        }
        Expression::Negative(operand) => match evaluate(operand, session)? {
            Integer(value) => Ok(Integer(-value)),
            Float(value) => Ok(Float(-value)),
            Value::Interval(value) => Ok(Value::Interval(value.checked_neg()?)),
            other => panic!("-{other:?}"),
        },
        Expression::Binary(left, operator, right) => {
            let (left, right) = (evaluate(left, session)?, evaluate(right, session)?);
            if left == Value::Null || right == Value::Null {
                return Ok(Value::Null);
            }
            match operator.as_str() {
                "+" | "-" | "*" | "/" => arithmetic(left, operator, right, session),
                _ => Ok(comparison(left, operator, right, session)),
            }
        }
        Expression::Cast(operand, name, precision) => {
            let value = evaluate(operand, session)?;
            cast(value, name, *precision, session)
        }
        Expression::Call(name, arguments) => {
            let arguments: Result<Vec<Value>, Error> =
                arguments.iter().map(|argument| evaluate(argument, session)).collect();
            let arguments = arguments?;
            if arguments.contains(&Value::Null) {
                return Ok(Value::Null);
            }
            call(name, &arguments, session)
        }
    }
}

fn cast(value: Value, name: &str, precision: Option<u8>, session: Session<'_>) -> Answer {
    let zone = session.zone;
    Ok(match (value, name) {
        (Value::Null, _) => Value::Null,
        (Text(text), name) => return literal(name, precision, &text, "", session),
        (Value::Date(date), "timestamp") => Value::Timestamp(date.to_timestamp()?),
        (Value::Date(date), "timestamptz") => Value::Timestamptz(date.to_timestamptz(zone)?),
        (Value::Time(time), "interval") => Value::Interval(time.to_interval()),
        (Value::Time(time), "time") => Value::Time(time.round(precision.unwrap_or(6))),
        (Value::Interval(interval), "time") => Value::Time(interval.to_time()),
        (Value::Timestamp(value), "date") => Value::Date(value.to_date()),
        (Value::Timestamp(value), "time") => value.to_time().map_or(Value::Null, Value::Time),
        (Value::Timestamp(value), "timestamp") => Value::Timestamp(value.round(precision.unwrap_or(6))?),
        (Value::Timestamp(value), "timestamptz") => Value::Timestamptz(value.to_timestamptz(zone)?),
        (Value::Timestamptz(value), "timestamp") => Value::Timestamp(value.to_timestamp(zone)?),
        (Value::Timestamptz(value), "timestamptz") => {
            Value::Timestamptz(value.round(precision.unwrap_or(6))?)
        }
        (Value::Timestamptz(value), other) => {
            return cast(Value::Timestamp(value.to_timestamp(zone)?), other, None, session);
        }
        (value, other) => panic!("{value:?}::{other}"),
    })
}

fn number(value: &Value) -> f64 {
    match value {
        Integer(value) => *value as f64,
        Float(value) => *value,
        Text(text) => text.to_lowercase().replace("infinity", "inf").parse().expect("a number"),
        other => panic!("{other:?} is no number"),
    }
}

fn integer(value: &Value) -> i32 {
    match value {
        Integer(value) => i32::try_from(*value).expect("fits"),
        other => panic!("{other:?} is no integer"),
    }
}

fn arithmetic(left: Value, operator: &str, right: Value, session: Session<'_>) -> Answer {
    use Value::{Date as D, Interval as I, Time as T, Timestamp as S, Timestamptz as Z};
    let zone = session.zone;
    Ok(match (left, operator, right) {
        (D(date), "+", Integer(days)) | (Integer(days), "+", D(date)) => {
            D(date.checked_add_days(days as i32)?)
        }
        (D(date), "-", Integer(days)) => D(date.checked_sub_days(days as i32)?),
        (D(date), "-", D(other)) => Integer(date.days_since(other)?.into()),
        (D(date), "+", T(time)) | (T(time), "+", D(date)) => S(date.checked_add_time(time)?),
        (D(date), operator, I(interval)) => {
            return arithmetic(S(date.to_timestamp()?), operator, I(interval), session);
        }
        (S(left), "-", D(right)) => I(left.since(right.to_timestamp()?)?),
        (S(left), "-", S(right)) => I(left.since(right)?),
        (Z(left), "-", Z(right)) => I(left.since(right)?),
        (S(value), "+", I(interval)) => S(value.checked_add(interval)?),
        (S(value), "-", I(interval)) => S(value.checked_sub(interval)?),
        (Z(value), "+", I(interval)) => Z(value.checked_add(interval, zone)?),
        (Z(value), "-", I(interval)) => Z(value.checked_sub(interval, zone)?),
        (T(time), "+", I(interval)) => T(time.plus(interval)),
        (T(time), "-", I(interval)) => T(time.minus(interval)),
        (T(left), "-", T(right)) => I(left.since(right)),
        (I(left), "+", I(right)) => I(left.checked_add(right)?),
        (I(left), "-", I(right)) => I(left.checked_sub(right)?),
        (I(left), "*", factor) => I(left.checked_mul(number(&factor))?),
        (factor, "*", I(right)) => I(right.checked_mul(number(&factor))?),
        (I(left), "/", divisor) => I(left.checked_div(number(&divisor))?),
        (left, operator, right) => panic!("{left:?} {operator} {right:?}"),
    })
}

fn comparison(left: Value, operator: &str, right: Value, session: Session<'_>) -> Value {
    use Value::{Date as D, Interval as I, Time as T, Timestamp as S, Timestamptz as Z};
    let order = match (left, right) {
        (D(left), D(right)) => left.cmp(&right),
        (T(left), T(right)) => left.cmp(&right),
        (S(left), S(right)) => left.cmp(&right),
        (Z(left), Z(right)) => left.cmp(&right),
        (I(left), I(right)) => left.cmp(&right),
        (D(left), S(right)) => left.compare_timestamp(right),
        (S(left), D(right)) => right.compare_timestamp(left).reverse(),
        (S(left), Z(right)) => left.to_timestamptz(session.zone).expect("in range").cmp(&right),
        (left, right) => panic!("{left:?} {operator} {right:?}"),
    };
    Value::Bool(match operator {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        _ => order.is_ge(),
    })
}

fn call(name: &str, arguments: &[Value], session: Session<'_>) -> Answer {
    use Value::{Date as D, Interval as I, Time as T, Timestamp as S, Timestamptz as Z};
    let zone = session.zone;
    Ok(match (name, arguments) {
        ("extract", [Text(unit), D(value)]) => Value::Field(value.extract(unit)?).or_null(),
        ("date_part", [Text(unit), D(value)]) => {
            return call(name, &[Text(unit.clone()), S(value.to_timestamp()?)], session);
        }
        ("extract", [Text(unit), T(value)]) => Value::Field(value.extract(unit)?),
        ("extract", [Text(unit), S(value)]) => Value::Field(value.extract(unit)?).or_null(),
        ("extract", [Text(unit), Z(value)]) => Value::Field(value.extract(unit, zone)?).or_null(),
        ("extract", [Text(unit), I(value)]) => Value::Field(value.extract(unit)?),
        ("date_part", arguments) => match call("extract", arguments, session)? {
            Value::Field(field) => field.to_f64().map_or(Value::Null, Float),
            other => other,
        },
        ("date_trunc", [Text(unit), S(value)]) => S(value.truncate(unit)?),
        ("date_trunc", [Text(unit), Z(value)]) => Z(value.truncate(unit, zone)?),
        ("date_trunc", [Text(unit), Z(value), Text(zone)]) => Z(value.truncate_at(unit, zone)?),
        ("date_trunc", [Text(unit), I(value)]) => I(value.truncate(unit)?),
        ("date_bin", [I(stride), S(value), S(origin)]) => S(value.bin(*stride, *origin)?),
        ("date_bin", [I(stride), Z(value), Z(origin)]) => Z(value.bin(*stride, *origin)?),
        ("age", [S(left), S(right)]) => I(left.age(*right)?),
        ("age", [Z(left), Z(right)]) => I(left.age(*right, zone)?),
        ("justify_days", [I(value)]) => I(value.justify_days()?),
        ("justify_hours", [I(value)]) => I(value.justify_hours()?),
        ("justify_interval", [I(value)]) => I(value.justify_interval()?),
        ("isfinite", [D(value)]) => Value::Bool(value.is_finite()),
        ("isfinite", [S(value)]) => Value::Bool(value.is_finite()),
        ("isfinite", [Z(value)]) => Value::Bool(value.is_finite()),
        ("make_date", [year, month, day]) => D(Date::make(integer(year), integer(month), integer(day))?),
        ("make_time", [hour, minute, second]) => {
            T(Time::make(integer(hour), integer(minute), number(second))?)
        }
        ("make_timestamp", [year, month, day, hour, minute, second]) => S(Timestamp::make(
            integer(year),
            integer(month),
            integer(day),
            integer(hour),
            integer(minute),
            number(second),
        )?),
        ("make_timestamptz", [fields @ .., Text(zone)]) => match call("make_timestamp", fields, session)? {
            S(timestamp) => Z(Timestamptz::make_at(timestamp, zone)?),
            other => other,
        },
        ("make_timestamptz", fields) => match call("make_timestamp", fields, session)? {
            S(timestamp) => Z(timestamp.to_timestamptz(zone)?),
            other => other,
        },
        ("make_interval", [years, months, weeks, days, hours, minutes, seconds]) => {
            let whole = [years, months, weeks, days, hours, minutes].map(integer);
            I(Interval::make(whole, number(seconds))?)
        }
        ("to_timestamp", [Text(text), Text(template)]) => Z(Timestamptz::parse_as(text, template, zone)?),
        ("to_timestamp", [seconds]) => Z(Timestamptz::from_unix_seconds(number(seconds))?),
        ("to_date", [Text(text), Text(template)]) => D(Date::parse_as(text, template)?),
        ("to_char", [S(value), Text(template)]) => value.format(template)?.map_or(Value::Null, Text),
        ("to_char", [Z(value), Text(template)]) => value.format(template, zone)?.map_or(Value::Null, Text),
        ("to_char", [D(value), Text(template)]) => {
            value.to_timestamptz(zone)?.format(template, zone)?.map_or(Value::Null, Text)
        }
        ("to_char", [I(value), Text(template)]) => value.format(template)?.map_or(Value::Null, Text),
        ("to_char", [T(value), Text(template)]) => {
            value.to_interval().format(template)?.map_or(Value::Null, Text)
        }
        ("date_send", [D(value)]) => Text(hexadecimal(&value.to_wire())),
        ("time_send", [T(value)]) => Text(hexadecimal(&value.to_wire())),
        ("timestamp_send", [S(value)]) => Text(hexadecimal(&value.to_wire())),
        ("timestamptz_send", [Z(value)]) => Text(hexadecimal(&value.to_wire())),
        ("interval_send", [I(value)]) => Text(hexadecimal(&value.to_wire())),
        ("timezone", [Text(place), S(value)]) => Z(value.at_zone_named(place)?),
        ("timezone", [Text(place), Z(value)]) => S(value.at_zone_named(place)?),
        ("timezone", [I(offset), S(value)]) => Z(value.at_offset(*offset)?),
        ("timezone", [I(offset), Z(value)]) => S(value.at_offset(*offset)?),
        ("pg_catalog.overlaps", [S(a), S(b), S(c), S(d)]) => {
            overlaps(Some(*a), Some(*b), Some(*c), Some(*d)).map_or(Value::Null, Value::Bool)
        }
        (name, arguments) => panic!("{name}({arguments:?})"),
    })
}

/// The text of a `bytea`.
fn hexadecimal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

impl Value {
    fn or_null(self) -> Value {
        if self == Value::Field(Field::Null) { Value::Null } else { self }
    }
}
