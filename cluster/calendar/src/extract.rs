//! `extract` and `date_part`.

use crate::error::{Error, Kind};
use crate::gregorian::{
    Civil, Clock, JULIAN_EPOCH, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_SECOND, SECONDS_PER_DAY,
    iso_weekday, weekday,
};
use crate::parse::UNIX_EPOCH;
use crate::unit::Unit;
use crate::value::{Date, Interval, Time, Timestamp, Timestamptz};
use crate::zone::Zone;

/// The value of a field, for `extract`; [`Field::to_f64`] makes `date_part`'s of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field {
    /// `value / 10^scale`, to be printed with so many decimals.
    Decimal {
        /// Without its point.
        value: i128,
        /// Digits behind the point.
        scale: u8,
    },
    /// `Infinity`
    Infinity,
    /// `-Infinity`
    MinusInfinity,
    /// An infinite time has no hour.
    Null,
}

/// The decimals that a day's fraction has, 16 that matter at least, as Postgres divides decimals: they depend on how
/// many digits (of base 10000) the dividend has, and whether its first reaches the divisor's.
fn day_fraction_scale(micros: i64) -> u32 {
    // 86_400_000_000 is 864 of 10000^2.
    match micros {
        0..10_000 => 28,
        10_000..100_000_000 if micros / 10_000 > 864 => 20,
        10_000..100_000_000 => 24,
        _ => 20,
    }
}

impl Field {
    fn integer(value: i64) -> Field {
        Field::Decimal { value: i128::from(value), scale: 0 }
    }

    fn micros(value: i64) -> Field {
        Field::Decimal { value: i128::from(value), scale: 6 }
    }

    /// The Julian day with its fraction.
    fn julian(days: i64, micros: i64) -> Field {
        let scale = day_fraction_scale(micros);
        let unit = 10_i128.pow(scale);
        let day = i128::from(MICROS_PER_DAY);
        let fraction = (i128::from(micros) * unit + day / 2) / day;
        Field::Decimal { value: i128::from(days + JULIAN_EPOCH) * unit + fraction, scale: scale as u8 }
    }

    /// `date_part`'s floating point number; none if it is NULL.
    pub fn to_f64(self) -> Option<f64> {
        match self {
            // Postgres divides numbers of microseconds: of large ones, the last digits show.
            Field::Decimal { value, scale: 6 } => Some(value as f64 / 1e6),
            Field::Decimal { value, scale } => {
                let text = alloc::format!("{value}e-{scale}");
                text.parse().ok()
            }
            Field::Infinity => Some(f64::INFINITY),
            Field::MinusInfinity => Some(f64::NEG_INFINITY),
            Field::Null => None,
        }
    }
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Field::Decimal { value, scale: 0 } => write!(f, "{value}"),
            Field::Decimal { value, scale } => {
                let unit = 10_u128.pow(u32::from(scale));
                let sign = if value < 0 { "-" } else { "" };
                let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
                write!(f, "{sign}{whole}.{fraction:0width$}", width = usize::from(scale))
            }
            Field::Infinity => f.write_str("Infinity"),
            Field::MinusInfinity => f.write_str("-Infinity"),
            Field::Null => f.write_str("NULL"),
        }
    }
}

fn clock_field(clock: Clock, unit: Unit) -> Option<Field> {
    let micros = clock.second * MICROS_PER_SECOND + clock.micro;
    Some(match unit {
        Unit::Microsecond => Field::integer(micros),
        Unit::Millisecond => Field::Decimal { value: i128::from(micros), scale: 3 },
        Unit::Second => Field::micros(micros),
        Unit::Minute => Field::integer(clock.minute),
        Unit::Hour => Field::integer(clock.hour),
        _ => return None,
    })
}

fn civil_field(civil: Civil, unit: Unit) -> Option<Field> {
    let year = civil.year;
    let days = civil.to_days();
    Some(Field::integer(match unit {
        Unit::Day => civil.day,
        Unit::Month => civil.month,
        Unit::Quarter => (civil.month - 1) / 3 + 1,
        Unit::Week => civil.iso_week().1,
        Unit::Year => civil.written_year(),
        Unit::Decade => year.div_euclid(10),
        Unit::Century if year > 0 => (year + 99) / 100,
        Unit::Century => -((99 - (year - 1)) / 100),
        Unit::Millennium if year > 0 => (year + 999) / 1000,
        Unit::Millennium => -((999 - (year - 1)) / 1000),
        Unit::IsoYear => {
            let (year, _) = civil.iso_week();
            if year > 0 { year } else { year - 1 }
        }
        Unit::Dow => weekday(days),
        Unit::IsoDow => iso_weekday(days),
        Unit::Doy => civil.day_of_year(),
        _ => return None,
    }))
}

/// The field of an infinite date: what grows for ever is infinite, what repeats is NULL.
fn infinite_field(unit: Unit, is_positive: bool) -> Field {
    match unit {
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium => {}
        Unit::Julian | Unit::IsoYear | Unit::Epoch => {}
        _ => return Field::Null,
    }
    if is_positive { Field::Infinity } else { Field::MinusInfinity }
}

