//! Values as clients write and read them: Postgres's text and binary formats.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::timestamp::{self, POSTGRES_EPOCH_MICROS, TimestampError};
use crate::types::{DataType, Datum};

/// Appends the text of `datum` as Postgres prints it; nothing for NULL.
pub fn write_text(datum: &Datum, out: &mut String) {
    // Writing to a string does not fail.
    let _ = match datum {
        Datum::Null | Datum::Bytea(_) => Ok(()),
        Datum::Bool(value) => out.write_str(if *value { "t" } else { "f" }),
        Datum::Int4(value) => write!(out, "{value}"),
        Datum::Int8(value) => write!(out, "{value}"),
        Datum::Float8(value) => write_float(*value, out),
        Datum::Text(text) => out.write_str(text),
        Datum::Timestamp(micros) => {
            timestamp::write(*micros, out);
            Ok(())
        }
    };
}

/// The shortest digits that read back as the same float, in Postgres's clothes.
fn write_float(value: f64, out: &mut String) -> core::fmt::Result {
    if value.is_nan() {
        return out.write_str("NaN");
    }
    if value.is_infinite() {
        return out.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e15).contains(&magnitude) {
        return write!(out, "{value}");
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// The value of type `data_type` that `text` says.
pub fn parse_text(data_type: DataType, text: &str) -> SqlResult<Datum> {
    match data_type {
        DataType::Bool => parse_bool(text).map(Datum::Bool),
        DataType::Int4 => match parse_integer(text, data_type)?.try_into() {
            Ok(value) => Ok(Datum::Int4(value)),
            Err(_) => Err(out_of_range(text, data_type)),
        },
        DataType::Int8 => parse_integer(text, data_type).map(Datum::Int8),
        DataType::Float8 => parse_float(text).map(Datum::Float8),
        DataType::Text => {
            refuse_nul(text)?;
            Ok(Datum::Text(text.into()))
        }
        DataType::Timestamp => parse_timestamp(text, false).map(Datum::Timestamp),
    }
}

/// As [`parse_text`], of a text that need not be copied.
pub fn parse_owned_text(data_type: DataType, text: String) -> SqlResult<Datum> {
    if data_type != DataType::Text {
        return parse_text(data_type, &text);
    }
    refuse_nul(&text)?;
    Ok(Datum::Text(text))
}

/// As [`parse_text`] for timestamps, applying a zone if `apply_zone`.
pub fn parse_timestamp(text: &str, apply_zone: bool) -> SqlResult<i64> {
    timestamp::parse(text, apply_zone).map_err(|error| match error {
        TimestampError::Syntax => {
            SqlError::new(SqlState("22007"), format!("invalid input syntax for type timestamp: \"{text}\""))
        }
        TimestampError::Range => SqlError::new(
            SqlState::DATETIME_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        ),
    })
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
        DataType::Float8 => format!("\"{text}\" is out of range for type double precision"),
        _ => format!("value \"{text}\" is out of range for type {}", data_type.name()),
    };
    SqlError::new(SqlState::OUT_OF_RANGE, message)
}

fn parse_bool(text: &str) -> SqlResult<bool> {
    let lower = text.trim().to_ascii_lowercase();
    let is_prefix = |word: &str, len_min: usize| lower.len() >= len_min && word.starts_with(&lower);
    match () {
        _ if is_prefix("true", 1) || is_prefix("yes", 1) || lower == "on" || lower == "1" => Ok(true),
        _ if is_prefix("false", 1) || is_prefix("no", 1) || is_prefix("off", 2) || lower == "0" => Ok(false),
        _ => Err(invalid_text(text, DataType::Bool)),
    }
}

fn parse_integer(text: &str, data_type: DataType) -> SqlResult<i64> {
    let digits = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_text(text, data_type));
    }
    digits.parse().map_err(|_| out_of_range(text, data_type))
}

fn parse_float(text: &str) -> SqlResult<f64> {
    let trimmed = text.trim();
    let value: f64 = trimmed.parse().map_err(|_| invalid_text(text, DataType::Float8))?;
    let says_infinity = trimmed.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    let says_zero = trimmed
        .bytes()
        .take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'))
        .all(|byte| !(b'1'..=b'9').contains(&byte));
    if (value.is_infinite() && !says_infinity) || (value == 0.0 && !says_zero) {
        return Err(out_of_range(text, DataType::Float8));
    }
    Ok(value)
}

