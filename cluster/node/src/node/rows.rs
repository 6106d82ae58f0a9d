//! This node's rows of live tables.

use alloc::string::ToString;
use alloc::vec::Vec;

use cluster_format::Version;
use cluster_net::PeerStatus;
use cluster_services::cache::CacheStatus;
use cluster_services::links::EndStatus;
use cluster_services::nodes::NodeStatus;
use cluster_services::raft::MemberStatus;
use cluster_services::sockets::SocketStatus;
use cluster_services::{
    cache, devices, interrupts, links, memory, nodes, raft, sockets, storage, transactions,
};
use cluster_sql::database::Database;
use cluster_sql::sessions;
use cluster_sql::types::Datum;
use drivers_api::{Machine, Now};

use super::Node;

type Rows = Vec<Vec<Datum>>;

impl Node {
    /// This node's rows of a live table.
    pub(super) fn own_rows(&self, now: Now, table: &str, machine: &Machine<'_>) -> Rows {
        let id = self.config.node;
        let is = |known: cluster_sql::database::LiveTable| known.name == table;
        match () {
            () if is(nodes::TABLE) => [self.status(now, machine).row()].into(),
            () if is(devices::TABLE) => {
                machine.inventory.devices().iter().flat_map(|device| devices::rows(id, device)).collect()
            }
            () if is(interrupts::TABLE) => {
                interrupts::rows(id, &machine.inventory.interrupts(), &machine.inventory.devices())
            }
            () if is(storage::TABLE) => [self.replica.storage(id).row()].into(),
            () if is(sessions::TABLE) => {
                self.registry.sessions().iter().map(|session| session.row(id)).collect()
            }
            () if is(transactions::TABLE) => {
                let sessions = self.registry.sessions();
                sessions.iter().filter_map(|session| transactions::row(id, session)).collect()
            }
            () if is(links::TABLE) => self.link_rows(),
            () if is(sockets::TABLE) => self.socket_rows(),
            () if is(memory::TABLE) => self.memory_rows(machine),
            () if is(raft::TABLE) => self.raft_rows(now),
            () if is(cache::TABLE) => self.cache_rows(),
            () => Vec::new(),
        }
    }

    fn status(&self, now: Now, machine: &Machine<'_>) -> NodeStatus {
        let id = self.config.node;
        let tables = &self.replica.tables;
        let raft = self.replica.raft();
        let stack = self.stack.lock();
        NodeStatus {
            id,
            state: if self.replica.is_rebuilding() { "rebuilding" } else { "up" },
            role: self.role(),
            address: stack.ip().map(|ip| ip.to_string()),
            term: raft.map_or(0, |raft| raft.term()),
            applied: tables.version(),
            committed: raft.map_or(tables.version(), |raft| raft.commit()),
            table_bytes: tables.disk_len() + tables.memory_len() as u64,
            memory: machine.inventory.memory(),
            disk_free: tables.disk_space().0,
            disk_total: tables.disk_space().1,
            connections: stack.connections() as u32,
            uptime_ms: now.monotonic.since(self.started).as_millis() as u64,
            draining: self.work.due.lock().placement.draining.contains(&id),
            trouble: stack
                .trouble()
                .map(|trouble| trouble.to_string())
                .or_else(|| self.timekeeper.trouble(now.monotonic).map(|trouble| trouble.to_string())),
            clock: if self.timekeeper.is_set() { "ntp" } else { "machine" },
        }
    }

    fn link_rows(&self) -> Rows {
        let end = |PeerStatus { node, ip, nic, link: status }| {
            let traffic = |traffic: cluster_net::Traffic| (traffic.messages, traffic.bytes);
            let end = EndStatus {
                peer: node,
                address: ip.map(|address| address.to_string()),
                is_up: status.established,
                round_trip_micros: status.round_trip_micros,
                sessions: status.sessions,
                sent: traffic(status.sent),
                received: traffic(status.received),
                retransmits: status.retransmits,
                nic,
            };
            end.row(self.config.node)
        };
        self.peers.links().map(end).collect()
    }

    fn socket_rows(&self) -> Rows {
        let sizes = |(used, room): (usize, usize)| (used as u64, room as u64);
        let socket = |socket: cluster_net::SocketStatus| {
            let remote = socket.remote.map(|remote| (remote.ip().to_string(), remote.port()));
            let (port, state) = (socket.port, socket.state);
            let (received, sent) = (sizes(socket.received), sizes(socket.sent));
            SocketStatus { port, remote, state, received, sent }.row(self.config.node)
        };
        self.stack.lock().sockets().map(socket).collect()
    }

    fn memory_rows(&self, machine: &Machine<'_>) -> Rows {
        let whole = machine.inventory.memory();
        let grid = self.replica.tables.grid().status();
        let sessions = self.database.memory();
        let log = self.replica.raft().map_or(0, |raft| raft.log().recent_len());
        let buffers = self.stack.lock().buffers();
        let areas = [
            ("machine", whole.used, Some(whole.total)),
            ("new rows", self.replica.tables.memory_len() as u64, None),
            ("block cache", grid.len as u64, Some(grid.len_max as u64)),
            ("sessions", (sessions.size() - sessions.left()) as u64, Some(sessions.size() as u64)),
            ("recent ledger", log as u64, Some(self.log_len_max as u64)),
            ("socket buffers", buffers.0 as u64, Some(buffers.1 as u64)),
        ];
        areas
            .into_iter()
            .map(|(area, used, limit)| memory::row(self.config.node, area, used, limit))
            .collect()
    }

    fn raft_rows(&self, now: Now) -> Rows {
        let Some(raft) = self.replica.raft() else { return Vec::new() };
        let (id, term) = (self.config.node, raft.term());
        let own = MemberStatus {
            peer: id,
            role: self.role(),
            term,
            flow: None,
            matched: raft.durable(),
            next: Version(raft.log().last().version.0 + 1),
            committed: raft.commit(),
            in_flight: 0,
            heard_ms_ago: None,
        };
        let membership = raft.log().membership();
        let others = raft.progress().map(|member| MemberStatus {
            peer: member.node,
            role: if membership.voter(member.node).is_some() { "follower" } else { "learner" },
            term,
            flow: Some(member.flow),
            matched: member.matched,
            next: member.next,
            committed: member.committed,
            in_flight: member.in_flight as u64,
            heard_ms_ago: Some(now.monotonic.since(member.heard).as_millis() as u64),
        });
        [own].into_iter().chain(others).map(|member| member.row(id)).collect()
    }

    fn cache_rows(&self) -> Rows {
        let grid = self.replica.tables.grid().status();
        let status = CacheStatus {
            blocks: grid.frames as u64,
            used: grid.len as u64,
            limit: grid.len_max as u64,
            hits: grid.counts.hits,
            misses: grid.counts.misses,
            evictions: grid.counts.evictions,
            requests: grid.requests,
            waiting: grid.waiting as u64,
        };
        [status.row(self.config.node)].into()
    }
}
