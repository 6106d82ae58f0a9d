//! `sys.memory`: what each node's memory is used for.

use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table. Areas lie within that of the machine; what these leave is for buffers and for everything else.
pub const TABLE: LiveTable = LiveTable {
    name: "memory",
    columns: &[
        ("node", DataType::Int4),
        ("area", DataType::Text),
        ("used_bytes", DataType::Int8),
        ("limit_bytes", DataType::Int8),
    ],
    configured: None,
};

/// The row of one of `node`'s areas: its bytes, and how many it may have, if that is bounded.
pub fn row(node: NodeId, area: &'static str, used: u64, limit: Option<u64>) -> Vec<Datum> {
    vec![Datum::Int4(node.0.into()), Datum::Text(area.into()), int8(used), limit.map_or(Datum::Null, int8)]
}
