//! How much may be lost at a time.

use std::collections::BTreeMap;

use crate::cluster::Cluster;

/// The nodes that have lost something. As long as they are a minority of the voters, every datum is left in a
/// majority of the places where it was.
#[derive(Default)]
pub(super) struct Damage {
    nodes: BTreeMap<u8, Stage>,
    /// Something is taken from any node at any time, though never every disk: the cluster may stop, and must
    /// not lie.
    beyond_bound: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has lost something, and may not know it.
    Done,
    /// It was started again, or has a blank disk: it gets back what it has lost.
    Mending,
    /// The same; besides, it was asked to leave the cluster, which may take place later, or may have taken place
    /// without its knowledge.
    Leaving,
}

impl Damage {
    pub(super) fn new(beyond_bound: bool) -> Damage {
        Damage { nodes: BTreeMap::new(), beyond_bound }
    }

    /// Whether `victim` has everything, and everyone else would still have what it loses, whichever of the lists of
    /// voters in the logs of those that are up will come to hold. `is_asked` says whether somebody may still be at
    /// work on a change of the members.
    pub(super) fn may_take_from(&mut self, cluster: &Cluster, victim: u8, is_asked: bool) -> bool {
        if self.beyond_bound {
            // One disk stays as it is: without any, there is nothing left to be true to.
            return victim != 1 && cluster.is_up(victim);
        }
        let may_shrink = is_asked || !cluster.agrees_who_votes();
        self.nodes.retain(|id, stage| match stage {
            Stage::Done => true,
            Stage::Mending => !cluster.is_well(*id),
            Stage::Leaving => may_shrink || !cluster.is_well(*id),
        });
        let lists = (1..=cluster.len()).map(|id| cluster.voters(id).len()).filter(|len| *len > 0);
        let fewest = cluster.leader().and(lists.min()).unwrap_or(0);
        let is_minority = self.nodes.len() < fewest.saturating_sub(1) / 2;
        is_minority && !self.is_noted(victim) && cluster.is_well(victim)
    }

    /// Whether `node` has lost something, or is about to.
    pub(super) fn is_noted(&self, node: u8) -> bool {
        self.nodes.contains_key(&node)
    }

    /// Whether `node` has everything it ever had.
    pub(super) fn is_intact(&self, cluster: &Cluster, node: u8) -> bool {
        match (self.nodes.get(&node), cluster.health(node)) {
            (Some(Stage::Done), _) => false,
            (_, Some(health)) => health.is_well(),
            // It is down, or reads its disk.
            (stage, None) => stage.is_none(),
        }
    }

    /// `node` has lost something.
    pub(super) fn done(&mut self, node: u8) {
        self.nodes.insert(node, Stage::Done);
    }

    /// `node` gets back what it has lost from now on.
    pub(super) fn mending(&mut self, node: u8) {
        self.nodes.insert(node, Stage::Mending);
    }

    /// The same; besides, the cluster was asked to go on without `node`.
    pub(super) fn leaving(&mut self, node: u8) {
        self.nodes.insert(node, Stage::Leaving);
    }

    /// Everyone is about to get everything back.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
    }
}
