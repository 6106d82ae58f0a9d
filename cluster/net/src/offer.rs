//! What a DHCP server (RFC 2131) says to this node, and whether it can be true. Whoever answers a broadcast first is believed
//! by the protocol; what no address of a node can be, or is somebody else's, is refused here.

use core::fmt;
use core::net::Ipv4Addr;

use cluster_format::NodeId;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame,
    EthernetProtocol, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

/// What a lease is granted for that does not say for how long, in seconds: as smoltcp takes it.
const LEASE_SECS_DEFAULT: u32 = 120;

/// A peer that was heard, or is known beforehand, and its address, if it has one.
pub(crate) type Neighbour = (NodeId, Option<Ipv4Addr>);

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An address that the node may ask for.
    Offer,
    /// The address is the node's from now on.
    Grant,
    /// The address is not the node's, or no longer.
    Denial,
}

/// A server's answer to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    pub(crate) server: Ipv4Addr,
    pub(crate) ip: Ipv4Addr,
    /// None if there is no mask; an error if it is none.
    pub(crate) prefix_len: Option<Result<u8, Ipv4Addr>>,
    pub(crate) router: Option<Ipv4Addr>,
    pub(crate) lease_secs: u32,
    /// After how many it is to be renewed, if the server says so.
    pub(crate) renew_secs: Option<u32>,
}

/// Why an address is not taken that a server offers or grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// No node can have it: it is this host's, a group's, everyone's, or kept.
    NotUnicast,
    /// It names the network.
    Network,
    /// It names everyone in the network.
    Broadcast,
    /// There is no mask, so that nobody knows what the network is.
    NoMask,
    /// The mask is none, or leaves no room, or too much.
    Mask(Ipv4Addr),
    /// The lease ends as it begins.
    NoTime,
    /// The router cannot be reached by it, or is the node itself.
    Router(Ipv4Addr),
    /// The server has it.
    Server,
    /// A peer uses it.
    Peer(NodeId),
    /// Another was asked for.
    NotAsked(Ipv4Addr),
    /// It was offered, and is denied when it is asked for.
    Denied,
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lie::NotUnicast => f.write_str("no node can have it"),
            Lie::Network => f.write_str("it is the address of the network itself"),
            Lie::Broadcast => f.write_str("it is the broadcast address of its network"),
            Lie::NoMask => f.write_str("it comes without a subnet mask"),
            Lie::Mask(mask) => {
                write!(f, "its subnet mask {mask} is none for a network of 4 addresses or more")
            }
            Lie::NoTime => f.write_str("its lease is of no time"),
            Lie::Router(router) => write!(f, "its router {router} is no other address of the same network"),
            Lie::Server => f.write_str("it is the server's own"),
            Lie::Peer(node) => write!(f, "node {node} uses it"),
            Lie::NotAsked(ip) => write!(f, "{ip} was asked for"),
            Lie::Denied => f.write_str("the server has offered it and denies it"),
        }
    }
}

/// Whether a node can have this address, in whatever network: RFC 6890 names the others.
pub fn is_host_address(ip: Ipv4Addr) -> bool {
    // 240.0.0.0/4 is kept, and ends with everyone's address.
    !(ip.octets()[0] == 0 || ip.is_loopback() || ip.is_multicast() || ip.octets()[0] >= 240)
}

/// The first and the last address of the network that `ip` is in.
fn bounds(ip: Ipv4Addr, prefix_len: u8) -> (Ipv4Addr, Ipv4Addr) {
    let hosts = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    (Ipv4Addr::from_bits(ip.to_bits() & !hosts), Ipv4Addr::from_bits(ip.to_bits() | hosts))
}

impl Offer {
    /// The answer to the node at `hardware_address` that a frame carries, if it carries one. It is read as smoltcp does,
    /// so that nothing gets there which was not looked at.
    pub(crate) fn parse(frame: &[u8], hardware_address: [u8; 6]) -> Option<Offer> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        if ethernet.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let checksums = ChecksumCapabilities::default();
        let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
        if ip.next_header() != IpProtocol::Udp {
            return None;
        }
        let addresses = Ipv4Repr::parse(&ip, &checksums).ok()?;
        let udp = UdpPacket::new_checked(ip.payload()).ok()?;
        if (udp.src_port(), udp.dst_port()) != (DHCP_SERVER_PORT, DHCP_CLIENT_PORT) {
            return None;
        }
        UdpRepr::parse(&udp, &addresses.src_addr.into(), &addresses.dst_addr.into(), &checksums).ok()?;
        let packet = DhcpPacket::new_checked(udp.payload()).ok()?;
        let reply = DhcpRepr::parse(&packet).ok()?;
        if reply.client_hardware_address.0 != hardware_address {
            return None;
        }
        let kind = match reply.message_type {
            DhcpMessageType::Offer => Kind::Offer,
            DhcpMessageType::Ack => Kind::Grant,
            DhcpMessageType::Nak => Kind::Denial,
            _ => return None,
        };
        Some(Offer {
            kind,
            server: reply.server_identifier?,
            ip: reply.your_ip,
            prefix_len: reply.subnet_mask.map(prefix_len),
            router: reply.router,
            lease_secs: reply.lease_duration.unwrap_or(LEASE_SECS_DEFAULT),
            renew_secs: reply.renew_duration,
        })
    }

    /// An error if it cannot be true, for a node that has `leased` and whose peers have those addresses.
    pub(crate) fn check(&self, leased: Option<Ipv4Addr>, peers: &[Neighbour]) -> Result<(), Lie> {
        let or = |is_right: bool, lie: Lie| if is_right { Ok(()) } else { Err(lie) };
        if self.kind == Kind::Denial {
            // What is held may be taken back. What is only asked for was offered a moment ago.
            return or(leased.is_some(), Lie::Denied);
        }
        or(is_host_address(self.ip), Lie::NotUnicast)?;
        match self.prefix_len {
            Some(Ok(len @ 1..=30)) => {
                let (first, last) = bounds(self.ip, len);
                or(self.ip != first, Lie::Network)?;
                or(self.ip != last, Lie::Broadcast)?;
                let is_other = |router| first < router && router < last && router != self.ip;
                self.router.map_or(Ok(()), |router| or(is_other(router), Lie::Router(router)))?;
            }
            Some(Ok(len)) => return Err(Lie::Mask(bounds(Ipv4Addr::BROADCAST, len).0)),
            Some(Err(mask)) => return Err(Lie::Mask(mask)),
            // An offer may leave it to the grant.
            None => or(self.kind == Kind::Offer, Lie::NoMask)?,
        }
        // One that is to be renewed at once would be, again and again.
        or(self.lease_secs > 0 && self.renew_secs != Some(0), Lie::NoTime)?;
        or(self.ip != self.server, Lie::Server)?;
        if let Some((node, _)) = peers.iter().find(|(_, ip)| *ip == Some(self.ip)) {
            return Err(Lie::Peer(*node));
        }
        match leased.filter(|leased| self.kind == Kind::Grant && *leased != self.ip) {
            Some(leased) => Err(Lie::NotAsked(leased)),
            None => Ok(()),
        }
    }
}

