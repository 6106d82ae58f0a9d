//! The member: one turn at a time.

mod address;
mod asked;
mod clients;
mod frames;
mod leaving;
mod placing;
mod rows;
mod showing;
mod timekeeping;
mod working;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::task::Context;
use core::time::Duration;

pub use clients::Protocol;
use cluster_format::limits::CONNECTION_BUFFERS_LEN;
use cluster_format::{ClusterId, Entry, Membership, NodeId, Payload, Planted, decode};
use cluster_gateway::Registry;
use cluster_net::discovery::Call;
use cluster_net::{NicConfig, PeerEvent, Peers, PeersConfig, Refusal, Stack, StackConfig, Timekeeper};
use cluster_sql::database::Database;
use cluster_sql::notifications;
use drivers_api::{DiskRequest, Entropy, Instant, Level, Machine, Nic, Now};
use leaving::Leaving;
use placing::SharedPlacing;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
pub use showing::Health;
use spin::Mutex;

use crate::changes::Changes;
use crate::config::NodeConfig;
use crate::coordinator::{Coordinator, Outbox, change_cluster};
use crate::leader::Leader;
use crate::marks::Mark;
use crate::message::PeerMessage;
use crate::replica::Replica;
use crate::said::Said;
use crate::session::Tasks;
use crate::shared::NodeDatabase;
use crate::work::Work;

/// Connections beyond the limit that are open at once, to be told so.
pub const REFUSALS_MAX: usize = 8;

/// Rounds of work in one turn, at most: then the root looks after its devices.
const ROUNDS_MAX: usize = 16;

/// Frames taken in one round, at most.
const FRAMES_PER_ROUND: usize = 256;

/// A refused datagram is reported at most this often: whoever sends one sends many.
const REFUSAL_PAUSE: Duration = Duration::from_secs(5);

/// What the node is given beside its configuration.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions {
    /// Bytes that tables may take in memory.
    pub tables_len_max: usize,
    /// Bytes that the statements and transactions of all sessions may hold.
    pub sessions_len_max: usize,
    /// Bytes of the ledger's newest entries.
    pub log_len_max: usize,
    /// Bytes of entries in one message to a follower; `limits::APPEND_LEN_MAX`, but for tests.
    pub append_len_max: usize,
    /// Connections of clients at once.
    pub connections_max: usize,
    /// A mistake to make, in test builds.
    pub planted: Planted,
}

/// A line for the console.
pub(crate) struct LogLine(pub(crate) Level, pub(crate) String);

/// One member of the cluster.
pub struct Node {
    config: NodeConfig,
    cluster: ClusterId,
    started: Instant,
    replica: Replica,
    coordinator: Coordinator,
    peers: Peers,
    stack: Arc<Mutex<Stack>>,
    timekeeper: Timekeeper,
    registry: Arc<Registry>,
    tasks: Tasks,
    database: NodeDatabase,
    changes: Arc<Mutex<Changes>>,
    work: Work,
    said: Arc<Mutex<Said>>,
    rng: ChaCha8Rng,
    log_len_max: usize,
    next_backend: u32,
    waiting_requests: VecDeque<DiskRequest>,
    outbox: Outbox,
    /// The members that are being looked for.
    members: Option<Arc<Membership>>,
    shown_role: Option<(&'static str, u64, Option<NodeId>)>,
    /// Whether each NIC's link was up when it was last looked at.
    links_up: Vec<bool>,
    next_refusal_at: Instant,
    /// Whether it was asked to stop.
    leaving: Option<Leaving>,
    placing: SharedPlacing,
    /// Whether another machine was heard that takes itself for this node.
    has_double: bool,
    /// What is to be said to machines that look for their place.
    calls: Vec<Call>,
}

impl Node {
    /// A node that has just been started on `machine`.
    pub fn new(
        config: NodeConfig,
        options: NodeOptions,
        now: Now,
        machine: &mut Machine<'_>,
        entropy: &mut dyn Entropy,
    ) -> Node {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut new_seed = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            seed
        };
        let nic = |nic: &dyn Nic| NicConfig { hardware_address: nic.hardware_address(), mtu: nic.mtu() };
        let nics: Vec<NicConfig> =
            (0..machine.nics.count()).map(|number| nic(machine.nics.nic(number))).collect();
        let (NicConfig { hardware_address, mtu }, nics_count) = (nic(machine.nic()), nics.len());
        let cluster = ClusterId::of_name(&config.cluster_name);
        let peers = PeersConfig {
            cluster,
            node: config.node,
            nics,
            // It becomes known in the first round.
            ip: Ipv4Addr::UNSPECIFIED,
            peers: (1..=config.size).map(|id| (NodeId(id), known_ip(&config, NodeId(id)))).collect(),
            seed: new_seed(),
        };
        let (election_seed, shared_seed, time_seed) = (new_seed(), new_seed(), new_seed());
        let stack = StackConfig {
            hardware_address,
            mtu,
            addressing: config.addressing,
            ip6: config.ip6,
            seed: rng.next_u64(),
            // Sockets that wait for HTTP do not take the places of those that tell clients of SQL that there is none left.
            connections_max: options.connections_max + REFUSALS_MAX + clients::HTTP_LISTENING_MAX,
            buffers_len_max: options.connections_max * CONNECTION_BUFFERS_LEN,
        };
        let mut stack = Stack::new(stack, now.monotonic);
        clients::listen(&mut stack);
        let database = NodeDatabase::new(
            config.node,
            &config.cluster_name,
            options.sessions_len_max,
            ChaCha8Rng::from_seed(shared_seed),
        );
        let replica = Replica::new(&config, machine.disk.geometry(), &options, election_seed, rng.next_u64());
        Node {
            cluster,
            started: now.monotonic,
            replica,
            coordinator: Coordinator::new(config.node, Leader::new(options.planted), rng.next_u64() >> 1),
            peers: Peers::new(peers, now.monotonic),
            stack: Arc::new(Mutex::new(stack)),
            timekeeper: Timekeeper::new(&config.ntp, time_seed, now.monotonic),
            registry: Arc::new(Registry::with_connections_max(options.connections_max)),
            tasks: Tasks::default(),
            work: Work::new(database.clone(), config.node),
            database,
            changes: Arc::default(),
            said: Arc::default(),
            rng,
            log_len_max: options.log_len_max,
            next_backend: 1,
            waiting_requests: VecDeque::new(),
            outbox: Vec::new(),
            members: None,
            shown_role: None,
            links_up: alloc::vec![true; nics_count],
            next_refusal_at: Instant::ZERO,
            leaving: None,
            placing: SharedPlacing::default(),
            has_double: false,
            calls: Vec::new(),
            config,
        }
    }

