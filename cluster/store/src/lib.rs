//! Tables of bytes: an ordered map from key to value, one state for each ledger version.
//!
//! 1. **A snapshot is a value.** It is taken in constant time, never changes, and may be read anywhere.
//! 2. **A transaction is a snapshot and a buffer.** It notes what it read; its writes reach nobody before
//!    the ledger has them.
//! 3. **The resolver decides by the ledger alone**: what was read must not have been written since.
//!
//! The tables live in memory, in a persistent red-black tree; the journal brings them back.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod memory;
mod requests;
mod resolver;
mod snapshot;
mod tables;
mod transaction;
mod transfer;

pub use cluster_tree::{Direction, ReadError, Row, yield_now};
pub use memory::{Lease, MemoryPool, PoolEmpty};
pub use requests::RequestState;
pub use resolver::{Conflict, Resolver};
pub use snapshot::Snapshot;
pub use tables::{ApplyError, Tables};
pub use transaction::{Savepoint, Scan, StoreError, Transaction};
pub use transfer::{Incoming, Outgoing, TransferError};
