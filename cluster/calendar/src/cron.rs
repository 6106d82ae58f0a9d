//! Schedules in the notation of cron: which seconds of a zone's clock they name.
//!
//! ```text
//! [second] minute hour day-of-month month day-of-week        0 and 7 are Sunday; names are of three letters
//!
//! field: * or ? | number | from-to | any of these /step | a list of them, with commas
//! ```
//! Without the first of six fields, the second is 0. `@yearly`, `@monthly`, `@weekly`, `@daily` and `@hourly` are short for the
//! usual ones. As with Vixie's cron, a day is named if it is by either of its fields, where both are restricted.
//!
//! When clocks are put forward, a time that is left out comes as much later as they were put; when they are put back, one
//! that comes twice counts the second time. A schedule of every hour goes by the time that passes, and knows neither.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::gregorian::{Civil, MICROS_PER_DAY, MICROS_PER_SECOND, weekday};
use crate::{Timestamptz, Zone};

/// A year of which day is the 29th of February, and a Monday, say, is no further away than this.
const DAYS_MAX: i64 = 41 * 366;

/// Clocks are put forward or back by less than this, in microseconds.
const CHANGE_MAX: i64 = 4 * 3600 * MICROS_PER_SECOND;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Longest text.
const TEXT_LEN_MAX: usize = 1000;

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError(String);

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A schedule. Each field is a set of numbers, a bit for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the day's two fields are both restricted, so that either is enough.
    either_day: bool,
}

/// What a field may hold.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
    /// The number of the first name.
    names_from: u32,
}

const SECOND: Field = Field { name: "second", first: 0, last: 59, names: &[], names_from: 0 };
const MINUTE: Field = Field { name: "minute", ..SECOND };
const HOUR: Field = Field { name: "hour", last: 23, ..SECOND };
const DAY: Field = Field { name: "day of the month", first: 1, last: 31, ..SECOND };
const MONTH: Field = Field { name: "month", first: 1, last: 12, names: &MONTHS, names_from: 1 };
const WEEKDAY: Field = Field { name: "day of the week", first: 0, last: 7, names: &WEEKDAYS, names_from: 0 };

const ALL_HOURS: u64 = (1 << 24) - 1;

impl Field {
    fn parse(&self, text: &str) -> Result<u64, CronError> {
        let mut set = 0;
        for item in text.split(',') {
            let (range, step) =
                item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
            let (from, to) = match range {
                "*" | "?" => (self.first, self.last),
                range => match range.split_once('-') {
                    Some((from, to)) => (self.number(from)?, self.number(to)?),
                    // From there on, with a step.
                    None if step.is_some() => (self.number(range)?, self.last),
                    None => (self.number(range)?, self.number(range)?),
                },
            };
            let step = match step {
                None => 1,
                Some(step) => step.parse().ok().filter(|step| (1..=60).contains(step)).ok_or_else(|| {
                    CronError(format!("\"{step}\" is no step in the {}: it is to be 1 to 60", self.name))
                })?,
            };
            if from > to {
                return Err(CronError(format!("\"{range}\" goes backwards in the {}", self.name)));
            }
            (from..=to).step_by(step).for_each(|number| set |= 1 << number);
        }
        Ok(set)
    }

    fn number(&self, text: &str) -> Result<u32, CronError> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(index) => Some(self.names_from + index as u32),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        number.filter(|number| (self.first..=self.last).contains(number)).ok_or_else(|| {
            let (first, last) = (self.first, self.last);
            CronError(format!("\"{text}\" is no {}: it is to be {first} to {last}", self.name))
        })
    }
}

