//! What is broken at random times, and mended again.
//!
//! A new kind of fault is a variant of [`FaultKind`] with its name, and an arm in [`Injector::inject`] that
//! breaks something and returns what mends it. Its count follows by itself.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use drivers_api::Instant;
use drivers_sim::{DiskFaults, LinkFaults, SimNetwork};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tests_workloads::{Connection, World};

use crate::clock::DRIFT_PPM_MAX;
use crate::cluster::Cluster;
use crate::options::{Dice, Options};
use crate::report::Counts;

macro_rules! fault_kinds {
    ($($kind:ident = $name:literal,)+) => {
        /// The kinds of faults there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FaultKind {
            $(#[doc = $name] $kind,)+
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: [FaultKind; [$(FaultKind::$kind),+].len()] = [$(FaultKind::$kind),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(FaultKind::$kind => $name,)+
                }
            }
        }
    };
}

fault_kinds! {
    Crash = "crash",
    CrashInBurst = "crash amid disk requests",
    CrashAll = "crash of all nodes",
    CrashLeader = "crash of the leader",
    IsolatedLeader = "leader cut off",
    Succession = "succession of leaders",
    Pause = "pause",
    Partition = "partition",
    OneWayPartition = "one-way partition",
    LossyWire = "lossy wire",
    JitteryWire = "jittery wire",
    BadLink = "bad link",
    SlowLink = "slow link",
    ClockDrift = "clock drift",
    ClockJump = "clock jump",
    SlowDisk = "slow disk",
    StuckDisk = "stuck disk",
    SickDisk = "sick disk",
    Rot = "bit rot",
    UnreadableSectors = "unreadable sectors",
    BlankDisk = "blank disk",
    RemovedNode = "removed node",
    RivalRemovals = "rival removals",
    Transfer = "leadership transfer",
    Join = "joining node",
}

impl FaultKind {
    /// Whether it destroys what a node has promised to keep.
    fn is_destructive(self) -> bool {
        matches!(
            self,
            FaultKind::SickDisk
                | FaultKind::Rot
                | FaultKind::UnreadableSectors
                | FaultKind::BlankDisk
                | FaultKind::RemovedNode
                | FaultKind::RivalRemovals
        )
    }
}

/// What ends a fault.
type Remedy = Box<dyn FnOnce(&mut Cluster)>;

/// Breaks and mends, from a seed.
pub struct Injector {
    dice: Dice,
    enabled: Vec<FaultKind>,
    /// What is broken at present, and when it is mended.
    broken: Vec<(Instant, Remedy)>,
    injected: [u64; FaultKind::ALL.len()],
    disk_latency: Duration,
    /// The most between two faults.
    fault_pause: Duration,
    /// How long faults last.
    fault_span: (Duration, Duration),
    /// While a node has lost something, nothing is taken from another, so that every datum is left in a
    /// majority of the places where it was.
    damage: Rc<Cell<Damage>>,
    /// Takes something from any node at any time, though never every disk: the cluster may stop, and must
    /// not lie.
    beyond_bound: bool,
}

/// What has become of the last thing that was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// Everyone has everything.
    None,
    /// This node has lost something, and may not know it.
    Done(u8),
    /// It was started again, or has a blank disk: it gets back what it has lost.
    Mending(u8),
}

/// One leader follows the other within this, or not at all.
const SUCCESSION_MAX: Duration = Duration::from_secs(3);

/// Where records begin on a disk.
const RECORDS_START: u64 = 2048;

/// A node that was given a blank disk has one of so many sectors.
pub(crate) const DISK_SECTORS: u64 = 64 * 2048;

impl Injector {
    /// Faults of these kinds.
    pub fn new(options: &Options) -> Injector {
        let Options { seed, disk_latency, fault_pause, fault_span, beyond_bound, .. } = *options;
        let enabled = &options.faults;
        let dice = Dice(ChaCha8Rng::seed_from_u64(seed ^ 0x6661_756c_7473));
        let (broken, injected) = (Vec::new(), [0; FaultKind::ALL.len()]);
        Injector {
            dice,
            enabled: enabled.to_vec(),
            broken,
            injected,
            disk_latency,
            fault_pause,
            fault_span,
            damage: Rc::new(Cell::new(Damage::None)),
            beyond_bound,
        }
    }

