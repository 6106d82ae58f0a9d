//! Sums, differences and conversions of dates, times and timestamps.

use crate::error::{Error, Kind};
use crate::gregorian::{Civil, MICROS_PER_DAY, MICROS_PER_SECOND, days_in_month};
use crate::parse::UNIX_EPOCH;
use crate::value::{Date, Interval, Time, Timestamp, Timestamptz};
use crate::zone::Zone;

impl Date {
    /// `date + integer`
    pub fn checked_add_days(self, days: i32) -> Result<Date, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        Date::finite(i64::from(self.days()) + i64::from(days)).ok_or(Error::Range(Kind::Date))
    }

    /// `date - integer`
    pub fn checked_sub_days(self, days: i32) -> Result<Date, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        Date::finite(i64::from(self.days()) - i64::from(days)).ok_or(Error::Range(Kind::Date))
    }

    /// `date - date`, in days.
    pub fn days_since(self, other: Date) -> Result<i32, Error> {
        if !self.is_finite() || !other.is_finite() {
            return Err(Error::InfiniteDates);
        }
        // Dates reach over 2147483494 days.
        Ok(self.days() - other.days())
    }

    /// Midnight of the date; `date + interval` is that of the timestamp.
    pub fn to_timestamp(self) -> Result<Timestamp, Error> {
        self.at(0)
    }

    /// `date + time`
    pub fn checked_add_time(self, time: Time) -> Result<Timestamp, Error> {
        self.at(time.micros())
    }

    fn at(self, micros: i64) -> Result<Timestamp, Error> {
        match self {
            Date::INFINITY => Ok(Timestamp::INFINITY),
            Date::MINUS_INFINITY => Ok(Timestamp::MINUS_INFINITY),
            _ => {
                let midnight = Timestamp::finite(i64::from(self.days()).saturating_mul(MICROS_PER_DAY));
                Timestamp::finite(midnight.map_err(|_| Error::DateForTimestamp)?.micros() + micros)
            }
        }
    }

    /// Midnight of the date in a zone.
    pub fn to_timestamptz(self, zone: &Zone) -> Result<Timestamptz, Error> {
        let midnight = self.to_timestamp()?;
        midnight.to_timestamptz(zone).map_err(|_| Error::DateForTimestamp)
    }

    /// How the date compares with a timestamp, which may lie beyond all timestamps.
    pub fn compare_timestamp(self, other: Timestamp) -> core::cmp::Ordering {
        match self.to_timestamp() {
            Ok(timestamp) => timestamp.cmp(&other),
            // Too late for a timestamp, and yet before infinity.
            Err(_) if other == Timestamp::INFINITY => core::cmp::Ordering::Less,
            Err(_) => core::cmp::Ordering::Greater,
        }
    }
}

impl Time {
    /// `time + interval`: the clock goes round; months and days do not matter.
    pub fn plus(self, interval: Interval) -> Time {
        Time::wrapped(self.micros() + interval.micros % MICROS_PER_DAY)
    }

    /// `time - interval`
    pub fn minus(self, interval: Interval) -> Time {
        Time::wrapped(self.micros() - interval.micros % MICROS_PER_DAY)
    }

    /// `time - time`
    pub fn since(self, other: Time) -> Interval {
        Interval::new(0, 0, self.micros() - other.micros())
    }

    /// `time::interval`
    pub fn to_interval(self) -> Interval {
        Interval::new(0, 0, self.micros())
    }
}

impl Interval {
    /// `interval::time`: what is left beside whole days.
    pub fn to_time(self) -> Time {
        Time::wrapped(self.micros)
    }
}

/// Date and microseconds of the day, moved by an interval's months and days: months first, held in the month they come
/// to.
fn moved(civil: Civil, interval: Interval) -> Civil {
    let civil = if interval.months == 0 { civil } else { civil.add_months(i64::from(interval.months)) };
    if interval.days == 0 { civil } else { Civil::from_days(civil.to_days() + i64::from(interval.days)) }
}

/// What clocks show, taken from each other field by field; negative if the first time is the earlier.
fn age(one: Timestamp, other: Timestamp, is_negative: bool) -> Interval {
    let (later, earlier) = if is_negative { (other, one) } else { (one, other) };
    let (to, from) = (later.civil(), earlier.civil());
    let mut micros = later.clock().to_micros() - earlier.clock().to_micros();
    let mut days = to.day - from.day;
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    // A month that is not full lends its days: that of the earlier time.
    while days < 0 {
        days += days_in_month(from.year, from.month);
        months -= 1;
    }
    let sign = if is_negative { -1 } else { 1 };
    Interval::new((months as i32) * sign, (days as i32) * sign, micros * i64::from(sign))
}

