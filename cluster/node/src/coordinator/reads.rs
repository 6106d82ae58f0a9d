//! Reads of what is newest: at a version that the leader has confirmed.

use alloc::vec::Vec;

use cluster_format::{NodeId, Version};
use cluster_sql::database::DatabaseError;
use cluster_store::Snapshot;
use drivers_api::{Instant, Now};

use super::{Coordinator, GIVE_UP_AFTER, NOT_YET_PAUSE, Outbox, SEND_AGAIN_AFTER};
use crate::message::PeerMessage;
use crate::replica::Replica;
use crate::shared::Reply;

/// Reads that were asked in one turn, and so share an answer.
pub(super) struct PendingRead {
    pub(super) replies: Vec<Reply<Snapshot>>,
    /// What may be read, once the leader has said so.
    pub(super) version: Option<Version>,
    pub(super) send_at: Instant,
    pub(super) give_up_at: Instant,
}

impl Coordinator {
    /// A session wants to read what is newest.
    pub(crate) fn read(&mut self, reply: Reply<Snapshot>) {
        self.new_reads.push(reply);
    }

    /// A session wants to read what is applied, once that holds `version`.
    pub(crate) fn read_at(&mut self, now: Now, version: Version, reply: Reply<Snapshot>) {
        let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
        let number = self.number();
        let replies = [reply].into();
        self.reads.insert(number, PendingRead { replies, version: Some(version), send_at, give_up_at });
    }

    /// A peer asks this node, which should lead, at which version it may read.
    pub(crate) fn forwarded_read(
        &mut self,
        now: Now,
        replica: &mut Replica,
        from: NodeId,
        number: u64,
        outbox: &mut Outbox,
    ) {
        let ours = self.number();
        let accepted = replica.raft_mut().is_some_and(|raft| raft.read(now, ours).is_ok());
        match accepted {
            true => drop(self.forwarded_reads.insert(ours, (from, number))),
            false => outbox.push((from, PeerMessage::ReadAnswer(number, None))),
        }
    }

    /// The leader has said at which version a read may take place.
    pub(crate) fn read_answered(&mut self, now: Now, number: u64, version: Option<Version>) {
        if let Some(pending) = self.reads.get_mut(&number) {
            pending.version = version;
            if version.is_none() {
                pending.send_at = now.monotonic + NOT_YET_PAUSE;
            }
        }
    }

    pub(super) fn take_new_reads(&mut self, now: Now) {
        self.new_reads.retain(|reply| !reply.is_canceled());
        if !self.new_reads.is_empty() {
            let replies = core::mem::take(&mut self.new_reads);
            let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
            let number = self.number();
            self.reads.insert(number, PendingRead { replies, version: None, send_at, give_up_at });
        }
    }

    pub(super) fn send_reads(
        &mut self,
        now: Now,
        replica: &mut Replica,
        leader: Option<NodeId>,
        outbox: &mut Outbox,
    ) {
        let waiting =
            |pending: &&mut PendingRead| pending.version.is_none() && pending.send_at <= now.monotonic;
        let due = self.reads.iter_mut().map(|(number, pending)| (*number, pending));
        for (number, pending) in due.filter(|(_, pending)| waiting(pending)) {
            let Some(leader) = leader else { break };
            pending.send_at = now.monotonic + SEND_AGAIN_AFTER;
            if leader == self.node {
                if let Some(raft) = replica.raft_mut() {
                    // A leader that has just lost its office is found out in the next turn.
                    let _ = raft.read(now, number);
                }
            } else {
                outbox.push((leader, PeerMessage::Read(number)));
            }
        }
        let late = self.reads.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic);
        for reply in late.flat_map(|(_, pending)| pending.replies) {
            let _ = reply.send(Err(DatabaseError::NoQuorum));
        }
    }

    pub(super) fn answer_raft_reads(&mut self, now: Now, replica: &mut Replica, outbox: &mut Outbox) {
        let Some(raft) = replica.raft_mut() else { return };
        for (number, version) in raft.take_reads(now) {
            match self.forwarded_reads.remove(&number) {
                Some((asker, theirs)) => outbox.push((asker, PeerMessage::ReadAnswer(theirs, version))),
                None => self.read_answered(now, number, version),
            }
        }
    }

    pub(super) fn answer_reads(&mut self, replica: &Replica) {
        if let Some(why) = replica.out_of_service() {
            for reply in core::mem::take(&mut self.reads).into_values().flat_map(|pending| pending.replies) {
                let _ = reply.send(Err(why.clone()));
            }
            return;
        }
        let applied = replica.tables.version();
        let ready = |pending: &PendingRead| pending.version.is_some_and(|version| version <= applied);
        let done: Vec<_> = self.reads.extract_if(.., |_, pending| ready(pending)).collect();
        if done.is_empty() {
            return;
        }
        let snapshot = replica.tables.snapshot();
        for reply in done.into_iter().flat_map(|(_, pending)| pending.replies) {
            let _ = reply.send(Ok(snapshot.clone()));
        }
    }
}
