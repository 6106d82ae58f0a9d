//! Why an entry cannot be applied.

use core::fmt;

use cluster_format::Version;

/// An entry that does not follow from the state: the ledger has a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyError {
    /// The version that should have come.
    pub expected: Version,
    /// The one that came.
    pub found: Version,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ledger entry {} was applied where {} was due", self.found, self.expected)
    }
}
