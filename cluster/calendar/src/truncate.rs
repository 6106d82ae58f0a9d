//! `date_trunc` and `date_bin`.

use crate::error::{Error, Kind};
use crate::gregorian::{
    Civil, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, iso_year_start,
};
use crate::unit::Unit;
use crate::value::{Interval, Timestamp, Timestamptz};
use crate::zone::Zone;

/// The unit of a name, which stands in the errors of a type.
fn unit_of(name: &str, kind: Kind) -> Result<Unit, Error> {
    Unit::of_truncation(name).ok_or_else(|| Error::UnknownUnit(kind, name.to_ascii_lowercase()))
}

/// The length of a unit below a day; none of a longer one.
fn fixed_length(unit: Unit) -> Option<i64> {
    match unit {
        Unit::Microsecond => Some(1),
        Unit::Millisecond => Some(1000),
        Unit::Second => Some(MICROS_PER_SECOND),
        Unit::Minute => Some(MICROS_PER_MINUTE),
        Unit::Hour => Some(MICROS_PER_HOUR),
        _ => None,
    }
}

/// The first day of the unit that the date is in; none of units that are not for truncation.
fn first_day(civil: Civil, unit: Unit) -> Option<Civil> {
    let Civil { year, month, day } = civil;
    Some(match unit {
        Unit::Day => Civil::new(year, month, day),
        Unit::Week => {
            let (year, week) = civil.iso_week();
            Civil::from_days(iso_year_start(year) + (week - 1) * 7)
        }
        Unit::Month => Civil::new(year, month, 1),
        Unit::Quarter => Civil::new(year, (month - 1) / 3 * 3 + 1, 1),
        Unit::Year => Civil::new(year, 1, 1),
        Unit::Decade => Civil::new(year.div_euclid(10) * 10, 1, 1),
        // Centuries and millennia begin with the year 1, on either side of it.
        Unit::Century => Civil::new((year - 1).div_euclid(100) * 100 + 1, 1, 1),
        Unit::Millennium => Civil::new((year - 1).div_euclid(1000) * 1000 + 1, 1, 1),
        _ => return None,
    })
}

impl Timestamp {
    /// `date_trunc(unit, timestamp)`
    pub fn truncate(self, unit: &str) -> Result<Timestamp, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        let kind = Kind::Timestamp;
        let parsed = unit_of(unit, kind)?;
        let micros = self.micros();
        if let Some(length) = fixed_length(parsed) {
            return Timestamp::finite(micros - micros.rem_euclid(length));
        }
        let first = first_day(self.civil(), parsed);
        let first = first.ok_or_else(|| Error::UnsupportedUnit(kind, unit.to_ascii_lowercase()))?;
        Timestamp::from_parts(first, 0)
    }

    /// `date_bin(stride, timestamp, origin)`: the beginning of the bin that the timestamp is in.
    pub fn bin(self, stride: Interval, origin: Timestamp) -> Result<Timestamp, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        if !origin.is_finite() {
            return Err(Error::Origin);
        }
        Timestamp::finite(bin(stride, self.micros(), origin.micros(), Kind::Timestamp)?)
    }
}

impl Timestamptz {
    /// `date_trunc(unit, timestamptz [, zone])`, on the zone's clock.
    pub fn truncate(self, unit: &str, zone: &Zone) -> Result<Timestamptz, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        let kind = Kind::Timestamptz;
        let parsed = unit_of(unit, kind)?;
        let offset = zone.offset_at(self.micros()) * MICROS_PER_SECOND;
        let local = self.micros() + offset;
        if let Some(length) = fixed_length(parsed) {
            // The offset stays that of the time itself: an hour that is there twice stays the one it is.
            return Timestamptz::checked((local - local.rem_euclid(length)).checked_sub(offset));
        }
        let first = first_day(Civil::from_days(local.div_euclid(MICROS_PER_DAY)), parsed);
        let first = first.ok_or_else(|| Error::UnsupportedUnit(kind, unit.to_ascii_lowercase()))?;
        Timestamp::from_parts(first, 0)?.to_timestamptz(zone)
    }

    /// `date_bin(stride, timestamptz, origin)`
    pub fn bin(self, stride: Interval, origin: Timestamptz) -> Result<Timestamptz, Error> {
        if !self.is_finite() {
            return Ok(self);
        }
        if !origin.is_finite() {
            return Err(Error::Origin);
        }
        Timestamptz::finite(bin(stride, self.micros(), origin.micros(), Kind::Timestamptz)?)
    }
}

/// The beginning of a bin, in the unit of its arguments.
fn bin(stride: Interval, micros: i64, origin: i64, kind: Kind) -> Result<i64, Error> {
    if stride.months != 0 {
        return Err(Error::StrideMonths);
    }
    let overflow = || Error::Range(Kind::Interval);
    let days = i64::from(stride.days).checked_mul(MICROS_PER_DAY);
    let length = days.and_then(|days| days.checked_add(stride.micros)).ok_or_else(overflow)?;
    if length <= 0 {
        return Err(Error::Stride);
    }
    let distance = micros.checked_sub(origin).ok_or_else(overflow)?;
    micros.checked_sub(distance.rem_euclid(length)).ok_or(Error::Range(kind))
}

impl Interval {
    /// `date_trunc(unit, interval)`
    pub fn truncate(self, unit: &str) -> Result<Interval, Error> {
        let kind = Kind::Interval;
        let parsed = unit_of(unit, kind)?;
        if let Some(length) = fixed_length(parsed) {
            return Ok(Interval { micros: self.micros / length * length, ..self });
        }
        let months = match parsed {
            Unit::Day => return Ok(Interval { micros: 0, ..self }),
            Unit::Month => 1,
            Unit::Quarter => 3,
            Unit::Year => 12,
            Unit::Decade => 120,
            Unit::Century => 1_200,
            Unit::Millennium => 12_000,
            _ => return Err(Error::UnsupportedUnit(kind, unit.to_ascii_lowercase())),
        };
        Ok(Interval::new(self.months / months * months, 0, 0))
    }
}
