//! What clients speak to a node: the Postgres wire protocol, version 3.0.
//!
//! 1. **No I/O inside.** A [`Connection`] brings bytes and takes bytes; the node gives it a socket.
//! 2. **Any bytes are an answer.** Whatever a client sends is a message or an error, within stated limits.
//! 3. **Backpressure is pending.** Results are produced as fast as the client takes them.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod connection;
mod registry;
mod serve;

pub use connection::{Closed, Connection};
pub use registry::Registry;
pub use serve::serve;