impl Timestamp {
    /// `timestamp + interval`: months, then days, then time.
    pub fn checked_add(self, interval: Interval) -> Result<Timestamp, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        let micros_of_day = self.micros().rem_euclid(MICROS_PER_DAY);
        // Each step must stay in range.
        let months = moved(self.civil(), Interval { days: 0, ..interval });
        let midway = Timestamp::from_parts(months, micros_of_day)?;
        let days = moved(midway.civil(), Interval { months: 0, ..interval });
        let midway = Timestamp::from_parts(days, micros_of_day)?;
        Timestamp::checked(midway.micros().checked_add(interval.micros))
    }

    /// `timestamp - interval`
    pub fn checked_sub(self, interval: Interval) -> Result<Timestamp, Error> {
        self.checked_add(interval.checked_neg().map_err(|_| Error::Range(Kind::Timestamp))?)
    }

    /// `timestamp - timestamp`, in days and time.
    pub fn since(self, other: Timestamp) -> Result<Interval, Error> {
        if !self.is_finite() || !other.is_finite() {
            return Err(Error::InfiniteTimestamps);
        }
        let micros = self.micros().checked_sub(other.micros()).ok_or(Error::Range(Kind::Interval))?;
        Interval::new(0, 0, micros).justify_hours()
    }

    /// `age(timestamp, timestamp)`: years, months, days and time as people count them.
    pub fn age(self, other: Timestamp) -> Result<Interval, Error> {
        if !self.is_finite() || !other.is_finite() {
            return Err(Error::Range(Kind::Timestamp));
        }
        Ok(age(self, other, self < other))
    }

    /// `timestamp::date`
    pub fn to_date(self) -> Date {
        match self {
            Timestamp::INFINITY => Date::INFINITY,
            Timestamp::MINUS_INFINITY => Date::MINUS_INFINITY,
            _ => Date::finite(self.micros().div_euclid(MICROS_PER_DAY)).unwrap_or(Date::INFINITY),
        }
    }

    /// `timestamp::time`; NULL if it is infinite.
    pub fn to_time(self) -> Option<Time> {
        self.is_finite().then(|| Time::wrapped(self.micros()))
    }

    /// `timestamp AT TIME ZONE zone`: the time when the zone's clock shows this.
    pub fn to_timestamptz(self, zone: &Zone) -> Result<Timestamptz, Error> {
        match self {
            Timestamp::INFINITY => Ok(Timestamptz::INFINITY),
            Timestamp::MINUS_INFINITY => Ok(Timestamptz::MINUS_INFINITY),
            _ => {
                let offset = zone.offset_of_local(self.micros()) * MICROS_PER_SECOND;
                Timestamptz::checked(self.micros().checked_sub(offset))
            }
        }
    }
}

impl Timestamptz {
    /// `timestamptz + interval`: months and days on the zone's clock, the time as it passes.
    pub fn checked_add(self, interval: Interval, zone: &Zone) -> Result<Timestamptz, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        let mut moment = self;
        for step in [Interval::new(interval.months, 0, 0), Interval::new(0, interval.days, 0)] {
            if step.months != 0 || step.days != 0 {
                moment = moment.to_timestamp(zone)?.checked_add(step)?.to_timestamptz(zone)?;
            }
        }
        Timestamptz::checked(moment.micros().checked_add(interval.micros))
    }

    /// `timestamptz - interval`
    pub fn checked_sub(self, interval: Interval, zone: &Zone) -> Result<Timestamptz, Error> {
        self.checked_add(interval.checked_neg().map_err(|_| Error::Range(Kind::Timestamptz))?, zone)
    }

    /// `timestamptz - timestamptz`, in days of 24 hours and time.
    pub fn since(self, other: Timestamptz) -> Result<Interval, Error> {
        if !self.is_finite() || !other.is_finite() {
            return Err(Error::InfiniteTimestamps);
        }
        let micros = self.micros().checked_sub(other.micros()).ok_or(Error::Range(Kind::Interval))?;
        Interval::new(0, 0, micros).justify_hours()
    }

    /// `age(timestamptz, timestamptz)`, on the zone's clock.
    pub fn age(self, other: Timestamptz, zone: &Zone) -> Result<Interval, Error> {
        if !self.is_finite() || !other.is_finite() {
            return Err(Error::Range(Kind::Timestamp));
        }
        Ok(age(self.to_timestamp(zone)?, other.to_timestamp(zone)?, self < other))
    }

    /// `timestamptz AT TIME ZONE zone`: what the zone's clock shows.
    pub fn to_timestamp(self, zone: &Zone) -> Result<Timestamp, Error> {
        match self {
            Timestamptz::INFINITY => Ok(Timestamp::INFINITY),
            Timestamptz::MINUS_INFINITY => Ok(Timestamp::MINUS_INFINITY),
            _ => {
                let offset = zone.offset_at(self.micros()) * MICROS_PER_SECOND;
                Timestamp::checked(self.micros().checked_add(offset))
            }
        }
    }

    /// The time that is so many microseconds after 1970-01-01 00:00:00 UTC.
    pub fn from_unix_micros(micros: i64) -> Result<Timestamptz, Error> {
        Timestamptz::checked(micros.checked_add(UNIX_EPOCH))
    }

    /// Microseconds since 1970-01-01 00:00:00 UTC; infinities stay the extremes.
    pub fn unix_micros(self) -> i64 {
        if self.is_finite() { self.micros().saturating_sub(UNIX_EPOCH) } else { self.micros() }
    }
}
