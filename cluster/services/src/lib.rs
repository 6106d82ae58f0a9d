//! System tables: the state of the operating system as rows of schema `sys`.
//!
//! These are the live ones: each node computes its own rows, and a query gathers them from all.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod devices;
pub mod nodes;

use cluster_sql::database::LiveTable;

/// The live tables.
pub const LIVE_TABLES: &[LiveTable] = &[nodes::TABLE, devices::TABLE];
