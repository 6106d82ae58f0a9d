//! Machines that look for their place: the leader says which node each is, as `sys.machines` has it. Whoever founds the
//! cluster serves users once another votes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::Raft;
use cluster_format::{Membership, NodeId};
use cluster_net::discovery::{Call, MachineId};
use cluster_services::machines;
use cluster_sql::{SqlResult, SqlState};
use drivers_api::{Level, Now};
use spin::Mutex;

use super::{LogLine, Node, REFUSAL_PAUSE};

/// What is under way for machines that look. They call again, so one at a time is enough.
#[derive(Default)]
pub(super) struct Placing {
    is_busy: bool,
    placed: Option<(MachineId, SqlResult<NodeId>)>,
}

impl Node {
    /// A machine looks for its place in this cluster.
    pub(super) fn machine_looks(&mut self, own: MachineId, machine: MachineId) {
        let raft = self.replica.raft();
        if raft.is_some_and(Raft::is_removed) {
            return;
        }
        // One that nobody has joined, and whose number another has: that one's cluster is the one to join.
        if self.has_double && raft.is_some_and(|raft| self.is_alone(raft.log().membership())) {
            return;
        }
        self.calls.push(Call::Exists { machine });
        let Some(raft) = raft.filter(|raft| raft.is_leader() && self.replica.out_of_service().is_none())
        else {
            return;
        };
        if core::mem::replace(&mut self.placing.lock().is_busy, true) {
            return;
        }
        let membership = raft.log().membership();
        let members = membership.members().chain(&membership.removed).map(|member| (member.node, None));
        let taken: BTreeMap<NodeId, Option<MachineId>> = members.chain(self.peers.machines()).collect();
        let (own, placing) = ((own, self.config.node), self.placing.clone());
        let mut session = self.service_session();
        self.tasks.spawn(async move {
            let placed = machines::place(&mut session, own, machine, taken).await;
            *placing.lock() = Placing { is_busy: false, placed: Some((machine, placed)) };
        });
    }

    /// What there is to say to machines that look.
    pub(super) fn take_calls(&mut self, now: Now) -> Vec<Call> {
        let placed = self.placing.lock().placed.take();
        match placed {
            Some((machine, Ok(node))) => self.calls.push(Call::Place { machine, node }),
            // Who leads has yet to make the table, or another was placed meanwhile: the machine calls again.
            Some((_, Err(error)))
                if matches!(error.state, SqlState::UNDEFINED_TABLE | SqlState::SERIALIZATION_FAILURE) => {}
            Some((_, Err(error))) if now.monotonic >= self.next_refusal_at => {
                self.next_refusal_at = now.monotonic + REFUSAL_PAUSE;
                let line = alloc::format!("cannot say which node a machine is: {error}");
                self.replica.log_lines.push(LogLine(Level::Warn, line));
            }
            Some((_, Err(_))) | None => {}
        }
        core::mem::take(&mut self.calls)
    }

    /// Tells sessions whom this node serves.
    pub(super) fn share_service_state(&mut self) {
        let raft = self.replica.raft();
        let is_founding = raft.is_some_and(|raft| self.is_alone(raft.log().membership()));
        let mut shared = self.database.lock();
        shared.out_of_service = self.replica.out_of_service();
        shared.is_founding = is_founding;
    }

    /// Whether the cluster was founded by one, for more, and none of them votes yet: what is written is on one disk. (Or all
    /// the others have lost theirs.)
    fn is_alone(&self, membership: &Membership) -> bool {
        let expects_others = self.config.is_discovered && self.config.size > 1;
        expects_others && membership.voters.len() == 1 && membership.removed.is_empty()
    }
}

pub(super) type SharedPlacing = Arc<Mutex<Placing>>;
