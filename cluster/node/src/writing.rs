//! What goes to the journal, one record at a time: entries, votes, seals.

use alloc::string::ToString;
use core::time::Duration;

use cluster_consensus::{LogWrite, Raft, Vote, WriteMark};
use cluster_format::Version;
use cluster_journal::{Journal, RecordState};
use drivers_api::{Instant, Level, Now};

use crate::node::LogLine;

/// When nothing was written for this long behind a record, an empty one seals it: should it be lost
/// later, the seal tells it from a write that was cut short.
const SEAL_AFTER: Duration = Duration::from_millis(200);

/// What has become durable.
pub(crate) enum Written {
    /// What Raft gave.
    Log(WriteMark),
    /// A vote, past entries that do not fit.
    VoteAlone(WriteMark),
    /// Nothing new.
    Seal,
}

/// The one who writes.
#[derive(Default)]
pub(crate) struct Writer {
    writing: Option<Written>,
    /// How much room there was when it was too little for the next write.
    stalled_at: Option<u64>,
    /// That has been said.
    is_full: bool,
    /// Whether the last record holds something that a seal would protect.
    unsealed: bool,
    seal_at: Option<Instant>,
}

impl Writer {
    /// The disk holds records of an earlier life, the last of which may not be sealed.
    pub(crate) fn reopened(&mut self, now: Now) {
        self.unsealed = true;
        self.seal_at = Some(now.monotonic + SEAL_AFTER);
    }

    /// Whether a write is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.writing.is_some()
    }

    /// When the last entries are to be sealed.
    pub(crate) fn seal_at(&self) -> Option<Instant> {
        self.seal_at.filter(|_| self.writing.is_none())
    }

    /// What was under way is durable.
    pub(crate) fn written(&mut self, now: Now) -> Option<Written> {
        self.seal_at = self.unsealed.then(|| now.monotonic + SEAL_AFTER);
        self.writing.take()
    }

    /// Begins the next write of Raft's, or a seal, if one is due. Gives what is to be said. Where there is no room, the
    /// tables may soon make some, unless the disk `is_full`.
    pub(crate) fn write(
        &mut self,
        now: Now,
        raft: &mut Raft,
        journal: &mut Journal,
        is_full: bool,
    ) -> Option<LogLine> {
        let is_blocked = self.stalled_at.is_some_and(|free| journal.free_len() <= free);
        if let Some(write) = if is_blocked { None } else { raft.take_write(now) } {
            if journal.has_room_for(&write.entries) {
                (self.stalled_at, self.is_full) = (None, false);
                let written = Written::Log(write.mark);
                self.append(raft, journal, &write, written);
                return None;
            }
            raft.write_postponed(&write);
            self.stalled_at = Some(journal.free_len());
        }
        // Elections go on, so that reads do: votes have a place of their own.
        let vote = raft.take_vote_write().filter(|_| self.stalled_at.is_some() && journal.has_room_for(&[]));
        match vote {
            Some(vote) => self.append(raft, journal, &vote, Written::VoteAlone(vote.mark)),
            None => self.seal(now, raft, journal),
        }
        let is_news = self.stalled_at.is_some() && is_full && !core::mem::replace(&mut self.is_full, true);
        let line = "the data disk is full: this node no longer takes writes".to_string();
        is_news.then_some(LogLine(Level::Error, line))
    }

    fn append(&mut self, raft: &Raft, journal: &mut Journal, write: &LogWrite, written: Written) {
        journal.append(0, state_of(raft, write.commit), &write.entries);
        self.writing = Some(written);
        self.unsealed = true;
        self.seal_at = None;
    }

    fn seal(&mut self, now: Now, raft: &Raft, journal: &mut Journal) {
        if self.seal_at.is_some_and(|at| now.monotonic >= at) && journal.has_room_for(&[]) {
            journal.append(0, state_of(raft, raft.durable_commit()), &[]);
            self.writing = Some(Written::Seal);
            self.unsealed = false;
        }
        if !self.unsealed || self.seal_at.is_some_and(|at| now.monotonic >= at) {
            self.seal_at = None;
        }
    }
}

/// The newest record is what counts, so each says what the newest vote is.
fn state_of(raft: &Raft, commit: Version) -> RecordState {
    let Vote { term, voted_for } = raft.vote();
    RecordState { term, voted_for, commit, promised: raft.promised() }
}
