//! `to_char`.

use alloc::format;
use alloc::string::{String, ToString};

use super::{DAYS, Field, Key, MONTHS, Node, Ordinal, ROMAN_MONTHS, SHORT_NAME_LEN, nodes};
use crate::error::Error;
use crate::gregorian::{Civil, Clock, JULIAN_EPOCH, MICROS_PER_HOUR, iso_weekday, iso_year_start, weekday};
use crate::value::{Interval, Timestamp, Timestamptz};
use crate::zone::Zone;

/// What the fields of a template are taken from.
struct Source {
    civil: Civil,
    clock: Clock,
    /// Of an interval, years, months and days as they are, and their number of days.
    interval_days: Option<i64>,
    /// Seconds east of UTC.
    offset: i64,
    abbreviation: String,
}

impl Timestamp {
    /// `to_char(timestamp, text)`; NULL of an infinite time or an empty template.
    pub fn format(self, template: &str) -> Result<Option<String>, Error> {
        if !self.is_finite() || template.is_empty() {
            return Ok(None);
        }
        let (civil, clock) = (self.civil(), self.clock());
        let source = Source { civil, clock, interval_days: None, offset: 0, abbreviation: String::new() };
        source.write(template).map(Some)
    }
}

impl Timestamptz {
    /// `to_char(timestamptz, text)`, on the zone's clock.
    pub fn format(self, template: &str, zone: &Zone) -> Result<Option<String>, Error> {
        if !self.is_finite() || template.is_empty() {
            return Ok(None);
        }
        let local = zone.clock_at(self);
        let (civil, clock) = self.local(local.offset);
        let (offset, abbreviation) = (local.offset, local.abbreviation);
        Source { civil, clock, interval_days: None, offset, abbreviation }.write(template).map(Some)
    }
}

impl Interval {
    /// `to_char(interval, text)`
    pub fn format(self, template: &str) -> Result<Option<String>, Error> {
        if template.is_empty() {
            return Ok(None);
        }
        let civil = Civil::new((self.months / 12).into(), (self.months % 12).into(), self.days.into());
        let rest = Clock::from_micros(self.micros % MICROS_PER_HOUR);
        let clock = Clock { hour: self.micros / MICROS_PER_HOUR, ..rest };
        let interval_days = Some(i64::from(self.months) * 30 + i64::from(self.days));
        Source { civil, clock, interval_days, offset: 0, abbreviation: String::new() }
            .write(template)
            .map(Some)
    }
}

/// A number filled with zeros to `width`, to which a sign is added.
fn padded(number: i64, width: usize, field: &Field) -> String {
    let width = if field.is_filled { 0 } else { width + usize::from(number < 0) };
    format!("{number:0width$}")
}

/// As `padded`, where a sign is counted among the digits.
fn unsigned(number: i64, width: usize, field: &Field) -> String {
    let width = if field.is_filled { 0 } else { width };
    format!("{number:0width$}")
}

/// A name in the case that the field has, filled with blanks to `width`.
fn cased(name: &str, width: usize, field: &Field) -> String {
    let second_is_lower = field.name.chars().nth(1).is_some_and(|c| c.is_lowercase());
    let first_is_lower = field.name.starts_with(|c: char| c.is_lowercase());
    let name = match (first_is_lower, second_is_lower) {
        (true, _) => name.to_lowercase(),
        (false, true) => name.to_string(),
        _ => name.to_uppercase(),
    };
    let width = if field.is_filled || field.is_translated { 0 } else { width };
    format!("{name:width$}")
}

/// `ST`, `ND`, `RD` or `TH` for a number's text.
fn ordinal(number: &str, case: Ordinal) -> String {
    let is_teen = number.len() > 1 && number.as_bytes()[number.len() - 2] == b'1';
    let suffix = match number.bytes().last() {
        Some(b'1') if !is_teen => "ST",
        Some(b'2') if !is_teen => "ND",
        Some(b'3') if !is_teen => "RD",
        _ => "TH",
    };
    if case == Ordinal::Upper { suffix.into() } else { suffix.to_lowercase() }
}

impl Source {
    fn write(&self, template: &str) -> Result<String, Error> {
        let mut out = String::new();
        for node in nodes(template) {
            match node {
                Node::Separator(c) | Node::Space(c) | Node::Text(c) => out.push(c),
                Node::Field(field) => self.write_field(&field, &mut out)?,
            }
        }
        Ok(out)
    }

    fn write_field(&self, field: &Field, out: &mut String) -> Result<(), Error> {
        if self.interval_days.is_some() && needs_date(field.key) {
            return Err(Error::TemplateSyntax("invalid format specification for an interval value".into()));
        }
        let text = match self.name(field) {
            Some(name) => {
                out.push_str(&name);
                return Ok(());
            }
            None => match self.number(field) {
                Some(number) => number,
                None => return Ok(()),
            },
        };
        out.push_str(&text);
        if let Some(case) = field.ordinal {
            out.push_str(&ordinal(&text, case));
        }
        Ok(())
    }

