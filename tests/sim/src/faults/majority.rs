//! Faults end for a majority alone.

use std::time::Duration;

use drivers_sim::DiskFaults;

use super::{FaultKind, Injector, restart};
use crate::cluster::Cluster;
use crate::nics::Way;

/// Nodes that were started have read their disks within this.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// How those fare that are not of the majority.
#[derive(Clone, Copy)]
enum Outside {
    Down,
    Paused,
    CutOff,
    /// It is heard and hears nobody.
    Deaf,
    /// It hears and is not heard.
    Mute,
    BadLinks,
    /// Only the network is well.
    AsItIs,
}

const OUTSIDE: [Outside; 7] = [
    Outside::Down,
    Outside::Paused,
    Outside::CutOff,
    Outside::Deaf,
    Outside::Mute,
    Outside::BadLinks,
    Outside::AsItIs,
];

impl Injector {
    /// Mends just so many nodes as are a majority of the voters, and the network between them. The others keep
    /// their faults, and get more. Who they are; none if there are not enough that have lost nothing.
    pub fn mend_majority(&mut self, cluster: &mut Cluster) -> Option<Vec<u8>> {
        let voters = self.voters(cluster);
        let intact = voters.iter().copied().filter(|id| self.damage.is_intact(cluster, *id));
        let mut candidates: Vec<u8> = intact.collect();
        let needed = voters.len() / 2 + 1;
        if voters.is_empty() || candidates.len() < needed {
            return None;
        }
        while candidates.len() > needed {
            let spare = self.dice.between(0, candidates.len() as u64 - 1) as usize;
            candidates.remove(spare);
        }
        cluster.network.heal();
        for id in 1..=cluster.len() {
            self.give_memory_back(cluster, id);
            match candidates.contains(&id) {
                true => self.mend_node(cluster, id),
                false => self.spoil_node(cluster, id, &candidates),
            }
        }
        cluster.note_fault(&format!("nodes {candidates:?} mended"));
        Some(candidates)
    }

    /// The voters, as the leader knows them; without one, as whoever knows of the newest commit does. If too
    /// few of those are up, others may know better: whoever has lost nothing has to read its disk to tell.
    fn voters(&self, cluster: &mut Cluster) -> Vec<u8> {
        let knows = |cluster: &Cluster, id: u8| cluster.commit(id).is_some();
        let told = newest_voters(cluster);
        let up = told.iter().filter(|id| knows(cluster, **id)).count();
        if up < told.len() / 2 + 1 {
            let damage = &self.damage;
            let intact: Vec<u8> = (1..=cluster.len())
                .filter(|id| cluster.was_started(*id) && damage.is_intact(cluster, *id))
                .collect();
            intact.iter().for_each(|id| restart(cluster, *id));
            cluster.run_until_so(READ_WITHIN, |cluster| intact.iter().all(|id| knows(cluster, *id)));
        }
        newest_voters(cluster)
    }

    /// What befalls a node that has lost nothing, ends. What was to end it later does no harm.
    fn mend_node(&mut self, cluster: &mut Cluster, id: u8) {
        let now = cluster.now();
        let disk = cluster.disk(id);
        (disk.latency, disk.faults, disk.stuck_until) = (self.disk_latency, DiskFaults::default(), now);
        cluster.set_clock(id, |clock| {
            clock.go_on(now);
            clock.drift(now, 0);
        });
        cluster.pause(id, false);
        // No power failure is on its way.
        cluster.crash_after_requests(id, u32::MAX);
        restart(cluster, id);
    }

    /// Whoever leads refuses what does not fit its memory, so one that is short of it may stop the others. It is down
    /// afterwards.
    fn give_memory_back(&self, cluster: &mut Cluster, id: u8) {
        if cluster.options(id).tables_len_max != self.tables_len_max {
            cluster.options(id).tables_len_max = self.tables_len_max;
            cluster.crash(id);
        }
    }

    fn spoil_node(&mut self, cluster: &mut Cluster, id: u8, majority: &[u8]) {
        let others: Vec<usize> = majority.iter().map(|other| usize::from(*other)).collect();
        let own = [usize::from(id)];
        match *self.dice.one_of(&OUTSIDE) {
            Outside::Down => cluster.crash(id),
            Outside::Paused => cluster.pause(id, true),
            Outside::CutOff => cluster.set_cut(cluster.fabrics(), [&own, &others], Way::Both, true),
            Outside::Deaf => cluster.set_cut(cluster.fabrics(), [&others, &own], Way::There, true),
            Outside::Mute => cluster.set_cut(cluster.fabrics(), [&own, &others], Way::There, true),
            Outside::BadLinks => {
                for other in others {
                    let mut draw = || Some(self.link_faults(FaultKind::BadLink));
                    let (to, from) = (draw(), draw());
                    cluster.set_link(cluster.fabrics(), own[0], other, to);
                    cluster.set_link(cluster.fabrics(), other, own[0], from);
                }
            }
            Outside::AsItIs => {}
        }
    }
}

/// The voters, as far as those know who are up.
fn newest_voters(cluster: &Cluster) -> Vec<u8> {
    let newest = (1..=cluster.len()).max_by_key(|id| (cluster.commit(*id), *id));
    cluster.leader().or(newest).map(|id| cluster.voters(id)).unwrap_or_default()
}
