//! The machine contract from a seed: disks that tear, lose and misplace writes and decay, wires that lose, double and
//! delay. Time is whatever the simulator says; the same seed gives the same faults.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod disk;
mod network;

pub use disk::{Arrived, DiskFaultCounts, DiskFaults, SimDisk};
pub use network::{LinkFaults, NetworkFaultCounts, SimNetwork, SimNic};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use drivers_api::{Console, DeviceInfo, Entropy, Inventory, Level, MemoryInfo};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Entropy that depends on a seed alone.
pub struct SimEntropy(ChaCha8Rng);

impl SimEntropy {
    /// The bytes of this seed.
    pub fn new(seed: u64) -> SimEntropy {
        SimEntropy(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Entropy for SimEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// A console that keeps its lines.
#[derive(Debug, Default)]
pub struct SimConsole {
    /// Level and text of each line.
    pub lines: Vec<(Level, String)>,
}

impl Console for SimConsole {
    fn log(&mut self, level: Level, line: fmt::Arguments<'_>) {
        self.lines.push((level, alloc::format!("{line}")));
    }
}

/// A machine of no devices.
pub struct SimInventory;

impl Inventory for SimInventory {
    fn devices(&self) -> Vec<DeviceInfo> {
        Vec::new()
    }

    fn memory(&self) -> MemoryInfo {
        MemoryInfo::default()
    }
}
