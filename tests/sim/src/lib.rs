//! A whole cluster in one process and one thread: complete nodes on simulated disks, wires and clocks,
//! clients that speak the Postgres protocol over TCP.
//!
//! 1. **One seed decides everything.** Whatever happens feeds a running hash, the [`Trace`]: the same seed
//!    gives the same trace, or the simulator is at fault.
//! 2. **Time jumps to the next event.** A node is polled when its deadline has come, a frame has arrived or
//!    its disk has completed something, and not otherwise.
//! 3. **Safety, then liveness.** A [`Simulation`] runs workloads while faults happen; then all faults end, and
//!    a cluster that is well must converge.
//! 4. **A fault that did not happen proves nothing.** Every kind is counted, and what was never reached is
//!    reported.

#![forbid(unsafe_code)]

mod client;
mod clock;
mod cluster;
mod faults;
mod fleet;
mod host;
mod member;
mod nics;
mod options;
mod power;
mod report;
mod simulation;
mod trace;
mod witness;

pub use client::{Client, ask, number, start_load, until};
pub use clock::SimClock;
pub use cluster::Cluster;
pub use faults::{FaultKind, Injector};
pub use fleet::{Fleet, Told, run_fleet};
pub use host::{Host, within};
pub use options::{Options, WorkloadKind};
pub use power::{Covered, Cut, Lost, cut_power_everywhere};
pub use report::{Counts, Summary};
pub use simulation::{Failed, Outcome, Simulation};
pub use trace::Trace;
