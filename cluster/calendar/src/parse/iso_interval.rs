//! Texts of intervals as ISO 8601 has them: by designators (`P1Y2M3DT4H5M6S`), and in the alternative forms
//! (`P0001-02-03T04:05:06`, `P00010203T040506`).

use super::Fault;
use super::interval::Sum;
use crate::float::truncate;
use crate::gregorian::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::value::Interval;

/// Larger numbers are refused: up to here, an `f64` has its fraction.
const NUMBER_MAX: f64 = 1e15;

/// The rest of the text.
struct Reader<'a> {
    rest: &'a str,
    sum: Sum,
}

/// A number: its integer, its fraction, and whether it has just the digits of a basic alternative form.
struct Number {
    whole: i64,
    part: f64,
    width: usize,
}

pub(super) fn iso_interval(text: &str) -> Result<Interval, Fault> {
    let rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Fault::Syntax)?;
    let mut reader = Reader { rest, sum: Sum::default() };
    let (mut is_date, mut is_first) = (true, true);
    while !reader.rest.is_empty() {
        if reader.take('T') {
            (is_date, is_first) = (false, true);
            continue;
        }
        let number = reader.number()?;
        let date_goes_on =
            if is_date { reader.date(&number, is_first)? } else { reader.time(&number, is_first)? };
        match date_goes_on {
            Next::End => break,
            Next::Field => is_first = false,
            Next::Time => (is_date, is_first) = (false, true),
        }
    }
    reader.sum.interval()
}

/// What comes behind a field.
enum Next {
    Field,
    /// Behind a date, the time.
    Time,
    End,
}

impl Reader<'_> {
    fn take(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let bytes = self.rest.as_bytes();
        let digits_from = |from: usize| bytes[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        let start = usize::from(bytes.first() == Some(&b'-'));
        let width = digits_from(start);
        let mut end = start + width;
        let mut digits = width;
        if bytes.get(end) == Some(&b'.') {
            let decimals = digits_from(end + 1);
            digits += decimals;
            end += 1 + decimals;
        }
        if digits == 0 {
            return Err(Fault::Syntax);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits_from((end + 1 + sign).min(bytes.len()));
            end += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let value: f64 = text.parse().map_err(|_| Fault::Syntax)?;
        if value.is_infinite() {
            // C's strtod says that it does not fit.
            return Err(Fault::Syntax);
        }
        if !(-NUMBER_MAX..=NUMBER_MAX).contains(&value) {
            return Err(Fault::FieldRange);
        }
        Ok(Number { whole: value as i64, part: value - truncate(value), width })
    }

    /// Adds a number of a date; the designator is next.
    fn date(&mut self, number: &Number, is_first: bool) -> Result<Next, Fault> {
        let Number { whole, part, width } = *number;
        let ends = self.rest.is_empty();
        if self.take('Y') {
            self.sum.add_years(whole, part, 1)?;
        } else if self.take('M') {
            self.sum.add_months(whole, part)?;
        } else if self.take('W') {
            self.sum.add_weeks(whole, part)?;
        } else if self.take('D') {
            self.sum.add_days(whole, part)?;
        } else if (ends || self.rest.starts_with('T')) && width == 8 && is_first {
            self.sum.add_years(whole / 10_000, 0.0, 1)?;
            self.sum.add_months(whole / 100 % 100, 0.0)?;
            self.sum.add_days(whole % 100, part)?;
            return Ok(if self.take('T') { Next::Time } else { Next::End });
        } else if (ends || self.rest.starts_with(['T', '-'])) && is_first {
            return self.dashed_date(number);
        } else {
            return Err(Fault::Syntax);
        }
        Ok(Next::Field)
    }

    /// `0001-02-03`, of which the first number has been read.
    fn dashed_date(&mut self, year: &Number) -> Result<Next, Fault> {
        self.sum.add_years(year.whole, year.part, 1)?;
        if let Some(next) = self.date_end('-')? {
            return Ok(next);
        }
        let month = self.number()?;
        self.sum.add_months(month.whole, month.part)?;
        if let Some(next) = self.date_end('-')? {
            return Ok(next);
        }
        let day = self.number()?;
        self.sum.add_days(day.whole, day.part)?;
        self.date_end('\0')?.ok_or(Fault::Syntax)
    }

    /// What comes behind a date that is over here; none if it goes on behind the separator.
    fn date_end(&mut self, separator: char) -> Result<Option<Next>, Fault> {
        if self.rest.is_empty() {
            Ok(Some(Next::End))
        } else if self.take('T') {
            Ok(Some(Next::Time))
        } else if self.take(separator) {
            Ok(None)
        } else {
            Err(Fault::Syntax)
        }
    }

    /// Adds a number of a time; the designator is next.
    fn time(&mut self, number: &Number, is_first: bool) -> Result<Next, Fault> {
        let Number { whole, part, width } = *number;
        if self.take('H') {
            self.sum.add_micros(whole, part, MICROS_PER_HOUR)?;
        } else if self.take('M') {
            self.sum.add_micros(whole, part, MICROS_PER_MINUTE)?;
        } else if self.take('S') {
            self.sum.add_micros(whole, part, MICROS_PER_SECOND)?;
        } else if self.rest.is_empty() && width == 6 && is_first {
            self.sum.add_micros(whole / 10_000, 0.0, MICROS_PER_HOUR)?;
            self.sum.add_micros(whole / 100 % 100, 0.0, MICROS_PER_MINUTE)?;
            // Postgres takes the fraction for one of a microsecond.
            self.sum.add_micros(whole % 100, 0.0, MICROS_PER_SECOND)?;
            self.sum.add_micros(0, part, 1)?;
            return Ok(Next::End);
        } else if (self.rest.is_empty() || self.rest.starts_with(':')) && is_first {
            return self.colon_time(number);
        } else {
            return Err(Fault::Syntax);
        }
        Ok(Next::Field)
    }

    /// `04:05:06`, of which the first number has been read.
    fn colon_time(&mut self, hour: &Number) -> Result<Next, Fault> {
        self.sum.add_micros(hour.whole, hour.part, MICROS_PER_HOUR)?;
        for unit in [MICROS_PER_MINUTE, MICROS_PER_SECOND] {
            if self.rest.is_empty() {
                return Ok(Next::End);
            }
            if !self.take(':') {
                return Err(Fault::Syntax);
            }
            let number = self.number()?;
            self.sum.add_micros(number.whole, number.part, unit)?;
        }
        if self.rest.is_empty() { Ok(Next::End) } else { Err(Fault::Syntax) }
    }
}
