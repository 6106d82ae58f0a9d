//! Files: a tree of them in tables, `sys.inodes`, `sys.entries`, `sys.blocks` and `sys.quotas`.
//!
//! 1. **In the transaction that is open.** Each procedure works inside the block that its session is in, and in no other way:
//!    any number of changes of files are one transaction, together with whatever else the block does.
//! 2. **As POSIX has it**, but for what follows. A [problem](FileError::Path) with a path has changed nothing, and the block may
//!    go on.
//! 3. **No row is hot.** Who makes, renames or removes a file writes rows of that file alone: the times of a directory do not
//!    change with its entries, nothing counts them, and times of access are not kept. Two who do so in one directory do not
//!    meet, unless an owner of theirs has a quota.
//!
//! Names are Unicode text. Permissions and owners are kept, shown and changed, but **not enforced**: there are no accounts yet
//! that they could be enforced for.

mod attributes;
mod contents;
mod error;
mod inode;
mod path;
mod quota;
mod release;
mod statements;
mod tree;

use cluster_format::limits::{TRANSACTION_LEN_MAX, WRITES_MAX};
use cluster_sql::ServiceSchema;

pub use attributes::{links, list, read_link, set_mode, set_modified, set_owner, stat, stat_link};
pub use contents::{append, read, truncate, write};
pub use error::{FileError, FileResult, Problem};
pub use inode::{Inode, Kind, New};
pub use tree::{
    create, link, make_directories, make_directory, remove_directory, remove_tree, rename, symlink, unlink,
};

/// Its tables.
pub const SCHEMA: ServiceSchema = ServiceSchema { number: 5, name: "files", sql: include_str!("schema.sql") };

/// The inode of the root.
pub const ROOT: i64 = 1;

/// Whose what is that nobody in particular has made.
pub const SYSTEM: &str = "relix";

/// Longest path, in bytes, and what a symbolic link may say.
pub const PATH_LEN_MAX: usize = 4096;

/// Longest name, in bytes.
pub const NAME_LEN_MAX: usize = 255;

/// Most symbolic links on one way.
pub const HOPS_MAX: usize = 40;

/// Bytes of a block. A change of a byte writes a block, to the ledger and to the tables of all nodes, so it must not be long;
/// it is a row, which takes some 50 bytes beside, so it must not be short. From 8 KiB on, the tree keeps a value in a frame of
/// its own, and goes past it without reading it: so many bytes are four pages, and a 64th of what one read may ask for.
pub const BLOCK_LEN: usize = 16 << 10;

/// Longest file, in bytes: so long that one transaction can remove it, and as much again.
pub const FILE_LEN_MAX: u64 = 1 << 30;

/// Most bytes that are read at a time.
pub const READ_LEN_MAX: usize = 1 << 20;

/// Most entries that are listed at a time.
pub const LIST_MAX: usize = 1000;

/// Blocks that one statement writes.
const WRITE_BLOCKS: usize = READ_LEN_MAX / BLOCK_LEN;

/// Blocks that one statement deletes: it has them in memory.
const DELETE_BLOCKS: u64 = 512;

const _: () = {
    let blocks = (FILE_LEN_MAX / BLOCK_LEN as u64) as usize;
    assert!(2 * blocks <= WRITES_MAX);
    // More than the key of a block counts for when it is deleted.
    assert!(2 * blocks * 48 <= TRANSACTION_LEN_MAX);
};

#[cfg(test)]
mod tests;
