//! SQL over transactions.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ast;
mod cancel;
pub mod catalog;
pub mod database;
pub mod error;
pub mod key;
pub mod memory;
pub mod parse;
pub mod row;
pub mod timestamp;
pub mod types;
pub mod wire;

pub use cancel::CancelFlag;
