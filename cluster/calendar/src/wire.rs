//! The binary format of Postgres's protocol: big-endian, counted from 2000-01-01.
//!
//! ```text
//! date:                     days, i32
//! time:                     microseconds, i64
//! timestamp, timestamptz:   microseconds, i64
//! interval:                 microseconds, i64 | days, i32 | months, i32
//! ```

use crate::error::{Error, Kind};
use crate::value::{Date, Interval, Time, Timestamp, Timestamptz};

impl Date {
    /// The bytes of a value.
    pub fn to_wire(self) -> [u8; 4] {
        self.days().to_be_bytes()
    }

    /// The value of any bytes, or an error.
    pub fn from_wire(bytes: &[u8]) -> Result<Date, Error> {
        Date::from_days(i32::from_be_bytes(bytes.try_into().map_err(|_| Error::Binary(Kind::Date))?))
    }
}

/// Types that are an `i64` of microseconds.
macro_rules! micros_wire {
    ($name:ident) => {
        impl $name {
            /// The bytes of a value.
            pub fn to_wire(self) -> [u8; 8] {
                self.micros().to_be_bytes()
            }

            /// The value of any bytes, or an error.
            pub fn from_wire(bytes: &[u8]) -> Result<$name, Error> {
                let bytes = bytes.try_into().map_err(|_| Error::Binary(Kind::$name))?;
                $name::from_micros(i64::from_be_bytes(bytes))
            }
        }
    };
}

micros_wire!(Time);
micros_wire!(Timestamp);
micros_wire!(Timestamptz);

impl Interval {
    /// The bytes of a value.
    pub fn to_wire(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.micros.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.days.to_be_bytes());
        bytes[12..].copy_from_slice(&self.months.to_be_bytes());
        bytes
    }

    /// The value of any bytes, or an error.
    pub fn from_wire(bytes: &[u8]) -> Result<Interval, Error> {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| Error::Binary(Kind::Interval))?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3, n0, n1, n2, n3] = bytes;
        Ok(Interval {
            micros: i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
            days: i32::from_be_bytes([d0, d1, d2, d3]),
            months: i32::from_be_bytes([n0, n1, n2, n3]),
        })
    }
}
