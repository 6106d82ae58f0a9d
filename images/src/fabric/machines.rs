//! The machines: processes that are started, stopped and ended by order.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use drivers_api::SECTOR_SIZE;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::cluster::{Cluster, Runner};
use crate::control::{MachineState, MachineStatus};
use crate::disks;
use crate::error::Failure;
use crate::fabric::monitor;
use crate::layout::Layout;
use crate::qemu;

/// How long a machine may take to end when asked.
const END_WITHIN: Duration = Duration::from_secs(5);

/// What a host process is told: its disk's file is longer, or it is to stop.
const MEASURE: u8 = 0;
pub const STOP: u8 = 1;

#[derive(Default)]
struct Machine {
    child: Option<Child>,
    paused: bool,
    /// Where a host process is told something.
    bell: Option<UnixStream>,
    /// What its disk does per second, at most; 0: all it can.
    iops: u32,
    /// How far its clock is ahead of this machine's, in seconds.
    ahead_s: i64,
}

/// All machines. Cloning shares them.
#[derive(Clone)]
pub struct Machines(Rc<Inner>);

struct Inner {
    layout: Layout,
    cluster: RefCell<Cluster>,
    machines: RefCell<Vec<Machine>>,
}

impl Machines {
    /// None runs yet.
    pub fn new(layout: Layout, cluster: Cluster) -> Machines {
        let machines = cluster.node_ids().map(|_| Machine::default()).collect();
        let (cluster, machines) = (RefCell::new(cluster), RefCell::new(machines));
        Machines(Rc::new(Inner { layout, cluster, machines }))
    }

    /// The cluster's constants.
    pub fn cluster(&self) -> Cluster {
        self.0.cluster.borrow().clone()
    }

    /// The cluster has become `cluster`, with further nodes, which are down so far, or larger disks.
    pub fn grow(&self, cluster: Cluster) {
        self.0.machines.borrow_mut().resize_with(cluster.nodes.into(), Machine::default);
        *self.0.cluster.borrow_mut() = cluster;
    }

    /// How each is.
    pub fn status(&self) -> Vec<MachineStatus> {
        let mut machines = self.0.machines.borrow_mut();
        let status = (1..).zip(machines.iter_mut()).map(|(id, machine)| {
            let pid = machine.pid();
            let state = match pid {
                None => MachineState::Down,
                Some(_) if machine.paused => MachineState::Paused,
                Some(_) => MachineState::Up,
            };
            MachineStatus { id, state, pid: pid.and_then(|pid| u32::try_from(pid.as_raw_pid()).ok()) }
        });
        status.collect()
    }

    /// Starts every machine that is down.
    pub async fn start_all(&self) -> Result<(), Failure> {
        let down = self.status().into_iter().filter(|machine| machine.state == MachineState::Down);
        for machine in down {
            self.start(machine.id).await?;
        }
        Ok(())
    }

    /// Starts one that is down.
    pub async fn start(&self, node: u8) -> Result<(), Failure> {
        self.make_disk(node).await?;
        let Inner { layout, cluster, machines } = &*self.0;
        let cluster = &*cluster.borrow();
        let log_path = layout.node_log(node);
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(Failure::file("open", &log_path))?;
        let errors = log.try_clone().map_err(Failure::file("open", &log_path))?;
        for fabric in cluster.fabric_ids() {
            let _ = std::fs::remove_file(layout.node_socket(fabric, node));
        }
        let _ = std::fs::remove_file(layout.monitor_socket(node));
        let ahead_s = machines.borrow()[usize::from(node) - 1].ahead_s;
        // A key pressed in the terminal is not meant for the machines.
        let (mut command, input, bell) = match qemu::arguments(layout, cluster, node) {
            Some(arguments) => {
                let mut command = Command::new(qemu::PROGRAM);
                command.args(arguments).args(qemu::clock(ahead_s));
                (command, Stdio::null(), None)
            }
            None => {
                let (bell, input) = bell().map_err(Failure::file("make a socket for", &log_path))?;
                (host_command(layout, cluster, node, ahead_s)?, input, Some(bell))
            }
        };
        command.stdin(input).stdout(log).stderr(errors);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn();
        let child = child.map_err(|error| Failure::Program { program, problem: error.to_string() })?;
        let mut machines = machines.borrow_mut();
        let machine = &mut machines[usize::from(node) - 1];
        (machine.child, machine.paused, machine.bell) = (Some(child), false, bell);
        Ok(())
    }

