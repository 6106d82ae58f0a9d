//! Values as clients write and read them: Postgres's text and binary formats.

mod array;
mod binary;
mod bytes;
mod float;
mod input;

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;

use cluster_calendar::{Session, Timestamptz, Zone};

pub use binary::{parse_binary, write_binary};
pub(crate) use bytes::{parse_bytea, parse_escaped, parse_hex, write_bytea, write_hex};
pub use input::{bad_utf8, parse_owned_text, parse_text};

use crate::types::Datum;

/// What a session adds to the meaning of texts, and to the looks of values.
#[derive(Clone, Debug)]
pub struct Style {
    /// The setting `TimeZone`.
    pub zone: Arc<Zone>,
    /// When the transaction began.
    pub now: Timestamptz,
    /// The setting `extra_float_digits`.
    pub float_digits: i8,
    /// Whether the setting `bytea_output` is `escape`.
    pub bytea_escape: bool,
}

impl Default for Style {
    fn default() -> Style {
        let now = Timestamptz::from_micros(0).unwrap_or(Timestamptz::INFINITY);
        Style { zone: Arc::new(Zone::utc()), now, float_digits: 1, bytea_escape: false }
    }
}

impl Style {
    /// What the calendar wants to know.
    pub fn calendar(&self) -> Session<'_> {
        Session { zone: &self.zone, now: self.now }
    }
}

/// Appends the text of `datum` as Postgres prints it; nothing for NULL.
pub fn write_text(datum: &Datum, style: &Style, out: &mut String) {
    // Writing to a string does not fail.
    let _ = match datum {
        Datum::Null => Ok(()),
        Datum::Bool(value) => out.write_str(if *value { "t" } else { "f" }),
        Datum::Int2(value) => write!(out, "{value}"),
        Datum::Int4(value) => write!(out, "{value}"),
        Datum::Int8(value) => write!(out, "{value}"),
        Datum::Oid(value) => write!(out, "{value}"),
        Datum::Float4(value) => float::write_f32(*value, style.float_digits, out),
        Datum::Float8(value) => float::write_f64(*value, style.float_digits, out),
        Datum::Numeric(value) => write!(out, "{value}"),
        Datum::Text(text) | Datum::Bpchar(text) => out.write_str(text),
        Datum::Bytea(bytes) => {
            write_bytea(bytes, style.bytea_escape, out);
            Ok(())
        }
        Datum::Date(value) => write!(out, "{value}"),
        Datum::Time(value) => write!(out, "{value}"),
        Datum::Timestamp(value) => write!(out, "{value}"),
        Datum::Timestamptz(value) => out.write_str(&value.to_text(&style.zone)),
        Datum::Interval(value) => write!(out, "{value}"),
        Datum::Uuid(bytes) => {
            let number = u128::from_be_bytes(*bytes);
            let part = |shift: u32, digits: u32| (number >> shift) & ((1 << (4 * digits)) - 1);
            let (a, b, c) = (part(96, 8), part(80, 4), part(64, 4));
            write!(out, "{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", part(48, 4), part(0, 12))
        }
        Datum::Jsonb(json) => write!(out, "{json}"),
        Datum::Array(array) => {
            array::write(array, style, out);
            Ok(())
        }
    };
}

/// The text of `datum`.
pub fn text_of(datum: &Datum, style: &Style) -> String {
    match datum {
        Datum::Text(text) => text.clone(),
        datum => {
            let mut out = String::new();
            write_text(datum, style, &mut out);
            out
        }
    }
}

/// The text of a float that is to be the same in all sessions.
pub(crate) fn shortest(value: f64) -> String {
    let mut out = String::new();
    let _ = float::write_f64(value, 1, &mut out);
    out
}
