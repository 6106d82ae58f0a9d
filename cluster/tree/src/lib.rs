//! A log-structured merge tree of versioned rows, straight on a disk.
//!
//! ```text
//!  the tree:  memory ─► young runs ─► level 1 ─► level 2 ...       named by a manifest, that by a root
//!
//!  a table:  ┌────────┬────────┬───────┬────────┬─ ─ ─┬────────┬────────┐
//!            │ rows 1 │ rows 2 │ value │ rows 3 │     │ filter │ index  │   frames, each in whole sectors
//!            └────────┴────────┴───────┴────────┴─ ─ ─┴────────┴────────┘
//!                 ▲ sum     ▲ sum                          │ sum    │ sum
//!                 └─────────┴───────────── the index       ▼        ▼
//!                                                          the table's head, in the manifest
//! ```
//!
//! 1. **A record is a key, a version, and a value or none.** Keys ascend, and the versions of one key descend: whoever
//!    looks for a key as of a version finds the answer in the first record that is not before both.
//! 2. **What is written never changes.** Tables are built in order, once, in one piece of free cells, and are read by
//!    anyone who has their description. Cells are given away again when no durable root and no reader needs them.
//! 3. **Whoever refers to a frame knows its checksum**, from the root down. So a write that was lost, late or
//!    misdirected is told apart from what should be there even if it left an older frame that is intact in itself.
//! 4. **A table's bytes do not depend on where it lies**: its frames name each other by their places in the table, so
//!    that it may be sent to another node and is the same there.
//! 5. **Bytes of a disk are not trusted.** Any bytes give records or an error, and take no more memory than they may.
//!
//! No clock, no I/O: requests for the disk come out of the [`Grid`], completions go into it, and whoever owns a
//! [`Tree`] lets it [advance](Tree::advance).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod block;
mod builder;
mod cache;
mod cells;
mod cursor;
mod dead;
mod filter;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod grid;
mod levels;
mod manifest;
mod memtable;
mod merge;
mod patch;
mod read;
mod record;
mod retention;
mod retired;
mod scrub;
mod snapshot;
mod source;
mod table;
mod tombstones;
mod transfer;
mod tree;
mod varint;
mod writer;
mod yielding;

pub use cache::CacheCounts;
pub use cells::{CELL_SECTORS, CellRun};
pub use frame::{FrameError, FrameRef, Sum, TableId};
pub use grid::{BlockReads, Grid, GridStatus, REQUEST_TAG, REQUEST_TAG_BITS};
pub use levels::{Levels, Run};
pub use manifest::{OpenError, Root};
pub use memtable::WrittenSince;
pub use patch::{NotFilled, PATCH_LEN_MAX, Patch, PatchPiece, PatchQuestion};
pub use read::{Most, RangeRead, Row, RowSink};
pub use scrub::{Gap, Scrubbed};
pub use snapshot::Snapshot;
pub use source::Direction;
pub use table::{ReadError, Table, TableHead};
pub use tombstones::{RANGE_TOMBSTONES_MAX, RangeTombstones};
pub use transfer::{Arrived, Incoming, Outgoing, TransferError};
pub use tree::{Tree, TreeEvent, TreeOptions};
pub use writer::WriteError;
pub use yielding::yield_now;

pub(crate) use block::{Block, BlockBuilder, BlockCursor, Found};
pub(crate) use builder::TableBuilder;
pub(crate) use cache::{FrameCache, FrameId};
pub(crate) use cells::Cells;
pub(crate) use cursor::TableCursor;
pub(crate) use dead::DeadRanges;
pub(crate) use filter::{Filter, HashedKey};
pub(crate) use frame::{Frame, FrameKind};
pub(crate) use manifest::Manifest;
pub(crate) use memtable::MemTable;
pub(crate) use merge::Merge;
pub(crate) use read::{Dead, read};
pub(crate) use record::{Position, Record, Value};
pub(crate) use retention::Retention;
pub(crate) use source::{Gaps, Source, SourceValue};
pub(crate) use table::Frames;

#[cfg(test)]
mod tests;
