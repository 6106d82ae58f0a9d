//! One request: what the device sees of it, and what the driver keeps.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU8, AtomicU64};

use drivers_api::DiskOperation;

use crate::ring::Descriptor;

/// Descriptors of a request: header, data, status.
pub(super) const PARTS: u16 = 3;

/// What the status byte holds until the device writes it.
pub(super) const STATUS_NONE: u8 = 0xff;

/// What the device and the driver share of one request.
#[repr(C, align(128))]
pub(super) struct Slot {
    pub table: [Descriptor; PARTS as usize],
    /// Type (and a reserved half), sector.
    pub header: [AtomicU64; 2],
    pub status: AtomicU8,
}

/// A request under way.
pub(super) struct InFlight {
    pub id: u64,
    pub operation: HeldOperation,
    /// A flush follows, or is what the slot is doing now.
    pub flush: FlushStep,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FlushStep {
    /// None is needed.
    None,
    /// To be done once the write has completed.
    Owed,
    /// The write has completed; the flush is under way.
    UnderWay,
}

/// An operation whose buffer the device may be using: held as a raw pointer, for it is not ours now.
pub(super) enum HeldOperation {
    Read { sector: u64, buffer: *mut [u8] },
    Write { sector: u64, buffer: *mut [u8], durable: bool },
    Flush,
}

impl HeldOperation {
    pub fn hold(operation: DiskOperation) -> HeldOperation {
        match operation {
            DiskOperation::Read { sector, buffer } => {
                HeldOperation::Read { sector, buffer: Box::into_raw(buffer) }
            }
            DiskOperation::Write { sector, buffer, durable } => {
                HeldOperation::Write { sector, buffer: Box::into_raw(buffer), durable }
            }
            DiskOperation::Flush => HeldOperation::Flush,
        }
    }

    /// Gives the buffer back.
    ///
    /// # Safety
    ///
    /// The device must be done with it.
    pub unsafe fn release(self) -> DiskOperation {
        match self {
            HeldOperation::Read { sector, buffer } => {
                // SAFETY: the pointer comes from Box::into_raw in hold, and self is consumed.
                DiskOperation::Read { sector, buffer: unsafe { Box::from_raw(buffer) } }
            }
            HeldOperation::Write { sector, buffer, durable } => {
                // SAFETY: as above.
                DiskOperation::Write { sector, buffer: unsafe { Box::from_raw(buffer) }, durable }
            }
            HeldOperation::Flush => DiskOperation::Flush,
        }
    }
}

impl Slot {
    pub fn new() -> Slot {
        Slot { table: Default::default(), header: Default::default(), status: AtomicU8::new(STATUS_NONE) }
    }
}
