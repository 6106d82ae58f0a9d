//! Machines with less memory.

use super::{Injector, Remedy, mend};
use crate::cluster::Cluster;

impl Injector {
    /// All machines start again with less memory for tables, which may hold more than that already: whatever
    /// makes them grow is refused until the machines have their memory back. One alone would make no difference,
    /// unless it led.
    pub(super) fn take_memory(&mut self, cluster: &mut Cluster) -> Option<Remedy> {
        let usual = self.tables_len_max;
        let less = 1024 * *self.dice.one_of(&[8, 32, 100, 300]);
        start_with(cluster, less);
        Some(mend(move |cluster| start_with(cluster, usual)))
    }
}

/// Starts every node that runs again, with so many bytes for its tables; those that are down will have no more.
fn start_with(cluster: &mut Cluster, tables_len_max: usize) {
    for id in 1..=cluster.len() {
        cluster.options(id).tables_len_max = tables_len_max;
        if cluster.is_up(id) {
            cluster.crash(id);
            cluster.start(id);
        }
    }
}
