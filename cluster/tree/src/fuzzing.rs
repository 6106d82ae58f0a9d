//! What tests/fuzz feeds with any bytes, and what it needs to put bytes behind checksums that are right.

pub use crate::block::{Block, BlockBuilder, BlockCursor};
pub use crate::builder::TableBuilder;
pub use crate::cursor::TableCursor;
pub use crate::filter::{Filter, HashedKey};
pub use crate::frame::{Frame, FrameKind};
pub use crate::manifest::Manifest;
pub use crate::memtable::MemTable;
pub use crate::read::{Dead, read};
pub use crate::record::{Position, Record, Value};
pub use crate::source::Source;
pub use crate::table::Frames;
