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
//! * **Time and memory** follow from these bounds, whatever the operands: no operation takes more than about a
//!   quarter of a second (`tests/bounds.rs` tries the most expensive ones) or a few hundred KiB; those of short values
//!   take tens of nanoseconds, functions of them microseconds. Quotients, roots, divisors and texts take time
//!   quadratic in the digits: tens of milliseconds at the limits. Functions compute about 4,000 digits at most, or
//!   33,000 where a base or an argument is as near to 1 as a value can be.
//! * **Results** of exact operations are exact. Quotients and functions have the number of digits that PostgreSQL
//!   chooses; quotients and roots are correctly rounded, and so, but next to ties, are functions.
//!
//! ```
//! use cluster_numeric::{Error, Numeric, Typmod};
//!
//! let price: Numeric = "12.50".parse()?;
//! let share = price.div(&Numeric::from(7))?;
//! assert_eq!(share.to_string(), "1.7857142857142857");
//! assert_eq!(share.with_typmod(Typmod::new(10, 2)?)?.to_string(), "1.79");
//! assert_eq!(price.div(&Numeric::ZERO), Err(Error::DivisionByZero));
//! assert_eq!(Error::DivisionByZero.sqlstate(), "22012");
//! # Ok::<(), Error>(())
//! ```
//!
//! # Where answers can differ from PostgreSQL's
//! The last digit of a function may, where the true value is so near to a tie that the error of PostgreSQL's own
//! intermediate results, some 10^-8 units of that digit, decides. Close to 1, where such values are not rare,
//! logarithms and exponentials are computed as PostgreSQL does it; of 1.1 million random operations, half of them
//! functions, none differs (`tests/make-golden.sh` says how to try more).

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
