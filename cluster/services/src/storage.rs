//! `sys.storage`: how each node keeps the tables.

use alloc::vec;
use alloc::vec::Vec;

use cluster_format::{NodeId, Version};
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "storage",
    columns: &[
        ("node", DataType::Int4),
        ("disk_total", DataType::Int8),
        ("disk_free", DataType::Int8),
        ("journal_total", DataType::Int8),
        ("journal_used", DataType::Int8),
        ("files", DataType::Int8),
        ("file_bytes", DataType::Int8),
        ("memory_bytes", DataType::Int8),
        ("oldest_version", DataType::Int8),
        ("scrubbed_bytes", DataType::Int8),
        ("files_damaged", DataType::Int8),
        ("files_mended", DataType::Int8),
    ],
    configured: None,
};

/// What a node says of its data disk. Counts begin anew when it starts.
#[derive(Clone, Copy, Debug)]
pub struct StorageStatus {
    /// The node.
    pub node: NodeId,
    /// Bytes of the disk for sorted files.
    pub disk_total: u64,
    /// How many of them are free.
    pub disk_free: u64,
    /// Bytes of the disk for the ledger's newest part.
    pub journal_total: u64,
    /// How many of them it takes.
    pub journal_used: u64,
    /// Sorted files.
    pub files: u64,
    /// Bytes that they take.
    pub file_bytes: u64,
    /// Bytes of rows that are in memory, and in the ledger, but in no file yet.
    pub memory_bytes: u64,
    /// The oldest version that can be read.
    pub oldest_version: Version,
    /// Bytes that were read to see whether they are intact.
    pub scrubbed_bytes: u64,
    /// Files in which something could not be read any more.
    pub files_damaged: u64,
    /// Those of them that were written anew with what other nodes have.
    pub files_mended: u64,
}

impl StorageStatus {
    /// The node's row.
    pub fn row(&self) -> Vec<Datum> {
        vec![
            Datum::Int4(self.node.0.into()),
            int8(self.disk_total),
            int8(self.disk_free),
            int8(self.journal_total),
            int8(self.journal_used),
            int8(self.files),
            int8(self.file_bytes),
            int8(self.memory_bytes),
            int8(self.oldest_version.0),
            int8(self.scrubbed_bytes),
            int8(self.files_damaged),
            int8(self.files_mended),
        ]
    }
}
