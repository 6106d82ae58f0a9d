//! Starting a cluster: build, launch, wait until it serves.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cluster_format::limits::VOTERS_MAX;
use drivers_api::Entropy;
use drivers_host::HostEntropy;

use crate::cli::{Accel, Firmware, MachineType, UpOptions};
use crate::cluster::{Cluster, NODES_MAX, Runner};
use crate::control::{self, FaultOrder, MachineState, NetworkOrder, Order};
use crate::disks::DISK_MIB;
use crate::error::Failure;
use crate::layout::Layout;
use crate::progress::spinner;
use crate::{disks, down, kernel_image, logs, packages, shell, status};

/// How many nodes a new cluster has, unless told otherwise.
const NODES_DEFAULT: u8 = 3;

/// The least memory of a VM, in MiB.
const MEMORY_MIB_MIN: u32 = 48;

/// How long the cluster may take to serve.
const SERVING_WITHIN: Duration = Duration::from_secs(60);

/// While it boots, a node that does not answer for this long is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(700);

/// How long the fabric may take to listen.
const FABRIC_WITHIN: Duration = Duration::from_secs(10);

/// Runs `relix up`.
pub fn run(layout: &Layout, options: &UpOptions) -> Result<(), Failure> {
    check(options)?;
    let earlier = if options.fresh { None } else { Cluster::load(layout)? };
    let nodes = options.nodes.or(earlier.map(|earlier| earlier.nodes)).unwrap_or(NODES_DEFAULT);
    let running = control::machines(layout).is_ok();
    if running && options.fresh {
        down::run(layout, true)?;
    } else if running {
        return go_on(layout, options, nodes);
    }
    down::end_leftovers(layout);
    if options.fresh {
        layout.wipe()?;
    }
    layout.create()?;
    let cluster = prepare(layout, options, nodes)?;
    cluster.node_ids().try_for_each(|node| check_ports(&cluster, node))?;
    cluster.save(layout)?;
    start_fabric(layout)?;
    set_fault_seed(layout, options)?;
    let started = Instant::now();
    control::send(layout, &Order::Start)?;
    finish(layout, &cluster, options, started)
}

fn check(options: &UpOptions) -> Result<(), Failure> {
    if let Some(nodes) = options.nodes.filter(|nodes| !(1..=NODES_MAX).contains(nodes)) {
        return Err(Failure::NodeCount(nodes));
    }
    if !options.host && options.memory < MEMORY_MIB_MIN {
        return Err(Failure::TooLittleMemory { asked: options.memory, least: MEMORY_MIB_MIN });
    }
    if options.base_port > u16::MAX - 200 || options.base_port < 1024 {
        return Err(Failure::Argument(format!(
            "--base-port {} leaves no room for the nodes' ports: choose one from 1024 to {}",
            options.base_port,
            u16::MAX - 200
        )));
    }
    Ok(())
}

/// A cluster runs: adds nodes to it and starts what is down, if it is the same cluster.
fn go_on(layout: &Layout, options: &UpOptions, nodes: u8) -> Result<(), Failure> {
    let mut cluster = Cluster::expect(layout)?;
    let same =
        cluster.base_port == options.base_port && matches!(cluster.runner, Runner::Host) == options.host;
    if !same || options.dhcp && !cluster.dhcp || options.ntp && !cluster.ntp || options.ip6 && !cluster.ip6 {
        return Err(Failure::AlreadyRunning);
    }
    check_kind(layout, &cluster, options)?;
    let disk_mib = options.disk_mib.unwrap_or(cluster.disk_mib);
    check_growth(layout, &cluster, nodes, disk_mib)?;
    set_fault_seed(layout, options)?;
    let started = Instant::now();
    control::send(layout, &Order::Grow { nodes, disk_mib })?;
    say_growth(&cluster, nodes, disk_mib);
    (cluster.nodes, cluster.disk_mib) = (nodes, disk_mib);
    finish(layout, &cluster, options, started)
}

fn set_fault_seed(layout: &Layout, options: &UpOptions) -> Result<(), Failure> {
    let Some(seed) = options.fault_seed else { return Ok(()) };
    control::send(layout, &Order::Fault(FaultOrder::Network(NetworkOrder::Seed { seed }))).map(drop)
}

/// An error if the cluster cannot have so many nodes, or its disks so many MiB.
fn check_growth(layout: &Layout, cluster: &Cluster, nodes: u8, disk_mib: u64) -> Result<(), Failure> {
    disks::check(layout, cluster, disk_mib)?;
    if nodes < cluster.nodes {
        return Err(Failure::Argument(format!(
            "{} holds a cluster of {} nodes: remove nodes with 'CALL sys.remove_node(K)', or use --fresh to begin anew, \
             or another --dir",
            layout.dir().display(),
            cluster.nodes
        )));
    }
    (cluster.nodes + 1..=nodes).try_for_each(|node| check_ports(cluster, node))
}

