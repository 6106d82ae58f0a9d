//! The value: what it is made of, and the door through which every result comes.

use alloc::boxed::Box;
use core::cmp::Ordering;

use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::integer::Integer;
use crate::limits::{EXPONENT_MAX, SCALE_MAX};

/// A value of PostgreSQL's `numeric`: NaN, an infinity, or a decimal with its display scale.
///
/// It takes 24 bytes, and nothing else as long as its digits, read as an integer, fit in 128 bits. Beyond, it
/// has up to 61 KiB on the heap. Equality and order are those of the numbers: 1.5 equals 1.50.
#[derive(Clone)]
pub struct Numeric(Repr);

#[derive(Clone)]
enum Repr {
    NotANumber,
    Infinity,
    NegativeInfinity,
    /// The coefficient, cut in two: an `i128` would make all values a third larger.
    Small {
        scale: u16,
        high: i64,
        low: u64,
    },
    /// The coefficient is beyond 128 bits.
    Large(Box<Decimal>),
}

/// What operations tell apart.
pub(crate) enum Kind {
    NotANumber,
    /// An infinity: greater than everything finite, or less.
    Infinite(Ordering),
    Finite(Decimal),
}

impl Numeric {
    /// Not a number: equal to itself, and above all others.
    pub const NAN: Numeric = Numeric(Repr::NotANumber);
    /// Above everything finite.
    pub const INFINITY: Numeric = Numeric(Repr::Infinity);
    /// Below everything.
    pub const NEGATIVE_INFINITY: Numeric = Numeric(Repr::NegativeInfinity);
    /// 0
    pub const ZERO: Numeric = Numeric::small(0, 0);
    /// 1
    pub const ONE: Numeric = Numeric::small(1, 0);

    const fn small(coefficient: i128, scale: u16) -> Numeric {
        Numeric(Repr::Small { scale, high: (coefficient >> 64) as i64, low: coefficient as u64 })
    }

    /// `coefficient` / 10^`scale`; none if no value has so many decimals.
    pub fn of_parts(coefficient: i64, scale: u16) -> Option<Numeric> {
        (u32::from(scale) <= SCALE_MAX).then(|| Numeric::small(coefficient.into(), scale))
    }

    /// The coefficient, and the scale, of a finite value; none if it does not fit.
    pub fn parts(&self) -> Option<(i64, u16)> {
        match &self.0 {
            Repr::Small { scale, high, low } if *high == low.cast_signed() >> 63 => {
                Some((low.cast_signed(), *scale))
            }
            _ => None,
        }
    }

    /// The infinity of that sign.
    pub(crate) fn infinite(sign: Ordering) -> Numeric {
        if sign.is_lt() { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY }
    }

    pub(crate) fn kind(&self) -> Kind {
        match &self.0 {
            Repr::NotANumber => Kind::NotANumber,
            Repr::Infinity => Kind::Infinite(Ordering::Greater),
            Repr::NegativeInfinity => Kind::Infinite(Ordering::Less),
            Repr::Small { scale, high, low } => {
                let coefficient = Integer::Small(i128::from(*high) << 64 | i128::from(*low));
                Kind::Finite(Decimal { coefficient, scale: (*scale).into() })
            }
            Repr::Large(decimal) => Kind::Finite((**decimal).clone()),
        }
    }

    /// The decimal, if it is finite.
    pub(crate) fn finite(&self) -> Option<Decimal> {
        if let Kind::Finite(decimal) = self.kind() { Some(decimal) } else { None }
    }

    /// `decimal` as a value.
    ///
    /// # Errors
    /// If it has too many digits before or after the decimal point.
    pub(crate) fn checked(decimal: Decimal) -> Result<Numeric> {
        if decimal.scale > SCALE_MAX {
            return Err(Error::Overflow);
        }
        if let Integer::Small(coefficient) = decimal.coefficient {
            return Ok(Numeric::small(coefficient, decimal.scale as u16));
        }
        if decimal.exponent() > EXPONENT_MAX {
            return Err(Error::Overflow);
        }
        Ok(Numeric(Repr::Large(Box::new(decimal))))
    }

    /// Whether it is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NotANumber)
    }

    /// Whether it is neither NaN nor an infinity.
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Repr::Small { .. } | Repr::Large(_))
    }

    /// Whether it is 0, of any scale.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { high: 0, low: 0, .. })
    }

    /// How it compares with 0; NaN is above.
    pub(crate) fn side(&self) -> Ordering {
        match &self.0 {
            Repr::NotANumber | Repr::Infinity => Ordering::Greater,
            Repr::NegativeInfinity => Ordering::Less,
            Repr::Small { high, low, .. } => high.cmp(&0).then(low.cmp(&0)),
            Repr::Large(decimal) => decimal.sign(),
        }
    }

    /// Bytes it has on the heap.
    pub fn heap_len(&self) -> usize {
        match &self.0 {
            Repr::Large(decimal) => {
                size_of::<Decimal>() + 8 * decimal.coefficient.bits().div_ceil(64) as usize
            }
            _ => 0,
        }
    }
}

impl Default for Numeric {
    fn default() -> Numeric {
        Numeric::ZERO
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::small(value.into(), 0)
    }
}

impl From<i32> for Numeric {
    fn from(value: i32) -> Numeric {
        Numeric::small(value.into(), 0)
    }
}

impl From<i16> for Numeric {
    fn from(value: i16) -> Numeric {
        Numeric::small(value.into(), 0)
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Numeric {
        Numeric::small(value, 0)
    }
}

// What the documentation promises.
const _: () = assert!(size_of::<Numeric>() == 24);
