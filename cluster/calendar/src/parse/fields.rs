//! The fields of a date and a time while a text is read: each may be given once, in orders that Postgres knows.

use super::Fault;
use super::number::{fraction_micros, leading_i32};
use super::words::{Word, datetime_word};
use crate::gregorian::{Civil, Clock, days_in_month};
use crate::zone::DISPLACEMENT_HOURS_MAX;

/// A set of fields.
pub(super) type Mask = u32;

pub(super) const YEAR: Mask = 1;
pub(super) const MONTH: Mask = 1 << 1;
pub(super) const DAY: Mask = 1 << 2;
pub(super) const DATE: Mask = YEAR | MONTH | DAY;
const YEAR_AND_MONTH: Mask = YEAR | MONTH;
const MONTH_AND_DAY: Mask = MONTH | DAY;
pub(super) const HOUR: Mask = 1 << 3;
pub(super) const MINUTE: Mask = 1 << 4;
pub(super) const SECOND: Mask = 1 << 5;
pub(super) const MILLISECOND: Mask = 1 << 6;
pub(super) const MICROSECOND: Mask = 1 << 7;
/// A second and its fraction.
pub(super) const WHOLE_SECOND: Mask = SECOND | MILLISECOND | MICROSECOND;
pub(super) const TIME: Mask = HOUR | MINUTE | WHOLE_SECOND;
pub(super) const ZONE: Mask = 1 << 8;
/// A zone that is in summer.
pub(super) const SUMMER_ZONE: Mask = 1 << 9;
/// The word DST.
pub(super) const SUMMER: Mask = 1 << 10;
/// A zone whose abbreviation has changed its meaning.
pub(super) const CHANGING_ZONE: Mask = 1 << 11;
pub(super) const DAY_OF_YEAR: Mask = 1 << 12;
pub(super) const WEEKDAY: Mask = 1 << 13;
pub(super) const HALF: Mask = 1 << 14;
pub(super) const ERA: Mask = 1 << 15;
pub(super) const WEEK: Mask = 1 << 16;
pub(super) const DECADE: Mask = 1 << 17;
pub(super) const CENTURY: Mask = 1 << 18;
pub(super) const MILLENNIUM: Mask = 1 << 19;
/// `epoch`, `infinity`
pub(super) const RESERVED: Mask = 1 << 20;

/// The fields and what is known about them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub civil: Civil,
    pub clock: Clock,
    day_of_year: i64,
    /// Which are given.
    pub seen: Mask,
    /// The year has one or two digits: 70 is 1970.
    short_year: bool,
    /// The date is a Julian day: its year is final.
    pub is_julian: bool,
    pub is_bc: bool,
    /// The month is a word, so that a number beside it is a day or a year.
    pub month_is_word: bool,
}

/// The number that digits are, as C's `atoi` has it where they are too many.
fn digits(text: &str) -> i64 {
    let wide = text.bytes().fold(0_i64, |sum, c| sum.saturating_mul(10).saturating_add(i64::from(c - b'0')));
    i64::from(wide as i32)
}

