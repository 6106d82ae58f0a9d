//! Text in.

mod fields;
mod interval;
mod iso_interval;
mod moment;
mod number;
mod token;
mod words;

use alloc::string::String;

use crate::error::{Error, Kind};
use crate::gregorian::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::value::{Date, Interval, Session, Time, Timestamp, Timestamptz};
pub(crate) use fields::displacement;
pub use interval::IntervalFields;
use moment::Moment;
pub(crate) use words::{calendar_unit, interval_unit};

/// Microseconds from 2000-01-01 to 1970-01-01.
pub(crate) const UNIX_EPOCH: i64 = -crate::gregorian::UNIX_EPOCH_DAYS * MICROS_PER_DAY;

/// Why a text is no value; with the text and the type it becomes an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    FieldRange,
    /// A month or a day is out of range: they may be in the wrong order.
    FieldOrder,
    IntervalFieldRange,
    Displacement,
    /// No such zone.
    Zone(String),
    /// The fields are right, their sum is too large.
    Range,
}

impl Fault {
    fn of(self, kind: Kind, text: &str) -> Error {
        let text = String::from(text);
        match self {
            Fault::Syntax => Error::Syntax(kind, text),
            Fault::FieldRange => Error::FieldRange(text),
            Fault::FieldOrder => Error::FieldOrder(text),
            Fault::IntervalFieldRange => Error::IntervalFieldRange(text),
            Fault::Displacement => Error::DisplacementRange(text),
            Fault::Zone(name) => Error::UnknownZone(name),
            Fault::Range if kind == Kind::Interval => Error::Range(kind),
            Fault::Range => Error::TextRange(kind, text),
        }
    }
}

/// What a declared type adds to `interval`: `interval day to second(3)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modifier {
    /// The fields that are kept; all, if none are named.
    pub fields: Option<IntervalFields>,
    /// Digits of a second, from 0 to 6.
    pub precision: Option<u8>,
}

/// Digits of a second that are kept at most.
pub(crate) const PRECISION_MAX: u8 = 6;

/// `micros` rounded to `precision` digits of a second, half away from zero.
pub(crate) fn round_micros(micros: i64, precision: u8) -> i64 {
    let unit = 10_i64.pow(u32::from(PRECISION_MAX.saturating_sub(precision)));
    let half = unit / 2;
    if micros >= 0 {
        micros.saturating_add(half) / unit * unit
    } else {
        micros.saturating_sub(half) / unit * unit
    }
}

impl Date {
    /// The date that a text says, in any of the forms that Postgres reads.
    pub fn parse(text: &str, session: Session<'_>) -> Result<Date, Error> {
        let moment = moment::moment(text, session).map_err(|fault| fault.of(Kind::Date, text))?;
        match moment {
            Moment::Infinity => Ok(Date::INFINITY),
            Moment::MinusInfinity => Ok(Date::MINUS_INFINITY),
            Moment::Epoch => Date::from_days((UNIX_EPOCH / MICROS_PER_DAY) as i32),
            Moment::At { civil, .. } => {
                Date::finite(civil.to_days()).ok_or_else(|| Fault::Range.of(Kind::Date, text))
            }
        }
    }
}

impl Time {
    /// The time that a text says. A date and a zone may stand beside it, and are ignored.
    pub fn parse(text: &str, session: Session<'_>) -> Result<Time, Error> {
        let micros = moment::time(text, session).map_err(|fault| fault.of(Kind::Time, text))?;
        Time::from_micros(micros)
    }

    /// `time(precision)`
    pub fn round(self, precision: u8) -> Time {
        // 23:59:59.9 becomes 24:00:00, which is a time.
        Time::from_micros(round_micros(self.micros(), precision)).unwrap_or(self)
    }
}

impl Timestamp {
    /// The timestamp that a text says. A zone may stand beside it, and is ignored.
    pub fn parse(text: &str, session: Session<'_>) -> Result<Timestamp, Error> {
        let moment = moment::moment(text, session).map_err(|fault| fault.of(Kind::Timestamp, text))?;
        match moment {
            Moment::Infinity => Ok(Timestamp::INFINITY),
            Moment::MinusInfinity => Ok(Timestamp::MINUS_INFINITY),
            Moment::Epoch => Timestamp::from_micros(UNIX_EPOCH),
            Moment::At { civil, micros, .. } => {
                Timestamp::from_parts(civil, micros).map_err(|_| Fault::Range.of(Kind::Timestamp, text))
            }
        }
    }

    /// `timestamp(precision)`
    pub fn round(self, precision: u8) -> Result<Timestamp, Error> {
        if self.is_finite() { Timestamp::finite(round_micros(self.micros(), precision)) } else { Ok(self) }
    }
}

impl Timestamptz {
    /// The time that a text says, on the session's clock if it names no zone.
    pub fn parse(text: &str, session: Session<'_>) -> Result<Timestamptz, Error> {
        let moment = moment::moment(text, session).map_err(|fault| fault.of(Kind::Timestamptz, text))?;
        match moment {
            Moment::Infinity => Ok(Timestamptz::INFINITY),
            Moment::MinusInfinity => Ok(Timestamptz::MINUS_INFINITY),
            Moment::Epoch => Timestamptz::from_micros(UNIX_EPOCH),
            Moment::At { civil, micros, offset } => {
                let midnight = civil.to_days().checked_mul(MICROS_PER_DAY);
                let local = midnight.and_then(|midnight| midnight.checked_add(micros));
                let utc = local.and_then(|local| local.checked_sub(offset * MICROS_PER_SECOND));
                Timestamptz::checked(utc).map_err(|_| Fault::Range.of(Kind::Timestamptz, text))
            }
        }
    }

    /// `timestamptz(precision)`
    pub fn round(self, precision: u8) -> Result<Timestamptz, Error> {
        if self.is_finite() { Timestamptz::finite(round_micros(self.micros(), precision)) } else { Ok(self) }
    }
}

impl Interval {
    /// The interval that a text says: verbose, of the SQL standard, of ISO 8601. The modifier says what a number without
    /// a unit is, and what is kept.
    pub fn parse(text: &str, modifier: Modifier) -> Result<Interval, Error> {
        let parsed = match interval::interval(text, modifier.fields) {
            Err(Fault::Syntax) => iso_interval::iso_interval(text),
            other => other,
        };
        let interval = parsed.map_err(|fault| match fault {
            Fault::FieldRange => Fault::IntervalFieldRange.of(Kind::Interval, text),
            other => other.of(Kind::Interval, text),
        })?;
        Ok(interval.modified(modifier))
    }
}
