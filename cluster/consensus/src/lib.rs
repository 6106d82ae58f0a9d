//! Raft (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version,
//! 2014; Ongaro, "Consensus: Bridging Theory and Practice", 2014, called the thesis here) as a state
//! machine: inputs in, effects out, no clock, no I/O, no thread.
//!
//! ```text
//!                 election timeout        quorum of pre-votes       quorum of votes
//!   ┌──────────┐ ────────────────► ┌──────────────┐ ────────► ┌───────────┐ ────────► ┌────────┐
//!   │ Follower │                   │ PreCandidate │           │ Candidate │           │ Leader │
//!   └──────────┘ ◄──────────────── └──────────────┘ ◄──────── └───────────┘           └────────┘
//!      ▲    │    higher term, or a leader of this term         timeout  ▲                  │
//!      │    └── the leader says: stand now ─────────────────────────────┘                  │
//!      └───────────────────────────────────────────────────────────────────────────────────┘
//!                               higher term, or no quorum heard (check-quorum)
//! ```
//!
//! One file for each part of the protocol:
//!
//! | file | what it decides |
//! |---|---|
//! | `raft` | the member's state, and which part a message is for |
//! | `timers` | what is due, and when |
//! | `entries` | proposals, and what is handed out as committed |
//! | `election` | pre-vote, vote, who may disturb a leader |
//! | `replication`, `progress` | the leader's side of the log: pipelining, flow control, commit by quorum |
//! | `follower` | the follower's side: what is kept, replaced, acknowledged, refused |
//! | `durability` | what must be durable before what is said |
//! | `reading` | linearizable reads: ReadIndex in batches, or a lease |
//! | `membership` | who takes part: joining, catching up, voting, replacement, removal |
//! | `transfer` | handing over leadership: on request, to a preferred node, away from a stuck disk |
//! | `snapshot` | bringing a member there that the log cannot |
//!
//! Whoever drives it keeps these rules:
//! 1. [`Raft::take_write`] gives what must become durable, one write at a time; [`Raft::written`] says that
//!    it has. Messages that promise something durable come out of [`Raft::take_messages`] only after that.
//! 2. Other messages may leave at once, so replication and the local flush run in parallel.
//! 3. [`Raft::take_committed`] gives entries once each, in order; after [`Raft::installed`], those behind
//!    the snapshot.
//! 4. Messages may be lost, doubled, delayed or reordered; nothing but speed depends on them.
//! 5. A member whose disk was lost or replaced comes back with another [`cluster_format::Incarnation`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod durability;
mod election;
mod entries;
mod follower;
mod log;
mod marks;
mod membership;
mod message;
mod progress;
mod raft;
mod reading;
mod replication;
mod snapshot;
mod timers;
mod transfer;

pub use config::{Config, Recovered, Timing, Vote};
pub use durability::{LogWrite, WriteMark};
pub use entries::NotProposed;
pub use follower::Refused;
pub use log::Log;
pub use marks::Mark;
pub use membership::NotChanged;
pub use message::{AppendOutcome, Message, MessageBody};
pub use progress::MemberProgress;
pub use raft::{Raft, Role};
pub use replication::EntriesWanted;
pub use snapshot::ChunkWanted;

#[cfg(test)]
mod tests;
