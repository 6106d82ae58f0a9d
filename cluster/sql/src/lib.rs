//! SQL over transactions.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod arithmetic;
pub mod ast;
mod bind;
mod cancel;
pub mod catalog;
pub mod database;
pub mod error;
mod eval;
mod expr;
mod function;
pub mod key;
mod like;
pub mod memory;
pub mod parse;
mod plan;
pub mod row;
pub mod timestamp;
pub mod types;
pub mod wire;

pub use cancel::CancelFlag;
pub use plan::OutputColumn;
