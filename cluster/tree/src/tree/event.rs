//! What a tree tells its owner.

use alloc::sync::Arc;

use crate::{OpenError, Root, Scrubbed, TableId, WriteError};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeEvent {
    /// It has been read from the disk, with this mark; empty if it is new.
    Opened(Arc<[u8]>),
    /// It cannot be read from the disk, and does nothing any more.
    NotOpened(OpenError),
    /// What has arrived has replaced everything, with this mark; its root is to follow.
    Replaced(Arc<[u8]>),
    /// A root is to replace the one before it, durably: [`Tree::root_durable`](crate::Tree::root_durable) is to say when.
    Root {
        /// The root.
        root: Root,
        /// What is then in tables.
        mark: Arc<[u8]>,
        /// Whether these are the tables of [`Tree::replace`](crate::Tree::replace), and all that was there before is gone.
        is_replacement: bool,
    },
    /// There was no room for tables. What was added is still there.
    Full,
    /// A table has been read from end to end, since damage was met in it or by [`Tree::scrub_next`](crate::Tree::scrub_next). If it is damaged, it is
    /// left where it is, and what needs it does not get on until it is [mended](crate::Tree::mend), or everything is had anew.
    Scrubbed(Scrubbed),
    /// This table lacks nothing any more: it was written anew with what it had lost, or can be read again.
    Mended(TableId),
    /// The tables that [`Tree::mend`](crate::Tree::mend) was to write were not written. They may be tried again.
    NotMended(WriteError),
    /// The disk can no longer be used, or what is on it makes no sense. The tree does nothing any more but read.
    Failed(WriteError),
}