    /// Lets the cluster run for a while, mends what is due meanwhile, and breaks one more thing.
    pub fn disturb(&mut self, cluster: &mut Cluster) {
        let end = cluster.now() + self.dice.span(1, self.fault_pause.as_millis() as u64);
        while cluster.now() < end {
            let next = self.broken.iter().map(|(due, _)| *due).fold(end, Instant::min);
            cluster.run(next.since(cluster.now()));
            let now = cluster.now();
            for (_, mend) in self.broken.extract_if(.., |(due, _)| *due <= now).collect::<Vec<_>>() {
                mend(cluster);
            }
        }
        let kind = *self.dice.one_of(&self.enabled);
        if let Some(mend) = self.inject(kind, cluster) {
            cluster.note_fault(kind.name());
            self.injected[kind as usize] += 1;
            self.mend_later(cluster, mend);
        }
    }

    fn mend_later(&mut self, cluster: &Cluster, mend: Remedy) {
        let (least, most) = self.fault_span;
        let span = self.dice.span(least.as_millis() as u64, most.as_millis() as u64);
        self.broken.push((cluster.now() + span, mend));
    }

    /// Mends everything, and starts every node.
    pub fn mend_all(&mut self, cluster: &mut Cluster) {
        self.broken.drain(..).for_each(|(_, mend)| mend(cluster));
        cluster.network.heal();
        for id in 1..=cluster.len() {
            cluster.pause(id, false);
            restart(cluster, id);
        }
        self.damage.set(Damage::None);
        cluster.note_fault("all mended");
    }

    /// How often what has happened.
    pub fn counts(&self, cluster: &Cluster) -> Counts {
        let mut counts = Counts::default();
        for kind in FaultKind::ALL {
            counts.add(kind.name(), self.injected[kind as usize]);
        }
        counts.add("power failed amid disk requests", cluster.crashes_in_burst);
        counts.add_network(&cluster.network.counts);
        counts.add_disk(&cluster.disk_counts());
        counts
    }

