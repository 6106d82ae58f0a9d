//! The five types: what they hold and how far they reach.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use crate::error::{Error, Kind};
use crate::gregorian::{Civil, Clock, JULIAN_EPOCH, MICROS_PER_DAY};
use crate::zone::Zone;

/// The first day: 24 November 4714 BC, Julian day 0.
const DAYS_MIN: i64 = -JULIAN_EPOCH;

/// The first day after the last, 31 December 5874897.
const DAYS_END: i64 = 2_147_483_494 - JULIAN_EPOCH;

/// The first timestamp: midnight of the first day.
const MICROS_MIN: i64 = DAYS_MIN * MICROS_PER_DAY;

/// The first timestamp after the last: midnight of 1 January 294277.
const MICROS_END: i64 = 106_751_983 * MICROS_PER_DAY;

/// A `date`: days since 2000-01-01, from 4714 BC to 5874897, or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

/// A `time`: microseconds since midnight; 24:00:00 is a time, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// A `timestamp`: microseconds since 2000-01-01 00:00:00 on a clock without a zone, from 4714 BC to 294276, or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A `timestamptz`: microseconds since 2000-01-01 00:00:00 UTC, from 4714 BC to 294276, or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamptz(i64);

/// An `interval`. Months and days have no fixed length, so they are kept apart. For comparison, and only there, a month
/// is 30 days and a day 24 hours: two intervals may be equal and yet be printed differently.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// What a session adds to the meaning of texts and sums.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// The setting `TimeZone`.
    pub zone: &'a Zone,
    /// When the transaction began.
    pub now: Timestamptz,
}

impl Date {
    /// `infinity`
    pub const INFINITY: Date = Date(i32::MAX);
    /// `-infinity`
    pub const MINUS_INFINITY: Date = Date(i32::MIN);

    /// The date that is `days` after 2000-01-01; the extremes of `i32` are infinite.
    pub fn from_days(days: i32) -> Result<Date, Error> {
        let date = Date(days);
        if !date.is_finite() || (DAYS_MIN..DAYS_END).contains(&i64::from(days)) {
            Ok(date)
        } else {
            Err(Error::Range(Kind::Date))
        }
    }

    /// As `from_days`, for a finite date.
    pub(crate) fn finite(days: i64) -> Option<Date> {
        (DAYS_MIN..DAYS_END).contains(&days).then_some(Date(days as i32))
    }

    /// Days since 2000-01-01.
    pub fn days(self) -> i32 {
        self.0
    }

    /// `isfinite`
    pub fn is_finite(self) -> bool {
        self != Date::INFINITY && self != Date::MINUS_INFINITY
    }

    pub(crate) fn civil(self) -> Civil {
        Civil::from_days(i64::from(self.0))
    }
}

impl Time {
    /// The time that is `micros` after midnight, at most 24 hours.
    pub fn from_micros(micros: i64) -> Result<Time, Error> {
        if (0..=MICROS_PER_DAY).contains(&micros) { Ok(Time(micros)) } else { Err(Error::Range(Kind::Time)) }
    }

    /// The time on the clock `micros` from some midnight.
    pub(crate) fn wrapped(micros: i64) -> Time {
        Time(micros.rem_euclid(MICROS_PER_DAY))
    }

    /// Microseconds since midnight.
    pub fn micros(self) -> i64 {
        self.0
    }

    pub(crate) fn clock(self) -> Clock {
        Clock::from_micros(self.0)
    }
}

/// What both timestamps share: range, infinities, and the fields of the clock.
macro_rules! timestamp {
    ($name:ident, $kind:expr) => {
        impl $name {
            /// `infinity`
            pub const INFINITY: $name = $name(i64::MAX);
            /// `-infinity`
            pub const MINUS_INFINITY: $name = $name(i64::MIN);

            /// From microseconds since 2000-01-01; the extremes of `i64` are infinite.
            pub fn from_micros(micros: i64) -> Result<$name, Error> {
                let value = $name(micros);
                if value.is_finite() { $name::finite(micros) } else { Ok(value) }
            }

            /// As `from_micros`, for a finite value.
            pub(crate) fn finite(micros: i64) -> Result<$name, Error> {
                if (MICROS_MIN..MICROS_END).contains(&micros) {
                    Ok($name(micros))
                } else {
                    Err(Error::Range($kind))
                }
            }

            /// As `finite`; none where the sum left the integers, too.
            pub(crate) fn checked(micros: Option<i64>) -> Result<$name, Error> {
                $name::finite(micros.ok_or(Error::Range($kind))?)
            }

            /// Microseconds since 2000-01-01.
            pub fn micros(self) -> i64 {
                self.0
            }

            /// `isfinite`
            pub fn is_finite(self) -> bool {
                self != $name::INFINITY && self != $name::MINUS_INFINITY
            }
        }
    };
}

timestamp!(Timestamp, Kind::Timestamp);
timestamp!(Timestamptz, Kind::Timestamptz);

impl Timestamp {
    pub(crate) fn civil(self) -> Civil {
        Civil::from_days(self.0.div_euclid(MICROS_PER_DAY))
    }

    pub(crate) fn clock(self) -> Clock {
        Clock::from_micros(self.0.rem_euclid(MICROS_PER_DAY))
    }

    /// From a date and microseconds of the day, which may be 24 hours or, as in texts, even more.
    pub(crate) fn from_parts(civil: Civil, micros_of_day: i64) -> Result<Timestamp, Error> {
        let midnight = civil.to_days().checked_mul(MICROS_PER_DAY);
        Timestamp::checked(midnight.and_then(|midnight| midnight.checked_add(micros_of_day)))
    }
}

impl Interval {
    /// An interval of its three parts.
    pub const fn new(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    /// How long it is if a month has 30 days and a day 24 hours, in microseconds.
    pub(crate) fn span(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.span() == other.span()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> Ordering {
        self.span().cmp(&other.span())
    }
}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.span().hash(state);
    }
}

/// `(start1, end1) OVERLAPS (start2, end2)`: whether two periods share a time; `None` is NULL. The ends of a period may
/// be given in either order, and a period without length is its one point.
pub fn overlaps<T: Ord + Copy>(
    start1: Option<T>,
    end1: Option<T>,
    start2: Option<T>,
    end2: Option<T>,
) -> Option<bool> {
    let (start1, end1) = period(start1, end1)?;
    let (start2, end2) = period(start2, end2)?;
    // The period that begins first must reach the beginning of the other; where it does not end is not known.
    let reaches = |end: Option<T>, other_start: T, other_end: Option<T>| match end {
        Some(end) if other_start < end => Some(true),
        None => None,
        Some(_) => other_end.map(|_| false),
    };
    match start1.cmp(&start2) {
        Ordering::Greater => reaches(end2, start1, end1),
        Ordering::Less => reaches(end1, start2, end2),
        Ordering::Equal => (end1.is_some() && end2.is_some()).then_some(true),
    }
}

/// The ends of a period in order; the first is known if one is.
fn period<T: Ord + Copy>(start: Option<T>, end: Option<T>) -> Option<(T, Option<T>)> {
    match (start, end) {
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
        (Some(known), None) | (None, Some(known)) => Some((known, None)),
        (None, None) => None,
    }
}
