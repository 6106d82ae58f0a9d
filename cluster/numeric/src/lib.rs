//! PostgreSQL's `numeric`: exact decimal numbers of any precision.
//!
//! Answers are those of PostgreSQL 15: values, display scales, text, bytes on the wire, errors with their SQLSTATE.
//! `tests/golden.txt` has hundreds that a real server gave. The crate refuses to be clever: there are no operators
//! (every operation says how it fails), no contexts, no rounding modes.
//!
//! * **A value** is NaN, an infinity, or a coefficient and a *scale*, the number of digits after the decimal point
//!   that are shown: 1.50 is 150 and 2. Coefficients of up to 128 bits need no heap.
//! * **Bounds**: 131,072 digits before the decimal point, 16,383 after it ([`limits`]). Operations refuse what is
//!   beyond with "value overflows numeric format", and as a rule before they make it.
//! * **Time and memory** follow from these bounds, whatever the operands: an operation ends within about a second
//!   on a core of 2020, most within microseconds, and needs a few hundred KiB. The slowest are those that take
//!   time quadratic in the digits, of operands at the limits: quotients, roots, texts (tens of milliseconds),
//!   [`gcd`](Numeric::gcd) and [`power`](Numeric::power) (tenths of a second). Functions compute at most about
//!   33,000 digits, when a base or a logarithm is as near to 1 as a value can be; else about 4,000.
//! * **Results** of exact operations are exact. Quotients and functions have the number of digits that PostgreSQL
//!   chooses and are correctly rounded.
//!
//! # Where answers can differ from PostgreSQL's
//! The last digit of a function may, about once in 10^7 results, where PostgreSQL's own error of some 10^-8 units of
//! that digit tips the rounding.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod aggregate;
mod arithmetic;
mod convert;
mod decimal;
mod encoding;
mod error;
mod functions;
mod integer;
mod integral;
pub mod limits;
mod order;
mod power;
mod rounding;
mod series;
mod text;
mod typmod;
mod value;
mod wire;

pub use aggregate::{Accumulator, Spread};
pub use error::{Error, Result, Target};
pub use typmod::Typmod;
pub use value::Numeric;
