//! The fabric: the process that owns the machines, the switch between them, and the gateway.
//!
//! ```text
//!   psql ── 127.0.0.1:port ── Gateway (TCP stack) ─┐
//!                                                  │ port 0
//!   VM 1 ── socket ── port 1 ────────────────── Switch ── faults, per link and direction
//!   VM 2 ── socket ── port 2 ──────────────────────┘
//! ```
//! With several fabrics, there is a switch for each, with the ports of all VMs; the gateway is on the first.
//!
//! Nodes that are processes of this machine have the same sockets for their peers, and listen for clients themselves.
//!
//! One thread: frames are few microseconds of work, and their order is kept.

mod capture;
mod datagram;
mod dhcp;
mod gateway;
mod machines;
mod monitor;
mod ntp;
mod orders;
mod pcap;
mod switch;
mod wire;

use tokio::net::UnixListener;
use tokio::task::LocalSet;

use crate::cluster::Cluster;
use crate::disks;
use crate::error::Failure;
use crate::fabric::gateway::Gateway;
use crate::fabric::machines::Machines;
pub use crate::fabric::machines::STOP;
use crate::fabric::wire::Wires;
use crate::layout::Layout;

/// What orders act on.
struct Parts {
    machines: Machines,
    gateway: Gateway,
    wires: Wires,
    layout: Layout,
}

impl Parts {
    /// Gives the cluster so many nodes and its disks so many MiB, tells those that run, and starts those that do not.
    async fn grow(&self, nodes: u8, disk_mib: u64) -> Result<(), Failure> {
        let mut cluster = self.machines.cluster();
        // Nobody makes a disk in between: that is done here as well, by the description that is replaced now.
        disks::grow(&self.layout, &mut cluster, disk_mib)?;
        self.machines.grow(cluster.clone());
        for node in cluster.nodes + 1..=nodes {
            self.wires.add(&self.layout, node)?;
            let cluster = Cluster { nodes: node, ..cluster.clone() };
            self.gateway.add(&cluster, node).await?;
            cluster.save(&self.layout)?;
            self.machines.grow(cluster);
        }
        // Those that are started now find their disks as they are.
        let told = self.machines.measure_disks().await;
        self.machines.start_all().await.and(told)
    }
}

/// Runs until it is told to stop.
pub fn run(layout: &Layout) -> Result<(), Failure> {
    let cluster = Cluster::expect(layout)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::file("run", layout.dir()))?;
    LocalSet::new().block_on(&runtime, serve(layout.clone(), cluster))
}

async fn serve(layout: Layout, cluster: Cluster) -> Result<(), Failure> {
    let wires = Wires::open(&layout, &cluster)?;
    let gateway = Gateway::start(&cluster, &wires).await?;
    wires.start(gateway.clone());
    let machines = Machines::new(layout.clone(), cluster);
    let path = layout.control_socket();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(Failure::file("listen on", path))?;
    let pid_path = layout.fabric_pid();
    std::fs::write(&pid_path, std::process::id().to_string()).map_err(Failure::file("write", &pid_path))?;
    let parts = Parts { machines: machines.clone(), gateway, wires, layout: layout.clone() };
    orders::serve(&listener, &parts).await;
    machines.stop_all().await;
    let _ = std::fs::remove_file(&pid_path);
    let _ = std::fs::remove_file(layout.control_socket());
    Ok(())
}
