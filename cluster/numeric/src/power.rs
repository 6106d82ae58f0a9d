//! Powers.
//!
//! To an integer of 32 bits by squaring, exact as long as the digits of the result are; else by way of the
//! logarithm, for which |exponent * ln(base)| is below some 6,000.

use core::cmp::Ordering;

use crate::Numeric;
use crate::arithmetic::result_scale;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::functions::{exp_to_scale, ln_exponent};
use crate::integer::Integer;
use crate::limits::{
    EXP_ARGUMENT_MAX, GUARD_DIGITS, INTEGER_DIGITS_MAX, RESULT_SCALE_MAX, SCALE_MAX, SIGNIFICANT_DIGITS_MIN,
};
use crate::series;
use crate::value::Kind::{Finite, Infinite, NotANumber};

/// A little beyond the largest argument of the exponential, which has the last word.
const LOGARITHM_MAX: f64 = EXP_ARGUMENT_MAX * 3.01 / 3.0;

/// An integer cut to its first bits: `mantissa * 2^exponent`, rounded towards zero.
struct Float {
    mantissa: Integer,
    exponent: i64,
}

impl Float {
    fn new(mantissa: Integer, exponent: i64, bits: u64) -> Float {
        let excess = mantissa.bits().saturating_sub(bits);
        Float { mantissa: mantissa.shr(excess), exponent: exponent + excess as i64 }
    }

    /// `base`^`exponent` in `bits` bits, exact if it fits. `base` is positive.
    fn power(base: &Integer, mut exponent: u64, bits: u64) -> Float {
        let mut square = Float::new(base.clone(), 0, bits);
        let mut power = Float::new(Integer::ONE, 0, bits);
        loop {
            if exponent & 1 == 1 {
                power = power.mul(&square, bits);
            }
            exponent >>= 1;
            if exponent == 0 {
                return power;
            }
            square = square.mul(&square, bits);
        }
    }

    fn mul(&self, other: &Float, bits: u64) -> Float {
        Float::new(self.mantissa.mul(&other.mantissa), self.exponent + other.exponent, bits)
    }

    /// The quotient, rounded to an integer. It is not astronomic: the caller has estimated it.
    fn div_round(&self, divisor: &Float) -> Integer {
        let shift = self.exponent - divisor.exponent;
        let up = |value: &Float, shift: i64| value.mantissa.shl(u64::try_from(shift).unwrap_or(0));
        up(self, shift).div_round(&up(divisor, -shift))
    }
}

/// log10 of the absolute value of `x`, which is not zero.
fn log10(x: &Decimal) -> f64 {
    let exponent = x.exponent();
    let leading = Decimal { coefficient: x.leading(exponent, 17).abs(), scale: 16 };
    libm::log10(leading.to_f64_lossy()) + exponent as f64
}

/// `base`^`exponent`.
fn integer_power(base: &Decimal, exponent: i32) -> Result<Decimal> {
    let scale = base.scale.clamp(SIGNIFICANT_DIGITS_MIN as u32, RESULT_SCALE_MAX as u32);
    if exponent == 0 {
        return Ok(Decimal::from(1).round(scale as i32));
    }
    if base.is_zero() {
        return if exponent < 0 { Err(Error::DivisionByZero) } else { Ok(Decimal::zero(scale)) };
    }
    let digits = f64::from(exponent) * log10(base);
    if digits > f64::from(INTEGER_DIGITS_MAX + 1) {
        return Err(Error::Overflow);
    }
    if digits + 1.0 < -f64::from(scale) {
        return Ok(Decimal::zero(scale));
    }
    // Ties are computed exactly: without zeros at its end, the base has too few digits to be cut off in one.
    let base = base.stripped();
    // The error grows with the exponent, which has at most ten digits.
    let significant = digits + f64::from(scale) + 30.0;
    let bits = (significant * core::f64::consts::LOG2_10) as u64;
    let count = u64::from(exponent.unsigned_abs());
    let power = Float::power(&base.coefficient.abs(), count, bits);
    // |base|^n * 10^scale = power / 10^shift, or the inverse of such a quotient.
    let shift = count as i64 * i64::from(base.scale);
    let shift = if exponent > 0 { shift - i64::from(scale) } else { shift + i64::from(scale) };
    let five = Float::power(&5.into(), shift.unsigned_abs(), bits);
    let ten = Float { exponent: five.exponent + shift.abs(), ..five };
    let one = Float { mantissa: Integer::ONE, exponent: 0 };
    let coefficient = match (exponent > 0, shift >= 0) {
        (true, true) => power.div_round(&ten),
        (true, false) => power.mul(&ten, u64::MAX).div_round(&one),
        (false, _) => ten.div_round(&power),
    };
    let negative = base.sign().is_lt() && count & 1 == 1;
    Ok(Decimal { coefficient: if negative { coefficient.neg() } else { coefficient }, scale })
}

