//! Fewer digits, or more: rounding, and the scale of a value.

use crate::Numeric;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::limits::{INTEGER_DIGITS_MAX, SCALE_MAX};

/// The scales that rounding can tell apart: one more before the decimal point, as all digits may round up.
const ROUND_SCALE_MIN: i32 = -(INTEGER_DIGITS_MAX as i32) - 1;

impl Numeric {
    /// The value rounded to `scale` digits after the decimal point, halves away from zero. Below 0, digits before
    /// the decimal point become zeros.
    ///
    /// # Errors
    /// If it rounds up to too many digits.
    pub fn round(&self, scale: i32) -> Result<Numeric> {
        self.shortened(|decimal| decimal.round(scale.clamp(ROUND_SCALE_MIN, SCALE_MAX as i32)))
    }

    /// The value rounded to `scale` digits after the decimal point towards zero.
    ///
    /// # Errors
    /// None that can happen.
    pub fn trunc(&self, scale: i32) -> Result<Numeric> {
        self.shortened(|decimal| decimal.trunc(scale.clamp(ROUND_SCALE_MIN, SCALE_MAX as i32)))
    }

    /// The least integer that is not below.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn ceil(&self) -> Result<Numeric> {
        self.shortened(|decimal| decimal.neg().floor().neg())
    }

    /// The greatest integer that is not above.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn floor(&self) -> Result<Numeric> {
        self.shortened(Decimal::floor)
    }

    /// Digits after the decimal point that are shown; none if it is not finite.
    pub fn scale(&self) -> Option<u32> {
        self.finite().map(|decimal| decimal.scale)
    }

    /// Digits after the decimal point that are needed; none if it is not finite.
    pub fn min_scale(&self) -> Option<u32> {
        self.finite().map(|decimal| decimal.min_scale())
    }

    /// The value without zeros at the end of its fraction.
    #[must_use]
    pub fn trim_scale(&self) -> Numeric {
        // It has no more digits than before.
        self.shortened(Decimal::stripped).unwrap_or(Numeric::NAN)
    }

    fn shortened(&self, change: impl FnOnce(&Decimal) -> Decimal) -> Result<Numeric> {
        match self.finite() {
            Some(decimal) => Numeric::checked(change(&decimal)),
            None => Ok(self.clone()),
        }
    }
}
