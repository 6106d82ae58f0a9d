//! Values that are no more than 64 bits, and are ordered as those are.

use cluster_calendar::{Date, Time, Timestamp, Timestamptz};

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
}

impl WordKind {
    /// Whether words of these kinds are ordered as the values are that they stand for.
    pub(crate) fn compares_with(self, other: WordKind) -> bool {
        self == other || (self.is_integer() && other.is_integer())
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
        _ => return None,
    })
}
