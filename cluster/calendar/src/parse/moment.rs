//! Texts of dates, times and timestamps: one reader, for they share their forms. Its order of decisions is that of
//! Postgres's `DecodeDateTime` and `DecodeTimeOnly`.

use super::Fault;
use super::fields::*;
use super::number::{fraction, leading_i32};
use super::token::{DATE_LEN_MAX, Shape, Token, tokens};
use super::words::{Word, datetime_word};
use crate::abbreviation::{Abbreviation, abbreviation};
use crate::gregorian::{Civil, Clock, JULIAN_EPOCH, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::unit::Unit;
use crate::value::Session;
use crate::zone::Zone;

/// What a text says.
#[derive(Debug)]
pub(super) enum Moment {
    Infinity,
    MinusInfinity,
    /// 1970-01-01 00:00:00 UTC.
    Epoch,
    /// A date and a time on a clock, which is `offset` seconds east of UTC.
    At {
        civil: Civil,
        micros: i64,
        offset: i64,
    },
}

/// What the next number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Unit(Unit),
    /// A time: there was a `T`.
    Time,
}

/// A zone that the text names: its offset can be known once date and time are.
#[derive(Debug)]
enum Named {
    Zone(Zone),
    /// A zone, asked for an abbreviation that it has used.
    Abbreviation(Zone, alloc::string::String),
}

struct Reader<'a> {
    session: Session<'a>,
    is_time_only: bool,
    fields: Fields,
    pending: Option<Pending>,
    /// Seconds east of UTC, once they are known.
    offset: i64,
    named: Option<Named>,
    is_pm: Option<bool>,
    /// The text is one of these words.
    word: Option<Word>,
}

/// Reads a date with or without a time.
pub(super) fn moment(text: &str, session: Session<'_>) -> Result<Moment, Fault> {
    let mut reader = Reader::new(session, false);
    reader.read(&tokens(text, DATE_LEN_MAX)?)?;
    reader.fields.finish_date()?;
    reader.fields.finish_half(reader.is_pm)?;
    match reader.word {
        Some(Word::Infinity) => return Ok(Moment::Infinity),
        Some(Word::MinusInfinity) => return Ok(Moment::MinusInfinity),
        Some(Word::Epoch) => return Ok(Moment::Epoch),
        _ => {}
    }
    if reader.fields.seen & DATE != DATE {
        return Err(Fault::Syntax);
    }
    let civil = reader.fields.civil;
    reader.resolve_zone(civil)?;
    Ok(Moment::At { civil, micros: reader.fields.clock.to_micros(), offset: reader.offset })
}

/// Reads a time, with a date and a zone if it must be: microseconds of the day.
pub(super) fn time(text: &str, session: Session<'_>) -> Result<i64, Fault> {
    let mut reader = Reader::new(session, true);
    reader.read(&tokens(text, DATE_LEN_MAX)?)?;
    let fields = &mut reader.fields;
    fields.finish_date()?;
    fields.finish_half(reader.is_pm)?;
    if fields.time_overflows() {
        return Err(Fault::FieldRange);
    }
    if fields.seen & TIME != TIME {
        return Err(Fault::Syntax);
    }
    // The offset is of no use, but a zone that changes its clocks needs a date.
    let (seen, micros) = (fields.seen, fields.clock.to_micros());
    let needs_date = match &reader.named {
        Some(Named::Zone(zone)) => zone.fixed_offset().is_none(),
        Some(Named::Abbreviation(..)) => seen & DATE != 0,
        None => seen & ZONE == 0 && seen & DATE != 0,
    };
    let is_moved = seen & SUMMER != 0 && (reader.named.is_some() || seen & ZONE == 0);
    if (needs_date && seen & DATE != DATE) || is_moved { Err(Fault::Syntax) } else { Ok(micros) }
}

