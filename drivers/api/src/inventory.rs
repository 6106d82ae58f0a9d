//! What a machine is made of, for people: the rows of `sys.devices` and `sys.nodes`.

use alloc::vec::Vec;

use crate::DeviceInfo;

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
