//! Linearizable reads without a log entry: ReadIndex (thesis, 6.4), many reads to one round, or a lease
//! (6.4.1), where clocks can be trusted.
//!
//! A read may see the commit index of the moment it was asked, once a quorum has answered a heartbeat that
//! was sent later: no newer leader can have committed anything before that. With a lease, an answer to a
//! heartbeat holds for a while: whoever gave it votes for nobody else, unless the leader agrees, for as long as
//! the lease, measured from a later moment and by a clock that may be a tenth faster.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use cluster_format::{Mistake, NodeId, Version};
use drivers_api::{Instant, Now};

use crate::Mark;
use crate::raft::{Raft, Role};

/// Rounds whose start is remembered, for the lease.
const ROUNDS_MAX: usize = 64;

/// Reads that wait for their round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// Counts rounds of heartbeats within a leader's term.
    round: u64,
    /// When the newest rounds began.
    began: VecDeque<(u64, Instant)>,
    /// When the newest round that a quorum has answered began.
    confirmed_at: Option<Instant>,
    /// A transfer was begun in this term: a message may be on its way that deposes this leader at any time.
    pub(crate) lease_is_void: bool,
    /// The round that confirms each, its name, and the version to read at.
    pending: VecDeque<(u64, u64, Version)>,
    done: Vec<(u64, Option<Version>)>,
}

impl Reads {
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    pub(crate) fn next_round(&mut self, now: Instant) {
        self.round += 1;
        self.began.push_back((self.round, now));
        if self.began.len() > ROUNDS_MAX {
            self.began.pop_front();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.drop_pending();
        self.round = 0;
        self.began.clear();
        self.confirmed_at = None;
        self.lease_is_void = false;
    }

    /// Answers all that wait with no; whether there were any.
    pub(crate) fn drop_pending(&mut self) -> bool {
        let any = !self.pending.is_empty();
        self.done.extend(self.pending.drain(..).map(|(_, token, _)| (token, None)));
        any
    }

    fn confirm(&mut self, round: u64) {
        while let Some((began, at)) = self.began.front().copied()
            && began <= round
        {
            self.confirmed_at = Some(at);
            self.began.pop_front();
        }
    }
}

impl Raft {
    /// Asks for a version that holds everything committed so far, under the caller's name `token`. The
    /// answer comes from [`Raft::take_reads`]. Gives back the leader, if known, when this member is not.
    pub fn read(&mut self, now: Now, token: u64) -> Result<(), Option<NodeId>> {
        let Role::Leader { term_start } = self.role else { return Err(self.leader()) };
        // Before its first entry is committed, a leader does not know what is.
        let version = self.commit.max(term_start);
        if self.has_lease(now) || self.makes(Mistake::ReadWithoutQuorum) {
            self.marks.hit(Mark::ReadByLease as u32);
            self.reads.done.push((token, Some(version)));
            return Ok(());
        }
        let round_running = self.round_acked_by_quorum() < self.reads.round;
        self.reads.pending.push_back((self.reads.round + 1, token, version));
        // One round at a time: whoever comes while it runs shares the next.
        if !round_running {
            self.heartbeat(now);
        }
        Ok(())
    }

    /// Whether no other member can lead now. A tenth of the lease is kept back for clocks that differ.
    fn has_lease(&self, now: Now) -> bool {
        let void = self.reads.lease_is_void && !self.makes(Mistake::LeaseAfterTransfer);
        let lease = self.timing.lease * 9 / 10;
        !void && self.reads.confirmed_at.is_some_and(|at| now.monotonic.since(at) < lease)
    }

    /// Answers to [`Raft::read`]: the version to read at, or none if leadership was lost: ask again.
    pub fn take_reads(&mut self, now: Now) -> Vec<(u64, Option<Version>)> {
        let round_running = self.round_acked_by_quorum() < self.reads.round;
        if self.is_leader() && !round_running && !self.reads.pending.is_empty() {
            self.heartbeat(now);
        }
        core::mem::take(&mut self.reads.done)
    }

    pub(crate) fn confirm_reads(&mut self) {
        let acked = self.round_acked_by_quorum();
        self.reads.confirm(acked);
        while let Some((round, token, version)) = self.reads.pending.front().copied()
            && round <= acked
        {
            self.marks.hit(Mark::ReadByQuorum as u32);
            self.reads.pending.pop_front();
            self.reads.done.push((token, Some(version)));
        }
    }

    fn round_acked_by_quorum(&self) -> u64 {
        self.by_quorum(self.reads.round, |peer| peer.round_acked).unwrap_or(0)
    }
}
