//! The simulation: machines, time, and whoever runs on them.

use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use cluster_net::{Stack, StackConfig, TcpConnection};
use cluster_node::{Node, NodeConfig, NodeOptions, Planted};
use drivers_api::{Instant, Level, Machine, Nic, Now, WallTime};
use drivers_sim::{SimConsole, SimDisk, SimEntropy, SimInventory, SimNetwork, SimNic};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spin::Mutex;

const SQL_PORT: u16 = 5432;

/// Wall time at the start: 2026-01-01T00:00:00Z.
const WALL_START_MICROS: i64 = 1_767_225_600_000_000;

/// Bytes each node's sessions share.
const SESSIONS_LEN_MAX: usize = 16 << 20;

/// Bytes each node's newest entries may take.
const LOG_LEN_MAX: usize = 8 << 20;

/// Nobody is ever woken: everything is polled whenever time moves.
fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Where clients run: a machine with nothing but a TCP stack.
#[derive(Clone)]
pub struct Host {
    stack: Arc<Mutex<Stack>>,
    clock: Arc<Mutex<Instant>>,
}

impl Host {
    /// Connects to a node's SQL port.
    pub fn connect(&self, node: u8) -> Option<TcpConnection> {
        Stack::connect(&self.stack, ip_of(node as usize), SQL_PORT).ok()
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        *self.clock.lock()
    }

