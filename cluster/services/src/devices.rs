//! `sys.devices`: one row for each queue of each device of each node.

use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};
use drivers_api::DeviceInfo;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "devices",
    columns: &[
        ("node", DataType::Int4),
        ("name", DataType::Text),
        ("kind", DataType::Text),
        ("address", DataType::Text),
        ("queue", DataType::Text),
        ("depth", DataType::Int4),
        ("vector", DataType::Int4),
        ("interrupts", DataType::Int8),
    ],
    configured: None,
};

/// The rows of one of `node`'s devices.
pub fn rows(node: NodeId, device: &DeviceInfo) -> Vec<Vec<Datum>> {
    let row = |queue: &drivers_api::QueueInfo| {
        vec![
            Datum::Int4(node.0.into()),
            Datum::Text(device.name.clone()),
            Datum::Text(device.kind.into()),
            Datum::Text(device.bus_address.clone()),
            Datum::Text(queue.name.into()),
            Datum::Int4(queue.depth.into()),
            Datum::Int4(queue.vector.into()),
            Datum::Int8(i64::try_from(queue.interrupts).unwrap_or(i64::MAX)),
        ]
    };
    device.queues.iter().map(row).collect()
}
