//! What an operation can fail with, in PostgreSQL's words.
//!
//! All of these are the statement's fault, and every node fails alike.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::limits::{PRECISION_MAX, TYPE_SCALE_MAX, TYPE_SCALE_MIN};

/// The outcome of an operation.
pub type Result<T> = core::result::Result<T, Error>;

/// A type that a value could not be converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Target::Int2 => "smallint",
            Target::Int4 => "integer",
            Target::Int8 => "bigint",
            Target::Float4 => "real",
            Target::Float8 => "double precision",
        }
    }
}

/// Why there is no result. [`fmt::Display`] gives the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a number.
    Syntax(Box<str>),
    /// More digits before or after the decimal point than a value can have.
    Overflow,
    /// The value does not fit `numeric(precision, scale)`.
    FieldOverflow {
        /// Of the type.
        precision: i32,
        /// Of the type.
        scale: i32,
        /// Whether the value was an infinity.
        infinite: bool,
    },
    /// No type has this precision.
    TypePrecision(i32),
    /// No type has this scale.
    TypeScale(i32),
    /// A division by zero.
    DivisionByZero,
    /// The value is out of the range of an integer type.
    IntegerRange(Target),
    /// NaN has no integer.
    IntegerOfNan(Target),
    /// An infinity has no integer.
    IntegerOfInfinity(Target),
    /// The value, printed here, is beyond or below what a float can tell from zero.
    FloatRange(Box<str>, Target),
    /// The square root of a negative number.
    SquareRootOfNegative,
    /// 0 to a negative power.
    PowerOfZero,
    /// A negative number to a power that is no integer.
    PowerOfNegative,
    /// The logarithm of zero, or to the base of zero.
    LogarithmOfZero,
    /// The logarithm of a negative number, or to the base of one.
    LogarithmOfNegative,
    /// The factorial of a negative number.
    FactorialOfNegative,
    /// `width_bucket` with no buckets.
    BucketCount,
    /// `width_bucket` with a NaN.
    BucketNan,
    /// `width_bucket` with an infinite bound.
    BucketInfinite,
    /// `width_bucket` with two equal bounds.
    BucketEmpty,
    /// Bytes from the wire end early.
    WireShort,
    /// Bytes from the wire go on after the value.
    WireLong,
    /// The sign of the wire format.
    WireSign,
    /// The scale of the wire format.
    WireScale,
    /// A digit of the wire format.
    WireDigit,
}

impl Error {
    /// The five letters of its SQLSTATE.
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Error::Syntax(_) => "22P02",
            Error::Overflow
            | Error::FieldOverflow { .. }
            | Error::IntegerRange(_)
            | Error::FloatRange(..)
            | Error::FactorialOfNegative => "22003",
            Error::TypePrecision(_) | Error::TypeScale(_) => "22023",
            Error::DivisionByZero => "22012",
            Error::IntegerOfNan(_) | Error::IntegerOfInfinity(_) => "0A000",
            Error::SquareRootOfNegative | Error::PowerOfZero | Error::PowerOfNegative => "2201F",
            Error::LogarithmOfZero | Error::LogarithmOfNegative => "2201E",
            Error::BucketCount | Error::BucketNan | Error::BucketInfinite | Error::BucketEmpty => "2201G",
            Error::WireShort => "08P01",
            Error::WireLong | Error::WireSign | Error::WireScale | Error::WireDigit => "22P03",
        }
    }

    /// What PostgreSQL says below the message.
    pub fn detail(&self) -> Option<String> {
        let Error::FieldOverflow { precision, scale, infinite } = *self else {
            return None;
        };
        let field = format!("A field with precision {precision}, scale {scale}");
        Some(match precision - scale {
            _ if infinite => format!("{field} cannot hold an infinite value."),
            0 => format!("{field} must round to an absolute value less than 1."),
            digits => format!("{field} must round to an absolute value less than 10^{digits}."),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Syntax(text) => {
                return write!(f, "invalid input syntax for type numeric: \"{text}\"");
            }
            Error::TypePrecision(precision) => {
                return write!(f, "NUMERIC precision {precision} must be between 1 and {PRECISION_MAX}");
            }
            Error::TypeScale(scale) => {
                return write!(
                    f,
                    "NUMERIC scale {scale} must be between {TYPE_SCALE_MIN} and {TYPE_SCALE_MAX}"
                );
            }
            Error::IntegerRange(target) => return write!(f, "{} out of range", target.name()),
            Error::IntegerOfNan(target) => return write!(f, "cannot convert NaN to {}", target.name()),
            Error::IntegerOfInfinity(target) => {
                return write!(f, "cannot convert infinity to {}", target.name());
            }
            Error::FloatRange(text, target) => {
                return write!(f, "\"{text}\" is out of range for type {}", target.name());
            }
            Error::Overflow => "value overflows numeric format",
            Error::FieldOverflow { .. } => "numeric field overflow",
            Error::DivisionByZero => "division by zero",
            Error::SquareRootOfNegative => "cannot take square root of a negative number",
            Error::PowerOfZero => "zero raised to a negative power is undefined",
            Error::PowerOfNegative => {
                "a negative number raised to a non-integer power yields a complex result"
            }
            Error::LogarithmOfZero => "cannot take logarithm of zero",
            Error::LogarithmOfNegative => "cannot take logarithm of a negative number",
            Error::FactorialOfNegative => "factorial of a negative number is undefined",
            Error::BucketCount => "count must be greater than zero",
            Error::BucketNan => "operand, lower bound, and upper bound cannot be NaN",
            Error::BucketInfinite => "lower and upper bounds must be finite",
            Error::BucketEmpty => "lower bound cannot equal upper bound",
            Error::WireShort => "insufficient data left in message",
            Error::WireLong => "incorrect binary data format",
            Error::WireSign => "invalid sign in external \"numeric\" value",
            Error::WireScale => "invalid scale in external \"numeric\" value",
            Error::WireDigit => "invalid digit in external \"numeric\" value",
        })
    }
}

impl core::error::Error for Error {}
