//! Orders to the fabric: a line of JSON each way, over a Unix socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::layout::Layout;

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
    Kill { node: u8 },
    Restart { node: u8 },
    Pause { node: u8 },
    Resume { node: u8 },
    Partition { groups: Vec<Vec<u8>> },
    Heal,
    Link(LinkOrder),
}

/// How a link is to behave from now on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkOrder {
    /// The two ends; all links without.
    pub between: Option<(u8, u8)>,
    pub loss: f64,
    pub delay_ms: u64,
    pub jitter_ms: u64,
    pub duplicate: f64,
}

/// What the fabric answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done,
    Refused(String),
    Machines(Vec<MachineStatus>),
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
        _ => Err(Failure::Refused("the fabric gave an unexpected answer".into())),
    }
}