/// Says what becomes more of the cluster. Further nodes join it by themselves.
fn say_growth(cluster: &Cluster, nodes: u8, disk_mib: u64) {
    if disk_mib > cluster.disk_mib {
        println!("The data disks grow to {disk_mib} MiB.");
    }
    if nodes > cluster.nodes {
        println!("The cluster grows to {nodes} nodes.");
    }
}

fn check_ports(cluster: &Cluster, node: u8) -> Result<(), Failure> {
    let check = |port| TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|_| Failure::PortInUse(port));
    cluster.ports(node).into_iter().try_for_each(check)
}

fn finish(layout: &Layout, cluster: &Cluster, options: &UpOptions, started: Instant) -> Result<(), Failure> {
    let leader = wait_until_serving(layout, cluster, started)?;
    println!(
        "{} nodes serve SQL after {:.2} s; the leader is node {leader}.",
        cluster.nodes,
        started.elapsed().as_secs_f64()
    );
    println!("  psql -h 127.0.0.1 -p {} -U relix", cluster.sql_port(1));
    println!("  curl http://127.0.0.1:{}/", cluster.http_port(1));
    if !options.detach && std::io::stdin().is_terminal() {
        shell::open(layout, cluster)?;
        println!("The cluster goes on. 'relix down' stops it.");
    }
    Ok(())
}

/// Decides what runs the nodes, and builds it.
fn prepare(layout: &Layout, options: &UpOptions, nodes: u8) -> Result<Cluster, Failure> {
    let mut earlier = Cluster::load(layout)?;
    if let Some(earlier) = &mut earlier {
        check_kind(layout, earlier, options)?;
        let disk_mib = options.disk_mib.unwrap_or(earlier.disk_mib);
        check_growth(layout, earlier, nodes, disk_mib)?;
        say_growth(earlier, nodes, disk_mib);
        disks::grow(layout, earlier, disk_mib)?;
    }
    let image = match &earlier {
        Some(earlier) => earlier.image().cloned(),
        None => options.image.as_deref().map(|image| check_image(options, image)).transpose()?,
    };
    let runner = if options.host { Runner::Host } else { prepare_vm(layout, options, image)? };
    // The disks carry the name: a cluster keeps it.
    let UpOptions { base_port, discover: discovers, dhcp, ntp, ip6, .. } = *options;
    Ok(match earlier {
        Some(earlier) => {
            Cluster { nodes, base_port, runner, dhcp: dhcp || earlier.discovers, ntp, ip6, ..earlier }
        }
        None => Cluster {
            name: new_name(),
            founders: nodes.min(VOTERS_MAX as u8),
            nodes,
            base_port,
            disk_mib: options.disk_mib.unwrap_or(DISK_MIB),
            discovers,
            dhcp: dhcp || discovers,
            ntp,
            ip6,
            fabrics: options.fabrics.unwrap_or(1),
            host_tables_mib: options.host_tables_mib,
            runner,
        },
    })
}

/// An error if the cluster that is there is of another kind than what is asked for: its disks say what it is.
fn check_kind(layout: &Layout, earlier: &Cluster, options: &UpOptions) -> Result<(), Failure> {
    let differs = if options.host && earlier.fabrics > 1 {
        "is joined by several fabrics, which only VMs are on"
    } else if options.fabrics.is_some_and(|fabrics| fabrics != earlier.fabrics) {
        "is joined by another number of fabrics"
    } else if options.discover && !earlier.discovers {
        "was not started with --discover"
    } else if options.image.is_some() && earlier.image().is_none() {
        "has disks that are no copies of an image"
    } else if earlier.image().is_some() && (options.host || options.machine == MachineType::Microvm) {
        "has disks that only a q35 VM boots"
    } else {
        return Ok(());
    };
    Err(Failure::Argument(format!(
        "the cluster in {} {differs}: use --fresh to begin anew, or another --dir",
        layout.dir().display()
    )))
}

/// A name that no other cluster has, so that none takes another's disk or message for its own.
fn new_name() -> String {
    let mut bytes = [0; 4];
    HostEntropy.fill(&mut bytes);
    format!("relix-{:08x}", u32::from_le_bytes(bytes))
}

