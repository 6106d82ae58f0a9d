//! Values of system tables.

use alloc::boxed::Box;
use alloc::string::String;

use crate::types::{Array, Datum, Scalar};

/// An object id.
pub(super) const fn oid(oid: u32) -> Datum {
    Datum::Oid(oid)
}

/// A text or a name.
pub(super) fn text(text: &str) -> Datum {
    Datum::Text(text.into())
}

/// A text that was made.
pub(super) const fn made(text: String) -> Datum {
    Datum::Text(text)
}

/// Whether something is so.
pub(super) const fn flag(flag: bool) -> Datum {
    Datum::Bool(flag)
}

/// A number of columns, which are never too many.
pub(super) fn small(number: usize) -> Datum {
    Datum::Int2(i16::try_from(number).unwrap_or(i16::MAX))
}

/// The number that column `place` has.
pub(super) fn attnum(place: u16) -> i16 {
    i16::try_from(place).unwrap_or(i16::MAX).saturating_add(1)
}

/// Small numbers, as an array or a vector.
pub(super) fn smalls(numbers: impl Iterator<Item = i16>) -> Datum {
    Datum::Array(Box::new(Array::new(Scalar::Int2, numbers.map(Datum::Int2).collect())))
}

/// Object ids, as an array or a vector.
pub(super) fn oids(oids: impl Iterator<Item = u32>) -> Datum {
    Datum::Array(Box::new(Array::new(Scalar::Oid, oids.map(Datum::Oid).collect())))
}
