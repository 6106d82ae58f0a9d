//! Where to look for an entry, and which one is the newest: a sparse index, kept in memory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use cluster_format::{Entry, Version};

/// A record is indexed when this many sectors have passed since the one indexed before.
const SPACING: u64 = 256;

/// Which sector to start reading at to find a version.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// First version and sector of some records, both ascending.
    marks: Vec<(Version, u64)>,
    /// Where each term's entries begin, ascending. An entry that was replaced has another term than this
    /// says.
    terms: Vec<(Version, u64)>,
}

impl Index {
    /// A record with `entries` was written at `sector`.
    pub(crate) fn note(&mut self, entries: &[Arc<Entry>], sector: u64) {
        let Some(first) = entries.first().map(|entry| entry.version) else { return };
        // Entries from `first` on were replaced: readers must not start among the old ones.
        while self.marks.last().is_some_and(|(version, _)| *version >= first) {
            self.marks.pop();
        }
        if self.marks.last().is_none_or(|(_, last)| sector - last >= SPACING) {
            self.marks.push((first, sector));
        }
        while self.terms.last().is_some_and(|(version, _)| *version >= first) {
            self.terms.pop();
        }
        for entry in entries {
            if self.terms.last().is_none_or(|(_, term)| *term != entry.term) {
                self.terms.push((entry.version, entry.term));
            }
        }
    }

    /// Reading forward from this sector comes past the newest entry at `version`.
    pub(crate) fn find(&self, version: Version) -> Option<u64> {
        let behind = self.marks.partition_point(|(first, _)| *first <= version);
        Some(self.marks.get(behind.checked_sub(1)?)?.1)
    }

    /// Whether `entry` is the one that counts at its version.
    pub(crate) fn is_newest(&self, entry: &Entry) -> bool {
        let behind = self.terms.partition_point(|(first, _)| *first <= entry.version);
        behind > 0 && self.terms[behind - 1].1 == entry.term
    }
}
