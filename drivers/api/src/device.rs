//! What a machine is made of, for whoever asks: the rows of `sys.devices`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One device and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name on this machine: `disk0`, `nic0`.
    pub name: String,
    /// What it is: `virtio-blk`, `virtio-net`.
    pub kind: &'static str,
    /// Where it is: `pci 0000:00:02.0`, `mmio 0xfeb00e00`.
    pub bus_address: String,
    /// Its queues.
    pub queues: Vec<QueueInfo>,
}

/// One queue of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// What it carries.
    pub name: &'static str,
    /// Requests it holds at once.
    pub depth: u16,
    /// The interrupt vector that tells of completions; queues may share one.
    pub vector: u8,
    /// How many interrupts arrived on that vector.
    pub interrupts: u64,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at {}", self.name, self.kind, self.bus_address)
    }
}
