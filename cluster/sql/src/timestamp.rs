//! Timestamps without time zone: microseconds since 1970, proleptic Gregorian, as Postgres writes them.
//! They end in the year 294246, thirty years before Postgres's, whose count starts in 2000.
//!
//! The calendar arithmetic is Howard Hinnant's "chrono-compatible low-level date algorithms".

use alloc::string::String;
use core::fmt::Write;

/// Microseconds from 1970-01-01 to 2000-01-01, where Postgres's binary format counts from.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// `infinity`
pub const INFINITY: i64 = i64::MAX;

/// `-infinity`
pub const MINUS_INFINITY: i64 = i64::MIN;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Why a text is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampError {
    /// It does not look like one.
    Syntax,
    /// A field is out of range: there is no 30 February.
    Range,
}

/// A point in time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Astronomical year: 0 is 1 BC.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// Microseconds since midnight.
    pub micros_of_day: i64,
    /// Days since 1970-01-01.
    pub days: i64,
}

/// Takes `micros` apart.
pub fn civil(micros: i64) -> Civil {
    let days = micros.div_euclid(MICROS_PER_DAY);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day, micros_of_day: micros.rem_euclid(MICROS_PER_DAY), days }
}

/// Days from 1970-01-01 to the given date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Appends `micros` as ISO text.
pub fn write(micros: i64, out: &mut String) {
    match micros {
        INFINITY => return out.push_str("infinity"),
        MINUS_INFINITY => return out.push_str("-infinity"),
        _ => {}
    }
    let civil = civil(micros);
    let (year, era) = if civil.year > 0 { (civil.year, "") } else { (1 - civil.year, " BC") };
    let seconds = civil.micros_of_day / MICROS_PER_SECOND;
    let fraction = civil.micros_of_day % MICROS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a string does not fail.
    let _ = write!(out, "{year:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", civil.month, civil.day);
    if fraction != 0 {
        let _ = write!(out, ".{fraction:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push_str(era);
}

/// A text read from the left.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// A number of `min` to `max` digits.
    fn number(&mut self, min: usize, max: usize) -> Result<i64, TimestampError> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits < min || digits > max {
            return Err(TimestampError::Syntax);
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        number.parse().map_err(|_| TimestampError::Syntax)
    }

    /// The digits behind a decimal point, as microseconds, rounded.
    fn fraction(&mut self) -> Result<i64, TimestampError> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let mut micros = 0;
        for place in 0..7 {
            let digit = fraction.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0'));
            micros = if place < 6 { micros * 10 + digit } else { micros + i64::from(digit >= 5) };
        }
        Ok(micros)
    }
}

/// The timestamp that `text` says: `YYYY-MM-DD[(T| )HH:MM[:SS[.F]]][zone][ BC]`, `epoch`, `infinity` and
/// `-infinity`. A zone is ignored, as Postgres does for this type, unless `apply_zone`.
pub fn parse(text: &str, apply_zone: bool) -> Result<i64, TimestampError> {
    let text = text.trim();
    match text {
        _ if text.eq_ignore_ascii_case("epoch") => return Ok(0),
        _ if text.eq_ignore_ascii_case("infinity") => return Ok(INFINITY),
        _ if text.eq_ignore_ascii_case("-infinity") => return Ok(MINUS_INFINITY),
        _ => {}
    }
    let mut reader = Reader { rest: text };
    let mut year = reader.number(4, 6)?;
    if !reader.take('-') {
        return Err(TimestampError::Syntax);
    }
    let month = reader.number(1, 2)?;
    if !reader.take('-') {
        return Err(TimestampError::Syntax);
    }
    let day = reader.number(1, 2)?;
    let mut micros_of_day = 0;
    let time_follows = reader.take('T') || reader.take('t') || {
        reader.spaces();
        reader.rest.starts_with(|c: char| c.is_ascii_digit())
    };
    if time_follows {
        micros_of_day = time(&mut reader)?;
    }
    reader.spaces();
    let zone_seconds = zone(&mut reader)?;
    reader.spaces();
    if let Some(rest) = reader.rest.strip_prefix("BC") {
        reader.rest = rest;
        year = 1 - year;
    }
    if !reader.rest.is_empty() {
        return Err(TimestampError::Syntax);
    }
    let offset = if apply_zone { zone_seconds * MICROS_PER_SECOND } else { 0 };
    assemble(year, month, day, micros_of_day)?.checked_sub(offset).ok_or(TimestampError::Range)
}

