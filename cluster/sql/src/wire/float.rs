//! Floats as text.

use alloc::format;
use alloc::string::String;
use core::fmt::{Result, Write};

/// Appends a `double precision`.
pub(super) fn write_f64(value: f64, extra: i8, out: &mut String) -> Result {
    if write_special(value, out)? {
        return Ok(());
    }
    match u8::try_from(extra) {
        Ok(1..) => {
            let magnitude = value.abs();
            if magnitude == 0.0 || (1e-4..1e15).contains(&magnitude) {
                return write!(out, "{value}");
            }
            write_scientific(&format!("{value:e}"), out)
        }
        _ => write_digits(value, 15 + i32::from(extra), out),
    }
}

/// Appends a `real`.
pub(super) fn write_f32(value: f32, extra: i8, out: &mut String) -> Result {
    if write_special(f64::from(value), out)? {
        return Ok(());
    }
    match u8::try_from(extra) {
        Ok(1..) => {
            let magnitude = value.abs();
            if magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
                return write!(out, "{value}");
            }
            write_scientific(&format!("{value:e}"), out)
        }
        _ => write_digits(f64::from(value), 6 + i32::from(extra), out),
    }
}

/// Writes what is no number; whether it was none.
fn write_special(value: f64, out: &mut String) -> core::result::Result<bool, core::fmt::Error> {
    let word = match value {
        _ if value.is_nan() => "NaN",
        _ if value.is_infinite() && value > 0.0 => "Infinity",
        _ if value.is_infinite() => "-Infinity",
        _ => return Ok(false),
    };
    out.write_str(word)?;
    Ok(true)
}

/// The shortest digits that read back as the same float, in Postgres's clothes.
fn write_scientific(scientific: &str, out: &mut String) -> Result {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// As C's `%.*g`.
fn write_digits(value: f64, digits: i32, out: &mut String) -> Result {
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", usize::try_from(digits - 1).unwrap_or(0));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let without_zeros = |text: &str| -> String {
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').into(),
            false => text.into(),
        }
    };
    if exponent < -4 || exponent >= digits {
        return write_scientific(&format!("{}e{exponent}", without_zeros(mantissa)), out);
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    out.write_str(&without_zeros(&format!("{value:.decimals$}")))
}
