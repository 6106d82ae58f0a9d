//! Rounding of floating point numbers, which `core` does not have.

use alloc::format;
use alloc::string::String;

/// From here on, an `f64` has no fraction.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// The nearest integer, of two the even one.
pub(crate) fn round_even(x: f64) -> f64 {
    // Adding pushes the fraction out of the mantissa, by the rounding of the machine. What is not a number passes.
    if x.abs() < WHOLE {
        (if x < 0.0 { (x - WHOLE) + WHOLE } else { (x + WHOLE) - WHOLE }).copysign_of(x)
    } else {
        x
    }
}

/// Towards zero.
pub(crate) fn truncate(x: f64) -> f64 {
    if x.abs() < WHOLE { (x as i64) as f64 } else { x }
}

/// Whether it fits an `i64`.
pub(crate) fn fits_i64(x: f64) -> bool {
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x)
}

/// As C's `printf` writes it by `%g`: six digits that matter, with an exponent if they do not suffice.
pub(crate) fn general(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let scientific = format!("{x:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let digits =
            if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let fixed = format!("{x:.*}", (5 - exponent) as usize);
    let fixed = if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.') } else { &fixed };
    fixed.into()
}

trait Sign {
    fn copysign_of(self, sign: f64) -> f64;
}

impl Sign for f64 {
    /// Keeps the minus of -0.
    fn copysign_of(self, sign: f64) -> f64 {
        if sign.is_sign_negative() { -self.abs() } else { self.abs() }
    }
}
