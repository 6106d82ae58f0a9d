//! Values made of numbers, and `AT TIME ZONE` with the zone as text or as an interval.

use alloc::format;
use alloc::string::{String, ToString};

use crate::abbreviation::{Abbreviation, abbreviation};
use crate::error::{Error, Kind};
use crate::float::{fits_i64, general, round_even};
use crate::gregorian::{
    Civil, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, SECONDS_PER_DAY, UNIX_EPOCH_DAYS,
    days_in_month,
};
use crate::parse::{Fault, displacement};
use crate::value::{Date, Interval, Time, Timestamp, Timestamptz};
use crate::zone::Zone;

/// The fields of a date, of which a negative year is BC.
fn civil(year: i32, month: i32, day: i32) -> Result<Civil, Error> {
    let astronomical = if year < 0 { i64::from(year) + 1 } else { i64::from(year) };
    let civil = Civil::new(astronomical, i64::from(month), i64::from(day));
    let fits = year != 0
        && (1..=12).contains(&month)
        && (1..=days_in_month(civil.year, civil.month)).contains(&civil.day);
    if fits { Ok(civil) } else { Err(Error::DateFields(year, month, day)) }
}

/// A second as messages have it: two digits at least.
fn second_text(second: f64) -> String {
    format!("{:0>2}", general(second))
}

impl Date {
    /// `make_date`
    pub fn make(year: i32, month: i32, day: i32) -> Result<Date, Error> {
        // Postgres's messages tell years BC by their astronomical number here.
        let told = if year < 0 && year != i32::MIN { year + 1 } else { year };
        let civil = civil(year, month, day).map_err(|_| Error::DateFields(told, month, day))?;
        let days = civil.to_days();
        let text = || format!("{told}-{month:02}-{day:02}");
        Date::finite(days).ok_or_else(|| Error::FieldsRange(Kind::Date, text()))
    }
}

impl Time {
    /// `make_time`
    pub fn make(hour: i32, minute: i32, second: f64) -> Result<Time, Error> {
        let micros = round_even(second * MICROS_PER_SECOND as f64);
        let fits = (0..=24).contains(&hour)
            && (0..60).contains(&minute)
            && (0.0..=MICROS_PER_MINUTE as f64).contains(&micros);
        let fields = || Error::TimeFields(hour, minute, second_text(second));
        if !fits {
            return Err(fields());
        }
        let whole = i64::from(hour) * MICROS_PER_HOUR + i64::from(minute) * MICROS_PER_MINUTE;
        Time::from_micros(whole + micros as i64).map_err(|_| fields())
    }
}

impl Timestamp {
    /// `make_timestamp`
    pub fn make(
        year: i32,
        month: i32,
        day: i32,
        hour: i32,
        minute: i32,
        second: f64,
    ) -> Result<Timestamp, Error> {
        let civil = civil(year, month, day)?;
        if Date::finite(civil.to_days()).is_none() {
            return Err(Error::FieldsRange(Kind::Date, format!("{year}-{month:02}-{day:02}")));
        }
        let time = Time::make(hour, minute, second)?;
        let text = || format!("{year}-{month:02}-{day:02} {hour}:{minute:02}:{}", second_text(second));
        Timestamp::from_parts(civil, time.micros()).map_err(|_| Error::FieldsRange(Kind::Timestamp, text()))
    }

    /// `timestamp AT TIME ZONE text`: a name, an abbreviation, a POSIX rule.
    pub fn at_zone_named(self, name: &str) -> Result<Timestamptz, Error> {
        if !self.is_finite() {
            // As in Postgres, the zone need not exist.
            return self.to_timestamptz(&Zone::utc());
        }
        Place::named(name)?.to_timestamptz(self)
    }

    /// `timestamp AT TIME ZONE interval`: so far east of UTC.
    pub fn at_offset(self, offset: Interval) -> Result<Timestamptz, Error> {
        Place::Offset(offset_seconds(offset)?).to_timestamptz(self)
    }
}

