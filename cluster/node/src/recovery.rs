//! What the disk brings back, put together: the tables as of the last checkpoint, and from the journal the vote, the log,
//! what the tables do not hold yet, and what is missing.
//!
//! Where a record is damaged, later ones are still read. Their entries count only if their hash chain leads
//! back to what precedes the damage, or to what the tables hold; else the log ends there, and the member remembers how
//! far it had promised to keep it (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018).

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::{Log, Recovered, Vote};
use cluster_format::{Digest, Entry, LogPosition, Membership, SnapshotHead, Version};
use cluster_journal::{Beginning, LogEnd, Record, RecordState};
use cluster_store::{ApplyError, Tables, Through};

/// Bytes of recovered entries kept in memory for followers.
const RECENT_LEN_MAX: usize = 1024 * 1024;

/// What was recovered so far.
pub(crate) struct Recovery {
    vote: Vote,
    log: Log,
    commit: Version,
    /// Where the log must end, by the newest record.
    promised: LogPosition,
    /// The same, by the superblock and the tables.
    least_promised: LogPosition,
    /// What the tables held when they were opened.
    checkpoint: Through,
    membership: Arc<Membership>,
    /// How far the ledger need not be applied any more, beside what the tables hold: to lost ones, nothing can be, so what
    /// memory has no room for is passed over.
    passed: Version,
}

impl Recovery {
    /// What was there before the first record, in a cluster with these founding members; the tables are open, or lost.
    pub(crate) fn new(founding: Membership, beginning: Beginning, tables: &Tables) -> Recovery {
        let Beginning { state, base, .. } = beginning;
        let RecordState { term, voted_for, promised, .. } = state;
        let membership = tables.membership().clone();
        let least_promised = promised.max(base.position).max(tables.through().last);
        let log = match base.position.version {
            Version::ZERO => Log::new(founding),
            // The members as of the base are forgotten, but what follows leads to those that the tables know.
            _ => Log::behind(&head_of(base.position, base.digest, &membership)),
        };
        Recovery {
            vote: Vote { term, voted_for },
            log,
            commit: base.position.version,
            promised: least_promised,
            least_promised,
            checkpoint: *tables.through(),
            membership,
            passed: Version::ZERO,
        }
    }

    /// The next record.
    pub(crate) fn take(&mut self, record: Record, tables: &mut Tables) -> Result<(), ApplyError> {
        let Record { state, entries, end, .. } = record;
        let RecordState { term, voted_for, commit, promised } = state;
        // What the superblock says may be newer.
        if term > self.vote.term || term == self.vote.term && voted_for.is_some() {
            self.vote = Vote { term, voted_for };
        }
        self.take_entries(entries);
        self.promised = promised.max(end.position).max(self.least_promised);
        // Behind damage, entries that were replaced may still be in the log: nothing more of it is certain.
        if self.end() == end {
            self.commit = self.commit.max(commit.min(end.position.version));
        }
        self.apply(tables)
    }

    fn end(&self) -> LogEnd {
        LogEnd { position: self.log.last(), digest: self.log.last_digest() }
    }

    fn take_entries(&mut self, entries: Vec<Arc<Entry>>) {
        entries.iter().for_each(|entry| self.log.note_time(entry.wall_micros));
        let entries = self.leap(entries);
        let Some(first) = entries.first() else { return };
        if first.version <= self.commit || self.digest_before(first.version) != Some(first.previous) {
            return;
        }
        if first.version <= self.log.last().version {
            self.log.truncate(first.version);
        }
        for entry in entries {
            if !self.log.is_continued_by(&entry) {
                return;
            }
            self.log.push(entry);
        }
    }

    /// If the log has ended before what the tables hold, and these entries lead on from there, it begins there anew.
    fn leap(&mut self, mut entries: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let Through { last, digest } = self.checkpoint;
        let follows = |entry: &Arc<Entry>| entry.version == last.version.next() && entry.previous == digest;
        let is_next =
            entries.first().is_some_and(|first| self.digest_before(first.version) == Some(first.previous));
        if self.log.last().version >= last.version || is_next {
            return entries;
        }
        if let Some(index) = entries.iter().position(follows) {
            self.begin_at_checkpoint();
            entries.drain(..index);
        }
        entries
    }

    fn begin_at_checkpoint(&mut self) {
        let Through { last, digest } = self.checkpoint;
        let latest_micros = self.log.latest_micros();
        self.log = Log::behind(&head_of(last, digest, &self.membership));
        self.log.note_time(latest_micros);
        self.commit = self.commit.max(last.version);
    }

    fn digest_before(&self, version: Version) -> Option<Digest> {
        self.log.digest_at(Version(version.0.checked_sub(1)?))
    }

    /// What is known to be committed needs no memory but the tables'.
    fn apply(&mut self, tables: &mut Tables) -> Result<(), ApplyError> {
        if tables.are_lost() {
            if self.log.recent_len() > RECENT_LEN_MAX {
                self.passed = self.commit;
            }
            self.log.forget(self.passed.max(tables.version().min(self.commit)), RECENT_LEN_MAX);
            return Ok(());
        }
        for entry in self.log.entries(tables.version().next(), self.commit, usize::MAX) {
            tables.apply(&entry)?;
        }
        // What the tables hold is committed, but as far as was read, the log may still show what it replaced.
        self.log.forget(tables.version().min(self.commit), RECENT_LEN_MAX);
        Ok(())
    }

    /// All records have come.
    pub(crate) fn finish(mut self, tables: &Tables) -> Recovered {
        if self.log.last().version < tables.version() {
            self.begin_at_checkpoint();
        }
        let applied = tables.version().max(self.passed);
        let Recovery { vote, log, commit, promised, .. } = self;
        // Tables that had begun to arrive are asked for from their beginning.
        Recovered { vote, log, commit: commit.max(applied), applied, promised, incoming: None }
    }
}

/// The head of a snapshot that a log begins behind.
fn head_of(last: LogPosition, digest: Digest, membership: &Arc<Membership>) -> SnapshotHead {
    SnapshotHead { last, digest, membership: (**membership).clone(), ..SnapshotHead::default() }
}
