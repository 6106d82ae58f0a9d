//! `numeric(precision, scale)`: the type of a column that rounds and bounds its values.

use core::fmt;

use crate::Numeric;
use crate::error::{Error, Result};
use crate::limits::{PRECISION_MAX, TYPE_SCALE_MAX, TYPE_SCALE_MIN};
use crate::value::Kind;

/// What PostgreSQL adds to a type modifier: the length of the header of values of variable length.
const HEADER: i32 = 4;

/// The bits of a type modifier that are the scale, in two's complement.
const SCALE_BITS: u32 = 11;

/// A precision and a scale.
///
/// Values are rounded to `scale` digits after the decimal point, or, if it is negative, to so many zeros before
/// it. What is left has at most `precision` digits; so if the scale is larger, zeros follow the decimal point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Typmod {
    precision: i32,
    scale: i32,
}

impl Typmod {
    /// `numeric(precision, scale)`; `numeric(precision)` has scale 0.
    ///
    /// # Errors
    /// If there is no such type.
    pub const fn new(precision: i32, scale: i32) -> Result<Typmod> {
        if precision < 1 || precision > PRECISION_MAX {
            return Err(Error::TypePrecision(precision));
        }
        if scale < TYPE_SCALE_MIN || scale > TYPE_SCALE_MAX {
            return Err(Error::TypeScale(scale));
        }
        Ok(Typmod { precision, scale })
    }

    /// As `pg_attribute.atttypmod` and the protocol have it.
    pub const fn to_i32(self) -> i32 {
        let scale = self.scale & ((1 << SCALE_BITS) - 1);
        (self.precision << 16 | scale) + HEADER
    }

    /// The one that [`Typmod::to_i32`] gave; none for -1, which is `numeric` alone, and for what is not one.
    pub fn from_i32(typmod: i32) -> Option<Typmod> {
        let word = typmod.checked_sub(HEADER).filter(|word| *word >= 0)?;
        let unused = 32 - SCALE_BITS;
        Typmod::new(word >> 16, word << unused >> unused).ok()
    }

    /// Most significant digits.
    pub const fn precision(self) -> i32 {
        self.precision
    }

    /// Digits after the decimal point.
    pub const fn scale(self) -> i32 {
        self.scale
    }
}

impl fmt::Display for Typmod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.precision, self.scale)
    }
}

impl Numeric {
    /// The value as a column of that type has it.
    ///
    /// # Errors
    /// If it does not fit; see [`Error::detail`].
    pub fn with_typmod(&self, typmod: Typmod) -> Result<Numeric> {
        let Typmod { precision, scale } = typmod;
        let overflow = |infinite| Error::FieldOverflow { precision, scale, infinite };
        match self.kind() {
            Kind::NotANumber => Ok(Numeric::NAN),
            Kind::Infinite(_) => Err(overflow(true)),
            Kind::Finite(decimal) => {
                let rounded = decimal.round(scale);
                if !rounded.is_zero() && rounded.exponent() >= i64::from(precision - scale) {
                    return Err(overflow(false));
                }
                Numeric::checked(rounded)
            }
        }
    }
}
