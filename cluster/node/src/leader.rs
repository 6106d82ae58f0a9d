//! What the leader decides: whether a commit may be appended.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use cluster_consensus::{NotProposed, Role};
use cluster_format::{Commit, Entry, Mistake, Payload, Planted, Version, Write};
use cluster_sql::key::is_notification;
use cluster_store::{Conflict, RequestState, Resolver, is_setting};
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

/// Whether there is room for a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// There is.
    Enough,
    /// Once the tables have taken what came before, or were merged.
    Later,
    /// There is none.
    None,
    /// There will be none: what is lost of the tables keeps the rest from being merged, and nobody has it.
    Never,
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
        let pending = Resolver::default();
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
        let room = self.room_for(replica, commit);
        let no_room = match room {
            Room::None => Some(Refused::DiskFull),
            Room::Never => Some(Refused::Damaged),
            Room::Enough | Room::Later => None,
        };
        let refused = self.conflict(replica, commit).or(no_room);
        replica.note_admission(refused);
        match refused {
            Some(Refused::Conflict(_) | Refused::TooOld) => replica.hit(Mark::CommitConflict),
            Some(Refused::DiskFull) => replica.hit(Mark::DiskFull),
            Some(Refused::Forgotten | Refused::Damaged) | None => {}
        }
        if let Some(refused) = refused {
            return Admission::Refused(refused);
        }
        if room == Room::Later {
            replica.hit(Mark::CommitWaited);
            return Admission::NotYet;
        }
        let Some(raft) = replica.raft_mut() else { return Admission::NotLeader };
        match raft.propose(now, Payload::Commit(commit.clone())) {
            Ok(version) => {
                if !commit.deletes.is_empty() {
                    replica.hit(Mark::RangeDeleted);
                }
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

    fn conflict(&self, replica: &Replica, commit: &Commit) -> Option<Refused> {
        let applied = replica.tables.check(commit);
        let checked = match (applied, self.planted.is(Mistake::PendingWritesNotChecked)) {
            (Err(Conflict::TooOld), _) | (_, true) => applied,
            // What is not applied yet is newer.
            (applied, false) => self.pending.check(commit).and(applied),
        };
        checked.err().map(|conflict| match conflict {
            Conflict::Written(version) => Refused::Conflict(version),
            Conflict::TooOld => Refused::TooOld,
        })
    }

    fn room_for(&self, replica: &Replica, commit: &Commit) -> Room {
        let Replica { tables, journal, .. } = replica;
        let (free, len_max) =
            journal.as_ref().map_or((0, 0), |journal| (journal.free_len(), journal.entries_len_max()));
        let len = self.pending_len + commit.len_estimate();
        // Deletes make room, so they are let through, and so may settings.
        let takes_room = |write: &Write| match write.value {
            Some(_) => !is_setting(write),
            None => is_notification(&write.key),
        };
        let grows = commit.writes.iter().any(takes_room);
        let is_nearly_full = grows && tables.is_nearly_full(len);
        let is_congested = free < len as u64 + DISK_SLACK || !tables.has_room();
        let is_full = is_nearly_full || tables.is_full() && is_congested;
        if !tables.has_room() && tables.is_damaged() && replica.is_alone() {
            return Room::Never;
        }
        // Merging may make room.
        if commit.len_estimate() as u64 > len_max || is_full && !tables.is_busy() {
            Room::None
        } else if is_nearly_full || is_congested {
            Room::Later
        } else {
            Room::Enough
        }
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
