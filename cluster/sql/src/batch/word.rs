//! Values that are no more than 64 bits, and are ordered as those are.

use cluster_calendar::{Date, Time, Timestamp, Timestamptz};
use cluster_numeric::Numeric;

use crate::types::Datum;

/// What the words of a column stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordKind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    /// A `numeric` with so many decimals, without the point.
    Decimal(u16),
}

impl WordKind {
    /// Whether words of these kinds are ordered as the values are that they stand for.
    pub(crate) fn compares_with(self, other: WordKind) -> bool {
        self == other || (self.is_integer() && other.is_integer())
    }

    /// Whether values that are equal have the same word: those of a `numeric` may have more or less decimals.
    pub(crate) fn is_canonical(self) -> bool {
        !matches!(self, WordKind::Decimal(_))
    }

    /// The word that compares with those of this kind as `datum` does with their values, if there is one.
    pub(crate) fn word_of(self, datum: &Datum) -> Option<i64> {
        let (kind, word) = word_of(datum)?;
        match (self, kind) {
            (WordKind::Decimal(own), WordKind::Decimal(other)) => {
                let more = own.checked_sub(other)?;
                word.checked_mul(10_i64.checked_pow(more.into())?)
            }
            _ => self.compares_with(kind).then_some(word),
        }
    }

    /// Whether a word is the number that it stands for.
    pub(crate) fn is_integer(self) -> bool {
        matches!(self, WordKind::Int2 | WordKind::Int4 | WordKind::Int8 | WordKind::Oid)
    }

    /// What `word` stands for; NULL if it stands for nothing.
    pub(crate) fn datum(self, word: i64) -> Datum {
        let value = match self {
            WordKind::Bool => Some(Datum::Bool(word != 0)),
            WordKind::Int2 => word.try_into().ok().map(Datum::Int2),
            WordKind::Int4 => word.try_into().ok().map(Datum::Int4),
            WordKind::Int8 => Some(Datum::Int8(word)),
            WordKind::Oid => word.try_into().ok().map(Datum::Oid),
            WordKind::Date => {
                word.try_into().ok().and_then(|days| Date::from_days(days).ok()).map(Datum::Date)
            }
            WordKind::Time => Time::from_micros(word).ok().map(Datum::Time),
            WordKind::Timestamp => Timestamp::from_micros(word).ok().map(Datum::Timestamp),
            WordKind::Timestamptz => Timestamptz::from_micros(word).ok().map(Datum::Timestamptz),
            WordKind::Decimal(scale) => Numeric::of_parts(word, scale).map(Datum::numeric),
        };
        value.unwrap_or(Datum::Null)
    }
}

/// The word that stands for `datum`, if one does.
pub(crate) fn word_of(datum: &Datum) -> Option<(WordKind, i64)> {
    Some(match datum {
        Datum::Bool(value) => (WordKind::Bool, i64::from(*value)),
        Datum::Int2(value) => (WordKind::Int2, i64::from(*value)),
        Datum::Int4(value) => (WordKind::Int4, i64::from(*value)),
        Datum::Int8(value) => (WordKind::Int8, *value),
        Datum::Oid(value) => (WordKind::Oid, i64::from(*value)),
        Datum::Date(value) => (WordKind::Date, i64::from(value.days())),
        Datum::Time(value) => (WordKind::Time, value.micros()),
        Datum::Timestamp(value) => (WordKind::Timestamp, value.micros()),
        Datum::Timestamptz(value) => (WordKind::Timestamptz, value.micros()),
        Datum::Numeric(value) => {
            let (coefficient, scale) = value.parts()?;
            (WordKind::Decimal(scale), coefficient)
        }
        _ => return None,
    })
}