/// Appends the binary form of `datum`; nothing for NULL.
pub fn write_binary(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::Null | Datum::Bytea(_) => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Int8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
        Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Timestamp(micros) => {
            let since_2000 = match *micros {
                timestamp::INFINITY | timestamp::MINUS_INFINITY => *micros,
                micros => micros.saturating_sub(POSTGRES_EPOCH_MICROS),
            };
            out.extend_from_slice(&since_2000.to_be_bytes());
        }
    }
}

/// The value of type `data_type` whose binary form is `bytes`. Integers and floats of half the width are
/// taken too, as clients send `int2` and `float4` for them.
pub fn parse_binary(data_type: DataType, bytes: &[u8]) -> SqlResult<Datum> {
    let invalid =
        || SqlError::new(SqlState::INVALID_BINARY, "incorrect binary data format in bind parameter");
    let integer = || match *bytes {
        [a, b] => Ok(i64::from(i16::from_be_bytes([a, b]))),
        [a, b, c, d] => Ok(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(invalid()),
    };
    match (data_type, bytes) {
        (DataType::Bool, [value]) => Ok(Datum::Bool(*value != 0)),
        (DataType::Bool, _) => Err(invalid()),
        (DataType::Int4, _) => {
            let value = integer()?;
            let value = value.try_into().map_err(|_| out_of_range(&value.to_string(), data_type))?;
            Ok(Datum::Int4(value))
        }
        (DataType::Int8, _) => integer().map(Datum::Int8),
        (DataType::Float8, &[a, b, c, d]) => {
            Ok(Datum::Float8(f64::from(f32::from_bits(u32::from_be_bytes([a, b, c, d])))))
        }
        (DataType::Float8, _) => {
            let bytes = bytes.try_into().map_err(|_| invalid())?;
            Ok(Datum::Float8(f64::from_bits(u64::from_be_bytes(bytes))))
        }
        (DataType::Text, _) => {
            let text = core::str::from_utf8(bytes).map_err(|_| bad_utf8())?;
            refuse_nul(text)?;
            Ok(Datum::Text(text.into()))
        }
        (DataType::Timestamp, _) => {
            let since_2000 = i64::from_be_bytes(bytes.try_into().map_err(|_| invalid())?);
            Ok(Datum::Timestamp(match since_2000 {
                timestamp::INFINITY | timestamp::MINUS_INFINITY => since_2000,
                _ => since_2000
                    .checked_add(POSTGRES_EPOCH_MICROS)
                    .ok_or_else(|| SqlError::new(SqlState::DATETIME_OVERFLOW, "timestamp out of range"))?,
            }))
        }
    }
}

/// Bytes that should have been UTF-8.
pub fn bad_utf8() -> SqlError {
    SqlError::new(SqlState::BAD_CHARACTER, "invalid byte sequence for encoding \"UTF8\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(datum: Datum) -> String {
        let mut out = String::new();
        write_text(&datum, &mut out);
        out
    }

    #[test]
    fn floats_are_printed_as_postgres_prints_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (31.95376472, "31.95376472"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(Datum::Float8(value)), expected);
        }
    }

    #[test]
    fn bad_input_names_type_and_text() {
        let error = parse_text(DataType::Int4, "12x").expect_err("no integer");
        assert_eq!(error.message, "invalid input syntax for type integer: \"12x\"");
        assert_eq!(
            parse_text(DataType::Int4, "3000000000").map_err(|e| e.state),
            Err(SqlState::OUT_OF_RANGE)
        );
        assert_eq!(parse_text(DataType::Float8, "1e999").map_err(|e| e.state), Err(SqlState::OUT_OF_RANGE));
        assert_eq!(parse_text(DataType::Float8, "0.0e999"), Ok(Datum::Float8(0.0)));
        assert_eq!(parse_text(DataType::Bool, " oF "), Ok(Datum::Bool(false)));
        assert!(parse_text(DataType::Bool, "o").is_err());
    }

    #[test]
    fn binary_survives_the_round_trip() {
        for datum in [
            Datum::Bool(true),
            Datum::Int4(-5),
            Datum::Int8(1 << 40),
            Datum::Float8(2.5),
            Datum::Text("æ".into()),
            Datum::Timestamp(17),
        ] {
            let mut bytes = Vec::new();
            write_binary(&datum, &mut bytes);
            let data_type = datum.data_type().expect("not null");
            assert_eq!(parse_binary(data_type, &bytes), Ok(datum));
        }
        assert_eq!(parse_binary(DataType::Int4, &[0xff, 0xfe]), Ok(Datum::Int4(-2)));
        assert!(parse_binary(DataType::Float8, &[1]).is_err());
    }
}
