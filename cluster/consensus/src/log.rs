//! The log, as consensus sees it: the term of every entry, the members as of every entry, and the newest
//! entries themselves.
//!
//! ```text
//!   1 ....... base      base + 1 ....... recent_first .............. last
//!   in the snapshot     in the journal   in memory (and the journal)
//! ```
//!
//! Entries that are durable and applied may be dropped from memory; a follower that still needs them gets
//! them from the journal (see [`crate::EntriesWanted`]), or a snapshot if they are no longer there either.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use cluster_format::{Digest, Entry, LogPosition, Membership, Payload, SnapshotHead, Version};

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// The last entry that is only in the snapshot.
    base: LogPosition,
    /// Where each term's entries begin, ascending: terms only grow along a log.
    runs: Vec<LogPosition>,
    last: Version,
    last_digest: Digest,
    /// The latest time of an entry that was ever in it, in microseconds since the Unix epoch.
    latest_micros: i64,
    /// The members as of some version, ascending: the first as of the base or later, then every change.
    memberships: Vec<(Version, Arc<Membership>)>,
    /// The newest entries, up to `last`.
    recent: VecDeque<Arc<Entry>>,
    recent_len: usize,
}

impl Log {
    /// The empty log of a cluster with these founding members.
    pub fn new(founding: Membership) -> Log {
        Log {
            base: LogPosition::default(),
            runs: Vec::new(),
            last: Version::ZERO,
            last_digest: Digest::ZERO,
            latest_micros: 0,
            memberships: [(Version::ZERO, Arc::new(founding))].into(),
            recent: VecDeque::new(),
            recent_len: 0,
        }
    }

    /// The log that begins behind a snapshot.
    pub fn behind(head: &SnapshotHead) -> Log {
        Log {
            base: head.last,
            runs: [head.last].into(),
            last: head.last.version,
            last_digest: head.digest,
            latest_micros: 0,
            memberships: [(head.last.version, Arc::new(head.membership.clone()))].into(),
            recent: VecDeque::new(),
            recent_len: 0,
        }
    }

    /// The last entry that is only in the snapshot; version 0 if there is no snapshot.
    pub fn base(&self) -> LogPosition {
        self.base
    }

    /// The end of the log.
    pub fn last(&self) -> LogPosition {
        LogPosition { term: self.runs.last().map_or(0, |run| run.term), version: self.last }
    }

    /// The digest of the last entry.
    pub fn last_digest(&self) -> Digest {
        self.last_digest
    }

    /// The latest time of an entry that was in it since it was read, in microseconds since the Unix epoch: those to come are no
    /// earlier, whatever clocks say. What is only in a snapshot tells no time.
    pub fn latest_micros(&self) -> i64 {
        self.latest_micros
    }

    /// An entry of this time belongs to the history before it.
    pub fn note_time(&mut self, wall_micros: i64) {
        self.latest_micros = self.latest_micros.max(wall_micros);
    }

    /// The digest of the entry at `version`, if memory tells.
    pub fn digest_at(&self, version: Version) -> Option<Digest> {
        if version == self.last {
            return Some(self.last_digest);
        }
        self.entry(version.next()).map(|next| next.previous)
    }