/// `base`^`exponent` = e^(`exponent` * ln(|`base`|)), with the sign of an odd power; `base` is not zero.
fn general_power(base: &Decimal, exponent: &Decimal) -> Result<Decimal> {
    let odd = exponent.stripped().coefficient.is_odd();
    let (negative, base) = (base.sign().is_lt() && odd, base.abs());
    let ln_exponent = ln_exponent(&base);
    let argument = |digits: i64| {
        let scale = (digits - ln_exponent).max(0) as u32;
        series::ln(&base, scale).mul(exponent).round(scale as i32)
    };
    // First roughly: how many digits will the result have?
    let estimate = argument(GUARD_DIGITS).to_f64_lossy();
    if estimate.abs() > LOGARITHM_MAX {
        let zero = Decimal::zero(RESULT_SCALE_MAX as u32);
        return if estimate > 0.0 { Err(Error::Overflow) } else { Ok(zero) };
    }
    let digits = (estimate * core::f64::consts::LOG10_E) as i64;
    let scale = result_scale(digits, &[base.scale, exponent.scale]);
    let significant = (i64::from(scale) + digits).max(0);
    let power = exp_to_scale(&argument(significant + GUARD_DIGITS), scale)?;
    Ok(if negative { power.neg() } else { power })
}

fn finite_power(base: &Decimal, exponent: &Decimal) -> Result<Decimal> {
    match exponent.to_i64().map(i32::try_from) {
        Some(Ok(exponent)) => integer_power(base, exponent),
        _ if base.is_zero() => Ok(Decimal::zero(SIGNIFICANT_DIGITS_MIN as u32)),
        _ => general_power(base, exponent),
    }
}

impl Numeric {
    /// The value to the power of `exponent`. 0 to the power of 0 is 1, and so are NaN to the power of 0 and 1 to
    /// the power of NaN.
    ///
    /// # Errors
    /// For zero to a negative power, a negative value to a power that is not an integer, and if there are too
    /// many digits.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        let one = |value: &Numeric| *value == Numeric::ONE;
        if self.is_nan() || exponent.is_nan() {
            return Ok(if exponent.is_zero() || one(self) { Numeric::ONE } else { Numeric::NAN });
        }
        if self.is_zero() && exponent.side().is_lt() {
            return Err(Error::PowerOfZero);
        }
        let integral = exponent.finite().is_none_or(|exponent| exponent.is_integral());
        if self.side().is_lt() && !integral {
            return Err(Error::PowerOfNegative);
        }
        match (self.kind(), exponent.kind()) {
            (Finite(base), Finite(exponent)) => {
                let power = finite_power(&base, &exponent)?;
                debug_assert!(power.scale <= SCALE_MAX);
                Numeric::checked(power)
            }
            _ if one(self) || exponent.is_zero() => Ok(Numeric::ONE),
            _ if self.is_zero() => Ok(Numeric::ZERO),
            (base, Infinite(sign)) => Ok(infinite_power(&base, sign)),
            (Infinite(_), Finite(exponent)) if exponent.sign().is_lt() => Ok(Numeric::ZERO),
            (Infinite(sign), Finite(exponent)) => {
                let odd = exponent.stripped().coefficient.is_odd();
                Ok(Numeric::infinite(if odd { sign } else { Ordering::Greater }))
            }
            (NotANumber, _) | (_, NotANumber) => Ok(Numeric::NAN),
        }
    }
}

/// A base other than 0 and 1 to the power of an infinity.
fn infinite_power(base: &crate::value::Kind, sign: Ordering) -> Numeric {
    let size = match base {
        Finite(base) => base.abs().compare(&1.into()),
        _ => Ordering::Greater,
    };
    match size {
        Ordering::Equal => Numeric::ONE,
        size if size == sign => Numeric::INFINITY,
        _ => Numeric::ZERO,
    }
}
