//! Who takes part.

use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::limits::MEMBERS_MAX;

/// The life of a node's disk: a number drawn when it was formatted. A node that comes back with another
/// disk has forgotten what it promised, so it is another member under the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// Not known yet: that of a founder, before the first leader is elected.
    pub const UNKNOWN: Incarnation = Incarnation(0);
}

/// A member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its disk.
    pub incarnation: Incarnation,
}

/// The members, as of one ledger entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// Those whose quorum elects and commits, by ascending id.
    pub voters: Vec<Member>,
    /// Those who get the ledger and have no vote, by ascending id.
    pub learners: Vec<Member>,
    /// Those who were taken out on purpose, the newest last, at most [`REMOVED_MAX`]: they do not join again
    /// unless with another disk.
    pub removed: Vec<Member>,
}

/// Removed members that are remembered. One that was forgotten could join again by itself.
pub const REMOVED_MAX: usize = 64;

impl Membership {
    /// The membership a cluster of nodes 1 to `size` is founded with.
    pub fn founding(size: u8) -> Membership {
        let founder = |id| Member { node: NodeId(id), incarnation: Incarnation::UNKNOWN };
        Membership { voters: (1..=size).map(founder).collect(), ..Membership::default() }
    }

    /// Whether no leader was elected yet: the founders' disks are not known.
    pub fn is_founding(&self) -> bool {
        self.voters.iter().any(|voter| voter.incarnation == Incarnation::UNKNOWN)
    }

    /// The voter with this id.
    pub fn voter(&self, node: NodeId) -> Option<&Member> {
        self.voters.iter().find(|member| member.node == node)
    }

    /// The learner with this id.
    pub fn learner(&self, node: NodeId) -> Option<&Member> {
        self.learners.iter().find(|member| member.node == node)
    }

    /// The member with this id, voter or learner.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.voter(node).or_else(|| self.learner(node))
    }

    /// All members, voters first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.voters.iter().chain(&self.learners)
    }

    /// Whether there are no more of each than there may be.
    pub fn is_bounded(&self) -> bool {
        self.members().count() <= MEMBERS_MAX && self.removed.len() <= REMOVED_MAX
    }

    /// How many voters make a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, members: &[Member]| {
            members.iter().enumerate().try_for_each(|(index, member)| match index {
                0 => write!(f, "{}", member.node),
                _ => write!(f, ",{}", member.node),
            })
        };
        f.write_str("voters ")?;
        list(f, &self.voters)?;
        if !self.learners.is_empty() {
            f.write_str(" learners ")?;
            list(f, &self.learners)?;
        }
        Ok(())
    }
}
