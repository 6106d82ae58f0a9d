//! Values and their types.

use alloc::string::String;
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
}
