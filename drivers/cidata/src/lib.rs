//! Config drives, as cloud-init's data source NoCloud has them: a small read-only disk with an ISO 9660 volume (ECMA-119)
//! that is labelled `cidata`, whose file `user-data` says what the machine is to be.
//!
//! ```text
//!  block 0      16           17            18                                 of 2048 bytes
//!  ┌───────────┬────────────┬─────────────┬─────┬────────────────┬─────────────────────────┐
//!  │ not ours  │ primary    │ Joliet's    │ end │ directories    │ files                   │
//!  │           │ descriptor │ (or others) │     │ USER_DAT.;1    │ relix.node=2 ...        │
//!  └───────────┴────────────┴─────────────┴─────┴────────────────┴─────────────────────────┘
//! ```
//!
//! 1. **Bytes in, bytes out.** [`Search`] says which sectors it wants and takes them; [`volume`] is the bytes of a drive. Who
//!    reads and writes, and how, is the caller's.
//! 2. **Bounded.** Nothing is read, or allocated, by a length that has not been checked: a few descriptors, a directory of
//!    64 KiB for each of two trees, and a file as long as the caller allows.
//! 3. **Whoever made it.** The file goes by its Rock Ridge name, its plain one or its Joliet one, as tools write them.
//! 4. **Nothing else is read.** No other files or directories, no FAT, which NoCloud allows too.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod descriptor;
mod error;
mod record;
mod search;
mod write;

pub use error::CidataError;
pub use search::Search;
pub use write::volume;

/// Bytes of a block, as volumes count them unless they say otherwise; a directory's records never cross from one to the next.
const BLOCK_LEN: usize = 2048;
/// Where descriptors begin, in such blocks.
const DESCRIPTORS_START: u64 = 16;

/// How names and labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// As the standard has them, with a Rock Ridge name behind, perhaps.
    Plain,
    /// In UCS-2, big-endian.
    Joliet,
}

#[cfg(test)]
mod tests;
