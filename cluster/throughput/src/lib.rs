//! How much a wire carries between two machines: one serves, one asks and takes the time.
//!
//! Over TCP, at [`PORT`], connections without a greeting. Each carries requests and their answers in turn:
//!
//! ```text
//!   request, 64 bytes    0  "RLXWIRE1"
//!                        8  bytes of the answer, little-endian
//!                       16  the number of the request on its connection, little-endian; then zeros
//!   answer               the request, again and again, as many bytes as it asks for
//! ```
//!
//! A stream is one request for a long answer; requests a second are many for answers as long as they are. Either end is
//! the same on every system: it is generic over its [`Connection`], and whoever runs it has the clock.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ends;
mod measured;
mod request;
mod role;

pub use ends::{Connection, Failure, ask, serve};
pub use measured::Measured;
pub use request::{REQUEST_LEN, Request};
pub use role::Role;

/// Where the one that serves listens.
pub const PORT: u16 = 5001;

/// What is asked for, and over how many connections at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Connections, each opened for this, and closed after it.
    pub connections: u64,
    /// Requests over all of them together; each connection has its share of them.
    pub requests: u64,
    /// Bytes of each answer.
    pub answer_len: u64,
}

impl Part {
    /// Requests over each connection.
    pub fn requests_each(&self) -> u64 {
        self.requests / self.connections.max(1)
    }
}

/// What the asker asks for, in turn: a stream, requests over one connection, requests over many.
pub const PARTS: [Part; 3] = [
    Part { connections: 1, requests: 1, answer_len: 64 << 20 },
    Part { connections: 1, requests: 4_000, answer_len: REQUEST_LEN as u64 },
    Part { connections: 64, requests: 32_000, answer_len: REQUEST_LEN as u64 },
];

/// How often it asks for all of them. The first time warms up: code is translated, neighbours are found.
pub const ROUNDS: usize = 2;

/// Connections at once, at most.
pub const CONNECTIONS_MAX: usize = 64;

#[cfg(test)]
mod tests;
