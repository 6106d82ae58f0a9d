//! `sys.nodes`: one row for each member.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::{NodeId, Version};
use cluster_sql::database::{Configured, LiveTable};
use cluster_sql::types::{DataType, Datum};
use drivers_api::MemoryInfo;

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "nodes",
    columns: &[
        ("id", DataType::Int4),
        ("state", DataType::Text),
        ("role", DataType::Text),
        ("address", DataType::Text),
        ("term", DataType::Int8),
        ("applied", DataType::Int8),
        ("committed", DataType::Int8),
        ("table_bytes", DataType::Int8),
        ("memory_used", DataType::Int8),
        ("memory_total", DataType::Int8),
        ("disk_free", DataType::Int8),
        ("disk_total", DataType::Int8),
        ("connections", DataType::Int4),
        ("uptime_ms", DataType::Int8),
        ("draining", DataType::Bool),
        ("trouble", DataType::Text),
        ("clock", DataType::Text),
    ],
    // What drains a node is its worker's row.
    configured: Some(Configured { columns: &["draining"], table: "workers", key: ("id", "node") }),
};

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The node.
    pub id: NodeId,
    /// `up`, or `rebuilding` while its tables are not to be read.
    pub state: &'static str,
    /// Its role: `leader`, `follower`, `candidate`, `learner`, `removed`, `recovering` or `stopped`.
    pub role: &'static str,
    /// Its IPv4 address, if it has one.
    pub address: Option<String>,
    /// Its term.
    pub term: u64,
    /// The newest version in its tables.
    pub applied: Version,
    /// The newest version it knows to be committed.
    pub committed: Version,
    /// Bytes its tables take, on the disk and in memory.
    pub table_bytes: u64,
    /// Its memory.
    pub memory: MemoryInfo,
    /// Bytes of its data disk that are free for tables.
    pub disk_free: u64,
    /// Bytes of its data disk for tables.
    pub disk_total: u64,
    /// SQL connections it serves.
    pub connections: u32,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Whether it is to be given nothing: tasks go to others, and so does leadership.
    pub draining: bool,
    /// What keeps it from having an address or the time, in the words of its console.
    pub trouble: Option<String>,
    /// Whose time it has: `machine`, or `ntp` once a time server has told it.
    pub clock: &'static str,
}

impl NodeStatus {
    /// The node's row.
    pub fn row(&self) -> Vec<Datum> {
        vec![
            Datum::Int4(self.id.0.into()),
            Datum::Text(self.state.into()),
            Datum::Text(self.role.into()),
            text(&self.address),
            int8(self.term),
            int8(self.applied.0),
            int8(self.committed.0),
            int8(self.table_bytes),
            int8(self.memory.used),
            int8(self.memory.total),
            int8(self.disk_free),
            int8(self.disk_total),
            Datum::Int4(i32::try_from(self.connections).unwrap_or(i32::MAX)),
            int8(self.uptime_ms),
            Datum::Bool(self.draining),
            text(&self.trouble),
            Datum::Text(self.clock.into()),
        ]
    }
}

fn text(text: &Option<String>) -> Datum {
    text.clone().map_or(Datum::Null, Datum::Text)
}

/// The row of a node that did not answer.
pub fn down_row(id: NodeId) -> Vec<Datum> {
    let mut row = vec![Datum::Null; TABLE.columns.len()];
    row[0] = Datum::Int4(id.0.into());
    row[1] = Datum::Text("down".into());
    row
}
