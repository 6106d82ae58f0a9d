//! Templates of `to_char`, `to_date` and `to_timestamp`.
//!
//! A template is a list of fields and of characters between them. Which part of it is a field is decided from the left,
//! the longest name first, as in Postgres.

mod assemble;
mod read;
mod write;

use alloc::string::String;
use alloc::vec::Vec;

/// What a field is, whatever the case of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// AD, BC, with or without points.
    Era,
    /// AM, PM.
    Half,
    Century,
    DayName,
    DayNameShort,
    DayOfYear,
    IsoDayOfYear,
    Day,
    Weekday,
    IsoWeekday,
    /// Digits of a second, from 1 to 6.
    Fraction(u8),
    /// Fixed width.
    Exact,
    Hour24,
    Hour12,
    IsoWeek,
    /// Digits of the year, from 1 to 4.
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthName,
    MonthNameShort,
    Milliseconds,
    Offset,
    Quarter,
    RomanMonth,
    SecondOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    Zone,
    Microseconds,
    Week,
    WeekOfMonth,
    /// `Y,YYY`
    YearWithComma,
    /// Digits of the year, from 1 to 4.
    Year(u8),
}

/// Names in capitals; of two that fit, the longer comes first.
const KEYS: [(&str, Key); 54] = [
    ("A.D.", Key::Era),
    ("A.M.", Key::Half),
    ("AD", Key::Era),
    ("AM", Key::Half),
    ("B.C.", Key::Era),
    ("BC", Key::Era),
    ("CC", Key::Century),
    ("DAY", Key::DayName),
    ("DDD", Key::DayOfYear),
    ("DD", Key::Day),
    ("DY", Key::DayNameShort),
    ("D", Key::Weekday),
    ("FF1", Key::Fraction(1)),
    ("FF2", Key::Fraction(2)),
    ("FF3", Key::Fraction(3)),
    ("FF4", Key::Fraction(4)),
    ("FF5", Key::Fraction(5)),
    ("FF6", Key::Fraction(6)),
    ("FX", Key::Exact),
    ("HH24", Key::Hour24),
    ("HH12", Key::Hour12),
    ("HH", Key::Hour12),
    ("IDDD", Key::IsoDayOfYear),
    ("ID", Key::IsoWeekday),
    ("IW", Key::IsoWeek),
    ("IYYY", Key::IsoYear(4)),
    ("IYY", Key::IsoYear(3)),
    ("IY", Key::IsoYear(2)),
    ("I", Key::IsoYear(1)),
    ("J", Key::Julian),
    ("MI", Key::Minute),
    ("MM", Key::Month),
    ("MONTH", Key::MonthName),
    ("MON", Key::MonthNameShort),
    ("MS", Key::Milliseconds),
    ("OF", Key::Offset),
    ("P.M.", Key::Half),
    ("PM", Key::Half),
    ("Q", Key::Quarter),
    ("RM", Key::RomanMonth),
    ("SSSSS", Key::SecondOfDay),
    ("SSSS", Key::SecondOfDay),
    ("SS", Key::Second),
    ("TZH", Key::ZoneHour),
    ("TZM", Key::ZoneMinute),
    ("TZ", Key::Zone),
    ("US", Key::Microseconds),
    ("WW", Key::Week),
    ("W", Key::WeekOfMonth),
    ("Y,YYY", Key::YearWithComma),
    ("YYYY", Key::Year(4)),
    ("YYY", Key::Year(3)),
    ("YY", Key::Year(2)),
    ("Y", Key::Year(1)),
];

/// A part of a template.
#[derive(Clone, Debug)]
enum Node {
    Field(Field),
    /// Punctuation.
    Separator(char),
    Space(char),
    /// Letters, digits, and what is in quotes.
    Text(char),
}

#[derive(Clone, Debug)]
struct Field {
    key: Key,
    /// As the template has it.
    name: String,
    /// FM: without blanks and zeros.
    is_filled: bool,
    /// TM: a name in the locale's language, which is English, and without blanks.
    is_translated: bool,
    /// TH or th.
    ordinal: Option<Ordinal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordinal {
    Upper,
    Lower,
}

impl Key {
    /// Whether the field is read as digits, so that digits before it end where their width says.
    fn is_digits(self) -> bool {
        !matches!(
            self,
            Key::Era
                | Key::Half
                | Key::DayName
                | Key::DayNameShort
                | Key::Exact
                | Key::MonthName
                | Key::MonthNameShort
                | Key::Offset
                | Key::RomanMonth
                | Key::ZoneHour
                | Key::Zone
        )
    }

    /// Whether a name of it may be capitalised: `Month`.
    fn has_capitalised_form(self) -> bool {
        matches!(self, Key::DayName | Key::DayNameShort | Key::MonthName | Key::MonthNameShort)
    }
}

/// The field at the beginning of a template: its key and the length of its name.
fn key(template: &str) -> Option<(Key, usize)> {
    let fits = |name: &str, key: Key| {
        let found = template.get(..name.len()).filter(|found| !found.is_empty());
        found.is_some_and(|found| {
            let is_capitalised = || {
                let mut letters = found.bytes().zip(name.bytes());
                let first = letters.next();
                first.is_some_and(|(found, upper)| found == upper)
                    && letters.all(|(found, upper)| found == upper.to_ascii_lowercase())
            };
            found == name
                || found == name.to_ascii_lowercase()
                || (key.has_capitalised_form() && is_capitalised())
        })
    };
    KEYS.iter().find(|(name, key)| fits(name, *key)).map(|(name, key)| (*key, name.len()))
}

fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// Cuts a template.
fn nodes(template: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (mut is_filled, mut is_translated) = (false, false);
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            is_filled = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            is_translated = true;
            rest = after;
        }
        if let Some((key, len)) = key(rest) {
            let (name, after) = rest.split_at(len);
            let (ordinal, after) = match after.get(..2) {
                Some("TH") => (Some(Ordinal::Upper), &after[2..]),
                Some("th") => (Some(Ordinal::Lower), &after[2..]),
                Some("SP") => (None, &after[2..]),
                _ => (None, after),
            };
            nodes.push(Node::Field(Field { key, name: name.into(), is_filled, is_translated, ordinal }));
            rest = after;
            continue;
        }
        let mut chars = rest.chars();
        match chars.next() {
            None => break,
            Some('"') => quoted(&mut chars, &mut nodes),
            Some('\\') if chars.as_str().starts_with('"') => {
                chars.next();
                nodes.push(Node::Separator('"'));
            }
            Some(c) if is_separator(c) => nodes.push(Node::Separator(c)),
            Some(c) if is_space(c) => nodes.push(Node::Space(c)),
            Some(c) => nodes.push(Node::Text(c)),
        }
        rest = chars.as_str();
    }
    nodes
}

/// Text up to the next quote; a backslash takes what is behind it as it is.
fn quoted(chars: &mut core::str::Chars<'_>, nodes: &mut Vec<Node>) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return,
            '\\' => nodes.push(Node::Text(chars.next().unwrap_or('\\'))),
            c => nodes.push(Node::Text(c)),
        }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Letters of a short name.
const SHORT_NAME_LEN: usize = 3;
