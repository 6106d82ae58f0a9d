//! Keys: values as bytes that sort as the values do.
//!
//! ```text
//! table row:   01 | table id, u32 | primary key, or a hidden row id of 16 bytes
//! descriptor:  00 01 | schema | name
//! next id:     00 02
//! restore:     00 03, while a backup is restored: which restore may write
//! setting:     00 04 | name, unless it has its default: see cluster/store
//! statistics:  00 04 | table id, u32
//! build:       00 05 | session, u64: see catalog/builds.rs
//! service:     00 06 | service, u8: how far its schema has been run
//! told:        02 | ..., deletions only: see notify
//!
//! value:       01 | its bytes             text, bytea: 00 becomes 00 ff, and 00 00 ends it
//! NULL:        02                         integers: big-endian, sign flipped
//! descending:  every byte inverted        floats: likewise, all bits flipped if negative
//!
//! array:       its elements, with 01 or 02 before each | 00
//! jsonb:       rank | for an array or object: number of parts, u32 | parts; see [`Json::order`]
//! others:      see cluster/numeric and cluster/calendar
//! ```
//! Equal values have equal keys: 1.0 and 1.00, 0.0 and -0.0, texts of `char(n)` with and without their blanks.

use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_store::SYSTEM_SPACE;

use crate::types::{Datum, Json};

/// Which way a column of a key sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// Smallest first, NULL last.
    Ascending,
    /// Largest first, NULL first.
    Descending,
}

const VALUE: u8 = 1;
const NULL: u8 = 2;

/// Keys of table rows.
pub(crate) const TABLE_SPACE: u8 = SYSTEM_SPACE + 1;

/// Keys that there never are: their deletions tell something.
pub(crate) const NOTIFICATION_SPACE: u8 = TABLE_SPACE + 1;

/// What the key of every row of a table begins with.
pub(crate) const TABLE_PREFIX_LEN: usize = 5;

/// Whether a deletion of `key` is no deletion, but tells something.
pub fn is_notification(key: &[u8]) -> bool {
    key.first() == Some(&NOTIFICATION_SPACE)
}

