//! From and to the integers and floats of SQL.

use alloc::format;
use alloc::string::ToString;

use crate::Numeric;
use crate::error::{Error, Result, Target};
use crate::integer::Integer;
use crate::value::Kind;

/// A decimal with this many digits is a float without an error, and so is its power of ten.
const EXACT_BITS: u64 = 53;

/// Powers of ten that a float has exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The value of a float that is printed in exponential form, without the zeros at the end of its digits.
fn from_float_text(text: &str) -> Numeric {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let trimmed = digits.trim_end_matches('0').trim_end_matches('.');
    // A float has at most 309 digits before the decimal point, and its first digit at most 323 behind it.
    format!("{trimmed}e{exponent}").parse().unwrap_or(Numeric::NAN)
}

impl From<f64> for Numeric {
    /// The value rounded to 15 significant digits, as PostgreSQL converts a `double precision`.
    fn from(value: f64) -> Numeric {
        if value.is_nan() {
            return Numeric::NAN;
        }
        if value.is_infinite() {
            return Numeric::infinite(value.total_cmp(&0.0));
        }
        from_float_text(&format!("{value:.14e}"))
    }
}

impl From<f32> for Numeric {
    /// The value rounded to 6 significant digits, as PostgreSQL converts a `real`.
    fn from(value: f32) -> Numeric {
        if value.is_finite() {
            from_float_text(&format!("{value:.5e}"))
        } else {
            Numeric::from(f64::from(value))
        }
    }
}

impl Numeric {
    /// The nearest `smallint`, halves away from zero.
    ///
    /// # Errors
    /// If it is out of range, or not finite.
    pub fn to_i16(&self) -> Result<i16> {
        self.to_integer(Target::Int2)
    }

    /// The nearest `integer`, halves away from zero.
    ///
    /// # Errors
    /// If it is out of range, or not finite.
    pub fn to_i32(&self) -> Result<i32> {
        self.to_integer(Target::Int4)
    }

    /// The nearest `bigint`, halves away from zero.
    ///
    /// # Errors
    /// If it is out of range, or not finite.
    pub fn to_i64(&self) -> Result<i64> {
        self.to_integer(Target::Int8)
    }

    fn to_integer<T: TryFrom<i128>>(&self, target: Target) -> Result<T> {
        match self.kind() {
            Kind::NotANumber => Err(Error::IntegerOfNan(target)),
            Kind::Infinite(_) => Err(Error::IntegerOfInfinity(target)),
            Kind::Finite(decimal) => match decimal.round(0).coefficient {
                Integer::Small(value) => T::try_from(value).map_err(|_| Error::IntegerRange(target)),
                Integer::Big(_) => Err(Error::IntegerRange(target)),
            },
        }
    }

    /// The nearest `double precision`.
    ///
    /// # Errors
    /// If there is none: it is too large, or nearer to zero than all of them.
    pub fn to_f64(&self) -> Result<f64> {
        let Kind::Finite(decimal) = self.kind() else { return Ok(self.special_float()) };
        if let (Integer::Small(value), Some(power)) =
            (&decimal.coefficient, EXACT_POWERS.get(decimal.scale as usize))
            && decimal.coefficient.bits() <= EXACT_BITS
        {
            return Ok(*value as f64 / power);
        }
        let text = decimal.to_string();
        let nearest: f64 = text.parse().unwrap_or(f64::NAN);
        if nearest.is_finite() && (nearest != 0.0 || decimal.is_zero()) {
            return Ok(nearest);
        }
        Err(Error::FloatRange(text.into(), Target::Float8))
    }

    /// The nearest `real`.
    ///
    /// # Errors
    /// If there is none: it is too large, or nearer to zero than all of them.
    pub fn to_f32(&self) -> Result<f32> {
        // By way of a double it would be rounded twice.
        let Kind::Finite(decimal) = self.kind() else { return Ok(self.special_float() as f32) };
        let text = decimal.to_string();
        let nearest: f32 = text.parse().unwrap_or(f32::NAN);
        if nearest.is_finite() && (nearest != 0.0 || decimal.is_zero()) {
            return Ok(nearest);
        }
        Err(Error::FloatRange(text.into(), Target::Float4))
    }

    fn special_float(&self) -> f64 {
        match self.kind() {
            Kind::Infinite(sign) if sign.is_lt() => f64::NEG_INFINITY,
            Kind::Infinite(_) => f64::INFINITY,
            _ => f64::NAN,
        }
    }
}
