//! What a declared type adds: the length of a `varchar(n)`, the precision of a `numeric` or a `timestamp`.
//!
//! A modifier is Postgres's without the four that it adds for texts and numbers:
//! ```text
//! varchar, char:             most characters
//! numeric:                   precision << 16 | scale, 11 bits
//! time, timestamp[tz]:       digits of a second
//! interval:                  a number of the fields << 16 | digits of a second, ffff if not said
//! ```

use alloc::format;
use alloc::string::String;

use cluster_calendar::{IntervalFields, Modifier};
use cluster_numeric::Typmod;

use super::{DataType, Datum};
use crate::error::{SqlError, SqlResult, SqlState};

/// A type as statements write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// The type.
    pub data_type: DataType,
    /// What stands in parentheses behind it.
    pub modifier: Option<u32>,
}

impl From<DataType> for TypeName {
    fn from(data_type: DataType) -> TypeName {
        TypeName { data_type, modifier: None }
    }
}

/// The fields of an interval, by their numbers.
const FIELDS: [IntervalFields; 13] = [
    IntervalFields::Year,
    IntervalFields::Month,
    IntervalFields::Day,
    IntervalFields::Hour,
    IntervalFields::Minute,
    IntervalFields::Second,
    IntervalFields::YearToMonth,
    IntervalFields::DayToHour,
    IntervalFields::DayToMinute,
    IntervalFields::DayToSecond,
    IntervalFields::HourToMinute,
    IntervalFields::HourToSecond,
    IntervalFields::MinuteToSecond,
];

/// The modifier of an interval.
pub(crate) fn interval_modifier(fields: Option<IntervalFields>, precision: Option<u8>) -> u32 {
    let at = fields.and_then(|fields| FIELDS.iter().position(|known| *known == fields));
    let number = at.map_or(0, |at| at as u32 + 1);
    number << 16 | precision.map_or(0xffff, u32::from)
}

/// What an interval's modifier means.
pub(crate) fn of_interval(modifier: u32) -> Modifier {
    let at = (modifier >> 16).checked_sub(1).and_then(|at| usize::try_from(at).ok());
    Modifier {
        fields: at.and_then(|at| FIELDS.get(at).copied()),
        precision: u8::try_from(modifier & 0xffff).ok(),
    }
}

fn typmod(modifier: u32) -> Option<Typmod> {
    Typmod::from_i32(i32::try_from(modifier).ok()?.checked_add(4)?)
}

/// Makes `datum` what a column of the type holds, by assignment: what is too long is an error, but for blanks.
pub(crate) fn fit(datum: &mut Datum, data_type: DataType, modifier: u32) -> SqlResult<()> {
    fit_as(datum, data_type, modifier, false)
}

/// Makes `datum` what a cast to the type gives: what is too long is cut off.
pub(crate) fn fit_explicitly(datum: &mut Datum, data_type: DataType, modifier: u32) -> SqlResult<()> {
    fit_as(datum, data_type, modifier, true)
}

fn fit_as(datum: &mut Datum, data_type: DataType, modifier: u32, explicit: bool) -> SqlResult<()> {
    let digits = u8::try_from(modifier).unwrap_or(u8::MAX);
    match datum {
        Datum::Text(text) => fit_text(text, modifier, DataType::Varchar, explicit)?,
        Datum::Bpchar(text) => {
            fit_text(text, modifier, DataType::Bpchar, explicit)?;
            let chars = text.chars().count();
            text.extend(core::iter::repeat_n(' ', (modifier as usize).saturating_sub(chars)));
        }
        Datum::Numeric(value) => {
            if let Some(typmod) = typmod(modifier) {
                *value = value.with_typmod(typmod)?;
            }
        }
        Datum::Time(value) => *value = value.round(digits),
        Datum::Timestamp(value) => *value = value.round(digits)?,
        Datum::Timestamptz(value) => *value = value.round(digits)?,
        Datum::Interval(value) => *value = value.modified(of_interval(modifier)),
        Datum::Array(array) => {
            let element = data_type.element().unwrap_or(data_type);
            array.items.iter_mut().try_for_each(|item| fit_as(item, element, modifier, explicit))?;
        }
        _ => {}
    }
    Ok(())
}

/// Cuts a text that is too long: blanks always, anything else if `explicit`.
fn fit_text(text: &mut String, chars_max: u32, data_type: DataType, explicit: bool) -> SqlResult<()> {
    let count = chars_max as usize;
    if text.len() <= count {
        return Ok(());
    }
    let Some((end, _)) = text.char_indices().nth(count) else { return Ok(()) };
    if explicit || text.get(end..).is_some_and(|rest| rest.bytes().all(|byte| byte == b' ')) {
        text.truncate(end);
        return Ok(());
    }
    let message = format!("value too long for type {}({chars_max})", data_type.name());
    Err(SqlError::new(SqlState::TEXT_TOO_LONG, message))
}
