//! Machines that look for their place: the leader says which node each is, as `sys.machines` has it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::NodeId;
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
        let Some(raft) = self.replica.raft().filter(|raft| !raft.is_removed()) else { return };
        self.calls.push(Call::Exists { machine });
        let is_able = raft.is_leader() && self.replica.out_of_service().is_none();
        if !is_able || core::mem::replace(&mut self.placing.lock().is_busy, true) {
            return;
        }
        let membership = raft.log().membership();
        let known = membership.members().chain(&membership.removed).map(|member| member.node);
        let taken = known.chain(self.peers.reachable()).max().unwrap_or(self.config.node);
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
}

pub(super) type SharedPlacing = Arc<Mutex<Placing>>;
