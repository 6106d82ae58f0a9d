//! The contract between a node and its machine.
//!
//! A node sees a disk of sectors, a wire of Ethernet frames, a clock, entropy and a console, and nothing
//! else. `drivers-virtio` gives them from hardware, `drivers-host` from files and sockets, `drivers-sim`
//! from a seed. The principles:
//!
//! 1. **Nothing blocks.** A request is submitted, its completion is polled, and the [`core::task::Waker`]
//!    last given is woken when polling again is worthwhile. No caller ever spins.
//! 2. **Buffers are owned.** A request carries its buffer to the device and the completion brings it
//!    back, so hardware reads and writes it in place and no layer copies.
//! 3. **Batches are explicit.** Submissions reach the device at the latest with [`Disk::kick`] or
//!    [`Nic::kick`]: one notification for many requests.
//! 4. **Durable means durable.** A request that says so completes only when the medium holds the data.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod clock;
mod console;
mod device;
mod disk;
mod entropy;
mod inventory;
mod nic;

pub use clock::{Instant, Now, WallTime};
pub use console::{Console, Level};
pub use device::{DeviceInfo, QueueInfo};
pub use disk::{Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};
pub use entropy::Entropy;
pub use inventory::{InterruptInfo, Inventory, MemoryInfo};
pub use nic::{FRAME_HEADROOM, FRAME_LEN_MAX, Frame, Mtu, Nic, NicQueueFull, Nics};

/// The machine one node runs on: what its root lends it for one turn.
pub struct Machine<'a> {
    /// The data disk.
    pub disk: &'a mut dyn Disk,
    /// The wires to the peers. Clients come over the first.
    pub nics: &'a mut dyn Nics,
    /// Where log lines go.
    pub console: &'a mut dyn Console,
    /// What the machine is made of.
    pub inventory: &'a dyn Inventory,
}

impl Machine<'_> {
    /// The first NIC, whose MAC address is the machine's name.
    pub fn nic(&mut self) -> &mut dyn Nic {
        self.nics.nic(0)
    }
}
