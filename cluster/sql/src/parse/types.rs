//! Types, as statements write them.

use alloc::format;
use alloc::string::ToString;

use cluster_calendar::IntervalFields;
use cluster_numeric::Typmod;
use sqlparser::ast::{self, ArrayElemTypeDef, ExactNumberInfo};

use super::{Translator, fold, idents};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, TypeName, interval_modifier};

impl Translator<'_> {
    /// A type, with what stands in parentheses behind it.
    pub(super) fn data_type(&self, data_type: &ast::DataType) -> SqlResult<TypeName> {
        use ast::DataType as T;
        let plain = match data_type {
            T::Bool | T::Boolean => DataType::Bool,
            T::SmallInt(None) | T::Int2(None) => DataType::Int2,
            T::Int(None) | T::Integer(None) | T::Int4(None) => DataType::Int4,
            T::BigInt(None) | T::Int8(None) => DataType::Int8,
            T::Real | T::Float4 => DataType::Float4,
            T::Float8 | T::DoublePrecision | T::Double(ExactNumberInfo::None) => DataType::Float8,
            T::Float(info) => return float(info),
            T::Numeric(info) | T::Decimal(info) | T::Dec(info) => return numeric(info),
            T::Text => DataType::Text,
            T::Regclass => DataType::Regclass,
            T::Varchar(None) | T::CharacterVarying(None) | T::CharVarying(None) => DataType::Varchar,
            T::Varchar(Some(len)) | T::CharacterVarying(Some(len)) | T::CharVarying(Some(len)) => {
                return Ok(TypeName {
                    data_type: DataType::Varchar,
                    modifier: Some(chars_max(len, "varchar")?),
                });
            }
            T::Char(None) | T::Character(None) => {
                return Ok(TypeName { data_type: DataType::Bpchar, modifier: Some(1) });
            }
            T::Char(Some(len)) | T::Character(Some(len)) => {
                return Ok(TypeName { data_type: DataType::Bpchar, modifier: Some(chars_max(len, "char")?) });
            }
            T::Bytea => DataType::Bytea,
            T::Uuid => DataType::Uuid,
            T::JSON => DataType::Json,
            T::JSONB => DataType::Jsonb,
            T::Date => DataType::Date,
            T::Time(digits, ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone) => {
                return Ok(with_digits(DataType::Time, *digits));
            }
            T::Timestamp(digits, ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone) => {
                return Ok(with_digits(DataType::Timestamp, *digits));
            }
            T::Timestamp(digits, ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz) => {
                return Ok(with_digits(DataType::Timestamptz, *digits));
            }
            T::Interval { fields, precision } => {
                let modifier = (fields.is_some() || precision.is_some())
                    .then(|| interval_modifier(fields.as_ref().map(interval_fields), precision.map(digits)));
                return Ok(TypeName { data_type: DataType::Interval, modifier });
            }
            T::Array(
                ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _),
            ) => {
                let TypeName { data_type, modifier } = self.data_type(element)?;
                // However many brackets there are, the type is the same.
                let data_type = data_type.array().unwrap_or(data_type);
                return Ok(TypeName { data_type, modifier });
            }
            T::Custom(name, arguments) if arguments.is_empty() => return self.named_type(name),
            other => return Err(unknown(&other.to_string())),
        };
        Ok(plain.into())
    }

    fn named_type(&self, name: &ast::ObjectName) -> SqlResult<TypeName> {
        let parts = idents(name)?;
        // Postgres's type of one byte: texts do for it.
        if parts.last().is_some_and(|name| name.quote_style.is_some() && name.value == "char") {
            return Ok(DataType::Text.into());
        }
        let known = match *parts {
            [name] => DataType::of_name(&fold(name)),
            [schema, name] if fold(schema) == "pg_catalog" => DataType::of_name(&fold(name)),
            _ => None,
        };
        let position = parts.first().and_then(|part| self.position(part.span));
        match known {
            Some(data_type) => Ok(data_type.into()),
            None => {
                let message = format!("type \"{}\" does not exist", name.to_string().to_lowercase());
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position))
            }
        }
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::not_supported(&format!("the type {}", name.to_lowercase())).hint(
        "Types are boolean, the numbers, text, varchar, char, name, bytea, date, time, timestamp, timestamptz, interval, \
         uuid, json, jsonb, and arrays of them.",
    )
}

