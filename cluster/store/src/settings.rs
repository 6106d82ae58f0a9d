//! Settings: rows that say how the tables are to be kept, the same on all nodes.
//!
//! ```text
//! key: 00 04 | name        value: the text that SQL shows, as Setting::normal has written it
//!      00 04 | table id, u32 is not a setting, but what SQL knows of a table
//! ```
//! A row that is not there stands for the default. So does one that this build cannot read, as a newer one may have
//! written it; it stays as it is.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Write};
use serde::{Deserialize, Serialize};

use crate::SYSTEM_SPACE;

/// What the keys of all settings begin with.
pub const SETTINGS_PREFIX: [u8; 2] = [SYSTEM_SPACE, 4];

const SECOND: i64 = 1_000_000;

/// Units of time, as Postgres writes them, in microseconds.
const UNITS: [(&str, i64); 5] =
    [("", SECOND), ("s", SECOND), ("min", 60 * SECOND), ("h", 3600 * SECOND), ("d", 86_400 * SECOND)];

/// What a setting's value says.
#[derive(Debug)]
enum Kind {
    /// A time, of so many microseconds at most.
    Time(i64),
    /// A share in percent, of so many at most.
    Percent(i64),
    /// On or off.
    Switch,
}

/// Something that can be set.
#[derive(Debug)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Its value as long as nobody has set it.
    pub default: &'static str,
    /// What it may be set to, in words.
    pub permitted: &'static str,
    /// What it does, in words.
    pub description: &'static str,
    kind: Kind,
}

/// Whether statistics are made by themselves.
pub const AUTO_ANALYZE: Setting = Setting {
    name: "auto_analyze",
    default: "on",
    permitted: "on or off",
    description: "whether tables that have changed much are analyzed in the background",
    kind: Kind::Switch,
};

/// How long old versions can be read.
pub const RETENTION: Setting = Setting {
    name: "retention",
    default: "24h",
    permitted: "0 to 3650d: a number and s, min, h or d, or a number of seconds",
    description: "how long old versions of rows are kept; the newest thousand always are",
    kind: Kind::Time(3650 * 86_400 * SECOND),
};

/// How much of the disk may be taken before old versions are given up all the same.
pub const RETENTION_DISK_SHARE: Setting = Setting {
    name: "retention_disk_share",
    default: "50%",
    // Merging needs room, and a disk that is nearly full takes no writes.
    permitted: "0% to 90%",
    description: "how much of its disk a node lets be taken, by everything, before it forgets old versions early",
    kind: Kind::Percent(90),
};

/// All settings, by name.
pub const SETTINGS: [Setting; 3] = [AUTO_ANALYZE, RETENTION, RETENTION_DISK_SHARE];

impl Setting {
    /// The key of its row.
    pub fn key(&self) -> Vec<u8> {
        [&SETTINGS_PREFIX, self.name.as_bytes()].concat()
    }

    /// `text` as its row has it; none if that is not [permitted](Setting::permitted).
    pub fn normal(&self, text: &str) -> Option<String> {
        if let Kind::Switch = self.kind {
            return switch(text).map(|on| if on { "on" } else { "off" }.into());
        }
        let (number, unit, _) = self.parse(text)?;
        Some(format!("{number}{unit}"))
    }

    /// What SQL shows, by its row.
    pub fn shown(&self, row: Option<&[u8]>) -> String {
        row.and_then(as_text).and_then(|text| self.normal(text)).unwrap_or_else(|| self.default.into())
    }

    /// A number, its unit, and what they amount to: microseconds or percent.
    fn parse(&self, text: &str) -> Option<(i64, &'static str, i64)> {
        let text = text.trim_ascii();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (number, unit) = (number.parse().ok()?, unit.trim_ascii_start());
        let (unit, amount, most) = match self.kind {
            Kind::Time(most) => {
                let (unit, micros) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
                (if unit.is_empty() { "s" } else { unit }, micros.checked_mul(number)?, most)
            }
            Kind::Switch => return None,
            Kind::Percent(most) => (matches!(unit, "" | "%").then_some("%")?, number, most),
        };
        (amount <= most).then_some((number, unit, amount))
    }
}

fn switch(text: &str) -> Option<bool> {
    match text.trim_ascii() {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    }
}

fn as_text(row: &[u8]) -> Option<&str> {
    core::str::from_utf8(row).ok()
}

/// Whether `write` sets something.
pub fn is_setting(write: &Write) -> bool {
    is_setting_key(&write.key)
}

/// Names begin with a letter. What SQL knows of its tables has keys with the same beginning, and a table's id behind it: as
/// text, that would be a table after more than a thousand million others.
fn is_setting_key(key: &[u8]) -> bool {
    let name = key.strip_prefix(&SETTINGS_PREFIX);
    name.and_then(|name| name.first()).is_some_and(u8::is_ascii_lowercase)
}

/// Rows of settings, by key.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The rows of settings at the newest applied version, and what they amount to: at hand, since every entry is applied by them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub struct Settings {
    rows: Rows,
    retention_micros: i64,
    retention_disk_share: u64,
    auto_analyze: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::from(Rows::default())
    }
}

impl From<Rows> for Settings {
    fn from(mut rows: Rows) -> Settings {
        rows.retain(|key, _| is_setting_key(key));
        let amount = |setting: &Setting| {
            let row = rows.get(&setting.key()).and_then(|row| as_text(row));
            let parsed = row.and_then(|text| setting.parse(text)).or_else(|| setting.parse(setting.default));
            parsed.map_or(0, |(_, _, amount)| amount)
        };
        let retention_micros = amount(&RETENTION);
        let retention_disk_share = amount(&RETENTION_DISK_SHARE).unsigned_abs();
        let auto_analyze = rows.get(&AUTO_ANALYZE.key()).and_then(|row| switch(as_text(row)?));
        let auto_analyze = auto_analyze.unwrap_or(true);
        Settings { rows, retention_micros, retention_disk_share, auto_analyze }
    }
}