/// What every row key of table `id` starts with.
pub fn table_prefix(id: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    key.push(TABLE_SPACE);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The table, or index, whose row has this key.
pub fn table_id(key: &[u8]) -> Option<u32> {
    let (space, rest) = key.split_first()?;
    let id = rest.first_chunk().filter(|_| *space == TABLE_SPACE)?;
    Some(u32::from_be_bytes(*id))
}

/// The keys of all rows of table `id`.
pub fn table_range(id: u32) -> KeyRange {
    KeyRange::prefix(&table_prefix(id))
}

/// The text that the key of a row begins with; none if it begins with something else.
pub fn leading_text(key: &[u8]) -> Option<&str> {
    let (&VALUE, text) = key.get(TABLE_PREFIX_LEN..)?.split_first()? else { return None };
    // No text has a zero within.
    let end = text.iter().position(|byte| *byte == 0)?;
    core::str::from_utf8(text.get(..end)?).ok()
}

/// Appends `datum`.
pub fn write(datum: &Datum, order: KeyOrder, out: &mut Vec<u8>) {
    let start = out.len();
    match datum {
        Datum::Null => out.push(NULL),
        datum => {
            out.push(VALUE);
            write_value(datum, out);
        }
    }
    if order == KeyOrder::Descending {
        for byte in out.iter_mut().skip(start) {
            *byte = !*byte;
        }
    }
}

/// Appends a text as [`write`] does, ascending; NULL if none. Blanks at the end of a `char(n)` do not count.
pub(crate) fn write_text(text: Option<&str>, is_padded: bool, out: &mut Vec<u8>) {
    match text {
        None => out.push(NULL),
        Some(text) => {
            out.push(VALUE);
            write_bytes(if is_padded { text.trim_end_matches(' ') } else { text }.as_bytes(), out);
        }
    }
}

fn write_value(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int2(value) => out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 15)).to_be_bytes()),
        Datum::Int4(value) => out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 31)).to_be_bytes()),
        Datum::Int8(value) => out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes()),
        Datum::Oid(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Float4(value) => out.extend_from_slice(&float_bits(f64::from(*value)).to_be_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&float_bits(*value).to_be_bytes()),
        Datum::Numeric(value) => value.write_key(out),
        Datum::Text(text) => write_bytes(text.as_bytes(), out),
        Datum::Bpchar(text) => write_bytes(text.trim_end_matches(' ').as_bytes(), out),
        Datum::Bytea(bytes) => write_bytes(bytes, out),
        Datum::Date(value) => out.extend_from_slice(&value.to_key()),
        Datum::Time(value) => out.extend_from_slice(&value.to_key()),
        Datum::Timestamp(value) => out.extend_from_slice(&value.to_key()),
        Datum::Timestamptz(value) => out.extend_from_slice(&value.to_key()),
        Datum::Interval(value) => out.extend_from_slice(&value.to_key()),
        Datum::Uuid(bytes) => out.extend_from_slice(bytes),
        Datum::Jsonb(json) => write_json(json, out),
        Datum::Array(array) => {
            for item in &array.items {
                write(item, KeyOrder::Ascending, out);
            }
            out.push(0);
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn write_json(json: &Json, out: &mut Vec<u8>) {
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    match json {
        Json::Array(items) if items.is_empty() => out.push(0),
        Json::Null => out.push(1),
        Json::String(text) => {
            out.push(2);
            write_bytes(text.as_bytes(), out);
        }
        Json::Number(value) => {
            out.push(3);
            value.write_key(out);
        }
        Json::Bool(value) => out.extend_from_slice(&[4, u8::from(*value)]),
        Json::Array(items) => {
            out.push(5);
            out.extend_from_slice(&count(items.len()));
            items.iter().for_each(|item| write_json(item, out));
        }
        Json::Object(pairs) => {
            out.push(6);
            out.extend_from_slice(&count(pairs.len()));
            for (key, value) in pairs {
                write_bytes(key.as_bytes(), out);
                write_json(value, out);
            }
        }
    }
}

/// The bits of `value`, sorted as Postgres sorts floats: one zero, one NaN, NaN above everything.
fn float_bits(value: f64) -> u64 {
    if value.is_nan() {
        return u64::MAX;
    }
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
    use core::cmp::Ordering;
    use proptest::prelude::*;

    fn of_one_type() -> impl Strategy<Value = (Datum, Datum)> {
        fn pair<T: Clone + core::fmt::Debug>(
            value: impl Strategy<Value = T> + Clone,
            datum: fn(T) -> Datum,
        ) -> impl Strategy<Value = (Datum, Datum)> {
            let value = prop_oneof![4 => value.prop_map(datum), 1 => Just(Datum::Null)];
            (value.clone(), value)
        }
        let float = any::<u64>().prop_map(f64::from_bits);
        let small = prop_oneof![Just(0.0), Just(-0.0), Just(1.5), Just(-1.5), Just(f64::NAN)];
        let text = prop_oneof!["[\\x00-b]{0,3}", any::<String>()];
        prop_oneof![
            pair(any::<bool>(), Datum::Bool),
            pair(any::<i32>(), Datum::Int4),
            pair(any::<i64>(), Datum::Int8),
            pair(prop_oneof![float, small], Datum::Float8),
            pair(-1i64 << 57..1 << 57, Datum::timestamp_of_unix),
            pair(any::<i16>(), Datum::Int2),
            pair(any::<u32>(), Datum::Oid),
            pair(-200i64..200, |value| Datum::numeric(cluster_numeric::Numeric::from(value))),
            pair("[ab]{0,2} {0,2}", Datum::Bpchar),
            pair(proptest::collection::vec(0u8..2, 0..4), |bytes| Datum::Bytea(bytes.into())),
            pair("([0-9]|true|null|\"[ab]\"|\\[[12]?\\]|\\[[12],1\\]|\\{\"a\":[12]\\})", |text| {
                Datum::json(crate::types::parse_json(&text).expect("valid"))
            }),
            pair(proptest::collection::vec(proptest::option::of(0..3), 0..4), |items| {
                let items = items.into_iter().map(|item| item.map_or(Datum::Null, Datum::Int4)).collect();
                Datum::Array(alloc::boxed::Box::new(crate::types::Array::new(
                    crate::types::Scalar::Int4,
                    items,
                )))
            }),
            pair(text, Datum::Text),
        ]
    }

    fn order(a: &Datum, b: &Datum) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (false, false) => a.order(b),
            (a, b) => a.cmp(&b),
        }
    }

    proptest! {
        #[test]
        fn bytes_sort_as_values_do((a, b) in of_one_type(), (c, d) in of_one_type()) {
            let key = |first: &Datum, second: &Datum, order| {
                let mut key = Vec::new();
                write(first, order, &mut key);
                write(second, order, &mut key);
                key
            };
            let expected = order(&a, &b).then(order(&c, &d));
            prop_assert_eq!(key(&a, &c, KeyOrder::Ascending).cmp(&key(&b, &d, KeyOrder::Ascending)), expected);
            prop_assert_eq!(
                key(&a, &c, KeyOrder::Descending).cmp(&key(&b, &d, KeyOrder::Descending)),
                expected.reverse()
            );
        }
    }
}
