//! Finite decimals without limits: what the operations compute with.
//!
//! `value = coefficient * 10^-scale`. Results are checked against the limits once, by
//! [`Numeric`](crate::Numeric), so that intermediate results may be beyond them.

use alloc::format;
use core::cmp::Ordering;

use crate::integer::Integer;
use crate::limits::GROUP_DIGITS;

/// Digits that an estimate as a float looks at.
const FLOAT_DIGITS: i64 = 60;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) coefficient: Integer,
    /// Digits after the decimal point.
    pub(crate) scale: u32,
}

/// The first digits of a decimal in base 10,000, by which result scales are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// The exponent of 10,000 of the first group.
    pub(crate) weight: i64,
    /// The first group: 1 to 9999, or 0 for zero.
    pub(crate) first: i64,
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Decimal {
        Decimal { coefficient: value.into(), scale: 0 }
    }
}

impl Decimal {
    pub(crate) fn zero(scale: u32) -> Decimal {
        Decimal { coefficient: Integer::ZERO, scale }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.coefficient.is_zero()
    }

    pub(crate) fn sign(&self) -> Ordering {
        self.coefficient.sign()
    }

    pub(crate) fn neg(&self) -> Decimal {
        Decimal { coefficient: self.coefficient.neg(), scale: self.scale }
    }

    pub(crate) fn abs(&self) -> Decimal {
        Decimal { coefficient: self.coefficient.abs(), scale: self.scale }
    }

    /// The exponent of ten of the first digit; 0 for zero.
    pub(crate) fn exponent(&self) -> i64 {
        if self.is_zero() { 0 } else { i64::from(self.coefficient.digits()) - 1 - i64::from(self.scale) }
    }

    /// Its first `digits` decimal digits from the exponent of ten `exponent` down, rounded towards zero.
    pub(crate) fn leading(&self, exponent: i64, digits: i64) -> Integer {
        let drop = i64::from(self.scale) + exponent - digits + 1;
        let power = Integer::pow10(u32::try_from(drop.unsigned_abs()).unwrap_or(u32::MAX));
        if drop >= 0 { self.coefficient.div_rem(&power).0 } else { self.coefficient.mul(&power) }
    }

    pub(crate) fn groups(&self) -> Groups {
        let weight = self.exponent().div_euclid(GROUP_DIGITS);
        let first = self.leading((weight + 1) * GROUP_DIGITS - 1, GROUP_DIGITS).abs();
        let first = if let Integer::Small(first) = first { first as i64 } else { 0 };
        Groups { weight, first }
    }

    /// The same value, with a scale that is not less.
    fn rescaled(&self, scale: u32) -> Integer {
        self.coefficient.mul_pow10(scale - self.scale)
    }

    /// Two coefficients and the scale that they have in common.
    pub(crate) fn aligned(&self, other: &Decimal) -> (Integer, Integer, u32) {
        let scale = self.scale.max(other.scale);
        (self.rescaled(scale), other.rescaled(scale), scale)
    }

    pub(crate) fn add(&self, other: &Decimal) -> Decimal {
        if self.scale == other.scale {
            return Decimal { coefficient: self.coefficient.add(&other.coefficient), scale: self.scale };
        }
        let (a, b, scale) = self.aligned(other);
        Decimal { coefficient: a.add(&b), scale }
    }

    pub(crate) fn sub(&self, other: &Decimal) -> Decimal {
        if self.scale == other.scale {
            return Decimal { coefficient: self.coefficient.sub(&other.coefficient), scale: self.scale };
        }
        let (a, b, scale) = self.aligned(other);
        Decimal { coefficient: a.sub(&b), scale }
    }

    pub(crate) fn mul(&self, other: &Decimal) -> Decimal {
        Decimal { coefficient: self.coefficient.mul(&other.coefficient), scale: self.scale + other.scale }
    }

    /// The quotient rounded to `scale`. `divisor` is not zero.
    pub(crate) fn div(&self, divisor: &Decimal, scale: u32) -> Decimal {
        let (dividend, divisor) = self.division(divisor, scale);
        Decimal { coefficient: dividend.div_round(&divisor), scale }
    }

    /// The quotient rounded towards zero to an integer. `divisor` is not zero.
    pub(crate) fn div_trunc(&self, divisor: &Decimal) -> Decimal {
        let (dividend, divisor) = self.division(divisor, 0);
        Decimal { coefficient: dividend.div_rem(&divisor).0, scale: 0 }
    }

