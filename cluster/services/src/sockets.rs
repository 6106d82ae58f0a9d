//! `sys.sockets`: the TCP sockets of each node's own stack. Clients that a host process brings are the host's business.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "sockets",
    columns: &[
        ("node", DataType::Int4),
        ("port", DataType::Int4),
        ("remote_address", DataType::Text),
        ("remote_port", DataType::Int4),
        ("state", DataType::Text),
        ("received_bytes", DataType::Int8),
        ("receive_buffer", DataType::Int8),
        ("unacknowledged_bytes", DataType::Int8),
        ("send_buffer", DataType::Int8),
    ],
    configured: None,
};

/// What a node says of a socket.
#[derive(Clone, Debug)]
pub struct SocketStatus {
    /// Its port on the node.
    pub port: u16,
    /// The address and the port of the other end, if there is one.
    pub remote: Option<(String, u16)>,
    /// As RFC 9293 calls it.
    pub state: &'static str,
    /// Bytes that wait to be taken, and how many there is room for.
    pub received: (u64, u64),
    /// Bytes that were not acknowledged yet, and how many there is room for.
    pub sent: (u64, u64),
}

impl SocketStatus {
    /// Its row, as one of `node`.
    pub fn row(self, node: NodeId) -> Vec<Datum> {
        let (address, port) = match self.remote {
            Some((address, port)) => (Datum::Text(address), Datum::Int4(port.into())),
            None => (Datum::Null, Datum::Null),
        };
        vec![
            Datum::Int4(node.0.into()),
            Datum::Int4(self.port.into()),
            address,
            port,
            Datum::Text(self.state.into()),
            int8(self.received.0),
            int8(self.received.1),
            int8(self.sent.0),
            int8(self.sent.1),
        ]
    }
}
