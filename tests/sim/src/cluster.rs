//! The simulation: machines, time, and whoever runs on them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use cluster_format::Version;
use cluster_node::{Health, NodeConfig, NodeOptions, Planted};
use drivers_api::{Instant, Level, Mtu};
use drivers_sim::{DiskFaultCounts, SimDisk, SimNetwork, SimNic};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::clock::SimClock;
use crate::host::{Host, HostMachine};
use crate::member::Member;
use crate::nics::{MachineNics, hardware_address_of};
use crate::trace::{Event, Trace};
use crate::witness::Witness;

/// What a node may take, unless the test says otherwise.
const NODE_OPTIONS: NodeOptions = NodeOptions {
    tables_len_max: 64 << 20,
    sessions_len_max: 16 << 20,
    log_len_max: 8 << 20,
    append_len_max: 256 << 10,
    connections_max: 128,
    planted: Planted::NONE,
};

/// The port of the network at which all clients are.
pub(crate) const CLIENTS_PORT: usize = 0;

/// More in a simulated second, and somebody works without getting anywhere.
const STEPS_PER_SECOND_MAX: u64 = 500_000;

/// Simulated devices wake nobody: the simulation knows itself what has happened, and whom it concerns.
pub(crate) fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The simulated cluster. Node K is `node(K)`, from 1; port K of each fabric is its NIC's there, port 0 of the first the host's.
pub struct Cluster {
    seed: u64,
    founders: usize,
    now: Instant,
    rng: ChaCha8Rng,
    members: Vec<Member>,
    pub(crate) nics: Vec<SimNic>,
    /// Whom a frame has reached in this step.
    has_frames: Vec<bool>,
    /// The wire, for faults.
    pub network: SimNetwork,
    host: HostMachine,
    trace: Rc<RefCell<Trace>>,
    /// How often a machine has lost its power amid a burst of disk requests.
    pub crashes_in_burst: u64,
    /// Prints what the nodes say, as they say it.
    pub verbose: bool,
    replaced_disks: DiskFaultCounts,
    /// The simulated second, and the steps in it.
    steps: (u64, u64),
    witness: Witness,
    violation: Option<String>,
}

impl Cluster {
    /// `nodes` blank machines, started.
    pub fn new(nodes: usize, seed: u64) -> Cluster {
        Cluster::with_disks(nodes, seed, 64 * 2048)
    }

    /// As [`Cluster::new`], with disks of so many sectors.
    pub fn with_disks(nodes: usize, seed: u64, sectors: u64) -> Cluster {
        let mut cluster = Cluster::switched_off(nodes, 0, seed, sectors, &[Mtu::JUMBO]);
        (1..=nodes as u8).for_each(|id| cluster.start(id));
        cluster
    }

    /// `founders` blank machines and so many `joiners` behind them, none of which is started, with disks of
    /// so many sectors. Without founders, they are to find out which nodes they are, and have to be told how many. The ports of
    /// the network have these MTUs, in turn.
    pub fn switched_off(founders: usize, joiners: usize, seed: u64, sectors: u64, mtus: &[Mtu]) -> Cluster {
        let nodes = founders + joiners;
        let member = |port: usize| {
            let disk = SimDisk::new(sectors, seed ^ (port as u64) << 32);
            Member::new(port, disk, NODE_OPTIONS)
        };
        let mtu_of = |port: usize| mtus[port % mtus.len()];
        let mut network = SimNetwork::new(seed ^ 0x6e65_7477);
        network.spared.insert(CLIENTS_PORT);
        network.fabric_len = nodes + 1;
        let trace = Rc::new(RefCell::new(Trace::default()));
        Cluster {
            seed,
            founders,
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            members: (1..=nodes).map(member).collect(),
            nics: (0..=nodes).map(|port| SimNic::new(hardware_address_of(port), mtu_of(port))).collect(),
            has_frames: vec![false; nodes + 1],
            network,
            host: HostMachine::new(nodes as u8, mtu_of(CLIENTS_PORT), seed, trace.clone()),
            trace,
            crashes_in_burst: 0,
            verbose: std::env::var_os("SIM_VERBOSE").is_some(),
            replaced_disks: DiskFaultCounts::default(),
            steps: (0, 0),
            witness: Witness::default(),
            violation: None,
        }
    }