    /// Two integers whose quotient is that of the values, times 10^`scale`.
    fn division(&self, divisor: &Decimal, scale: u32) -> (Integer, Integer) {
        let shift = i64::from(scale) + i64::from(divisor.scale) - i64::from(self.scale);
        let power = shift.unsigned_abs() as u32;
        if shift >= 0 {
            (self.coefficient.mul_pow10(power), divisor.coefficient.clone())
        } else {
            (self.coefficient.clone(), divisor.coefficient.mul_pow10(power))
        }
    }

    /// The value rounded to `scale`, halves away from zero. Below 0, digits before the decimal point go.
    pub(crate) fn round(&self, scale: i32) -> Decimal {
        self.shortened(scale, Integer::div_round)
    }

    /// The value rounded to `scale` towards zero.
    pub(crate) fn trunc(&self, scale: i32) -> Decimal {
        self.shortened(scale, |coefficient, power| coefficient.div_rem(power).0)
    }

    fn shortened(&self, scale: i32, divide: fn(&Integer, &Integer) -> Integer) -> Decimal {
        let kept = scale.max(0).unsigned_abs();
        let drop = i64::from(self.scale) - i64::from(scale);
        if drop <= 0 {
            return Decimal { coefficient: self.rescaled(kept), scale: kept };
        }
        let drop = match u32::try_from(drop) {
            // A bit is less than a digit: nothing is left.
            Ok(drop) if u64::from(drop) <= self.coefficient.bits() => drop,
            _ => return Decimal::zero(kept),
        };
        let quotient = divide(&self.coefficient, &Integer::pow10(drop));
        Decimal { coefficient: quotient.mul_pow10(scale.min(0).unsigned_abs()), scale: kept }
    }

    /// The square root of what is not negative, rounded to `scale`.
    pub(crate) fn sqrt(&self, scale: u32) -> Decimal {
        // With one more digit, rounded down, the last one tells which way to go.
        let digits = i64::from(scale) + 1;
        let shift = 2 * digits - i64::from(self.scale);
        let power = Integer::pow10(shift.unsigned_abs() as u32);
        let square =
            if shift >= 0 { self.coefficient.mul(&power) } else { self.coefficient.div_rem(&power).0 };
        Decimal { coefficient: square.sqrt().div_round(&Integer::pow10(1)), scale }
    }

    /// The greatest integer that is not above.
    pub(crate) fn floor(&self) -> Decimal {
        let whole = self.trunc(0);
        if self.sign().is_lt() && whole.compare(self).is_ne() { whole.sub(&1.into()) } else { whole }
    }

    /// The least scale that shows all digits.
    pub(crate) fn min_scale(&self) -> u32 {
        self.stripped().scale
    }

    /// The same value with the least scale.
    pub(crate) fn stripped(&self) -> Decimal {
        if self.is_zero() {
            return Decimal::zero(0);
        }
        let (coefficient, zeros) = self.coefficient.strip_zeros(self.scale);
        Decimal { coefficient, scale: self.scale - zeros }
    }

    pub(crate) fn is_integral(&self) -> bool {
        self.scale == 0 || self.min_scale() == 0
    }

    /// It as an integer, if it is one of 64 bits.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        match self.stripped() {
            Decimal { coefficient: Integer::Small(value), scale: 0 } => i64::try_from(value).ok(),
            _ => None,
        }
    }

    pub(crate) fn compare(&self, other: &Decimal) -> Ordering {
        if self.scale == other.scale {
            return self.coefficient.compare(&other.coefficient);
        }
        let sign = self.sign();
        if sign != other.sign() || sign.is_eq() {
            return sign.cmp(&other.sign());
        }
        // Spares long numbers the multiplication, unless they are close to each other.
        let (low, high) = self.magnitude_bits();
        let (other_low, other_high) = other.magnitude_bits();
        if low > other_high {
            return sign;
        }
        if high < other_low {
            return sign.reverse();
        }
        let (a, b, _) = self.aligned(other);
        a.compare(&b)
    }

    /// Bounds of log2 of its absolute value.
    fn magnitude_bits(&self) -> (f64, f64) {
        let high = self.coefficient.bits() as f64 - f64::from(self.scale) * core::f64::consts::LOG2_10;
        (high - 1.001, high + 0.001)
    }

    /// The float nearest to it; infinite if there is none.
    pub(crate) fn to_f64_lossy(&self) -> f64 {
        let exponent = self.exponent();
        let shown = if i64::from(self.coefficient.digits()) > FLOAT_DIGITS {
            self.trunc(i32::try_from(FLOAT_DIGITS - exponent).unwrap_or(i32::MAX))
        } else {
            self.clone()
        };
        if exponent > 400 {
            return if self.sign().is_lt() { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        let sign = if self.sign().is_lt() { "-" } else { "" };
        let text = format!("{sign}{}e-{}", shown.coefficient.to_digits(), shown.scale);
        text.parse().unwrap_or(f64::NAN)
    }
}
