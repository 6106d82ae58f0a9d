//! Tables on their way from one node to another.

use cluster_format::{SnapshotHead, Version};
use cluster_tree::{Arrived, Incoming, Outgoing, TransferError};

use super::Tables;
use crate::Through;
use crate::mark::{Mark, parse_mark};

impl Tables {
    /// The tables on the disk as they are now, to be sent to another node, and what they stand for. What is in memory only
    /// is not in them; none while they do not reach `version`.
    pub fn outgoing(&self, version: Version) -> Option<(Outgoing, SnapshotHead)> {
        let Mark { through, membership, .. } = parse_mark(self.tree.mark())?;
        let Through { last, digest } = through;
        if last.version < version {
            return None;
        }
        let outgoing = self.tree.outgoing();
        let (content, content_len) = outgoing.content();
        Some((
            outgoing,
            SnapshotHead { last, digest, membership: (*membership).clone(), content, content_len },
        ))
    }

    /// Tables of another node begin to arrive.
    pub fn incoming(&self, head: &SnapshotHead) -> Incoming {
        self.tree.incoming((head.content, head.content_len))
    }

    /// Replaces everything by what has arrived, if that is what `head` says; [`TablesEvent::Replaced`] says when, and a
    /// [`TablesEvent::Root`] follows.
    pub fn replace(&mut self, head: &SnapshotHead, arrived: Arrived) -> Result<(), TransferError> {
        let is_so = parse_mark(arrived.mark()).is_some_and(|mark| {
            let Through { last, digest } = mark.through;
            let is_same = (last, digest) == (head.last, head.digest) && *mark.membership == head.membership;
            is_same && head.membership.is_bounded()
        });
        if !is_so {
            return Err(TransferError::Different);
        }
        self.tree.replace(arrived);
        Ok(())
    }
}
