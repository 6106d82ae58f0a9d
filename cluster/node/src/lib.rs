//! One member of the cluster: consensus, journal, tables, peers, clients and SQL, joined.
//!
//! ```text
//!   clients ── Stack ── sessions ── Shared ──┐
//!                       (tasks)              ▼
//!                                       Coordinator ──── Queue, Leader (admission)
//!                                            │                │
//!   peers ──── Peers ────────────────────► Replica (Raft, Journal, Tables) ── disk
//! ```
//!
//! [`Node::poll`] is one turn: everything that has arrived is taken in, everything that can be done is
//! done, everything that is due leaves; then the root sleeps until a device wakes it or the returned
//! deadline passes. The node owns no clock, no thread and no device, so the same code runs on hardware,
//! in the simulator and in tests.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod activity;
mod agreement;
mod changes;
mod config;
mod coordinator;
mod job;
mod leader;
mod looking;
mod marks;
mod message;
mod node;
mod queue;
mod rebuilding;
mod recovery;
mod replica;
mod said;
mod session;
mod shared;
mod work;
mod writing;

/// What tests/fuzz feeds with any bytes.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::message::PeerMessage;
}

pub use cluster_consensus::Raft;
pub use cluster_format::Planted;
pub use cluster_format::limits::{APPEND_LEN_MAX, CONNECTIONS_MAX, connections_max};
pub use config::{ConfigError, NodeConfig, Seeker, Told};
pub use looking::{Looked, Looking};
pub use node::{Health, Node, NodeOptions, Protocol, REFUSALS_MAX};
