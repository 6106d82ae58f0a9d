//! Casts: which there are, and what they do.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use cluster_numeric::Numeric;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{Array, Category, DataType, Datum, Json};
use crate::wire::{self, Style, text_of};

/// How much a statement must say for a value to become one of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    /// Nothing.
    Implicit,
    /// That it is stored in a column of that type.
    Assignment,
    /// `CAST`
    Explicit,
}

/// What a cast needs; none if there is none.
pub(crate) fn context(from: DataType, to: DataType) -> Option<Context> {
    use Context::{Assignment, Explicit, Implicit};
    use DataType as T;
    if from == to || (from.base() == to.base() && from != to.base()) {
        return Some(Implicit);
    }
    if from.base() != from {
        return if to.is_text() { Some(Assignment) } else { context(from.base(), to) };
    }
    if to.base() != to {
        return if from.is_text() { Some(Explicit) } else { context(from, to.base()) };
    }
    if let (Some(from), Some(to)) = (from.element(), to.element()) {
        return context(from, to);
    }
    if let (Some(a), Some(b)) = (number_rank(from), number_rank(to)) {
        return Some(if a < b { Implicit } else { Assignment });
    }
    let special = match (from, to) {
        (T::Int2 | T::Int4 | T::Int8, T::Oid) => Some(Implicit),
        (T::Oid, T::Int4 | T::Int8) => Some(Assignment),
        (T::Bool, T::Int4) | (T::Int4, T::Bool) => Some(Explicit),
        (T::Name, T::Varchar | T::Bpchar) => Some(Assignment),
        (from, to) if from.is_text() && to.is_text() => Some(Implicit),
        (T::Date, T::Timestamp | T::Timestamptz) => Some(Implicit),
        (T::Timestamp, T::Timestamptz) | (T::Time, T::Interval) => Some(Implicit),
        (T::Timestamp, T::Date | T::Time) => Some(Assignment),
        (T::Timestamptz, T::Date | T::Time | T::Timestamp) => Some(Assignment),
        (T::Interval, T::Time) => Some(Assignment),
        (T::Json, T::Jsonb) | (T::Jsonb, T::Json) => Some(Assignment),
        (T::Jsonb, T::Bool) => Some(Explicit),
        (T::Jsonb, to) if number_rank(to).is_some() => Some(Explicit),
        _ => None,
    };
    special.or_else(|| match (from.is_text(), to.is_text()) {
        (_, true) => Some(Assignment),
        (true, _) => Some(Explicit),
        _ => None,
    })
}

/// Numbers by how much they hold.
fn number_rank(data_type: DataType) -> Option<u8> {
    Some(match data_type {
        DataType::Int2 => 0,
        DataType::Int4 => 1,
        DataType::Int8 => 2,
        DataType::Numeric => 3,
        DataType::Float4 => 4,
        DataType::Float8 => 5,
        _ => return None,
    })
}

/// Whether the cast gives the same in all sessions.
pub(crate) fn is_fixed(from: DataType, to: DataType) -> bool {
    let moves = |data_type: DataType| {
        let scalar = data_type.element().unwrap_or(data_type);
        scalar.category() == Category::Moment
    };
    !moves(from) && !moves(to)
}

/// `value` as a `data_type`.
pub(crate) fn cast(value: &Datum, to: DataType, style: &Style) -> SqlResult<Datum> {
    match (value, to.base()) {
        (Datum::Null, _) => Ok(Datum::Null),
        (Datum::Text(text), DataType::Text | DataType::Varchar) => Ok(Datum::Text(text.clone())),
        (value, to) if value.data_type() == Some(to) && to != DataType::Text => Ok(value.clone()),
        (Datum::Array(array), DataType::Array(element)) => {
            let item = |item| cast(item, element.data_type(), style);
            let items = array.items.iter().map(item).collect::<SqlResult<_>>()?;
            Ok(Datum::Array(Box::new(Array::new(element, items))))
        }
        (Datum::Bool(value), DataType::Text | DataType::Varchar | DataType::Bpchar) => {
            wire::parse_text(to, if *value { "true" } else { "false" }, style)
        }
        (Datum::Bpchar(_), to) if to.is_text() => {
            wire::parse_text(to, value.as_text().unwrap_or_default(), style)
        }
        (value, to) if to.is_text() || to == DataType::Json => {
            wire::parse_owned_text(to, text_of(value, style), style)
        }
        (Datum::Text(text) | Datum::Bpchar(text), to) => wire::parse_text(to, text, style),
        (Datum::Jsonb(json), to) => of_json(json, to, style),
        (value, to) if number_rank(to).is_some() || to == DataType::Oid => to_number(value, to),
        (Datum::Int4(value), _) => Ok(Datum::Bool(*value != 0)),
        (value, to) => to_moment(value, to, style),
    }
}

