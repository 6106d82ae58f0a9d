//! Raft (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version,
//! 2014) as a state machine: inputs in, effects out, no clock, no I/O, no thread.
//!
//! ```text
//!                 election timeout        quorum of pre-votes       quorum of votes
//!   ┌──────────┐ ────────────────► ┌──────────────┐ ────────► ┌───────────┐ ────────► ┌────────┐
//!   │ Follower │                   │ PreCandidate │           │ Candidate │           │ Leader │
//!   └──────────┘ ◄──────────────── └──────────────┘ ◄──────── └───────────┘           └────────┘
//!        ▲          higher term, or a leader of this term         timeout                  │
//!        └─────────────────────────────────────────────────────────────────────────────────┘
//!                               higher term, or no quorum heard (check-quorum)
//! ```
//!
//! Whoever drives it keeps these rules:
//! 1. [`Raft::take_write`] gives what must become durable, one write at a time; [`Raft::written`] says that
//!    it has. Messages that promise something durable come out of [`Raft::take_messages`] only after that.
//! 2. Other messages may leave at once, so replication and the local flush run in parallel.
//! 3. [`Raft::take_committed`] gives entries once each, in order.
//! 4. Messages may be lost, doubled, delayed or reordered; nothing but speed depends on them.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod election;
mod log;
mod message;
mod raft;
mod reading;
mod replication;

pub use cluster_format::LogPosition;
pub use log::Log;
pub use message::{AppendOutcome, Message, MessageBody};
pub use raft::{Config, LogWrite, NotProposed, Raft, Recovered, Role, Timing, Vote, WriteMark};
pub use replication::EntriesWanted;

#[cfg(test)]
mod tests;
