//! The settings that clients send, of which few mean anything here.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_calendar::Zone;

use super::timeouts::{Timeouts, parse_millis, show_millis, timeout};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::eval::SessionFacts;
use crate::function::SERVER_VERSION;
use crate::path::{self, SearchPath};

/// What values a setting takes.
#[derive(Clone, Copy)]
enum Values {
    /// Any text.
    Any,
    /// One of these, whatever the case.
    Of(&'static [&'static str]),
    /// `on` or `off`.
    Switch,
    /// A time zone.
    Zone,
    /// A whole number in this range.
    Number(i8, i8),
    /// A time, in milliseconds unless it says otherwise.
    Millis,
    /// Cannot be set.
    Fixed,
}

struct Setting {
    name: &'static str,
    /// As it is printed and reported.
    title: &'static str,
    default: &'static str,
    values: Values,
    /// Whether clients are told when it changes.
    reported: bool,
}

const fn setting(name: &'static str, default: &'static str, values: Values) -> Setting {
    Setting { name, title: name, default, values, reported: false }
}

const fn reported(name: &'static str, title: &'static str, default: &'static str, values: Values) -> Setting {
    Setting { name, title, default, values, reported: true }
}

const ISOLATION: Values =
    Values::Of(&["serializable", "repeatable read", "read committed", "read uncommitted", "snapshot"]);

/// Every known setting. UTF-8 and ISO dates are the only ones there are.
static SETTINGS: &[Setting] = &[
    reported("application_name", "application_name", "", Values::Any),
    reported(
        "client_encoding",
        "client_encoding",
        "UTF8",
        Values::Of(&["utf8", "utf-8", "unicode", "sql_ascii"]),
    ),
    reported("datestyle", "DateStyle", "ISO, MDY", Values::Of(&["iso, mdy", "iso", "iso, dmy", "iso, ymd"])),
    reported("integer_datetimes", "integer_datetimes", "on", Values::Fixed),
    reported("intervalstyle", "IntervalStyle", "postgres", Values::Of(&["postgres"])),
    reported("is_superuser", "is_superuser", "on", Values::Fixed),
    reported("server_encoding", "server_encoding", "UTF8", Values::Fixed),
    reported("server_version", "server_version", SERVER_VERSION, Values::Fixed),
    reported("session_authorization", "session_authorization", "relix", Values::Fixed),
    reported("standard_conforming_strings", "standard_conforming_strings", "on", Values::Of(&["on"])),
    reported("timezone", "TimeZone", "UTC", Values::Zone),
    setting("bytea_output", "hex", Values::Of(&["hex", "escape"])),
    setting("client_min_messages", "notice", Values::Any),
    setting("default_transaction_isolation", "serializable", ISOLATION),
    setting("default_transaction_read_only", "off", Values::Of(&["off", "false", "0"])),
    setting("extra_float_digits", "1", Values::Number(-15, 3)),
    setting("idle_in_transaction_session_timeout", "0", Values::Millis),
    setting("idle_session_timeout", "0", Values::Millis),
    setting("lc_collate", "C", Values::Fixed),
    setting("lc_monetary", "C", Values::Any),
    // Nobody waits for locks.
    setting("lock_timeout", "0", Values::Millis),
    setting("max_identifier_length", "63", Values::Fixed),
    setting("row_security", "off", Values::Any),
    setting("check_function_bodies", "on", Values::Switch),
    setting("default_table_access_method", "heap", Values::Any),
    setting("default_tablespace", "", Values::Any),
    setting("synchronize_seqscans", "on", Values::Switch),
    setting("transaction_timeout", "0", Values::Any),
    setting("block_size", "8192", Values::Fixed),
    setting("lc_ctype", "C", Values::Fixed),
    setting("search_path", path::DEFAULT, Values::Any),
    setting("server_version_num", "150000", Values::Fixed),
    setting("statement_timeout", "0", Values::Millis),
    setting("synchronous_commit", "on", Values::Switch),
    setting("transaction_isolation", "serializable", ISOLATION),
    setting("transaction_read_only", "off", Values::Switch),
    setting("xmloption", "content", Values::Any),
];

/// Whether the setting says something of one transaction alone.
fn is_of_transaction(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "transaction_read_only")
}

fn find(name: &str) -> SqlResult<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let message = format!("unrecognized configuration parameter \"{name}\"");
        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
    })
}

/// A setting that a function was asked to make.
#[derive(Clone, Debug)]
pub(crate) struct AskedSetting {
    pub(crate) name: String,
    pub(crate) value: String,
    /// For the transaction only.
    pub(crate) local: bool,
}

/// What has been set: the values that are not the defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assigned {
    /// What stays when the transaction is committed.
    lasting: BTreeMap<&'static str, String>,
    /// What `SET LOCAL` has put before that, until the transaction ends or something else is set; none is the default.
    local: BTreeMap<&'static str, Option<String>>,
}

impl Assigned {
    fn get(&self, name: &str) -> Option<&str> {
        match self.local.get(name) {
            Some(value) => value.as_deref(),
            None => self.lasting.get(name).map(String::as_str),
        }
    }

    fn shown(&self, setting: &Setting) -> String {
        self.get(setting.name).unwrap_or(setting.default).into()
    }
}

/// A session's settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    assigned: Arc<Assigned>,
    /// What was set when the transaction began, if it has set anything since.
    before: Option<Arc<Assigned>>,
}

impl Settings {
    pub(crate) fn show(&self, name: &str) -> SqlResult<String> {
        Ok(self.assigned.shown(find(name)?))
    }

