//! What one seed stands for: sizes, workloads, speeds, and which faults there are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cluster_node::{APPEND_LEN_MAX, Planted};
use drivers_api::Mtu;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tests_workloads::{
    Appends, Bank, Files, Inserts, Mail, Queue, Ring, Schema, Tasks, Ticks, Workflows, Workload,
};

use crate::faults::FaultKind;
use crate::host::Host;

/// The workloads there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// [`Bank`]
    Bank,
    /// [`Inserts`]
    Inserts,
    /// [`Ring`]
    Ring,
    /// [`Appends`]
    Appends,
    /// [`Queue`]
    Queue,
    /// [`Schema`]
    Schema,
    /// [`Tasks`]
    Tasks,
    /// [`Mail`]
    Mail,
    /// [`Files`]
    Files,
    /// [`Workflows`]
    Workflows,
    /// [`Ticks`]
    Ticks,
}

impl WorkloadKind {
    /// Those of rows and tasks, of which each seed draws some.
    pub const ANY: [WorkloadKind; 7] = [
        WorkloadKind::Bank,
        WorkloadKind::Inserts,
        WorkloadKind::Ring,
        WorkloadKind::Appends,
        WorkloadKind::Queue,
        WorkloadKind::Schema,
        WorkloadKind::Tasks,
    ];

    /// Those of the other services.
    pub const SERVICES: [WorkloadKind; 4] =
        [WorkloadKind::Mail, WorkloadKind::Files, WorkloadKind::Workflows, WorkloadKind::Ticks];

    /// A fresh one.
    pub fn make(self) -> Arc<dyn Workload<Host>> {
        match self {
            WorkloadKind::Bank => Arc::new(Bank::default()),
            WorkloadKind::Inserts => Arc::new(Inserts::default()),
            WorkloadKind::Ring => Arc::new(Ring::default()),
            WorkloadKind::Appends => Arc::new(Appends::default()),
            WorkloadKind::Queue => Arc::new(Queue::default()),
            WorkloadKind::Schema => Arc::new(Schema::default()),
            WorkloadKind::Tasks => Arc::new(Tasks::default()),
            WorkloadKind::Mail => Arc::new(Mail::default()),
            WorkloadKind::Files => Arc::new(Files::default()),
            WorkloadKind::Workflows => Arc::new(Workflows::default()),
            WorkloadKind::Ticks => Arc::new(Ticks::default()),
        }
    }
}

/// All NICs alike, or whoever has the longer frames beside whoever does not take them.
const MTUS: [&[Mtu]; 3] = [&[Mtu::ETHERNET], &[Mtu::JUMBO], &[Mtu::JUMBO, Mtu::ETHERNET]];

/// Everything about a simulation that is decided before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What everything else depends on.
    pub seed: u64,
    /// How many nodes, those that join later among them.
    pub nodes: u8,
    /// How many of them join later.
    pub joiners: u8,
    /// Whether leaders serve reads by lease.
    pub lease: bool,
    /// The node that is to lead when it can.
    pub preferred: Option<u8>,
    /// Whether more may be destroyed than a cluster can survive.
    pub beyond_bound: bool,
    /// What clients do, and how many of them.
    pub workloads: Vec<(WorkloadKind, u64)>,
    /// The most a client waits between two transactions.
    pub think: Duration,
    /// How long faults happen.
    pub safety: Duration,
    /// The most between two faults.
    pub fault_pause: Duration,
    /// The least and the most that a fault lasts.
    pub fault_span: (Duration, Duration),
    /// Which faults happen.
    pub faults: Vec<FaultKind>,
    /// The most a disk request takes.
    pub disk_latency: Duration,
    /// How large a node's disk is.
    pub disk_sectors: u64,
    /// What a frame takes at least.
    pub wire_latency: Duration,
    /// How many fabrics join the nodes.
    pub fabrics: u8,
    /// The MTUs of clients and nodes, in turn.
    pub mtus: &'static [Mtu],
    /// Bytes that the tables of a node may take in memory.
    pub tables_len_max: usize,
    /// Bytes of the newest entries of a node.
    pub log_len_max: usize,
    /// About how many bytes of entries one message carries.
    pub append_len_max: usize,
    /// A mistake that all nodes make, in test builds.
    pub planted: Planted,
}

