//! How long things may take: settings that are times.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use crate::error::{SqlError, SqlResult, SqlState};

/// How long a session's statements and pauses may take; forever if nothing is said. Whoever drives the session has the
/// clock, and sees to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `statement_timeout`
    pub statement: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub idle_in_transaction: Option<Duration>,
    /// `idle_session_timeout`
    pub idle: Option<Duration>,
}

/// Units, from the longest, and their milliseconds.
const UNITS: [(&str, f64); 6] =
    [("d", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1000.0), ("ms", 1.0), ("us", 0.001)];

/// The milliseconds that a value of the setting `title` says: a number, perhaps of another unit.
pub(super) fn parse_millis(title: &str, value: &str) -> SqlResult<i32> {
    let invalid = || {
        let message = format!("invalid value for parameter \"{title}\": \"{value}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    let (number, rest) = parse_number(value.trim_start()).ok_or_else(invalid)?;
    let factor = match rest.trim() {
        "" => 1.0,
        unit => {
            UNITS.iter().find(|(known, _)| *known == unit).map(|(_, factor)| *factor).ok_or_else(|| {
                invalid().hint(
                    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                )
            })?
        }
    };
    let millis = libm::rint(number * factor);
    if millis < f64::from(i32::MIN) || millis > f64::from(i32::MAX) {
        return Err(invalid().hint("Value exceeds integer range."));
    }
    let millis = millis as i32;
    if millis < 0 {
        let message =
            format!("{millis} ms is outside the valid range for parameter \"{title}\" (0 .. {})", i32::MAX);
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(millis)
}

/// The number at the beginning, and what follows it: decimal, or as C writes whole numbers in other bases.
fn parse_number(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let sign_len = text.len() - unsigned.len();
    if sign_len > 1 {
        return None;
    }
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits =
        |text: &str, radix| text.bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    let in_base = |text: &'_ str, radix| i64::from_str_radix(text, radix).ok().map(|value| value as f64);
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let (number, rest) = hex.split_at(digits(hex, 16));
        return in_base(number, 16).map(|value| (sign * value, rest));
    }
    let whole = digits(unsigned, 10);
    let mut len = whole;
    let after = |len: usize| unsigned.get(len..).unwrap_or_default();
    if after(len).starts_with('.') {
        len += 1 + digits(after(len + 1), 10);
    }
    if after(len).starts_with(['e', 'E']) {
        let signs = usize::from(after(len + 1).starts_with(['+', '-']));
        let exponent = digits(after(len + 1 + signs), 10);
        len += if exponent > 0 { 1 + signs + exponent } else { 0 };
    }
    let (number, rest) = unsigned.split_at_checked(len)?;
    let octal = len == whole && number.len() > 1 && number.starts_with('0');
    let value = if octal { in_base(number, 8) } else { number.parse().ok() };
    value.map(|value| (sign * value, rest))
}

/// Milliseconds in the longest unit that they are a whole number of.
pub(super) fn show_millis(millis: i32) -> String {
    let whole = UNITS.iter().map(|(unit, factor)| (unit, *factor as i32));
    match whole.take(5).find(|(_, factor)| millis % factor == 0) {
        Some((unit, factor)) if millis != 0 => format!("{}{unit}", millis / factor),
        _ => "0".into(),
    }
}

/// The time that a setting's value says; none is forever.
pub(super) fn timeout(value: Option<&str>) -> Option<Duration> {
    let millis = u64::try_from(parse_millis("", value?).ok()?).ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}