/// Bits of the prefix that a mask has, which are ones in front of zeros.
fn prefix_len(mask: Ipv4Addr) -> Result<u8, Ipv4Addr> {
    let len = mask.to_bits().leading_ones();
    if len + mask.to_bits().trailing_zeros() >= 32 { Ok(len as u8) } else { Err(mask) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
    const GOOD: Offer = Offer {
        kind: Kind::Grant,
        server: Ipv4Addr::new(10, 77, 0, 254),
        ip: IP,
        prefix_len: Some(Ok(24)),
        router: None,
        lease_secs: 3600,
        renew_secs: None,
    };
    const PEERS: &[Neighbour] = &[(NodeId(2), None), (NodeId(3), Some(Ipv4Addr::new(10, 77, 0, 3)))];

    fn lie(offer: Offer) -> Option<Lie> {
        offer.check(None, PEERS).err()
    }

    #[test]
    fn what_no_node_can_have_is_refused() {
        assert_eq!(lie(GOOD), None);
        for ip in
            ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"]
        {
            assert_eq!(lie(Offer { ip: ip.parse().unwrap(), ..GOOD }), Some(Lie::NotUnicast), "{ip}");
        }
        let last = |byte| Ipv4Addr::new(10, 77, 0, byte);
        assert_eq!(lie(Offer { ip: last(0), ..GOOD }), Some(Lie::Network));
        assert_eq!(lie(Offer { ip: last(255), ..GOOD }), Some(Lie::Broadcast));
        assert_eq!(lie(Offer { ip: last(4), prefix_len: Some(Ok(30)), ..GOOD }), Some(Lie::Network));
        assert_eq!(lie(Offer { ip: last(7), prefix_len: Some(Ok(30)), ..GOOD }), Some(Lie::Broadcast));
        assert_eq!(lie(Offer { ip: last(254), ..GOOD }), Some(Lie::Server));
        assert_eq!(lie(Offer { ip: last(3), ..GOOD }), Some(Lie::Peer(NodeId(3))));
        assert_eq!(lie(Offer { lease_secs: 0, ..GOOD }), Some(Lie::NoTime));
        assert_eq!(lie(Offer { renew_secs: Some(0), ..GOOD }), Some(Lie::NoTime));
    }

    #[test]
    fn a_mask_leaves_room_for_others_and_for_no_more_than_a_network() {
        for (len, mask) in [(0, [0; 4]), (31, [255, 255, 255, 254]), (32, [255; 4])] {
            let prefix_len = Some(prefix_len(mask.into()));
            assert_eq!(prefix_len, Some(Ok(len)));
            assert_eq!(lie(Offer { prefix_len, ..GOOD }), Some(Lie::Mask(mask.into())));
        }
        let torn = Ipv4Addr::new(255, 0, 255, 0);
        assert_eq!(prefix_len(torn), Err(torn));
        assert_eq!(lie(Offer { prefix_len: Some(Err(torn)), ..GOOD }), Some(Lie::Mask(torn)));
        assert_eq!(lie(Offer { prefix_len: None, ..GOOD }), Some(Lie::NoMask));
        assert_eq!(lie(Offer { prefix_len: None, kind: Kind::Offer, ..GOOD }), None);
    }

    #[test]
    fn a_router_is_another_address_of_the_network() {
        let with = |router: [u8; 4]| lie(Offer { router: Some(router.into()), ..GOOD });
        assert_eq!(with([10, 77, 0, 1]), None);
        for wrong in [[10, 77, 1, 1], [10, 77, 0, 2], [10, 77, 0, 0], [10, 77, 0, 255], [0; 4]] {
            assert_eq!(with(wrong), Some(Lie::Router(wrong.into())));
        }
    }

    #[test]
    fn what_is_held_is_kept_until_it_is_taken_back() {
        let other = Offer { ip: Ipv4Addr::new(10, 77, 0, 9), ..GOOD };
        assert_eq!(other.check(Some(IP), &[]), Err(Lie::NotAsked(IP)));
        assert_eq!(GOOD.check(Some(IP), &[]), Ok(()));
        let denial = Offer { kind: Kind::Denial, ip: Ipv4Addr::UNSPECIFIED, ..GOOD };
        assert_eq!(denial.check(Some(IP), &[]), Ok(()));
        assert_eq!(denial.check(None, &[]), Err(Lie::Denied));
    }
}
