//! One value.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;

use cluster_calendar::{Date, Interval, Time, Timestamp, Timestamptz};
use cluster_numeric::Numeric;
use serde::{Deserialize, Serialize};

use super::{Array, DataType, Json, stored};

/// Microseconds from 1970 to 2000, where Postgres and the calendar begin to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// One value. Stored by its place in this list: new kinds go to the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Datum {
    /// NULL, of any type.
    Null,
    /// `boolean`
    Bool(bool),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `double precision`
    Float8(f64),
    /// `text`, `varchar`, `name` and `json`
    Text(String),
    /// `timestamp`
    Timestamp(#[serde(with = "stored::timestamp")] Timestamp),
    /// `smallint`
    Int2(i16),
    /// `real`
    Float4(f32),
    /// `numeric`
    Numeric(#[serde(with = "stored::numeric")] Numeric),
    /// `char(n)`, with its blanks.
    Bpchar(String),
    /// `oid`
    Oid(u32),
    /// `bytea`
    Bytea(Arc<[u8]>),
    /// `date`
    Date(#[serde(with = "stored::date")] Date),
    /// `time`
    Time(#[serde(with = "stored::time")] Time),
    /// `timestamptz`
    Timestamptz(#[serde(with = "stored::timestamptz")] Timestamptz),
    /// `interval`
    Interval(#[serde(with = "stored::interval")] Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// `jsonb`
    Jsonb(#[serde(with = "stored::json")] Arc<Json>),
    /// An array.
    Array(Box<Array>),
}

const _: () = assert!(size_of::<Datum>() <= 32);

/// Whether they are the same, not just of equal value: NaN is NaN, the zeros are two, and 1.0 is not 1.00.
impl PartialEq for Datum {
    fn eq(&self, other: &Datum) -> bool {
        match (self, other) {
            (Datum::Null, Datum::Null) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::Int2(a), Datum::Int2(b)) => a == b,
            (Datum::Int4(a), Datum::Int4(b)) => a == b,
            (Datum::Int8(a), Datum::Int8(b)) => a == b,
            (Datum::Float4(a), Datum::Float4(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Datum::Float8(a), Datum::Float8(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Datum::Text(a), Datum::Text(b)) | (Datum::Bpchar(a), Datum::Bpchar(b)) => a == b,
            (Datum::Numeric(a), Datum::Numeric(b)) => a == b && a.scale() == b.scale(),
            (Datum::Oid(a), Datum::Oid(b)) => a == b,
            (Datum::Bytea(a), Datum::Bytea(b)) => a == b,
            (Datum::Date(a), Datum::Date(b)) => a == b,
            (Datum::Time(a), Datum::Time(b)) => a == b,
            (Datum::Timestamp(a), Datum::Timestamp(b)) => a == b,
            (Datum::Timestamptz(a), Datum::Timestamptz(b)) => a == b,
            (Datum::Interval(a), Datum::Interval(b)) => a == b,
            (Datum::Uuid(a), Datum::Uuid(b)) => a == b,
            (Datum::Jsonb(a), Datum::Jsonb(b)) => a == b,
            (Datum::Array(a), Datum::Array(b)) => a == b,
            _ => false,
        }
    }
}

impl Datum {
    /// Its type; NULL has none. What has the form of a text is said to be one.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Datum::Null => return None,
            Datum::Bool(_) => DataType::Bool,
            Datum::Int2(_) => DataType::Int2,
            Datum::Int4(_) => DataType::Int4,
            Datum::Int8(_) => DataType::Int8,
            Datum::Float4(_) => DataType::Float4,
            Datum::Float8(_) => DataType::Float8,
            Datum::Numeric(_) => DataType::Numeric,
            Datum::Text(_) => DataType::Text,
            Datum::Bpchar(_) => DataType::Bpchar,
            Datum::Oid(_) => DataType::Oid,
            Datum::Bytea(_) => DataType::Bytea,
            Datum::Date(_) => DataType::Date,
            Datum::Time(_) => DataType::Time,
            Datum::Timestamp(_) => DataType::Timestamp,
            Datum::Timestamptz(_) => DataType::Timestamptz,
            Datum::Interval(_) => DataType::Interval,
            Datum::Uuid(_) => DataType::Uuid,
            Datum::Jsonb(_) => DataType::Jsonb,
            Datum::Array(array) => DataType::Array(array.element),
        })
    }

    /// The `timestamp` so many microseconds after 1970; NULL if there is none.
    pub fn timestamp_of_unix(micros: i64) -> Datum {
        let timestamp =
            micros.checked_sub(EPOCH_MICROS).and_then(|micros| Timestamp::from_micros(micros).ok());
        timestamp.map_or(Datum::Null, Datum::Timestamp)
    }

    /// A number.
    pub fn numeric(value: Numeric) -> Datum {
        Datum::Numeric(value)
    }

    /// A `jsonb`.
    pub fn json(value: Json) -> Datum {
        Datum::Jsonb(Arc::new(value))
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// About how many bytes of memory it takes.
    pub fn len_memory(&self) -> usize {
        let heap = match self {
            Datum::Text(text) | Datum::Bpchar(text) => text.capacity(),
            Datum::Bytea(bytes) => bytes.len() + 16,
            Datum::Numeric(value) => value.heap_len(),
            Datum::Jsonb(json) => json.len_memory(),
            Datum::Array(array) => array.len_memory(),
            _ => 0,
        };
        size_of::<Datum>() + heap
    }

    /// The order of two values of comparable types, neither NULL: numbers by value, NaN above all, text by
    /// its bytes. Values that cannot be compared are equal; the planner lets none through.
    pub fn order(&self, other: &Datum) -> Ordering {
        match (self, other) {
            (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
            (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
            (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Datum::Bpchar(a), Datum::Bpchar(b)) => trimmed(a).as_bytes().cmp(trimmed(b).as_bytes()),
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            (Datum::Numeric(a), Datum::Numeric(b)) => a.cmp(b),
            (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
            (Datum::Bytea(a), Datum::Bytea(b)) => a.cmp(b),
            (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
            (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
            (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
            (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(b),
            (Datum::Timestamptz(a), Datum::Timestamptz(b)) => a.cmp(b),
            (Datum::Interval(a), Datum::Interval(b)) => a.cmp(b),
            (Datum::Date(a), Datum::Timestamp(b)) => a.compare_timestamp(*b),
            (Datum::Timestamp(a), Datum::Date(b)) => b.compare_timestamp(*a).reverse(),
            (Datum::Jsonb(a), Datum::Jsonb(b)) => a.order(b),
            (Datum::Array(a), Datum::Array(b)) => a.order(b),
            _ => match (self.as_i64(), other.as_i64()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => match (self.as_f64(), other.as_f64()) {
                    (Some(a), Some(b)) => order_floats(a, b),
                    _ => Ordering::Equal,
                },
            },
        }
    }

    /// The number it is, as the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Datum::Int2(value) => Some(f64::from(*value)),
            Datum::Int4(value) => Some(f64::from(*value)),
            Datum::Int8(value) => Some(*value as f64),
            Datum::Float4(value) => Some(f64::from(*value)),
            Datum::Float8(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer it is.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Datum::Int2(value) => Some(i64::from(*value)),
            Datum::Int4(value) => Some(i64::from(*value)),
            Datum::Int8(value) => Some(*value),
            Datum::Oid(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The text it is, without the blanks that mean nothing.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            Datum::Bpchar(text) => Some(trimmed(text)),
            _ => None,
        }
    }
}

/// What counts of a `char(n)`.
fn trimmed(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Postgres's order of floats: NaN equals NaN and is above everything; the zeros are equal.
fn order_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
