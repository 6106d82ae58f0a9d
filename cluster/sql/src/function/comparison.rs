//! Which types are compared with which. How is said by [`crate::types::Datum::order`].

use super::{signatures, unexpected};

signatures! { COMPARISONS:
    "=" (Bool, Bool) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int2, Int2) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int4, Int4) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int8, Int8) Bool, Strict, |_, _| Err(unexpected());
    "=" (Float4, Float4) Bool, Strict, |_, _| Err(unexpected());
    "=" (Float8, Float8) Bool, Strict, |_, _| Err(unexpected());
    "=" (Numeric, Numeric) Bool, Strict, |_, _| Err(unexpected());
    "=" (Text, Text) Bool, Strict, |_, _| Err(unexpected());
    "=" (Bpchar, Bpchar) Bool, Strict, |_, _| Err(unexpected());
    "=" (Oid, Oid) Bool, Strict, |_, _| Err(unexpected());
    "=" (Bytea, Bytea) Bool, Strict, |_, _| Err(unexpected());
    "=" (Date, Date) Bool, Strict, |_, _| Err(unexpected());
    "=" (Time, Time) Bool, Strict, |_, _| Err(unexpected());
    "=" (Timestamp, Timestamp) Bool, Strict, |_, _| Err(unexpected());
    "=" (Timestamptz, Timestamptz) Bool, Strict, |_, _| Err(unexpected());
    "=" (Interval, Interval) Bool, Strict, |_, _| Err(unexpected());
    "=" (Uuid, Uuid) Bool, Strict, |_, _| Err(unexpected());
    "=" (Jsonb, Jsonb) Bool, Strict, |_, _| Err(unexpected());
    "=" (AnyArray, AnyArray) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int2, Int4) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int4, Int2) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int2, Int8) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int8, Int2) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int4, Int8) Bool, Strict, |_, _| Err(unexpected());
    "=" (Int8, Int4) Bool, Strict, |_, _| Err(unexpected());
    "=" (Float4, Float8) Bool, Strict, |_, _| Err(unexpected());
    "=" (Float8, Float4) Bool, Strict, |_, _| Err(unexpected());
    "=" (Date, Timestamp) Bool, Strict, |_, _| Err(unexpected());
    "=" (Timestamp, Date) Bool, Strict, |_, _| Err(unexpected());
}
