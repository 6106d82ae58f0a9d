//! System tables: the state of the operating system as rows of schema `sys`.
//!
//! These are the live ones: each node computes its own rows, and a query gathers them from all.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod devices;
pub mod nodes;
pub mod storage;
pub mod tables;

use cluster_sql::database::LiveTable;
use cluster_sql::types::Datum;

/// The live tables.
pub const LIVE_TABLES: &[LiveTable] = &[nodes::TABLE, devices::TABLE, storage::TABLE, tables::TABLE];

fn int8(number: u64) -> Datum {
    Datum::Int8(i64::try_from(number).unwrap_or(i64::MAX))
}
