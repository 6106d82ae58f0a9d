//! The gateway: connections to 127.0.0.1 continue in the virtual network, to the VM that they are meant for.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cluster_format::limits;
use cluster_net::{Addressing, Stack, StackConfig, TcpConnection};
use drivers_api::{Frame, Instant};
use drivers_host::HostClock;
use spin::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::cluster::{
    Cluster, MTU, PREFIX_LEN, PREFIX6_LEN, Runner, gateway_hardware_address, gateway_ip, gateway_ip6,
    hardware_address_of, ip_of, ip6_of,
};
use crate::control::DhcpMode;
use crate::error::Failure;
use crate::fabric::dhcp::DhcpServer;
use crate::fabric::ntp;
use crate::fabric::wire::Wires;
use crate::links::{FIRST_FABRIC, GATEWAY_PORT};

/// The ports of SQL and of HTTP in the virtual network.
const PORTS: [u16; 2] = [5432, 80];

/// An attempt to connect is given this time at first, then a quarter more each time.
const ATTEMPT_WITHIN: Duration = Duration::from_millis(100);

/// A node that does not accept a connection within this is not there.
const OPENED_WITHIN: Duration = Duration::from_secs(3);

/// Connections at once, over all nodes: as many as three of them take.
const CONNECTIONS_MAX: usize = 3 * limits::CONNECTIONS_MAX + 64;

/// Bytes of their buffers.
const BUFFERS_LEN_MAX: usize = 96 << 20;

/// The gateway. Cloning shares it.
#[derive(Clone)]
pub struct Gateway(Rc<Inner>);

struct Inner {
    stack: Arc<Mutex<Stack>>,
    clock: HostClock,
    /// Node K's machine was ended, at place K - 1: its connections end too.
    ended: RefCell<Vec<Rc<Notify>>>,
    /// Something was put into the stack: it must be polled.
    poked: Notify,
    wires: RefCell<Option<Wires>>,
    /// Whether connections go on by IPv6.
    by_ip6: bool,
    /// What nodes ask for their addresses, if they do.
    dhcp: RefCell<Option<DhcpServer>>,
    /// What that answers.
    answers: RefCell<Vec<Vec<u8>>>,
}

impl Gateway {
    /// Listens on every node's port and starts the stack.
    pub async fn start(cluster: &Cluster, wires: &Wires) -> Result<Gateway, Failure> {
        let clock = HostClock::new();
        let config = StackConfig {
            hardware_address: gateway_hardware_address(),
            mtu: MTU,
            addressing: Addressing::Static { ip: gateway_ip(), prefix_len: PREFIX_LEN },
            ip6: Some((gateway_ip6(), PREFIX6_LEN)),
            // Ports must differ from an earlier gateway's, whose connections the nodes may remember.
            seed: clock.now().wall.unix_micros as u64,
            connections_max: CONNECTIONS_MAX,
            buffers_len_max: BUFFERS_LEN_MAX,
        };
        let stack = Arc::new(Mutex::new(Stack::new(config, clock.now().monotonic)));
        let ended = RefCell::default();
        let wires = RefCell::new(Some(wires.clone()));
        let dhcp = RefCell::new(cluster.dhcp.then(DhcpServer::default));
        let answers = RefCell::default();
        let inner =
            Inner { stack, clock, ended, poked: Notify::new(), wires, by_ip6: cluster.ip6, dhcp, answers };
        let gateway = Gateway(Rc::new(inner));
        for node in cluster.node_ids() {
            gateway.add(cluster, node).await?;
        }
        tokio::task::spawn_local(gateway.clone().pump());
        Ok(gateway)
    }

    /// Listens on the ports of the node behind the last, unless that does so itself, being a process.
    pub async fn add(&self, cluster: &Cluster, node: u8) -> Result<(), Failure> {
        let ended = Rc::new(Notify::new());
        let mut listeners = Vec::new();
        for (port, inner) in cluster.ports(node).into_iter().zip(PORTS) {
            let listener = TcpListener::bind(("127.0.0.1", port)).await;
            listeners.push((listener.map_err(|_| Failure::PortInUse(port))?, inner));
        }
        if cluster.runner != Runner::Host {
            for (listener, inner) in listeners {
                tokio::task::spawn_local(self.clone().listen(listener, (node, inner), ended.clone()));
            }
        }
        self.0.ended.borrow_mut().push(ended);
        Ok(())
    }

    /// Node `node`'s machine was ended: nobody will tell its connections.
    pub fn node_ended(&self, node: u8) {
        if let Some(ended) = self.0.ended.borrow().get(usize::from(node) - 1) {
            ended.notify_waiters();
        }
    }

