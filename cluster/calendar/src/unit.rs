//! Units of time, as `extract`, `date_trunc` and texts name them.

use crate::parse::{calendar_unit, interval_unit};

/// A field of a date, a time or an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Seconds and their fraction, in millionths.
    Microsecond,
    /// Seconds and their fraction, in thousandths.
    Millisecond,
    /// Seconds and their fraction.
    Second,
    /// Minutes of the hour.
    Minute,
    /// Hours of the day.
    Hour,
    /// Days of the month.
    Day,
    /// Weeks of ISO 8601.
    Week,
    /// Months of the year.
    Month,
    /// Quarters of the year.
    Quarter,
    /// Years, without a year 0.
    Year,
    /// Years by ten.
    Decade,
    /// Years by hundreds, from 1.
    Century,
    /// Years by thousands, from 1.
    Millennium,
    /// The year of ISO 8601.
    IsoYear,
    /// Day of the week, Sunday is 0.
    Dow,
    /// Day of the week, Sunday is 7.
    IsoDow,
    /// Day of the year, from 1.
    Doy,
    /// Julian days.
    Julian,
    /// Seconds since 1970, or of an interval.
    Epoch,
    /// Offset from UTC in seconds.
    Timezone,
    /// Hours of the offset.
    TimezoneHour,
    /// Minutes of the offset.
    TimezoneMinute,
}

impl Unit {
    /// The unit of a name in any case, as `extract` takes it: `hour`, `hours`, `h`, `doy`, `epoch`.
    pub fn of_extract(name: &str) -> Option<Unit> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "epoch" => Some(Unit::Epoch),
            name => interval_unit(name).or_else(|| calendar_unit(name)),
        }
    }

    /// The unit of a name in any case, as `date_trunc` takes it: not the days of weeks and years.
    pub fn of_truncation(name: &str) -> Option<Unit> {
        interval_unit(&name.to_ascii_lowercase())
    }
}