    /// The term of the entry at `version`, if it is in the log or at its base; 0 for version 0.
    pub fn term_at(&self, version: Version) -> Option<u64> {
        if version > self.last || version < self.base.version {
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

    /// The newest members, in force from the moment they are in the log (Ongaro's thesis, 4.1).
    pub fn membership(&self) -> &Arc<Membership> {
        &self.memberships[self.memberships.len() - 1].1
    }

    /// The version that brought them, or an earlier one that had them.
    pub fn membership_version(&self) -> Version {
        self.memberships[self.memberships.len() - 1].0
    }

    /// Whether [`Log::membership_at`] can tell.
    pub fn remembers_members_at(&self, version: Version) -> bool {
        self.memberships[0].0 <= version
    }

    /// The members as of `version`, which must not be forgotten.
    pub fn membership_at(&self, version: Version) -> &Arc<Membership> {
        let behind = self.memberships.partition_point(|(from, _)| *from <= version);
        &self.memberships[behind.saturating_sub(1)].1
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
        let start = first.0.checked_sub(self.recent_first().0).and_then(|index| usize::try_from(index).ok());
        let Some(start) = start.filter(|start| *start < self.recent.len() && first <= through) else {
            return Vec::new();
        };
        let end = self.recent.len() - (self.last.0 - through.min(self.last).0) as usize;
        let entries = self.recent.range(start..end);
        let mut len = 0;
        let count = entries.clone().take_while(|entry| {
            let is_first = len == 0;
            len += entry.len_estimate();
            is_first || len <= len_max
        });
        let count = count.count();
        entries.take(count).cloned().collect()
    }

    /// Whether `entry` continues this history: it repeats the digest of the last one.
    pub fn is_continued_by(&self, entry: &Entry) -> bool {
        let LogPosition { term, version } = self.last();
        entry.version == version.next() && entry.term >= term && entry.previous == self.last_digest
    }

    /// Appends the entry that follows the last. Its term must not be lower than the last one's.
    pub fn push(&mut self, entry: Arc<Entry>) {
        assert_eq!(entry.version, self.last.next(), "log entries are contiguous");
        let last_term = self.last().term;
        assert!(entry.term >= last_term, "terms never fall along a log");
        if entry.term > last_term {
            self.runs.push(entry.position());
        }
        if let Payload::Membership(membership) = &entry.payload {
            self.memberships.push((entry.version, membership.clone()));
        }
        self.last = entry.version;
        self.last_digest = entry.digest();
        self.note_time(entry.wall_micros);
        self.recent_len += entry.len_estimate();
        self.recent.push_back(entry);
    }

    /// Drops `first` and everything behind it, all of which must be in memory.
    pub fn truncate(&mut self, first: Version) {
        assert!(first >= self.recent_first(), "what is forgotten is committed, and never replaced");
        while self.last >= first {
            let Some(entry) = self.recent.pop_back() else { break };
            self.recent_len -= entry.len_estimate();
            self.last_digest = entry.previous;
            self.last = Version(entry.version.0 - 1);
        }
        // The base stays, as the first run and the first membership.
        self.runs.retain(|run| run.version < first);
        self.memberships.retain(|(version, _)| *version < first);
    }

    /// Makes the snapshot the log's base, and keeps what goes on behind it, if the log holds the snapshot's end
    /// and memory has everything behind.
    pub fn rebase(&mut self, head: &SnapshotHead) -> bool {
        let version = head.last.version;
        if !self.holds(head.last) || self.recent_first() > version.next() {
            return false;
        }
        while self.recent_first() <= version
            && let Some(entry) = self.recent.pop_front()
        {
            self.recent_len -= entry.len_estimate();
        }
        self.base = head.last;
        self.runs.retain(|run| run.version > version);
        self.runs.insert(0, head.last);
        self.memberships.retain(|(from, _)| *from > version);
        self.memberships.insert(0, (version, Arc::new(head.membership.clone())));
        true
    }

    /// Drops the oldest entries up to `through`, which is applied, from memory, while more than `len_max`
    /// bytes are held; and the members before those of `through`.
    pub fn forget(&mut self, through: Version, len_max: usize) {
        while self.recent_len > len_max && self.recent_first() <= through {
            let Some(entry) = self.recent.pop_front() else { break };
            self.recent_len -= entry.len_estimate();
        }
        let behind = self.memberships.partition_point(|(from, _)| *from <= through);
        self.memberships.drain(..behind.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(log: &mut Log, term: u64, payload: Payload) {
        let (version, previous) = (log.last().version.next(), log.last_digest());
        log.push(Arc::new(Entry::new(LogPosition { term, version }, 0, previous, payload)));
    }

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::new(Membership::founding(3));
        terms.iter().for_each(|term| push(&mut log, *term, Payload::TermStart));
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
    fn truncation_takes_terms_members_and_digests_with_it() {
        let mut log = log(&[1, 2, 2]);
        let digest = log.last_digest();
        push(&mut log, 3, Payload::Membership(Arc::new(Membership::founding(1))));
        assert_eq!((log.membership().voters.len(), log.membership_version()), (1, Version(4)));
        log.truncate(Version(4));
        assert_eq!((log.membership().voters.len(), log.membership_version()), (3, Version::ZERO));
        assert_eq!(log.last_digest(), digest);
        log.truncate(Version(3));
        assert_eq!(log.last(), LogPosition { term: 2, version: Version(2) });
        log.truncate(Version(1));
        assert_eq!((log.last(), log.last_digest()), (LogPosition::default(), Digest::ZERO));
        assert_eq!(log.recent_len(), 0);
    }

    #[test]
    fn a_log_that_holds_a_snapshots_end_goes_on_behind_it() {
        let mut log = log(&[1, 2, 2, 3]);
        let last = LogPosition { term: 2, version: Version(3) };
        let head = SnapshotHead { last, membership: Membership::founding(5), ..SnapshotHead::default() };
        let wrong = LogPosition { term: 3, version: Version(3) };
        assert!(!log.rebase(&SnapshotHead { last: wrong, ..head.clone() }));
        let digest = log.last_digest();
        assert!(log.rebase(&head));
        assert_eq!((log.base(), log.last().version, log.last_digest()), (last, Version(4), digest));
        assert!(log.term_at(Version(2)).is_none() && log.holds(last));
        assert_eq!((log.recent_first(), log.term_at(Version(4))), (Version(4), Some(3)));
        assert_eq!(log.membership().voters.len(), 5);
        log.forget(Version(4), 0);
        assert!(!log.rebase(&SnapshotHead { last: log.base(), ..head.clone() }), "memory has nothing behind");
    }

    #[test]
    fn a_log_behind_a_snapshot_begins_there() {
        let last = LogPosition { term: 4, version: Version(9) };
        let head = SnapshotHead { last, membership: Membership::founding(5), ..SnapshotHead::default() };
        let mut log = Log::behind(&head);
        assert_eq!((log.last(), log.base(), log.membership().voters.len()), (last, last, 5));
        assert!(log.holds(last) && log.term_at(Version(8)).is_none());
        push(&mut log, 5, Payload::TermStart);
        log.truncate(Version(10));
        assert_eq!((log.last(), log.first_of_term_at(Version(9))), (last, Version(9)));
    }
}