fn to_moment(value: &Datum, to: DataType, style: &Style) -> SqlResult<Datum> {
    let zone = &style.zone;
    Ok(match (value, to) {
        (Datum::Date(date), DataType::Timestamp) => Datum::Timestamp(date.to_timestamp()?),
        (Datum::Date(date), DataType::Timestamptz) => Datum::Timestamptz(date.to_timestamptz(zone)?),
        (Datum::Timestamp(value), DataType::Timestamptz) => Datum::Timestamptz(value.to_timestamptz(zone)?),
        (Datum::Timestamp(value), DataType::Date) => Datum::Date(value.to_date()),
        (Datum::Timestamp(value), DataType::Time) => value.to_time().map_or(Datum::Null, Datum::Time),
        (Datum::Timestamptz(value), DataType::Timestamp) => Datum::Timestamp(value.to_timestamp(zone)?),
        (Datum::Timestamptz(value), DataType::Date) => Datum::Date(value.to_timestamp(zone)?.to_date()),
        (Datum::Timestamptz(value), DataType::Time) => {
            value.to_timestamp(zone)?.to_time().map_or(Datum::Null, Datum::Time)
        }
        (Datum::Time(value), DataType::Interval) => Datum::Interval(value.to_interval()),
        (Datum::Interval(value), DataType::Time) => Datum::Time(value.to_time()),
        _ => return Err(SqlError::not_supported("this cast")),
    })
}

fn of_json(json: &Json, to: DataType, style: &Style) -> SqlResult<Datum> {
    match (json, to) {
        (Json::Bool(value), DataType::Bool) => Ok(Datum::Bool(*value)),
        (Json::Number(value), to) if to != DataType::Bool => cast(&Datum::numeric(value.clone()), to, style),
        (json, to) => {
            let kind = match json.type_name() {
                "number" => "numeric",
                other => other,
            };
            let message = format!("cannot cast jsonb {kind} to type {}", to.name());
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

fn to_number(value: &Datum, to: DataType) -> SqlResult<Datum> {
    match (value, to) {
        (Datum::Bool(value), _) => Ok(Datum::Int4(i32::from(*value))),
        (value, DataType::Numeric) => match value {
            Datum::Float8(value) => Ok(Datum::numeric(Numeric::from(*value))),
            Datum::Float4(value) => Ok(Datum::numeric(Numeric::from(*value))),
            value => Ok(Datum::numeric(Numeric::from(value.as_i64().unwrap_or(0)))),
        },
        (Datum::Numeric(value), to) => Ok(match to {
            DataType::Int2 => Datum::Int2(value.to_i16()?),
            DataType::Int4 => Datum::Int4(value.to_i32()?),
            DataType::Float4 => Datum::Float4(value.to_f32()?),
            DataType::Float8 => Datum::Float8(value.to_f64()?),
            to => return integer(Some(value.to_i64()?), to),
        }),
        (value, DataType::Float8) => Ok(value.as_f64().map_or(Datum::Null, Datum::Float8)),
        (Datum::Float8(value), DataType::Float4) => to_f32(*value).map(Datum::Float4),
        (value, DataType::Float4) => match value.as_i64() {
            Some(value) => Ok(Datum::Float4(value as f32)),
            None => Ok(Datum::Null),
        },
        (Datum::Float8(value), to) => of_float(*value, to),
        (Datum::Float4(value), to) => of_float(f64::from(*value), to),
        (value, to) => integer(value.as_i64(), to),
    }
}

fn to_f32(value: f64) -> SqlResult<f32> {
    let narrow = value as f32;
    let message = match () {
        _ if narrow.is_infinite() && value.is_finite() => "value out of range: overflow",
        _ if narrow == 0.0 && value != 0.0 => "value out of range: underflow",
        _ => return Ok(narrow),
    };
    Err(SqlError::new(SqlState::OUT_OF_RANGE, message))
}

fn of_float(value: f64, to: DataType) -> SqlResult<Datum> {
    let rounded = libm::rint(value);
    // 2^63 itself is out of range; NaN fails both.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        integer(Some(rounded as i64), to)
    } else {
        Err(out_of_range(to))
    }
}

/// `value` as an integer type.
pub(crate) fn integer(value: Option<i64>, to: DataType) -> SqlResult<Datum> {
    let range = || out_of_range(to);
    let value = value.ok_or_else(range)?;
    match to {
        DataType::Int2 => value.try_into().map(Datum::Int2).map_err(|_| range()),
        DataType::Int4 => value.try_into().map(Datum::Int4).map_err(|_| range()),
        DataType::Oid => value.try_into().map(Datum::Oid).map_err(|_| range()),
        _ => Ok(Datum::Int8(value)),
    }
}

/// 22003
pub(crate) fn out_of_range(data_type: DataType) -> SqlError {
    let name: String = match data_type {
        DataType::Oid => "OID".into(),
        other => other.name().into(),
    };
    SqlError::new(SqlState::OUT_OF_RANGE, format!("{name} out of range"))
}
