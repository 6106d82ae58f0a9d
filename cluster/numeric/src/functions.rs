//! Roots, logarithms and exponentials of values.
//!
//! Results have at least 16 significant digits, at least the scale of the arguments, and at most 1,000 digits
//! after the decimal point; see PostgreSQL's `numeric.c`, which rounds intermediate results as is done here.

use core::cmp::Ordering;

use crate::Numeric;
use crate::arithmetic::result_scale;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::limits::{EXP_ARGUMENT_MAX, GROUP_DIGITS, GUARD_DIGITS, RESULT_SCALE_MAX};
use crate::series;
use crate::value::Kind::{Finite, Infinite, NotANumber};

/// `count` / 10
fn tenths(count: i64) -> Decimal {
    Decimal { coefficient: count.into(), scale: 1 }
}

/// The exponent of ten of the first digit of ln(`x`), about; for x > 0.
pub(crate) fn ln_exponent(x: &Decimal) -> i64 {
    let near_one = x.compare(&tenths(9)).is_ge() && x.compare(&tenths(11)).is_le();
    if near_one {
        // There ln(x) is about x - 1.
        return x.sub(&1.into()).exponent();
    }
    let weight = x.groups().weight - 1;
    let leading = x.leading((weight + 2) * GROUP_DIGITS - 1, 2 * GROUP_DIGITS);
    let leading = Decimal { coefficient: leading, scale: 0 }.to_f64_lossy();
    let ln = libm::log(leading) + (weight * GROUP_DIGITS) as f64 * core::f64::consts::LN_10;
    libm::log10(ln.abs()) as i64
}

/// Whether `x` has a logarithm.
fn check_logarithm(side: Ordering) -> Result<()> {
    match side {
        Ordering::Less => Err(Error::LogarithmOfNegative),
        Ordering::Equal => Err(Error::LogarithmOfZero),
        Ordering::Greater => Ok(()),
    }
}

/// e^`x` rounded to `scale`.
pub(crate) fn exp_to_scale(x: &Decimal, scale: u32) -> Result<Decimal> {
    let estimate = x.to_f64_lossy();
    if estimate.abs() >= EXP_ARGUMENT_MAX {
        return if estimate > 0.0 { Err(Error::Overflow) } else { Ok(Decimal::zero(scale)) };
    }
    Ok(series::exp(x, scale))
}

fn log_base(base: &Decimal, x: &Decimal) -> Result<Decimal> {
    let (base_exponent, exponent) = (ln_exponent(base), ln_exponent(x));
    let result_exponent = exponent - base_exponent;
    let scale = result_scale(result_exponent, &[base.scale, x.scale]);
    let significant = i64::from(scale) + result_exponent + GUARD_DIGITS;
    let ln = |x: &Decimal, exponent: i64| series::ln(x, (significant - exponent).max(0) as u32);
    let (ln_base, ln_x) = (ln(base, base_exponent), ln(x, exponent));
    if ln_base.is_zero() {
        return Err(Error::DivisionByZero);
    }
    Ok(ln_x.div(&ln_base, scale))
}

impl Numeric {
    /// The square root.
    ///
    /// # Errors
    /// If the value is negative.
    pub fn sqrt(&self) -> Result<Numeric> {
        match self.kind() {
            NotANumber => Ok(Numeric::NAN),
            _ if self.side().is_lt() => Err(Error::SquareRootOfNegative),
            Infinite(_) => Ok(Numeric::INFINITY),
            Finite(x) => {
                let weight = if x.is_zero() { 0 } else { x.groups().weight };
                let scale = result_scale(weight * GROUP_DIGITS / 2 + 1, &[x.scale]);
                Numeric::checked(x.sqrt(scale))
            }
        }
    }

    /// e to the power of the value.
    ///
    /// # Errors
    /// From 6,000 on.
    pub fn exp(&self) -> Result<Numeric> {
        match self.kind() {
            NotANumber => Ok(Numeric::NAN),
            Infinite(sign) if sign.is_lt() => Ok(Numeric::ZERO),
            Infinite(_) => Ok(Numeric::INFINITY),
            Finite(x) => {
                let most = f64::from(2 * RESULT_SCALE_MAX);
                let exponent = (x.to_f64_lossy() * core::f64::consts::LOG10_E).clamp(-most, most);
                Numeric::checked(exp_to_scale(&x, result_scale(exponent as i64, &[x.scale]))?)
            }
        }
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// If the value is not positive.
    pub fn ln(&self) -> Result<Numeric> {
        match self.kind() {
            NotANumber => Ok(Numeric::NAN),
            Infinite(Ordering::Greater) => Ok(Numeric::INFINITY),
            Infinite(_) => Err(Error::LogarithmOfNegative),
            Finite(x) => {
                check_logarithm(x.sign())?;
                Numeric::checked(series::ln(&x, result_scale(ln_exponent(&x), &[x.scale])))
            }
        }
    }

    /// The logarithm to base 10.
    ///
    /// # Errors
    /// If the value is not positive.
    pub fn log10(&self) -> Result<Numeric> {
        self.log(&Numeric::from(10))
    }

    /// The logarithm to any base.
    ///
    /// # Errors
    /// If the value or the base is not positive, or the base is 1.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        match (base.kind(), self.kind()) {
            (Finite(base), Finite(x)) => {
                check_logarithm(base.sign())?;
                check_logarithm(x.sign())?;
                Numeric::checked(log_base(&base, &x)?)
            }
            (NotANumber, _) | (_, NotANumber) => Ok(Numeric::NAN),
            (base_kind, kind) => {
                // With an infinity, what is negative is found before what is zero.
                check_logarithm(base.side().min(self.side()))?;
                Ok(match (base_kind, kind) {
                    (Finite(_), _) => Numeric::INFINITY,
                    (_, Finite(_)) => Numeric::ZERO,
                    _ => Numeric::NAN,
                })
            }
        }
    }
}
