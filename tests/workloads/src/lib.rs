//! What clients do to a cluster, and what must hold whatever befalls it meanwhile.
//!
//! 1. **One workload, every cluster.** A workload sees a [`World`]: connections to nodes, time, chance. The
//!    simulator gives it simulated ones, the stories of real clusters give it sockets and threads.
//! 2. **A tiny invariant.** Each workload rests on one property that is easily stated, and that a system
//!    which loses, doubles or mixes up transactions cannot keep.
//! 3. **Three fates.** A transaction is committed, refused (nothing was changed) or of unknown fate, and no
//!    workload takes one for another.
//! 4. **No other failure.** What a workload's statements may fail with is a short list; anything else is
//!    a finding.

#![forbid(unsafe_code)]

mod appends;
mod bank;
mod expected;
mod files;
mod inserts;
mod jobs;
mod mail;
mod noise;
mod programs;
mod queue;
mod ring;
mod schema;
mod tasks;
mod ticks;
mod transaction;
mod workflows;
mod workload;
mod world;

pub use appends::Appends;
pub use bank::Bank;
pub use expected::{Watched, WatchedConnection};
pub use files::Files;
pub use inserts::Inserts;
pub use mail::Mail;
pub use noise::noise;
pub use programs::{add_module, add_order_program, add_program, add_statement_program};
pub use queue::Queue;
pub use ring::Ring;
pub use schema::Schema;
pub use tasks::Tasks;
pub use ticks::Ticks;
pub use transaction::{Fate, single, transaction};
pub use workflows::Workflows;
pub use workload::{Pace, Step, Table, Tally, Task, Workload, query_anywhere, run_client};
pub use world::{Answer, Connection, Failure, Row, World, below};
