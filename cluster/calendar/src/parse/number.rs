//! Numbers inside of tokens.

use super::Fault;
use crate::float::round_even;

/// A signed integer at the beginning of `text`, and the rest; 0 if there is none. `None` if it does not fit an `i64`.
pub(super) fn leading_i64(text: &str) -> (Option<i64>, &str) {
    let digits_at = usize::from(text.starts_with(['+', '-']));
    let digits = text[digits_at..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (Some(0), text);
    }
    let (number, rest) = text.split_at(digits_at + digits);
    (number.parse().ok(), rest)
}

/// As `leading_i64`, of those that fit an `i32`; else it is `fault`.
pub(super) fn leading_i32(text: &str, fault: Fault) -> Result<(i64, &str), Fault> {
    match leading_i64(text) {
        (Some(number), rest) if i32::try_from(number).is_ok() => Ok((number, rest)),
        _ => Err(fault),
    }
}

/// A point and digits, or a point alone, as a number from 0 to 1.
pub(super) fn fraction(text: &str) -> Result<f64, Fault> {
    let digits = text.strip_prefix('.').ok_or(Fault::Syntax)?;
    if digits.is_empty() {
        return Ok(0.0);
    }
    if !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    text.parse().map_err(|_| Fault::Syntax)
}

/// As `fraction`, of a second in microseconds.
pub(super) fn fraction_micros(text: &str) -> Result<i64, Fault> {
    Ok(round_even(fraction(text)? * 1e6) as i64)
}