/// `float(n)` is the shorter one up to 24 bits.
fn float(info: &ExactNumberInfo) -> SqlResult<TypeName> {
    let message = match info {
        ExactNumberInfo::None | ExactNumberInfo::Precision(25..=53) => return Ok(DataType::Float8.into()),
        ExactNumberInfo::Precision(1..=24) => return Ok(DataType::Float4.into()),
        ExactNumberInfo::Precision(0) => "precision for type float must be at least 1 bit",
        _ => "precision for type float must be less than 54 bits",
    };
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

fn numeric(info: &ExactNumberInfo) -> SqlResult<TypeName> {
    let narrow = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
    let typmod = match info {
        ExactNumberInfo::None => return Ok(DataType::Numeric.into()),
        ExactNumberInfo::Precision(precision) => Typmod::new(narrow(*precision), 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => {
            Typmod::new(narrow(*precision), i32::try_from(*scale).unwrap_or(i32::MAX))
        }
    };
    // Without the four that Postgres adds.
    let modifier = u32::try_from(typmod?.to_i32().saturating_sub(4)).ok();
    Ok(TypeName { data_type: DataType::Numeric, modifier })
}

/// As Postgres does it, more digits than there are become those that there are.
fn digits(given: u64) -> u8 {
    u8::try_from(given.min(6)).unwrap_or(6)
}

fn with_digits(data_type: DataType, given: Option<u64>) -> TypeName {
    TypeName { data_type, modifier: given.map(|given| digits(given).into()) }
}

fn interval_fields(fields: &ast::IntervalFields) -> IntervalFields {
    use ast::IntervalFields as F;
    match fields {
        F::Year => IntervalFields::Year,
        F::Month => IntervalFields::Month,
        F::Day => IntervalFields::Day,
        F::Hour => IntervalFields::Hour,
        F::Minute => IntervalFields::Minute,
        F::Second => IntervalFields::Second,
        F::YearToMonth => IntervalFields::YearToMonth,
        F::DayToHour => IntervalFields::DayToHour,
        F::DayToMinute => IntervalFields::DayToMinute,
        F::DayToSecond => IntervalFields::DayToSecond,
        F::HourToMinute => IntervalFields::HourToMinute,
        F::HourToSecond => IntervalFields::HourToSecond,
        F::MinuteToSecond => IntervalFields::MinuteToSecond,
    }
}

/// The modifier of `INTERVAL '...' field TO field`.
pub(super) fn literal_modifier(interval: &ast::Interval) -> SqlResult<Option<u32>> {
    use IntervalFields as F;
    use ast::DateTimeField as D;
    let precision = interval.fractional_seconds_precision.or(interval.leading_precision).map(digits);
    let fields = match (&interval.leading_field, &interval.last_field) {
        (None, None) => return Ok(precision.map(|precision| interval_modifier(None, Some(precision)))),
        (Some(D::Year | D::Years), None) => F::Year,
        (Some(D::Month | D::Months), None) => F::Month,
        (Some(D::Day | D::Days), None) => F::Day,
        (Some(D::Hour | D::Hours), None) => F::Hour,
        (Some(D::Minute | D::Minutes), None) => F::Minute,
        (Some(D::Second | D::Seconds), None) => F::Second,
        (Some(D::Year), Some(D::Month)) => F::YearToMonth,
        (Some(D::Day), Some(D::Hour)) => F::DayToHour,
        (Some(D::Day), Some(D::Minute)) => F::DayToMinute,
        (Some(D::Day), Some(D::Second)) => F::DayToSecond,
        (Some(D::Hour), Some(D::Minute)) => F::HourToMinute,
        (Some(D::Hour), Some(D::Second)) => F::HourToSecond,
        (Some(D::Minute), Some(D::Second)) => F::MinuteToSecond,
        _ => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error in the fields of an interval")),
    };
    Ok(Some(interval_modifier(Some(fields), precision)))
}

fn chars_max(len: &ast::CharacterLength, name: &str) -> SqlResult<u32> {
    let message = match len {
        ast::CharacterLength::IntegerLength { length: length @ 1..=10_485_760, unit: None } => {
            return Ok(u32::try_from(*length).unwrap_or(u32::MAX));
        }
        ast::CharacterLength::IntegerLength { length: 0, .. } => {
            format!("length for type {name} must be at least 1")
        }
        _ => format!("length for type {name} cannot exceed 10485760"),
    };
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}
