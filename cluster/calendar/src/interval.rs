//! Arithmetic of intervals.

use crate::error::{Error, Kind};
use crate::float::{fits_i64, round_even, truncate};
use crate::gregorian::{MICROS_PER_DAY, MICROS_PER_SECOND, SECONDS_PER_DAY};
use crate::value::Interval;

const OUT_OF_RANGE: Error = Error::Range(Kind::Interval);

/// Days that a month has where it must have a length.
const DAYS_PER_MONTH: i32 = 30;

/// A floating point number of seconds or days, rounded to a millionth: what the product of whole numbers lacks of being
/// whole.
fn round_millionth(x: f64) -> f64 {
    round_even(x * 1e6) / 1e6
}

/// The integer of a product, towards zero.
fn whole(x: f64) -> Result<i32, Error> {
    if x.is_nan() || x > f64::from(i32::MAX) || x < f64::from(i32::MIN) {
        Err(OUT_OF_RANGE)
    } else {
        Ok(x as i32)
    }
}

impl Interval {
    /// `self + other`
    pub fn checked_add(self, other: Interval) -> Result<Interval, Error> {
        let months = self.months.checked_add(other.months).ok_or(OUT_OF_RANGE)?;
        let days = self.days.checked_add(other.days).ok_or(OUT_OF_RANGE)?;
        let micros = self.micros.checked_add(other.micros).ok_or(OUT_OF_RANGE)?;
        Ok(Interval { months, days, micros })
    }

    /// `self - other`
    pub fn checked_sub(self, other: Interval) -> Result<Interval, Error> {
        let months = self.months.checked_sub(other.months).ok_or(OUT_OF_RANGE)?;
        let days = self.days.checked_sub(other.days).ok_or(OUT_OF_RANGE)?;
        let micros = self.micros.checked_sub(other.micros).ok_or(OUT_OF_RANGE)?;
        Ok(Interval { months, days, micros })
    }

    /// `-self`
    pub fn checked_neg(self) -> Result<Interval, Error> {
        Interval::default().checked_sub(self)
    }

    /// `self * factor`. The fraction of a month goes to days, of 30 to a month, and that of a day to the time.
    pub fn checked_mul(self, factor: f64) -> Result<Interval, Error> {
        self.scaled(|x| x * factor)
    }

    /// `self / divisor`
    pub fn checked_div(self, divisor: f64) -> Result<Interval, Error> {
        if divisor == 0.0 { Err(Error::DivisionByZero) } else { self.scaled(|x| x / divisor) }
    }

    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Interval, Error> {
        let months = scale(f64::from(self.months));
        let days = scale(f64::from(self.days));
        let mut result = Interval::new(whole(months)?, whole(days)?, 0);
        let month_rest = round_millionth((months - f64::from(result.months)) * f64::from(DAYS_PER_MONTH));
        let day_rest = days - f64::from(result.days) + month_rest - truncate(month_rest);
        let mut second_rest = round_millionth(day_rest * SECONDS_PER_DAY as f64);
        // Rounding may have made a whole day of it.
        if second_rest.abs() >= SECONDS_PER_DAY as f64 {
            let days = truncate(second_rest / SECONDS_PER_DAY as f64);
            result.days = result.days.checked_add(days as i32).ok_or(OUT_OF_RANGE)?;
            second_rest -= days * SECONDS_PER_DAY as f64;
        }
        result.days = result.days.checked_add(month_rest as i32).ok_or(OUT_OF_RANGE)?;
        let micros = round_even(scale(self.micros as f64) + second_rest * MICROS_PER_SECOND as f64);
        if !fits_i64(micros) {
            return Err(OUT_OF_RANGE);
        }
        result.micros = micros as i64;
        Ok(result)
    }

    /// `justify_hours`: 24 hours are a day.
    pub fn justify_hours(self) -> Result<Interval, Error> {
        let mut result = self;
        result.carry_hours()?;
        result.align_days();
        Ok(result)
    }

    /// `justify_days`: 30 days are a month.
    pub fn justify_days(self) -> Result<Interval, Error> {
        let mut result = self;
        result.carry_days()?;
        let Interval { months, days, .. } = result;
        if months > 0 && days < 0 {
            result.days += DAYS_PER_MONTH;
            result.months -= 1;
        } else if months < 0 && days > 0 {
            result.days -= DAYS_PER_MONTH;
            result.months += 1;
        }
        Ok(result)
    }

    /// `justify_interval`: both, and all parts have one sign.
    pub fn justify_interval(self) -> Result<Interval, Error> {
        let mut result = self;
        // Days of the same sign as the time could overflow when hours are added to them.
        if (result.days > 0 && result.micros > 0) || (result.days < 0 && result.micros < 0) {
            result.carry_days()?;
        }
        result.carry_hours()?;
        result.carry_days()?;
        let Interval { months, days, micros } = result;
        if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
            result.days += DAYS_PER_MONTH;
            result.months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
            result.days -= DAYS_PER_MONTH;
            result.months += 1;
        }
        result.align_days();
        Ok(result)
    }

    fn carry_hours(&mut self) -> Result<(), Error> {
        // As many days as an i64 of microseconds holds fit an i32.
        let days = (self.micros / MICROS_PER_DAY) as i32;
        self.micros %= MICROS_PER_DAY;
        self.days = self.days.checked_add(days).ok_or(OUT_OF_RANGE)?;
        Ok(())
    }

    fn carry_days(&mut self) -> Result<(), Error> {
        self.months = self.months.checked_add(self.days / DAYS_PER_MONTH).ok_or(OUT_OF_RANGE)?;
        self.days %= DAYS_PER_MONTH;
        Ok(())
    }

    /// Gives days and time the same sign.
    fn align_days(&mut self) {
        if self.days > 0 && self.micros < 0 {
            self.micros += MICROS_PER_DAY;
            self.days -= 1;
        } else if self.days < 0 && self.micros > 0 {
            self.micros -= MICROS_PER_DAY;
            self.days += 1;
        }
    }
}
