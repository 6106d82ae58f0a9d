//! Names of things.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A member of the cluster, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u8);

impl NodeId {
    /// As a receiver: every node that can be reached.
    pub const EVERYONE: NodeId = NodeId(0);
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A position in the ledger, and so the one order of everything: the state after the entry at this
/// position. 0 is the empty state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl Version {
    /// The empty state.
    pub const ZERO: Version = Version(0);

    /// The next position.
    pub const fn next(self) -> Version {
        Version(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A cluster, told from every other by the CRC-64 of its name: disks, frames and messages of another
/// cluster are refused by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u64);

impl ClusterId {
    /// The id of the cluster called `name`.
    pub fn of_name(name: &str) -> ClusterId {
        const ALGORITHM: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_XZ);
        ClusterId(ALGORITHM.checksum(name.as_bytes()))
    }
}

/// One commit request, for ever: a retry after a lost leader carries the same id, and the ledger takes it
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The session (or other origin) that asks: drawn at random when it opens.
    pub session: u64,
    /// Counts the session's commits. A session has one commit in flight at a time.
    pub sequence: u64,
}
