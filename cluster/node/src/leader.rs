//! What the leader decides: whether a commit may be appended.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use cluster_consensus::{NotProposed, Role};
use cluster_format::{Commit, Entry, Mistake, Payload, Planted, Version};
use cluster_store::{Conflict, RequestState, Resolver};
use drivers_api::Now;
use hashbrown::HashMap;

use crate::marks::Mark;
use crate::message::Refused;
use crate::replica::Replica;

/// What becomes of a commit request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is in the ledger, or was already: whoever asked will see it applied.
    Appended,
    /// It will never be.
    Refused(Refused),
    /// Ask again soon.
    NotYet,
    /// This node does not lead.
    NotLeader,
}

/// Kept free on the disk when commits are admitted: what is appended meanwhile, rounded up.
const DISK_SLACK: u64 = 64 * 1024;

/// The leader's knowledge of entries that are appended but not applied, valid in one term.
pub(crate) struct Leader {
    term: u64,
    pending: Resolver,
    /// The session and sequence of requests in those entries.
    requests: HashMap<u64, (u64, Version)>,
    /// The length of each of those entries, oldest first.
    pending_lens: VecDeque<(Version, usize)>,
    pending_len: usize,
    planted: Planted,
}

impl Leader {
    /// One that has not led yet.
    pub(crate) fn new(planted: Planted) -> Leader {
        let pending = Resolver::with_len_max(Version::ZERO, usize::MAX);
        let (requests, pending_lens) = (HashMap::new(), VecDeque::new());
        Leader { term: 0, pending, requests, pending_lens, pending_len: 0, planted }
    }

    /// Decides about `commit`, and appends it if it may be.
    pub(crate) fn admit(&mut self, now: Now, replica: &mut Replica, commit: &Arc<Commit>) -> Admission {
        let Some(raft) = replica.raft() else { return Admission::NotLeader };
        let Role::Leader { term_start } = *raft.role() else { return Admission::NotLeader };
        // What earlier leaders committed must be known before anything is decided.
        if replica.tables.version() < term_start || replica.is_rebuilding() {
            return Admission::NotYet;
        }
        if raft.term() != self.term {
            *self = Leader { term: raft.term(), ..Leader::new(self.planted) };
        }
        let request = commit.request;
        let appended = self.requests.get(&request.session).is_some_and(|(last, _)| *last >= request.sequence);
        let repeated = appended || replica.tables.request_state(request) != RequestState::Unknown;
        if repeated && !self.planted.is(Mistake::RequestNotDeduplicated) {
            replica.hit(Mark::CommitRepeated);
            return Admission::Appended;
        }
        // Were it appended again after it was forgotten, it would take place twice.
        if commit.read_version < replica.tables.requests_horizon() {
            replica.hit(Mark::CommitForgotten);
            return Admission::Refused(Refused::Forgotten);
        }
        let refused = self.refusal(replica, commit);
        replica.note_admission(refused);
        match refused {
            Some(Refused::Conflict(_) | Refused::TooOld) => replica.hit(Mark::CommitConflict),
            Some(Refused::DiskFull) => replica.hit(Mark::DiskFull),
            Some(Refused::Forgotten) | None => {}
        }
        if let Some(refused) = refused {
            return Admission::Refused(refused);
        }
        if self.must_wait(replica, commit) {
            replica.hit(Mark::CommitWaited);
            return Admission::NotYet;
        }
        let Some(raft) = replica.raft_mut() else { return Admission::NotLeader };
        match raft.propose(now, Payload::Commit(commit.clone())) {
            Ok(version) => {
                self.pending.record(version, commit);
                self.requests.insert(request.session, (request.sequence, version));
                self.pending_lens.push_back((version, commit.len_estimate()));
                self.pending_len += commit.len_estimate();
                Admission::Appended
            }
            Err(NotProposed::Busy) => Admission::NotYet,
            Err(NotProposed::NotLeader(_)) => Admission::NotLeader,
        }
    }

    fn refusal(&self, replica: &Replica, commit: &Commit) -> Option<Refused> {
        let Replica { tables, journal, .. } = replica;
        let checked = tables.resolver().check(commit.read_version, &commit.reads);
        let checked = match self.planted.is(Mistake::PendingWritesNotChecked) {
            true => checked,
            false => checked.and_then(|()| self.pending.check(commit.read_version, &commit.reads)),
        };
        if let Err(conflict) = checked {
            return Some(match conflict {
                Conflict::Written(version) => Refused::Conflict(version),
                Conflict::TooOld => Refused::TooOld,
            });
        }
        let len_max = journal.as_ref().map_or(0, |journal| journal.entries_len_max());
        // Deletes make room, so they are let through.
        let grows = commit.writes.iter().any(|write| write.value.is_some());
        let is_too_long = commit.len_estimate() as u64 > len_max;
        // Merging may make room.
        let is_final = !tables.is_busy();
        let is_full = grows && self.is_nearly_full(replica, commit)
            || tables.is_full() && self.is_congested(replica, commit);
        (is_too_long || is_full && is_final).then_some(Refused::DiskFull)
    }

    fn is_nearly_full(&self, replica: &Replica, commit: &Commit) -> bool {
        replica.tables.is_nearly_full(self.pending_len + commit.len_estimate())
    }

    /// Whether `commit`, which is not refused, has to wait for room.
    fn must_wait(&self, replica: &Replica, commit: &Commit) -> bool {
        let grows = commit.writes.iter().any(|write| write.value.is_some());
        grows && self.is_nearly_full(replica, commit) || self.is_congested(replica, commit)
    }

    /// Whether there is no room for `commit` until the tables have taken what came before.
    fn is_congested(&self, replica: &Replica, commit: &Commit) -> bool {
        let free = replica.journal.as_ref().map_or(0, |journal| journal.free_len());
        let needed = (self.pending_len + commit.len_estimate()) as u64 + DISK_SLACK;
        free < needed || !replica.tables.has_room()
    }

    /// `entry` has been applied: the tables know it from now on.
    pub(crate) fn applied(&mut self, entry: &Entry) {
        let Payload::Commit(commit) = &entry.payload else { return };
        self.pending.forget_through(entry.version);
        let session = commit.request.session;
        if self.requests.get(&session).is_some_and(|(_, version)| *version == entry.version) {
            self.requests.remove(&session);
        }
        while let Some((version, len)) = self.pending_lens.front()
            && *version <= entry.version
        {
            self.pending_len -= len;
            self.pending_lens.pop_front();
        }
    }
}
