//! Settings beside the command line: `relix.KEY=VALUE` words in a file, which the hypervisor or a config drive has. Lines
//! that begin with `#` are comments.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

const PREFIX: &str = "relix.";

/// Keys of the kernel itself, without their prefix: a node passes them over.
pub const KERNEL_KEYS: &[&str] = &["panic", "exit-port", "disk-cache", "selftest", "wire", "crash"];

/// Those of them that count before disks are found, so that no file on a disk may have them.
pub const EARLY_KEYS: &[&str] = &["disk-cache", "crash"];

/// The longest file of settings, in bytes.
pub const LEN_MAX: usize = 4096;

/// What is wrong with a file of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// It is longer than [`LEN_MAX`].
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// A word that is no setting.
    NoSetting(String),
    /// A word with a quote: one that nobody closes would take in what follows, the command line with it.
    Quote(String),
    /// A setting that is asked for before the file is read.
    TooLate(String),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::TooLong => {
                write!(f, "the settings are longer than {LEN_MAX} bytes: make them shorter")
            }
            SettingsError::NotText => f.write_str("the settings are not UTF-8: write them as text"),
            SettingsError::NoSetting(word) => {
                write!(f, "'{word}' among the settings is no {PREFIX}KEY=VALUE: remove or correct it")
            }
            SettingsError::Quote(word) => write!(f, "'{word}' among the settings holds a quote: remove that"),
            SettingsError::TooLate(word) => {
                write!(f, "'{word}' counts before disks are found: give it on the command line or by fw_cfg")
            }
        }
    }
}

/// The words of `file` and of the command line, as one command line: where words of one key follow each other, the
/// last one counts, so that the command line wins key by key.
pub fn merge(file: &[u8], command_line: &str) -> Result<String, SettingsError> {
    if file.len() > LEN_MAX {
        return Err(SettingsError::TooLong);
    }
    // A file may have been written as a string of C.
    let file = file.strip_suffix(&[0]).unwrap_or(file);
    let text = core::str::from_utf8(file).map_err(|_| SettingsError::NotText)?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    if let Some(word) = words.iter().find(|word| word.contains('"')) {
        return Err(SettingsError::Quote(word.escape_debug().to_string()));
    }
    let is_setting = |word: &str| word.starts_with(PREFIX) && word.contains('=');
    match words.iter().find(|word| !is_setting(word)) {
        Some(word) => Err(SettingsError::NoSetting(word.escape_debug().to_string())),
        None => {
            words.push(command_line);
            Ok(words.join(" "))
        }
    }
}

/// The words of a file on a disk, which is found later than the others.
pub fn late(file: &[u8]) -> Result<String, SettingsError> {
    let words = merge(file, "")?;
    let is_early = |word: &&str| {
        let setting = word.strip_prefix(PREFIX).and_then(|word| word.split_once('='));
        setting.is_some_and(|(key, _)| EARLY_KEYS.contains(&key))
    };
    match words.split_whitespace().find(is_early) {
        Some(word) => Err(SettingsError::TooLate(word.escape_debug().to_string())),
        None => Ok(words.trim_end().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommandLine;
    use alloc::format;
    use proptest::prelude::*;

    #[test]
    fn the_command_line_wins_key_by_key() {
        let text =
            merge(b" relix.node=1\nrelix.ip=10.0.0.1/24\r\n\0", "quiet relix.node=2").expect("settings");
        let line = CommandLine::new(&text);
        assert_eq!(line.get("relix.node"), Some("2"));
        assert_eq!(line.get("relix.ip"), Some("10.0.0.1/24"));
        assert_eq!(merge(b"", "a=b").expect("nothing").trim(), "a=b");
    }

    #[test]
    fn comments_are_passed_over() {
        let file = b"#relix\nrelix.node=1 relix.size=3\r\n  # relix.node=2 and more\r\n#\n\nrelix.lease=on";
        assert_eq!(merge(file, "quiet").as_deref(), Ok("relix.node=1 relix.size=3 relix.lease=on quiet"));
        // Behind a setting, it is none.
        assert_eq!(merge(b"relix.node=1 # two", ""), Err(SettingsError::NoSetting("#".into())));
        let cloud = merge(b"#cloud-config\nhostname: a\n", "");
        assert_eq!(cloud, Err(SettingsError::NoSetting("hostname:".into())));
    }

    #[test]
    fn what_is_no_setting_is_named() {
        let error = |file: &[u8]| merge(file, "").unwrap_err().to_string();
        assert_eq!(
            error(b"relix.node=1 relx.ip=10.0.0.1/24"),
            "'relx.ip=10.0.0.1/24' among the settings is no relix.KEY=VALUE: remove or correct it"
        );
        assert_eq!(
            error(b"relix.node"),
            "'relix.node' among the settings is no relix.KEY=VALUE: remove or correct it"
        );
        assert_eq!(
            error(b"relix.panic=\"off"),
            "'relix.panic=\\\"off' among the settings holds a quote: remove that"
        );
        assert_eq!(error(&[0xff, 0xfe]), "the settings are not UTF-8: write them as text");
        assert_eq!(error(&[b' '; 4097]), "the settings are longer than 4096 bytes: make them shorter");
    }

    #[test]
    fn a_disk_may_not_say_what_counts_before_it_is_found() {
        assert_eq!(
            late(b"relix.node=2 relix.disk-cache=back").unwrap_err().to_string(),
            "'relix.disk-cache=back' counts before disks are found: give it on the command line or by fw_cfg"
        );
        assert_eq!(late(b"# relix.crash=oom\nrelix.node=2").as_deref(), Ok("relix.node=2"));
        assert!(EARLY_KEYS.iter().all(|key| KERNEL_KEYS.contains(key)));
    }

    proptest! {
        /// Each key has its value of the command line, or else the one of the file.
        #[test]
        fn a_model_of_two_maps(
            file in prop::collection::btree_map("[a-d]", "[0-9]{0,3}", 0..4),
            line in prop::collection::btree_map("[a-d]", "[0-9]{0,3}", 0..4),
        ) {
            let words = |map: &alloc::collections::BTreeMap<String, String>| {
                map.iter().map(|(key, value)| format!("relix.{key}={value} ")).collect::<String>()
            };
            let text = merge(words(&file).as_bytes(), &words(&line)).expect("settings");
            for key in ["a", "b", "c", "d"] {
                let expected = line.get(key).or(file.get(key)).map(String::as_str);
                prop_assert_eq!(CommandLine::new(&text).get(&format!("relix.{key}")), expected);
            }
        }
    }
}
