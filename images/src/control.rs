//! Orders to the fabric: a line of JSON each way, over a Unix socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::layout::Layout;
use crate::links::{FaultChange, LinkSelection, LinkStatus};

/// What the fabric is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Tell how the machines are.
    Status,
    /// Start those that are down.
    Start,
    /// Give the cluster so many nodes and its disks so many MiB, no fewer than there are, and start what is down. Given
    /// again, it does what is left of that.
    Grow { nodes: u8, disk_mib: u64 },
    /// Break or mend something.
    Fault(FaultOrder),
    /// Stop everything.
    Down,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultOrder {
    Kill {
        node: u8,
    },
    Restart {
        node: u8,
    },
    Pause {
        node: u8,
    },
    Resume {
        node: u8,
    },
    /// Slow a VM's disk down to so many operations per second, or end that with 0.
    Disk {
        node: u8,
        iops: u32,
    },
    /// End a node, and start it with a clock that is so many seconds ahead of this machine's.
    Clock {
        node: u8,
        ahead_s: i64,
    },
    Network(NetworkOrder),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkOrder {
    /// One way: what the first group sends to the others is lost, and all else arrives. On one fabric, or on all.
    Partition { groups: Vec<Vec<u8>>, one_way: bool, fabric: Option<u8> },
    /// End all faults of the network.
    Heal,
    /// Some links are to behave otherwise.
    Link { links: LinkSelection, change: FaultChange },
    /// Tell how all links are.
    Links,
    /// Write what arrives on these links to a file, named by an absolute path.
    Capture { links: LinkSelection, path: PathBuf },
    /// That is enough.
    StopCapture,
    /// Unplug a node's network card on a fabric, or plug it in.
    Nic { node: u8, fabric: u8, up: bool },
    /// Nodes that ask for their addresses are answered like this.
    Dhcp { mode: DhcpMode },
    /// Dice begin anew.
    Seed { seed: u64 },
}

/// How the fabric's DHCP server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    /// With the address that is the node's.
    #[default]
    On,
    /// Not at all.
    Silent,
    /// With another node's address, or that of the network itself.
    Lying,
}

/// What the fabric answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done,
    Refused(String),
    Machines(Vec<MachineStatus>),
    Links(LinksStatus),
    Captured(Captured),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    Up,
    Down,
    Paused,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineStatus {
    pub id: u8,
    pub state: MachineState,
    pub pid: Option<u32>,
}

/// How all links are; `relix fault links --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinksStatus {
    /// Where the dice began.
    pub seed: u64,
    /// The file that frames are captured in just now.
    pub capture: Option<PathBuf>,
    pub links: Vec<LinkStatus>,
}

/// What a capture has come to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Captured {
    pub path: PathBuf,
    /// Frames in the file.
    pub frames: u64,
    /// Frames that are not, since they came faster than they were written.
    pub lost: u64,
}

/// Gives an order and waits for the answer.
pub fn send(layout: &Layout, order: &Order) -> Result<Answer, Failure> {
    let path = layout.control_socket();
    let mut stream = UnixStream::connect(&path).map_err(|_| Failure::NotRunning)?;
    let mut line = serde_json::to_vec(order).map_err(|error| Failure::Refused(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(Failure::file("write to", &path))?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(Failure::file("read from", &path))?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Refused(why)) => Err(Failure::Refused(why)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(Failure::file("understand", path)(error.into())),
    }
}

/// How the machines are.
pub fn machines(layout: &Layout) -> Result<Vec<MachineStatus>, Failure> {
    match send(layout, &Order::Status)? {
        Answer::Machines(machines) => Ok(machines),
        _ => Err(unexpected()),
    }
}

/// How all links are.
pub fn links(layout: &Layout) -> Result<LinksStatus, Failure> {
    match send(layout, &Order::Fault(FaultOrder::Network(NetworkOrder::Links)))? {
        Answer::Links(links) => Ok(links),
        _ => Err(unexpected()),
    }
}

/// The fabric was started by another version of the command.
fn unexpected() -> Failure {
    Failure::Refused("the fabric gave an unexpected answer".into())
}
