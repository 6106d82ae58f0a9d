//! What clients speak to a node: the Postgres wire protocol, version 3.0, and HTTP/1.1.
//!
//! 1. **No I/O inside.** A [`Connection`] brings bytes and takes bytes; the node gives it a socket.
//! 2. **Any bytes are an answer.** Whatever a client sends is a message or an error, within stated limits.
//! 3. **Backpressure is pending.** Results are produced as fast as the client takes them.
//! 4. **Nothing is acknowledged early.** `CommandComplete` follows the commit of a statement that is alone
//!    in its transaction; whether it is, the message behind `Execute` tells, which no client waits to send.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod backend;
mod backup;
mod client;
mod connection;
mod extended;
pub mod frontend;
pub mod http;
mod registry;
mod serve;
mod simple;

pub use connection::{Closed, Connection};
pub use extended::{PORTALS_MAX, STATEMENTS_LEN_MAX, STATEMENTS_MAX};
pub use http::serve_http;
pub use registry::{ARRIVED_WITHIN, Registry};
pub use serve::serve;
