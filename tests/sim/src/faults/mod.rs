//! What is broken at random times, and mended again.
//!
//! A new kind of fault is a variant of [`FaultKind`] with its name, and an arm in [`Injector::inject`] that
//! breaks something and returns what mends it. Its count follows by itself.

mod clocks;
mod damage;
mod disks;
mod kind;
mod leaders;
mod links;
mod majority;
mod memory;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use drivers_api::{Disk, Instant};
use drivers_sim::LinkFaults;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tests_workloads::{Connection, World};

use crate::cluster::Cluster;
use crate::options::{Dice, Options};
use crate::report::Counts;
use damage::Damage;
pub use kind::FaultKind;
use kind::Part;

/// What is set, and to what: now old versions are forgotten early, now they are kept.
const SETTINGS: [(&str, &[&str]); 2] = [
    ("retention", &["'0'", "'1s'", "'10s'", "'5min'", "'90d'", "DEFAULT"]),
    ("retention_disk_share", &["'0%'", "'5%'", "'90%'", "DEFAULT"]),
];

/// What ends a fault.
type Remedy = Box<dyn FnOnce(&mut Cluster, &mut Damage)>;

/// A fault that lasts.
struct Broken {
    part: Option<Part>,
    due: Instant,
    mend: Remedy,
}

/// Breaks and mends, from a seed.
pub struct Injector {
    dice: Dice,
    enabled: Vec<FaultKind>,
    /// What is broken at present.
    broken: Vec<Broken>,
    injected: [u64; FaultKind::ALL.len()],
    disk_latency: Duration,
    /// The most between two faults.
    fault_pause: Duration,
    /// How long faults last.
    fault_span: (Duration, Duration),
    damage: Damage,
    /// Whether leaders serve reads by lease, for which clocks must agree.
    lease: bool,
    /// Bytes of the tables of a node whose memory is not short.
    tables_len_max: usize,
    /// Pauses during which the clock stood still.
    clocks_stopped: u64,
    /// Statements that are not answered yet.
    calls: Rc<Cell<u64>>,
}

impl Injector {
    /// Faults of these kinds.
    pub fn new(options: &Options) -> Injector {
        let Options { seed, disk_latency, fault_pause, fault_span, beyond_bound, lease, .. } = *options;
        let enabled = &options.faults;
        let dice = Dice(ChaCha8Rng::seed_from_u64(seed ^ 0x6661_756c_7473));
        Injector {
            dice,
            enabled: enabled.to_vec(),
            broken: Vec::new(),
            injected: [0; FaultKind::ALL.len()],
            disk_latency,
            fault_pause,
            fault_span,
            damage: Damage::new(beyond_bound),
            lease,
            tables_len_max: options.tables_len_max,
            clocks_stopped: 0,
            calls: Rc::default(),
        }
    }

    /// Lets the cluster run for a while, mends what is due meanwhile, and breaks one more thing.
    pub fn disturb(&mut self, cluster: &mut Cluster) {
        let end = cluster.now() + self.dice.span(1, self.fault_pause.as_millis() as u64);
        while cluster.now() < end {
            let next = self.broken.iter().map(|broken| broken.due).fold(end, Instant::min);
            cluster.run(next.since(cluster.now()));
            let now = cluster.now();
            for broken in self.broken.extract_if(.., |broken| broken.due <= now) {
                (broken.mend)(cluster, &mut self.damage);
            }
        }
        let kind = *self.dice.one_of(&self.enabled);
        let victim = self.dice.between(1, cluster.len().into()) as u8;
        let part = kind.part(victim);
        if part.is_some() && self.broken.iter().any(|broken| broken.part == part) {
            return;
        }
        let is_asked = self.calls.get() > 0;
        if kind.is_destructive() && !self.damage.may_take_from(cluster, victim, is_asked) {
            return;
        }
        if let Some(mend) = self.inject(kind, cluster, victim) {
            cluster.note_fault(kind.name());
            self.injected[kind as usize] += 1;
            self.mend_later(cluster, part, mend);
        }
    }

    fn mend_later(&mut self, cluster: &Cluster, part: Option<Part>, mend: Remedy) {
        let (least, most) = self.fault_span;
        let span = self.dice.span(least.as_millis() as u64, most.as_millis() as u64);
        self.broken.push(Broken { part, due: cluster.now() + span, mend });
    }

    /// Mends everything, and starts every node.
    pub fn mend_all(&mut self, cluster: &mut Cluster) {
        self.broken.drain(..).for_each(|broken| (broken.mend)(cluster, &mut self.damage));
        cluster.network.heal();
        for id in 1..=cluster.len() {
            cluster.pause(id, false);
            restart(cluster, id);
        }
        self.damage.clear();
        cluster.note_fault("all mended");
    }

    /// How often what has happened.
    pub fn counts(&self, cluster: &Cluster) -> Counts {
        let mut counts = Counts::default();
        for kind in FaultKind::ALL {
            counts.add(kind.name(), self.injected[kind as usize]);
        }
        counts.add("power failed amid disk requests", cluster.crashes_in_burst);
        counts.add("clocks that stood still in a pause", self.clocks_stopped);
        counts.add_network(&cluster.network.counts);
        counts.add_disk(&cluster.disk_counts());
        counts
    }

