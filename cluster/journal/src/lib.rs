//! The ledger on a disk.
//!
//! ```text
//!  sector 0        8          2048                                        end
//!  ┌────────────┬────────────┬──────────┬──────────┬─────┬───────────────┐
//!  │ superblock │ superblock │ record 1 │ record 2 │ ... │ never written │
//!  │            │ copy       │          │          │     │               │
//!  └────────────┴────────────┴──────────┴──────────┴─────┴───────────────┘
//!  record = header (64 bytes) + entries, padded to sectors
//! ```
//!
//! What it assumes of the disk, and no more:
//! 1. A durable write that completed is there after any crash.
//! 2. A write cut short by a crash leaves each of its sectors old, new, or damaged.
//! 3. Sectors that were not written keep their contents.
//!
//! Records are appended one after the other, never over an older one. A record that starts at an earlier
//! version than the last ended replaces what it overlaps, as Raft's followers must. Each header carries the
//! checksum of the one before, so records form a chain; a record that does not verify ends it. If nothing
//! of this journal lies behind, it was a torn write, never acknowledged, and is written over; otherwise
//! something acknowledged is damaged, and the journal refuses to open rather than forget it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod index;
mod journal;
mod reader;
mod record;
mod recovery;
mod superblock;

pub use journal::{Journal, JournalError, JournalEvent};
pub use record::{Record, RecordState};
pub use superblock::Identity;

#[cfg(test)]
mod tests;
