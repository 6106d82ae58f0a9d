//! Text to values and back.
//!
//! ```text
//! space* ( [+-] digits [. digits*] [e exponent] | [+-] . digits [e exponent]
//!        | NaN | [+-] inf | [+-] infinity ) space*           letters in any case
//! exponent:  space* [+-] digits
//! ```
//! Values are printed with all their digits and never with an exponent.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::Numeric;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::integer::Integer;
use crate::limits::{EXPONENT_MAX, SCALE_MAX};
use crate::value::Kind;

/// An exponent from this one on, of either sign, is refused before the rest of the text is looked at.
const TEXT_EXPONENT_MAX: u64 = i32::MAX as u64 / 2;

/// Spaces as C has them.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn trim_start(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
    text.split_at(spaces).1
}

/// The digits that `text` starts with, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// `text` after its sign, and whether that is a minus.
fn sign(text: &[u8]) -> (&[u8], bool) {
    match text {
        [b'-', rest @ ..] => (rest, true),
        [b'+', rest @ ..] => (rest, false),
        _ => (text, false),
    }
}

/// What follows `word` in `text`.
fn after<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

fn special(text: &[u8]) -> Option<(Numeric, &[u8])> {
    if let Some(rest) = after(text, "nan") {
        return Some((Numeric::NAN, rest));
    }
    let (word, negative) = sign(text);
    let rest = after(word, "infinity").or_else(|| after(word, "inf"))?;
    Some((if negative { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY }, rest))
}

/// The exponent after an `e`, and the rest.
fn exponent(text: &[u8]) -> Option<(Result<i64>, &[u8])> {
    let (text, negative) = sign(trim_start(text));
    let (figures, rest) = digits(text);
    if figures.is_empty() {
        return None;
    }
    let add = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    let value = figures.iter().fold(0, add);
    if value >= TEXT_EXPONENT_MAX {
        return Some((Err(Error::Overflow), rest));
    }
    let value = value as i64;
    Some((Ok(if negative { -value } else { value }), rest))
}

/// A finite number as it is written: 0 and its scale, or digits of which the first is not 0.
struct Written {
    negative: bool,
    digits: Vec<u8>,
    scale: i64,
}

impl Written {
    /// The number that `text` starts with, and the rest; none if there is none.
    fn parse(text: &[u8]) -> Option<(Result<Written>, &[u8])> {
        let (text, negative) = sign(text);
        let (whole, mut rest) = digits(text);
        let mut fraction: &[u8] = &[];
        if let [b'.', behind @ ..] = rest {
            (fraction, rest) = digits(behind);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut scale = fraction.len() as i64;
        if let [b'e' | b'E', behind @ ..] = rest {
            let (exponent, behind) = exponent(behind)?;
            rest = behind;
            match exponent {
                Ok(exponent) => scale -= exponent,
                Err(error) => return Some((Err(error), rest)),
            }
        }
        let digits = whole.iter().chain(fraction).skip_while(|digit| **digit == b'0').copied();
        Some((Ok(Written { negative, digits: digits.collect(), scale }), rest))
    }

    /// The value. What is out of range is found before anything of its size is made.
    fn decimal(self) -> Result<Decimal> {
        let scale = self.scale.max(0);
        if scale > i64::from(SCALE_MAX) {
            return Err(Error::Overflow);
        }
        if self.digits.is_empty() {
            return Ok(Decimal::zero(scale as u32));
        }
        if self.digits.len() as i64 - 1 - self.scale > EXPONENT_MAX {
            return Err(Error::Overflow);
        }
        let coefficient = Integer::from_digits(&self.digits).mul_pow10((scale - self.scale) as u32);
        let coefficient = if self.negative { coefficient.neg() } else { coefficient };
        Ok(Decimal { coefficient, scale: scale as u32 })
    }
}

impl FromStr for Numeric {
    type Err = Error;

    /// The value that `text` stands for.
    fn from_str(text: &str) -> Result<Numeric> {
        let syntax = || Error::Syntax(text.into());
        let start = trim_start(text.as_bytes());
        if let Some((value, rest)) = special(start) {
            return if trim_start(rest).is_empty() { Ok(value) } else { Err(syntax()) };
        }
        let (written, rest) = Written::parse(start).ok_or_else(syntax)?;
        let written = written?;
        if !trim_start(rest).is_empty() {
            return Err(syntax());
        }
        Numeric::checked(written.decimal()?)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.coefficient.to_digits();
        if self.sign().is_lt() {
            f.write_str("-")?;
        }
        let scale = self.scale as usize;
        if scale == 0 {
            return f.write_str(&digits);
        }
        match digits.split_at_checked(digits.len().wrapping_sub(scale)) {
            Some((whole, fraction)) if !whole.is_empty() => write!(f, "{whole}.{fraction}"),
            _ => {
                let mut zeros = String::from("0.");
                zeros.extend(core::iter::repeat_n('0', scale - digits.len()));
                f.write_str(&zeros)?;
                f.write_str(&digits)
            }
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::NotANumber => f.write_str("NaN"),
            Kind::Infinite(sign) if sign.is_lt() => f.write_str("-Infinity"),
            Kind::Infinite(_) => f.write_str("Infinity"),
            Kind::Finite(decimal) => decimal.fmt(f),
        }
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