fn assemble(year: i64, month: i64, day: i64, micros_of_day: i64) -> Result<i64, TimestampError> {
    if !(1..=12).contains(&month) || !(-4712..=294_276).contains(&year) {
        return Err(TimestampError::Range);
    }
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let days_in_month = days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1);
    if !(1..=days_in_month).contains(&day) {
        return Err(TimestampError::Range);
    }
    let midnight = days_from_civil(year, month, day).checked_mul(MICROS_PER_DAY);
    midnight.and_then(|midnight| midnight.checked_add(micros_of_day)).ok_or(TimestampError::Range)
}

fn time(reader: &mut Reader<'_>) -> Result<i64, TimestampError> {
    let hour = reader.number(1, 2)?;
    if !reader.take(':') {
        return Err(TimestampError::Syntax);
    }
    let minute = reader.number(1, 2)?;
    let (mut second, mut fraction) = (0, 0);
    if reader.take(':') {
        second = reader.number(1, 2)?;
        if reader.take('.') {
            fraction = reader.fraction()?;
        }
    }
    let seconds = hour * 3600 + minute * 60 + second;
    if minute > 59 || second > 60 || seconds * MICROS_PER_SECOND + fraction > MICROS_PER_DAY {
        return Err(TimestampError::Range);
    }
    Ok(seconds * MICROS_PER_SECOND + fraction)
}

/// `Z`, `UTC`, or `+HH[[:]MM]`; nothing is UTC.
fn zone(reader: &mut Reader<'_>) -> Result<i64, TimestampError> {
    if reader.take('Z') || reader.take('z') {
        return Ok(0);
    }
    if let Some(rest) = reader.rest.strip_prefix("UTC") {
        reader.rest = rest;
        return Ok(0);
    }
    let sign = match (reader.take('+'), reader.rest.starts_with('-')) {
        (true, _) => 1,
        (false, true) => {
            reader.take('-');
            -1
        }
        _ => return Ok(0),
    };
    let mut hours = reader.number(1, 4)?;
    let mut minutes = 0;
    if hours > 99 {
        (hours, minutes) = (hours / 100, hours % 100);
    } else if reader.take(':') {
        minutes = reader.number(2, 2)?;
    }
    if hours > 15 || minutes > 59 {
        return Err(TimestampError::Range);
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(micros: i64) -> String {
        let mut out = String::new();
        write(micros, &mut out);
        out
    }

    #[test]
    fn texts_survive_the_round_trip() {
        for sample in [
            "1970-01-01 00:00:00",
            "2000-02-29 23:59:59.999999",
            "1969-12-31 23:59:59.5",
            "0044-03-15 12:00:00 BC",
            "294246-12-31 23:59:59",
            "infinity",
            "-infinity",
        ] {
            assert_eq!(text(parse(sample, false).expect(sample)), sample);
        }
        assert_eq!(parse("2000-01-01", false), Ok(POSTGRES_EPOCH_MICROS));
    }

    #[test]
    fn zones_are_ignored_unless_asked_for() {
        let plain = parse("2024-05-01T10:00:00", false).expect("valid");
        assert_eq!(parse("2024-05-01 10:00:00+02", false), Ok(plain));
        assert_eq!(parse("2024-05-01 10:00+02:00", true), Ok(plain - 7_200_000_000));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(parse("2023-02-29", false), Err(TimestampError::Range));
        assert_eq!(parse("2023-13-01", false), Err(TimestampError::Range));
        assert_eq!(parse("294276-12-31", false), Err(TimestampError::Range));
        assert_eq!(parse("yesterday", false), Err(TimestampError::Syntax));
        assert_eq!(parse("2023-01-01 1", false), Err(TimestampError::Syntax));
        assert_eq!(parse("2023-01-01 25:00", false), Err(TimestampError::Range));
    }
}
