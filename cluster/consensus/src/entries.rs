//! How entries get into a member's log, and out of it once they are committed.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Entry, LogPosition, NodeId, Payload, Version};
use drivers_api::Now;

use crate::raft::Raft;

/// The share of the log's memory that is kept for followers that are a little behind.
const RECENT_SHARE: usize = 4;

/// Why a proposal was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProposed {
    /// This member does not lead; here is who does, as far as it knows.
    NotLeader(Option<NodeId>),
    /// Too much is waiting for the quorum, or leadership is being handed over: ask again soon.
    Busy,
}

impl Raft {
    /// Appends `payload` if this member leads, and returns its version: committed when an entry of this
    /// version *and term* comes out of [`Raft::take_committed`].
    pub fn propose(&mut self, now: Now, payload: Payload) -> Result<Version, NotProposed> {
        if !self.is_leader() {
            return Err(NotProposed::NotLeader(self.leader()));
        }
        if self.is_backlogged() || self.transfer.is_some() {
            return Err(NotProposed::Busy);
        }
        // It leaves with the next messages, together with what else is proposed until then.
        Ok(self.push_entry(now, payload))
    }

    pub(crate) fn push_entry(&mut self, now: Now, payload: Payload) -> Version {
        let version = self.log.last().version.next();
        let position = LogPosition { term: self.vote.term, version };
        // Clocks differ, and are set: the ledger's time goes on or stands still.
        let wall_micros = now.wall.unix_micros.max(self.log.latest_micros());
        let entry = Entry::new(position, wall_micros, self.log.last_digest(), payload);
        self.push(Arc::new(entry));
        version
    }

    /// Appends an entry to the log, and heeds what it says about the members.
    pub(crate) fn push(&mut self, entry: Arc<Entry>) {
        let changes_members = matches!(entry.payload, Payload::Membership(_));
        self.log.push(entry);
        if changes_members {
            self.sync_peers();
        }
    }

    /// Entries that became committed since the last call, in order; only those in memory, which are all
    /// that a member cannot have applied yet.
    pub fn take_committed(&mut self, len_max: usize) -> Vec<Arc<Entry>> {
        let entries = self.log.entries(self.committed_taken.next(), self.commit, len_max);
        if let Some(last) = entries.last() {
            self.committed_taken = last.version;
        }
        self.forget_taken();
        entries
    }

    /// Entries up to `through` are in tables that are on their way: those that are committed need not be
    /// taken, and make room for what comes behind.
    pub fn pass_over(&mut self, through: Version) {
        let through = through.min(self.commit);
        if through > self.committed_taken {
            self.committed_taken = through;
            self.forget_taken();
        }
    }

    /// What a follower still needs comes from the journal; what is not durable yet stays in memory.
    fn forget_taken(&mut self) {
        let recent = self.log_len_max / RECENT_SHARE;
        self.log.forget(self.committed_taken.min(self.durable), recent);
    }

    /// Whether too many entries wait for the disk or the quorum to take more.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.log.recent_len() > self.log_len_max
    }
}
