//! Peers and clients over Ethernet frames.
//!
//! Two protocols share the wire. Peers speak datagrams of their own over UDP: framed, versioned,
//! checksummed, made reliable and ordered by [`Peers`] without TCP's one-second timeouts. Clients speak
//! TCP, which `smoltcp` carries ([`Stack`]). Both are polled: `now` is an argument, frames go in and out,
//! and a deadline says when to call again.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod datagram;
pub mod discovery;
mod link;
pub mod ntp;
mod offer;
mod paths;
mod peers;
mod stack;
mod timekeeper;
mod wire;

pub use link::{LinkError, LinkStatus, Traffic};
pub use offer::{Lie, is_host_address};
pub use peers::{NicConfig, PeerEvent, PeerStatus, Peers, PeersConfig, Refusal, is_of_cluster};
pub use stack::{
    Addressing, Lease, Notice, SocketStatus, Stack, StackConfig, TcpConnection, TcpError, is_host_address6,
};

pub use timekeeper::{SERVERS_MAX as TIME_SERVERS_MAX, TimeNotice, Timekeeper};

#[cfg(test)]
mod tests;
