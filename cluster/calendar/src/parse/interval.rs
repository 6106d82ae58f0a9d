//! Texts of intervals: `1 year 2 mons -3 days 04:05:06`, `1-2 3 4:05:06`, `@ 1 day ago`.
//!
//! They are read from the right, so that a unit is known before its number. Fractions of a unit are spread over smaller
//! ones as in Postgres: of years over months, of months and weeks over days, of the rest over microseconds.

use super::Fault;
use super::Modifier;
use super::fields::*;
use super::number::{fraction, leading_i32, leading_i64};
use super::token::{INTERVAL_LEN_MAX, Shape, Token, tokens};
use super::words::{interval_unit, is_ago};
use crate::float::round_even;
use crate::gregorian::{Clock, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::unit::Unit;
use crate::value::Interval;

/// The fields that a declared interval is restricted to: what is finer than the last is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IntervalFields {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    YearToMonth,
    DayToHour,
    DayToMinute,
    DayToSecond,
    HourToMinute,
    HourToSecond,
    MinuteToSecond,
}

impl IntervalFields {
    /// The last field.
    fn last(self) -> Unit {
        match self {
            IntervalFields::Year => Unit::Year,
            IntervalFields::Month | IntervalFields::YearToMonth => Unit::Month,
            IntervalFields::Day => Unit::Day,
            IntervalFields::Hour | IntervalFields::DayToHour => Unit::Hour,
            IntervalFields::Minute | IntervalFields::DayToMinute | IntervalFields::HourToMinute => {
                Unit::Minute
            }
            _ => Unit::Second,
        }
    }
}

/// The sum of what was read; years and months apart, as each must fit an `i32`.
#[derive(Debug, Default)]
pub(super) struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

fn add_i32(target: &mut i32, value: i64, scale: i32) -> Result<(), Fault> {
    let value = i32::try_from(value).ok().and_then(|value| value.checked_mul(scale));
    *target = value.and_then(|value| target.checked_add(value)).ok_or(Fault::FieldRange)?;
    Ok(())
}

impl Sum {
    pub(super) fn add_years(&mut self, value: i64, fraction: f64, scale: i32) -> Result<(), Fault> {
        add_i32(&mut self.years, value, scale)?;
        add_i32(&mut self.months, round_even(fraction * f64::from(scale) * 12.0) as i64, 1)
    }

    pub(super) fn add_months(&mut self, value: i64, fraction: f64) -> Result<(), Fault> {
        add_i32(&mut self.months, value, 1)?;
        self.add_days_fraction(fraction, 30.0)
    }

    pub(super) fn add_weeks(&mut self, value: i64, fraction: f64) -> Result<(), Fault> {
        add_i32(&mut self.days, value, 7)?;
        self.add_days_fraction(fraction, 7.0)
    }

    pub(super) fn add_days(&mut self, value: i64, fraction: f64) -> Result<(), Fault> {
        add_i32(&mut self.days, value, 1)?;
        self.add_micros_fraction(fraction, MICROS_PER_DAY)
    }

    pub(super) fn add_micros(&mut self, value: i64, fraction: f64, scale: i64) -> Result<(), Fault> {
        let micros = value.checked_mul(scale).and_then(|micros| micros.checked_add(self.micros));
        self.micros = micros.ok_or(Fault::FieldRange)?;
        self.add_micros_fraction(fraction, scale)
    }

    fn add_days_fraction(&mut self, fraction: f64, scale: f64) -> Result<(), Fault> {
        let days = fraction * scale;
        add_i32(&mut self.days, days as i64, 1)?;
        self.add_micros_fraction(days - days as i64 as f64, MICROS_PER_DAY)
    }