impl<'a> Reader<'a> {
    fn new(session: Session<'a>, is_time_only: bool) -> Reader<'a> {
        Reader {
            session,
            is_time_only,
            fields: Fields::default(),
            pending: None,
            offset: 0,
            named: None,
            is_pm: None,
            word: None,
        }
    }

    /// The fields that a number has to look at: of a time, the date counts as known.
    fn known(&self) -> Mask {
        if self.is_time_only { self.fields.seen | DATE } else { self.fields.seen }
    }

    fn read(&mut self, tokens: &[Token]) -> Result<(), Fault> {
        if tokens.is_empty() {
            return Err(Fault::Syntax);
        }
        for (index, token) in tokens.iter().enumerate() {
            let text = token.text.as_str();
            let mask = match token.shape {
                Shape::Date if self.is_time_only => self.date_of_time(tokens, index)?,
                Shape::Date => self.date(text)?,
                Shape::Time => self.time(text)?,
                Shape::Zone => {
                    self.offset = displacement(text)?;
                    ZONE
                }
                Shape::Number => match self.pending.take() {
                    Some(pending) => self.expected_number(text, pending)?,
                    None if self.is_time_only => self.number_of_time(tokens, index)?,
                    None => self.number(text)?,
                },
                Shape::Word | Shape::Special => self.word(tokens, index)?,
            };
            if mask & self.fields.seen != 0 {
                return Err(Fault::Syntax);
            }
            self.fields.seen |= mask;
        }
        Ok(())
    }

    fn time(&mut self, text: &str) -> Result<Mask, Fault> {
        if !self.is_time_only && self.pending.take().is_some_and(|pending| pending != Pending::Time) {
            return Err(Fault::Syntax);
        }
        let mask = self.fields.time(text)?;
        if !self.is_time_only && self.fields.time_overflows() { Err(Fault::FieldRange) } else { Ok(mask) }
    }

    /// A token with separators, in a text that has a date.
    fn date(&mut self, text: &str) -> Result<Mask, Fault> {
        let pending = self.pending.take();
        if pending == Some(Pending::Unit(Unit::Julian)) {
            // A Julian day with its zone run together.
            let (day, zone) = leading_i32(text, Fault::FieldRange)?;
            self.set_julian(day);
            self.offset = displacement(zone)?;
            return Ok(DATE | TIME | ZONE);
        }
        if pending.is_none() && self.fields.seen & (MONTH | DAY) != MONTH | DAY {
            return self.fields.date(text);
        }
        // The date is there: this is a zone, or a time with its zone run together.
        if !text.starts_with(|c: char| c.is_ascii_digit()) && pending.is_none() {
            return self.zone(text);
        }
        if pending.is_some_and(|pending| pending != Pending::Time) || self.fields.seen & TIME == TIME {
            return Err(Fault::Syntax);
        }
        self.time_and_zone(text, self.fields.seen)
    }

    /// `hhmmss-zz`
    fn time_and_zone(&mut self, text: &str, seen: Mask) -> Result<Mask, Fault> {
        let (time, zone) = text.split_at(text.find('-').ok_or(Fault::Syntax)?);
        self.offset = displacement(zone)?;
        Ok(self.fields.concatenated(time, seen)? | ZONE)
    }

    /// A token with separators, in a text of a time: a date only where a time follows.
    fn date_of_time(&mut self, tokens: &[Token], index: usize) -> Result<Mask, Fault> {
        let text = &tokens[index].text;
        let (second, last) = (tokens.get(1), tokens.last());
        let is_date = index == 0
            && tokens.len() >= 2
            && (last.is_some_and(|token| token.shape == Shape::Date)
                || second.is_some_and(|token| token.shape == Shape::Time));
        if is_date {
            return self.fields.date(text);
        }
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return self.zone(text);
        }
        if self.fields.seen & TIME == TIME {
            return Err(Fault::Syntax);
        }
        self.time_and_zone(text, self.known())
    }

    /// The full name of a zone.
    fn zone(&mut self, name: &str) -> Result<Mask, Fault> {
        self.named = Some(Named::Zone(Zone::named(name).ok_or_else(|| Fault::Zone(name.into()))?));
        Ok(ZONE)
    }

    fn set_julian(&mut self, day: i64) {
        self.fields.civil = Civil::from_days(day - JULIAN_EPOCH);
        self.fields.is_julian = true;
    }

