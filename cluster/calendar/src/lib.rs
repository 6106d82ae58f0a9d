//! PostgreSQL's `date`, `time`, `timestamp`, `timestamptz` and `interval` as values.
//!
//! 1. **PostgreSQL 15 is the reference**, with DateStyle `ISO, MDY` and IntervalStyle `postgres`: which texts are read,
//!    what is printed, how sums round, which error an input gives, and its words. `tests/golden.txt` holds its answers.
//! 2. **Nothing from outside.** The time and the zone of a session are arguments ([`Session`]): every replica that
//!    computes with the same arguments comes to the same value.
//! 3. **A value is in its range.** Constructors refuse what is not, so that arithmetic inside has room: years from
//!    4714 BC to 294276 for timestamps, to 5874897 for dates.
//! 4. **Zones behind one seam.** Only [`Zone`] knows where their rules come from.
//!
//! All counts begin at 2000-01-01, as on Postgres's wire; infinities are the extremes of the integers. Formats are drawn
//! where they are written: `wire.rs` for clients, `bytes.rs` for index keys and rows.
//!
//! What differs from PostgreSQL 15:
//! * Where it overflows unnoticed, this is an error: timestamps more than 292,000 years apart are not subtracted,
//!   `make_interval` does not wrap, and a text that is rounded past the last microsecond of 294276 is refused.
//! * `age` of an infinite time is an error, not a large interval.
//! * Zones are the IANA database's by their plain names: none below `posix/` and `right/`. A POSIX rule with a summer
//!   time reaches 24 hours from UTC, not 167, and without dates of its own has those of the United States since 2007.
//! * Settings that only it has are fixed: the zone abbreviations are its set `Default`, names are English.
//! * Julian days and ISO weeks that `to_char` gives for an interval mean nothing, and may be another nothing.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod abbreviation;
mod arithmetic;
mod bytes;
mod cron;
mod error;
mod extract;
mod float;
mod format;
mod gregorian;
mod interval;
mod make;
mod parse;
mod print;
mod truncate;
mod unit;
mod value;
mod wire;
mod zone;

pub use cron::{Cron, CronError};
pub use error::{Error, Kind};
pub use extract::Field;
pub use parse::{IntervalFields, Modifier};
pub use unit::Unit;
pub use value::{Date, Interval, Session, Time, Timestamp, Timestamptz, overlaps};
pub use zone::{Zone, ZoneClock, zone_names};
