//! Text out, with DateStyle ISO and IntervalStyle postgres.

use core::fmt::{Display, Formatter, Result, Write};

use alloc::string::{String, ToString};

use crate::gregorian::{Civil, Clock, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_SECOND};
use crate::value::{Date, Interval, Time, Timestamp, Timestamptz};
use crate::zone::{Zone, displacement};

fn write_civil(f: &mut impl Write, civil: Civil) -> Result {
    write!(f, "{:04}-{:02}-{:02}", civil.written_year().abs(), civil.month, civil.day)
}

fn write_era(f: &mut impl Write, civil: Civil) -> Result {
    f.write_str(if civil.year > 0 { "" } else { " BC" })
}

/// `SS[.ffffff]` without zeros at its end.
fn write_second(f: &mut impl Write, second: i64, micro: i64) -> Result {
    write!(f, "{second:02}")?;
    if micro == 0 {
        return Ok(());
    }
    let digits = alloc::format!("{micro:06}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

fn write_clock(f: &mut impl Write, clock: Clock) -> Result {
    write!(f, "{:02}:{:02}:", clock.hour, clock.minute)?;
    write_second(f, clock.second, clock.micro)
}

fn infinity(is_positive: bool) -> &'static str {
    if is_positive { "infinity" } else { "-infinity" }
}

impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.is_finite() {
            return f.write_str(infinity(*self == Date::INFINITY));
        }
        write_civil(f, self.civil())?;
        write_era(f, self.civil())
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_clock(f, self.clock())
    }
}

impl Display for Timestamp {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.is_finite() {
            return f.write_str(infinity(*self == Timestamp::INFINITY));
        }
        write_civil(f, self.civil())?;
        f.write_char(' ')?;
        write_clock(f, self.clock())?;
        write_era(f, self.civil())
    }
}

impl Timestamptz {
    /// Date and time on a clock that is `offset` seconds east of UTC.
    pub(crate) fn local(self, offset: i64) -> (Civil, Clock) {
        let local = self.micros() + offset * MICROS_PER_SECOND;
        (
            Civil::from_days(local.div_euclid(MICROS_PER_DAY)),
            Clock::from_micros(local.rem_euclid(MICROS_PER_DAY)),
        )
    }

    /// The time on the clock of a zone, with its offset.
    pub fn to_text(self, zone: &Zone) -> String {
        if !self.is_finite() {
            return infinity(self == Timestamptz::INFINITY).to_string();
        }
        let offset = zone.offset_at(self.micros());
        let (civil, clock) = self.local(offset);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write_civil(&mut text, civil);
        text.push(' ');
        let _ = write_clock(&mut text, clock);
        text.push_str(&displacement(offset));
        let _ = write_era(&mut text, civil);
        text
    }
}

impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut is_first = true;
        let mut is_after_negative = false;
        let parts = [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")];
        for (value, unit) in parts.into_iter().filter(|(value, _)| *value != 0) {
            let space = if is_first { "" } else { " " };
            // A part behind a negative one shows its sign.
            let plus = if is_after_negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            write!(f, "{space}{plus}{value} {unit}{plural}")?;
            is_first = false;
            is_after_negative = value < 0;
        }
        if !is_first && self.micros == 0 {
            return Ok(());
        }
        let space = if is_first { "" } else { " " };
        let sign = match (self.micros < 0, is_after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let micros = self.micros.unsigned_abs();
        let hour = micros / MICROS_PER_HOUR as u64;
        let clock = Clock::from_micros((micros % MICROS_PER_HOUR as u64) as i64);
        write!(f, "{space}{sign}{hour:02}:{:02}:", clock.minute)?;
        write_second(f, clock.second, clock.micro)
    }
}
