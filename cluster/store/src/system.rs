//! Rows that every statement asks for: what tables there are, and what is known of them. They change seldom, so those that
//! were read are kept, decompressed and found, until any of them changes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Version};
use spin::Mutex;

/// Keys that begin with this byte are the system's own.
pub const SYSTEM_SPACE: u8 = 0;

/// Most rows that are kept, and bytes of their keys and values.
const ROWS_MAX: usize = 1024;
const LEN_MAX: usize = 512 * 1024;

/// Whether `key` is the system's own.
pub(crate) fn is_system_key(key: &[u8]) -> bool {
    key.first() == Some(&SYSTEM_SPACE)
}

/// Whether `range` has keys of the system's own.
pub(crate) fn has_system_keys(range: &KeyRange) -> bool {
    !range.is_empty() && *range.start < [SYSTEM_SPACE + 1][..]
}

/// The system's rows as they have been since a version. Snapshots share them until one of the rows changes.
pub(crate) struct SystemRows {
    since: Version,
    known: Mutex<Known>,
}

/// What was asked for, with what was there, if anything.
#[derive(Default)]
struct Known {
    rows: BTreeMap<Vec<u8>, Option<Arc<[u8]>>>,
    len: usize,
}

impl SystemRows {
    /// None is known yet.
    pub(crate) fn new(since: Version) -> Arc<SystemRows> {
        Arc::new(SystemRows { since, known: Mutex::default() })
    }

    /// Whether they are those of `version`, given that they are those of a later one.
    pub(crate) fn are_of(&self, version: Version) -> bool {
        version >= self.since
    }

    /// What is there at `key`, if that is known.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Arc<[u8]>>> {
        self.known.lock().rows.get(key).cloned()
    }

    /// Notes what was read at `key`.
    pub(crate) fn note(&self, key: &[u8], value: Option<&Arc<[u8]>>) {
        let len = key.len() + value.map_or(0, |value| value.len());
        if len > LEN_MAX / 4 {
            return;
        }
        let mut known = self.known.lock();
        if known.rows.len() >= ROWS_MAX || known.len + len > LEN_MAX {
            *known = Known::default();
        }
        if known.rows.insert(key.into(), value.cloned()).is_none() {
            known.len += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_bounds() {
        let rows = SystemRows::new(Version(1));
        let value: Arc<[u8]> = [7; 1000][..].into();
        for number in 0..10_000u32 {
            let key = [&[SYSTEM_SPACE][..], &number.to_be_bytes()].concat();
            rows.note(&key, Some(&value));
            assert_eq!(rows.get(&key), Some(Some(value.clone())));
            let known = rows.known.lock();
            assert!(known.rows.len() <= ROWS_MAX && known.len <= LEN_MAX);
            assert_eq!(known.len, known.rows.len() * 1005);
        }
        for number in 0..10_000u32 {
            rows.note(&number.to_be_bytes(), None);
            assert!(rows.known.lock().rows.len() <= ROWS_MAX);
        }
        rows.note(b"long", Some(&[0; LEN_MAX][..].into()));
        assert_eq!(rows.get(b"long"), None);
    }

    #[test]
    fn ranges_reach_into_the_system_or_do_not() {
        let range = |start: &[u8], end: &[u8]| KeyRange { start: start.into(), end: end.into() };
        assert!(has_system_keys(&range(b"", &[9])) && has_system_keys(&range(&[0, 1], &[0, 2])));
        assert!(!has_system_keys(&range(&[1], &[9])) && !has_system_keys(&range(&[0], &[0])));
    }
}
