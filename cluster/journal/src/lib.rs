//! The ledger on a disk.
//!
//! ```text
//!  sector 0      8        512      1024     2048                                             the caller's
//!  ┌────────────┬────────┬────────┬────────┬────────────┬────────────┬─────┬──────────────┬─────── ─ ─
//!  │ superblock │ copy 3 │ copy 2 │ copy 4 │ record n-1 │ record n   │ ... │ record n-2   │ tables
//!  └────────────┴────────┴────────┴────────┴────────────┴────────────┴─────┴──────────────┴─────── ─ ─
//!        │                                 └───────────── a ring of records ──────────────┘
//!        └─ says where the ring begins, what the ledger was before that, and where the tables are
//!
//!  record = header (144 bytes) + entries, padded to sectors
//! ```
//!
//! Records are appended one after the other, around and around, never over an older one that is needed: what is before
//! the ring's beginning is in the tables, and the superblock says so ([`Journal::checkpoint`]). A record that starts at
//! an earlier version than the last ended replaces what it overlaps, as Raft's followers must.
//!
//! # What it assumes of the disk
//! 1. A durable write that completed is there after any crash, as a rule: see below for the exceptions.
//! 2. A write cut short by a crash leaves each of its sectors old, new, or damaged.
//! 3. Anything may happen to a sector at any time: it may decay, become unreadable, lose what was written
//!    to it, or get what was meant for another.
//!
//! # Damage is reported, not hidden
//! After "Protocol-Aware Recovery for Consensus-Based Storage" (Alagappan et al., FAST 2018): a journal
//! that is damaged opens, and says exactly what is intact, so that the node can fetch the rest from its
//! peers. Each record names its journal, its own place and its sequence, repeats the checksum of the header
//! before it, and says what the log ends in. Its place is one of a lap around the ring, so that it is told from what an
//! earlier lap has left. Where the next record does not verify, the journal looks on sector by sector for a later one:
//!
//! * If there is one, what lies between was acknowledged and is lost; the later record is reported with
//!   [`Record::after_damage`], and its [`Record::end`] says whether entries were lost with it.
//! * If there is none, it was a torn write that nobody was told of, and is written over.
//!
//! # What cannot be noticed
//! Damage to the last record *and to every record behind it* looks like a torn write. So a node that
//! appends an empty record (a *seal*) soon after the last one loses entries, or a vote, unnoticed only if
//! both go; until it has, the last record is as safe as one sector. Records that begin more than 1 MiB and
//! a request's length behind a region of zeros, or a longest record's length more behind one of other bytes,
//! are not found either. A record whose header alone is left counts as evidence of what came before it,
//! but not as a record with entries.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checkpoint;
mod error;
mod index;
mod journal;
mod marks;
mod opening;
mod reader;
mod reading;
mod record;
mod ring;
mod scanner;
mod superblock;

pub use error::JournalError;
pub use journal::{Journal, JournalEvent};
pub use marks::Mark;
pub use record::{LogEnd, Record, RecordState};
pub use superblock::{
    Beginning, COPIES, Heading, Identity, RECORDS_START, ROOT_LEN_MAX, SUPERBLOCK_LEN, heading,
};

#[cfg(test)]
mod tests;
