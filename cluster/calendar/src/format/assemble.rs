//! From the fields of a text to a date and a time, as `to_timestamp` puts them together: contradictions are not noticed,
//! the more exact field wins, and what is not said is the first.

use alloc::format;
use alloc::string::String;

use super::read::read;
use crate::error::{Error, Kind};
use crate::gregorian::{
    Civil, Clock, JULIAN_EPOCH, MICROS_PER_DAY, MICROS_PER_SECOND, days_in_month, iso_year_start,
};
use crate::value::{Date, Timestamptz};
use crate::zone::{DISPLACEMENT_HOURS_MAX, Zone};

/// A calendar that fields belong to; those of a template belong to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    Gregorian,
    IsoWeek,
}

/// The values of the fields; 0 is none, as in Postgres.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub second_of_day: i32,
    pub millis: i32,
    pub micros: i32,
    /// The clock has 12 hours.
    pub is_half_day: bool,
    pub pm: i32,
    pub bc: i32,
    pub year: i32,
    /// Digits of the year.
    pub year_width: u8,
    pub century: i32,
    pub month: i32,
    pub day: i32,
    pub day_of_year: i32,
    /// Sunday is 1.
    pub weekday: i32,
    pub week: i32,
    pub week_of_month: i32,
    pub julian: i32,
    /// The sign of the zone's offset.
    pub zone_sign: i32,
    pub zone_hour: i32,
    pub zone_minute: i32,
    pub convention: Option<Convention>,
}

/// A date and a time.
struct Assembled {
    civil: Civil,
    clock: Clock,
    /// Seconds east of UTC, if a zone is given.
    offset: Option<i64>,
}

/// Whether a field was given: 0 is none.
fn is_set(value: i32) -> bool {
    value != 0
}

