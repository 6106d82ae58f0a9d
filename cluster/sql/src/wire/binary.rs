//! The binary format.
//!
//! ```text
//! array:  dimensions, i32: 0 or 1 | has NULLs, i32 | element's object id, u32 | (number, i32 | first index, i32)
//!         | for each element: length, i32, -1 for NULL | its bytes
//! jsonb:  01 | text
//! ```

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use cluster_calendar::{Date, Interval, Time, Timestamp, Timestamptz};
use cluster_numeric::Numeric;

use super::Style;
use super::input::{bad_utf8, parse_owned_text};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::{Array, DataType, Datum, Scalar, parse_json};

/// Appends the binary form of `datum`; nothing for NULL.
pub fn write_binary(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int2(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Int4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Int8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Oid(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Float4(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
        Datum::Numeric(value) => value.to_wire(out),
        Datum::Text(text) | Datum::Bpchar(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Bytea(bytes) => out.extend_from_slice(bytes),
        Datum::Date(value) => out.extend_from_slice(&value.to_wire()),
        Datum::Time(value) => out.extend_from_slice(&value.to_wire()),
        Datum::Timestamp(value) => out.extend_from_slice(&value.to_wire()),
        Datum::Timestamptz(value) => out.extend_from_slice(&value.to_wire()),
        Datum::Interval(value) => out.extend_from_slice(&value.to_wire()),
        Datum::Uuid(bytes) => out.extend_from_slice(bytes),
        Datum::Jsonb(json) => {
            out.push(1);
            out.extend_from_slice(json.to_string().as_bytes());
        }
        Datum::Array(array) => write_array(array, out),
    }
}

fn write_array(array: &Array, out: &mut Vec<u8>) {
    let len = i32::try_from(array.items.len()).unwrap_or(i32::MAX);
    let has_nulls = array.items.iter().any(Datum::is_null);
    out.extend_from_slice(&i32::from(len > 0).to_be_bytes());
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&array.element.oid().to_be_bytes());
    if len > 0 {
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    for item in &array.items {
        if item.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        write_binary(item, out);
        let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
}

fn invalid() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY, "incorrect binary data format in bind parameter")
}

/// The value of type `data_type` whose binary form is `bytes`.
pub fn parse_binary(data_type: DataType, bytes: &[u8]) -> SqlResult<Datum> {
    fn fixed<const N: usize>(bytes: &[u8]) -> SqlResult<[u8; N]> {
        bytes.try_into().map_err(|_| match bytes.len() < N {
            true => SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"),
            false => invalid(),
        })
    }
    Ok(match data_type.base() {
        DataType::Bool => Datum::Bool(fixed::<1>(bytes)? != [0]),
        DataType::Int2 => Datum::Int2(i16::from_be_bytes(fixed(bytes)?)),
        DataType::Int4 => Datum::Int4(i32::from_be_bytes(fixed(bytes)?)),
        DataType::Int8 => Datum::Int8(i64::from_be_bytes(fixed(bytes)?)),
        DataType::Oid => Datum::Oid(u32::from_be_bytes(fixed(bytes)?)),
        DataType::Float4 => Datum::Float4(f32::from_bits(u32::from_be_bytes(fixed(bytes)?))),
        DataType::Float8 => Datum::Float8(f64::from_bits(u64::from_be_bytes(fixed(bytes)?))),
        DataType::Numeric => Datum::numeric(Numeric::from_wire(bytes)?),
        DataType::Text | DataType::Varchar | DataType::Bpchar | DataType::Name | DataType::Json => {
            let text = core::str::from_utf8(bytes).map_err(|_| bad_utf8())?;
            parse_owned_text(data_type, text.into(), &Style::default())?
        }
        DataType::Bytea => Datum::Bytea(bytes.into()),
        DataType::Date => Datum::Date(Date::from_wire(bytes)?),
        DataType::Time => Datum::Time(Time::from_wire(bytes)?),
        DataType::Timestamp => Datum::Timestamp(Timestamp::from_wire(bytes)?),
        DataType::Timestamptz => Datum::Timestamptz(Timestamptz::from_wire(bytes)?),
        DataType::Interval => Datum::Interval(Interval::from_wire(bytes)?),
        DataType::Uuid => Datum::Uuid(fixed(bytes)?),
        DataType::Jsonb => match bytes {
            [1, text @ ..] => Datum::json(parse_json(core::str::from_utf8(text).map_err(|_| bad_utf8())?)?),
            _ => return Err(SqlError::new(SqlState("XX000"), "unsupported jsonb version number")),
        },
        DataType::Array(element) => parse_array(element, bytes)?,
        _ => return Err(SqlError::not_supported("a value of this type")),
    })
}

/// The number at the beginning, which is taken.
fn number(rest: &mut &[u8]) -> SqlResult<i32> {
    let (first, after) = rest.split_first_chunk().ok_or_else(invalid)?;
    *rest = after;
    Ok(i32::from_be_bytes(*first))
}

fn parse_array(element: Scalar, bytes: &[u8]) -> SqlResult<Datum> {
    let mut rest = bytes;
    let dimensions = number(&mut rest)?;
    number(&mut rest)?;
    let given = DataType::of_oid(number(&mut rest)?.cast_unsigned());
    let is_text = |data_type: DataType| data_type.is_text() || data_type == DataType::Json;
    let wanted = element.data_type();
    if !given.is_some_and(|given| given == wanted || (is_text(given) && is_text(wanted))) {
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "wrong element type"));
    }
    let len = match dimensions {
        0 => 0,
        1 => {
            let len = number(&mut rest)?;
            if number(&mut rest)? != 1 {
                return Err(SqlError::not_supported("an array whose elements are not counted from 1"));
            }
            len
        }
        _ => return Err(SqlError::not_supported("an array of several dimensions")),
    };
    let mut items = Vec::new();
    for _ in 0..len {
        let len = number(&mut rest)?;
        if len == -1 {
            items.push(Datum::Null);
            continue;
        }
        let len = usize::try_from(len).map_err(|_| invalid())?;
        let (item, after) = rest.split_at_checked(len).ok_or_else(invalid)?;
        rest = after;
        items.push(parse_binary(wanted, item)?);
    }
    if !rest.is_empty() {
        return Err(invalid());
    }
    Ok(Datum::Array(Box::new(Array::new(element, items))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_survives_the_round_trip() {
        let texts = [
            (DataType::Bool, "t"),
            (DataType::Int2, "-5"),
            (DataType::Int4, "-5"),
            (DataType::Int8, "1099511627776"),
            (DataType::Float4, "2.5"),
            (DataType::Float8, "2.5"),
            (DataType::Numeric, "-12.50"),
            (DataType::Text, "æ"),
            (DataType::Bytea, "\\x00ff"),
            (DataType::Date, "2024-02-29"),
            (DataType::Time, "24:00:00"),
            (DataType::Timestamp, "2024-02-29 01:02:03.5"),
            (DataType::Timestamptz, "2024-02-29 01:02:03.5+00"),
            (DataType::Interval, "1 year 2 mons 3 days 04:05:06"),
            (DataType::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (DataType::Jsonb, "{\"a\": [1, 2.50, null]}"),
            (DataType::Array(Scalar::Text), "{a,NULL,\"b c\"}"),
            (DataType::Array(Scalar::Numeric), "{}"),
        ];
        let style = Style::default();
        for (data_type, text) in texts {
            let datum = super::super::parse_text(data_type, text, &style).expect(text);
            let mut bytes = Vec::new();
            write_binary(&datum, &mut bytes);
            assert_eq!(parse_binary(data_type, &bytes), Ok(datum.clone()), "{text}");
            assert_eq!(super::super::text_of(&datum, &style), text);
        }
        assert!(parse_binary(DataType::Float8, &[1]).is_err());
        assert!(parse_binary(DataType::Array(Scalar::Int4), &[0, 0, 0, 1]).is_err());
    }
}
