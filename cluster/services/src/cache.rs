//! `sys.block_cache`: the blocks of each node's tables that are in memory, and what is asked of its data disk.

use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "block_cache",
    columns: &[
        ("node", DataType::Int4),
        ("blocks", DataType::Int8),
        ("used_bytes", DataType::Int8),
        ("limit_bytes", DataType::Int8),
        ("hits", DataType::Int8),
        ("misses", DataType::Int8),
        ("evictions", DataType::Int8),
        ("disk_requests", DataType::Int8),
        ("disk_requests_waiting", DataType::Int8),
    ],
    configured: None,
};

/// What a node says of its cache. Counts begin anew when it starts.
#[derive(Clone, Copy, Debug)]
pub struct CacheStatus {
    /// Blocks in memory.
    pub blocks: u64,
    /// Their bytes.
    pub used: u64,
    /// How many these may be.
    pub limit: u64,
    /// Blocks that were wanted and there.
    pub hits: u64,
    /// Blocks that were wanted and had to be read.
    pub misses: u64,
    /// Blocks that had to make room.
    pub evictions: u64,
    /// Requests of the tables to the disk.
    pub requests: u64,
    /// Those that the disk has not done yet.
    pub waiting: u64,
}

impl CacheStatus {
    /// The row of `node`.
    pub fn row(&self, node: NodeId) -> Vec<Datum> {
        vec![
            Datum::Int4(node.0.into()),
            int8(self.blocks),
            int8(self.used),
            int8(self.limit),
            int8(self.hits),
            int8(self.misses),
            int8(self.evictions),
            int8(self.requests),
            int8(self.waiting),
        ]
    }
}
