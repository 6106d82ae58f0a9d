//! SQL over transactions.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cancel;
pub mod database;
pub mod memory;
pub mod types;

pub use cancel::CancelFlag;
