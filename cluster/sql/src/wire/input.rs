//! From text to values.

use alloc::format;
use alloc::string::String;

use cluster_calendar::{Date, Interval, Modifier, Time, Timestamp, Timestamptz};

use super::{Style, array, parse_bytea};
use crate::catalog::NAME_LEN_MAX;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{DataType, Datum, parse_json};

/// The value of type `data_type` that `text` says.
pub fn parse_text(data_type: DataType, text: &str, style: &Style) -> SqlResult<Datum> {
    let integer = || parse_integer(text, data_type);
    let range = || out_of_range(text, data_type);
    Ok(match data_type.base() {
        DataType::Bool => Datum::Bool(parse_bool(text)?),
        DataType::Int2 => Datum::Int2(integer()?.try_into().map_err(|_| range())?),
        DataType::Int4 => Datum::Int4(integer()?.try_into().map_err(|_| range())?),
        DataType::Int8 => Datum::Int8(integer()?),
        DataType::Oid => Datum::Oid(parse_oid(text)?),
        DataType::Float4 => Datum::Float4(parse_f32(text)?),
        DataType::Float8 => Datum::Float8(parse_f64(text)?),
        DataType::Numeric => Datum::numeric(text.parse()?),
        DataType::Text | DataType::Varchar | DataType::Bpchar | DataType::Name | DataType::Json => {
            return parse_owned_text(data_type, text.into(), style);
        }
        DataType::Bytea => Datum::Bytea(parse_bytea(text)?.into()),
        DataType::Date => Datum::Date(Date::parse(text, style.calendar())?),
        DataType::Time => Datum::Time(Time::parse(text, style.calendar())?),
        DataType::Timestamp => Datum::Timestamp(Timestamp::parse(text, style.calendar())?),
        DataType::Timestamptz => Datum::Timestamptz(Timestamptz::parse(text, style.calendar())?),
        DataType::Interval => Datum::Interval(Interval::parse(text, Modifier::default())?),
        DataType::Uuid => Datum::Uuid(parse_uuid(text)?),
        DataType::Jsonb => Datum::json(parse_json(text)?),
        DataType::Array(element) => array::parse(element, text, style)?,
        _ => return Err(SqlError::not_supported("a value of this type")),
    })
}

/// As [`parse_text`], of a text that need not be copied.
pub fn parse_owned_text(data_type: DataType, mut text: String, style: &Style) -> SqlResult<Datum> {
    match data_type {
        DataType::Text | DataType::Varchar => {}
        DataType::Bpchar => {
            refuse_nul(&text)?;
            return Ok(Datum::Bpchar(text));
        }
        DataType::Name => {
            let mut end = text.len().min(NAME_LEN_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        DataType::Json => {
            parse_json(&text)?;
        }
        _ => return parse_text(data_type, &text, style),
    }
    refuse_nul(&text)?;
    Ok(Datum::Text(text))
}

fn refuse_nul(text: &str) -> SqlResult<()> {
    if text.contains('\0') {
        let message = "invalid byte sequence for encoding \"UTF8\": 0x00";
        return Err(SqlError::new(SqlState::BAD_CHARACTER, message));
    }
    Ok(())
}

fn invalid_text(text: &str, data_type: DataType) -> SqlError {
    let message = format!("invalid input syntax for type {}: \"{text}\"", data_type.name());
    SqlError::new(SqlState::INVALID_TEXT, message)
}

fn out_of_range(text: &str, data_type: DataType) -> SqlError {
    let message = match data_type {
        DataType::Float8 | DataType::Float4 => {
            format!("\"{text}\" is out of range for type {}", data_type.name())
        }
        _ => format!("value \"{text}\" is out of range for type {}", data_type.name()),
    };
    SqlError::new(SqlState::OUT_OF_RANGE, message)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn parse_bool(text: &str) -> SqlResult<bool> {
    let lower = text.trim_matches(is_blank).to_ascii_lowercase();
    let is_prefix = |word: &str, len_min: usize| lower.len() >= len_min && word.starts_with(&lower);
    match () {
        _ if is_prefix("true", 1) || is_prefix("yes", 1) || lower == "on" || lower == "1" => Ok(true),
        _ if is_prefix("false", 1) || is_prefix("no", 1) || is_prefix("off", 2) || lower == "0" => Ok(false),
        _ => Err(invalid_text(text, DataType::Bool)),
    }
}

fn parse_integer(text: &str, data_type: DataType) -> SqlResult<i64> {
    let digits = text.trim_matches(is_blank);
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_text(text, data_type));
    }
    digits.parse().map_err(|_| out_of_range(text, data_type))
}

fn parse_oid(text: &str) -> SqlResult<u32> {
    let value = parse_integer(text, DataType::Oid)?;
    let signed = i32::try_from(value).map(i32::cast_unsigned);
    u32::try_from(value).or(signed).map_err(|_| out_of_range(text, DataType::Oid))
}

/// Whether the number that was read is not what the text says: too large, or too near to zero.
fn left_range(text: &str, is_infinite: bool, is_zero: bool) -> bool {
    let says_infinity = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    let says_zero = text
        .bytes()
        .take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'))
        .all(|byte| !(b'1'..=b'9').contains(&byte));
    (is_infinite && !says_infinity) || (is_zero && !says_zero)
}

fn parse_f64(text: &str) -> SqlResult<f64> {
    let trimmed = text.trim_matches(is_blank);
    let value: f64 = trimmed.parse().map_err(|_| invalid_text(text, DataType::Float8))?;
    match left_range(trimmed, value.is_infinite(), value == 0.0) {
        true => Err(out_of_range(trimmed, DataType::Float8)),
        false => Ok(value),
    }
}

fn parse_f32(text: &str) -> SqlResult<f32> {
    let trimmed = text.trim_matches(is_blank);
    let value: f32 = trimmed.parse().map_err(|_| invalid_text(text, DataType::Float4))?;
    match left_range(trimmed, value.is_infinite(), value == 0.0) {
        true => Err(out_of_range(trimmed, DataType::Float4)),
        false => Ok(value),
    }
}

/// 32 hexadecimal digits, perhaps in braces; between groups of four there may be a hyphen.
fn parse_uuid(text: &str) -> SqlResult<[u8; 16]> {
    let invalid = || invalid_text(text, DataType::Uuid);
    let mut rest = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let digits = rest.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(invalid)?;
        rest = rest.get(2..).unwrap_or("");
        if index % 2 == 1 && index < 15 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
    }
    if rest.is_empty() { Ok(uuid) } else { Err(invalid()) }
}

/// Bytes that should have been UTF-8.
pub fn bad_utf8() -> SqlError {
    SqlError::new(SqlState::BAD_CHARACTER, "invalid byte sequence for encoding \"UTF8\"")
}
