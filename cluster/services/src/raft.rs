//! `sys.raft`: how far each node's ledger is, by its own account, and how far those of the others are by the leader's.

use alloc::vec;
use alloc::vec::Vec;

use cluster_format::{NodeId, Version};
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "raft",
    columns: &[
        ("node", DataType::Int4),
        ("peer", DataType::Int4),
        ("role", DataType::Text),
        ("term", DataType::Int8),
        ("state", DataType::Text),
        ("matched", DataType::Int8),
        ("next", DataType::Int8),
        ("committed", DataType::Int8),
        ("in_flight_bytes", DataType::Int8),
        ("heard_ms_ago", DataType::Int8),
    ],
    configured: None,
};

/// What a node says of a member: of itself, or, if it leads, of another.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// The member.
    pub peer: NodeId,
    /// Its role, as far as the node knows.
    pub role: &'static str,
    /// The node's term.
    pub term: u64,
    /// How entries are sent to it: `probing`, `streaming`, `fetching` or `snapshot`; none to itself.
    pub flow: Option<&'static str>,
    /// Up to where its ledger is durable, and equal to the leader's.
    pub matched: Version,
    /// What is sent to it, or appended, next.
    pub next: Version,
    /// Up to where it was told, or knows, that entries are committed.
    pub committed: Version,
    /// Bytes that are on their way to it.
    pub in_flight: u64,
    /// Milliseconds since it was heard; none of itself.
    pub heard_ms_ago: Option<u64>,
}

impl MemberStatus {
    /// The row, as one of `node`.
    pub fn row(&self, node: NodeId) -> Vec<Datum> {
        vec![
            Datum::Int4(node.0.into()),
            Datum::Int4(self.peer.0.into()),
            Datum::Text(self.role.into()),
            int8(self.term),
            self.flow.map_or(Datum::Null, |flow| Datum::Text(flow.into())),
            int8(self.matched.0),
            int8(self.next.0),
            int8(self.committed.0),
            int8(self.in_flight),
            self.heard_ms_ago.map_or(Datum::Null, int8),
        ]
    }
}