    /// Where clients run.
    pub fn host(&self) -> Host {
        self.host.host.clone()
    }

    /// A number below `bound`, from the seed.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    /// How many nodes there are.
    pub fn len(&self) -> u8 {
        self.members.len() as u8
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn member(&mut self, id: u8) -> &mut Member {
        &mut self.members[usize::from(id) - 1]
    }

    /// A node's disk, for faults.
    pub fn disk(&mut self, id: u8) -> &mut SimDisk {
        &mut self.member(id).disk
    }

    /// What a node may take from its next start on.
    pub fn options(&mut self, id: u8) -> &mut NodeOptions {
        &mut self.member(id).options
    }

    /// Gives a node's disk so many sectors, whether the node is up or not. If it is, it looks at once.
    pub fn resize_disk(&mut self, id: u8, sectors: u64) {
        let now = self.now;
        self.member(id).resize_disk(now, sectors);
    }

    /// Gives a node that is down a blank disk of so many sectors.
    pub fn replace_disk(&mut self, id: u8, sectors: u64) {
        let seed = self.below(u64::MAX);
        let mut disk = SimDisk::new(sectors, seed);
        disk.latency = self.disk(id).latency;
        self.put_disk(id, disk);
    }

    /// Gives a node that is down another disk.
    pub fn put_disk(&mut self, id: u8, disk: SimDisk) {
        assert!(!self.is_up(id), "disks are replaced while the node is down");
        let old = std::mem::replace(&mut self.member(id).disk, disk);
        self.replaced_disks += old.fault_counts();
    }

    /// Shows a node's disk to `observer` whenever what a power failure would leave of it is about to change.
    pub fn observe_disk(&mut self, id: u8, observer: impl FnMut(&SimDisk) + 'static) {
        self.member(id).observer = Some(Box::new(observer));
    }

    /// What has befallen all disks, those that were replaced among them.
    pub fn disk_counts(&self) -> DiskFaultCounts {
        let mut counts = self.replaced_disks;
        self.members.iter().for_each(|member| counts += member.disk.fault_counts());
        counts
    }

    /// How a node is; none while it is down or does not take part.
    pub fn health(&self, id: u8) -> Option<Health> {
        self.members[usize::from(id) - 1].node.as_ref()?.health()
    }

    /// The promise of consensus that was broken first, if any was.
    pub fn violation(&self) -> Option<&str> {
        let too_long = self.network.counts.too_long > 0;
        self.violation.as_deref().or(too_long.then_some("a frame was longer than its receiver takes"))
    }

    /// The node that leads the highest term, and the term.
    pub fn leading(&self) -> Option<(u8, u64)> {
        let rafts = (1u8..).zip(&self.members).filter_map(|(id, member)| Some((id, member.raft()?)));
        let leaders = rafts.filter(|(_, raft)| raft.is_leader()).map(|(id, raft)| (id, raft.term()));
        leaders.max_by_key(|(_, term)| *term)
    }

    /// The node that leads the highest term.
    pub fn leader(&self) -> Option<u8> {
        self.leading().map(|(id, _)| id)
    }

    /// A node's commit index; none while it does not take part.
    pub fn commit(&self, id: u8) -> Option<Version> {
        Some(self.members[usize::from(id) - 1].raft()?.commit())
    }

    /// Where a node's consensus stands, while it takes part.
    pub fn describe(&self, id: u8) -> Option<String> {
        Some(format!("{:?}", self.members[usize::from(id) - 1].raft()?))
    }

    /// The voters, as a node's log has them.
    pub fn voters(&self, id: u8) -> Vec<u8> {
        let raft = self.members[usize::from(id) - 1].raft();
        let voters = raft.map(|raft| &raft.log().membership().voters);
        voters.into_iter().flatten().map(|voter| voter.node.0).collect()
    }

    /// Whether a node is up, a member as far as it knows, and lacks nothing.
    pub fn is_well(&self, id: u8) -> bool {
        self.health(id).is_some_and(|health| health.is_well())
    }

    /// Whether all nodes that were started and are not removed take part, with the same voters in their logs.
    pub fn agrees_who_votes(&self) -> bool {
        let is_removed = |id: &u8| self.health(*id).is_some_and(|health| health.is_removed);
        let others = (1..=self.len()).filter(|id| self.was_started(*id) && !is_removed(id));
        let lists: Vec<_> = others.map(|id| self.voters(id)).collect();
        lists.iter().all(|voters| !voters.is_empty() && *voters == lists[0])
    }

    /// Whether these nodes lack nothing and are members, and more than half of the voters as each of them has it.
    pub fn is_majority(&self, ids: &[u8]) -> bool {
        ids.iter().all(|id| {
            let voters = self.voters(*id);
            self.is_well(*id) && 2 * voters.iter().filter(|voter| ids.contains(voter)).count() > voters.len()
        })
    }

    /// Rare branches by name, and whether any node has taken them.
    pub fn marks(&self) -> BTreeMap<&'static str, bool> {
        let mut marks = BTreeMap::new();
        for (name, hit) in self.members.iter().flat_map(Member::marks) {
            *marks.entry(name).or_default() |= hit;
        }
        marks
    }

