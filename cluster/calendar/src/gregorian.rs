//! Days and dates of the proleptic Gregorian calendar, and what ISO 8601 makes of them.
//!
//! Days count from 2000-01-01, years are astronomical (0 is 1 BC). From days to a date and back: Howard Hinnant,
//! "chrono-compatible low-level date algorithms". Good for all days of an `i64` that is not near its ends.

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub(crate) const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
pub(crate) const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// The Julian day number of 2000-01-01.
pub(crate) const JULIAN_EPOCH: i64 = 2_451_545;

/// Days from 1970-01-01 to 2000-01-01.
pub(crate) const UNIX_EPOCH_DAYS: i64 = 10_957;

/// Days of 400 years, after which the calendar and its weekdays repeat.
pub(crate) const DAYS_PER_CYCLE: i64 = 146_097;

/// Days from 0000-03-01, where Hinnant's years begin, to 2000-01-01.
const MARCH_OF_YEAR_ZERO: i64 = 730_425;

/// A date, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Civil {
    /// Astronomical.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
}

/// A time of day, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    /// Microseconds of the second.
    pub micro: i64,
}

impl Civil {
    pub(crate) fn new(year: i64, month: i64, day: i64) -> Civil {
        Civil { year, month, day }
    }

    /// The date that is `days` after 2000-01-01.
    pub(crate) fn from_days(days: i64) -> Civil {
        let shifted = days + MARCH_OF_YEAR_ZERO;
        let era = shifted.div_euclid(DAYS_PER_CYCLE);
        let day_of_era = shifted.rem_euclid(DAYS_PER_CYCLE);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// Days since 2000-01-01. The day may lie outside its month.
    pub(crate) fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted_month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_CYCLE + day_of_era - MARCH_OF_YEAR_ZERO
    }

    /// The year as people write it: no year 0, 1 BC is -1.
    pub(crate) fn written_year(self) -> i64 {
        if self.year > 0 { self.year } else { self.year - 1 }
    }

    /// From 1.
    pub(crate) fn day_of_year(self) -> i64 {
        self.to_days() - Civil::new(self.year, 1, 1).to_days() + 1
    }

    /// The year and the week that ISO 8601 puts the date in; the year is astronomical. It is the date's own or one beside
    /// it, even for the fields of an interval, which are no date: Postgres's numbers for these mean nothing, but they are
    /// the same.
    pub(crate) fn iso_week(self) -> (i64, i64) {
        let days = self.to_days();
        let year = self.year - i64::from(days < iso_year_start(self.year));
        let week_of = |year| (days - iso_year_start(year)) / 7 + 1;
        if week_of(year) >= 52 && days >= iso_year_start(self.year + 1) {
            (self.year + 1, week_of(self.year + 1))
        } else {
            (year, week_of(year))
        }
    }

    /// The date moved by `months`, held in the month it comes to: 31 January + 1 month is the last of February.
    pub(crate) fn add_months(self, months: i64) -> Civil {
        let total = self.year * 12 + self.month - 1 + months;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        Civil { year, month, day: self.day.min(days_in_month(year, month)) }
    }
}

impl Clock {
    /// The time that is `micros` after midnight.
    pub(crate) fn from_micros(micros: i64) -> Clock {
        Clock {
            hour: micros / MICROS_PER_HOUR,
            minute: micros / MICROS_PER_MINUTE % 60,
            second: micros / MICROS_PER_SECOND % 60,
            micro: micros % MICROS_PER_SECOND,
        }
    }

    /// Microseconds since midnight.
    pub(crate) fn to_micros(self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * MICROS_PER_SECOND + self.micro
    }
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// `month` from 1.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// 0 is Sunday.
pub(crate) fn weekday(days: i64) -> i64 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7)
}

/// 1 is Monday, 7 is Sunday.
pub(crate) fn iso_weekday(days: i64) -> i64 {
    (days + 5).rem_euclid(7) + 1
}

/// The day on which the ISO year begins: the Monday of the week with 4 January in it.
pub(crate) fn iso_year_start(year: i64) -> i64 {
    let fourth = Civil::new(year, 1, 4).to_days();
    fourth - iso_weekday(fourth) + 1
}
