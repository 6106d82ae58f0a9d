//! What a machine is made of, for people: the rows of `sys.devices` and `sys.nodes`.

use alloc::string::String;
use alloc::vec::Vec;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name on this node, such as `blk0`.
    pub name: String,
    /// What it is, such as `virtio-blk`.
    pub kind: String,
    /// Where it is, such as `pci 00:03.0`.
    pub address: String,
    /// Its queues' depths, in requests or buffers.
    pub queue_depths: Vec<u16>,
    /// Interrupts it has raised since boot.
    pub interrupts: u64,
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Bytes of RAM that the node may use.
    pub total: u64,
    /// Bytes in use.
    pub used: u64,
}

/// Tells what the machine is made of.
pub trait Inventory {
    /// Every device, in a stable order.
    fn devices(&self) -> Vec<DeviceInfo>;

    /// The memory.
    fn memory(&self) -> MemoryInfo;
}
