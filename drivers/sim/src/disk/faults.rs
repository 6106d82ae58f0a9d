//! What may befall a disk, and what did.

use core::ops::AddAssign;
use core::time::Duration;

/// What befalls requests. Shares are per million of the requests they are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Requests that take longer.
    pub spikes_per_million: u32,
    /// By how much at most.
    pub spike: Duration,
    /// Whether requests overtake each other, as the contract allows.
    pub reorder: bool,
    /// Writes that complete and never arrive: the sectors keep what they held.
    pub lost_per_million: u32,
    /// Writes that complete and arrive at another place of the disk.
    pub misdirected_per_million: u32,
    /// Writes that complete and arrive later; after a crash perhaps never.
    pub late_per_million: u32,
    /// By how much at most.
    pub lateness: Duration,
    /// Reads that find one of their sectors unreadable, from then on until it is written.
    pub unreadable_per_million: u32,
}

/// How many faults have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaultCounts {
    /// Requests that took longer.
    pub spikes: u64,
    /// Requests that completed before an earlier one.
    pub reordered: u64,
    /// Requests that completed late because the disk was stuck.
    pub stuck: u64,
    /// Writes of which a crash let some sectors arrive and others not.
    pub torn: u64,
    /// Writes that never arrived.
    pub lost: u64,
    /// Writes that arrived elsewhere.
    pub misdirected: u64,
    /// Writes that arrived late, or never because of a crash.
    pub late: u64,
    /// Lost, misdirected and late writes that a crash put right, because nobody could have noticed them.
    pub withdrawn: u64,
    /// Sectors of which a bit flipped.
    pub rotten: u64,
    /// Sectors that became unreadable.
    pub unreadable: u64,
    /// Requests that failed.
    pub errors: u64,
}

impl AddAssign for DiskFaultCounts {
    fn add_assign(&mut self, other: DiskFaultCounts) {
        self.spikes += other.spikes;
        self.reordered += other.reordered;
        self.stuck += other.stuck;
        self.torn += other.torn;
        self.lost += other.lost;
        self.misdirected += other.misdirected;
        self.late += other.late;
        self.withdrawn += other.withdrawn;
        self.rotten += other.rotten;
        self.unreadable += other.unreadable;
        self.errors += other.errors;
    }
}