impl Timestamptz {
    /// `make_timestamptz` with a zone: its offset (`+02:30`), abbreviation or name. (Without, it is make_timestamp on the
    /// session's clock.)
    pub fn make_at(timestamp: Timestamp, zone: &str) -> Result<Timestamptz, Error> {
        if zone.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Error::NumericZoneSyntax(zone.into()));
        }
        match displacement(zone) {
            Ok(seconds) => Place::Offset(seconds).to_timestamptz(timestamp),
            Err(Fault::Displacement) => Err(Error::NumericZoneRange(zone.into())),
            Err(_) => timestamp.at_zone_named(zone),
        }
    }

    /// `to_timestamp(double precision)`: seconds since 1970-01-01 00:00:00 UTC.
    pub fn from_unix_seconds(seconds: f64) -> Result<Timestamptz, Error> {
        if seconds.is_nan() {
            return Err(Error::NotANumber);
        }
        if seconds.is_infinite() {
            return Ok(if seconds > 0.0 { Timestamptz::INFINITY } else { Timestamptz::MINUS_INFINITY });
        }
        let since_epoch = seconds - (UNIX_EPOCH_DAYS * SECONDS_PER_DAY) as f64;
        let micros = round_even(since_epoch * MICROS_PER_SECOND as f64);
        let out_of_range = || Error::TextRange(Kind::Timestamptz, general(seconds));
        if !fits_i64(micros) {
            return Err(out_of_range());
        }
        Timestamptz::finite(micros as i64).map_err(|_| out_of_range())
    }

    /// `timestamptz AT TIME ZONE text`
    pub fn at_zone_named(self, name: &str) -> Result<Timestamp, Error> {
        if !self.is_finite() {
            return self.to_timestamp(&Zone::utc());
        }
        Place::named(name)?.to_timestamp(self)
    }

    /// `timestamptz AT TIME ZONE interval`
    pub fn at_offset(self, offset: Interval) -> Result<Timestamp, Error> {
        Place::Offset(offset_seconds(offset)?).to_timestamp(self)
    }

    /// `date_trunc(unit, timestamptz, text)`
    pub fn truncate_at(self, unit: &str, zone: &str) -> Result<Timestamptz, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        match Place::named(zone)? {
            Place::Zone(zone) | Place::Abbreviation(zone, _) => self.truncate(unit, &zone),
            Place::Offset(seconds) => {
                let zone = Zone::fixed(seconds).ok_or_else(|| Error::UnknownZone(zone.into()))?;
                self.truncate(unit, &zone)
            }
        }
    }
}

impl Interval {
    /// `make_interval`. Where Postgres 15 overflows silently, this is an error.
    pub fn make(
        [years, months, weeks, days, hours, minutes]: [i32; 6],
        seconds: f64,
    ) -> Result<Interval, Error> {
        let overflow = Error::Range(Kind::Interval);
        let months = i32::try_from(i64::from(years) * 12 + i64::from(months));
        let days = i32::try_from(i64::from(weeks) * 7 + i64::from(days));
        let micros = round_even(seconds * MICROS_PER_SECOND as f64);
        let whole = i64::from(hours) * MICROS_PER_HOUR + i64::from(minutes) * MICROS_PER_MINUTE;
        match (months, days) {
            (Ok(months), Ok(days)) if fits_i64(micros) => {
                let micros = whole.checked_add(micros as i64).ok_or(overflow)?;
                Ok(Interval::new(months, days, micros))
            }
            _ => Err(overflow),
        }
    }
}

/// Seconds east of UTC that an interval is.
fn offset_seconds(offset: Interval) -> Result<i64, Error> {
    if offset.months != 0 || offset.days != 0 {
        return Err(Error::IntervalZone(offset.to_string()));
    }
    Ok(offset.micros / MICROS_PER_SECOND)
}

/// What a text behind `AT TIME ZONE` is.
enum Place {
    /// Seconds east of UTC.
    Offset(i64),
    Zone(Zone),
    /// A zone, and the abbreviation of which its offset is meant.
    Abbreviation(Zone, String),
}

impl Place {
    /// Abbreviations come before names: `EST` is winter time all year.
    fn named(name: &str) -> Result<Place, Error> {
        let unknown = || Error::UnknownZone(name.into());
        match abbreviation(&name.to_ascii_lowercase()) {
            Some(Abbreviation::Standard(seconds) | Abbreviation::Summer(seconds)) => {
                Ok(Place::Offset(seconds))
            }
            Some(Abbreviation::Zone(zone)) => {
                let zone = Zone::named(zone).ok_or_else(unknown)?;
                Ok(Place::Abbreviation(zone, name.to_ascii_uppercase()))
            }
            None => Zone::named(name).map(Place::Zone).ok_or_else(unknown),
        }
    }

    fn to_timestamptz(&self, timestamp: Timestamp) -> Result<Timestamptz, Error> {
        if !timestamp.is_finite() {
            return timestamp.to_timestamptz(&Zone::utc());
        }
        let micros = timestamp.micros();
        let offset = match self {
            Place::Offset(seconds) => *seconds,
            Place::Zone(zone) => zone.offset_of_local(micros),
            Place::Abbreviation(zone, name) => {
                let offset = zone.offset_of_local(micros);
                zone.offset_of_abbreviation(name, micros - offset * MICROS_PER_SECOND).unwrap_or(offset)
            }
        };
        Timestamptz::checked(micros.checked_sub(offset.saturating_mul(MICROS_PER_SECOND)))
    }

    fn to_timestamp(&self, moment: Timestamptz) -> Result<Timestamp, Error> {
        if !moment.is_finite() {
            return moment.to_timestamp(&Zone::utc());
        }
        let micros = moment.micros();
        let offset = match self {
            Place::Offset(seconds) => *seconds,
            Place::Zone(zone) => zone.offset_at(micros),
            Place::Abbreviation(zone, name) => {
                zone.offset_of_abbreviation(name, micros).unwrap_or_else(|| zone.offset_at(micros))
            }
        };
        Timestamp::checked(micros.checked_add(offset.saturating_mul(MICROS_PER_SECOND)))
    }
}
