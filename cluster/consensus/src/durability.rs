//! What must be durable before what is said.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Entry, LogPosition, Mistake, NodeId, Version};
use drivers_api::Now;

use crate::config::Vote;
use crate::raft::{Raft, Role};
use crate::{Mark, Message, MessageBody};

/// Something to make durable: append `entries` to the journal (the first of them and everything behind it
/// is replaced), with the vote.
#[derive(Clone, Debug)]
pub struct LogWrite {
    /// To be given to [`Raft::written`].
    pub mark: WriteMark,
    /// The vote.
    pub vote: Vote,
    /// An index known to be committed, of what the disk holds once this is durable.
    pub commit: Version,
    /// The entries, contiguous; may be empty.
    pub entries: Vec<Arc<Entry>>,
}

/// Names a [`LogWrite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteMark {
    pub(crate) vote_change: u64,
    pub(crate) last: Option<LogPosition>,
}

impl Raft {
    /// What to make durable next, if anything, and nothing is being written.
    pub fn take_write(&mut self, now: Now) -> Option<LogWrite> {
        let last = self.log.last().version;
        let nothing_new = self.vote_saved == self.vote_change && self.write_next > last;
        if self.writing_since.is_some() || nothing_new {
            return None;
        }
        let entries = self.log.entries(self.write_next, last, self.write_len_max);
        let position = entries.last().map(|entry| entry.position());
        self.write_next = position.map_or(self.write_next, |position| position.version.next());
        self.writing_since = Some(now.monotonic);
        let mark = WriteMark { vote_change: self.vote_change, last: position };
        let commit = position.map_or(self.durable_commit(), |last| self.commit.min(last.version));
        Some(LogWrite { mark, vote: self.vote, commit, entries })
    }

    /// There is no room for `write` now: it is to be taken again later.
    pub fn write_postponed(&mut self, write: &LogWrite) {
        self.writing_since = None;
        if let Some(first) = write.entries.first() {
            self.write_next = self.write_next.min(first.version);
        }
    }

    /// The commit index, as far as the disk holds what it stands for: what was replaced in memory may still be
    /// on the disk, and must not be taken for committed there.
    pub fn durable_commit(&self) -> Version {
        self.commit.min(self.durable)
    }

    /// The write with this mark is durable.
    pub fn written(&mut self, now: Now, mark: WriteMark) {
        self.writing_since = None;
        // Entries that were replaced while they were being written are not durable, even if the same have come
        // again since: they will be written again.
        if let Some(last) = mark.last
            && self.log.holds(last)
            && last.version < self.write_next
            && last.version > self.durable
        {
            self.durable = last.version;
            match self.role {
                Role::Leader { .. } => self.advance_commit(now),
                Role::Follower { leader: Some(leader) } => self.acknowledge(leader),
                _ => {}
            }
        }
        self.vote_written(now, mark);
    }

    /// The newest vote, to make durable by itself while a [`LogWrite`] cannot be written.
    pub fn take_vote_write(&self) -> Option<LogWrite> {
        let mark = WriteMark { vote_change: self.vote_change, last: None };
        let unsaved = self.vote_saved < self.vote_change;
        let commit = self.durable_commit();
        unsaved.then(|| LogWrite { mark, vote: self.vote, commit, entries: Vec::new() })
    }

    /// The vote of [`Raft::take_vote_write`] is durable.
    pub fn vote_written(&mut self, now: Now, mark: WriteMark) {
        self.vote_saved = self.vote_saved.max(mark.vote_change);
        let released = self.withheld.extract_if(.., |(change, _, _)| *change <= mark.vote_change);
        self.outbox.extend(released.map(|(_, to, message)| (to, message)));
        self.count_own_vote(now);
    }

    /// Whether the newest vote is durable.
    pub(crate) fn vote_is_durable(&self) -> bool {
        self.vote_saved == self.vote_change || self.makes(Mistake::VoteNotFlushed)
    }

    /// Sends once the newest vote is durable.
    pub(crate) fn send_with_vote(&mut self, to: NodeId, body: MessageBody) {
        let message = Message { term: self.vote.term, incarnation: self.incarnation, body };
        if self.vote_is_durable() {
            self.outbox.push((to, message));
        } else {
            self.marks.hit(Mark::VoteWithheld as u32);
            self.withheld.push((self.vote_change, to, message));
        }
    }

    pub(crate) fn set_vote(&mut self, vote: Vote) {
        if vote != self.vote {
            if vote.term > self.vote.term {
                // What it would have said in an earlier term is of no use to anyone.
                self.withheld.clear();
            }
            self.vote = vote;
            self.vote_change += 1;
        }
    }

    /// How far this member may say that its log is kept.
    pub(crate) fn kept(&self) -> Version {
        if self.makes(Mistake::AckBeforeFlush) { self.log.last().version } else { self.durable }
    }

    /// Up to where this member has said that it keeps the log.
    pub fn kept_through(&self) -> LogPosition {
        let version = self.durable;
        LogPosition { term: self.log.term_at(version).unwrap_or_default(), version }
    }

    /// Whether a write under way, or entries still to be applied, will shrink what is in memory.
    pub(crate) fn will_make_room(&self) -> bool {
        self.durable < self.log.last().version || self.committed_taken < self.commit
    }
}
