//! `sys.devices`: one row for each device of each node.

use alloc::string::ToString;
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
        ("queue_depths", DataType::Text),
        ("interrupts", DataType::Int8),
    ],
};

/// The row of one of `node`'s devices.
pub fn row(node: NodeId, device: &DeviceInfo) -> Vec<Datum> {
    let depths: Vec<_> = device.queue_depths.iter().map(|depth| depth.to_string()).collect();
    vec![
        Datum::Int4(node.0.into()),
        Datum::Text(device.name.clone()),
        Datum::Text(device.kind.clone()),
        Datum::Text(device.address.clone()),
        Datum::Text(depths.join(",")),
        Datum::Int8(i64::try_from(device.interrupts).unwrap_or(i64::MAX)),
    ]
}
