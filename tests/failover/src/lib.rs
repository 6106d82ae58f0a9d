//! The failover suite: what befalls a cluster under load, how long its clients are without service, and whether
//! anything is lost, done twice, or wrong.
//!
//! 1. **Seen from outside.** Clusters are started and broken by the `relix` command and asked by Postgres clients; the
//!    workloads and their checks are those of the simulator.
//! 2. **Service is what is acknowledged.** The time without service is the longest span in which no transaction of a
//!    workload took place, read every ten milliseconds.
//! 3. **Figures, not limits.** A run is wrong if something is lost, doubled or mixed up; how long it took is printed.

#![forbid(unsafe_code)]

pub mod report;
pub mod scenario;
pub mod stage;
pub mod timeline;

use scenario::{Machines, Scenario};
use stage::{Outcome, Stage};

/// Plays a scenario once, on a cluster of its own: of VMs, or of host processes.
///
/// # Panics
/// It cannot be played on host processes.
pub fn play(scenario: &Scenario, on_host: bool, workloads: &[&str]) -> Outcome {
    let up_options: &[&str] = match (on_host, scenario.machines) {
        (true, Machines::Any) => &["--host"],
        (true, machines) => panic!("{} is played on {machines:?}", scenario.name),
        (false, Machines::OnTwoFabrics) => &["--fabrics", "2"],
        (false, _) => &[],
    };
    let mut stage = Stage::start(&format!("failover-{}", scenario.name), up_options, workloads);
    (scenario.play)(&mut stage);
    stage.finish()
}
