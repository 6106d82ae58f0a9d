//! What tables tell their owner.

use alloc::vec::Vec;

use cluster_tree::{Scrubbed, TableId};

use crate::{OpenError, Through, WriteError};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TablesEvent {
    /// They have been read from the disk: entries may be applied.
    Opened,
    /// What the root says makes no sense: the disk is another's.
    NotOpened,
    /// They cannot be read from the disk any more. What they stood for is known, and nothing can be applied to them until
    /// [`Tables::replace`](crate::Tables::replace) has replaced them.
    Lost(OpenError),
    /// Something of one of them cannot be read any more. What needs it does not get on until it is
    /// [mended](crate::Tables::mend), or they are replaced.
    Damaged(Scrubbed),
    /// This one was read from end to end, and nothing is wrong with it.
    Intact(TableId),
    /// This one has been written anew, with what it had lost.
    Mended(TableId),
    /// Those that were to be mended could not be: try again later.
    NotMended(WriteError),
    /// They are another node's now, if not durably: a root is to follow.
    Replaced,
    /// This root is to be made durable, and [`Tables::root_durable`](crate::Tables::root_durable) is to say when.
    Root {
        /// Its bytes.
        root: Vec<u8>,
        /// The tables that it leads to hold the ledger up to here.
        through: Through,
        /// Whether it is that of [`Tables::replace`](crate::Tables::replace).
        is_replacement: bool,
    },
    /// The disk is too full for what was applied. It is still in memory.
    Full,
    /// The device no longer works.
    Failed(WriteError),
}
