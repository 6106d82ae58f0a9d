//! Divisors, multiples, factorials and buckets.

use crate::Numeric;
use crate::arithmetic::quotient_scale;
use crate::decimal::Decimal;
use crate::error::{Error, Result, Target};
use crate::integer::Integer;
use crate::limits::FACTORIAL_MAX;

/// The product of the integers of `from..=to`, of like factors so that long ones meet long ones.
fn product(from: i64, to: i64) -> Integer {
    if to - from < 8 {
        return (from..=to).fold(Integer::ONE, |product, factor| product.mul(&factor.into()));
    }
    let middle = from.midpoint(to);
    product(from, middle).mul(&product(middle + 1, to))
}

impl Numeric {
    /// The greatest number of which both values are multiples: gcd(1.5, 0.25) is 0.25. NaN unless both are finite.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else { return Ok(Numeric::NAN) };
        let (a, b, scale) = a.aligned(&b);
        Numeric::checked(Decimal { coefficient: a.gcd(&b), scale })
    }

    /// The least number that is a multiple of both values; 0 if one of them is. NaN unless both are finite.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else { return Ok(Numeric::NAN) };
        let (a, b, scale) = a.aligned(&b);
        if a.is_zero() || b.is_zero() {
            return Numeric::checked(Decimal::zero(scale));
        }
        let multiple = a.div_rem(&a.gcd(&b)).0.mul(&b).abs();
        Numeric::checked(Decimal { coefficient: multiple, scale })
    }

    /// 1 * 2 * ... * `n`.
    ///
    /// # Errors
    /// If `n` is negative or above [`FACTORIAL_MAX`].
    pub fn factorial(n: i64) -> Result<Numeric> {
        match n {
            ..0 => Err(Error::FactorialOfNegative),
            0..=FACTORIAL_MAX => Numeric::checked(Decimal { coefficient: product(1, n), scale: 0 }),
            _ => Err(Error::Overflow),
        }
    }

    /// The number, from 1, of the bucket that the value is in if `low..high` is cut into `count` of equal width; 0
    /// below, `count + 1` from `high` on. If `low` is above `high`, buckets are counted from above.
    ///
    /// # Errors
    /// If there is no bucket, a NaN or an infinite bound, or if the number is beyond an `integer`.
    pub fn width_bucket(&self, low: &Numeric, high: &Numeric, count: i32) -> Result<i32> {
        if count <= 0 {
            return Err(Error::BucketCount);
        }
        if self.is_nan() || low.is_nan() || high.is_nan() {
            return Err(Error::BucketNan);
        }
        let (Some(first), Some(last)) = (low.finite(), high.finite()) else {
            return Err(Error::BucketInfinite);
        };
        let direction = low.cmp(high);
        if direction.is_eq() {
            return Err(Error::BucketEmpty);
        }
        let beyond = || count.checked_add(1).ok_or(Error::IntegerRange(Target::Int4));
        // Seen in the direction of counting.
        let before = |a: &Numeric, b: &Numeric| a.cmp(b) == direction;
        if before(self, low) {
            return Ok(0);
        }
        if !before(self, high) {
            return beyond();
        }
        let Some(value) = self.finite() else { return beyond() };
        let part = value.sub(&first).mul(&i64::from(count).into()).abs();
        let whole = last.sub(&first).abs();
        let quotient = part.div(&whole, quotient_scale(&part, &whole));
        let bucket = quotient.floor().to_i64().unwrap_or(i64::MAX);
        i32::try_from(bucket.saturating_add(1)).map_err(|_| Error::IntegerRange(Target::Int4))
    }
}