impl Options {
    /// Those of a seed; `nodes` overrides how many nodes there are.
    pub fn of_seed(seed: u64, nodes: Option<u8>) -> Options {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed ^ 0x6f70_7469_6f6e));
        let drawn = *dice.one_of(&[3, 3, 3, 3, 3, 3, 3, 5, 5, 1]);
        let workloads = dice.some_of(&WorkloadKind::ANY);
        let clients = |kind| (kind, if kind == WorkloadKind::Queue { 4 } else { dice.between(1, 4) });
        let workloads: Vec<(WorkloadKind, u64)> = workloads.into_iter().map(clients).collect();
        let total: u64 = workloads.iter().map(|(_, clients)| clients).sum();
        let nodes = nodes.unwrap_or(drawn);
        let joiners = if (3..=5).contains(&nodes) { *dice.one_of(&[0, 0, 0, 1, 2]) } else { 0 };
        let options = Options {
            seed,
            nodes: nodes + joiners,
            joiners,
            lease: dice.between(0, 3) == 0,
            preferred: (dice.between(0, 3) == 0).then(|| dice.between(1, nodes.into()) as u8),
            beyond_bound: nodes >= 3 && dice.between(0, 11) == 0,
            workloads,
            // The more clients there are, the longer each thinks.
            think: Duration::from_millis(dice.between(10, 120) * total),
            safety: Duration::from_secs(dice.between(20, 40)),
            fault_pause: Duration::from_millis(*dice.one_of(&[500, 1_500, 4_000])),
            fault_span: (Duration::from_millis(50), Duration::from_secs(6)),
            faults: dice.some_of(&FaultKind::ALL),
            disk_latency: Duration::from_micros(*dice.one_of(&[100, 1_000, 8_000])),
            disk_sectors: 2048 * *dice.one_of(&[8, 16, 64]),
            wire_latency: Duration::from_micros(*dice.one_of(&[50, 200, 2_000])),
            tables_len_max: *dice.one_of(&[32 << 10, 256 << 10, 2 << 20, 64 << 20]),
            log_len_max: *dice.one_of(&[32 << 10, 8 << 20]),
            append_len_max: *dice.one_of(&[1, 2 << 10, APPEND_LEN_MAX, APPEND_LEN_MAX]),
            fabrics: 1,
            mtus: &[Mtu::ETHERNET],
            planted: Planted::NONE,
        }
        .or_worse(&mut dice);
        let mtus = *dice.one_of(&MTUS);
        let fabrics = *dice.one_of(&[1, 1, 1, 2]);
        Options { mtus, fabrics, ..options }
    }

    /// The same with the workloads of services, which take some twenty times as long: tests run a few.
    pub fn with_services(self) -> Options {
        let workloads = WorkloadKind::SERVICES.map(|kind| (kind, 3)).into();
        Options { workloads, ..self }.patient()
    }

    /// Tasks that write files all write to one of them: on disks that take a fifth of a second for each read, and with tables
    /// that have no memory, they meet each other for hours.
    fn patient(self) -> Options {
        Options {
            disk_latency: self.disk_latency.min(Duration::from_millis(8)),
            tables_len_max: self.tables_len_max.max(256 << 10),
            ..self
        }
    }

    /// Some seeds draw a particular kind of trouble instead of any.
    fn or_worse(self, dice: &mut Dice) -> Options {
        match dice.between(0, 11) {
            _ if self.nodes < 3 => self,
            0 | 1 => self.storm(dice),
            2..=4 => self.hunt(dice),
            5 => self.rivalry(dice),
            _ => self,
        }
    }

    /// Power failures and elections, on disks that are slow enough for much to be in flight whenever power
    /// fails, and with nodes that are back at once.
    fn storm(self, dice: &mut Dice) -> Options {
        let faults = [
            FaultKind::Crash,
            FaultKind::CrashInBurst,
            FaultKind::CrashAll,
            FaultKind::Partition,
            FaultKind::LossyWire,
            FaultKind::Transfer,
        ];
        Options {
            faults: faults.into(),
            fault_pause: Duration::from_millis(400),
            fault_span: (Duration::from_millis(1), Duration::from_millis(700)),
            disk_latency: Duration::from_millis(dice.between(5, 200)),
            ..self
        }
    }

    /// Whoever leads is struck down or cut off, again and again, while clients read lists from all nodes.
    fn hunt(self, dice: &mut Dice) -> Options {
        let faults =
            [FaultKind::CrashLeader, FaultKind::IsolatedLeader, FaultKind::Succession, FaultKind::Transfer];
        Options {
            faults: faults.into(),
            fault_pause: Duration::from_millis(*dice.one_of(&[1_000, 4_000])),
            fault_span: (Duration::from_millis(1), Duration::from_millis(*dice.one_of(&[1_500, 4_000]))),
            disk_latency: Duration::from_millis(*dice.one_of(&[1, 20, 200])),
            lease: dice.between(0, 1) == 0,
            append_len_max: *dice.one_of(&[1, APPEND_LEN_MAX]),
            workloads: vec![(WorkloadKind::Appends, 8)],
            think: Duration::from_millis(dice.between(20, 120)),
            ..self
        }
    }

    /// The members change while the network is cut.
    fn rivalry(self, dice: &mut Dice) -> Options {
        let faults = [FaultKind::RivalRemovals, FaultKind::Crash, FaultKind::Transfer];
        Options {
            faults: faults.into(),
            fault_pause: Duration::from_millis(*dice.one_of(&[500, 2_000])),
            fault_span: (Duration::from_millis(200), Duration::from_secs(3)),
            ..self
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workloads: Vec<String> = self
            .workloads
            .iter()
            .map(|(kind, clients)| format!("{} x{clients}", kind.make().name()))
            .collect();
        let faults: Vec<&str> = self.faults.iter().map(|kind| kind.name()).collect();
        writeln!(f, "seed          {}", self.seed)?;
        writeln!(f, "nodes         {}, {} of which join later", self.nodes, self.joiners)?;
        let preferred = self.preferred.map_or("none".into(), |node| node.to_string());
        let lease = if self.lease { "by lease" } else { "by quorum" };
        writeln!(f, "leadership    preferred node {preferred}; reads {lease}")?;
        let bound = match self.beyond_bound {
            true => "exceeded: the cluster may stop, but must not lie",
            false => "a majority keeps every datum",
        };
        writeln!(f, "bound         {bound}")?;
        writeln!(f, "workloads     {}; a client thinks up to {:?}", workloads.join(", "), self.think)?;
        let (least, most) = self.fault_span;
        writeln!(
            f,
            "faults        for {:?}, one within {:?}, each for {least:?} to {most:?}",
            self.safety, self.fault_pause
        )?;
        writeln!(f, "fault kinds   {}", faults.join(", "))?;
        writeln!(f, "latencies     disk up to {:?}, wire from {:?}", self.disk_latency, self.wire_latency)?;
        let mtus: Vec<String> = self.mtus.iter().map(|mtu| mtu.bytes().to_string()).collect();
        writeln!(f, "network       fabrics: {}; MTUs {}, in turn", self.fabrics, mtus.join(", "))?;
        write!(
            f,
            "limits        a disk {} MiB, tables in memory {} KiB, newest entries {} KiB, an append {} bytes",
            self.disk_sectors >> 11,
            self.tables_len_max >> 10,
            self.log_len_max >> 10,
            self.append_len_max
        )
    }
}

/// Choices from a seed.
pub(crate) struct Dice(pub(crate) ChaCha8Rng);

impl Dice {
    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.next_u64() % (most - least + 1)
    }

    pub(crate) fn span(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(self.between(least_ms, most_ms))
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.0.next_u64() as usize % choices.len()]
    }

    /// Each with even chances, at least one.
    fn some_of<T: Copy>(&mut self, choices: &[T]) -> Vec<T> {
        let some: Vec<T> = choices.iter().copied().filter(|_| self.between(0, 1) == 1).collect();
        if some.is_empty() { vec![*self.one_of(choices)] } else { some }
    }
}
