//! The words that texts of dates and intervals are made of.

use crate::unit::Unit;

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Now,
    Today,
    Tomorrow,
    Yesterday,
    /// Midnight UTC: `allballs`
    Midnight,
    Epoch,
    Infinity,
    MinusInfinity,
    Month(i64),
    /// Monday and its like: says nothing that is used.
    Weekday,
    /// Whether it is BC.
    Era(bool),
    /// Whether it is PM.
    Half(bool),
    /// Summer time: an hour is added to the zone's.
    Summer,
    Unit(Unit),
    /// The `T` before a time.
    TimeFollows,
    /// `at`, `on`
    Ignored,
}

/// No word is longer, and what follows is not looked at: `microsecondish` is a word.
const LEN_MAX: usize = 10;

fn key(text: &str) -> &str {
    // Tokens are ASCII.
    text.get(..LEN_MAX).unwrap_or(text)
}

/// A word of a date, in lower case.
pub(super) fn datetime_word(text: &str) -> Option<Word> {
    Some(match key(text) {
        "-infinity" => Word::MinusInfinity,
        "infinity" => Word::Infinity,
        "epoch" => Word::Epoch,
        "now" => Word::Now,
        "today" => Word::Today,
        "tomorrow" => Word::Tomorrow,
        "yesterday" => Word::Yesterday,
        "allballs" => Word::Midnight,
        "ad" => Word::Era(false),
        "bc" => Word::Era(true),
        "am" => Word::Half(false),
        "pm" => Word::Half(true),
        "at" | "on" => Word::Ignored,
        "dst" => Word::Summer,
        "t" => Word::TimeFollows,
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday" => Word::Weekday,
        "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" => Word::Weekday,
        "sat" | "saturday" | "sun" | "sunday" => Word::Weekday,
        other => Word::Unit(calendar_unit(other)?),
    })
}

pub(super) fn is_datetime_word(text: &str) -> bool {
    datetime_word(text).is_some()
}

/// The units that stand before a number in a date: `y2001m02d04`. They are also fields of `extract`.
pub(crate) fn calendar_unit(text: &str) -> Option<Unit> {
    Some(match key(text) {
        "d" => Unit::Day,
        "dow" => Unit::Dow,
        "doy" => Unit::Doy,
        "h" => Unit::Hour,
        "isodow" => Unit::IsoDow,
        "isoyear" => Unit::IsoYear,
        "j" | "jd" | "julian" => Unit::Julian,
        "m" => Unit::Month,
        "mm" => Unit::Minute,
        "s" => Unit::Second,
        "y" => Unit::Year,
        _ => return None,
    })
}

/// The units of intervals, and the fields of `extract`.
pub(crate) fn interval_unit(text: &str) -> Option<Unit> {
    Some(match key(text) {
        "c" | "cent" | "centuries" | "century" => Unit::Century,
        "d" | "day" | "days" => Unit::Day,
        "dec" | "decade" | "decades" | "decs" => Unit::Decade,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "microsecon" | "us" | "usec" | "usecond" | "useconds" | "usecs" => Unit::Microsecond,
        "mil" | "millennia" | "millennium" | "mils" => Unit::Millennium,
        "millisecon" | "ms" | "msec" | "msecond" | "mseconds" | "msecs" => Unit::Millisecond,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "timezone" => Unit::Timezone,
        "timezone_h" => Unit::TimezoneHour,
        "timezone_m" => Unit::TimezoneMinute,
        "w" | "week" | "weeks" => Unit::Week,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        _ => return None,
    })
}

/// Whether the word turns an interval round.
pub(super) fn is_ago(text: &str) -> bool {
    text == "ago"
}