    fn add_micros_fraction(&mut self, fraction: f64, scale: i64) -> Result<(), Fault> {
        let exact = fraction * scale as f64;
        let mut micros = exact as i64;
        let rest = exact - micros as f64;
        if rest > 0.5 {
            micros += 1;
        } else if rest < -0.5 {
            micros -= 1;
        }
        self.micros = self.micros.checked_add(micros).ok_or(Fault::FieldRange)?;
        Ok(())
    }

    /// Sets the time of day; what was there is lost, as in Postgres.
    fn set_time(&mut self, clock: Clock) -> Result<(), Fault> {
        let rest = Clock { hour: 0, ..clock }.to_micros();
        let hours = clock.hour.checked_mul(MICROS_PER_HOUR);
        self.micros = hours.and_then(|hours| hours.checked_add(rest)).ok_or(Fault::FieldRange)?;
        Ok(())
    }

    fn negate(&mut self) -> Result<(), Fault> {
        for part in [&mut self.years, &mut self.months, &mut self.days] {
            *part = part.checked_neg().ok_or(Fault::FieldRange)?;
        }
        self.micros = self.micros.checked_neg().ok_or(Fault::FieldRange)?;
        Ok(())
    }

    pub(super) fn interval(&self) -> Result<Interval, Fault> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        let months = i32::try_from(months).map_err(|_| Fault::Range)?;
        Ok(Interval::new(months, self.days, self.micros))
    }
}

/// What the number to the left of what was read is.
#[derive(Clone, Copy)]
enum Expected {
    /// The last field of the declared type.
    Last,
    Unit(Unit),
    /// A number must not come next.
    Nothing,
}

struct Reader {
    fields: Option<IntervalFields>,
    sum: Sum,
    expected: Expected,
}

pub(super) fn interval(text: &str, fields: Option<IntervalFields>) -> Result<Interval, Fault> {
    let tokens = tokens(text, INTERVAL_LEN_MAX)?;
    let mut reader = Reader { fields, sum: Sum::default(), expected: Expected::Last };
    let mut seen = 0;
    let mut is_ago = false;
    for token in tokens.iter().rev() {
        let mask = match token.shape {
            Shape::Time => reader.time(&token.text)?,
            Shape::Zone => match reader.signed_time(token) {
                Some(mask) => mask?,
                None => reader.number(&token.text)?,
            },
            Shape::Date | Shape::Number => reader.number(&token.text)?,
            Shape::Word | Shape::Special => {
                is_ago |= reader.word(&token.text)?;
                0
            }
        };
        if mask & seen != 0 {
            return Err(Fault::Syntax);
        }
        seen |= mask;
    }
    if seen == 0 {
        return Err(Fault::Syntax);
    }
    if is_ago {
        reader.sum.negate()?;
    }
    reader.sum.interval()
}

impl Reader {
    fn time(&mut self, text: &str) -> Result<Mask, Fault> {
        let clock = clock(text, self.fields == Some(IntervalFields::MinuteToSecond))?;
        self.sum.set_time(clock)?;
        // A bare number before a time is days.
        self.expected = Expected::Unit(Unit::Day);
        Ok(TIME)
    }

    /// `-04:05`; none if it is something else.
    fn signed_time(&mut self, token: &Token) -> Option<Result<Mask, Fault>> {
        let text = token.text.get(1..).filter(|text| text.contains(':'))?;
        let mask = self.time(text).ok()?;
        if token.text.starts_with('-') {
            match self.sum.micros.checked_neg() {
                Some(micros) => self.sum.micros = micros,
                None => return Some(Err(Fault::FieldRange)),
            }
        }
        Some(Ok(mask))
    }