    /// A frame for the gateway.
    pub fn receive(&self, frame: &[u8]) {
        let granted = self.0.dhcp.borrow_mut().as_mut().and_then(|server| server.answer(frame));
        match granted.or_else(|| ntp::answer(frame, self.0.clock.now().wall)) {
            Some(answer) => self.0.answers.borrow_mut().push(answer),
            None => self.0.stack.lock().receive(Frame::copy_of(frame)),
        }
        self.0.poked.notify_one();
    }

    /// How nodes are answered from now on that ask for their addresses; false if none do.
    pub fn set_dhcp(&self, mode: DhcpMode) -> bool {
        let mut server = self.0.dhcp.borrow_mut();
        server.as_mut().map(|server| server.mode = mode).is_some()
    }

    /// Moves frames and time along.
    async fn pump(self) {
        loop {
            let now = self.0.clock.now().monotonic;
            let deadline = self.turn(now);
            let pause = deadline.map_or(Duration::from_secs(3600), |deadline| deadline.since(now));
            tokio::select! {
                () = self.0.poked.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Moves the stack along and sends what it has to say; when it wants to be moved again.
    fn turn(&self, now: Instant) -> Option<Instant> {
        let mut stack = self.0.stack.lock();
        stack.poll(now);
        let frames: Vec<Frame> = std::iter::from_fn(|| stack.take_frame()).collect();
        let deadline = stack.deadline(now);
        drop(stack);
        if let Some(wires) = &*self.0.wires.borrow() {
            frames.iter().for_each(|frame| wires.forward(FIRST_FABRIC, GATEWAY_PORT, frame.bytes()));
            let answers = self.0.answers.take();
            answers.iter().for_each(|answer| wires.forward(FIRST_FABRIC, GATEWAY_PORT, answer));
        }
        deadline
    }

    async fn listen(self, listener: TcpListener, to: (u8, u16), ended: Rc<Notify>) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    drop(tokio::task::spawn_local(self.clone().carry(client, to, ended.clone())))
                }
                // Out of descriptors, perhaps: those in use will be freed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Connects to a node. One that is booting does not hear the first attempts; one that very many connect
    /// to at once refuses some.
    async fn open(&self, (node, port): (u8, u16)) -> Option<TcpConnection> {
        let start = self.0.clock.now().monotonic;
        let mut patience = ATTEMPT_WITHIN;
        while self.0.clock.now().monotonic.since(start) < OPENED_WITHIN {
            let ip = if self.0.by_ip6 {
                // Its neighbours are found by asking (RFC 4861).
                IpAddr::V6(ip6_of(node))
            } else {
                self.0.stack.lock().introduce(ip_of(node), hardware_address_of(node));
                IpAddr::V4(ip_of(node))
            };
            self.turn(self.0.clock.now().monotonic);
            let server = Stack::connect(&self.0.stack, ip, port).ok()?;
            self.0.poked.notify_one();
            match tokio::time::timeout(patience, server.established()).await {
                Ok(Ok(())) => return Some(server),
                // All that listen were taken at this moment: others follow.
                Ok(Err(_)) => tokio::time::sleep(patience).await,
                Err(_) => server.abort(),
            }
            patience = patience * 5 / 4;
        }
        None
    }

    /// Carries one connection until either side ends it.
    async fn carry(self, mut client: TcpStream, to: (u8, u16), ended: Rc<Notify>) {
        let _ = client.set_nodelay(true);
        let Some(server) = self.open(to).await else { return };
        let (mut from_client, mut to_client) = client.split();
        let inward = async {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(len @ 1..) = from_client.read(&mut buffer).await {
                if self.write(&server, &buffer[..len]).await.is_err() {
                    return;
                }
            }
            server.finish();
            self.0.poked.notify_one();
        };
        let outward = async {
            let mut buffer = Vec::new();
            while server.read(&mut buffer).await.is_ok() {
                // Room in the stack's buffer is to be announced to the node.
                self.0.poked.notify_one();
                if to_client.write_all(&buffer).await.is_err() {
                    return;
                }
                buffer.clear();
            }
            let _ = to_client.shutdown().await;
        };
        {
            tokio::pin!(inward, outward);
            tokio::select! {
                () = &mut outward => {}
                () = ended.notified() => server.abort(),
                // The client has said all; the node may still answer.
                () = &mut inward => { let _ = tokio::time::timeout(Duration::from_secs(10), outward).await; }
            }
        }
        drop(server);
        self.0.poked.notify_one();
    }

    async fn write(&self, server: &TcpConnection, bytes: &[u8]) -> Result<(), cluster_net::TcpError> {
        for piece in bytes.chunks(8 * 1024) {
            let write = server.write(piece);
            tokio::pin!(write);
            // What fits is in the buffer after the first poll: it leaves now, not when all has fitted.
            tokio::select! {
                biased;
                result = &mut write => result?,
                () = std::future::ready(()) => {
                    self.0.poked.notify_one();
                    write.await?;
                }
            }
            self.0.poked.notify_one();
        }
        Ok(())
    }
}
