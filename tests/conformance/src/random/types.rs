//! Types, and the few values of each that tables are filled with, so that rows meet in joins and groups.

use crate::random::chance::Chance;
use crate::random::features::{Feature, Features};

/// A type that expressions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `numeric`.
    Numeric,
    /// `real`.
    Float4,
    /// `double precision`.
    Float8,
    /// `text`.
    Text,
    /// `boolean`.
    Bool,
    /// `date`.
    Date,
    /// `timestamp without time zone`.
    Timestamp,
    /// `interval`.
    Interval,
    /// `time without time zone`.
    Time,
    /// `timestamp with time zone`.
    Timestamptz,
    /// `bytea`.
    Bytea,
    /// `uuid`.
    Uuid,
    /// `jsonb`.
    Jsonb,
    /// `integer[]`.
    Int4s,
    /// `text[]`.
    Texts,
}

/// Those that a column may have, and what must be asked for to use them.
const TYPES: [(Type, Option<Feature>); 18] = [
    (Type::Int4, None),
    (Type::Int8, None),
    (Type::Text, None),
    (Type::Bool, None),
    (Type::Int2, Some(Feature::Int2)),
    (Type::Numeric, Some(Feature::Numeric)),
    (Type::Float8, Some(Feature::Float8)),
    (Type::Date, Some(Feature::Date)),
    (Type::Timestamp, Some(Feature::Timestamp)),
    (Type::Interval, Some(Feature::Interval)),
    (Type::Float4, Some(Feature::Float4)),
    (Type::Time, Some(Feature::Time)),
    (Type::Timestamptz, Some(Feature::Timestamptz)),
    (Type::Bytea, Some(Feature::Bytea)),
    (Type::Uuid, Some(Feature::Uuid)),
    (Type::Jsonb, Some(Feature::Jsonb)),
    (Type::Int4s, Some(Feature::Arrays)),
    (Type::Texts, Some(Feature::Arrays)),
];

