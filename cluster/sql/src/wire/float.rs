//! Floats as text.

use alloc::format;
use alloc::string::String;
use core::fmt::{Result, Write};

/// Appends a `double precision`.
pub(super) fn write_f64(value: f64, extra: i8, out: &mut String) -> Result {
    if write_special(value, out)? {
        return Ok(());
    }
    let reads_back = |text: &str| text.parse::<f64>().is_ok_and(|read| read == value);
    match u8::try_from(extra) {
        Ok(1..) => {
            let magnitude = value.abs();
            if magnitude == 0.0 || (1e-4..1e15).contains(&magnitude) {
                let exact = |decimals| format!("{value:.decimals$}");
                return out.write_str(&closest(format!("{value}"), 15, exact, reads_back));
            }
            let exact = |decimals| format!("{value:.decimals$e}");
            let text = closest(format!("{value:e}"), 15, exact, reads_back);
            // Only there can what lies between two floats be short enough.
            let may_be_bound = (4e15..2e40).contains(&magnitude);
            write_scientific(&if may_be_bound { within(text, exact, reads_back) } else { text }, out)
        }
        _ => write_digits(value, 15 + i32::from(extra), out),
    }
}

/// Appends a `real`.
pub(super) fn write_f32(value: f32, extra: i8, out: &mut String) -> Result {
    if write_special(f64::from(value), out)? {
        return Ok(());
    }
    let reads_back = |text: &str| text.parse::<f32>().is_ok_and(|read| read == value);
    match u8::try_from(extra) {
        Ok(1..) => {
            let magnitude = value.abs();
            if magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
                let exact = |decimals| format!("{value:.decimals$}");
                return out.write_str(&closest(format!("{value}"), 6, exact, reads_back));
            }
            let exact = |decimals| format!("{value:.decimals$e}");
            let text = closest(format!("{value:e}"), 6, exact, reads_back);
            let may_be_bound = (4e6..1e17).contains(&magnitude);
            write_scientific(&if may_be_bound { within(text, exact, reads_back) } else { text }, out)
        }
        _ => write_digits(f64::from(value), 6 + i32::from(extra), out),
    }
}

/// How many digits stand behind the point of a number, which may have an exponent.
fn decimals(text: &str) -> usize {
    let mantissa = text.split('e').next().unwrap_or(text);
    mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// Of two numbers of as few digits as `shortest` that are as close to the value, Postgres takes the even one, as `exact` does.
/// Only with so many `digits` can there be two. At a power of two the closest one may not read back.
fn closest(
    shortest: String,
    digits: usize,
    exact: impl Fn(usize) -> String,
    reads_back: impl Fn(&str) -> bool,
) -> String {
    if shortest.len() < digits {
        return shortest;
    }
    let even = exact(decimals(&shortest));
    if even == shortest || !reads_back(&even) { shortest } else { even }
}

/// `shortest`, or what has more digits if that lies right between two floats: Postgres leaves it to nobody to choose.
fn within(shortest: String, exact: impl Fn(usize) -> String, reads_back: impl Fn(&str) -> bool) -> String {
    if !is_bound(&shortest, &reads_back) {
        return shortest;
    }
    let first = decimals(&shortest) + 1;
    let is_within = |text: &String| {
        let mantissa = text.split('e').next().unwrap_or(text);
        !mantissa.ends_with('0') && reads_back(text) && !is_bound(text, &reads_back)
    };
    (first..=17).map(exact).find(is_within).unwrap_or(shortest)
}

/// Whether what is a little larger than `scientific`, or a little less, is another float.
fn is_bound(scientific: &str, reads_back: impl Fn(&str) -> bool) -> bool {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let point = if mantissa.contains('.') { "" } else { "." };
    let larger = format!("{mantissa}{point}{:030}1e{exponent}", 0);
    // The last digit is no 0.
    let mut less = String::from(mantissa);
    let last = less.pop().and_then(|digit| digit.to_digit(10)).unwrap_or(1);
    let less = format!("{less}{}{point}{:9<30}e{exponent}", last.saturating_sub(1), 9);
    !reads_back(&larger) || !reads_back(&less)
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