    /// Waits, in simulated time.
    pub async fn sleep(&self, span: Duration) {
        let until = self.now() + span;
        std::future::poll_fn(|_| match self.now() >= until {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await
    }
}

struct Member {
    node: Option<Node>,
    disk: SimDisk,
    console: SimConsole,
    deadline: Instant,
    starts: u64,
    paused: bool,
}

/// A task of the test's own.
type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The simulated cluster. Node K is `node(K)`, from 1; port K of the network is its NIC's, port 0 the host's.
pub struct Cluster {
    seed: u64,
    now: Instant,
    rng: ChaCha8Rng,
    members: Vec<Member>,
    nics: Vec<SimNic>,
    /// The wire, for faults.
    pub network: SimNetwork,
    host: Host,
    tasks: Vec<Task>,
    /// Bytes each node's tables may take.
    pub tables_len_max: usize,
    /// Prints what the nodes say, as they say it.
    pub verbose: bool,
}

impl Cluster {
    /// `nodes` blank machines, started.
    pub fn new(nodes: usize, seed: u64) -> Cluster {
        Cluster::with_disks(nodes, seed, 64 * 2048)
    }

    /// As [`Cluster::new`], with disks of so many sectors.
    pub fn with_disks(nodes: usize, seed: u64, sectors: u64) -> Cluster {
        let nics = (0..=nodes).map(|port| SimNic::new(hardware_address_of(port))).collect();
        let config = StackConfig {
            hardware_address: hardware_address_of(0),
            ip: ip_of(254),
            prefix_len: 24,
            seed,
            connections_max: 256,
        };
        let stack = Arc::new(Mutex::new(Stack::new(config, Instant::ZERO)));
        let host = Host { stack, clock: Arc::new(Mutex::new(Instant::ZERO)) };
        let members = (1..=nodes as u64).map(|id| Member {
            node: None,
            disk: SimDisk::new(sectors, seed ^ id << 32),
            console: SimConsole::default(),
            deadline: Instant::ZERO,
            starts: 0,
            paused: false,
        });
        let mut network = SimNetwork::new(seed ^ 0x6e65_7477);
        network.spared.insert(0);
        let mut cluster = Cluster {
            seed,
            now: Instant::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            members: members.collect(),
            nics,
            network,
            host,
            tasks: Vec::new(),
            tables_len_max: 64 << 20,
            verbose: std::env::var_os("SIM_VERBOSE").is_some(),
        };
        for id in 1..=nodes as u8 {
            cluster.start(id);
        }
        cluster
    }

    /// Where clients run.
    pub fn host(&self) -> Host {
        self.host.clone()
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

    /// A node's disk, for faults.
    pub fn disk(&mut self, id: u8) -> &mut SimDisk {
        &mut self.members[usize::from(id) - 1].disk
    }

    /// Gives a node that is down a blank disk of so many sectors.
    pub fn replace_disk(&mut self, id: u8, sectors: u64) {
        assert!(!self.is_up(id), "disks are replaced while the node is down");
        let seed = self.below(u64::MAX);
        self.members[usize::from(id) - 1].disk = SimDisk::new(sectors, seed);
    }

    /// What a node has printed.
    pub fn console(&self, id: u8) -> &[(Level, String)] {
        &self.members[usize::from(id) - 1].console.lines
    }

    /// Whether a node runs.
    pub fn is_up(&self, id: u8) -> bool {
        self.members[usize::from(id) - 1].node.is_some()
    }

    /// The simulated time.
    pub fn now(&self) -> Now {
        let unix_micros = WALL_START_MICROS + self.now.as_micros() as i64;
        Now { monotonic: self.now, wall: WallTime { unix_micros } }
    }

    /// Starts a node that is down.
    pub fn start(&mut self, id: u8) {
        self.start_with(id, "");
    }

    /// Starts a node with further settings.
    pub fn start_with(&mut self, id: u8, settings: &str) {
        let now = self.now();
        let size = self.members.len();
        let ip = ip_of(id.into());
        let line = format!("relix.node={id} relix.size={size} relix.ip={ip}/24 {settings}");
        let config = NodeConfig::parse(&line, &[]).expect("the simulation's settings are right");
        let member = &mut self.members[usize::from(id) - 1];
        member.starts += 1;
        let mut entropy = SimEntropy::new(self.seed ^ u64::from(id) << 16 ^ member.starts << 40);
        let nic = &mut self.nics[usize::from(id)];
        let Member { disk, console, .. } = member;
        disk.advance(now.monotonic);
        let mut machine = Machine { disk, nic, console, inventory: &SimInventory };
        let options = NodeOptions {
            tables_len_max: self.tables_len_max,
            sessions_len_max: SESSIONS_LEN_MAX,
            log_len_max: LOG_LEN_MAX,
            planted: Planted::NONE,
        };
        member.node = Some(Node::new(config, options, now, &mut machine, &mut entropy));
        member.deadline = now.monotonic;
    }

    /// Ends a node as a power failure does.
    pub fn crash(&mut self, id: u8) {
        let member = &mut self.members[usize::from(id) - 1];
        member.node = None;
        member.paused = false;
        member.disk.crash();
        self.nics[usize::from(id)].crash();
    }

    /// Stops a node in its tracks, or lets it go on.
    pub fn pause(&mut self, id: u8, paused: bool) {
        self.members[usize::from(id) - 1].paused = paused;
    }

    /// Runs `future` beside the nodes.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.tasks.push(Box::pin(future));
    }

    /// Runs until `future` is done; none if that takes longer than `limit` of simulated time.
    pub fn run_until<T: 'static>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T> + 'static,
    ) -> Option<T> {
        let result = Arc::new(Mutex::new(None));
        let place = result.clone();
        self.spawn(async move {
            let value = future.await;
            *place.lock() = Some(value);
        });
        let end = self.now + limit;
        while self.now < end {
            self.step();
            if let Some(value) = result.lock().take() {
                return Some(value);
            }
        }
        None
    }

    /// Runs for `span` of simulated time.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// Goes to the next moment at which something happens.
    fn step(&mut self) {
        self.now = self.next_moment();
        *self.host.clock.lock() = self.now;
        let now = self.now();
        self.network.advance(self.now, &mut self.nics);
        for index in 0..self.members.len() {
            self.turn(index, now);
        }
        self.turn_host();
    }

    fn next_moment(&self) -> Instant {
        // Tasks may wait for time alone, so it moves by a millisecond at most.
        let mut next = self.now + Duration::from_millis(1);
        for member in self.members.iter().filter(|member| member.node.is_some() && !member.paused) {
            next = next.min(member.deadline);
            next = member.disk.next_due().map_or(next, |due| next.min(due));
        }
        next = self.network.next_due().map_or(next, |due| next.min(due));
        // A node that has more to do at once is given a microsecond of time for it.
        next.max(self.now + Duration::from_micros(1))
    }

    fn turn(&mut self, index: usize, now: Now) {
        let port = index + 1;
        let member = &mut self.members[index];
        member.disk.advance(now.monotonic);
        let Some(node) = member.node.as_mut().filter(|_| !member.paused) else { return };
        let nic = &mut self.nics[port];
        let mut machine =
            Machine { disk: &mut member.disk, nic, console: &mut member.console, inventory: &SimInventory };
        member.deadline = node.poll(now, &mut machine, &mut context());
        if self.verbose {
            for (level, line) in member.console.lines.drain(..) {
                println!("[{:9.6}] n{port} {} {line}", now.monotonic.as_micros() as f64 / 1e6, level.label());
            }
        }
        self.network.collect(port, &mut self.nics);
    }

    fn turn_host(&mut self) {
        let now = self.now;
        while let std::task::Poll::Ready(frame) = self.nics[0].poll_receive(&mut context()) {
            self.host.stack.lock().receive(frame);
        }
        self.host.stack.lock().poll(now);
        let mut tasks = std::mem::take(&mut self.tasks);
        tasks.retain_mut(|task| task.as_mut().poll(&mut context()).is_pending());
        self.tasks.append(&mut tasks);
        let mut stack = self.host.stack.lock();
        stack.poll(now);
        while let Some(frame) = stack.take_frame() {
            // The simulated NIC takes every frame.
            let _ = self.nics[0].transmit(frame);
        }
        drop(stack);
        self.network.collect(0, &mut self.nics);
    }
}

fn ip_of(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, node as u8)
}

fn hardware_address_of(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, port as u8]
}