impl Type {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Type::Int2 => "smallint",
            Type::Int4 => "integer",
            Type::Int8 => "bigint",
            Type::Numeric => "numeric",
            Type::Float8 => "double precision",
            Type::Text => "text",
            Type::Bool => "boolean",
            Type::Date => "date",
            Type::Timestamp => "timestamp",
            Type::Interval => "interval",
            Type::Float4 => "real",
            Type::Time => "time",
            Type::Timestamptz => "timestamptz",
            Type::Bytea => "bytea",
            Type::Uuid => "uuid",
            Type::Jsonb => "jsonb",
            Type::Int4s => "integer[]",
            Type::Texts => "text[]",
        }
    }

    /// The letter that its columns begin with: what has the same name has the same type, and can be joined.
    pub fn letter(self) -> char {
        match self {
            Type::Int2 => 'h',
            Type::Int4 => 'i',
            Type::Int8 => 'l',
            Type::Numeric => 'n',
            Type::Float8 => 'f',
            Type::Text => 't',
            Type::Bool => 'b',
            Type::Date => 'd',
            Type::Timestamp => 's',
            Type::Interval => 'v',
            Type::Float4 => 'r',
            Type::Time => 'c',
            Type::Timestamptz => 'z',
            Type::Bytea => 'y',
            Type::Uuid => 'u',
            Type::Jsonb => 'j',
            Type::Int4s => 'm',
            Type::Texts => 'w',
        }
    }

    /// Any type that the features allow.
    pub fn any(chance: &mut Chance, features: &Features) -> Type {
        loop {
            let (kind, feature) = *chance.of(&TYPES);
            if feature.is_none_or(|feature| chance.percent(features.weight(feature))) {
                return kind;
            }
        }
    }

    /// Whether the features allow it.
    pub fn is_allowed(self, features: &Features) -> bool {
        let feature = TYPES.iter().find(|(kind, _)| *kind == self).and_then(|(_, feature)| *feature);
        feature.is_none_or(|feature| features.weight(feature) > 0)
    }

    /// Whether values can be added to others of their type.
    pub fn is_number(self) -> bool {
        self <= Type::Float8
    }

    /// A whole number of some width.
    pub fn is_integer(self) -> bool {
        self <= Type::Int8
    }

    /// A constant that is not NULL, as it stands in a table of constants of this type.
    fn plain(self, chance: &mut Chance) -> &'static str {
        let values: &[&str] = match self {
            Type::Int2 | Type::Int4 | Type::Int8 => &["0", "1", "2", "3", "4", "-1", "-2", "10"],
            Type::Numeric => &["0", "1", "2.0", "1.50", "-0.25", "3.125", "-2", "10.00"],
            Type::Float8 | Type::Float4 => &["0", "1", "0.5", "1.5", "-0.25", "2", "-3.75", "100"],
            Type::Text => &["", "a", "b", "ab", "B", "abc", "a%c", "x_y", " a ", "ba", "42", "O''Neil"],
            Type::Bool => &["true", "false"],
            Type::Date => &["1970-01-01", "1999-12-31", "2000-02-29", "2024-01-31", "2024-02-29"],
            Type::Timestamp => &[
                "1970-01-01 00:00:00",
                "1999-12-31 23:59:59",
                "2000-02-29 12:00:00",
                "2024-01-31 00:00:00",
                "2024-01-31 06:30:00.25",
            ],
            Type::Interval => {
                &["0", "1 day", "2 hours", "1 mon", "-1 day", "1 year 2 mons", "3 days 04:05:06"]
            }
            Type::Time => &["00:00:00", "12:30:00", "23:59:59.5", "06:00:00"],
            Type::Timestamptz => {
                &["2000-02-29 12:00:00+00", "2024-01-31 00:00:00+02", "1970-01-01 00:00:00+00"]
            }
            Type::Bytea => &["", "\\x00", "\\x61", "\\x6162", "\\xff00"],
            Type::Uuid => &[
                "00000000-0000-0000-0000-000000000000",
                "6b0f2c1e-8d6a-4c55-9a63-0f1e2d3c4b5a",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
            Type::Jsonb => &[
                "{}",
                "[]",
                "null",
                "1",
                "true",
                "[1, 2]",
                "{\"a\": 1}",
                "{\"a\": [1], \"b\": \"x\"}",
                "\"a\"",
            ],
            Type::Int4s => &["{}", "{1}", "{1,2}", "{2,1}", "{NULL,3}", "{0,1,2,3}"],
            Type::Texts => &["{}", "{a}", "{a,b}", "{NULL}", "{ab,B,a}"],
        };
        chance.word(values)
    }

    /// A constant for a row of a table: NULL one time in five.
    pub fn datum(self, chance: &mut Chance, nullable: bool) -> String {
        if nullable && chance.percent(20) {
            return "NULL".into();
        }
        let plain = self.plain(chance);
        match self {
            kind if kind.is_number() || kind == Type::Bool => plain.to_string(),
            _ => format!("'{plain}'"),
        }
    }

    /// A constant that has this type wherever it stands.
    pub fn constant(self, chance: &mut Chance) -> String {
        if chance.percent(8) {
            return format!("CAST(NULL AS {})", self.name());
        }
        let plain = self.plain(chance);
        match self {
            Type::Int4 if !plain.starts_with('-') => plain.into(),
            Type::Int4 => format!("({plain})"),
            kind if kind.is_number() => match chance.percent(50) {
                true => format!("({plain})::{}", self.name()),
                false => format!("CAST({plain} AS {})", self.name()),
            },
            Type::Text if chance.percent(80) => format!("'{plain}'"),
            Type::Text => format!("'{plain}'::text"),
            Type::Bool => plain.into(),
            Type::Date | Type::Timestamp | Type::Interval if chance.percent(50) => {
                format!("{} '{plain}'", self.name())
            }
            _ => format!("'{plain}'::{}", self.name()),
        }
    }

    /// A constant at the end of what there is of a type.
    pub fn extreme(self, chance: &mut Chance) -> String {
        let values: &[&str] = match self {
            Type::Int2 => &["32767", "-32768"],
            Type::Int4 => &["2147483647", "-2147483648"],
            Type::Int8 => &["9223372036854775807", "-9223372036854775808"],
            Type::Numeric => &["NaN", "99999999999999999999.5", "-0.00000000000000000001", "1e30"],
            Type::Float4 => &["NaN", "Infinity", "-Infinity", "3e38", "1e-40", "-0"],
            Type::Float8 => {
                &["NaN", "Infinity", "-Infinity", "1.7e308", "5e-324", "-0", "1e15", "123456789012345678"]
            }
            Type::Text => &["ÄÖ日本", "\\", "NULL", "x\ty", "  "],
            Type::Date => &["infinity", "-infinity", "4713-01-01 BC", "9999-12-31"],
            Type::Timestamp | Type::Timestamptz => {
                &["infinity", "-infinity", "0044-03-15 BC", "9999-12-31 23:59:59"]
            }
            Type::Interval => &["1000 years", "-1 mon 1 day -00:00:01", "24:00:00", "30 days"],
            Type::Time => &["24:00:00", "23:59:59.999999"],
            other => return other.constant(chance),
        };
        format!("'{}'::{}", chance.word(values), self.name())
    }

    /// The simplest constants: what a value is replaced with to find out whether it matters.
    pub fn simplest(self) -> [String; 2] {
        let some = match self {
            Type::Text => "'a'".into(),
            Type::Bool => "true".into(),
            Type::Int4 => "1".into(),
            Type::Date => "date '2000-01-01'".into(),
            Type::Timestamp => "timestamp '2000-01-01 00:00:00'".into(),
            Type::Interval => "interval '1 day'".into(),
            kind if kind.is_number() => format!("1::{}", self.name()),
            Type::Time => "'00:00:00'::time".into(),
            Type::Timestamptz => "'2000-01-01 00:00:00+00'::timestamptz".into(),
            Type::Uuid => "'00000000-0000-0000-0000-000000000000'::uuid".into(),
            _ => format!("'{{}}'::{}", self.name()),
        };
        [format!("NULL::{}", self.name()), some]
    }
}

/// Columns of some types, named after them.
pub fn named(kinds: &[Type]) -> Vec<(String, Type)> {
    let same = |at: usize| kinds[..at].iter().filter(|kind| **kind == kinds[at]).count();
    kinds.iter().enumerate().map(|(at, kind)| (format!("{}{}", kind.letter(), same(at)), *kind)).collect()
}