    /// A field that is no number, or whose number has no order.
    fn name(&self, field: &Field) -> Option<String> {
        let Civil { year, month, .. } = self.civil;
        let with_points = |long: &str, short: &str| {
            if field.name.contains('.') { long.to_string() } else { short.to_string() }
        };
        Some(match field.key {
            Key::Half => {
                let is_pm = self.clock.hour % 24 >= 12;
                let text = if is_pm { with_points("P.M.", "PM") } else { with_points("A.M.", "AM") };
                if field.name.starts_with(|c: char| c.is_lowercase()) { text.to_lowercase() } else { text }
            }
            Key::Era => {
                let text = if year <= 0 { with_points("B.C.", "BC") } else { with_points("A.D.", "AD") };
                if field.name.starts_with(|c: char| c.is_lowercase()) { text.to_lowercase() } else { text }
            }
            Key::MonthName => cased(MONTHS[(month - 1).rem_euclid(12) as usize], 9, field),
            Key::MonthNameShort => {
                cased(&MONTHS[(month - 1).rem_euclid(12) as usize][..SHORT_NAME_LEN], 3, field)
            }
            Key::DayName => cased(DAYS[weekday(self.civil.to_days()) as usize], 9, field),
            Key::DayNameShort => {
                cased(&DAYS[weekday(self.civil.to_days()) as usize][..SHORT_NAME_LEN], 3, field)
            }
            Key::RomanMonth if month == 0 && year == 0 => String::new(),
            Key::RomanMonth => {
                // Of an interval, whole years are December, and negative months count from the year's end.
                let index = match month {
                    0 if year >= 0 => 12,
                    0 => 1,
                    month if month < 0 => month + 13,
                    month => month,
                };
                cased(ROMAN_MONTHS[(index - 1) as usize], 4, field)
            }
            Key::Zone if field.name.starts_with('t') => self.abbreviation.to_lowercase(),
            Key::Zone => self.abbreviation.clone(),
            Key::ZoneHour => {
                let sign = if self.offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}", self.offset.abs() / 3600)
            }
            Key::ZoneMinute => format!("{:02}", self.offset.abs() % 3600 / 60),
            Key::Offset => {
                let sign = if self.offset < 0 { '-' } else { '+' };
                let width = if field.is_filled { 0 } else { 2 };
                let hour = format!("{sign}{:0width$}", self.offset.abs() / 3600);
                match self.offset.abs() % 3600 / 60 {
                    0 => hour,
                    minute => format!("{hour}:{minute:02}"),
                }
            }
            Key::Exact => String::new(),
            _ => return None,
        })
    }

    fn number(&self, field: &Field) -> Option<String> {
        let Civil { year, month, day } = self.civil;
        let Clock { hour, minute, second, micro } = self.clock;
        let days = self.civil.to_days();
        Some(match field.key {
            Key::Hour12 => {
                let width = if field.is_filled { 0 } else { 2 + usize::from(hour < 0) };
                let shown = if hour % 12 == 0 { 12 } else { hour % 12 };
                format!("{shown:0width$}")
            }
            Key::Hour24 => padded(hour, 2, field),
            Key::Minute => padded(minute, 2, field),
            Key::Second => padded(second, 2, field),
            Key::Fraction(digits) => {
                let shown = micro / 10_i64.pow(6 - u32::from(digits));
                format!("{shown:0width$}", width = usize::from(digits))
            }
            Key::Milliseconds => format!("{:03}", micro / 1000),
            Key::Microseconds => format!("{micro:06}"),
            Key::SecondOfDay => (hour * 3600 + minute * 60 + second).to_string(),
            Key::Month => padded(month, 2, field),
            Key::DayOfYear => unsigned(self.day_of_year(), 3, field),
            Key::IsoDayOfYear => unsigned(days - iso_year_start(self.civil.iso_week().0) + 1, 3, field),
            Key::Day => unsigned(day, 2, field),
            Key::Weekday => (weekday(days) + 1).to_string(),
            Key::IsoWeekday => iso_weekday(days).to_string(),
            Key::Week => unsigned((self.day_of_year() - 1) / 7 + 1, 2, field),
            Key::IsoWeek => unsigned(self.civil.iso_week().1, 2, field),
            Key::WeekOfMonth => ((day - 1) / 7 + 1).to_string(),
            Key::Quarter if month == 0 => return None,
            Key::Quarter => ((month - 1) / 3 + 1).to_string(),
            Key::Century => {
                let century = match year {
                    year if self.interval_days.is_some() => year / 100,
                    year if year > 0 => (year - 1) / 100 + 1,
                    year => year / 100 - 1,
                };
                if (-99..=99).contains(&century) { padded(century, 2, field) } else { century.to_string() }
            }
            Key::YearWithComma => {
                let year = self.shown_year(year);
                format!("{},{:03}", year / 1000, year % 1000)
            }
            Key::Year(digits) => self.year_digits(year, digits, field),
            Key::IsoYear(digits) => self.year_digits(self.civil.iso_week().0, digits, field),
            Key::Julian => (days + JULIAN_EPOCH).to_string(),
            _ => return None,
        })
    }

    fn day_of_year(&self) -> i64 {
        self.interval_days.unwrap_or_else(|| self.civil.day_of_year())
    }

    /// The year without its era; of an interval, as it is.
    fn shown_year(&self, year: i64) -> i64 {
        if self.interval_days.is_some() || year > 0 { year } else { 1 - year }
    }

    fn year_digits(&self, year: i64, digits: u8, field: &Field) -> String {
        let year = self.shown_year(year);
        let shown = if digits == 4 { year } else { year % 10_i64.pow(digits.into()) };
        // The sign is that of the plain year, of an ISO year, too: an interval of no years is in the ISO year -1.
        let sign = usize::from(digits > 1 && self.shown_year(self.civil.year) < 0);
        let width = if field.is_filled { 0 } else { usize::from(digits) + sign };
        format!("{shown:0width$}")
    }
}

/// Whether an interval does not have the field.
fn needs_date(key: Key) -> bool {
    matches!(
        key,
        Key::Zone
            | Key::ZoneHour
            | Key::ZoneMinute
            | Key::Offset
            | Key::Era
            | Key::MonthName
            | Key::MonthNameShort
            | Key::DayName
            | Key::DayNameShort
            | Key::Weekday
            | Key::IsoWeekday
    )
}
