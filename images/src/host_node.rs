//! The host root: one node as a process. Its peers are on the wire; its clients, which are on this machine,
//! come by sockets of the system, so that nothing stands between them and the node.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;

use cluster_gateway::{Closed, Connection};
use cluster_node::{
    APPEND_LEN_MAX, CONNECTIONS_MAX, Looked, Looking, Node, NodeConfig, NodeOptions, Planted, Protocol,
    REFUSALS_MAX, Seeker, Told,
};
use drivers_api::{Instant, Machine};
use drivers_host::{
    DiskSize, HostClock, HostConsole, HostDisk, HostEntropy, HostInventory, HostNic, HostStream, Streams,
    Waiter,
};

use crate::cluster::{MTU, hardware_address_of};
use crate::error::Failure;
use crate::fabric::STOP;
use crate::layout::Layout;
use crate::links::FIRST_FABRIC;

/// Bytes of the ledger's newest entries: 64 MiB.
const HOST_LOG_LEN_MAX: usize = 64 << 20;

/// Runs the node until the process is ended, or it has left because the fabric has asked it to stop. It has the disk and the
/// wire of machine `id`, and listens at two ports of this machine: for SQL, and for HTTP.
pub fn run(
    layout: &Layout,
    id: u8,
    clock: HostClock,
    words: &[String],
    tables_len_max: usize,
    ports: [u16; 2],
) -> Result<(), Failure> {
    let told = NodeConfig::parse(&words.join(" "), &[]);
    let told = told.map_err(|error| Failure::Argument(error.to_string()))?;
    let mut root = Root::open(layout, id, clock, ports)?;
    let options = NodeOptions {
        tables_len_max,
        sessions_len_max: tables_len_max / 4,
        log_len_max: HOST_LOG_LEN_MAX,
        append_len_max: APPEND_LEN_MAX,
        connections_max: CONNECTIONS_MAX,
        planted: Planted::NONE,
    };
    match told {
        Told::Node(config) => root.serve(config, options),
        Told::Seeker(seeker) => match root.look(seeker)? {
            Some(config) => root.serve(config, options),
            None => Ok(()),
        },
    }
}

/// What the node runs on.
struct Root {
    disk: HostDisk,
    nic: HostNic,
    console: HostConsole,
    clock: HostClock,
    waiter: Waiter,
    waker: Waker,
    clients: Streams,
    /// Whether the fabric has asked the node to stop.
    stop: Arc<AtomicBool>,
    /// The wire's socket, for errors.
    wire: PathBuf,
}

impl Root {
    fn open(layout: &Layout, id: u8, clock: HostClock, ports: [u16; 2]) -> Result<Root, Failure> {
        let disk_path = layout.disk(id);
        let disk = HostDisk::open(&disk_path).map_err(Failure::file("use the disk", &disk_path))?;
        let (wire, theirs) = (layout.node_socket(FIRST_FABRIC, id), layout.switch_socket(FIRST_FABRIC, id));
        let nic = HostNic::open(&wire, &theirs, hardware_address_of(id), MTU)
            .map_err(Failure::file("use", &wire))?;
        let waiter = Waiter::new().map_err(Failure::file("use", &wire))?;
        let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let clients = Streams::listen(&waiter, &addresses, CONNECTIONS_MAX + REFUSALS_MAX)
            .map_err(|(address, _)| Failure::PortInUse(address.port()))?;
        let waker = waiter.waker();
        let stop = listen(disk.size(), waker.clone()).map_err(Failure::file("run", &disk_path))?;
        let console = HostConsole::new(id);
        Ok(Root { disk, nic, console, clock, waiter, waker, clients, stop, wire })
    }

    fn machine(&mut self) -> Machine<'_> {
        let Root { disk, nic, console, .. } = self;
        Machine { disk, nics: nic, console, inventory: &HostInventory }
    }

    /// Sleeps until something happens, or until then.
    fn sleep(&mut self, until: Instant) -> Result<(), Failure> {
        let timeout = until.since(self.clock.now().monotonic);
        let Root { waiter, nic, clients, wire, .. } = self;
        waiter.wait(nic, clients, timeout).map_err(Failure::file("wait for", &*wire))
    }

    fn is_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Finds out which node this is; none if it is to stop before. Clients wait.
    fn look(&mut self, seeker: Seeker) -> Result<Option<NodeConfig>, Failure> {
        let waker = self.waker.clone();
        let mut looking = Looking::new(seeker, &mut self.machine());
        while !self.is_to_stop() {
            let now = self.clock.now();
            match looking.poll(now, &mut self.machine(), &mut Context::from_waker(&waker)) {
                Looked::Found(config) => return Ok(Some(config)),
                Looked::Failed(error) => return Err(Failure::Argument(error.to_string())),
                Looked::Waits(until) => self.sleep(until)?,
            }
        }
        Ok(None)
    }

    /// Runs the node until it has left.
    fn serve(&mut self, config: NodeConfig, options: NodeOptions) -> Result<(), Failure> {
        let (waker, now) = (self.waker.clone(), self.clock.now());
        let mut node = Node::new(config, options, now, &mut self.machine(), &mut HostEntropy);
        loop {
            while let Some((index, client)) = self.clients.accept() {
                let protocol = [Protocol::Postgres, Protocol::Http][index];
                node.serve(protocol, Client(client));
            }
            let now = self.clock.now();
            if self.is_to_stop() {
                node.leave(now);
            }
            let deadline = node.poll(now, &mut self.machine(), &mut Context::from_waker(&waker));
            if node.has_left() {
                return Ok(());
            }
            let until = if self.clients.may_accept() { now.monotonic } else { deadline };
            self.sleep(until)?;
        }
    }
}

/// A client's connection, as the gateway sees it.
struct Client(HostStream);

impl Connection for Client {
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Closed> {
        self.0.read(into).await.map_err(|_| Closed)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.0.write(bytes).await.map_err(|_| Closed)
    }
}

/// Hears what the fabric says: the disk's file has become longer, or the node is to stop, which the flag tells and `waker`
/// is woken for.
fn listen(size: DiskSize, waker: Waker) -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let listener = move || {
        for byte in io::stdin().lock().bytes().map_while(Result::ok) {
            if byte == STOP {
                told.store(true, Ordering::Relaxed);
                waker.wake_by_ref();
            } else {
                // A length that cannot be had is what it was.
                let _ = size.measure();
            }
        }
    };
    thread::Builder::new().name("orders".into()).spawn(listener)?;
    Ok(stop)
}
