//! `sys.transactions`: the transaction blocks that are open, as they were when the last statement of each had ended.

use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::sessions::{SessionStatus, moment};
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "transactions",
    columns: &[
        ("node", DataType::Int4),
        ("pid", DataType::Int4),
        ("state", DataType::Text),
        ("read_only", DataType::Bool),
        ("started_at", DataType::Timestamptz),
        ("read_version", DataType::Int8),
        ("written_rows", DataType::Int8),
        ("written_bytes", DataType::Int8),
    ],
    configured: None,
};

/// The row of the block that a session of `node` is in, if it is in one. Entries of indexes are counted as rows.
pub fn row(node: NodeId, session: &SessionStatus) -> Option<Vec<Datum>> {
    let block = session.block?;
    Some(vec![
        Datum::Int4(node.0.into()),
        Datum::Int4(session.pid),
        Datum::Text(session.activity.name().into()),
        Datum::Bool(block.read_only),
        moment(session.transaction_started),
        block.version.map_or(Datum::Null, |version| int8(version.0)),
        int8(block.written as u64),
        int8(block.written_len as u64),
    ])
}
