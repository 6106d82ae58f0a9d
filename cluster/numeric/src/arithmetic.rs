//! The four operations, remainders and signs.
//!
//! Result scales are PostgreSQL's: sums have the larger one of the operands, products the sum of both, and
//! quotients as many digits as make about 16 significant ones, counted in groups of four.

use core::cmp::Ordering;

use crate::Numeric;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::limits::{GROUP_DIGITS, RESULT_SCALE_MAX, SCALE_MAX, SIGNIFICANT_DIGITS_MIN};
use crate::value::Kind::{Finite, Infinite, NotANumber};

/// The scale of a result whose first digit is about that of 10^`exponent`, and whose operands have `scales`.
pub(crate) fn result_scale(exponent: i64, scales: &[u32]) -> u32 {
    let significant = i64::from(SIGNIFICANT_DIGITS_MIN) - exponent;
    let scale = scales.iter().map(|scale| i64::from(*scale)).fold(significant.max(0), i64::max);
    scale.min(i64::from(RESULT_SCALE_MAX)) as u32
}

/// The scale of a quotient.
pub(crate) fn quotient_scale(dividend: &Decimal, divisor: &Decimal) -> u32 {
    let (a, b) = (dividend.groups(), divisor.groups());
    let weight = a.weight - b.weight - i64::from(a.first <= b.first);
    result_scale(weight * GROUP_DIGITS, &[dividend.scale, divisor.scale])
}

fn product(a: Ordering, b: Ordering) -> Ordering {
    if b.is_lt() { a.reverse() } else { a }
}

impl Numeric {
    /// The sum.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        match (self.kind(), other.kind()) {
            (Finite(a), Finite(b)) => Numeric::checked(a.add(&b)),
            (NotANumber, _) | (_, NotANumber) => Ok(Numeric::NAN),
            (Infinite(a), Infinite(b)) if a != b => Ok(Numeric::NAN),
            (Infinite(sign), _) | (_, Infinite(sign)) => Ok(Numeric::infinite(sign)),
        }
    }

    /// The difference.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        match (self.kind(), other.kind()) {
            (Finite(a), Finite(b)) => Numeric::checked(a.sub(&b)),
            _ => self.add(&other.neg()),
        }
    }

    /// The product.
    ///
    /// # Errors
    /// If it has too many digits before the decimal point; after it, it is rounded.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        match (self.kind(), other.kind()) {
            (Finite(a), Finite(b)) => {
                let product = a.mul(&b);
                let longer = product.scale > SCALE_MAX;
                Numeric::checked(if longer { product.round(SCALE_MAX as i32) } else { product })
            }
            (NotANumber, _) | (_, NotANumber) => Ok(Numeric::NAN),
            _ if self.is_zero() || other.is_zero() => Ok(Numeric::NAN),
            _ => Ok(Numeric::infinite(product(self.side(), other.side()))),
        }
    }

    /// The quotient.
    ///
    /// # Errors
    /// If `divisor` is zero, or if there are too many digits before the decimal point.
    pub fn div(&self, divisor: &Numeric) -> Result<Numeric> {
        self.divide(divisor, |a, b| a.div(b, quotient_scale(a, b)))
    }

    /// The quotient, rounded towards zero to an integer.
    ///
    /// # Errors
    /// If `divisor` is zero, or if there are too many digits.
    pub fn div_trunc(&self, divisor: &Numeric) -> Result<Numeric> {
        self.divide(divisor, Decimal::div_trunc)
    }

    fn divide(&self, divisor: &Numeric, finite: fn(&Decimal, &Decimal) -> Decimal) -> Result<Numeric> {
        match (self.kind(), divisor.kind()) {
            (NotANumber, _) | (_, NotANumber) => Ok(Numeric::NAN),
            _ if divisor.is_zero() => Err(Error::DivisionByZero),
            (Finite(a), Finite(b)) => Numeric::checked(finite(&a, &b)),
            (Infinite(_), Infinite(_)) => Ok(Numeric::NAN),
            (Infinite(sign), _) => Ok(Numeric::infinite(product(sign, divisor.side()))),
            (Finite(_), Infinite(_)) => Ok(Numeric::ZERO),
        }
    }

    /// The remainder of [`Numeric::div_trunc`]: it has the sign of `self`.
    ///
    /// # Errors
    /// If `divisor` is zero.
    pub fn rem(&self, divisor: &Numeric) -> Result<Numeric> {
        match (self.kind(), divisor.kind()) {
            (NotANumber, _) | (_, NotANumber) => Ok(Numeric::NAN),
            _ if divisor.is_zero() => Err(Error::DivisionByZero),
            (Finite(a), Finite(b)) => {
                let (a, b, scale) = a.aligned(&b);
                Numeric::checked(Decimal { coefficient: a.div_rem(&b).1, scale })
            }
            (Infinite(_), _) => Ok(Numeric::NAN),
            (Finite(_), Infinite(_)) => Ok(self.clone()),
        }
    }

    /// The value with its sign turned.
    pub fn neg(&self) -> Numeric {
        match self.kind() {
            NotANumber => Numeric::NAN,
            Infinite(sign) => Numeric::infinite(sign.reverse()),
            // It has as many digits as before.
            Finite(decimal) => Numeric::checked(decimal.neg()).unwrap_or(Numeric::NAN),
        }
    }

    /// The value without its sign.
    pub fn abs(&self) -> Numeric {
        if self.side().is_lt() { self.neg() } else { self.clone() }
    }

    /// -1, 0 or 1; NaN for NaN.
    pub fn sign(&self) -> Numeric {
        match self.side() {
            _ if self.is_nan() => Numeric::NAN,
            Ordering::Less => Numeric::from(-1),
            Ordering::Equal => Numeric::ZERO,
            Ordering::Greater => Numeric::ONE,
        }
    }
}