    fn number(&mut self, text: &str) -> Result<Mask, Fault> {
        let is_negative = text.starts_with('-');
        let (value, rest) = leading_i64(text);
        let mut value = value.ok_or(Fault::FieldRange)?;
        let mut part = 0.0;
        let mut unit = match self.expected {
            Expected::Last => self.fields.map_or(Unit::Second, IntervalFields::last),
            Expected::Unit(unit) => unit,
            Expected::Nothing if rest.starts_with('-') => Unit::Month,
            Expected::Nothing => return Err(Fault::Syntax),
        };
        if let Some(months) = rest.strip_prefix('-') {
            // Years and months of the SQL standard.
            let (months, rest) = leading_i32(months, Fault::FieldRange)?;
            if !(0..12).contains(&months) {
                return Err(Fault::FieldRange);
            }
            if !rest.is_empty() {
                return Err(Fault::Syntax);
            }
            let months = if is_negative { -months } else { months };
            let total = value.checked_mul(12).and_then(|value| value.checked_add(months));
            value = total.ok_or(Fault::FieldRange)?;
            unit = Unit::Month;
        } else if rest.starts_with('.') {
            part = if is_negative { -fraction(rest)? } else { fraction(rest)? };
        } else if !rest.is_empty() {
            return Err(Fault::Syntax);
        }
        self.expected = Expected::Unit(unit);
        self.add(value, part, unit)
    }

    fn add(&mut self, value: i64, part: f64, unit: Unit) -> Result<Mask, Fault> {
        let sum = &mut self.sum;
        Ok(match unit {
            Unit::Microsecond => {
                sum.add_micros(value, part, 1)?;
                MICROSECOND
            }
            Unit::Millisecond => {
                sum.add_micros(value, part, 1000)?;
                MILLISECOND
            }
            Unit::Second => {
                sum.add_micros(value, part, MICROS_PER_SECOND)?;
                if part == 0.0 { SECOND } else { WHOLE_SECOND }
            }
            Unit::Minute => {
                sum.add_micros(value, part, MICROS_PER_MINUTE)?;
                MINUTE
            }
            Unit::Hour => {
                sum.add_micros(value, part, MICROS_PER_HOUR)?;
                self.expected = Expected::Unit(Unit::Day);
                HOUR
            }
            Unit::Day => {
                sum.add_days(value, part)?;
                DAY
            }
            Unit::Week => {
                sum.add_weeks(value, part)?;
                WEEK
            }
            Unit::Month => {
                sum.add_months(value, part)?;
                MONTH
            }
            Unit::Year => {
                sum.add_years(value, part, 1)?;
                YEAR
            }
            Unit::Decade => {
                sum.add_years(value, part, 10)?;
                DECADE
            }
            Unit::Century => {
                sum.add_years(value, part, 100)?;
                CENTURY
            }
            Unit::Millennium => {
                sum.add_years(value, part, 1000)?;
                MILLENNIUM
            }
            _ => return Err(Fault::Syntax),
        })
    }

    /// A unit, or `ago`, which is told.
    fn word(&mut self, text: &str) -> Result<bool, Fault> {
        if is_ago(text) {
            self.expected = Expected::Nothing;
            return Ok(true);
        }
        match interval_unit(text) {
            Some(unit) => self.expected = Expected::Unit(unit),
            None => return Err(Fault::Syntax),
        }
        Ok(false)
    }
}

impl Interval {
    /// The interval as a column of a declared type keeps it.
    pub fn modified(self, modifier: Modifier) -> Interval {
        let mut kept = self;
        if let Some(fields) = modifier.fields {
            let unit = match fields.last() {
                Unit::Year | Unit::Month => i64::MAX,
                Unit::Day => i64::MAX,
                Unit::Hour => MICROS_PER_HOUR,
                Unit::Minute => MICROS_PER_MINUTE,
                _ => 1,
            };
            kept.micros = if unit == i64::MAX { 0 } else { kept.micros / unit * unit };
            if matches!(fields.last(), Unit::Year | Unit::Month) {
                kept.days = 0;
            }
            if fields.last() == Unit::Year {
                kept.months = kept.months / 12 * 12;
            }
        }
        if let Some(precision) = modifier.precision {
            kept.micros = super::round_micros(kept.micros, precision);
        }
        kept
    }
}
