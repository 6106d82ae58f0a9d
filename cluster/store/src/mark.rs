//! What is kept on the disk beside rows.

use alloc::sync::Arc;

use cluster_format::{Digest, LogPosition, Membership, decode};
use cluster_tree::Root;
use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::requests::RequestList;
use crate::settings::Settings;

/// A place in the ledger, and the digest of the entry there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// The place; zeros before the first entry.
    pub last: LogPosition,
    /// The digest.
    pub digest: Digest,
}

/// What is known of tables though none of them can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TablesRoot {
    pub(crate) tree: Root,
    pub(crate) through: Through,
    pub(crate) membership: Arc<Membership>,
}

/// Up to where tables have taken the ledger in, and who is a member then: by a disk's root of them. `None` if that has no
/// meaning, as where there are no tables.
pub fn root_says(root: &[u8]) -> Option<(Through, Arc<Membership>)> {
    let root = decode::<TablesRoot>(root).ok().filter(|root| root.through.last.is_plausible())?;
    Some((root.through, root.membership))
}

/// What has to be known of tables beside their rows, to go on from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) through: Through,
    pub(crate) membership: Arc<Membership>,
    pub(crate) requests: RequestList,
    pub(crate) history: History,
    /// They are rows, too; here, they are known before any row is read.
    pub(crate) settings: Settings,
}

/// A mark's meaning; none if it has none, as that of tables that were never written.
pub(crate) fn parse_mark(mark: &[u8]) -> Option<Mark> {
    decode::<Mark>(mark).ok().filter(|mark| mark.through.last.is_plausible())
}
