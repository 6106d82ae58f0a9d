//! Disk, NIC and entropy from virtio devices, over PCI and over MMIO.
//!
//! The principles:
//!
//! 1. **No polling, no waiting.** A completion is found after an interrupt woke the task; submitting never
//!    waits. (Seeding the generator at boot is the one exception: one request, before there are tasks.)
//! 2. **The device is not trusted.** Every index and length it writes is checked; a device that breaks the
//!    protocol is reset, and its requests fail.
//! 3. **One kick for many requests**, left out when the device says it is awake (EVENT_IDX), after a full
//!    fence: a store to the ring must not pass the load of the device's wish.
//! 4. **Durable means durable.** With a write-back cache a durable write is a write and then a flush.
//! 5. **The machine is a trait.** [`Platform`] is all that is asked of the kernel.

#![no_std]

extern crate alloc;

mod block;
mod discovery;
mod entropy;
#[cfg(test)]
mod fake;
mod mmio;
mod network;
mod pci;
mod platform;
mod registers;
mod ring;
mod transport;

pub use block::{BlockDevice, CacheMode};
pub use discovery::{DeviceList, Devices, MmioSlot, discover};
pub use entropy::ChaChaEntropy;
pub use network::NetworkDevice;
pub use platform::{Ecam, InterruptMessage, Platform};
pub use transport::InitError;
