//! What a loader tells, whichever protocol it speaks.

use heapless::Vec;

use crate::{Region, RegionSet};

/// The most pieces the machine's memory may come in.
pub const RAM_REGIONS_MAX: usize = 96;
/// The most boot modules that are looked at.
pub const MODULES_MAX: usize = 8;
/// The most regions that [`Handover::reserved`] gives.
pub const RESERVED_MAX: usize = MODULES_MAX + 2;

/// What the loader left, by places in physical memory.
#[derive(Clone, Debug, Default)]
pub struct Handover {
    /// All RAM. Pieces beyond [`RAM_REGIONS_MAX`] are left unused.
    pub ram: RegionSet<RAM_REGIONS_MAX>,
    /// The boot modules, in order.
    pub modules: Vec<Region, MODULES_MAX>,
    /// Where the ACPI tables start, if the loader knows.
    pub rsdp: Option<u64>,
    /// The kernel's command line, without a zero at its end.
    pub command_line: Region,
    /// What the loader wrote to tell all that, if the kernel still reads some of it.
    pub information: Region,
}

impl Handover {
    /// The memory that holds what the loader left and the kernel still reads.
    pub fn reserved(&self) -> impl Iterator<Item = Region> {
        self.modules.iter().copied().chain([self.command_line, self.information])
    }

    /// The first module: the symbol table, by convention.
    pub fn symbols(&self) -> Option<Region> {
        self.modules.first().copied()
    }
}
