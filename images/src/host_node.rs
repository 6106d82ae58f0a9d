//! The host root: one node as a process. Its peers are on the wire; its clients, which are on this machine,
//! come by sockets of the system, so that nothing stands between them and the node.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use cluster_gateway::{Closed, Connection};
use cluster_node::{
    APPEND_LEN_MAX, CONNECTIONS_MAX, Node, NodeConfig, NodeOptions, Planted, Protocol, REFUSALS_MAX,
};
use drivers_api::Machine;
use drivers_host::{
    DiskSize, HostClock, HostConsole, HostDisk, HostEntropy, HostInventory, HostNic, HostStream, Streams,
    Waiter,
};

use crate::cluster::{MTU, hardware_address_of};
use crate::error::Failure;
use crate::fabric::STOP;
use crate::layout::Layout;

/// Bytes of the ledger's newest entries: 64 MiB.
const HOST_LOG_LEN_MAX: usize = 64 << 20;

/// Runs the node until the process is ended, or it has left because the fabric has asked it to stop. It listens at two ports of this machine: for SQL, and for HTTP.
pub fn run(layout: &Layout, words: &[String], tables_len_max: usize, ports: [u16; 2]) -> Result<(), Failure> {
    let config =
        NodeConfig::parse(&words.join(" "), &[]).map_err(|error| Failure::Argument(error.to_string()))?;
    let id = config.node.0;
    let disk_path = layout.disk(id);
    let mut disk = HostDisk::open(&disk_path).map_err(Failure::file("use the disk", &disk_path))?;
    let (ours, theirs) = (layout.node_socket(id), layout.switch_socket(id));
    let mut nic =
        HostNic::open(&ours, &theirs, hardware_address_of(id), MTU).map_err(Failure::file("use", &ours))?;
    let clock = HostClock::new();
    let mut console = HostConsole::new(id);
    let mut waiter = Waiter::new().map_err(Failure::file("use", &ours))?;
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut clients = Streams::listen(&waiter, &addresses, CONNECTIONS_MAX + REFUSALS_MAX)
        .map_err(|(address, _)| Failure::PortInUse(address.port()))?;
    let waker = waiter.waker();
    let stop = listen(disk.size(), waker.clone()).map_err(Failure::file("run", &disk_path))?;
    let mut context = Context::from_waker(&waker);
    let mut machine =
        Machine { disk: &mut disk, nic: &mut nic, console: &mut console, inventory: &HostInventory };
    let options = NodeOptions {
        tables_len_max,
        sessions_len_max: tables_len_max / 4,
        log_len_max: HOST_LOG_LEN_MAX,
        append_len_max: APPEND_LEN_MAX,
        connections_max: CONNECTIONS_MAX,
        planted: Planted::NONE,
    };
    let mut node = Node::new(config, options, clock.now(), &mut machine, &mut HostEntropy);
    loop {
        let mut machine =
            Machine { disk: &mut disk, nic: &mut nic, console: &mut console, inventory: &HostInventory };
        while let Some((index, client)) = clients.accept() {
            let protocol = [Protocol::Postgres, Protocol::Http][index];
            node.serve(protocol, Client(client));
        }
        if stop.load(Ordering::Relaxed) {
            node.leave(clock.now());
        }
        let deadline = node.poll(clock.now(), &mut machine, &mut context);
        if node.has_left() {
            return Ok(());
        }
        let timeout =
            if clients.may_accept() { Duration::ZERO } else { deadline.since(clock.now().monotonic) };
        waiter.wait(&mut nic, &mut clients, timeout).map_err(Failure::file("wait for", &ours))?;
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
