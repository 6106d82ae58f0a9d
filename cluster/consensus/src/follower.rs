//! The follower's side of the log: what is kept, replaced, acknowledged, refused.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::limits::COUNT_MAX;
use cluster_format::{Entry, LogPosition, Mistake, NodeId, Version};
use drivers_api::Now;

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
        // And of the snapshot it has all, however little of it the entries cover.
        let verified = if known { through.max(base.version) } else { through };
        self.verified = self.verified.max(verified);
        self.commit = self.commit.max(commit.min(verified));
        // Entries are acknowledged when they are durable; a repeated one already is.
        if new_round || (had_entries && verified <= self.kept()) {
            self.acknowledge(from);
        }
    }

    /// Takes one entry whose predecessor is in the log; false if it is refused.
    fn take_entry(&mut self, from: NodeId, entry: Arc<Entry>) -> bool {
        match self.log.term_at(entry.version) {
            Some(term) if term == entry.term => return true,
            // A leader never contradicts what was committed; whoever does is not heeded.
            Some(_) if entry.version <= self.commit => return self.refuse(from, entry.version),
            // Nor is a history whose entries do not follow from what precedes them, before anything is dropped.
            Some(_) if !self.follows_from_log(&entry) => return self.refuse(from, entry.version),
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

    /// Whether `entry` repeats the digest of its predecessor in the log.
    fn follows_from_log(&self, entry: &Entry) -> bool {
        let before = self.log.digest_at(Version(entry.version.0 - 1));
        before == Some(entry.previous) || self.makes(Mistake::PreviousNotChecked)
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
        self.reply(
            to,
            AppendOutcome::Mismatch { probed, last: self.log.last().version, commit: self.commit },
        );
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

    /// Entries of a peer's log, in order: takes those that go on from this one, while something is missing.
    ///
    /// They need not be the very ones that were lost. Where two logs differ at a version, the entry of the
    /// lower term cannot have been committed (Raft, 5.4.3), so the higher term wins, as it would if its
    /// leader had sent it; and a log that ends no earlier than was promised holds all that was committed
    /// with this member's help.
    pub fn restore(&mut self, now: Now, entries: &[Arc<Entry>]) {
        for entry in entries {
            // What a leader brings must not be undone by an answer that comes late.
            if self.missing().is_none() || self.leader().is_some() || entry.term >= COUNT_MAX {
                return;
            }
            match self.log.term_at(entry.version) {
                Some(term) if term >= entry.term => continue,
                Some(_) if entry.version <= self.commit => return,
                Some(_) if self.follows_from_log(entry) => {
                    self.truncate(entry.version);
                }
                _ => {}
            }
            if !self.log.is_continued_by(entry) {
                return;
            }
            self.marks.hit(Mark::PromisedRestored as u32);
            if entry.term > self.vote.term {
                self.follow(now, entry.term, None);
            }
            self.push(entry.clone());
        }
    }

    /// Where the log must end at least, while it does not durably: to be made durable with every write, so
    /// that a restart does not forget it.
    pub fn promised(&self) -> LogPosition {
        let term = self.log.term_at(self.durable).unwrap_or(0);
        let kept = LogPosition { term, version: self.durable };
        if kept < self.promised { self.promised } else { LogPosition::default() }
    }
}
