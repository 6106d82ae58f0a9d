//! A disk of sectors.

use alloc::boxed::Box;
use core::fmt;
use core::task::{Context, Poll};

/// Bytes in a sector, the unit of addresses on every [`Disk`].
pub const SECTOR_SIZE: usize = 512;

/// What a disk is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskGeometry {
    /// Capacity in sectors of [`SECTOR_SIZE`] bytes.
    pub sectors: u64,
    /// How many requests may be in flight at once.
    pub queue_depth: u16,
    /// The most bytes one request may carry.
    pub transfer_len_max: usize,
}

/// One request. `id` is the submitter's own and comes back with the completion; requests may complete in
/// any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskRequest {
    /// The submitter's name for it.
    pub id: u64,
    /// What to do.
    pub operation: DiskOperation,
}

/// What a request asks for. Buffer lengths are positive multiples of [`SECTOR_SIZE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Fills `buffer` from `sector` on.
    Read {
        /// First sector.
        sector: u64,
        /// Filled by the device.
        buffer: Box<[u8]>,
    },
    /// Writes `buffer` from `sector` on. With `durable`, completes only when the medium holds *this*
    /// write; without, a later durable request or [`DiskOperation::Flush`] is needed.
    Write {
        /// First sector.
        sector: u64,
        /// What to write.
        buffer: Box<[u8]>,
        /// Whether completion promises durability.
        durable: bool,
    },
    /// Makes every write that completed before this request was submitted durable.
    Flush,
}

/// A finished request, with the buffer it carried.
#[derive(Debug, PartialEq, Eq)]
pub struct DiskCompletion {
    /// As submitted.
    pub id: u64,
    /// As submitted; a read's buffer is filled when `result` is `Ok`.
    pub operation: DiskOperation,
    /// How it went.
    pub result: Result<(), DiskError>,
}

/// Why a request failed. Either way the sectors concerned hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The device or its medium failed (unreadable sector, write error).
    Device,
    /// The request did not fit the geometry: the submitter's fault.
    OutOfRange,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskError::Device => "the disk reported an I/O error",
            DiskError::OutOfRange => "a disk request lies outside the disk",
        })
    }
}

/// A disk. See the crate's principles for what every implementation promises.
pub trait Disk {
    /// Its size and limits. The limits are constant while the machine runs. The size may change:
    /// [`Disk::poll_completion`] takes notice of that, and the waker it was given is woken for it.
    fn geometry(&self) -> DiskGeometry;

    /// Queues `request`, or gives it back when the queue is full: poll completions, then try again.
    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest>;

    /// Hands what was submitted to the device.
    fn kick(&mut self);

    /// The next finished request, in order of completion.
    fn poll_completion(&mut self, context: &mut Context<'_>) -> Poll<DiskCompletion>;
}
