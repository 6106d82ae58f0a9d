//! Bytes for index keys and for rows.
//!
//! **Keys** sort as their values do, byte by byte, and equal values have equal keys. The sign bit is turned over, so
//! that negative numbers come first.
//!
//! ```text
//! date:                          days ^ sign, 4 bytes, big-endian
//! time, timestamp, timestamptz:  microseconds ^ sign, 8 bytes, big-endian
//! interval:                      length in microseconds (a month is 30 days) ^ sign, 10 bytes, big-endian
//! ```
//! An interval's key tells its length alone: `1 month` and `30 days` are equal, and a unique index must think so, too.
//!
//! **Rows** are compact: most times are whole days, seconds or milliseconds. All numbers are zigzag (0, -1, 1, -2 are 0,
//! 1, 2, 3) and then LEB128: seven bits to a byte, the lowest first, the top bit says that more follow.
//!
//! ```text
//! date:                          days
//! time, timestamp, timestamptz:  span
//! interval:                      months | days | span
//!
//! span:                          zigzag number of units * 4 + unit: 0 days, 1 seconds, 2 milliseconds, 3 microseconds
//! ```
//! A span uses the longest unit that is exact, and a number the fewest bytes: a value has one encoding, and others are
//! refused.

use alloc::vec::Vec;

use crate::error::{Error, Kind};
use crate::gregorian::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::value::{Date, Interval, Time, Timestamp, Timestamptz};

/// Microseconds of the units of a span, in the order of their numbers.
const UNITS: [i64; 4] = [MICROS_PER_DAY, MICROS_PER_SECOND, 1000, 1];

/// Bytes of an interval's key: its length needs 74 bits.
const INTERVAL_KEY_LEN: usize = 10;

/// The lowest number of an interval's key.
const INTERVAL_KEY_BIAS: i128 = 1 << 79;

fn put_number(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at the beginning, and the rest.
fn take_number(bytes: &[u8]) -> Option<(u128, &[u8])> {
    let len = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(len);
    let is_shortest = len == 1 || number[len - 1] != 0;
    // 70 bits are more than any number here has.
    if len > 10 || !is_shortest {
        return None;
    }
    Some((number.iter().rev().fold(0, |sum, byte| sum << 7 | u128::from(byte & 0x7f)), rest))
}

fn zigzag(number: i64) -> u128 {
    u128::from(((number << 1) ^ (number >> 63)) as u64)
}

fn unzigzag(number: u128) -> Option<i64> {
    let number = u64::try_from(number).ok()?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn put_span(out: &mut Vec<u8>, micros: i64) {
    let unit = UNITS.iter().position(|unit| micros % unit == 0).unwrap_or(UNITS.len() - 1);
    put_number(out, zigzag(micros / UNITS[unit]) << 2 | unit as u128);
}

fn take_span(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (number, rest) = take_number(bytes)?;
    let unit = (number & 3) as usize;
    let micros = unzigzag(number >> 2)?.checked_mul(UNITS[unit])?;
    let is_longest = UNITS[..unit].iter().all(|longer| micros % longer != 0);
    is_longest.then_some((micros, rest))
}

fn take_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = take_number(bytes)?;
    Some((i32::try_from(unzigzag(number)?).ok()?, rest))
}

impl Date {
    /// The key of a value.
    pub fn to_key(self) -> [u8; 4] {
        (self.days() ^ i32::MIN).to_be_bytes()
    }

    /// The value of a key.
    pub fn from_key(bytes: &[u8]) -> Result<Date, Error> {
        let bytes = bytes.try_into().map_err(|_| Error::Binary(Kind::Date))?;
        Date::from_days(i32::from_be_bytes(bytes) ^ i32::MIN)
    }

    /// Appends the value for a row.
    pub fn encode(self, out: &mut Vec<u8>) {
        put_number(out, zigzag(i64::from(self.days())));
    }

    /// The value at the beginning of `bytes`, and the rest.
    pub fn decode(bytes: &[u8]) -> Result<(Date, &[u8]), Error> {
        let (days, rest) = take_i32(bytes).ok_or(Error::Binary(Kind::Date))?;
        Ok((Date::from_days(days)?, rest))
    }
}

/// Types that are an `i64` of microseconds.
macro_rules! micros_bytes {
    ($name:ident) => {
        impl $name {
            /// The key of a value.
            pub fn to_key(self) -> [u8; 8] {
                (self.micros() ^ i64::MIN).to_be_bytes()
            }

            /// The value of a key.
            pub fn from_key(bytes: &[u8]) -> Result<$name, Error> {
                let bytes = bytes.try_into().map_err(|_| Error::Binary(Kind::$name))?;
                $name::from_micros(i64::from_be_bytes(bytes) ^ i64::MIN)
            }

            /// Appends the value for a row.
            pub fn encode(self, out: &mut Vec<u8>) {
                put_span(out, self.micros());
            }

            /// The value at the beginning of `bytes`, and the rest.
            pub fn decode(bytes: &[u8]) -> Result<($name, &[u8]), Error> {
                let (micros, rest) = take_span(bytes).ok_or(Error::Binary(Kind::$name))?;
                Ok(($name::from_micros(micros)?, rest))
            }
        }
    };
}

micros_bytes!(Time);
micros_bytes!(Timestamp);
micros_bytes!(Timestamptz);

impl Interval {
    /// The key of a value: that of all intervals that are equal to it.
    pub fn to_key(self) -> [u8; INTERVAL_KEY_LEN] {
        let [.., k0, k1, k2, k3, k4, k5, k6, k7, k8, k9] = (self.span() + INTERVAL_KEY_BIAS).to_be_bytes();
        [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9]
    }

    /// An interval that is equal to the one of the key, in as many whole months and days as there are.
    pub fn from_key(bytes: &[u8]) -> Result<Interval, Error> {
        let bytes: [u8; INTERVAL_KEY_LEN] = bytes.try_into().map_err(|_| Error::Binary(Kind::Interval))?;
        let biased = bytes.iter().fold(0_i128, |sum, byte| sum << 8 | i128::from(*byte));
        let span = biased - INTERVAL_KEY_BIAS;
        let day = i128::from(MICROS_PER_DAY);
        // What is too large for one part is left to the next.
        let fit = |number: i128| number.clamp(i128::from(i32::MIN), i128::from(i32::MAX));
        let months = fit(span / (30 * day));
        let days = fit((span - months * 30 * day) / day);
        let micros =
            i64::try_from(span - (months * 30 + days) * day).map_err(|_| Error::Binary(Kind::Interval))?;
        Ok(Interval::new(months as i32, days as i32, micros))
    }

    /// Appends the value for a row.
    pub fn encode(self, out: &mut Vec<u8>) {
        put_number(out, zigzag(i64::from(self.months)));
        put_number(out, zigzag(i64::from(self.days)));
        put_span(out, self.micros);
    }

    /// The value at the beginning of `bytes`, and the rest.
    pub fn decode(bytes: &[u8]) -> Result<(Interval, &[u8]), Error> {
        let parts = || {
            let (months, rest) = take_i32(bytes)?;
            let (days, rest) = take_i32(rest)?;
            let (micros, rest) = take_span(rest)?;
            Some((Interval::new(months, days, micros), rest))
        };
        parts().ok_or(Error::Binary(Kind::Interval))
    }
}