impl Cron {
    /// The schedule of a text.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(CronError(format!("a schedule has {TEXT_LEN_MAX} bytes at most")));
        }
        let text = text.trim();
        let short = SHORTHANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let fields = short.map_or(text, |(_, long)| long).split_ascii_whitespace();
        let fields: Vec<&str> = fields.collect();
        let (second, [minute, hour, day, month, weekday]) = match fields[..] {
            [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
            [second, minute, hour, day, month, weekday] => (second, [minute, hour, day, month, weekday]),
            _ => {
                let message =
                    "a schedule is 5 or 6 fields: [second] minute hour day-of-month month day-of-week";
                return Err(CronError(message.to_string()));
            }
        };
        let is_any = |field: &str| field.starts_with(['*', '?']);
        let weekdays = WEEKDAY.parse(weekday)?;
        Ok(Cron {
            seconds: SECOND.parse(second)?,
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            // Sunday is 0, and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !is_any(day) && !is_any(weekday),
        })
    }

    /// The first time after `moment` that it names, by the clock of `zone`; none if there is none in 40 years.
    pub fn next_after(&self, moment: Timestamptz, zone: &Zone) -> Option<Timestamptz> {
        if !moment.is_finite() {
            return None;
        }
        let offset = zone.offset_at(moment.micros()) * MICROS_PER_SECOND;
        if self.hours == ALL_HOURS {
            return self.next_by_elapsed(moment, offset, zone);
        }
        let moment = moment.micros();
        let next = self.next_by_clock(moment.checked_add(offset)?, moment, zone)?;
        // Where no clock is changed, times come in the order in which clocks show them.
        let around = [moment - CHANGE_MAX, moment, next - CHANGE_MAX, next + CHANGE_MAX];
        let [before, here, there, after] = around.map(|at| zone.offset_at(at));
        if before == here && there == after {
            return Timestamptz::from_micros(next).ok();
        }
        let mut first = next;
        let mut shown = moment.checked_add(offset)?.checked_sub(CHANGE_MAX)?;
        let last = next.checked_add(zone.offset_at(next) * MICROS_PER_SECOND)?.checked_add(CHANGE_MAX)?;
        while shown <= last {
            shown = self.next_shown(shown)?;
            let at = shown.checked_sub(zone.offset_of_local(shown) * MICROS_PER_SECOND)?;
            first = if at > moment { first.min(at) } else { first };
        }
        Timestamptz::from_micros(first).ok()
    }

    /// The time of the first after `shown` that the zone's clock shows, and that is after `moment`.
    fn next_by_clock(&self, mut shown: i64, moment: i64, zone: &Zone) -> Option<i64> {
        loop {
            shown = self.next_shown(shown)?;
            let at = shown.checked_sub(zone.offset_of_local(shown) * MICROS_PER_SECOND)?;
            if at > moment {
                return Some(at);
            }
        }
    }

    /// The same, if every hour is named: hours are counted as they pass.
    fn next_by_elapsed(&self, moment: Timestamptz, mut offset: i64, zone: &Zone) -> Option<Timestamptz> {
        let mut from = moment.micros();
        loop {
            let next = self.next_shown(from.checked_add(offset)?)?.checked_sub(offset)?;
            if zone.offset_at(next) * MICROS_PER_SECOND == offset {
                return Timestamptz::from_micros(next).ok();
            }
            // The clock is changed in between: from then on it shows other times.
            let (mut before, mut after) = (from, next);
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                let is_before = zone.offset_at(middle) * MICROS_PER_SECOND == offset;
                (before, after) = if is_before { (middle, after) } else { (before, middle) };
            }
            offset = zone.offset_at(after) * MICROS_PER_SECOND;
            from = before;
        }
    }

    /// The first time after `shown` that it names, both as a clock shows them, in microseconds since 2000-01-01.
    fn next_shown(&self, shown: i64) -> Option<i64> {
        let from = shown.div_euclid(MICROS_PER_SECOND) + 1;
        let day_len = MICROS_PER_DAY / MICROS_PER_SECOND;
        let (first, second) = (from.div_euclid(day_len), from.rem_euclid(day_len));
        (0..DAYS_MAX).find_map(|days| {
            let day = first + days;
            if !self.has_day(day) {
                return None;
            }
            let found = self.first_from(if days == 0 { second } else { 0 })?;
            (day * day_len + found).checked_mul(MICROS_PER_SECOND)
        })
    }

    fn has_day(&self, day: i64) -> bool {
        let civil = Civil::from_days(day);
        let by_month = self.days >> civil.day & 1 == 1;
        let by_week = self.weekdays >> weekday(day) & 1 == 1;
        let is_named = if self.either_day { by_month || by_week } else { by_month && by_week };
        is_named && self.months >> civil.month & 1 == 1
    }

    /// The first second of the day that it names, from `second` on.
    fn first_from(&self, second: i64) -> Option<i64> {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let at = |hour: i64, minute: i64, second: i64| hour * 3600 + minute * 60 + second;
        let next = |set: u64, from: i64| {
            let rest = set.checked_shr(from as u32).filter(|rest| *rest != 0)?;
            Some(from + i64::from(rest.trailing_zeros()))
        };
        let (first_minute, first_second) = (next(self.minutes, 0)?, next(self.seconds, 0)?);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = next(self.seconds, second)
            {
                return Some(at(hour, minute, second));
            }
            if let Some(minute) = next(self.minutes, minute + 1) {
                return Some(at(hour, minute, first_second));
            }
        }
        Some(at(next(self.hours, hour + 1)?, first_minute, first_second))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Timestamptz {
        let session =
            crate::Session { zone: &Zone::utc(), now: Timestamptz::from_micros(0).expect("in range") };
        Timestamptz::parse(text, session).expect("a time")
    }

    /// The next times of a schedule, as UTC has them.
    fn ticks(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::parse(cron).expect("a schedule"), Zone::named(zone).expect("a zone"));
        let mut at = moment(from);
        let next = || {
            at = cron.next_after(at, &zone)?;
            Some(at.to_timestamp(&Zone::utc()).expect("in range").to_string())
        };
        core::iter::from_fn(next).take(count).collect()
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        let from = "2026-11-28 10:59:30+00";
        assert_eq!(
            ticks("*/20 * * * * *", "UTC", from, 3),
            ["2026-11-28 10:59:40", "2026-11-28 11:00:00", "2026-11-28 11:00:20"]
        );
        assert_eq!(
            ticks("0 9-17/4 * * mon-fri", "UTC", from, 4),
            ["2026-11-30 09:00:00", "2026-11-30 13:00:00", "2026-11-30 17:00:00", "2026-12-01 09:00:00"]
        );
        assert_eq!(
            ticks("30 12 13 * FRI", "UTC", from, 3),
            ["2026-12-04 12:30:00", "2026-12-11 12:30:00", "2026-12-13 12:30:00"]
        );
        assert_eq!(ticks("0 0 29 2 *", "UTC", from, 2), ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]);
        assert_eq!(ticks("@daily", "Asia/Tokyo", from, 2), ["2026-11-28 15:00:00", "2026-11-29 15:00:00"]);
        assert_eq!(ticks("0 0 * * 7", "UTC", from, 1), ["2026-11-29 00:00:00"]);
        assert!(ticks("0 0 31 2 *", "UTC", from, 1).is_empty());
    }

    #[test]
    fn clocks_that_are_put_forward_or_back_neither_lose_a_tick_nor_double_it() {
        let (spring, autumn) = ("2026-03-28 12:00:00+00", "2026-10-24 12:00:00+00");
        // 02:30 does not exist on the 29th: 03:30, which is 01:30 UTC as it would have been.
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", spring, 3),
            ["2026-03-29 01:30:00", "2026-03-30 00:30:00", "2026-03-31 00:30:00"]
        );
        // 02:30 comes twice on the 25th: at 00:30 and 01:30 UTC.
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", autumn, 2),
            ["2026-10-25 01:30:00", "2026-10-26 01:30:00"]
        );
        // All of the hour that is left out, an hour later; and all of the one that comes twice, the second time.
        let quarters = |from| ticks("*/15 2 * * *", "Europe/Berlin", from, 5);
        assert_eq!(
            quarters(spring),
            [
                "2026-03-29 01:00:00",
                "2026-03-29 01:15:00",
                "2026-03-29 01:30:00",
                "2026-03-29 01:45:00",
                "2026-03-30 00:00:00"
            ]
        );
        assert_eq!(
            quarters("2026-10-25 00:10:00+00"),
            [
                "2026-10-25 01:00:00",
                "2026-10-25 01:15:00",
                "2026-10-25 01:30:00",
                "2026-10-25 01:45:00",
                "2026-10-26 01:00:00"
            ]
        );
        let hourly = |from| ticks("15 * * * *", "Europe/Berlin", from, 48);
        for (from, day) in [(spring, 29), (autumn, 25)] {
            let expected: Vec<_> = (0..10).map(|hour| format!("{day} {hour:02}:15:00")).collect();
            assert_eq!(
                hourly(from).iter().skip(12).map(|at| at[8..].to_string()).take(10).collect::<Vec<_>>(),
                expected
            );
        }
        // Half an hour forward, so that no :45 is between 01:15 and 02:15.
        assert_eq!(
            ticks("45 * * * *", "Australia/Lord_Howe", "2026-10-03 14:00:00+00", 3),
            ["2026-10-03 14:15:00", "2026-10-03 15:15:00", "2026-10-03 15:45:00"]
        );
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        let error = |text: &str| Cron::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("* * * *"),
            "a schedule is 5 or 6 fields: [second] minute hour day-of-month month day-of-week"
        );
        assert_eq!(error("61 * * * *"), "\"61\" is no minute: it is to be 0 to 59");
        assert_eq!(error("* * 0 * *"), "\"0\" is no day of the month: it is to be 1 to 31");
        assert_eq!(error("* * * foo *"), "\"foo\" is no month: it is to be 1 to 12");
        assert_eq!(error("*/0 * * * *"), "\"0\" is no step in the minute: it is to be 1 to 60");
        assert_eq!(error("5-1 * * * *"), "\"5-1\" goes backwards in the minute");
        assert_eq!(error("+5 * * * *"), "\"+5\" is no minute: it is to be 0 to 59");
        assert_eq!(error("1,, * * * *"), "\"\" is no minute: it is to be 0 to 59");
        assert_eq!(error("@never"), error(""));
    }

    fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
        let number = first..=last;
        prop_oneof![
            3 => Just("*".to_string()),
            2 => number.clone().prop_map(|number| number.to_string()),
            1 => (number.clone(), number, 1..20u32).prop_map(|(one, other, step)| {
                format!("{}-{}/{step}", one.min(other), one.max(other))
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_next_time_is_the_first_that_is_named(
            second in field(0, 59), minute in field(0, 59), hour in field(0, 23),
            day in field(1, 31), weekday_field in field(0, 7),
            from in 0..400_000_000i64,
        ) {
            let cron = Cron::parse(&format!("{second} {minute} {hour} {day} * {weekday_field}")).unwrap();
            let names = |at: i64| {
                let (day, second) = (at.div_euclid(86_400), at.rem_euclid(86_400));
                let has = |set: u64, number: i64| set >> number & 1 == 1;
                cron.has_day(day) && has(cron.hours, second / 3600) && has(cron.minutes, second / 60 % 60)
                    && has(cron.seconds, second % 60)
            };
            let next = cron.next_shown(from * MICROS_PER_SECOND).map(|next| next / MICROS_PER_SECOND);
            prop_assert!(next.is_none_or(names));
            let first = (from + 1..from + 200_000).find(|at| names(*at));
            prop_assert!(first.is_none() || first == next, "{first:?} instead of {next:?}");
            let zone = Zone::utc();
            let at = Timestamptz::from_micros(from * MICROS_PER_SECOND + 1).unwrap();
            let found = cron.next_after(at, &zone).map(|at| at.micros() / MICROS_PER_SECOND);
            prop_assert_eq!(found, next);
        }

        #[test]
        fn times_only_go_forward(text in "[0-9*/,@a-z -]{0,20}", micros in any::<i64>()) {
            let (Ok(cron), Ok(at)) = (Cron::parse(&text), Timestamptz::from_micros(micros)) else { return Ok(()) };
            let next = cron.next_after(at, &Zone::named("Europe/Berlin").unwrap());
            prop_assert!(next.is_none_or(|next| next > at));
        }
    }
}
