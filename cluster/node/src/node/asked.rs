//! What sessions ask of the node.

use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_services::nodes;
use cluster_sql::sessions::Signal;
use cluster_sql::types::Datum;
use drivers_api::{Machine, Now};

use super::Node;
use super::clients::BACKEND_BITS;
use crate::message::PeerMessage;
use crate::shared::{Reply, Request};

impl Node {
    pub(super) fn take_requests(&mut self, now: Now, machine: &Machine<'_>) {
        loop {
            let Some(request) = self.database.lock().requests.pop_front() else { return };
            match request {
                Request::Commit(commit, reply) => self.coordinator.commit(now, commit, reply),
                Request::Change(change, reply) => self.coordinator.change(now, change, reply),
                Request::Snapshot(reply) => self.coordinator.read(reply),
                Request::SnapshotAt(version, reply) => self.coordinator.read_at(now, version, reply),
                Request::Mended(error, reply) => self.replica.await_mended(now, error, reply),
                Request::Signal(signal, reply) => self.signal(now, signal, reply),
                Request::LiveRows(table, reply) => {
                    let rows = self.own_rows(now, &table, machine);
                    let others = self.others();
                    let row_if_down: Option<fn(NodeId) -> Vec<Datum>> =
                        if table == nodes::TABLE.name { Some(nodes::down_row) } else { None };
                    let number = self.coordinator.live_rows(now, rows, others.clone(), row_if_down, reply);
                    let ask = |node| (node, PeerMessage::Live(number, table.clone()));
                    self.outbox.extend(others.into_iter().map(ask));
                }
            }
        }
    }

    /// The other members, and nodes that are not members and can be reached.
    fn others(&self) -> Vec<NodeId> {
        let mut others = self.peers.reachable();
        if let Some(raft) = self.replica.raft() {
            others.extend(raft.log().membership().members().map(|member| member.node));
        }
        others.sort_unstable();
        others.dedup();
        others.retain(|node| *node != self.config.node);
        others
    }

    /// A session wants another one, of whatever node, to stop or to end.
    fn signal(&mut self, now: Now, signal: Signal, reply: Reply<bool>) {
        let node = NodeId(u8::try_from(signal.pid.cast_unsigned() >> BACKEND_BITS).unwrap_or(0));
        if self.others().contains(&node) {
            let number = self.coordinator.signal(now, node, reply);
            self.outbox.push((node, PeerMessage::Signal(number, signal)));
        } else {
            let _ = reply.send(Ok(node == self.config.node && self.registry.signal(signal)));
        }
    }
}