impl Values {
    fn assemble(mut self, text: &str) -> Result<Assembled, Error> {
        let out_of_range = || Error::FieldRange(text.into());
        let clock = self.clock()?;
        let (mut civil, mut is_checked) = (Civil::new(0, 1, 1), false);
        if let Some(year) = self.year() {
            civil.year = year;
            is_checked = true;
        }
        if is_set(self.julian) {
            civil = Civil::from_days(i64::from(self.julian) - JULIAN_EPOCH);
            is_checked = true;
        }
        if is_set(self.week) && self.convention == Some(Convention::IsoWeek) {
            let monday = iso_year_start(civil.year) + (i64::from(self.week) - 1) * 7;
            // Sunday, the first day of other weeks, is the last of this.
            let day = match self.weekday {
                0 => 0,
                day @ 2.. => i64::from(day) - 2,
                _ => 6,
            };
            civil = Civil::from_days(monday + day);
            is_checked = true;
        } else if is_set(self.week) {
            self.day_of_year = self.week.saturating_sub(1).saturating_mul(7).saturating_add(1);
        }
        if is_set(self.week_of_month) {
            self.day = self.week_of_month.saturating_sub(1).saturating_mul(7).saturating_add(1);
        }
        if is_set(self.day) {
            civil.day = self.day.into();
            is_checked = true;
        }
        if is_set(self.month) {
            civil.month = self.month.into();
            is_checked = true;
        }
        if is_set(self.day_of_year) && (civil.month <= 1 || civil.day <= 1) {
            civil = self.with_day_of_year(civil)?;
            is_checked = true;
        }
        let fits = (1..=12).contains(&civil.month)
            && (1..=days_in_month(civil.year, civil.month)).contains(&civil.day);
        if is_checked && !fits {
            return Err(out_of_range());
        }
        let Clock { hour, minute, second, micro } = clock;
        let is_clock = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..MICROS_PER_SECOND).contains(&micro);
        if !is_clock {
            return Err(out_of_range());
        }
        Ok(Assembled { civil, clock, offset: self.offset(text)? })
    }

    fn clock(&self) -> Result<Clock, Error> {
        let of_day = i64::from(self.second_of_day);
        let mut clock =
            Clock { hour: of_day / 3600, minute: of_day / 60 % 60, second: of_day % 60, micro: 0 };
        for (field, value) in
            [(&mut clock.hour, self.hour), (&mut clock.minute, self.minute), (&mut clock.second, self.second)]
        {
            if is_set(value) {
                *field = value.into();
            }
        }
        if self.is_half_day {
            if !(1..=12).contains(&clock.hour) {
                let hour = clock.hour;
                return Err(Error::Template(format!("hour \"{hour}\" is invalid for the 12-hour clock")));
            }
            clock.hour = clock.hour % 12 + if self.pm != 0 { 12 } else { 0 };
        }
        clock.micro = i64::from(self.millis) * 1000 + i64::from(self.micros);
        Ok(clock)
    }

    /// The astronomical year of year and century.
    fn year(&self) -> Option<i64> {
        let century = i64::from(self.century) * if self.bc != 0 { -1 } else { 1 };
        if is_set(self.year) {
            if is_set(self.century) && self.year_width <= 2 {
                // The year counts in its century, which ends with the year 00.
                return Some(match i64::from(self.year) % 100 {
                    0 => century * 100 + i64::from(century < 0),
                    year if century >= 0 => year + (century - 1) * 100,
                    year => (century + 1) * 100 - year + 1,
                });
            }
            let year = i64::from(self.year) * if self.bc != 0 { -1 } else { 1 };
            return Some(if year < 0 { year + 1 } else { year });
        }
        is_set(self.century).then(|| if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 })
    }

    /// The date whose month or day is that of the day of the year.
    fn with_day_of_year(&self, civil: Civil) -> Result<Civil, Error> {
        if civil.year == 0 && self.bc == 0 {
            let text = "cannot calculate day of year without year information";
            return Err(Error::Template(text.into()));
        }
        let of_year = i64::from(self.day_of_year);
        if self.convention == Some(Convention::IsoWeek) {
            return Ok(Civil::from_days(iso_year_start(civil.year) - 1 + of_year));
        }
        let (mut month, mut day) = (1, of_year);
        while month <= 12 && day > days_in_month(civil.year, month) {
            day -= days_in_month(civil.year, month);
            month += 1;
        }
        Ok(Civil {
            year: civil.year,
            month: if civil.month <= 1 { month } else { civil.month },
            day: if civil.day <= 1 { day } else { civil.day },
        })
    }

    fn offset(&self, text: &str) -> Result<Option<i64>, Error> {
        if self.zone_sign == 0 {
            return Ok(None);
        }
        let (hour, minute) = (i64::from(self.zone_hour), i64::from(self.zone_minute));
        if !(0..=DISPLACEMENT_HOURS_MAX).contains(&hour) || !(0..60).contains(&minute) {
            return Err(Error::DisplacementRange(String::from(text)));
        }
        Ok(Some(i64::from(self.zone_sign) * (hour * 3600 + minute * 60)))
    }
}

impl Date {
    /// `to_date(text, template)`
    pub fn parse_as(text: &str, template: &str) -> Result<Date, Error> {
        let civil = read(text, template)?.assemble(text)?.civil;
        Date::finite(civil.to_days()).ok_or_else(|| Error::TextRange(Kind::Date, text.into()))
    }
}

impl Timestamptz {
    /// `to_timestamp(text, template)`, on the session's clock unless TZH says otherwise.
    pub fn parse_as(text: &str, template: &str, zone: &Zone) -> Result<Timestamptz, Error> {
        let Assembled { civil, clock, offset } = read(text, template)?.assemble(text)?;
        let midnight = civil.to_days().checked_mul(MICROS_PER_DAY);
        let local = midnight.and_then(|midnight| midnight.checked_add(clock.to_micros()));
        let utc = local.and_then(|local| {
            let offset = offset.unwrap_or_else(|| zone.offset_of_local(local));
            local.checked_sub(offset * MICROS_PER_SECOND)
        });
        Timestamptz::checked(utc)
    }
}
