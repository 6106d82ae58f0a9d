//! What the journal brings back, put together: the vote, the log, the tables, and what is missing.
//!
//! Where a record is damaged, later ones are still read. Their entries count only if their hash chain leads
//! back to what precedes the damage; else the log ends there, and the member remembers how far it had
//! promised to keep it (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018).

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::{Log, Recovered, Vote};
use cluster_format::{Digest, Entry, LogPosition, Membership, SnapshotChunk, Version};
use cluster_journal::{LogEnd, Record, RecordBody, RecordState};
use cluster_store::{ApplyError, Incoming, Tables};

/// Bytes of recovered entries kept in memory for followers.
const RECENT_LEN_MAX: usize = 1024 * 1024;

/// What was recovered so far.
pub(crate) struct Recovery {
    vote: Vote,
    log: Log,
    commit: Version,
    /// Where the log must end, by the newest record.
    promised: LogPosition,
    pub(crate) tables: Tables,
    /// A snapshot that had begun to arrive.
    pub(crate) incoming: Option<Incoming>,
}

impl Recovery {
    /// A blank disk's state, in a cluster with these founding members.
    pub(crate) fn new(founding: Membership) -> Recovery {
        Recovery {
            vote: Vote::default(),
            log: Log::new(founding),
            commit: Version::ZERO,
            promised: LogPosition::default(),
            tables: Tables::new(),
            incoming: None,
        }
    }

    /// The next record.
    pub(crate) fn take(&mut self, record: Record) -> Result<(), ApplyError> {
        let Record { state, body, end, .. } = record;
        let RecordState { term, voted_for, commit, promised } = state;
        self.vote = Vote { term, voted_for };
        match body {
            RecordBody::Entries(entries) => self.take_entries(entries),
            RecordBody::Chunk(chunk) => self.take_chunk(&chunk),
        }
        self.promised = promised.max(end.position);
        // Behind damage, entries that were replaced may still be in the log: nothing more of it is certain.
        if self.end() == end {
            self.commit = self.commit.max(commit.min(end.position.version));
        }
        self.apply()
    }

    fn end(&self) -> LogEnd {
        LogEnd { position: self.log.last(), digest: self.log.last_digest() }
    }

    fn take_entries(&mut self, entries: Vec<Arc<Entry>>) {
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

    fn digest_before(&self, version: Version) -> Option<Digest> {
        self.log.digest_at(Version(version.0.checked_sub(1)?))
    }

    fn take_chunk(&mut self, chunk: &SnapshotChunk) {
        if chunk.index == 0 {
            self.incoming = Some(Incoming::new(chunk.head.clone()));
        }
        let Some(mut incoming) = self.incoming.take() else { return };
        // A piece was lost: the snapshot is of no use, and is asked for again.
        if incoming.add(chunk).is_err() {
            return;
        }
        if !chunk.is_last {
            self.incoming = Some(incoming);
        } else if let Ok(tables) = incoming.finish() {
            self.tables = tables;
            self.log = Log::behind(&chunk.head);
            self.commit = chunk.head.last.version;
        }
    }

    /// What is known to be committed needs no memory but the tables'.
    fn apply(&mut self) -> Result<(), ApplyError> {
        for entry in self.log.entries(self.tables.version().next(), self.commit, usize::MAX) {
            self.tables.apply(&entry)?;
        }
        self.log.forget(self.tables.version(), RECENT_LEN_MAX);
        Ok(())
    }

    /// All records have come.
    pub(crate) fn finish(self) -> (Recovered, Tables, Option<Incoming>) {
        let Recovery { vote, log, commit, promised, tables, incoming } = self;
        let arrived = incoming.as_ref().map(|incoming| (incoming.head().clone(), incoming.next()));
        let applied = tables.version();
        (Recovered { vote, log, commit, applied, promised, incoming: arrived }, tables, incoming)
    }
}
