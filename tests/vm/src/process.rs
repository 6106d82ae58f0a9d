//! What the kernel of the host says about a process.

use std::fs;
use std::time::{Duration, Instant};

/// Ticks per second of the times in `/proc/PID/stat`: fixed on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time used by a process so far, user and system.
fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name in brackets, may hold spaces; the times are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Memory of a process that is resident, in KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// Measures CPU use of some processes from when it is made.
pub struct CpuMeter {
    started: Instant,
    pids: Vec<(u32, u64)>,
}

impl CpuMeter {
    /// Starts to measure.
    pub fn start(pids: &[u32]) -> CpuMeter {
        let pids = pids.iter().filter_map(|pid| Some((*pid, cpu_ticks(*pid)?))).collect();
        CpuMeter { started: Instant::now(), pids }
    }

    /// Per cent of one core that each has used since, and for how long that was.
    pub fn percents(&self) -> (Vec<f64>, Duration) {
        let elapsed = self.started.elapsed();
        let percent = |(pid, before): &(u32, u64)| {
            let ticks = cpu_ticks(*pid).unwrap_or(*before).saturating_sub(*before);
            ticks as f64 / TICKS_PER_SECOND / elapsed.as_secs_f64() * 100.0
        };
        (self.pids.iter().map(percent).collect(), elapsed)
    }
}
