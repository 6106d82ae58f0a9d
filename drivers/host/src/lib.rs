//! The machine contract on Linux: a file is the disk, a Unix socket the wire. The same node that boots in
//! a VM runs here as a process, at native speed.
//!
//! The root owns a [`Waiter`] and sleeps in it between turns: it watches the wire's socket, those of the
//! clients, and a descriptor through which the disk's thread wakes it. Nothing polls.

#![forbid(unsafe_code)]

mod clock;
mod disk;
mod nic;
mod streams;
mod waiter;

pub use clock::{HostClock, HostConsole, HostEntropy, HostInventory};
pub use disk::{DiskSize, HostDisk};
pub use nic::HostNic;
pub use streams::{HostStream, Streams};
pub use waiter::Waiter;
