//! What can be wrong with a date, a time or an interval, in the words and with the SQLSTATE of PostgreSQL 15.

use alloc::string::String;
use core::fmt;

/// The types of this crate, as messages name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    Timestamptz,
    /// `interval`
    Interval,
}

impl Kind {
    /// The name in a message about text.
    fn short_name(self) -> &'static str {
        match self {
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Timestamp => "timestamp",
            Kind::Timestamptz => "timestamp with time zone",
            Kind::Interval => "interval",
        }
    }

    /// The type's full name.
    fn full_name(self) -> &'static str {
        match self {
            Kind::Time => "time without time zone",
            Kind::Timestamp => "timestamp without time zone",
            other => other.short_name(),
        }
    }
}

/// A refusal. All are the caller's fault and the same on every replica; a text is the part of the input that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text does not look like a value of the type.
    Syntax(Kind, String),
    /// It does, but a field is out of range: there is no 30 February.
    FieldRange(String),
    /// As `FieldRange`; perhaps month and day are in the other order than is expected.
    FieldOrder(String),
    /// A field of an interval is out of range.
    IntervalFieldRange(String),
    /// An offset from UTC is more than 15:59:59.
    DisplacementRange(String),
    /// No such time zone.
    UnknownZone(String),
    /// Not a value of the TimeZone setting.
    ZoneSetting(String),
    /// A numeric time zone lacks its sign.
    NumericZoneSyntax(String),
    /// A numeric time zone is more than 15:59:59.
    NumericZoneRange(String),
    /// An interval that is to be a time zone has months or days.
    IntervalZone(String),
    /// A text stands for a value outside the type's range.
    TextRange(Kind, String),
    /// A result is outside the type's range.
    Range(Kind),
    /// The fields of a text that Postgres does not put in quotes stand for a value outside the type's range.
    FieldsRange(Kind, String),
    /// A date that no timestamp reaches.
    DateForTimestamp,
    /// `infinity - x` for dates.
    InfiniteDates,
    /// `infinity - x` for timestamps.
    InfiniteTimestamps,
    /// make_date's and make_timestamp's fields: year, month, day.
    DateFields(i32, i32, i32),
    /// make_time's and make_timestamp's fields: hour, minute, second as text.
    TimeFields(i32, i32, String),
    /// `interval / 0`
    DivisionByZero,
    /// date_bin with an infinite origin.
    Origin,
    /// date_bin with a stride that is not positive.
    Stride,
    /// date_bin with a stride of months.
    StrideMonths,
    /// to_timestamp('NaN')
    NotANumber,
    /// No such unit.
    UnknownUnit(Kind, String),
    /// The unit is none of this type.
    UnsupportedUnit(Kind, String),
    /// Binary input that is no value.
    Binary(Kind),
    /// A field of a text is not what the template says; the message is Postgres's.
    Template(String),
    /// A text has a value that the template's field cannot take, as a message.
    TemplateRange(String),
    /// A template asks for what is not supported.
    TemplateUnsupported(String),
    /// A template is wrong in itself.
    TemplateSyntax(String),
}

impl Error {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Error::Syntax(..) | Error::Template(_) | Error::TemplateSyntax(_) => "22007",
            Error::DisplacementRange(_) => "22009",
            Error::IntervalFieldRange(_) => "22015",
            Error::UnknownZone(_) | Error::ZoneSetting(_) | Error::NumericZoneSyntax(_) => "22023",
            Error::NumericZoneRange(_) | Error::IntervalZone(_) | Error::UnknownUnit(..) => "22023",
            Error::DivisionByZero => "22012",
            Error::StrideMonths | Error::UnsupportedUnit(..) | Error::TemplateUnsupported(_) => "0A000",
            Error::Binary(_) => "22P03",
            _ => "22008",
        }
    }

    /// The HINT line, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::FieldOrder(_) => Some("Perhaps you need a different \"datestyle\" setting."),
            Error::NumericZoneSyntax(_) => {
                Some("Numeric time zones must have \"-\" or \"+\" as first character.")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Syntax(kind, text) => {
                write!(f, "invalid input syntax for type {}: \"{text}\"", kind.short_name())
            }
            Error::FieldRange(text) | Error::FieldOrder(text) => {
                write!(f, "date/time field value out of range: \"{text}\"")
            }
            Error::IntervalFieldRange(text) => write!(f, "interval field value out of range: \"{text}\""),
            Error::DisplacementRange(text) => write!(f, "time zone displacement out of range: \"{text}\""),
            Error::UnknownZone(name) => write!(f, "time zone \"{name}\" not recognized"),
            Error::ZoneSetting(text) => write!(f, "invalid value for parameter \"TimeZone\": \"{text}\""),
            Error::NumericZoneSyntax(text) => {
                write!(f, "invalid input syntax for type numeric time zone: \"{text}\"")
            }
            Error::NumericZoneRange(text) => write!(f, "numeric time zone \"{text}\" out of range"),
            Error::IntervalZone(text) => {
                write!(f, "interval time zone \"{text}\" must not include months or days")
            }
            Error::TextRange(kind, text) => write!(f, "{} out of range: \"{text}\"", range_name(*kind)),
            Error::FieldsRange(kind, text) => write!(f, "{} out of range: {text}", range_name(*kind)),
            Error::Range(kind) => write!(f, "{} out of range", range_name(*kind)),
            Error::DateForTimestamp => f.write_str("date out of range for timestamp"),
            Error::InfiniteDates => f.write_str("cannot subtract infinite dates"),
            Error::InfiniteTimestamps => f.write_str("cannot subtract infinite timestamps"),
            Error::DateFields(year, month, day) => {
                write!(f, "date field value out of range: {year}-{month:02}-{day:02}")
            }
            Error::TimeFields(hour, minute, second) => {
                write!(f, "time field value out of range: {hour}:{minute:02}:{second}")
            }
            Error::DivisionByZero => f.write_str("division by zero"),
            Error::Origin => f.write_str("origin out of range"),
            Error::Stride => f.write_str("stride must be greater than zero"),
            Error::StrideMonths => {
                f.write_str("timestamps cannot be binned into intervals containing months or years")
            }
            Error::NotANumber => f.write_str("timestamp cannot be NaN"),
            Error::UnknownUnit(kind, unit) => {
                write!(f, "unit \"{unit}\" not recognized for type {}", kind.full_name())
            }
            Error::UnsupportedUnit(kind, unit) => {
                write!(f, "unit \"{unit}\" not supported for type {}", kind.full_name())
            }
            Error::Binary(kind) => write!(f, "incorrect binary data format for type {}", kind.full_name()),
            Error::Template(text)
            | Error::TemplateRange(text)
            | Error::TemplateUnsupported(text)
            | Error::TemplateSyntax(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for Error {}

/// Messages about ranges say `timestamp` for both timestamps.
fn range_name(kind: Kind) -> &'static str {
    if kind == Kind::Timestamptz { "timestamp" } else { kind.short_name() }
}
