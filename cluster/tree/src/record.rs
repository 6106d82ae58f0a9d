//! A key at a version, and what it was then.

use core::cmp::Ordering;

use cluster_format::Version;

/// Where a record stands: keys ascend, the versions of one key descend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The version that wrote it.
    pub version: Version,
}

impl<'a> Position<'a> {
    /// Where `key` begins: no version of it comes before.
    pub fn first_of(key: &'a [u8]) -> Position<'a> {
        Position { key, version: Version(u64::MAX) }
    }
}

impl Ord for Position<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(other.key).then(other.version.cmp(&self.version))
    }
}

impl PartialOrd for Position<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a key was set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing: the key was deleted.
    Deleted,
    /// These bytes.
    Inline(&'a [u8]),
    /// The bytes of another frame of the same table, to which this refers: the bytes of a [`crate::FrameRef`].
    Far(&'a [u8]),
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it stands.
    pub position: Position<'a>,
    /// What it says.
    pub value: Value<'a>,
}