    /// Breaks something; none if there is nothing to break that way now.
    fn inject(&mut self, kind: FaultKind, cluster: &mut Cluster) -> Option<Remedy> {
        let victim = self.dice.between(1, cluster.len().into()) as u8;
        if kind.is_destructive() && !self.may_take_from(cluster, victim) {
            return None;
        }
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
                    self.mend_later(cluster, mend(move |cluster| restart(cluster, id)));
                }
                Some(mend(|_| {}))
            }
            FaultKind::CrashLeader => cluster.leader().map(|leader| {
                cluster.crash(leader);
                mend(move |cluster| restart(cluster, leader))
            }),
            FaultKind::IsolatedLeader => self.isolate_leader(cluster),
            FaultKind::Succession => self.succession(cluster),
            FaultKind::Pause => cluster.is_up(victim).then(|| {
                cluster.pause(victim, true);
                mend(move |cluster| cluster.pause(victim, false))
            }),
            FaultKind::Partition | FaultKind::OneWayPartition => self.cut(kind, cluster),
            FaultKind::LossyWire | FaultKind::JitteryWire => {
                cluster.network.faults = self.link_faults(kind);
                Some(mend(|cluster| cluster.network.faults = LinkFaults::default()))
            }
            FaultKind::BadLink | FaultKind::SlowLink => self.spoil_link(kind, cluster),
            FaultKind::ClockDrift => {
                let drift = self.dice.between(0, 2 * DRIFT_PPM_MAX as u64) as i64 - DRIFT_PPM_MAX;
                let now = cluster.now();
                cluster.set_clock(victim, |clock| clock.drift(now, drift));
                Some(mend(move |cluster| {
                    let now = cluster.now();
                    cluster.set_clock(victim, |clock| clock.drift(now, 0));
                }))
            }
            FaultKind::ClockJump => {
                let hours = [-24, -1, 1, 24 * 365];
                let (jump, now) = (self.dice.one_of(&hours) * 3_600_000_000, cluster.now());
                cluster.set_clock(victim, |clock| clock.jump(now, jump));
                Some(mend(|_| {}))
            }
            FaultKind::SlowDisk
            | FaultKind::StuckDisk
            | FaultKind::SickDisk
            | FaultKind::Rot
            | FaultKind::UnreadableSectors
            | FaultKind::BlankDisk => self.disturb_disk(kind, cluster, victim),
            FaultKind::RemovedNode => {
                let ask = victim % cluster.len() + 1;
                call(cluster, ask, format!("CALL sys.remove_node({victim})"));
                // It comes back as another.
                let damage = self.damage.clone();
                Some(mend(move |cluster| {
                    give_blank_disk(cluster, victim);
                    damage.set(Damage::Mending(victim));
                }))
            }
            FaultKind::RivalRemovals => self.remove_rivals(cluster, victim),
            FaultKind::Transfer => {
                let to = self.dice.between(0, cluster.len().into());
                let to = if to == 0 { String::new() } else { to.to_string() };
                call(cluster, victim, format!("CALL sys.transfer_leadership({to})"));
                Some(mend(|_| {}))
            }
            FaultKind::Join => (!cluster.was_started(victim)).then(|| {
                cluster.start(victim);
                mend(|_| {})
            }),
        }
    }

    /// Whether `victim` has everything, and everyone else would still have what it loses.
    fn may_take_from(&mut self, cluster: &Cluster, victim: u8) -> bool {
        let is_well = |id| cluster.health(id).is_some_and(|health| health.is_member && health.is_whole);
        if self.beyond_bound {
            // One disk stays as it is: without any, there is nothing left to be true to.
            return victim != 1 && cluster.is_up(victim);
        }
        let mended = match self.damage.get() {
            Damage::None => true,
            Damage::Done(_) => false,
            Damage::Mending(id) => is_well(id),
        };
        if !mended || cluster.len() < 3 || !is_well(victim) {
            return false;
        }
        self.damage.set(Damage::Done(victim));
        true
    }

    /// Faults of disks. What they destroy is noticed at the next start, so that follows.
    fn disturb_disk(&mut self, kind: FaultKind, cluster: &mut Cluster, victim: u8) -> Option<Remedy> {
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
            FaultKind::Rot => disk.rot(dice.between(1, 8) as usize, RECORDS_START..DISK_SECTORS),
            FaultKind::UnreadableSectors => {
                disk.spoil(dice.between(1, 8) as usize, RECORDS_START..DISK_SECTORS);
            }
            _ => {
                give_blank_disk(cluster, victim);
                self.damage.set(Damage::Mending(victim));
                return Some(mend(|_| {}));
            }
        }
        let damage = self.damage.clone();
        Some(mend(move |cluster| {
            damage.set(Damage::Mending(victim));
            cluster.disk(victim).faults = DiskFaults::default();
            cluster.crash(victim);
            restart(cluster, victim);
        }))
    }

    /// Cuts the leader off from the others, but not from its clients; now and then just after it was asked to
    /// hand over.
    fn isolate_leader(&mut self, cluster: &mut Cluster) -> Option<Remedy> {
        let leader = cluster.leader()?;
        if self.dice.between(0, 1) == 0 {
            call(cluster, leader, "CALL sys.transfer_leadership()".into());
            cluster.run(Duration::from_micros(self.dice.between(100, 15_000)));
        }
        cut_off(cluster, &[leader])
    }

    /// Leaders follow each other, with the others of their time away: none knows what those have written. The
    /// first is cut off. Either its successor is cut off as well, when it has just been elected, and the first,
    /// back again, when it has just committed (the moments of figure 8 of the Raft paper); or its successor
    /// hands over to a third before the first is back.
    fn succession(&mut self, cluster: &mut Cluster) -> Option<Remedy> {
        let mut cuts = Vec::new();
        self.succeed(cluster, &mut cuts);
        let is_cut = !cuts.is_empty();
        is_cut.then(|| mend(move |cluster| cuts.into_iter().for_each(|heal: Remedy| heal(cluster))))
    }

    /// As far as leaders do follow each other; what is left cut.
    fn succeed(&mut self, cluster: &mut Cluster, cuts: &mut Vec<Remedy>) -> Option<()> {
        let (first, term) = cluster.leading()?;
        cuts.push(cut_off(cluster, &[first])?);
        let (second, term) = next_leader(cluster, term)?;
        if self.dice.between(0, 1) == 0 {
            cluster.run(self.dice.span(1, 500));
            call(cluster, second, "CALL sys.transfer_leadership()".into());
            next_leader(cluster, term)?;
            cluster.run(self.dice.span(1, 500));
            return None;
        }
        cuts.push(cut_off(cluster, &[second])?);
        cluster.run(self.dice.span(1, 300));
        cuts.remove(0)(cluster);
        let (third, _) = next_leader(cluster, term)?;
        let commit = cluster.commit(third);
        cluster.run_until_so(SUCCESSION_MAX, |cluster| cluster.commit(third) > commit);
        cuts.push(cut_off(cluster, &[third])?);
        cuts.remove(0)(cluster);
        Some(())
    }

    /// Cuts the leader off, and asks it to remove two of the others at once: neither may succeed while it is
    /// alone, and never both at a time.
    fn remove_rivals(&mut self, cluster: &mut Cluster, victim: u8) -> Option<Remedy> {
        let leader = cluster.leader().filter(|leader| *leader != victim)?;
        let voters = cluster.voters(leader);
        let other = voters.iter().copied().find(|id| ![leader, victim].contains(id))?;
        let minority = (voters.len() - 1) / 2;
        let strangers = |id: &u8| ![leader, victim, other].contains(id);
        let with = voters.iter().copied().filter(strangers).take(minority.saturating_sub(1));
        let heal = cut_off(cluster, &with.chain([leader]).collect::<Vec<_>>())?;
        for id in [victim, other] {
            call(cluster, leader, format!("CALL sys.remove_node({id})"));
        }
        Some(mend(move |cluster| {
            heal(cluster);
            // One of them may have been removed after all, and comes back as another.
            for id in [victim, other] {
                if cluster.health(id).is_some_and(|health| health.is_removed) {
                    give_blank_disk(cluster, id);
                }
            }
        }))
    }

    fn cut(&mut self, kind: FaultKind, cluster: &mut Cluster) -> Option<Remedy> {
        let ports: Vec<usize> = (1..=usize::from(cluster.len())).collect();
        let (one, other): (Vec<usize>, Vec<usize>) =
            ports.into_iter().partition(|_| self.dice.between(0, 1) == 1);
        if one.is_empty() || other.is_empty() {
            return None;
        }
        let set = match kind {
            FaultKind::OneWayPartition => SimNetwork::set_cut_one_way,
            _ => SimNetwork::set_cut,
        };
        set(&mut cluster.network, &one, &other, true);
        Some(mend(move |cluster| set(&mut cluster.network, &one, &other, false)))
    }

    fn spoil_link(&mut self, kind: FaultKind, cluster: &mut Cluster) -> Option<Remedy> {
        let nodes = u64::from(cluster.len());
        let (from, to) = (self.dice.between(1, nodes) as usize, self.dice.between(1, nodes) as usize);
        let faults = self.link_faults(kind);
        (from != to).then(|| {
            cluster.network.set_link(from, to, Some(faults));
            mend(move |cluster| cluster.network.set_link(from, to, None))
        })
    }

    fn link_faults(&mut self, kind: FaultKind) -> LinkFaults {
        let per_mille = |dice: &mut Dice, most| dice.between(0, most) as u32;
        let dice = &mut self.dice;
        match kind {
            FaultKind::SlowLink => {
                LinkFaults { bytes_per_second: dice.between(2_000, 200_000), ..LinkFaults::default() }
            }
            FaultKind::JitteryWire => LinkFaults {
                jitter: dice.span(1, 30),
                reorder_per_mille: per_mille(dice, 100),
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

fn mend(remedy: impl FnOnce(&mut Cluster) + 'static) -> Remedy {
    Box::new(remedy)
}

/// Cuts these nodes off from the other nodes.
fn cut_off(cluster: &mut Cluster, ids: &[u8]) -> Option<Remedy> {
    let ports = 1..=usize::from(cluster.len());
    let (one, other): (Vec<usize>, Vec<usize>) = ports.partition(|port| ids.contains(&(*port as u8)));
    if one.is_empty() || other.is_empty() {
        return None;
    }
    cluster.network.set_cut(&one, &other, true);
    Some(mend(move |cluster| cluster.network.set_cut(&one, &other, false)))
}

/// Waits for a leader of a term behind `term`.
fn next_leader(cluster: &mut Cluster, term: u64) -> Option<(u8, u64)> {
    let later = |cluster: &Cluster| cluster.leading().filter(|(_, now)| *now > term);
    cluster.run_until_so(SUCCESSION_MAX, |cluster| later(cluster).is_some());
    later(cluster)
}

/// Asks a node to run one statement, whatever comes of it.
fn call(cluster: &mut Cluster, node: u8, sql: String) {
    let host = cluster.host();
    cluster.spawn(async move {
        let answer = async { host.connect(node).await?.query(&sql).await }.await;
        // It may be down, or have no quorum.
        drop(answer);
    });
}

/// Replaces a node's disk by a blank one.
pub(crate) fn give_blank_disk(cluster: &mut Cluster, id: u8) {
    cluster.crash(id);
    cluster.replace_disk(id, DISK_SECTORS);
    cluster.start(id);
}

/// Starts a node that is down.
fn restart(cluster: &mut Cluster, id: u8) {
    if !cluster.is_up(id) {
        cluster.start(id);
    }
}
