//! `bytea` as text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::error::{SqlError, SqlResult, SqlState};

/// Appends the hexadecimal form, or the one with escapes.
pub(crate) fn write_bytea(bytes: &[u8], escape: bool, out: &mut String) {
    if !escape {
        out.reserve(2 + 2 * bytes.len());
        out.push_str("\\x");
        return write_hex(bytes, out);
    }
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
}

/// Appends two digits for each byte.
pub(crate) fn write_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

/// The bytes that `text` says, in either form.
pub(crate) fn parse_bytea(text: &str) -> SqlResult<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex(digits),
        None => parse_escaped(text),
    }
}

/// The bytes of hexadecimal digits, between whose pairs there may be blanks.
pub(crate) fn parse_hex(digits: &str) -> SqlResult<Vec<u8>> {
    let wrong = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::with_capacity(digits.len() / 2);
    let mut chars = digits.chars();
    let digit = |c: char| c.to_digit(16).ok_or_else(|| wrong(format!("invalid hexadecimal digit: \"{c}\"")));
    while let Some(high) = chars.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(high)?;
        let low =
            chars.next().ok_or_else(|| wrong("invalid hexadecimal data: odd number of digits".into()))?;
        out.push((high * 16 + digit(low)?) as u8);
    }
    Ok(out)
}

/// The bytes of a text with octal escapes.
pub(crate) fn parse_escaped(text: &str) -> SqlResult<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                after
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', _) => {
                return Err(SqlError::new(SqlState::INVALID_TEXT, "invalid input syntax for type bytea"));
            }
            (byte, after) => {
                out.push(*byte);
                after
            }
        };
    }
    Ok(out)
}