fn unit_of(name: &str, kind: Kind) -> Result<Unit, Error> {
    Unit::of_extract(name).ok_or_else(|| Error::UnknownUnit(kind, name.to_ascii_lowercase()))
}

/// Finds the unit of a name and its field; no field is an unsupported unit.
fn field_of(name: &str, kind: Kind, field: impl FnOnce(Unit) -> Option<Field>) -> Result<Field, Error> {
    let unit = unit_of(name, kind)?;
    field(unit).ok_or_else(|| Error::UnsupportedUnit(kind, name.to_ascii_lowercase()))
}

impl Date {
    /// `extract(unit from date)`. (`date_part` takes the date for a timestamp.)
    pub fn extract(self, unit: &str) -> Result<Field, Error> {
        field_of(unit, Kind::Date, |unit| {
            let known = match unit {
                Unit::Julian => Some(Field::integer(i64::from(self.days()) + JULIAN_EPOCH)),
                Unit::Epoch => Some(Field::integer(
                    i64::from(self.days()) * SECONDS_PER_DAY - UNIX_EPOCH / MICROS_PER_SECOND,
                )),
                unit => civil_field(self.civil(), unit),
            };
            if known.is_some() && !self.is_finite() {
                return Some(infinite_field(unit, self == Date::INFINITY));
            }
            known
        })
    }
}

impl Time {
    /// `extract(unit from time)`
    pub fn extract(self, unit: &str) -> Result<Field, Error> {
        field_of(unit, Kind::Time, |unit| match unit {
            Unit::Epoch => Some(Field::micros(self.micros())),
            unit => clock_field(self.clock(), unit),
        })
    }
}

impl Timestamp {
    /// `extract(unit from timestamp)`
    pub fn extract(self, unit: &str) -> Result<Field, Error> {
        field_of(unit, Kind::Timestamp, |unit| self.field(unit))
    }

    fn field(self, unit: Unit) -> Option<Field> {
        if !self.is_finite() {
            return Some(infinite_field(unit, self == Timestamp::INFINITY));
        }
        match unit {
            Unit::Julian => {
                let (days, micros) =
                    (self.micros().div_euclid(MICROS_PER_DAY), self.micros().rem_euclid(MICROS_PER_DAY));
                Some(Field::julian(days, micros))
            }
            Unit::Epoch => {
                let value = i128::from(self.micros()) - i128::from(UNIX_EPOCH);
                Some(Field::Decimal { value, scale: 6 })
            }
            unit => clock_field(self.clock(), unit).or_else(|| civil_field(self.civil(), unit)),
        }
    }
}

impl Timestamptz {
    /// `extract(unit from timestamptz)`, of what the zone's clock shows.
    pub fn extract(self, unit: &str, zone: &Zone) -> Result<Field, Error> {
        let kind = Kind::Timestamptz;
        let parsed = unit_of(unit, kind)?;
        let unsupported = || Error::UnsupportedUnit(kind, unit.to_ascii_lowercase());
        if !self.is_finite() {
            return Ok(infinite_field(parsed, self == Timestamptz::INFINITY));
        }
        let offset = zone.offset_at(self.micros());
        match parsed {
            Unit::Timezone => Ok(Field::integer(offset)),
            Unit::TimezoneHour => Ok(Field::integer(offset / 3600)),
            Unit::TimezoneMinute => Ok(Field::integer(offset / 60 % 60)),
            Unit::Epoch => {
                let value = i128::from(self.micros()) - i128::from(UNIX_EPOCH);
                Ok(Field::Decimal { value, scale: 6 })
            }
            _ => self.to_timestamp(zone)?.field(parsed).ok_or_else(unsupported),
        }
    }
}

impl Interval {
    /// `extract(unit from interval)`
    pub fn extract(self, unit: &str) -> Result<Field, Error> {
        field_of(unit, Kind::Interval, |unit| self.field(unit))
    }

    fn field(self, unit: Unit) -> Option<Field> {
        let (years, months) = (i64::from(self.months / 12), i64::from(self.months % 12));
        let rest = self.micros % MICROS_PER_HOUR;
        let clock = Clock { hour: self.micros / MICROS_PER_HOUR, ..Clock::from_micros(rest) };
        Some(match unit {
            Unit::Day => Field::integer(i64::from(self.days)),
            Unit::Month => Field::integer(months),
            Unit::Quarter => Field::integer(months / 3 + 1),
            Unit::Year => Field::integer(years),
            Unit::Decade => Field::integer(years / 10),
            Unit::Century => Field::integer(years / 100),
            Unit::Millennium => Field::integer(years / 1000),
            Unit::Epoch => {
                // A year is 365.25 days here: four of them are whole.
                let quarter_days = years * 1461 + (months * 30 + i64::from(self.days)) * 4;
                let micros = i128::from(quarter_days) * i128::from(MICROS_PER_DAY / 4);
                Field::Decimal { value: micros + i128::from(self.micros), scale: 6 }
            }
            unit => return clock_field(clock, unit),
        })
    }
}