impl Fields {
    /// A token with separators: `1999-01-08`, `1/8/1999`, `8-Jan-1999`.
    pub(super) fn date(&mut self, text: &str) -> Result<Mask, Fault> {
        let mut parts = [""; 25];
        let mut count = 0;
        let mut rest = text;
        while !rest.is_empty() && count < parts.len() {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let first = rest.chars().next().ok_or(Fault::Syntax)?;
            let of_kind = |c: char| c.is_ascii_digit() == first.is_ascii_digit() && c.is_ascii_alphanumeric();
            let end = rest.find(|c: char| !of_kind(c)).unwrap_or(rest.len());
            parts[count] = &rest[..end];
            count += 1;
            // The character behind a part is its end, whatever it is.
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        let mut given = 0;
        let mut seen = self.seen;
        let mut add = |mask: Mask, seen: &mut Mask| {
            if *seen & mask != 0 {
                return Err(Fault::Syntax);
            }
            *seen |= mask;
            given |= mask;
            Ok(())
        };
        let is_word = |part: &&str| part.starts_with(|c: char| c.is_ascii_alphabetic());
        for part in parts[..count].iter().filter(|part| is_word(part)) {
            match datetime_word(part) {
                Some(Word::Month(month)) => {
                    self.civil.month = month;
                    self.month_is_word = true;
                    add(MONTH, &mut seen)?;
                }
                Some(Word::Ignored) => {}
                _ => return Err(Fault::Syntax),
            }
        }
        // A fraction of a second is no part of a date.
        let micro = self.clock.micro;
        for part in parts[..count].iter().filter(|part| !is_word(part)) {
            let mask = self.number(part, seen)?;
            add(mask, &mut seen)?;
        }
        self.clock.micro = micro;
        if seen & !(DAY_OF_YEAR | ZONE) != DATE { Err(Fault::Syntax) } else { Ok(given) }
    }

    /// A number that is one field: which one depends on those that are `seen`, month before day before year.
    pub(super) fn number(&mut self, text: &str, seen: Mask) -> Result<Mask, Fault> {
        let (value, rest) = leading_i32(text, Fault::FieldRange)?;
        let width = text.len() - rest.len();
        if width == 0 {
            return Err(Fault::Syntax);
        }
        if rest.starts_with('.') {
            if width > 2 {
                return self.concatenated(text, seen | DATE);
            }
            self.clock.micro = fraction_micros(rest)?;
        } else if !rest.is_empty() {
            return Err(Fault::Syntax);
        }
        let is_long = text.len() >= 3;
        if text.len() == 3 && seen & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(DAY_OF_YEAR | MONTH | DAY);
        }
        let field = match seen & DATE {
            0 if is_long => YEAR,
            0 => MONTH,
            YEAR => MONTH,
            MONTH if self.month_is_word && is_long => YEAR,
            MONTH => DAY,
            YEAR_AND_MONTH => {
                if self.month_is_word && is_long && self.short_year {
                    // What was taken for a year is the day: 08-Jan-1999.
                    self.civil.day = self.civil.year;
                    self.civil.year = value;
                    self.short_year = false;
                } else {
                    self.civil.day = value;
                }
                return Ok(DAY);
            }
            DAY => MONTH,
            MONTH_AND_DAY => YEAR,
            DATE => return self.concatenated(text, seen),
            _ => return Err(Fault::Syntax),
        };
        match field {
            YEAR => {
                self.civil.year = value;
                self.short_year = text.len() <= 2;
            }
            MONTH => self.civil.month = value,
            _ => self.civil.day = value,
        }
        Ok(field)
    }

    /// Digits without separators: `19990108`, or `040506` with a fraction.
    pub(super) fn concatenated(&mut self, text: &str, seen: Mask) -> Result<Mask, Fault> {
        let mut whole = text;
        if let Some(point) = text.find('.') {
            self.clock.micro = fraction_micros(&text[point..])?;
            whole = &text[..point];
        } else if seen & DATE != DATE && whole.len() >= 6 {
            let (rest, day) = whole.split_at(whole.len() - 2);
            let (year, month) = rest.split_at(rest.len() - 2);
            self.civil = Civil::new(digits(year), digits(month), digits(day));
            self.short_year |= year.len() == 2;
            return Ok(DATE);
        }
        if seen & TIME == TIME || !(whole.len() == 6 || whole.len() == 4) {
            return Err(Fault::Syntax);
        }
        self.clock.hour = digits(&whole[..2]);
        self.clock.minute = digits(&whole[2..4]);
        self.clock.second = digits(&whole[4..]);
        Ok(TIME)
    }

    /// A token with colons.
    pub(super) fn time(&mut self, text: &str) -> Result<Mask, Fault> {
        self.clock = clock(text, false)?;
        if self.clock.hour > i64::from(i32::MAX) { Err(Fault::FieldRange) } else { Ok(TIME) }
    }

    /// Whether the time is later than 24:00:00.
    pub(super) fn time_overflows(&self) -> bool {
        let Clock { hour, minute, second, micro } = self.clock;
        !(0..=24).contains(&hour)
            || !(0..60).contains(&minute)
            || !(0..=60).contains(&second)
            || !(0..=1_000_000).contains(&micro)
            || (hour == 24 && (minute > 0 || second > 0 || micro > 0))
            // 23:59:60 is midnight, 23:59:60.5 is later.
            || self.clock.to_micros() > crate::gregorian::MICROS_PER_DAY
    }

