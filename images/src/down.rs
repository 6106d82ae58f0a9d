//! Stopping.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::control::{self, Order};
use crate::error::Failure;
use crate::fault;
use crate::layout::Layout;

/// How long the fabric may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(15);

/// Stops the cluster; with `wipe`, removes its data.
pub fn run(layout: &Layout, wipe: bool) -> Result<(), Failure> {
    let stopped = match control::send(layout, &Order::Down) {
        Ok(answer) => {
            fault::say_captured(&answer);
            wait_until_gone(layout)?
        }
        // A capture could not be written to its end. The cluster stops all the same.
        Err(failure @ Failure::Refused(_)) => {
            eprintln!("relix: {failure}");
            wait_until_gone(layout)?
        }
        Err(Failure::NotRunning) => false,
        Err(other) => return Err(other),
    };
    let leftovers = end_leftovers(layout);
    if wipe {
        layout.wipe()?;
        println!("The cluster is stopped and its data removed.");
    } else if stopped || leftovers > 0 {
        println!("The cluster is stopped. Its data stays in {}.", layout.dir().display());
    } else {
        return Err(Failure::NotRunning);
    }
    Ok(())
}

fn wait_until_gone(layout: &Layout) -> Result<bool, Failure> {
    let start = Instant::now();
    while layout.control_socket().exists() {
        if start.elapsed() > GONE_WITHIN {
            return Err(Failure::Refused("the fabric does not end: see fabric.log".into()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// Ends machines whose fabric was killed and could not end them itself; how many there were. They are
/// known by the state directory in their command line.
pub fn end_leftovers(layout: &Layout) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| is_machine(layout, *pid)).filter_map(Pid::from_raw);
    ours.filter(|pid| kill_process(*pid, Signal::KILL).is_ok()).count()
}

fn is_machine(layout: &Layout, pid: i32) -> bool {
    let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let words: Vec<&str> = text.split('\0').collect();
    let dir = layout.dir().to_string_lossy();
    let vm = words.first().is_some_and(|word| word.contains("qemu-system"))
        && words.iter().any(|word| word.contains(&format!("file={dir}/node")));
    let host = words.contains(&"host-node") && words.iter().any(|word| *word == dir);
    vm || host
}
