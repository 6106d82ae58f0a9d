//! Sums and what is made of them: averages, variances, standard deviations.
//!
//! Sums are exact, of the values and, if wanted, of their squares, so that the order in which values come does not
//! matter. Integers are aggregated as numerics of scale 0, which is what PostgreSQL's answers for them amount to.

use crate::Numeric;
use crate::arithmetic::quotient_scale;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::integer::Integer;
use crate::value::Kind;

/// Of which set a variance is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// `var_pop`, `stddev_pop`: the values are all there are.
    Population,
    /// `var_samp`, `stddev_samp`: the values are a sample.
    Sample,
}

/// The state of an aggregate: of all values so far.
#[derive(Clone, Debug)]
pub struct Accumulator {
    /// Values that are finite.
    count: i64,
    sum: Decimal,
    /// The sum of the squares, if it is wanted.
    squares: Option<Decimal>,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
    /// Values whose scale is that of the sum.
    longest: i64,
}

impl Accumulator {
    /// For sums and averages only.
    pub fn of_sums() -> Accumulator {
        let sum = Decimal::zero(0);
        Accumulator {
            count: 0,
            sum,
            squares: None,
            nans: 0,
            infinities: 0,
            negative_infinities: 0,
            longest: 0,
        }
    }

    /// For variances and standard deviations, too.
    pub fn of_squares() -> Accumulator {
        Accumulator { squares: Some(Decimal::zero(0)), ..Accumulator::of_sums() }
    }

    /// Takes a value in.
    pub fn add(&mut self, value: &Numeric) {
        match self.counted(value, 1) {
            Some(decimal) if self.count == 0 => {
                self.squares = self.squares.as_ref().map(|_| decimal.mul(&decimal));
                (self.count, self.longest, self.sum) = (1, 1, decimal);
            }
            Some(decimal) => {
                if decimal.scale >= self.sum.scale {
                    self.longest = if decimal.scale > self.sum.scale { 1 } else { self.longest + 1 };
                }
                self.count += 1;
                self.sum = self.sum.add(&decimal);
                if let Some(squares) = &mut self.squares {
                    *squares = squares.add(&decimal.mul(&decimal));
                }
            }
            None => {}
        }
    }

    /// Takes in the value of these [parts](Numeric::parts).
    pub fn add_parts(&mut self, coefficient: i64, scale: u16) {
        if self.count > 0
            && self.squares.is_none()
            && self.sum.scale == u32::from(scale)
            && let Integer::Small(sum) = &mut self.sum.coefficient
            && let Some(added) = sum.checked_add(coefficient.into())
        {
            *sum = added;
            self.count += 1;
            self.longest += 1;
        } else if let Some(value) = Numeric::of_parts(coefficient, scale) {
            self.add(&value);
        }
    }

    /// Takes a value out that was taken in before, as the frame of a window moves on. Returns false, and does
    /// nothing, if it was the last one with the longest scale: then the result's scale can only be found by
    /// aggregating anew.
    #[must_use]
    pub fn remove(&mut self, value: &Numeric) -> bool {
        let longest = value.scale().is_some_and(|scale| scale == self.sum.scale);
        if longest && self.longest == 1 && self.sum.scale > 0 && self.count > 1 {
            return false;
        }
        if let Some(decimal) = self.counted(value, -1) {
            self.longest -= i64::from(longest);
            self.count -= 1;
            self.sum = self.sum.sub(&decimal);
            if let Some(squares) = &mut self.squares {
                *squares = squares.sub(&decimal.mul(&decimal));
            }
        }
        true
    }

    /// Counts `value` if it is not finite; else, it is returned.
    fn counted(&mut self, value: &Numeric, step: i64) -> Option<Decimal> {
        match value.kind() {
            Kind::Finite(decimal) => return Some(decimal),
            Kind::NotANumber => self.nans += step,
            Kind::Infinite(sign) if sign.is_lt() => self.negative_infinities += step,
            Kind::Infinite(_) => self.infinities += step,
        }
        None
    }

    /// Takes in all that `other`, of the same kind, has taken in.
    pub fn merge(&mut self, other: &Accumulator) {
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            (self.count, self.longest) = (other.count, other.longest);
            (self.sum, self.squares) = (other.sum.clone(), other.squares.clone());
            return;
        }
        self.longest = match self.sum.scale.cmp(&other.sum.scale) {
            core::cmp::Ordering::Less => other.longest,
            core::cmp::Ordering::Equal => self.longest + other.longest,
            core::cmp::Ordering::Greater => self.longest,
        };
        self.count += other.count;
        self.sum = self.sum.add(&other.sum);
        if let (Some(squares), Some(more)) = (&mut self.squares, &other.squares) {
            *squares = squares.add(more);
        }
    }

    /// How many values there are.
    pub fn count(&self) -> i64 {
        self.count + self.nans + self.infinities + self.negative_infinities
    }

    /// What sum and average are if not all values are finite.
    fn special(&self) -> Option<Numeric> {
        match (self.nans, self.infinities, self.negative_infinities) {
            (0, 0, 0) => None,
            (0, _, 0) => Some(Numeric::INFINITY),
            (0, 0, _) => Some(Numeric::NEGATIVE_INFINITY),
            _ => Some(Numeric::NAN),
        }
    }

    /// The sum; none if there are no values.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn sum(&self) -> Result<Option<Numeric>> {
        if self.count() == 0 {
            return Ok(None);
        }
        self.special().map_or_else(|| Numeric::checked(self.sum.clone()), Ok).map(Some)
    }

    /// The average; none if there are no values.
    ///
    /// # Errors
    /// If the sum has too many digits.
    pub fn avg(&self) -> Result<Option<Numeric>> {
        let Some(sum) = self.sum()? else { return Ok(None) };
        sum.div(&Numeric::from(self.count())).map(Some)
    }

    /// The variance; none if there are no values, or only one of a sample, or if it was not asked for at the
    /// beginning.
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn variance(&self, spread: Spread) -> Result<Option<Numeric>> {
        self.deviation(spread, |variance| variance)
    }

    /// The standard deviation; none if there is no [`Accumulator::variance`].
    ///
    /// # Errors
    /// If it has too many digits.
    pub fn stddev(&self, spread: Spread) -> Result<Option<Numeric>> {
        self.deviation(spread, |variance| variance.sqrt(variance.scale))
    }

    /// (N * sum(x^2) - sum(x)^2) / (N * (N - 1)), or / N^2.
    fn deviation(&self, spread: Spread, finish: fn(Decimal) -> Decimal) -> Result<Option<Numeric>> {
        let Some(squares) = &self.squares else { return Ok(None) };
        let least = if spread == Spread::Sample { 2 } else { 1 };
        if self.count() < least {
            return Ok(None);
        }
        if self.special().is_some() {
            return Ok(Some(Numeric::NAN));
        }
        let count = Decimal::from(self.count);
        let dividend = count.mul(squares).sub(&self.sum.mul(&self.sum));
        if dividend.sign().is_le() {
            return Ok(Some(Numeric::ZERO));
        }
        let divisor = count.mul(&if spread == Spread::Sample { count.sub(&1.into()) } else { count.clone() });
        let variance = dividend.div(&divisor, quotient_scale(&dividend, &divisor));
        Numeric::checked(finish(variance)).map(Some)
    }
}
