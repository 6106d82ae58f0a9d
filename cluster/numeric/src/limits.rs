//! Every bound of the type, as PostgreSQL 15 sets it, in decimal digits unless said otherwise.

/// Digits before the decimal point of a value.
pub const INTEGER_DIGITS_MAX: u32 = 131_072;

/// Digits after the decimal point of a value.
pub const SCALE_MAX: u32 = 16_383;

/// Largest precision of `numeric(precision, scale)`.
pub const PRECISION_MAX: i32 = 1000;

/// Least scale of `numeric(precision, scale)`.
pub const TYPE_SCALE_MIN: i32 = -1000;

/// Largest scale of `numeric(precision, scale)`.
pub const TYPE_SCALE_MAX: i32 = 1000;

/// Most digits after the decimal point that a division or a function chooses for its result.
pub(crate) const RESULT_SCALE_MAX: i32 = 1000;

/// Fewest significant digits that a division or a function aims at.
pub(crate) const SIGNIFICANT_DIGITS_MIN: i32 = 16;

/// Digits that an intermediate result has beyond those of the result.
pub(crate) const GUARD_DIGITS: i64 = 8;

/// `exp(x)` overflows, or is zero, from this |x| on.
pub(crate) const EXP_ARGUMENT_MAX: f64 = 6000.0;

/// The largest n whose factorial is a value.
pub const FACTORIAL_MAX: i64 = 32_177;

/// Digits of one group of the wire format, and the unit in which result scales are chosen.
pub(crate) const GROUP_DIGITS: i64 = 4;

/// The largest exponent of ten of a value's first digit.
pub(crate) const EXPONENT_MAX: i64 = INTEGER_DIGITS_MAX as i64 - 1;

// What the rest of the crate takes for granted.
const _: () = assert!(INTEGER_DIGITS_MAX as i64 % GROUP_DIGITS == 0);
const _: () = assert!(RESULT_SCALE_MAX as u32 <= SCALE_MAX && PRECISION_MAX <= RESULT_SCALE_MAX);