    /// One turn. Call it again when a device wakes `context`, or at the returned time.
    pub fn poll(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Instant {
        let now = self.timekeeper.corrected(now);
        self.database.lock().wall_micros = now.wall.unix_micros;
        self.registry.advance(now.monotonic);
        let mut more = true;
        for _ in 0..ROUNDS_MAX {
            more = self.round(now, machine, context);
            if !more {
                break;
            }
        }
        self.show(now, machine);
        if more {
            return now.monotonic;
        }
        self.deadline(now)
    }

    /// Takes in, does, sends out; whether another round would find something to do.
    fn round(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> bool {
        let mut more = self.take_frames(now, machine, context);
        more |= self.replica.exchange(now, machine.disk, context);
        self.take_peer_events(now, machine);
        self.stack.lock().poll(now.monotonic);
        self.keep_time(now);
        self.follow_address();
        self.accept_clients();
        self.analyze_what_has_changed(now);
        self.work(now);
        more |= self.tasks.run();
        self.take_requests(now, machine);
        self.look_for_members(now);
        self.advance_leaving(now);
        self.coordinator.advance(now, &mut self.replica, &mut self.outbox);
        let applied = self.replica.advance(now);
        let replaced = self.replica.take_replaced();
        more |= !applied.is_empty() || replaced;
        if more {
            self.database.lock().newest = self.replica.tables.snapshot();
        }
        self.share_service_state();
        for entry in applied {
            self.entry_applied(&entry);
        }
        if replaced {
            self.coordinator.tables_replaced(&self.replica.tables);
            self.work.tables_replaced(self.replica.tables.version());
            self.database.channels().miss();
        }
        // What was applied may be what readers wait for.
        self.coordinator.advance(now, &mut self.replica, &mut self.outbox);
        self.replica.submit(machine.disk, &mut self.waiting_requests);
        self.send(now, machine);
        more || self.tasks.any_ready() || self.replica.has_more()
    }

    /// Looks for members that this node has just learned of.
    fn look_for_members(&mut self, now: Now) {
        let Some(raft) = self.replica.raft_mut() else { return };
        if let Some(leader) = raft.take_told_of() {
            self.peers.add(now.monotonic, leader);
        }
        let membership = raft.log().membership();
        if self.members.as_ref().is_none_or(|known| !Arc::ptr_eq(known, membership)) {
            self.members = Some(membership.clone());
            membership.members().for_each(|member| self.peers.add(now.monotonic, member.node));
        }
    }

    fn entry_applied(&mut self, entry: &Entry) {
        if let Payload::Membership(membership) = &entry.payload {
            let line = alloc::format!("the cluster has {membership} from version {} on", entry.version);
            self.replica.log_lines.push(LogLine(Level::Info, line));
        }
        if let Payload::Commit(commit) = &entry.payload {
            self.changes.lock().note(commit);
            self.work.note(entry.version, commit);
            self.database.channels().tell(notifications(commit));
        }
        self.coordinator.applied(entry);
    }

    /// Whether this node is the one that makes statistics.
    fn analyzes(&self) -> bool {
        let leads = self.replica.raft().is_some_and(|raft| raft.is_leader());
        leads && self.replica.out_of_service().is_none() && self.replica.tables.settings().auto_analyze()
    }

    /// Makes statistics of a table that has changed much, beside everything else.
    fn analyze_what_has_changed(&mut self, now: Now) {
        if !self.analyzes() {
            return;
        }
        let Some(table) = self.changes.lock().begin(now) else { return };
        self.replica.hit(Mark::TableAnalyzed);
        let (mut session, changes) = (self.service_session(), self.changes.clone());
        self.tasks.spawn(async move {
            let done = session.analyze_table(table).await;
            changes.lock().end(table, done == Ok(true));
        });
    }

    fn take_peer_events(&mut self, now: Now, machine: &mut Machine<'_>) {
        for event in self.peers.take_events() {
            match event {
                PeerEvent::Message(from, bytes) => match decode(&bytes) {
                    Ok(message) => self.receive(now, from, message, machine),
                    Err(error) => {
                        let line = alloc::format!("refused a message of node {from}: {error}");
                        self.replica.log_lines.push(LogLine(Level::Warn, line));
                    }
                },
                PeerEvent::Receiving(peer) => self.replica.heard(now, peer),
                PeerEvent::Up(peer) => {
                    self.replica.peer_is_up();
                    let line = alloc::format!("node {peer} is reachable");
                    self.replica.log_lines.push(LogLine(Level::Info, line));
                }
                PeerEvent::Reset(peer) => {
                    let line = alloc::format!("node {peer} is no longer reachable, or was restarted");
                    self.replica.log_lines.push(LogLine(Level::Info, line));
                    self.coordinator.peer_reset(now, peer);
                }
                PeerEvent::Refused(refusal) => {
                    self.has_double |= matches!(refusal, Refusal::SameNode(_));
                    self.report_refusal(now, refusal);
                }
            }
        }
    }

    fn report_refusal(&mut self, now: Now, refusal: Refusal) {
        if now.monotonic >= self.next_refusal_at {
            self.next_refusal_at = now.monotonic + REFUSAL_PAUSE;
            self.replica.log_lines.push(LogLine(Level::Warn, refusal.to_string()));
        }
    }

    fn receive(&mut self, now: Now, from: NodeId, message: PeerMessage, machine: &Machine<'_>) {
        let Node { coordinator, replica, outbox, .. } = self;
        match message {
            PeerMessage::Raft(message) => replica.receive(now, from, message),
            PeerMessage::Commit(commit) => coordinator.forwarded_commit(now, replica, commit, outbox),
            PeerMessage::CommitRefused(request, refused, term) => {
                coordinator.commit_refused(request, refused, term);
            }
            PeerMessage::Read(number) => coordinator.forwarded_read(now, replica, from, number, outbox),
            PeerMessage::ReadAnswer(number, version) => coordinator.read_answered(now, number, version),
            PeerMessage::Entries(first) => replica.entries_asked(from, first),
            PeerMessage::EntriesAnswer(entries) => replica.entries_lent(now, &entries),
            PeerMessage::Tables(head, index) => replica.tables_asked(from, head, index),
            PeerMessage::TablesAnswer(chunk) => replica.tables_lent(chunk),
            PeerMessage::Patch(question) => replica.patch_asked(from, &question),
            PeerMessage::PatchAnswer(question, piece) => replica.patch_answered(now, &question, &piece),
            PeerMessage::Agreement(message) => replica.agreement_received(from, message),
            PeerMessage::Change(number, change) => {
                let answer = change_cluster(now, replica, change);
                outbox.push((from, PeerMessage::ChangeAnswer(number, answer)));
            }
            PeerMessage::ChangeAnswer(number, answer) => coordinator.change_answered(now, number, answer),
            PeerMessage::LiveAnswer(number, rows) => coordinator.live_answered(from, number, rows),
            PeerMessage::Signal(number, signal) => {
                let told = self.registry.signal(signal);
                outbox.push((from, PeerMessage::SignalAnswer(number, told)));
            }
            PeerMessage::SignalAnswer(number, told) => coordinator.signal_answered(number, told),
            PeerMessage::Live(number, table) => {
                let rows = self.own_rows(now, &table, machine);
                self.outbox.push((from, PeerMessage::LiveAnswer(number, rows)));
            }
        }
    }

    fn deadline(&mut self, now: Now) -> Instant {
        let far = now.monotonic + Duration::from_secs(3600);
        let stack = self.stack.lock().deadline(now.monotonic);
        let (replica, coordinator) = (self.replica.deadline(), self.coordinator.deadline());
        let analysis = self.changes.lock().deadline().filter(|_| self.analyzes());
        let registry = self.registry.deadline();
        let said = self.said.lock().deadline().filter(|_| self.can_write_log());
        let deadlines = [
            replica,
            coordinator,
            self.peers.deadline(),
            stack,
            registry,
            analysis,
            said,
            self.work.deadline(),
            self.leaving_deadline(),
            self.timekeeper.deadline(),
        ];
        deadlines.into_iter().flatten().fold(far, Instant::min)
    }
}

fn known_ip(config: &NodeConfig, node: NodeId) -> Option<core::net::Ipv4Addr> {
    config.peers.iter().find(|(known, _)| *known == node).map(|(_, ip)| *ip)
}
