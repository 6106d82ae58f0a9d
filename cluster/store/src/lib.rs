//! Tables of bytes: an ordered map from key to value, one state for each ledger version.
//!
//! 1. **A snapshot is a value.** It is taken in constant time, never changes, and may be read anywhere.
//! 2. **A transaction is a snapshot and a buffer.** It notes what it read; its writes reach nobody before
//!    the ledger has them.
//! 3. **The leader decides by the ledger alone**: what was read, or is written, must not have been written since. If it no
//!    longer knows, it refuses.
//!
//! Rows live in a [tree](cluster_tree) on the disk; the newest are in memory only, and the journal brings them back.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod event;
mod history;
mod mark;
mod memory;
mod mending;
mod ranges;
mod requests;
mod resolver;
mod settings;
mod snapshot;
mod system;
mod tables;
mod transaction;

pub use cluster_tree::{
    Arrived, BlockReads, Direction, Incoming, Most, NotFilled, OpenError, Outgoing, PATCH_LEN_MAX, Patch,
    PatchPiece, PatchQuestion, REQUEST_TAG, REQUEST_TAG_BITS, ReadError, Row, RowSink, Scrubbed, TableId,
    TransferError, WriteError, yield_now,
};
pub use error::ApplyError;
pub use event::TablesEvent;
pub use mark::{Through, root_says};
pub use memory::{Lease, MemoryPool, PoolEmpty};
pub use mending::{Mended, Mending};
pub use requests::RequestState;
pub use resolver::{Conflict, Resolver};
pub use settings::{SETTINGS, SETTINGS_PREFIX, Setting, Settings, is_setting};
pub use snapshot::{Slice, Snapshot};
pub use system::SYSTEM_SPACE;
pub use tables::{Tables, TablesOptions};
pub use transaction::{Parts, Savepoint, Scan, StoreError, Transaction};

#[cfg(test)]
mod tests;