    /// What a node has printed.
    pub fn console(&self, id: u8) -> &[(Level, String)] {
        &self.members[usize::from(id) - 1].console.lines
    }

    /// Whether a node was ever started.
    pub fn was_started(&self, id: u8) -> bool {
        self.members[usize::from(id) - 1].starts > 0
    }

    /// Whether a node runs.
    pub fn is_up(&self, id: u8) -> bool {
        self.members[usize::from(id) - 1].is_on()
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What has happened so far.
    pub fn trace(&self) -> Trace {
        *self.trace.borrow()
    }

    /// Makes a fault part of the trace.
    pub fn note_fault(&mut self, what: &str) {
        self.trace.borrow_mut().note(Event::Fault, self.now, 0, what.as_bytes());
        if self.verbose {
            println!("[{:9.6}] -- {what}", self.now.as_micros() as f64 / 1e6);
        }
    }

    /// Gives a node further settings, from its next start on.
    pub fn set_settings(&mut self, id: u8, settings: &str) {
        self.member(id).settings = settings.into();
    }

    /// Starts a node that is down.
    pub fn start(&mut self, id: u8) {
        let (size, settings) = (self.founders, &self.members[usize::from(id) - 1].settings);
        let numbers = if size > 0 { format!("relix.node={id} relix.size={size}") } else { String::new() };
        let line = format!("{numbers} relix.ip={}/24 {settings}", ip_of(id.into()));
        let told = NodeConfig::parse(&line, &[]).expect("the simulation's settings are right");
        let (now, seed) = (self.now, self.seed ^ u64::from(id) << 16);
        self.witness.forget(id);
        self.host.host.set_power(id, true);
        let (member, fabric_len) = (&mut self.members[usize::from(id) - 1], self.network.fabric_len);
        member.start(now, told, seed, &mut MachineNics::new(&mut self.nics, id.into(), fabric_len));
    }

    /// Ends a node as a power failure does.
    pub fn crash(&mut self, id: u8) {
        let mut nics = MachineNics::new(&mut self.nics, id.into(), self.network.fabric_len);
        self.members[usize::from(id) - 1].crash(&mut nics);
        self.host.host.set_power(id, false);
    }

    /// Presses a node's power button: it is off once it has left.
    pub fn press_power_button(&mut self, id: u8) {
        let now = self.now;
        self.member(id).press_power_button(now);
    }

    /// Ends a node as a power failure does, when it has submitted this many more requests to its disk.
    pub fn crash_after_requests(&mut self, id: u8, requests: u32) {
        self.member(id).crash_after_requests(requests);
    }

    /// Stops a node in its tracks, or lets it go on.
    pub fn pause(&mut self, id: u8, paused: bool) {
        let now = self.now;
        self.member(id).pause(now, paused);
    }

    /// Sets a node's clocks.
    pub fn set_clock(&mut self, id: u8, set: impl FnOnce(&mut SimClock)) {
        let now = self.now;
        self.member(id).set_clock(now, set);
    }

    /// Runs `future` beside the nodes.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.host.spawn(future);
    }

