//! `bytea`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::string::span;
use super::{int, signatures, text, text_datum, unexpected};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::check_text_len;
use crate::types::Datum;
use crate::wire;
pub(super) use crate::wire::write_hex;

fn datum(bytes: Vec<u8>) -> SqlResult<Datum> {
    check_text_len(bytes.len())?;
    Ok(Datum::Bytea(bytes.into()))
}

fn bytes(datum: &Datum) -> &[u8] {
    if let Datum::Bytea(bytes) = datum { bytes } else { &[] }
}

fn count(len: usize) -> SqlResult<Datum> {
    Ok(Datum::Int4(i32::try_from(len).unwrap_or(i32::MAX)))
}

fn one(arguments: &[&Datum], op: fn(&[u8]) -> SqlResult<Datum>) -> SqlResult<Datum> {
    let [value] = arguments else { return Err(unexpected()) };
    op(bytes(value))
}

fn concat(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [left, right] = arguments else { return Err(unexpected()) };
    datum([bytes(left), bytes(right)].concat())
}

fn substr(arguments: &[&Datum]) -> SqlResult<Datum> {
    let (value, start, len) = match arguments {
        [value, start] => (value, int(start), None),
        [value, start, len] => (value, int(start), Some(int(len))),
        _ => return Err(unexpected()),
    };
    let (skip, take) = span(start, len)?;
    datum(bytes(value).iter().copied().skip(skip).take(take).collect())
}

fn overlay(arguments: &[&Datum]) -> SqlResult<Datum> {
    let (value, new, start, len) = match arguments {
        [value, new, start] => (bytes(value), bytes(new), int(start), None),
        [value, new, start, len] => (bytes(value), bytes(new), int(start), Some(int(len))),
        _ => return Err(unexpected()),
    };
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let len = len.unwrap_or_else(|| i64::try_from(new.len()).unwrap_or(0));
    let before = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let after = usize::try_from(start.saturating_add(len).saturating_sub(1)).unwrap_or(0);
    let mut out: Vec<u8> = value.iter().copied().take(before).collect();
    out.extend_from_slice(new);
    out.extend(value.iter().copied().skip(after));
    datum(out)
}

fn position(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, part] = arguments else { return Err(unexpected()) };
    let (value, part) = (bytes(value), bytes(part));
    if part.is_empty() {
        return count(1);
    }
    count(value.windows(part.len()).position(|window| window == part).map_or(0, |at| at + 1))
}

/// The place of a byte, checked.
fn place(value: &[u8], at: i64) -> SqlResult<usize> {
    usize::try_from(at).ok().filter(|at| *at < value.len()).ok_or_else(|| {
        let message = format!("index {at} out of valid range, 0..{}", value.len() as i64 - 1);
        SqlError::new(SqlState("2202E"), message)
    })
}

fn get_byte(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, at] = arguments else { return Err(unexpected()) };
    let at = place(bytes(value), int(at))?;
    Ok(bytes(value).get(at).map_or(Datum::Null, |byte| Datum::Int4((*byte).into())))
}

fn set_byte(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, at, new] = arguments else { return Err(unexpected()) };
    let at = place(bytes(value), int(at))?;
    let mut out = bytes(value).to_vec();
    if let Some(byte) = out.get_mut(at) {
        *byte = (int(new) & 0xff) as u8;
    }
    datum(out)
}

/// The place of a bit, the lowest of each byte first.
fn bit_place(value: &[u8], at: i64) -> SqlResult<(usize, u32)> {
    let bits = value.len() as i64 * 8;
    if !(0..bits).contains(&at) {
        let message = format!("index {at} out of valid range, 0..{}", bits - 1);
        return Err(SqlError::new(SqlState("2202E"), message));
    }
    Ok((usize::try_from(at / 8).unwrap_or(0), (at % 8) as u32))
}

fn get_bit(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, at] = arguments else { return Err(unexpected()) };
    let (at, bit) = bit_place(bytes(value), int(at))?;
    Ok(bytes(value).get(at).map_or(Datum::Null, |byte| Datum::Int4(i32::from(byte >> bit & 1))))
}

fn set_bit(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, at, new] = arguments else { return Err(unexpected()) };
    let (at, bit) = bit_place(bytes(value), int(at))?;
    let new = match int(new) {
        new @ (0 | 1) => new as u8,
        _ => return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1")),
    };
    let mut out = bytes(value).to_vec();
    if let Some(byte) = out.get_mut(at) {
        *byte = *byte & !(1 << bit) | new << bit;
    }
    datum(out)
}

fn trim(arguments: &[&Datum], start: bool, end: bool) -> SqlResult<Datum> {
    let [value, set] = arguments else { return Err(unexpected()) };
    let mut value = bytes(value);
    let is_in = |byte: &u8| bytes(set).contains(byte);
    while let ([first, rest @ ..], true) = (value, start) {
        if !is_in(first) {
            break;
        }
        value = rest;
    }
    while let ([rest @ .., last], true) = (value, end) {
        if !is_in(last) {
            break;
        }
        value = rest;
    }
    datum(value.to_vec())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base 64 in lines of 76.
fn to_base64(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len() / 3 * 4 + 8);
    let mut line = 0;
    for group in value.chunks(3) {
        if line == 76 {
            out.push('\n');
            line = 0;
        }
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4u32 {
            let digit = (word >> (18 - 6 * index) & 63) as usize;
            let is_there = index as usize <= group.len();
            let c = ALPHABET.get(digit).filter(|_| is_there).map_or('=', |byte| char::from(*byte));
            out.push(c);
        }
        line += 4;
    }
    out
}