    /// Ends one at once; one that is down stays so.
    pub async fn kill(&self, node: u8) {
        let child = self.0.machines.borrow_mut()[usize::from(node) - 1].child.take();
        if let Some(mut child) = child {
            // Fails only for one that has ended by itself.
            let _ = child.kill().await;
        }
    }

    /// Asks one to stop in order, as its power button does, and ends it if it has not within a while; one that is down
    /// stays so.
    pub async fn stop(&self, node: u8) {
        let Inner { layout, cluster, machines } = &*self.0;
        let is_vm = matches!(cluster.borrow().runner, Runner::Vm { .. });
        let machine = {
            let machine = &mut machines.borrow_mut()[usize::from(node) - 1];
            if machine.paused { None } else { machine.child.take().map(|child| (child, machine.bell.take())) }
        };
        // One that stands still hears nothing.
        let Some((mut child, bell)) = machine else { return self.kill(node).await };
        let asked = match bell {
            _ if is_vm => monitor::press_power_button(&layout.monitor_socket(node)).await.is_ok(),
            Some(mut bell) => bell.write(&[STOP]).is_ok(),
            None => false,
        };
        if !asked || tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    /// Stops one in its tracks, or lets it go on.
    pub fn pause(&self, node: u8, paused: bool) -> Result<(), Failure> {
        let machine = &mut self.0.machines.borrow_mut()[usize::from(node) - 1];
        let Some(pid) = machine.pid() else {
            return Err(Failure::Refused(format!(
                "node {node} is down: start it with 'relix fault restart {node}'"
            )));
        };
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        kill_process(pid, signal).map_err(|error| Failure::Refused(error.to_string()))?;
        machine.paused = paused;
        Ok(())
    }

    /// Lets a machine that runs see how long its disk's file is now. A paused VM will be told once it goes on.
    pub async fn measure_disk(&self, node: u8) -> Result<(), Failure> {
        if let Some(mut bell) = self.0.machines.borrow()[usize::from(node) - 1].bell.as_ref() {
            // It has ended, or has not heard earlier ones yet.
            let _ = bell.write(&[MEASURE]);
        }
        let Some(socket) = self.listening_monitor(node) else { return Ok(()) };
        let path = self.0.layout.disk(node);
        let len = std::fs::metadata(&path).map_err(Failure::file("measure", path))?.len();
        monitor::resize_disk(&socket, len.next_multiple_of(SECTOR_SIZE as u64)).await
    }

    /// Where a VM's QEMU is told something; none for host processes, and for a VM that is down or paused: it will be told once
    /// it goes on.
    fn listening_monitor(&self, node: u8) -> Option<PathBuf> {
        let Inner { layout, cluster, machines } = &*self.0;
        let is_vm = matches!(cluster.borrow().runner, Runner::Vm { .. });
        let machine = &mut machines.borrow_mut()[usize::from(node) - 1];
        (is_vm && machine.pid().is_some() && !machine.paused).then(|| layout.monitor_socket(node))
    }

    /// The same for all; the first error, if any.
    pub async fn measure_disks(&self) -> Result<(), Failure> {
        let mut result = Ok(());
        for node in self.cluster().node_ids() {
            result = result.and(self.measure_disk(node).await);
        }
        result
    }

    /// Tells a VM whether its network card on a fabric is plugged in. One that is down or paused will be told once it goes on.
    pub async fn set_link(&self, fabric: u8, node: u8, up: bool) -> Result<(), Failure> {
        match self.listening_monitor(node) {
            Some(socket) => monitor::set_link(&socket, fabric, up).await,
            None => Ok(()),
        }
    }

    /// A node's clock is so far ahead of this machine's, from its next start on.
    pub fn set_clock(&self, node: u8, ahead_s: i64) {
        self.0.machines.borrow_mut()[usize::from(node) - 1].ahead_s = ahead_s;
    }

    /// Slows a VM's disk down to so many operations per second, or ends that with 0. One that is down or paused will be told
    /// once it goes on.
    pub async fn set_disk_speed(&self, node: u8, iops: u32) -> Result<(), Failure> {
        if !matches!(self.0.cluster.borrow().runner, Runner::Vm { .. }) {
            let why =
                "host processes have the host's disk, which is not slowed down: start VMs, without --host";
            return Err(Failure::Refused(why.into()));
        }
        self.0.machines.borrow_mut()[usize::from(node) - 1].iops = iops;
        self.tell_disk_speed(node).await
    }

    /// Tells a VM how fast its disk is to be, if it runs.
    pub async fn tell_disk_speed(&self, node: u8) -> Result<(), Failure> {
        let iops = self.0.machines.borrow()[usize::from(node) - 1].iops;
        match self.listening_monitor(node) {
            Some(socket) => monitor::slow_disk(&socket, iops).await,
            None => Ok(()),
        }
    }

    /// Makes a node's disk, if it is not there yet, while frames go on: to copy an image takes a while.
    async fn make_disk(&self, node: u8) -> Result<(), Failure> {
        let (layout, cluster) = (self.0.layout.clone(), self.cluster());
        let made = tokio::task::spawn_blocking(move || disks::make(&layout, &cluster, node)).await;
        made.unwrap_or_else(|error| Err(Failure::Refused(error.to_string())))
    }

    /// Slows those disks down that are to be slow.
    pub async fn slow_disks(&self) -> Result<(), Failure> {
        let slow: Vec<u8> = {
            let machines = self.0.machines.borrow();
            (1..).zip(machines.iter()).filter(|(_, machine)| machine.iops > 0).map(|(node, _)| node).collect()
        };
        for node in slow {
            self.tell_disk_speed(node).await?;
        }
        Ok(())
    }

    /// Ends all, each with a little time to end by itself.
    pub async fn stop_all(&self) {
        let children: Vec<Child> =
            self.0.machines.borrow_mut().iter_mut().filter_map(|machine| machine.child.take()).collect();
        for child in &children {
            if let Some(pid) = pid_of(child) {
                let _ = kill_process(pid, Signal::CONT);
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        for mut child in children {
            if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

impl Machine {
    /// Its process, while it runs.
    fn pid(&mut self) -> Option<Pid> {
        let child = self.child.as_mut()?;
        match child.try_wait() {
            Ok(None) => pid_of(child),
            _ => None,
        }
    }
}

/// The fabric's end of a socket, and the other, for a machine's standard input.
fn bell() -> io::Result<(UnixStream, Stdio)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((ours, OwnedFd::from(theirs).into()))
}

fn host_command(layout: &Layout, cluster: &Cluster, node: u8, ahead_s: i64) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(Failure::file("find", "this program"))?;
    let mut command = Command::new(program);
    command.arg("--dir").arg(layout.dir()).arg("host-node").arg("--machine").arg(node.to_string());
    command.arg("--tables-len-max").arg((cluster.host_tables_mib << 20).to_string());
    command.arg("--sql-port").arg(cluster.sql_port(node).to_string());
    command.arg("--http-port").arg(cluster.http_port(node).to_string());
    command.arg("--clock-ahead-s").arg(ahead_s.to_string());
    command.args(cluster.settings(node));
    Ok(command)
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}
