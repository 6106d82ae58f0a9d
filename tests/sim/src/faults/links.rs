//! Faults of the network.

use std::ops::Range;
use std::time::Duration;

use drivers_sim::LinkFaults;

use super::{FaultKind, Injector, Remedy, mend};
use crate::cluster::{CLIENTS_PORT, Cluster};
use crate::nics::Way;
use crate::options::Dice;

impl Injector {
    pub(super) fn cut(&mut self, kind: FaultKind, cluster: &mut Cluster) -> Option<Remedy> {
        let ports: Vec<usize> = (1..=usize::from(cluster.len())).collect();
        let (one, other): (Vec<usize>, Vec<usize>) =
            ports.into_iter().partition(|_| self.dice.between(0, 1) == 1);
        if one.is_empty() || other.is_empty() {
            return None;
        }
        let way = if kind == FaultKind::OneWayPartition { Way::There } else { Way::Both };
        let fabrics = self.fabrics(cluster);
        cluster.set_cut(fabrics.clone(), [&one, &other], way, true);
        Some(mend(move |cluster| cluster.set_cut(fabrics.clone(), [&one, &other], way, false)))
    }

    /// Those that a cut is of: of several, one as often as all.
    fn fabrics(&mut self, cluster: &Cluster) -> Range<usize> {
        let all = cluster.fabrics();
        if all.len() == 1 || self.dice.between(0, 1) == 0 {
            return all;
        }
        let one = self.dice.between(0, all.len() as u64 - 1) as usize;
        one..one + 1
    }

    pub(super) fn spoil_link(&mut self, kind: FaultKind, cluster: &mut Cluster, from: u8) -> Option<Remedy> {
        let (from, to) = (usize::from(from), self.dice.between(1, cluster.len().into()) as usize);
        let faults = self.link_faults(kind);
        if from == to {
            return None;
        }
        let fabrics = self.fabrics(cluster);
        cluster.set_link(fabrics.clone(), from, to, Some(faults));
        Some(mend(move |cluster| cluster.set_link(fabrics.clone(), from, to, None)))
    }

    /// Faults between a node and its clients. In half of the cuts only one direction is cut: a request may be
    /// done whose answer nobody hears.
    pub(super) fn spoil_clients(
        &mut self,
        kind: FaultKind,
        cluster: &mut Cluster,
        victim: u8,
    ) -> Option<Remedy> {
        let (clients, node) = (CLIENTS_PORT, usize::from(victim));
        if kind == FaultKind::BadClientLink {
            let faults = Some(self.link_faults(kind));
            let set = move |cluster: &mut Cluster, faults| {
                cluster.network.set_link(clients, node, faults);
                cluster.network.set_link(node, clients, faults);
            };
            set(cluster, faults);
            return Some(mend(move |cluster| set(cluster, None)));
        }
        let which = self.dice.between(0, 3);
        let set = move |cluster: &mut Cluster, cut| match which {
            0 => cluster.network.set_cut_one_way(&[clients], &[node], cut),
            1 => cluster.network.set_cut_one_way(&[node], &[clients], cut),
            _ => cluster.network.set_cut(&[clients], &[node], cut),
        };
        set(cluster, true);
        Some(mend(move |cluster| set(cluster, false)))
    }

    pub(super) fn link_faults(&mut self, kind: FaultKind) -> LinkFaults {
        let per_mille = |dice: &mut Dice, most| dice.between(0, most) as u32;
        let dice = &mut self.dice;
        match kind {
            FaultKind::SlowLink => {
                LinkFaults { bytes_per_second: dice.between(2_000, 200_000), ..LinkFaults::default() }
            }
            FaultKind::JitteryWire => LinkFaults {
                jitter: dice.span(1, 30),
                reorder_per_mille: per_mille(dice, 100),
                // Frames of sessions that have ended long ago arrive in those that followed.
                held_back: Duration::from_millis(*dice.one_of(&[20, 500, 5_000])),
                ..LinkFaults::default()
            },
            FaultKind::BadClientLink => LinkFaults {
                loss_per_mille: per_mille(dice, 300),
                duplicate_per_mille: per_mille(dice, 100),
                corrupt_per_mille: per_mille(dice, 50),
                reorder_per_mille: per_mille(dice, 100),
                held_back: Duration::from_millis(*dice.one_of(&[20, 500, 5_000])),
                jitter: dice.span(0, 30),
                ..LinkFaults::default()
            },
            _ => LinkFaults {
                loss_per_mille: per_mille(dice, if kind == FaultKind::BadLink { 600 } else { 120 }),
                duplicate_per_mille: per_mille(dice, 50),
                corrupt_per_mille: per_mille(dice, 20),
                jitter: dice.span(0, 3),
                ..LinkFaults::default()
            },
        }
    }
}

/// Two sides that do not hear each other.
pub(super) struct Cut(Vec<usize>, Vec<usize>);

impl Cut {
    pub(super) fn heal(&self, cluster: &mut Cluster) {
        cluster.set_cut(cluster.fabrics(), [&self.0, &self.1], Way::Both, false);
    }

    pub(super) fn remedy(self) -> Remedy {
        mend(move |cluster| self.heal(cluster))
    }
}

/// Cuts these nodes off from the other nodes.
pub(super) fn cut_off(cluster: &mut Cluster, ids: &[u8]) -> Option<Cut> {
    let ports = 1..=usize::from(cluster.len());
    let (one, other): (Vec<usize>, Vec<usize>) = ports.partition(|port| ids.contains(&(*port as u8)));
    if one.is_empty() || other.is_empty() {
        return None;
    }
    cluster.set_cut(cluster.fabrics(), [&one, &other], Way::Both, true);
    Some(Cut(one, other))
}