    /// Asks a node to run one statement, whatever comes of it.
    fn call(&self, cluster: &mut Cluster, node: u8, sql: String) {
        let (host, calls) = (cluster.host(), self.calls.clone());
        calls.set(calls.get() + 1);
        cluster.spawn(async move {
            let answer = async { host.connect(node).await?.query(&sql).await }.await;
            // It may be down, or have no quorum.
            drop(answer);
            calls.set(calls.get() - 1);
        });
    }

    /// How many of the statements that nodes were asked to run are not answered yet.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Breaks something; none if there is nothing to break that way now.
    fn inject(&mut self, kind: FaultKind, cluster: &mut Cluster, victim: u8) -> Option<Remedy> {
        match kind {
            FaultKind::Crash => cluster.is_up(victim).then(|| {
                cluster.crash(victim);
                mend(move |cluster| restart(cluster, victim))
            }),
            FaultKind::CrashInBurst => cluster.is_up(victim).then(|| {
                cluster.crash_after_requests(victim, self.dice.between(0, 12) as u32);
                mend(move |cluster| {
                    // At the latest now: nothing breaks by itself later.
                    cluster.crash(victim);
                    restart(cluster, victim);
                })
            }),
            FaultKind::CrashAll => {
                // Each comes back at a time of its own.
                for id in (1..=cluster.len()).filter(|id| cluster.is_up(*id)).collect::<Vec<_>>() {
                    cluster.crash(id);
                    self.mend_later(cluster, None, mend(move |cluster| restart(cluster, id)));
                }
                Some(mend(|_| {}))
            }
            FaultKind::CrashLeader => cluster.leader().map(|leader| {
                cluster.crash(leader);
                mend(move |cluster| restart(cluster, leader))
            }),
            FaultKind::IsolatedLeader => self.isolate_leader(cluster),
            FaultKind::Succession => self.succession(cluster),
            FaultKind::Partition | FaultKind::OneWayPartition => self.cut(kind, cluster),
            FaultKind::LossyWire | FaultKind::JitteryWire => {
                cluster.network.faults = self.link_faults(kind);
                Some(mend(|cluster| cluster.network.faults = LinkFaults::default()))
            }
            FaultKind::BadLink | FaultKind::SlowLink => self.spoil_link(kind, cluster, victim),
            FaultKind::BadClientLink | FaultKind::ClientCut => self.spoil_clients(kind, cluster, victim),
            FaultKind::Pause | FaultKind::ClockDrift | FaultKind::ClockLeap | FaultKind::ClockJump => {
                self.disturb_clock(kind, cluster, victim)
            }
            FaultKind::SlowDisk
            | FaultKind::StuckDisk
            | FaultKind::SickDisk
            | FaultKind::BrokenDisk
            | FaultKind::Rot
            | FaultKind::UnreadableSectors
            | FaultKind::BlankDisk
            | FaultKind::LargerDisk => self.disturb_disk(kind, cluster, victim),
            FaultKind::RemovedNode => {
                let ask = victim % cluster.len() + 1;
                self.call(cluster, ask, format!("CALL sys.remove_node({victim})"));
                self.damage.done(victim);
                // It comes back as another.
                Some(Box::new(move |cluster, damage| {
                    give_blank_disk(cluster, victim);
                    damage.leaving(victim);
                }))
            }
            FaultKind::MemoryPressure => self.take_memory(cluster),
            FaultKind::RivalRemovals => self.remove_rivals(cluster, victim),
            FaultKind::Transfer => {
                let to = self.dice.between(0, cluster.len().into());
                let to = if to == 0 { String::new() } else { to.to_string() };
                self.call(cluster, victim, format!("CALL sys.transfer_leadership({to})"));
                Some(mend(|_| {}))
            }
            FaultKind::Setting => {
                let (name, values) = *self.dice.one_of(&SETTINGS);
                let value = *self.dice.one_of(values);
                let sql = format!("UPDATE sys.settings SET value = {value} WHERE name = '{name}'");
                self.call(cluster, victim, sql);
                Some(mend(|_| {}))
            }
            FaultKind::Join => (!cluster.was_started(victim)).then(|| {
                cluster.start(victim);
                mend(|_| {})
            }),
        }
    }
}

fn mend(remedy: impl FnOnce(&mut Cluster) + 'static) -> Remedy {
    Box::new(|cluster, _| remedy(cluster))
}

/// With `remedy`, `node` begins to get back what it has lost.
fn mend_damage(node: u8, remedy: impl FnOnce(&mut Cluster) + 'static) -> Remedy {
    Box::new(move |cluster, damage| {
        remedy(cluster);
        damage.mending(node);
    })
}

/// Replaces a node's disk by a blank one, as large.
pub(crate) fn give_blank_disk(cluster: &mut Cluster, id: u8) {
    cluster.crash(id);
    let sectors = Disk::geometry(cluster.disk(id)).sectors;
    cluster.replace_disk(id, sectors);
    cluster.start(id);
}

/// Starts a node that is down.
fn restart(cluster: &mut Cluster, id: u8) {
    if !cluster.is_up(id) {
        cluster.start(id);
    }
}
