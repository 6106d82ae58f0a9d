//! Commits of this node's sessions, and those that others ask this node, while it leads, to make.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Commit, NodeId, RequestId, Version};
use cluster_sql::database::DatabaseError;
use cluster_store::Conflict;
use drivers_api::{Instant, Now};

use super::{Coordinator, GIVE_UP_AFTER, NOT_YET_PAUSE, Outbox, SEND_AGAIN_AFTER};
use crate::leader::Admission;
use crate::marks::Mark;
use crate::message::{PeerMessage, Refused};
use crate::replica::Replica;
use crate::shared::Reply;

/// Forwarded commits that wait for this node to be ready to lead, at most.
const DEFERRED_MAX: usize = 1024;

/// Bytes of them, at most, unless one alone is longer.
const DEFERRED_LEN_MAX: usize = 1024 * 1024;

/// A commit whose outcome is not known yet.
pub(super) struct PendingCommit {
    pub(super) commit: Arc<Commit>,
    pub(super) reply: Reply<Version>,
    /// How often a leader may have got it: from the first time on its fate is not ours to declare.
    pub(super) sent: u32,
    /// The term it was last sent in: what leaders of earlier ones say of it no longer counts.
    pub(super) sent_term: u64,
    pub(super) send_at: Instant,
    pub(super) give_up_at: Instant,
}

impl Coordinator {
    /// A session wants to commit.
    pub(crate) fn commit(&mut self, now: Now, commit: Arc<Commit>, reply: Reply<Version>) {
        let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
        let pending = PendingCommit { commit, reply, sent: 0, sent_term: 0, send_at, give_up_at };
        self.commits.insert(pending.commit.request, pending);
    }

    /// Someone asks this node, which should lead, to commit.
    pub(crate) fn forwarded_commit(
        &mut self,
        now: Now,
        replica: &mut Replica,
        commit: Arc<Commit>,
        outbox: &mut Outbox,
    ) {
        if self.is_due(now, replica, &commit) {
            self.decide(now, replica, commit, outbox);
        }
    }

    /// Whether `commit` is to be decided now, and need not wait for others' turns.
    fn is_due(&mut self, now: Now, replica: &mut Replica, commit: &Arc<Commit>) -> bool {
        let leads = replica.raft().is_some_and(|raft| raft.is_leader());
        let is_due = !leads || self.queue.arrives(now, commit);
        if !is_due {
            replica.hit(Mark::CommitQueued);
        }
        is_due
    }

    /// Decides about a commit as the leader, and tells whoever asked, if there is anything to tell.
    fn decide(&mut self, now: Now, replica: &mut Replica, commit: Arc<Commit>, outbox: &mut Outbox) {
        let is_own = commit.origin.node == self.node;
        match self.leader.admit(now, replica, &commit) {
            Admission::Refused(refused) => {
                if let Refused::Conflict(_) = refused {
                    self.queue.refused(now, &commit);
                }
                let term = replica.raft().map_or(0, |raft| raft.term());
                match is_own {
                    true => self.commit_refused(commit.request, refused, term),
                    false => {
                        let refused = PeerMessage::CommitRefused(commit.request, refused, term);
                        outbox.push((commit.origin.node, refused));
                    }
                }
            }
            Admission::NotYet | Admission::NotLeader if is_own => {
                if let Some(pending) = self.commits.get_mut(&commit.request) {
                    // This leader has not got it after all.
                    pending.sent = pending.sent.saturating_sub(1);
                    pending.send_at = now.monotonic + NOT_YET_PAUSE;
                }
            }
            Admission::NotYet if self.has_room_for(&commit) => {
                replica.hit(Mark::CommitDeferred);
                self.deferred.push_back(commit);
            }
            // Whoever asked asks the next leader.
            _ => {}
        }
    }

    /// Decides about those that wait no longer for others' turns.
    pub(super) fn decide_queued(&mut self, now: Now, replica: &mut Replica, outbox: &mut Outbox) {
        if !replica.raft().is_some_and(|raft| raft.is_leader()) {
            return self.queue.clear();
        }
        while let Some(commit) = self.queue.next(now) {
            self.decide(now, replica, commit, outbox);
        }
    }

    /// Whether `commit` may wait here: once, and among not too many.
    pub(super) fn has_room_for(&self, commit: &Commit) -> bool {
        let len: usize = self.deferred.iter().map(|deferred| deferred.len_estimate()).sum();
        let waits_already = self.deferred.iter().any(|deferred| deferred.request == commit.request);
        !waits_already && self.deferred.len() < DEFERRED_MAX && len < DEFERRED_LEN_MAX
    }

    /// The leader of `term` has refused a commit. A leader that was deposed since does not know what became
    /// of it.
    pub(crate) fn commit_refused(&mut self, request: RequestId, refused: Refused, term: u64) {
        if self.commits.get(&request).is_some_and(|pending| term >= pending.sent_term)
            && let Some(pending) = self.commits.remove(&request)
        {
            let error = match refused {
                // Sent once, it was refused the first time it was looked at.
                Refused::Forgotten if pending.sent > 1 => DatabaseError::Unknown,
                refused => error_of(refused),
            };
            let _ = pending.reply.send(Err(error));
        }
    }

    pub(super) fn retry_deferred(&mut self, now: Now, replica: &mut Replica, outbox: &mut Outbox) {
        for _ in 0..self.deferred.len() {
            if let Some(commit) = self.deferred.pop_front() {
                self.forwarded_commit(now, replica, commit, outbox);
            }
        }
    }

    pub(super) fn send_commits(
        &mut self,
        now: Now,
        replica: &mut Replica,
        leader: Option<NodeId>,
        outbox: &mut Outbox,
    ) {
        let term = replica.raft().map_or(0, |raft| raft.term());
        let due = self.commits.values_mut().filter(|pending| pending.send_at <= now.monotonic);
        let mut own = Vec::new();
        for pending in due {
            let Some(leader) = leader else { break };
            // The link is reliable, so an answer that is long in coming is not hurried by asking often.
            pending.send_at = now.monotonic + SEND_AGAIN_AFTER * (1 << pending.sent.min(4));
            pending.sent_term = term;
            pending.sent += 1;
            match leader == self.node {
                true => own.push(pending.commit.clone()),
                false => outbox.push((leader, PeerMessage::Commit(pending.commit.clone()))),
            }
        }
        own.into_iter().for_each(|commit| self.forwarded_commit(now, replica, commit, outbox));
        let late = self.commits.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic);
        for (_, pending) in late {
            let error = if pending.sent > 0 { DatabaseError::Unknown } else { DatabaseError::NoQuorum };
            if pending.sent > 0 {
                replica.hit(Mark::CommitUnknown);
            }
            let _ = pending.reply.send(Err(error));
        }
    }
}

fn error_of(refused: Refused) -> DatabaseError {
    match refused {
        Refused::Conflict(version) => DatabaseError::Conflict(Conflict::Written(version)),
        Refused::TooOld | Refused::Forgotten => DatabaseError::Conflict(Conflict::TooOld),
        Refused::DiskFull => DatabaseError::DiskFull,
        Refused::Damaged => DatabaseError::Damaged,
    }
}
