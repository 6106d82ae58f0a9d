//! Linearizable reads without a log entry: ReadIndex (Ongaro's thesis, 6.4), many reads to one round.
//!
//! A read may see the commit index of the moment it was asked, once a quorum has answered a heartbeat that
//! was sent later: no newer leader can have committed anything before that.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use cluster_format::{NodeId, Version};
use drivers_api::Now;

use crate::raft::{Raft, Role};

/// Reads that wait for their round.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Counts rounds of heartbeats within a leader's term.
    round: u64,
    /// The round that confirms each, its name, and the version to read at.
    pending: VecDeque<(u64, u64, Version)>,
    done: Vec<(u64, Option<Version>)>,
}

impl Reads {
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    pub(crate) fn next_round(&mut self) {
        self.round += 1;
    }

    pub(crate) fn restart(&mut self) {
        self.drop_pending();
        self.round = 0;
    }

    pub(crate) fn drop_pending(&mut self) {
        self.done.extend(self.pending.drain(..).map(|(_, token, _)| (token, None)));
    }
}

impl Raft {
    /// Asks for a version that holds everything committed so far, under the caller's name `token`. The
    /// answer comes from [`Raft::take_reads`]. Gives back the leader, if known, when this member is not.
    pub fn read(&mut self, now: Now, token: u64) -> Result<(), Option<NodeId>> {
        let Role::Leader { term_start } = self.role else { return Err(self.leader()) };
        // Before its first entry is committed, a leader does not know what is.
        let version = self.commit.max(term_start);
        let round_running = self.round_acked_by_quorum() < self.reads.round;
        self.reads.pending.push_back((self.reads.round + 1, token, version));
        // One round at a time: whoever comes while it runs shares the next.
        if !round_running {
            self.heartbeat(now);
        }
        Ok(())
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
        while let Some((round, token, version)) = self.reads.pending.front().copied()
            && round <= acked
        {
            self.reads.pending.pop_front();
            self.reads.done.push((token, Some(version)));
        }
    }

    fn round_acked_by_quorum(&self) -> u64 {
        let mut acked: Vec<u64> = self.peers.iter().map(|peer| peer.round_acked).collect();
        acked.push(self.reads.round);
        acked.sort_unstable_by(|a, b| b.cmp(a));
        acked[self.quorum() - 1]
    }
}
