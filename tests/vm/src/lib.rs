//! Drives whole clusters by the `relix` command, as a user does: what the stories in `tests/`, the bench and
//! the conformance tests share.
//!
//! 1. **The real thing.** Clusters are started, broken and stopped by the command, and asked by Postgres
//!    clients on 127.0.0.1. Nothing here knows what is inside.
//! 2. **Nothing is left behind.** Each [`Cluster`] has a directory and ports of its own, and is wiped when it
//!    goes out of scope, whatever happened.
//! 3. **No outcome hangs on speed.** Durations are printed; limits only tell slow from never.

#![forbid(unsafe_code)]

mod client;
mod cluster;
mod outcomes;
mod process;
mod program;
mod stream;
mod world;

pub use client::{Client, SqlFailure};
pub use cluster::{Cluster, NodeStatus, State, Status, free_base_port, scratch_dir, turn};
pub use outcomes::{Discrepancies, Ids, ids_at};
pub use process::{CpuMeter, resident_kib};
pub use program::{Outcome, build, is_installed, relix, repository, run};
pub use stream::{InsertStream, Record, longest_silence};
pub use world::{Load, SocketWorld, block_on};