    /// A number behind the word that says what it is.
    fn expected_number(&mut self, text: &str, pending: Pending) -> Result<Mask, Fault> {
        let (value, rest) = leading_i32(text, Fault::FieldRange)?;
        let takes_fraction =
            matches!(pending, Pending::Time | Pending::Unit(Unit::Julian) | Pending::Unit(Unit::Second));
        let is_whole = rest.is_empty() || (rest.starts_with('.') && takes_fraction);
        if !is_whole {
            return Err(Fault::Syntax);
        }
        let (civil, clock) = (&mut self.fields.civil, &mut self.fields.clock);
        let unit = match pending {
            Pending::Unit(unit) => unit,
            Pending::Time => {
                let mask = self.fields.concatenated(text, self.fields.seen | DATE)?;
                return if mask == TIME { Ok(TIME) } else { Err(Fault::Syntax) };
            }
        };
        let (field, mask) = match unit {
            Unit::Year => (&mut civil.year, YEAR),
            // Behind a month and an hour, `m` is minutes.
            Unit::Month if self.fields.seen & MONTH != 0 && self.fields.seen & HOUR != 0 => {
                (&mut clock.minute, MINUTE)
            }
            Unit::Month => (&mut civil.month, MONTH),
            Unit::Day => (&mut civil.day, DAY),
            Unit::Hour => (&mut clock.hour, HOUR),
            Unit::Minute => (&mut clock.minute, MINUTE),
            Unit::Second if rest.is_empty() => (&mut clock.second, SECOND),
            Unit::Second => {
                clock.micro = super::number::fraction_micros(rest)?;
                (&mut clock.second, WHOLE_SECOND)
            }
            Unit::Julian => {
                if value < 0 {
                    return Err(Fault::FieldRange);
                }
                if rest.is_empty() {
                    self.set_julian(value);
                    return Ok(DATE);
                }
                *clock = Clock::from_micros((fraction(rest)? * MICROS_PER_DAY as f64) as i64);
                self.set_julian(value);
                return Ok(DATE | TIME);
            }
            _ => return Err(Fault::Syntax),
        };
        *field = value;
        self.word = None;
        Ok(mask)
    }

    /// A number in a text that has a date.
    fn number(&mut self, text: &str) -> Result<Mask, Fault> {
        let seen = self.fields.seen;
        match text.find('.') {
            Some(_) if seen & DATE == 0 => self.fields.date(text),
            Some(point) if point > 2 => self.fields.concatenated(text, seen),
            _ if text.len() >= 6 && (seen & DATE == 0 || seen & TIME == 0) => {
                self.fields.concatenated(text, seen)
            }
            _ => self.fields.number(text, seen),
        }
    }

    /// A number in a text of a time.
    fn number_of_time(&mut self, tokens: &[Token], index: usize) -> Result<Mask, Fault> {
        let text = &tokens[index].text;
        let ends_in_date = tokens.len() >= 2 && tokens[tokens.len() - 1].shape == Shape::Date;
        match text.find('.') {
            Some(_) if index == 0 && ends_in_date => self.fields.date(text),
            Some(point) if point > 2 => self.fields.concatenated(text, self.known()),
            Some(_) => Err(Fault::Syntax),
            None if text.len() > 4 => self.fields.concatenated(text, self.known()),
            None => self.fields.number(text, self.known()),
        }
    }

