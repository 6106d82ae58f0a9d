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

/// An interrupt vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterruptInfo {
    /// The vector.
    pub vector: u8,
    /// Whose it is, if that is no device's queue.
    pub name: Option<&'static str>,
    /// How many have arrived.
    pub count: u64,
}

/// Tells what the machine is made of.
pub trait Inventory {
    /// Every device, in a stable order.
    fn devices(&self) -> Vec<DeviceInfo>;

    /// The interrupt vectors in use; none where somebody else takes the interrupts.
    fn interrupts(&self) -> Vec<InterruptInfo> {
        Vec::new()
    }

    /// The memory.
    fn memory(&self) -> MemoryInfo;
}
