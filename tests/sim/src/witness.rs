//! Someone who sees all nodes at once, and holds consensus to what it promises (Ongaro's thesis, figure 3.2).
//!
//! Workloads find what a mistake comes to, if it comes to anything while they look. The witness sees it when
//! it happens: two leaders of one term, a leader that lacks what was committed, two histories that are both
//! committed, time that goes back. Entries are told apart by their digests, and a digest stands for all the history up to it.

use std::collections::BTreeMap;

use cluster_format::{Digest, Version};
use cluster_node::Raft;

/// What it has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// Who led each term.
    leaders: BTreeMap<u64, u8>,
    /// What was committed, as far as a node's memory told, and the term of the node that was seen to know of
    /// it first.
    committed: BTreeMap<Version, (Digest, u64)>,
    /// The commit index each node was last seen with, in this life of it.
    commits: BTreeMap<u8, Version>,
}

impl Witness {
    /// A node has started: it may know less than before.
    pub(crate) fn forget(&mut self, id: u8) {
        self.commits.remove(&id);
    }

    /// A node has done something; what it thereby broke, if anything.
    pub(crate) fn look(&mut self, id: u8, raft: &Raft) -> Result<(), String> {
        if raft.is_leader() && self.leaders.get(&raft.term()) != Some(&id) {
            self.elected(id, raft)?;
        }
        let (seen, commit) = (self.commits.get(&id).copied().unwrap_or_default(), raft.commit());
        if commit > seen {
            self.commits.insert(id, commit);
            self.has_committed(id, raft, seen)?;
        }
        Ok(())
    }

    fn elected(&mut self, id: u8, raft: &Raft) -> Result<(), String> {
        let term = raft.term();
        if let Some(other) = self.leaders.insert(term, id) {
            return Err(format!("nodes {other} and {id} both lead term {term}"));
        }
        // One that comes to lead late, when others have gone on, owes nothing to what was committed since.
        let earlier = self.committed.iter().rev().find(|(_, (_, committed_in))| *committed_in < term);
        let Some((&version, &(digest, _))) = earlier else { return Ok(()) };
        let log = raft.log();
        let has_other = log.digest_at(version).is_some_and(|own| own != digest);
        if log.last().version < version || has_other {
            return Err(format!(
                "node {id} leads term {term} with a log up to {}, and lacks version {version}, which is committed",
                log.last()
            ));
        }
        Ok(())
    }

    fn has_committed(&mut self, id: u8, raft: &Raft, seen: Version) -> Result<(), String> {
        for version in (seen.0 + 1..=raft.commit().0).rev().map(Version) {
            // What memory no longer tells was looked at when it did, or at another node.
            let Some(digest) = raft.log().digest_at(version) else { break };
            let (known, _) = *self.committed.entry(version).or_insert((digest, raft.term()));
            let log = raft.log();
            if let (Some(entry), Some(next)) = (log.entry(version), log.entry(version.next()))
                && next.wall_micros < entry.wall_micros
            {
                return Err(format!("the ledger's time goes back with version {}", next.version));
            }
            if known != digest {
                return Err(format!("node {id} commits {digest} as version {version}, which was {known}"));
            }
        }
        Ok(())
    }
}
