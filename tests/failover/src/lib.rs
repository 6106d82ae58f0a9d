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

use scenario::Scenario;
use stage::{Outcome, Stage};

/// Plays a scenario once, on a cluster of its own that is started with `up_options`.
pub fn play(scenario: &Scenario, up_options: &[&str], workloads: &[&str]) -> Outcome {
    let mut stage = Stage::start(&format!("failover-{}", scenario.name), up_options, workloads);
    (scenario.play)(&mut stage);
    stage.finish()
}
