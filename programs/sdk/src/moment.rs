//! Times: when a run began, and when it is to begin again.

use std::time::{Duration, SystemTime};

use crate::imports;

/// When the run, or the last step that was done in it, took place: the same until the next one. (`SystemTime::now()` panics,
/// as there is no clock.)
pub fn time() -> SystemTime {
    let micros = imports::time();
    let span = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { SystemTime::UNIX_EPOCH - span } else { SystemTime::UNIX_EPOCH + span }
}

/// Ends the run, which begins again at that time. The time is to be one that stays, or the run sleeps for ever:
///
/// ```no_run
/// # use std::time::Duration;
/// # use relix_program::{Error, sleep_until, step, time};
/// let morning = step("when", || Ok::<_, Error>(time() + Duration::from_secs(8 * 3600)));
/// if time() < morning {
///     sleep_until(morning);
/// }
/// ```
pub fn sleep_until(until: SystemTime) -> ! {
    imports::sleep_until(micros(until))
}

/// Microseconds since the Unix epoch.
pub(crate) fn micros(time: SystemTime) -> i64 {
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}

/// A time as SQL reads it: `2026-02-28 09:30:00.000000+00`.
pub(crate) fn text(time: SystemTime) -> String {
    let micros = micros(time);
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let era = if year > 0 { "" } else { " BC" };
    let year = if year > 0 { year } else { 1 - year };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}+00{era}")
}

/// Year, month and day of a day that is numbered from 1970-01-01. Years begin in March here, so that the odd day is their last.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_sql_reads_them() {
        let of = |seconds: i64| {
            let span = Duration::from_secs(seconds.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            text(if seconds < 0 { epoch - span } else { epoch + span })
        };
        assert_eq!(of(0), "1970-01-01 00:00:00.000000+00");
        assert_eq!(of(951_782_400), "2000-02-29 00:00:00.000000+00");
        assert_eq!(of(951_868_800), "2000-03-01 00:00:00.000000+00");
        assert_eq!(of(1_735_689_599), "2024-12-31 23:59:59.000000+00");
        assert_eq!(of(-1), "1969-12-31 23:59:59.000000+00");
        assert_eq!(of(-62_135_596_801), "0001-12-31 23:59:59.000000+00 BC");
        let late = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_007);
        assert_eq!(text(late), "2023-11-14 22:13:20.000007+00");
    }
}
