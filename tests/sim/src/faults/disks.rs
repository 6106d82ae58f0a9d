//! Faults of disks.

use cluster_journal::RECORDS_START;
use drivers_api::Disk;
use drivers_sim::DiskFaults;

use super::{FaultKind, Injector, Remedy, give_blank_disk, mend, mend_damage, restart};
use crate::cluster::Cluster;
use crate::options::Dice;

/// A disk grows by so much at a time, at most: 8 MiB.
const GROWTH_SECTORS_MAX: u64 = 8 * 2048;

impl Injector {
    /// Faults of disks. What they destroy is noticed at the next start, so that follows.
    pub(super) fn disturb_disk(
        &mut self,
        kind: FaultKind,
        cluster: &mut Cluster,
        victim: u8,
    ) -> Option<Remedy> {
        let usual = self.disk_latency;
        let per_million = |dice: &mut Dice| dice.between(0, 60_000) as u32;
        let (dice, now) = (&mut self.dice, cluster.now());
        let disk = cluster.disk(victim);
        match kind {
            FaultKind::SlowDisk => {
                disk.latency = dice.span(5, 400);
                disk.faults.reorder = dice.between(0, 1) == 1;
                disk.faults.spikes_per_million = per_million(dice);
                disk.faults.spike = dice.span(1, 2_000);
                return Some(mend(move |cluster| {
                    cluster.disk(victim).latency = usual;
                    cluster.disk(victim).faults = DiskFaults::default();
                }));
            }
            FaultKind::StuckDisk => {
                disk.stuck_until = now + dice.span(100, 5_000);
                return Some(mend(|_| {}));
            }
            FaultKind::SickDisk => {
                disk.faults = DiskFaults {
                    lost_per_million: per_million(dice),
                    misdirected_per_million: per_million(dice),
                    late_per_million: per_million(dice),
                    lateness: dice.span(1, 3_000),
                    unreadable_per_million: per_million(dice),
                    ..DiskFaults::default()
                };
            }
            FaultKind::Rot | FaultKind::UnreadableSectors => {
                // Most of the superblock's copies are left, too.
                let (count, sectors) = match dice.between(0, 3) {
                    0 => (1, 0..RECORDS_START),
                    _ => (dice.between(1, 8) as usize, RECORDS_START..Disk::geometry(disk).sectors),
                };
                match kind {
                    FaultKind::Rot => disk.rot(count, sectors),
                    _ => disk.spoil(count, sectors),
                }
            }
            FaultKind::LargerDisk => {
                let sectors = Disk::geometry(disk).sectors + dice.between(1, GROWTH_SECTORS_MAX);
                cluster.resize_disk(victim, sectors);
                return Some(mend(|_| {}));
            }
            FaultKind::BrokenDisk => {
                disk.broken = true;
                self.damage.done(victim);
                return Some(mend_damage(victim, move |cluster| give_blank_disk(cluster, victim)));
            }
            _ => {
                give_blank_disk(cluster, victim);
                self.damage.mending(victim);
                return Some(mend(|_| {}));
            }
        }
        self.damage.done(victim);
        Some(mend_damage(victim, move |cluster| {
            cluster.disk(victim).faults = DiskFaults::default();
            cluster.crash(victim);
            restart(cluster, victim);
        }))
    }
}
