//! `sys.links`: each node's connections with the others, one row for each end.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "links",
    columns: &[
        ("node", DataType::Int4),
        ("peer", DataType::Int4),
        ("address", DataType::Text),
        ("state", DataType::Text),
        ("round_trip_us", DataType::Int8),
        ("sessions", DataType::Int8),
        ("sent_messages", DataType::Int8),
        ("sent_bytes", DataType::Int8),
        ("received_messages", DataType::Int8),
        ("received_bytes", DataType::Int8),
        ("retransmissions", DataType::Int8),
        ("nic", DataType::Text),
    ],
    configured: None,
};

/// What a node says of its end. Counts begin anew when it starts.
#[derive(Clone, Debug)]
pub struct EndStatus {
    /// The node at the other end.
    pub peer: NodeId,
    /// Where that is, if it is known.
    pub address: Option<String>,
    /// Whether it answers.
    pub is_up: bool,
    /// Microseconds there and back, on average; 0 if not measured yet.
    pub round_trip_micros: u64,
    /// Sessions that were begun with it.
    pub sessions: u64,
    /// Messages to it, and their bytes.
    pub sent: (u64, u64),
    /// Messages from it, and their bytes.
    pub received: (u64, u64),
    /// Datagrams that were sent again.
    pub retransmits: u64,
    /// The number of the NIC that it is reached over, while it answers.
    pub nic: Option<usize>,
}

impl EndStatus {
    /// The row of `node`'s end.
    pub fn row(&self, node: NodeId) -> Vec<Datum> {
        vec![
            Datum::Int4(node.0.into()),
            Datum::Int4(self.peer.0.into()),
            self.address.clone().map_or(Datum::Null, Datum::Text),
            Datum::Text(if self.is_up { "up" } else { "down" }.into()),
            if self.round_trip_micros > 0 { int8(self.round_trip_micros) } else { Datum::Null },
            int8(self.sessions),
            int8(self.sent.0),
            int8(self.sent.1),
            int8(self.received.0),
            int8(self.received.1),
            int8(self.retransmits),
            self.nic.map_or(Datum::Null, |nic| Datum::Text(format!("nic{nic}"))),
        ]
    }
}