fn from_base64(digits: &str) -> SqlResult<Vec<u8>> {
    let wrong = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let (mut out, mut word, mut count, mut ends) = (Vec::new(), 0u32, 0, 0);
    for c in digits.chars() {
        let digit = match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            '=' if count >= 2 => {
                ends += 1;
                0
            }
            '=' => return Err(wrong("unexpected \"=\" while decoding base64 sequence".into())),
            c => ALPHABET.iter().position(|known| char::from(*known) == c).filter(|_| ends == 0).ok_or_else(
                || wrong(format!("invalid symbol \"{c}\" found while decoding base64 sequence")),
            )?,
        };
        word = word << 6 | digit as u32;
        count += 1;
        if count == 4 {
            let bytes = word.to_be_bytes();
            out.extend_from_slice(bytes.get(1..4 - ends.min(2)).unwrap_or(&[]));
            (word, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(wrong("invalid base64 end sequence".into())
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{name}\""))
}

fn encode(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, name] = arguments else { return Err(unexpected()) };
    let value = bytes(value);
    let mut out = String::new();
    match text(name).to_ascii_lowercase().as_str() {
        "hex" => write_hex(value, &mut out),
        "base64" => out = to_base64(value),
        "escape" => {
            for byte in value {
                match byte {
                    0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
                    b'\\' => out.push_str("\\\\"),
                    byte => out.push(char::from(*byte)),
                }
            }
        }
        _ => return Err(unknown_encoding(text(name))),
    }
    text_datum(out)
}

fn decode(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, name] = arguments else { return Err(unexpected()) };
    datum(match text(name).to_ascii_lowercase().as_str() {
        "hex" => wire::parse_hex(text(value))?,
        "base64" => from_base64(text(value))?,
        "escape" => wire::parse_escaped(text(value))?,
        _ => return Err(unknown_encoding(text(name))),
    })
}

fn to_utf8(arguments: &[&Datum]) -> SqlResult<Datum> {
    let [value, _] = arguments else { return Err(unexpected()) };
    let text = core::str::from_utf8(bytes(value)).map_err(|_| wire::bad_utf8())?;
    wire::parse_text(crate::types::DataType::Text, text, &wire::Style::default())
}

signatures! { OPERATORS:
    "||" (Bytea, Bytea) Bytea, Strict, |a, _| concat(a);
}

signatures! { FUNCTIONS:
    "length" (Bytea) Int4, Strict, |a, _| one(a, |bytes| count(bytes.len()));
    "octet_length" (Bytea) Int4, Strict, |a, _| one(a, |bytes| count(bytes.len()));
    "bit_length" (Bytea) Int4, Strict, |a, _| one(a, |bytes| count(bytes.len() * 8));
    "bit_count" (Bytea) Int8, Strict, |a, _| one(a, |bytes| {
        Ok(Datum::Int8(bytes.iter().map(|byte| i64::from(byte.count_ones())).sum()))
    });
    "substr" (Bytea, Int4) Bytea, Strict, |a, _| substr(a);
    "substr" (Bytea, Int4, Int4) Bytea, Strict, |a, _| substr(a);
    "substring" (Bytea, Int4) Bytea, Strict, |a, _| substr(a);
    "substring" (Bytea, Int4, Int4) Bytea, Strict, |a, _| substr(a);
    "overlay" (Bytea, Bytea, Int4) Bytea, Strict, |a, _| overlay(a);
    "overlay" (Bytea, Bytea, Int4, Int4) Bytea, Strict, |a, _| overlay(a);
    "position" (Bytea, Bytea) Int4, Strict, |a, _| position(a);
    "get_byte" (Bytea, Int4) Int4, Strict, |a, _| get_byte(a);
    "set_byte" (Bytea, Int4, Int4) Bytea, Strict, |a, _| set_byte(a);
    "get_bit" (Bytea, Int8) Int4, Strict, |a, _| get_bit(a);
    "set_bit" (Bytea, Int8, Int4) Bytea, Strict, |a, _| set_bit(a);
    "btrim" (Bytea, Bytea) Bytea, Strict, |a, _| trim(a, true, true);
    "ltrim" (Bytea, Bytea) Bytea, Strict, |a, _| trim(a, true, false);
    "rtrim" (Bytea, Bytea) Bytea, Strict, |a, _| trim(a, false, true);
    "encode" (Bytea, Text) Text, Strict, |a, _| encode(a);
    "decode" (Text, Text) Bytea, Strict, |a, _| decode(a);
    "convert_to" (Text, Name) Bytea, Strict, |a, _| datum(a.first().map_or("", |value| text(value)).into());
    "convert_from" (Bytea, Name) Text, Strict, |a, _| to_utf8(a);
    "sha224" (Bytea) Bytea, Strict, |a, _| one(a, |bytes| datum(Sha224::digest(bytes).to_vec()));
    "sha256" (Bytea) Bytea, Strict, |a, _| one(a, |bytes| datum(Sha256::digest(bytes).to_vec()));
    "sha384" (Bytea) Bytea, Strict, |a, _| one(a, |bytes| datum(Sha384::digest(bytes).to_vec()));
    "sha512" (Bytea) Bytea, Strict, |a, _| one(a, |bytes| datum(Sha512::digest(bytes).to_vec()));
}
