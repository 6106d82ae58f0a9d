//! The log, as consensus sees it: the term of every entry, and the newest entries themselves.
//!
//! Entries that are durable and applied may be dropped from memory; a follower that still needs them gets
//! them from the journal (see [`crate::EntriesWanted`]).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use cluster_format::{Digest, Entry, LogPosition, Version};

/// The log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Where each term's entries begin, ascending: terms only grow along a log.
    runs: Vec<LogPosition>,
    last: Version,
    last_digest: Digest,
    /// The newest entries, up to `last`.
    recent: VecDeque<Arc<Entry>>,
    recent_len: usize,
}

impl Log {
    /// The end of the log.
    pub fn last(&self) -> LogPosition {
        LogPosition { term: self.runs.last().map_or(0, |run| run.term), version: self.last }
    }

    /// The digest of the last entry.
    pub fn last_digest(&self) -> Digest {
        self.last_digest
    }

    /// The term of the entry at `version`, if the log has one; 0 for version 0.
    pub fn term_at(&self, version: Version) -> Option<u64> {
        if version > self.last {
            return None;
        }
        let behind = self.runs.partition_point(|run| run.version <= version);
        Some(behind.checked_sub(1).map_or(0, |index| self.runs[index].term))
    }

    /// The first version of the term that `version` belongs to.
    pub fn first_of_term_at(&self, version: Version) -> Version {
        let behind = self.runs.partition_point(|run| run.version <= version);
        behind.checked_sub(1).map_or(Version::ZERO, |index| self.runs[index].version)
    }

    /// Whether the log holds `position`.
    pub fn holds(&self, position: LogPosition) -> bool {
        self.term_at(position.version) == Some(position.term)
    }

    /// The first version whose entry is in memory; behind the last if none is.
    pub fn recent_first(&self) -> Version {
        Version(self.last.0 + 1 - self.recent.len() as u64)
    }

    /// Bytes of the entries in memory.
    pub fn recent_len(&self) -> usize {
        self.recent_len
    }

    /// The entry at `version`, if it is in memory.
    pub fn entry(&self, version: Version) -> Option<&Arc<Entry>> {
        let index = version.0.checked_sub(self.recent_first().0)?;
        self.recent.get(usize::try_from(index).ok()?)
    }

    /// Entries in memory from `first` on, up to `through`, and about `len_max` bytes of them, but one at
    /// least.
    pub fn entries(&self, first: Version, through: Version, len_max: usize) -> Vec<Arc<Entry>> {
        let mut entries = Vec::new();
        let mut len = 0;
        let mut version = first;
        while version <= through {
            let Some(entry) = self.entry(version) else { break };
            len += entry.len_estimate();
            if !entries.is_empty() && len > len_max {
                break;
            }
            entries.push(entry.clone());
            version = version.next();
        }
        entries
    }

    /// Appends the entry that follows the last. Its term must not be lower than the last one's.
    pub fn push(&mut self, entry: Arc<Entry>) {
        assert_eq!(entry.version, self.last.next(), "log entries are contiguous");
        let last_term = self.last().term;
        assert!(entry.term >= last_term, "terms never fall along a log");
        if entry.term > last_term {
            self.runs.push(LogPosition { term: entry.term, version: entry.version });
        }
        self.last = entry.version;
        self.last_digest = entry.digest();
        self.recent_len += entry.len_estimate();
        self.recent.push_back(entry);
    }

    /// Drops `first` and everything behind it.
    pub fn truncate(&mut self, first: Version) {
        while self.last >= first && self.last > Version::ZERO {
            if let Some(entry) = self.recent.pop_back() {
                self.last_digest = entry.previous;
                self.recent_len -= entry.len_estimate();
            }
            self.last = Version(self.last.0 - 1);
        }
        while self.runs.last().is_some_and(|run| run.version >= first) {
            self.runs.pop();
        }
    }

    /// Drops the oldest entries up to `through` from memory, while more than `len_max` bytes are held.
    pub fn forget(&mut self, through: Version, len_max: usize) {
        while self.recent_len > len_max && self.recent_first() <= through {
            let Some(entry) = self.recent.pop_front() else { return };
            self.recent_len -= entry.len_estimate();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_format::Payload;

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for (index, term) in terms.iter().enumerate() {
            let version = Version(index as u64 + 1);
            let (previous, payload) = (log.last_digest(), Payload::TermStart);
            log.push(Arc::new(Entry { version, term: *term, wall_micros: 0, previous, payload }));
        }
        log
    }

    #[test]
    fn terms_are_known_even_of_forgotten_entries() {
        let mut log = log(&[1, 1, 3, 3, 4]);
        log.forget(Version(4), 0);
        assert_eq!(log.recent_first(), Version(5));
        let terms: Vec<_> = (0..7).map(|version| log.term_at(Version(version))).collect();
        assert_eq!(terms, [Some(0), Some(1), Some(1), Some(3), Some(3), Some(4), None]);
        assert_eq!(log.first_of_term_at(Version(4)), Version(3));
        assert!(log.entry(Version(4)).is_none() && log.entry(Version(5)).is_some());
    }

    #[test]
    fn truncation_takes_terms_with_it() {
        let mut log = log(&[1, 2, 2, 3]);
        log.truncate(Version(3));
        assert_eq!(log.last(), LogPosition { term: 2, version: Version(2) });
        log.truncate(Version(1));
        assert_eq!(log.last(), LogPosition::default());
        assert_eq!(log.recent_len(), 0);
    }
}
