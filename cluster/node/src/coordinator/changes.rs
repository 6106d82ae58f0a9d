//! Changes of the cluster that a session asks for: who leads, who is a member.

use alloc::vec::Vec;
use core::time::Duration;

use cluster_consensus::NotChanged;
use cluster_format::NodeId;
use cluster_sql::database::DatabaseError;
use drivers_api::{Instant, Now};

use super::{Coordinator, GIVE_UP_AFTER, Outbox, SEND_AGAIN_AFTER};
use crate::message::{Change, ChangeRefused, PeerMessage};
use crate::replica::Replica;
use crate::shared::Reply;

/// A change of the cluster that cannot be made yet is asked for again after this long.
const CHANGE_PAUSE: Duration = Duration::from_millis(50);

/// A change that was not answered yet.
pub(super) struct PendingChange {
    pub(super) change: Change,
    pub(super) reply: Reply<()>,
    pub(super) send_at: Instant,
    pub(super) give_up_at: Instant,
}

impl Coordinator {
    /// A session wants the cluster changed.
    pub(crate) fn change(&mut self, now: Now, change: Change, reply: Reply<()>) {
        let (send_at, give_up_at) = (now.monotonic, now.monotonic + GIVE_UP_AFTER);
        let number = self.number();
        self.changes.insert(number, PendingChange { change, reply, send_at, give_up_at });
    }

    /// The leader has changed the cluster, or not.
    pub(crate) fn change_answered(&mut self, now: Now, number: u64, answer: Result<(), ChangeRefused>) {
        if answer == Err(ChangeRefused::NotYet) {
            if let Some(pending) = self.changes.get_mut(&number) {
                pending.send_at = now.monotonic + CHANGE_PAUSE;
            }
            return;
        }
        if let Some(pending) = self.changes.remove(&number) {
            let _ = pending.reply.send(answer.map_err(|refused| match refused {
                ChangeRefused::NoSuchNode => DatabaseError::NoSuchNode,
                ChangeRefused::NoQuorumLeft => DatabaseError::NoQuorumLeft,
                ChangeRefused::NoSuccessor | ChangeRefused::NotYet => DatabaseError::NoSuccessor,
            }));
        }
    }

    pub(super) fn send_changes(
        &mut self,
        now: Now,
        replica: &mut Replica,
        leader: Option<NodeId>,
        outbox: &mut Outbox,
    ) {
        let Some(leader) = leader else { return self.give_changes_up(now) };
        let mut answers = Vec::new();
        for (number, pending) in self.changes.iter_mut().filter(|(_, p)| p.send_at <= now.monotonic) {
            pending.send_at = now.monotonic + SEND_AGAIN_AFTER;
            match leader == self.node {
                true => answers.push((*number, change_cluster(now, replica, pending.change))),
                false => outbox.push((leader, PeerMessage::Change(*number, pending.change))),
            }
        }
        answers.into_iter().for_each(|(number, answer)| self.change_answered(now, number, answer));
        self.give_changes_up(now);
    }

    pub(super) fn give_changes_up(&mut self, now: Now) {
        for (_, pending) in self.changes.extract_if(.., |_, pending| pending.give_up_at <= now.monotonic) {
            let _ = pending.reply.send(Err(DatabaseError::NoQuorum));
        }
    }
}

/// What the leader does about a change of the cluster.
pub(crate) fn change_cluster(now: Now, replica: &mut Replica, change: Change) -> Result<(), ChangeRefused> {
    let Some(raft) = replica.raft_mut() else { return Err(ChangeRefused::NotYet) };
    let changed = match change {
        // Whoever asked for what is the case has it.
        Change::Lead(Some(node)) if node == raft.id() && raft.is_leader() => Ok(()),
        Change::Lead(to) => raft.transfer(now, to),
        Change::Remove(node) => raft.remove(now, node).map(drop),
    };
    match changed {
        Ok(()) => Ok(()),
        Err(NotChanged::IsLeader) => {
            // It hands over, and the next leader is asked again.
            raft.transfer(now, None).map_or(Err(ChangeRefused::NoSuccessor), |()| Err(ChangeRefused::NotYet))
        }
        Err(NotChanged::NotLeader(_) | NotChanged::Busy) => Err(ChangeRefused::NotYet),
        Err(NotChanged::NotMember) => Err(ChangeRefused::NoSuchNode),
        Err(NotChanged::NoSuccessor) => Err(ChangeRefused::NoSuccessor),
        Err(NotChanged::NoQuorumLeft) => Err(ChangeRefused::NoQuorumLeft),
    }
}