fn prepare_vm(
    layout: &Layout,
    options: &UpOptions,
    image: Option<(PathBuf, Firmware)>,
) -> Result<Runner, Failure> {
    packages::ensure_qemu()?;
    let progress = spinner("building the kernel");
    let kernel = kernel_image::build(&progress)?;
    kernel_image::write_symbols(&kernel, &layout.symbols())?;
    progress.finish_and_clear();
    let usable = kvm_is_usable();
    if options.accel == Accel::Kvm && !usable {
        return Err(Failure::Argument("KVM does not work on this machine: use --accel tcg".into()));
    }
    Ok(Runner::Vm {
        kernel,
        symbols: layout.symbols(),
        machine: options.machine,
        kvm: usable && options.accel != Accel::Tcg,
        memory_mib: options.memory,
        cpus: options.cpus,
        image,
    })
}

/// The image by its full name, if VMs can boot it.
fn check_image(options: &UpOptions, path: &Path) -> Result<(PathBuf, Firmware), Failure> {
    if options.machine == MachineType::Microvm {
        return Err(Failure::Argument("microvm boots no disks: use --machine q35 with --image".into()));
    }
    if options.firmware == Firmware::Uefi {
        packages::ensure_ovmf()?;
    }
    disks::check_image(path, options.disk_mib.unwrap_or(DISK_MIB))?;
    let path = std::path::absolute(path).map_err(Failure::file("use", path))?;
    Ok((path, options.firmware))
}

/// Whether KVM runs here: the device alone does not say so, the CPU must have the extensions.
fn kvm_is_usable() -> bool {
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or("");
    device && flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
}

fn start_fabric(layout: &Layout) -> Result<(), Failure> {
    let log_path = layout.fabric_log();
    let log = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.map_err(Failure::file("open", &log_path))?;
    let errors = log.try_clone().map_err(Failure::file("open", &log_path))?;
    let program = std::env::current_exe().map_err(Failure::file("find", "this program"))?;
    let mut command = Command::new(&program);
    command.arg("--dir").arg(layout.dir()).arg("fabric");
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let mut child = command.spawn().map_err(Failure::file("run", program))?;
    let start = Instant::now();
    while control::machines(layout).is_err() {
        if let Ok(Some(_)) = child.try_wait() {
            let text = std::fs::read_to_string(&log_path).unwrap_or_default();
            let line = text.lines().last().unwrap_or("the fabric ended at once: see fabric.log");
            return Err(Failure::Refused(line.trim_start_matches("relix: ").to_string()));
        }
        if start.elapsed() > FABRIC_WITHIN {
            return Err(Failure::Refused("the fabric does not answer: see fabric.log".into()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits for a leader, for every node to answer SQL, and for the tables of the services; the leader.
fn wait_until_serving(layout: &Layout, cluster: &Cluster, started: Instant) -> Result<u8, Failure> {
    let progress = spinner("booting");
    let log_len = |node| std::fs::metadata(layout.node_log(node)).map_or(0, |data| data.len());
    let positions: Vec<u64> = cluster.node_ids().map(log_len).collect();
    loop {
        let machines = control::machines(layout)?;
        let answers = status::ask_all(cluster, &machines, ASK_AGAIN_AFTER)?;
        let serving = answers.iter().flatten().filter(|answer| answer.serves()).count();
        let leader = status::leader(&machines, &answers);
        progress.set_message(format!("{serving} of {} nodes answer SQL", cluster.nodes));
        // Machines that have found each other serve before all of them vote.
        let learns = |answer: &&status::NodeAnswer| cluster.discovers && answer.role == "learner";
        let voters = answers.iter().flatten().filter(|answer| !learns(answer)).count();
        let all_serve = serving == usize::from(cluster.nodes) && voters >= cluster.founders.into();
        if let Some(leader) = leader.filter(|_| all_serve)
            && status::services_are_there(cluster.sql_port(leader), ASK_AGAIN_AFTER)
        {
            progress.finish_and_clear();
            return Ok(leader);
        }
        let ended =
            machines.iter().find(|machine| machine.state == MachineState::Down).map(|machine| machine.id);
        let error =
            cluster.node_ids().zip(&positions).find_map(|(node, at)| logs::last_error(layout, node, *at));
        let given_up = started.elapsed() > SERVING_WITHIN;
        if error.is_some() || ended.is_some() || given_up {
            progress.finish_and_clear();
            let detail = match (error, ended) {
                (Some(error), _) => error,
                (None, Some(node)) => format!("node {node} has ended"),
                (None, None) => format!("{serving} of {} nodes answer SQL", cluster.nodes),
            };
            return Err(Failure::NotServing { seconds: started.elapsed().as_secs(), detail });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_have_names_of_their_own() {
        let (a, b) = (new_name(), new_name());
        assert_ne!(a, b);
        assert_eq!(a.len(), "relix-01234567".len());
    }
}
