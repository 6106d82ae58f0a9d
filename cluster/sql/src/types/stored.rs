//! Values of other crates in descriptors, where defaults are.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! stored {
    ($module:ident, $type:ty, $form:ty, $value:ident => $to:expr, $stored:ident => $from:expr) => {
        pub(super) mod $module {
            use super::*;

            pub(in super::super) fn serialize<S: Serializer>(
                $value: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                let form: $form = $to;
                form.serialize(to)
            }

            pub(in super::super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<$type, D::Error> {
                let $stored = <$form>::deserialize(from)?;
                $from.ok_or_else(|| D::Error::custom(format!("no {}", stringify!($module))))
            }
        }
    };
}

/// Microseconds from 1970 to 2000: descriptors have counted timestamps from 1970 ever since.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

stored!(timestamp, cluster_calendar::Timestamp, i64,
value => if value.is_finite() { value.micros() + EPOCH_MICROS } else { value.micros() },
stored => match stored {
    i64::MAX | i64::MIN => cluster_calendar::Timestamp::from_micros(stored).ok(),
    _ => stored.checked_sub(EPOCH_MICROS).and_then(|micros| cluster_calendar::Timestamp::from_micros(micros).ok()),
});
stored!(timestamptz, cluster_calendar::Timestamptz, i64,
    value => value.micros(), stored => cluster_calendar::Timestamptz::from_micros(stored).ok());
stored!(date, cluster_calendar::Date, i32,
    value => value.days(), stored => cluster_calendar::Date::from_days(stored).ok());
stored!(time, cluster_calendar::Time, i64,
    value => value.micros(), stored => cluster_calendar::Time::from_micros(stored).ok());
stored!(interval, cluster_calendar::Interval, (i32, i32, i64),
    value => (value.months, value.days, value.micros),
    stored => Some(cluster_calendar::Interval::new(stored.0, stored.1, stored.2)));
stored!(numeric, cluster_numeric::Numeric, Vec<u8>,
    value => { let mut out = Vec::new(); value.write(&mut out); out },
    stored => cluster_numeric::Numeric::read(&stored).map(|(value, _)| value));
stored!(json, Arc<crate::types::Json>, String,
    value => format!("{value}"), stored => crate::types::parse_json(&stored).ok().map(Arc::new));
