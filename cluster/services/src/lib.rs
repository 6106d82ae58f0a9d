//! The services of the operating system: its state as rows of schema `sys`, and what is done about it.
//!
//! 1. **Tables are the state.** A service is a folder: the tables that it keeps, in schema.sql, and procedures over them. It
//!    has no other memory, so any node may go on with what another has begun.
//! 2. **Live tables** are computed: each node has its own rows, and a query gathers them from all.
//! 3. **One transaction.** What a service does with rows of others, or of users, is in the same transaction.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod attempts;
#[cfg(test)]
mod bench;
pub mod cache;
pub mod devices;
mod drive;
pub mod files;
pub mod hooks;
pub mod interrupts;
pub mod links;
pub mod log;
pub mod machines;
pub mod memory;
pub mod messages;
pub mod nodes;
pub mod programs;
pub mod raft;
pub mod scheduler;
pub mod schedules;
pub mod sockets;
pub mod storage;
pub mod tables;
pub mod transactions;
pub mod upkeep;
pub mod worker;
pub mod workflows;

use cluster_sql::database::{Database, Freshness, LiveTable};
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlResult, sessions};

/// The live tables.
pub const LIVE_TABLES: &[LiveTable] = &[
    nodes::TABLE,
    devices::TABLE,
    storage::TABLE,
    tables::TABLE,
    sessions::TABLE,
    transactions::TABLE,
    links::TABLE,
    sockets::TABLE,
    memory::TABLE,
    raft::TABLE,
    cache::TABLE,
    interrupts::TABLE,
];

/// The stored tables, service by service.
pub const SCHEMAS: &[ServiceSchema] = &[
    programs::SCHEMA,
    scheduler::SCHEMA,
    schedules::SCHEMA,
    messages::SCHEMA,
    files::SCHEMA,
    workflows::SCHEMA,
    hooks::SCHEMA,
    log::SCHEMA,
    upkeep::SCHEMA,
    machines::SCHEMA,
];

/// What `read` finds in the tables as this node has applied them, without asking anybody.
async fn reading<D: Database, T>(
    session: &mut Session<D>,
    read: impl AsyncFnOnce(&mut Session<D>) -> SqlResult<T>,
) -> SqlResult<T> {
    session.begin_on(Freshness::Local).await?;
    let found = read(session).await;
    session.abandon_block();
    found
}

/// The moment that `value` is, in microseconds since the Unix epoch; none if it is none.
fn micros_of(value: Option<&Datum>) -> Option<i64> {
    if let Some(Datum::Timestamptz(at)) = value { Some(at.unix_micros()) } else { None }
}

fn int8(number: u64) -> Datum {
    Datum::Int8(i64::try_from(number).unwrap_or(i64::MAX))
}
