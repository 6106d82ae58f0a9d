//! The follower's side of the log: what is kept, replaced, acknowledged, refused.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Entry, LogPosition, Mistake, NodeId, Version};

use crate::raft::Raft;
use crate::{AppendOutcome, Mark, MessageBody};

/// A history that was refused: the ledger's hash chain says that it is not this cluster's, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who sent it.
    pub from: NodeId,
    /// The first entry that does not follow from what precedes it.
    pub version: Version,
}

impl Raft {
    /// Follower: takes the leader's entries.
    pub(crate) fn append(
        &mut self,
        from: NodeId,
        previous: LogPosition,
        entries: Vec<Arc<Entry>>,
        commit: Version,
        round: u64,
    ) {
        if !self.is_well_formed(previous, &entries) {
            return;
        }
        // A disk or tables that do not keep up must not fill the memory: the leader offers them again. When
        // nothing here will make room, only these entries can.
        if !entries.is_empty() && self.is_backlogged() && self.will_make_room() {
            return self.marks.hit(Mark::BacklogDropped as u32);
        }
        let new_round = round > self.round_heard;
        self.round_heard = self.round_heard.max(round);
        let had_entries = !entries.is_empty();
        // What is in the snapshot was committed, so the leader has the same.
        let base = self.log.base();
        let known = previous.version < base.version;
        if !known && !self.log.holds(previous) && !self.makes(Mistake::PreviousNotChecked) {
            return self.reply_mismatch(from, previous.version);
        }
        let through = Version(previous.version.0 + entries.len() as u64);
        for entry in entries.into_iter().filter(|entry| entry.version > base.version) {
            if !self.take_entry(from, entry) {
                return;
            }
        }
        if !known || through >= base.version {
            self.verified = self.verified.max(through);
            self.commit = self.commit.max(commit.min(through));
        }
        // Entries are acknowledged when they are durable; a repeated one already is.
        if new_round || (had_entries && through <= self.kept()) {
            self.acknowledge(from);
        }
    }

    /// Takes one entry whose predecessor is in the log; false if it is refused.
    fn take_entry(&mut self, from: NodeId, entry: Arc<Entry>) -> bool {
        match self.log.term_at(entry.version) {
            Some(term) if term == entry.term => return true,
            // A leader never contradicts what was committed; whoever does is not heeded.
            Some(_) if entry.version <= self.commit => return self.refuse(from, entry.version),
            Some(_) => {
                self.marks.hit(Mark::LogTruncated as u32);
                self.truncate(entry.version);
            }
            None => {}
        }
        if self.makes(Mistake::PreviousNotChecked) && entry.version != self.log.last().version.next() {
            return false;
        }
        if !self.log.is_continued_by(&entry) && !self.makes(Mistake::PreviousNotChecked) {
            return self.refuse(from, entry.version);
        }
        self.push(entry);
        true
    }

    fn refuse(&mut self, from: NodeId, version: Version) -> bool {
        self.marks.hit(Mark::HistoryRefused as u32);
        self.refused = Some(Refused { from, version });
        false
    }

    /// A history that was refused since the last call.
    pub fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    fn is_well_formed(&self, previous: LogPosition, entries: &[Arc<Entry>]) -> bool {
        let mut before = previous;
        entries.iter().all(|entry| {
            let follows = entry.version == before.version.next()
                && entry.term >= before.term
                && entry.term <= self.vote.term;
            before = entry.position();
            follows
        })
    }

    /// Drops `first` and everything behind it.
    pub(crate) fn truncate(&mut self, first: Version) {
        assert!(first > self.commit, "committed entries are never replaced");
        self.log.truncate(first);
        self.sync_peers();
        let before = Version(first.0 - 1);
        self.write_next = self.write_next.min(first);
        self.durable = self.durable.min(before);
        self.verified = self.verified.min(before);
    }

    /// Says how far its log equals the leader's, durably.
    pub(crate) fn acknowledge(&mut self, leader: NodeId) {
        self.reply(leader, AppendOutcome::Matched(self.verified.min(self.kept())));
    }

    /// Says that the logs do not meet at `probed`.
    pub(crate) fn reply_mismatch(&mut self, to: NodeId, probed: Version) {
        self.reply(to, AppendOutcome::Mismatch { probed, last: self.log.last().version });
    }

    fn reply(&mut self, to: NodeId, outcome: AppendOutcome) {
        let (round, priority) = (self.round_heard, self.priority);
        self.send(to, self.vote.term, MessageBody::AppendReply { round, outcome, priority });
    }

    /// The first entry that this member promised to keep and has lost. While no leader brings it, a peer
    /// may: see [`Raft::restore`].
    pub fn missing(&self) -> Option<Version> {
        (self.log.last() < self.promised).then(|| self.log.last().version.next())
    }

    /// Entries that were lost, from a peer or from behind the damage, where their hash chain continues the
    /// log: takes as many as do, and says how many. Whoever gives them has made sure that the chain leads
    /// to what this member had promised.
    pub fn restore(&mut self, entries: &[Arc<Entry>]) -> usize {
        let mut taken = 0;
        while self.missing().is_some() && !self.is_leader() {
            let Some(entry) = entries.get(taken).filter(|entry| self.log.is_continued_by(entry)) else {
                break;
            };
            self.marks.hit(Mark::PromisedRestored as u32);
            self.push(entry.clone());
            taken += 1;
        }
        taken
    }
}
