//! The small ones: clock, entropy, console, inventory.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drivers_api::{
    Console, DeviceInfo, Entropy, Instant, Inventory, Level, MemoryInfo, Now, QueueInfo, WallTime,
};

use crate::disk::QUEUE_DEPTH;

/// The host's clocks.
pub struct HostClock {
    start: std::time::Instant,
    /// How far the wall clock is ahead of the system's, in microseconds.
    ahead_micros: i64,
}

impl HostClock {
    /// A clock that starts now.
    pub fn new() -> HostClock {
        HostClock::ahead_by(0)
    }

    /// The same, whose wall clock is so many seconds ahead of the system's.
    pub fn ahead_by(seconds: i64) -> HostClock {
        HostClock { start: std::time::Instant::now(), ahead_micros: seconds.saturating_mul(1_000_000) }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let unix_micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        let unix_micros = unix_micros.saturating_add(self.ahead_micros);
        Now { monotonic: Instant::from_nanos(nanos), wall: WallTime { unix_micros } }
    }
}

impl Default for HostClock {
    fn default() -> Self {
        HostClock::new()
    }
}

/// The host kernel's entropy.
pub struct HostEntropy;

impl Entropy for HostEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            // Blocks until the kernel's pool is ready, then never fails but for a signal.
            if let Ok(len) =
                rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            {
                filled += len;
            }
        }
    }
}

/// Log lines on standard output, as the kernel prints them on its serial line.
pub struct HostConsole {
    clock: std::time::Instant,
    node: u8,
}

impl HostConsole {
    /// The console of node `node`.
    pub fn new(node: u8) -> HostConsole {
        HostConsole { clock: std::time::Instant::now(), node }
    }
}

impl Console for HostConsole {
    fn log(&mut self, level: Level, line: fmt::Arguments<'_>) {
        let elapsed = self.clock.elapsed();
        let (seconds, micros) = (elapsed.as_secs(), elapsed.subsec_micros());
        // Nobody may be listening.
        let _ = writeln!(io::stdout(), "[{seconds:5}.{micros:06}] n{} {} {line}", self.node, level.label());
    }
}

/// What a host process is made of.
pub struct HostInventory;

impl Inventory for HostInventory {
    fn devices(&self) -> Vec<DeviceInfo> {
        let device = |name: &str, kind, queue, depth| DeviceInfo {
            name: name.into(),
            kind,
            bus_address: "host".into(),
            queues: vec![QueueInfo { name: queue, depth, vector: 0, interrupts: 0 }],
        };
        vec![device("disk0", "file", "requests", QUEUE_DEPTH), device("nic0", "unix-datagram", "frames", 0)]
    }

    fn memory(&self) -> MemoryInfo {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let resident_pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        let info = rustix::system::sysinfo();
        let unit = u64::from(info.mem_unit);
        MemoryInfo { total: info.totalram * unit, used: resident_pages * rustix::param::page_size() as u64 }
    }
}
