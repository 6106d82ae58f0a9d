//! Values and their types.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The type of a column or expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataType {
    /// `boolean`
    Bool,
    /// `integer`, `int4`
    Int4,
    /// `bigint`, `int8`
    Int8,
    /// `double precision`, `float8`
    Float8,
    /// `text`, `varchar`
    Text,
    /// `timestamp` without time zone
    Timestamp,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// `text`
    Text(String),
    /// `timestamp`: microseconds since 1970-01-01 00:00:00.
    Timestamp(i64),
    /// `bytea`; so far only the keys of rows within a statement.
    Bytea(Arc<[u8]>),
}

impl DataType {
    /// The name Postgres gives it in messages.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::Bool => "boolean",
            DataType::Int4 => "integer",
            DataType::Int8 => "bigint",
            DataType::Float8 => "double precision",
            DataType::Text => "text",
            DataType::Timestamp => "timestamp without time zone",
        }
    }

    /// Its object id in Postgres's `pg_type`.
    pub const fn oid(self) -> u32 {
        match self {
            DataType::Bool => 16,
            DataType::Int8 => 20,
            DataType::Int4 => 23,
            DataType::Text => 25,
            DataType::Float8 => 701,
            DataType::Timestamp => 1114,
        }
    }

    /// Its length on the wire in bytes, or -1.
    pub const fn wire_len(self) -> i16 {
        match self {
            DataType::Bool => 1,
            DataType::Int4 => 4,
            DataType::Int8 | DataType::Float8 | DataType::Timestamp => 8,
            DataType::Text => -1,
        }
    }

    /// Whether it is a whole number.
    pub const fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// The least and the greatest whole number that it holds, if it holds only these.
    pub const fn integer_range(self) -> Option<(i64, i64)> {
        match self {
            DataType::Int4 => Some((i32::MIN as i64, i32::MAX as i64)),
            DataType::Int8 => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }

    /// Whether it is a number.
    pub const fn is_numeric(self) -> bool {
        matches!(self, DataType::Int4 | DataType::Int8 | DataType::Float8)
    }
}

impl Datum {
    /// Its type; NULL has none.
    pub fn data_type(&self) -> Option<DataType> {
        match self {
            Datum::Null | Datum::Bytea(_) => None,
            Datum::Bool(_) => Some(DataType::Bool),
            Datum::Int4(_) => Some(DataType::Int4),
            Datum::Int8(_) => Some(DataType::Int8),
            Datum::Float8(_) => Some(DataType::Float8),
            Datum::Text(_) => Some(DataType::Text),
            Datum::Timestamp(_) => Some(DataType::Timestamp),
        }
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// About how many bytes of memory it takes.
    pub fn len_memory(&self) -> usize {
        let heap = if let Datum::Text(text) = self { text.capacity() } else { 0 };
        core::mem::size_of::<Datum>() + heap
    }

    /// The order of two values of comparable types, neither NULL: numbers by value, NaN above all, text by
    /// its bytes. Values that cannot be compared are equal; the planner lets none through.
    pub fn order(&self, other: &Datum) -> Ordering {
        match (self, other) {
            (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
            (Datum::Int8(a), Datum::Int8(b)) | (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(b),
            (Datum::Int4(a), Datum::Int8(b)) => i64::from(*a).cmp(b),
            (Datum::Int8(a), Datum::Int4(b)) => a.cmp(&i64::from(*b)),
            (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => order_floats(a, b),
                _ => Ordering::Equal,
            },
        }
    }

    /// The number it is, as the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Datum::Int4(value) => Some(f64::from(*value)),
            Datum::Int8(value) => Some(*value as f64),
            Datum::Float8(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer it is.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Datum::Int4(value) => Some(i64::from(*value)),
            Datum::Int8(value) => Some(*value),
            _ => None,
        }
    }
}

/// Postgres's order of floats: NaN equals NaN and is above everything; the zeros are equal.
fn order_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