    fn word(&mut self, tokens: &[Token], index: usize) -> Result<Mask, Fault> {
        let text = tokens[index].text.as_str();
        if let Some(meaning) = abbreviation(text) {
            return self.abbreviated_zone(text, meaning);
        }
        let Some(word) = datetime_word(text) else {
            let zone = Zone::named(text).ok_or(Fault::Syntax)?;
            self.named = Some(Named::Zone(zone));
            return Ok(ZONE);
        };
        match word {
            Word::Ignored => Ok(0),
            Word::Now | Word::Midnight => self.set_time(word),
            Word::Month(_) | Word::Weekday if self.is_time_only => Err(Fault::Syntax),
            Word::Month(month) => Ok(self.month(month)),
            Word::Weekday => Ok(WEEKDAY),
            Word::Era(is_bc) => {
                self.fields.is_bc = is_bc;
                Ok(ERA)
            }
            Word::Half(is_pm) => {
                self.is_pm = Some(is_pm);
                Ok(HALF)
            }
            Word::Summer => {
                self.offset += 3600;
                Ok(SUMMER | SUMMER_ZONE)
            }
            Word::Unit(unit) => {
                self.pending = Some(Pending::Unit(unit));
                Ok(0)
            }
            Word::TimeFollows => {
                let next = tokens.get(index + 1).map(|token| token.shape);
                let follows = matches!(next, Some(Shape::Number | Shape::Time | Shape::Date));
                if !follows || (!self.is_time_only && self.fields.seen & DATE != DATE) {
                    return Err(Fault::Syntax);
                }
                self.pending = Some(Pending::Time);
                Ok(0)
            }
            Word::Today | Word::Tomorrow | Word::Yesterday if !self.is_time_only => {
                let days = i64::from(word == Word::Tomorrow) - i64::from(word == Word::Yesterday);
                let today = self.local_now().div_euclid(MICROS_PER_DAY);
                self.fields.civil = Civil::from_days(today + days);
                self.word = None;
                Ok(DATE)
            }
            Word::Epoch | Word::Infinity | Word::MinusInfinity if !self.is_time_only => {
                // Postgres lets a date stand beside it, and ignores that.
                self.word = Some(word);
                Ok(RESERVED)
            }
            _ => Err(Fault::Syntax),
        }
    }

    fn abbreviated_zone(&mut self, text: &str, meaning: Abbreviation) -> Result<Mask, Fault> {
        let (seconds, mask) = match meaning {
            Abbreviation::Standard(seconds) => (seconds, ZONE),
            Abbreviation::Summer(seconds) => (seconds, ZONE | SUMMER_ZONE),
            Abbreviation::Zone(name) => {
                let zone = Zone::named(name).ok_or(Fault::Syntax)?;
                self.named = Some(Named::Abbreviation(zone, text.to_ascii_uppercase()));
                return Ok(ZONE | CHANGING_ZONE);
            }
        };
        self.offset = seconds;
        Ok(mask)
    }

    /// A month's name. A number before it may have been taken for a month, but is the day.
    fn month(&mut self, month: i64) -> Mask {
        let fields = &mut self.fields;
        let was_number = fields.seen & MONTH != 0 && !fields.month_is_word && fields.seen & DAY == 0;
        let is_day = was_number && (1..=31).contains(&fields.civil.month);
        if is_day {
            fields.civil.day = fields.civil.month;
        }
        fields.month_is_word = true;
        fields.civil.month = month;
        if is_day { DAY } else { MONTH }
    }

    /// `now` and `allballs`.
    fn set_time(&mut self, word: Word) -> Result<Mask, Fault> {
        if word == Word::Midnight {
            self.fields.clock = Clock::default();
            self.offset = 0;
            self.word = None;
            return Ok(TIME | ZONE);
        }
        let local = self.local_now();
        self.fields.clock = Clock::from_micros(local.rem_euclid(MICROS_PER_DAY));
        if self.is_time_only {
            return Ok(TIME);
        }
        self.fields.civil = Civil::from_days(local.div_euclid(MICROS_PER_DAY));
        self.word = None;
        self.offset = self.session.zone.offset_at(self.session.now.micros());
        Ok(DATE | TIME | ZONE)
    }

    fn local_now(&self) -> i64 {
        let now = self.session.now.micros();
        now.saturating_add(self.session.zone.offset_at(now) * MICROS_PER_SECOND)
    }

    /// Finds the offset of the zone that is named, or of the session's if there is none.
    fn resolve_zone(&mut self, civil: Civil) -> Result<(), Fault> {
        let midnight = civil.to_days().saturating_mul(MICROS_PER_DAY);
        let local = midnight.saturating_add(self.fields.clock.to_micros());
        let offset = match &self.named {
            Some(Named::Zone(zone)) => zone.offset_of_local(local),
            Some(Named::Abbreviation(zone, name)) => {
                let offset = zone.offset_of_local(local);
                let moment = local.saturating_sub(offset * MICROS_PER_SECOND);
                zone.offset_of_abbreviation(name, moment).unwrap_or(offset)
            }
            None if self.fields.seen & ZONE != 0 => return Ok(()),
            None => self.session.zone.offset_of_local(local),
        };
        self.offset = offset;
        if self.fields.seen & SUMMER != 0 { Err(Fault::Syntax) } else { Ok(()) }
    }
}
