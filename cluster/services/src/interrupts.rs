//! `sys.interrupts`: the interrupts that each node's processor has taken, vector by vector. A node that is a process takes none.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::database::LiveTable;
use cluster_sql::types::{DataType, Datum};
use drivers_api::{DeviceInfo, InterruptInfo};

use crate::int8;

/// The table.
pub const TABLE: LiveTable = LiveTable {
    name: "interrupts",
    columns: &[
        ("node", DataType::Int4),
        ("vector", DataType::Int4),
        ("name", DataType::Text),
        ("count", DataType::Int8),
    ],
    configured: None,
};

/// The rows of `node`, which has these devices.
pub fn rows(node: NodeId, interrupts: &[InterruptInfo], devices: &[DeviceInfo]) -> Vec<Vec<Datum>> {
    let row = |interrupt: &InterruptInfo| {
        let of_device = || devices.iter().find_map(|device| queue_of(device, interrupt.vector));
        let name = interrupt.name.map(String::from).or_else(of_device);
        vec![
            Datum::Int4(node.0.into()),
            Datum::Int4(interrupt.vector.into()),
            name.map_or(Datum::Null, Datum::Text),
            int8(interrupt.count),
        ]
    };
    interrupts.iter().map(row).collect()
}

/// What is called by this vector: a device's queue.
fn queue_of(device: &DeviceInfo, vector: u8) -> Option<String> {
    let queue = device.queues.iter().find(|queue| queue.vector == vector)?;
    Some(format!("{} {}", device.name, queue.name))
}
