//! The address of a node that asks for one by DHCP (RFC 2131): smoltcp speaks the protocol, what servers say is
//! [checked](crate::offer) before it hears of it.
//!
//! ```text
//!            an address is granted
//!   asking ─────────────────────────► leased ──┐ renewed
//!      ▲                                 │  ▲──┘
//!      └─────────────────────────────────┘
//!        the lease ends, is taken back, or a peer has the address
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::mem::{Discriminant, discriminant, take};
use core::net::Ipv4Addr;
use core::time::Duration;

use cluster_format::NodeId;
use drivers_api::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4::{Event, RetryConfig, Socket};

use super::address;
use crate::offer::{Kind, Lie, Neighbour, Offer};

/// Whoever asks and hears nothing asks again after this.
const ASK_AGAIN_AFTER: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(2);

/// An offer is taken up again after this, then after more.
const TAKE_UP_AGAIN_AFTER: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(1);

/// So often; then it is forgotten.
const TAKE_UPS: u16 = 3;

/// Nobody has answered for so long: that is said.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// And said again.
const SILENT_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A node that has had its address for less gives way to a peer that has it, too, when it is first heard: peers are heard
/// within this. Whoever has heard the other before stays, since the other has come to the address later.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(10);

/// Servers and reasons that are remembered, so that each is named once. Further ones are not named.
const REFUSALS_MAX: usize = 32;

/// An address that a server has granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: Ipv4Addr,
    /// Bits of its network's prefix.
    pub prefix_len: u8,
    /// Who has granted it.
    pub server: Ipv4Addr,
    /// For how long, from each time that it is granted, in seconds.
    pub secs: u32,
}

/// What there is to say of a node's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It has one.
    Leased(Lease),
    /// It no longer has this one: nobody has renewed it, or whoever granted it has taken it back.
    Lost {
        /// What it was.
        lease: Lease,
        /// Whether it was taken back.
        taken_back: bool,
    },
    /// A server has said what cannot be.
    Refused {
        /// The server.
        server: Ipv4Addr,
        /// What it has offered.
        ip: Ipv4Addr,
        /// Why that is not taken.
        lie: Lie,
    },
    /// It has asked for so many seconds, and nobody has answered.
    Silent {
        /// Seconds.
        secs: u64,
    },
}

impl Notice {
    /// Whether it is how things should be.
    pub fn is_good(&self) -> bool {
        matches!(self, Notice::Leased(_))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Leased(Lease { ip, prefix_len: _, server, secs }) => {
                write!(f, "address {ip} by DHCP from {server} for {secs} s")
            }
            Notice::Lost { lease: Lease { ip, server, .. }, taken_back: false } => {
                write!(f, "address {ip} is lost: DHCP server {server} has not renewed it, and no other has")
            }
            Notice::Lost { lease: Lease { ip, server, .. }, taken_back: true } => {
                write!(f, "address {ip} is lost: DHCP server {server} has taken it back")
            }
            // A denial does not repeat the address.
            Notice::Refused { server, lie: lie @ Lie::Denied, .. } => {
                write!(f, "DHCP server {server} gives no address: {lie}: correct the server's configuration")
            }
            Notice::Refused { server, ip, lie } => {
                write!(
                    f,
                    "refused address {ip} from DHCP server {server}: {lie}: correct the server's configuration"
                )
            }
            Notice::Silent { secs } => write!(
                f,
                "no DHCP server has answered for {secs} s: start one, or give this node relix.ip=ADDRESS/PREFIX"
            ),
        }
    }
}

/// The client, and what has come of it.
pub(super) struct Leasing {
    socket: SocketHandle,
    hardware_address: [u8; 6],
    /// What it has, and since when.
    lease: Option<(Lease, Instant)>,
    /// The last grant that was let through: who made it, and for how many seconds.
    granted: (Ipv4Addr, u32),
    /// Somebody has answered since it was last polled.
    was_answered: bool,
    /// A denial was let through since then.
    was_denied: bool,
    /// When it began to ask, or was last answered.
    silent_since: Instant,
    silence_said_at: Option<Instant>,
    refused: Vec<(Ipv4Addr, Discriminant<Lie>)>,
    /// The others, and the addresses that they have.
    peers: Vec<Neighbour>,
    /// One that had this node's address when it was first heard.
    rival: Option<NodeId>,
    /// What keeps it from having an address.
    trouble: Option<Notice>,
    notices: Vec<Notice>,
}

