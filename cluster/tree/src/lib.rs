//! Sorted tables of versioned rows, in frames on a disk: what a log-structured merge tree is made of.
//!
//! ```text
//!  a table:  ┌────────┬────────┬───────┬────────┬─ ─ ─┬────────┬────────┐
//!            │ rows 1 │ rows 2 │ value │ rows 3 │     │ filter │ index  │   frames, each in whole sectors
//!            └────────┴────────┴───────┴────────┴─ ─ ─┴────────┴────────┘
//!                 ▲ sum     ▲ sum                          │ sum    │ sum
//!                 └─────────┴───────────── the index       ▼        ▼
//!                                                          the table's description
//! ```
//!
//! 1. **A record is a key, a version, and a value or none.** Keys ascend, and the versions of one key descend: whoever
//!    looks for a key as of a version finds the answer in the first record that is not before both.
//! 2. **What is written never changes.** Tables are built in order, once, and read by anyone who has their description.
//! 3. **Whoever refers to a frame knows its checksum.** So a write that was lost, late or misdirected is told apart
//!    from what should be there even if it left an older frame that is intact in itself.
//! 4. **Nothing here knows where a table lies.** Frames are named by their place in the table, so that a table may
//!    be sent to another node and is the same there.
//! 5. **Bytes of a disk are not trusted.** Any bytes give records or an error, and no more memory than they may.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod block;
mod builder;
mod cache;
mod cells;
mod cursor;
mod filter;
mod frame;
mod grid;
mod levels;
mod manifest;
mod memtable;
mod merge;
mod record;
mod retention;
mod source;
mod table;
mod tree;
mod varint;
mod writer;
mod yielding;

pub use block::{Block, BlockBuilder, BlockCursor};
pub use builder::TableBuilder;
pub use cache::{FrameCache, FrameId};
pub use cells::{CELL_SECTORS, CellRun, Cells};
pub use cursor::TableCursor;
pub use filter::Filter;
pub use frame::{Frame, FrameError, FrameKind, FrameRef, Sum, TableId};
pub use grid::{Grid, REQUEST_TAG};
pub use levels::{Compaction, Levels};
pub use manifest::{Manifest, OpenError, Root};
pub use memtable::MemTable;
pub use merge::{Merge, Row, read};
pub use record::{Position, Record, Value};
pub use retention::Retention;
pub use source::{Direction, Source};
pub use table::{Frames, ReadError, Table, TableHead};
pub use tree::{Snapshot, Tree, TreeEvent, TreeOptions};
pub use writer::WriteError;

#[cfg(test)]
mod tests;
