//! SQL over transactions.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod database;
pub mod types;