    /// Makes the date whole once all fields are there, and checks it.
    pub(super) fn finish_date(&mut self) -> Result<(), Fault> {
        if self.seen & YEAR != 0 && !self.is_julian {
            let year = &mut self.civil.year;
            if self.is_bc {
                if *year <= 0 {
                    return Err(Fault::FieldRange);
                }
                *year = 1 - *year;
            } else if self.short_year {
                if *year < 0 {
                    return Err(Fault::FieldRange);
                }
                *year += if *year < 70 {
                    2000
                } else if *year < 100 {
                    1900
                } else {
                    0
                };
            } else if *year <= 0 {
                return Err(Fault::FieldRange);
            }
        }
        if self.seen & DAY_OF_YEAR != 0 {
            self.civil = Civil::from_days(Civil::new(self.civil.year, 1, 1).to_days() + self.day_of_year - 1);
        }
        let Civil { year, month, day } = self.civil;
        if self.seen & MONTH != 0 && !(1..=12).contains(&month) {
            return Err(Fault::FieldOrder);
        }
        if self.seen & DAY != 0 && !(1..=31).contains(&day) {
            return Err(Fault::FieldOrder);
        }
        if self.seen & DATE == DATE && day > days_in_month(year, month) {
            return Err(Fault::FieldRange);
        }
        Ok(())
    }

    /// Applies `am` or `pm`, if one was given.
    pub(super) fn finish_half(&mut self, is_pm: Option<bool>) -> Result<(), Fault> {
        let hour = &mut self.clock.hour;
        match is_pm {
            Some(_) if *hour > 12 => return Err(Fault::FieldRange),
            Some(false) if *hour == 12 => *hour = 0,
            Some(true) if *hour != 12 => *hour += 12,
            _ => {}
        }
        Ok(())
    }
}

/// `HH:MM[:SS[.F]]` or `MM:SS.F`, the hour as large as it likes; of two numbers the first is minutes if
/// `is_minute_to_second`.
pub(super) fn clock(text: &str, is_minute_to_second: bool) -> Result<Clock, Fault> {
    let (hour, rest) = super::number::leading_i64(text);
    let mut clock = Clock { hour: hour.ok_or(Fault::FieldRange)?, ..Clock::default() };
    let rest = rest.strip_prefix(':').ok_or(Fault::Syntax)?;
    let (minute, rest) = leading_i32(rest, Fault::FieldRange)?;
    clock.minute = minute;
    if rest.is_empty() && !is_minute_to_second {
    } else if rest.is_empty() || rest.starts_with('.') {
        clock.micro = if rest.is_empty() { 0 } else { fraction_micros(rest)? };
        clock.second = clock.minute;
        if clock.hour > i64::from(i32::MAX) {
            return Err(Fault::FieldRange);
        }
        clock.minute = clock.hour;
        clock.hour = 0;
    } else {
        let rest = rest.strip_prefix(':').ok_or(Fault::Syntax)?;
        let (second, rest) = leading_i32(rest, Fault::FieldRange)?;
        clock.second = second;
        clock.micro = if rest.is_empty() { 0 } else { fraction_micros(rest)? };
    }
    let fits = clock.hour >= 0
        && (0..60).contains(&clock.minute)
        && (0..=60).contains(&clock.second)
        && (0..=1_000_000).contains(&clock.micro);
    if fits { Ok(clock) } else { Err(Fault::FieldRange) }
}

/// `+HH[[:]MM[:SS]]`: seconds east of UTC.
pub(crate) fn displacement(text: &str) -> Result<i64, Fault> {
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(Fault::Syntax),
    };
    let (mut hour, mut rest) = leading_i32(&text[1..], Fault::Displacement)?;
    let (mut minute, mut second) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minute, rest) = leading_i32(after, Fault::Displacement)?;
        if let Some(after) = rest.strip_prefix(':') {
            (second, rest) = leading_i32(after, Fault::Displacement)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hour, minute) = (hour / 100, hour % 100);
    }
    let fits = (0..=DISPLACEMENT_HOURS_MAX).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    match (fits, rest.is_empty()) {
        (false, _) => Err(Fault::Displacement),
        (_, false) => Err(Fault::Syntax),
        _ => Ok(sign * (hour * 3600 + minute * 60 + second)),
    }
}
