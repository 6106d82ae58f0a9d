//! A whole cluster in one process and one thread: complete nodes on simulated disks, wires and clocks,
//! clients that speak the Postgres protocol over TCP. One seed decides everything.

#![forbid(unsafe_code)]

mod client;
mod cluster;
pub mod workload;

pub use client::{Client, QueryError, QueryResult};
pub use cluster::{Cluster, Host};
