//! `to_date` and `to_timestamp`.

use alloc::format;
use core::str::FromStr;

use super::assemble::{Convention, Values};
use super::{DAYS, Field, Key, MONTHS, Node, ROMAN_MONTHS, SHORT_NAME_LEN, is_separator, is_space, nodes};
use crate::error::Error;

/// A text read along a template.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    values: Values,
    /// FX: characters correspond one to one.
    is_exact: bool,
    /// Characters skipped beyond those of the template.
    extra_skip: i32,
}

fn skip(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// The number of C's `strtol`: none if there is no digit; saturated.
fn leading_integer(text: &str) -> Option<(i64, &str)> {
    let trimmed = text.trim_start_matches(is_space);
    let sign = usize::from(trimmed.starts_with(['+', '-']));
    let digits = trimmed[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let (number, rest) = trimmed.split_at(sign + digits);
    Some((i64::from_str(number).unwrap_or(if number.starts_with('-') { i64::MIN } else { i64::MAX }), rest))
}

/// Sets a value that may be given twice, but not differently.
fn set(target: &mut i32, value: i32, field: &Field) -> Result<(), Error> {
    if *target != 0 && *target != value {
        let name = &field.name;
        return Err(Error::Template(format!("conflicting values for \"{name}\" field in formatting string")));
    }
    *target = value;
    Ok(())
}

/// Whether the digits of a field end at what is behind it.
fn ends_by_itself(field: &Field, next: Option<&Node>) -> bool {
    field.is_filled
        || field.ordinal.is_some()
        || match next {
            Some(Node::Field(next)) => !next.key.is_digits(),
            Some(Node::Text(c)) => !c.is_ascii_digit(),
            _ => true,
        }
}

/// A year of fewer than four digits, near 2020.
fn near_2020(year: i32) -> i32 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

fn convention(key: Key) -> Option<Convention> {
    match key {
        Key::IsoDayOfYear | Key::IsoWeekday | Key::IsoWeek | Key::IsoYear(_) => Some(Convention::IsoWeek),
        Key::DayOfYear | Key::Day | Key::Weekday | Key::Month | Key::MonthName | Key::MonthNameShort => {
            Some(Convention::Gregorian)
        }
        Key::RomanMonth | Key::Week | Key::WeekOfMonth | Key::YearWithComma | Key::Year(_) => {
            Some(Convention::Gregorian)
        }
        _ => None,
    }
}

/// The fields of a text.
pub(super) fn read(text: &str, template: &str) -> Result<Values, Error> {
    Reader::read(text, template)
}

impl<'a> Reader<'a> {
    fn read(text: &'a str, template: &str) -> Result<Values, Error> {
        let values = Values::default();
        let mut reader = Reader { text, rest: text, values, is_exact: false, extra_skip: 0 };
        let nodes = nodes(template);
        for (index, node) in nodes.iter().enumerate() {
            if reader.rest.is_empty() {
                break;
            }
            if !reader.is_exact && (index == 0 || matches!(node, Node::Field(_))) {
                reader.skip_spaces();
            }
            match node {
                Node::Space(_) | Node::Separator(_) if !reader.is_exact => {
                    // One of the template stands for one of the text, or for nothing.
                    reader.extra_skip -= 1;
                    if reader.rest.starts_with(|c| is_space(c) || is_separator(c)) {
                        reader.rest = skip(reader.rest);
                        reader.extra_skip += 1;
                    }
                }
                Node::Text(_) if !reader.is_exact && reader.extra_skip > 0 => reader.extra_skip -= 1,
                Node::Space(_) | Node::Separator(_) | Node::Text(_) => reader.rest = skip(reader.rest),
                Node::Field(field) => {
                    reader.field(field, nodes.get(index + 1))?;
                    if !reader.is_exact {
                        reader.extra_skip = 0;
                        reader.skip_spaces();
                    }
                }
            }
        }
        Ok(reader.values)
    }

    fn skip_spaces(&mut self) {
        while self.rest.starts_with(is_space) {
            self.rest = skip(self.rest);
            self.extra_skip += 1;
        }
    }

    /// A number of up to `width` characters, and how many it had.
    fn number(&mut self, field: &Field, next: Option<&Node>, width: usize) -> Result<(i32, usize), Error> {
        let start = self.rest;
        let begin = start.trim_start_matches(is_space);
        let end = begin.char_indices().nth(width).map_or(begin.len(), |(end, _)| end);
        let piece = &begin[..end];
        let name = &field.name;
        let invalid = || Error::Template(format!("invalid value \"{piece}\" for \"{name}\""));
        let number = if ends_by_itself(field, next) {
            let (number, rest) = leading_integer(start).ok_or_else(invalid)?;
            self.rest = rest;
            number
        } else {
            if begin.len() < width {
                let text = format!("source string too short for \"{name}\" formatting field");
                return Err(Error::Template(text));
            }
            match leading_integer(piece) {
                Some((number, "")) => {
                    self.rest = &begin[end..];
                    number
                }
                // Blanks that are no number are 0 to Postgres.
                None if begin.len() < start.len() => {
                    self.rest = begin;
                    0
                }
                _ => return Err(invalid()),
            }
        };
        let used = start.len() - self.rest.len();
        let number = i32::try_from(number).map_err(|_| {
            Error::TemplateRange(format!("value for \"{name}\" in source string is out of range"))
        })?;
        if field.ordinal.is_some() {
            self.rest = skip(skip(self.rest));
        }
        Ok((number, used))
    }

    /// One of some names, in any case: its index.
    fn name<'n>(&mut self, field: &Field, names: impl Iterator<Item = &'n str>) -> Result<i32, Error> {
        for (index, name) in names.enumerate() {
            if self.rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
                self.rest = &self.rest[name.len()..];
                return Ok(index as i32);
            }
        }
        let word = self.rest.split(is_space).next().unwrap_or_default();
        Err(Error::Template(format!("invalid value \"{word}\" for \"{}\"", field.name)))
    }

    fn field(&mut self, field: &Field, next: Option<&Node>) -> Result<(), Error> {
        if let Some(convention) = convention(field.key) {
            if self.values.convention.is_some_and(|before| before != convention) {
                return Err(Error::Template("invalid combination of date conventions".into()));
            }
            self.values.convention = Some(convention);
        }
        match field.key {
            Key::Exact => self.is_exact = true,
            Key::Half => {
                let with_points = field.name.contains('.');
                let names = if with_points { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let pm = self.name(field, names.into_iter())?;
                set(&mut self.values.pm, pm, field)?;
                self.values.is_half_day = true;
            }
            Key::Era => {
                let with_points = field.name.contains('.');
                let names = if with_points { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                let bc = self.name(field, names.into_iter())?;
                set(&mut self.values.bc, bc, field)?;
            }
            Key::MonthName | Key::MonthNameShort => {
                let is_short = field.key == Key::MonthNameShort;
                let names = MONTHS.iter().map(|name| if is_short { &name[..SHORT_NAME_LEN] } else { name });
                let index = self.name(field, names)?;
                set(&mut self.values.month, index + 1, field)?;
            }
            Key::RomanMonth => {
                // XII before XI before X: the longest first.
                let index = self.name(field, ROMAN_MONTHS.into_iter().rev())?;
                set(&mut self.values.month, 12 - index, field)?;
            }
            Key::DayName | Key::DayNameShort => {
                let is_short = field.key == Key::DayNameShort;
                let names = DAYS.iter().map(|name| if is_short { &name[..SHORT_NAME_LEN] } else { name });
                let index = self.name(field, names)?;
                set(&mut self.values.weekday, index, field)?;
                self.values.weekday += 1;
            }
            Key::Zone | Key::Offset => {
                let name = &field.name;
                let text = format!("formatting field \"{name}\" is only supported in to_char");
                return Err(Error::TemplateUnsupported(text));
            }
            Key::YearWithComma => self.year_with_comma(field)?,
            Key::ZoneHour => {
                let before = &self.text[..self.text.len() - self.rest.len()];
                if self.rest.starts_with(['+', '-', ' ']) {
                    self.values.zone_sign = if self.rest.starts_with('-') { -1 } else { 1 };
                    self.rest = skip(self.rest);
                } else {
                    // The minus may have been taken for a separator.
                    let is_minus = self.extra_skip > 0 && before.ends_with('-');
                    self.values.zone_sign = if is_minus { -1 } else { 1 };
                }
                let (hour, _) = self.number(field, next, 2)?;
                set(&mut self.values.zone_hour, hour, field)?;
            }
            _ => self.digits(field, next)?,
        }
        Ok(())
    }

    /// A field that is a number.
    fn digits(&mut self, field: &Field, next: Option<&Node>) -> Result<(), Error> {
        let width = match field.key {
            Key::Hour12 | Key::Hour24 | Key::Year(2) | Key::IsoYear(2) => 2,
            Key::Fraction(digits) | Key::Year(digits) | Key::IsoYear(digits) => digits.into(),
            Key::Microseconds => 6,
            Key::Milliseconds | Key::IsoDayOfYear => 3,
            Key::IsoWeekday => 1,
            _ => field.name.len(),
        };
        let (number, used) = self.number(field, next, width)?;
        let values = &mut self.values;
        let target = match field.key {
            Key::Hour12 | Key::Hour24 => {
                values.is_half_day |= field.key == Key::Hour12;
                &mut values.hour
            }
            Key::Minute => &mut values.minute,
            Key::Second => &mut values.second,
            Key::SecondOfDay => &mut values.second_of_day,
            Key::Milliseconds => {
                set(&mut values.millis, number, field)?;
                values.millis = values.millis.wrapping_mul(10_i32.pow(3_u32.saturating_sub(used as u32)));
                return Ok(());
            }
            Key::Microseconds | Key::Fraction(_) => {
                set(&mut values.micros, number, field)?;
                values.micros = values.micros.wrapping_mul(10_i32.pow(6_u32.saturating_sub(used as u32)));
                return Ok(());
            }
            Key::ZoneMinute => {
                if values.zone_sign == 0 {
                    values.zone_sign = 1;
                }
                &mut values.zone_minute
            }
            Key::Month => &mut values.month,
            Key::DayOfYear | Key::IsoDayOfYear => &mut values.day_of_year,
            Key::Day => &mut values.day,
            Key::Weekday => &mut values.weekday,
            Key::IsoWeekday => {
                set(&mut values.weekday, number, field)?;
                // To Sunday as the first.
                values.weekday = if number >= 7 { 1 } else { number + 1 };
                return Ok(());
            }
            Key::Week | Key::IsoWeek => &mut values.week,
            Key::WeekOfMonth => &mut values.week_of_month,
            Key::Century => &mut values.century,
            Key::Julian => &mut values.julian,
            Key::Year(digits) | Key::IsoYear(digits) => {
                set(&mut values.year, number, field)?;
                if digits < 4 && used < 4 {
                    values.year = near_2020(number);
                }
                values.year_width = digits;
                return Ok(());
            }
            // A quarter is read and forgotten: it says no day.
            _ => return Ok(()),
        };
        set(target, number, field)
    }

    fn year_with_comma(&mut self, field: &Field) -> Result<(), Error> {
        let parts = || {
            let (thousands, rest) = leading_integer(self.rest)?;
            let rest = rest.strip_prefix(',')?;
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(3);
            let years = i64::from_str(&rest[..digits]).ok()?;
            let year = thousands.checked_mul(1000)?.checked_add(years)?;
            Some((i32::try_from(year).ok()?, &rest[digits..]))
        };
        let (year, rest) =
            parts().ok_or_else(|| Error::Template("invalid input string for \"Y,YYY\"".into()))?;
        self.rest = rest;
        set(&mut self.values.year, year, field)?;
        self.values.year_width = 4;
        if field.ordinal.is_some() {
            self.rest = skip(skip(self.rest));
        }
        Ok(())
    }
}