    /// Sets `name`; to its default without a value.
    pub(crate) fn set(&mut self, name: &str, value: Option<String>, local: bool) -> SqlResult<()> {
        let setting = find(name)?;
        if matches!(setting.values, Values::Fixed) {
            let message = format!("parameter \"{}\" cannot be changed", setting.title);
            return Err(SqlError::new(SqlState::CANNOT_CHANGE_PARAMETER, message));
        }
        let value = value.map(|value| check(setting, value)).transpose()?;
        let value = value.filter(|value| *value != setting.default);
        let assigned = self.assigned_mut();
        if local || is_of_transaction(setting.name) {
            assigned.local.insert(setting.name, value);
            return Ok(());
        }
        assigned.local.remove(setting.name);
        assigned.lasting.remove(setting.name);
        if let Some(value) = value {
            assigned.lasting.insert(setting.name, value);
        }
        Ok(())
    }

    /// Sets all to their defaults.
    pub(crate) fn reset_all(&mut self) {
        *self.assigned_mut() = Assigned::default();
    }

    fn assigned_mut(&mut self) -> &mut Assigned {
        if self.before.is_none() {
            self.before = Some(self.assigned.clone());
        }
        Arc::make_mut(&mut self.assigned)
    }

    /// The end of a transaction: what is local to it goes, and if it is rolled back, all that it has set.
    pub(crate) fn end_transaction(&mut self, is_committed: bool) {
        let Some(before) = self.before.take() else { return };
        if !is_committed {
            self.assigned = before;
        } else if !self.assigned.local.is_empty() {
            Arc::make_mut(&mut self.assigned).local.clear();
        }
    }

    /// What is set now, to come back to.
    pub(crate) fn assigned(&self) -> Arc<Assigned> {
        self.assigned.clone()
    }

    /// Comes back to what was set.
    pub(crate) fn restore(&mut self, assigned: Arc<Assigned>) {
        self.assigned_mut();
        self.assigned = assigned;
    }

    /// Whether nothing has been set since this was what was set.
    pub(crate) fn is_still(&self, before: &Arc<Assigned>) -> bool {
        Arc::ptr_eq(&self.assigned, before)
    }

    /// The settings that clients are told of and that are not what they were.
    pub(crate) fn reported_since(&self, before: &Assigned) -> Vec<(&'static str, String)> {
        let changed = |setting: &&Setting| {
            setting.reported && self.assigned.get(setting.name) != before.get(setting.name)
        };
        let shown = |setting: &Setting| (setting.title, self.assigned.shown(setting));
        SETTINGS.iter().filter(changed).map(shown).collect()
    }

    /// Makes the session's facts what the settings say.
    pub(crate) fn apply(&self, facts: &mut SessionFacts) {
        let style = &mut facts.style;
        let value = |name: &str| self.assigned.get(name);
        let zone = value("timezone").and_then(|name| Zone::setting(name).ok()).unwrap_or_else(Zone::utc);
        if zone.name() != style.zone.name() {
            style.zone = Arc::new(zone);
        }
        style.float_digits = value("extra_float_digits").and_then(|digits| digits.parse().ok()).unwrap_or(1);
        style.bytea_escape = value("bytea_output") == Some("escape");
        let path = SearchPath::parse(value("search_path").unwrap_or(path::DEFAULT), &facts.user);
        if path != *facts.path {
            facts.path = Arc::new(path);
        }
        facts.settings = Arc::new(self.clone());
    }

    /// How long things may take.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let value = |name: &str| timeout(self.assigned.get(name));
        Timeouts {
            statement: value("statement_timeout"),
            idle_in_transaction: value("idle_in_transaction_session_timeout"),
            idle: value("idle_session_timeout"),
        }
    }

    /// All settings, with their values.
    pub(crate) fn all(&self) -> Vec<(&'static str, String)> {
        SETTINGS.iter().map(|setting| (setting.title, self.show(setting.name).unwrap_or_default())).collect()
    }

    /// The value that a setting would have, if it can be set so.
    pub(crate) fn checked(name: &str, value: &str) -> SqlResult<String> {
        check(find(name)?, value.into())
    }

    /// What clients are told when they come.
    pub(crate) fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = SETTINGS.iter().filter(|setting| setting.reported);
        reported.map(|setting| (setting.title, self.show(setting.name).unwrap_or_default())).collect()
    }
}

/// The value as it is kept.
fn check(setting: &Setting, value: String) -> SqlResult<String> {
    let lower = value.to_ascii_lowercase();
    match setting.values {
        Values::Switch => match lower.as_str() {
            "on" | "true" | "yes" | "1" => return Ok("on".into()),
            "off" | "false" | "no" | "0" => return Ok("off".into()),
            _ => {}
        },
        Values::Of(values) if values.contains(&lower.as_str()) => {
            // One of several spellings of the only thing there is.
            let is_choice = matches!(
                setting.name,
                "bytea_output" | "transaction_isolation" | "default_transaction_isolation"
            );
            return Ok(if is_choice { lower } else { setting.default.into() });
        }
        Values::Any if value.len() <= 1024 => return Ok(value),
        Values::Zone => {
            if let Ok(zone) = Zone::setting(&value) {
                return Ok(zone.name().into());
            }
        }
        Values::Millis => return parse_millis(setting.title, &value).map(show_millis),
        Values::Number(low, high) => {
            if let Some(number) =
                lower.trim().parse::<i8>().ok().filter(|number| (low..=high).contains(number))
            {
                return Ok(format!("{number}"));
            }
        }
        _ => {}
    }
    let message = format!("invalid value for parameter \"{}\": \"{value}\"", setting.title);
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}