impl From<Settings> for Rows {
    fn from(settings: Settings) -> Rows {
        settings.rows
    }
}

impl Settings {
    /// Takes what `write` sets, if it is of a setting; whether it is.
    pub(crate) fn note(&mut self, write: &Write) -> bool {
        if !is_setting(write) {
            return false;
        }
        match &write.value {
            Some(value) => drop(self.rows.insert(write.key.to_vec(), value.to_vec())),
            None => drop(self.rows.remove(&*write.key)),
        }
        *self = Settings::from(core::mem::take(&mut self.rows));
        true
    }

    /// What is set in `range` no longer is; whether anything was.
    pub(crate) fn note_deleted(&mut self, range: &KeyRange) -> bool {
        let before = self.rows.len();
        self.rows.retain(|key, _| !range.contains(key));
        let is_changed = self.rows.len() < before;
        if is_changed {
            *self = Settings::from(core::mem::take(&mut self.rows));
        }
        is_changed
    }

    /// How long old versions can be read, in microseconds of the ledger's time.
    pub fn retention_micros(&self) -> i64 {
        self.retention_micros
    }

    /// Whether tables that have changed much are analyzed in the background.
    pub fn auto_analyze(&self) -> bool {
        self.auto_analyze
    }

    /// The percentage of the disk that may be taken before old versions are given up.
    pub fn retention_disk_share(&self) -> u64 {
        self.retention_disk_share
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600 * SECOND;

    fn amount(setting: &Setting, text: &str) -> Option<i64> {
        setting.parse(text).map(|(_, _, amount)| amount)
    }

    #[test]
    fn times_are_numbers_with_units() {
        let expected = [
            ("24h", 24 * HOUR),
            ("90min", 90 * HOUR / 60),
            (" 30 s ", 30 * SECOND),
            ("7d", 7 * 24 * HOUR),
            ("3600", HOUR),
            ("0", 0),
            ("3650d", 3650 * 24 * HOUR),
        ];
        for (text, micros) in expected {
            assert_eq!(amount(&RETENTION, text), Some(micros), "{text}");
        }
        let wrong =
            ["", "h", "-1h", "+1h", "1.5h", "1H", "1h30min", "3651d", "1 week", "٣h", "99999999999999999999"];
        for text in wrong.into_iter().chain(["9223372036854775807d"]) {
            assert_eq!(amount(&RETENTION, text), None, "{text}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        for (text, percent) in
            [("50%", Some(50)), ("0", Some(0)), ("90 %", Some(90)), ("91%", None), ("5h", None)]
        {
            assert_eq!(amount(&RETENTION_DISK_SHARE, text), percent, "{text}");
        }
    }

    #[test]
    fn a_switch_is_on_or_off() {
        let set = |text: &str| AUTO_ANALYZE.normal(text);
        assert_eq!(
            [" on", "true", "off", "false"].map(|text| set(text).unwrap_or_default()),
            ["on", "on", "off", "off"]
        );
        assert_eq!([set("1s"), set("50%"), set(""), set("OFF")], [None, None, None, None]);
        let mut settings = Settings::default();
        assert!(settings.auto_analyze());
        assert!(settings.note(&Write { key: AUTO_ANALYZE.key().into(), value: Some(b"off"[..].into()) }));
        assert!(!settings.auto_analyze());
    }

    #[test]
    fn statistics_of_tables_are_no_settings() {
        let write = Write { key: [0, 4, 0, 0, 1, 0][..].into(), value: Some(b"any"[..].into()) };
        assert!(!is_setting(&write));
        let mut settings = Settings::default();
        assert!(!settings.note(&write));
        // An earlier build has taken them for settings.
        let kept = Rows::from([(write.key.to_vec(), b"any".to_vec()), (RETENTION.key(), b"1h".to_vec())]);
        assert_eq!(Rows::from(Settings::from(kept)).len(), 1);
    }

    #[test]
    fn what_is_not_set_or_cannot_be_read_is_the_default() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in SETTINGS {
            assert_eq!(setting.normal(setting.default).as_deref(), Some(setting.default));
            for row in [None, Some(&b"a while"[..]), Some(&[0xff])] {
                assert_eq!(setting.shown(row), setting.default);
            }
        }
        let mut settings = Settings::default();
        let mut set = |value: Option<&[u8]>| {
            let write = Write { key: RETENTION.key().into(), value: value.map(Into::into) };
            assert!(settings.note(&write));
            settings.retention_micros() / HOUR
        };
        assert_eq!([set(Some(b"48h")), set(Some(b"a while")), set(Some(b"1h")), set(None)], [48, 24, 1, 24]);
        assert!(!settings.note(&Write { key: b"\0\x03retention"[..].into(), value: None }));
        assert_eq!(settings, Settings::default());
    }

    proptest! {
        #[test]
        fn what_is_kept_means_what_was_set(number in 0..400_000i64, space in " {0,2}", unit in "(|s|min|h|d)") {
            let text = format!("{number}{space}{unit}");
            match RETENTION.normal(&text) {
                Some(normal) => {
                    prop_assert_eq!(amount(&RETENTION, &normal), amount(&RETENTION, &text));
                    prop_assert_eq!(RETENTION.normal(&normal), Some(normal));
                }
                None => prop_assert!(unit == "d" && number > 3650 || unit == "h" && number > 3650 * 24),
            }
        }
    }
}