    /// Runs until `future` is done; none if that takes longer than `limit` of simulated time.
    pub fn run_until<T: 'static>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T> + 'static,
    ) -> Option<T> {
        let result = Rc::new(RefCell::new(None));
        let place = result.clone();
        self.spawn(async move {
            let value = future.await;
            *place.borrow_mut() = Some(value);
        });
        let end = self.now + limit;
        while self.now < end {
            self.step(end);
            if let Some(value) = result.borrow_mut().take() {
                return Some(value);
            }
        }
        None
    }

    /// Runs for `span` of simulated time.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step(end);
        }
    }

    /// Runs until something is so; false if it is not after `limit` of simulated time.
    pub fn run_until_so(&mut self, limit: Duration, is_so: impl Fn(&Cluster) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            self.step(end);
            if is_so(self) {
                return true;
            }
        }
        false
    }

    /// Goes to the next moment at which something happens, no later than `end`.
    fn step(&mut self, end: Instant) {
        self.now = self.next_moment().min(end).max(self.now);
        let now = self.now;
        self.count_step();
        self.host.set_time(now);
        let mut trace = self.trace.borrow_mut();
        let (has_frames, fabric_len) = (&mut self.has_frames, self.network.fabric_len);
        has_frames.fill(false);
        self.network.deliver(now, &mut self.nics, &mut |port, frame| {
            has_frames[port % fabric_len] = true;
            trace.note(Event::Frame, now, port, frame.bytes());
        });
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            let port = index + 1;
            let mut nics = MachineNics::new(&mut self.nics, port, fabric_len);
            let died = member.turn(now, has_frames[port], &mut nics, &mut trace);
            if let (None, Some(raft)) = (&self.violation, member.raft()) {
                self.violation = self.witness.look(port as u8, raft).err();
            }
            member.note_lines(now, &mut trace, self.verbose);
            if died {
                self.crashes_in_burst += 1;
                // Whether what it said last has left the machine is a matter of chance, too.
                if self.rng.next_u64().is_multiple_of(2) {
                    self.network.collect_all(port, &mut self.nics);
                }
                self.members[index].crash(&mut MachineNics::new(&mut self.nics, port, fabric_len));
                self.host.host.set_power(port as u8, false);
            }
            self.network.collect_all(port, &mut self.nics);
            if self.members[index].has_left() {
                self.members[index].crash(&mut MachineNics::new(&mut self.nics, port, fabric_len));
                self.host.host.set_power(port as u8, false);
            }
        }
        drop(trace);
        if self.has_frames[0] || self.host.next_due(now).is_some_and(|due| due <= now) {
            self.host.turn(now, &mut self.nics[0]);
            self.network.collect(0, &mut self.nics);
        }
    }

    fn count_step(&mut self) {
        let second = self.now.as_micros() / 1_000_000;
        let (counted, steps) = self.steps;
        self.steps = (second, if second == counted { steps + 1 } else { 0 });
        if self.steps.1 >= STEPS_PER_SECOND_MAX {
            let due = |due: Option<Instant>| due.is_some_and(|due| due <= self.now);
            let nodes = (1..).zip(&self.members).filter(|(_, member)| due(member.next_due()));
            let mut busy: Vec<String> = nodes.map(|(id, _): (u8, _)| format!("node {id}")).collect();
            busy.extend(due(self.network.next_due()).then(|| "the wire".into()));
            busy.extend(due(self.host.next_due(self.now)).then(|| "the clients' machine".into()));
            panic!("the cluster is never idle in simulated second {second}: {}", busy.join(", "));
        }
    }

    fn next_moment(&self) -> Instant {
        let members = self.members.iter().filter_map(Member::next_due);
        let others = self.network.next_due().into_iter().chain(self.host.next_due(self.now));
        members.chain(others).min().unwrap_or(self.now + Duration::from_secs(1))
    }
}

pub(crate) fn ip_of(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, node as u8)
}