impl Leasing {
    pub(super) fn new(sockets: &mut SocketSet<'_>, hardware_address: [u8; 6], now: Instant) -> Leasing {
        let mut socket = Socket::new();
        let mut retries = RetryConfig::default();
        retries.discover_timeout = ASK_AGAIN_AFTER;
        retries.initial_request_timeout = TAKE_UP_AGAIN_AFTER;
        retries.request_retries = TAKE_UPS;
        socket.set_retry_config(retries);
        Leasing {
            socket: sockets.add(socket),
            hardware_address,
            lease: None,
            granted: (Ipv4Addr::UNSPECIFIED, 0),
            was_answered: false,
            was_denied: false,
            silent_since: now,
            silence_said_at: None,
            refused: Vec::new(),
            peers: Vec::new(),
            rival: None,
            trouble: None,
            notices: Vec::new(),
        }
    }

    /// Whether the stack may see this frame: not one in which a server lies.
    pub(super) fn admits(&mut self, frame: &[u8]) -> bool {
        let Some(offer) = Offer::parse(frame, self.hardware_address) else { return true };
        self.was_answered = true;
        if let Err(lie) = offer.check(self.lease.map(|(lease, _)| lease.ip), &self.peers) {
            self.refuse(offer.server, offer.ip, lie);
            return false;
        }
        match offer.kind {
            Kind::Offer => {}
            Kind::Grant => self.granted = (offer.server, offer.lease_secs),
            Kind::Denial => self.was_denied = true,
        }
        true
    }

    fn refuse(&mut self, server: Ipv4Addr, ip: Ipv4Addr, lie: Lie) {
        let notice = Notice::Refused { server, ip, lie };
        if self.lease.is_none() {
            self.trouble = Some(notice);
        }
        let reason = (server, discriminant(&lie));
        if self.refused.len() < REFUSALS_MAX && !self.refused.contains(&reason) {
            self.refused.push(reason);
            self.notices.push(notice);
        }
    }

    /// Learns which addresses others have; whether one that was not heard before has this node's own.
    pub(super) fn note_peers(&mut self, peers: impl Iterator<Item = Neighbour> + Clone) -> bool {
        if peers.clone().eq(self.peers.iter().copied()) {
            return false;
        }
        let known = core::mem::replace(&mut self.peers, peers.collect());
        let Some((lease, _)) = self.lease else { return false };
        let is_new = |node: NodeId| known.iter().all(|(known, _)| *known != node);
        let rival = self.peers.iter().find(|(node, ip)| *ip == Some(lease.ip) && is_new(*node));
        self.rival = rival.map(|(node, _)| *node);
        self.rival.is_some()
    }

    /// Follows the protocol: what it has come to becomes the interface's.
    pub(super) fn advance(&mut self, now: Instant, sockets: &mut SocketSet<'_>, interface: &mut Interface) {
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        if let Some(node) = self.rival.take()
            && let Some((lease, _)) = self.lease.take_if(|(_, since)| now.since(*since) < GIVES_WAY_WITHIN)
        {
            self.refuse(lease.server, lease.ip, Lie::Peer(node));
            socket.reset();
        }
        if take(&mut self.was_answered) {
            (self.silent_since, self.silence_said_at) = (now, None);
        }
        let taken_back = take(&mut self.was_denied);
        match socket.poll() {
            Some(Event::Configured(config)) => {
                let (server, secs) = self.granted;
                let (ip, prefix_len) = (config.address.address(), config.address.prefix_len());
                let lease = Lease { ip, prefix_len, server, secs };
                address::set(interface, Some(config.address), config.router);
                // What is granted again in other words is not new.
                let before = self.lease.filter(|(before, _)| before.ip == ip);
                self.lease = Some((lease, before.map_or(now, |(_, since)| since)));
                self.trouble = None;
                self.refused.clear();
                self.notices.push(Notice::Leased(lease));
            }
            Some(Event::Deconfigured) => {
                address::set(interface, None, None);
                if let Some((lease, _)) = self.lease.take() {
                    let notice = Notice::Lost { lease, taken_back };
                    self.trouble = Some(notice);
                    self.notices.push(notice);
                }
                (self.silent_since, self.silence_said_at) = (now, None);
            }
            None => {}
        }
        if self.silence_due().is_some_and(|due| due <= now) {
            let notice = Notice::Silent { secs: now.since(self.silent_since).as_secs() };
            self.silence_said_at = Some(now);
            self.trouble = Some(notice);
            self.notices.push(notice);
        }
    }

    /// When it is to be said that nobody answers.
    pub(super) fn silence_due(&self) -> Option<Instant> {
        let due = match self.silence_said_at {
            None => self.silent_since + SILENT_AFTER,
            Some(said) => said + SILENT_AGAIN_AFTER,
        };
        self.lease.is_none().then_some(due)
    }

    pub(super) fn trouble(&self) -> Option<Notice> {
        self.trouble
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        take(&mut self.notices)
    }
}
