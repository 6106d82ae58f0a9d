//! Peer datagrams in UDP, IPv4 and Ethernet. The destination's hardware address is the one its last
//! datagram came from, so that no address resolution stands between two peers; until one has come,
//! datagrams are broadcast.

use core::net::Ipv4Addr;

use drivers_api::Frame;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

/// The port that peers use at both ends.
pub(crate) const PEER_PORT: u16 = 7411;

/// That of machines that look for their cluster, and of who answers them.
pub(crate) const DISCOVERY_PORT: u16 = 7412;

const ETHERNET_LEN: usize = 14;
pub(crate) const IPV4_LEN: usize = 20;
pub(crate) const UDP_LEN: usize = 8;

/// Bytes before the datagram in a frame.
const HEADERS_LEN: usize = ETHERNET_LEN + IPV4_LEN + UDP_LEN;

/// One end of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) hardware: [u8; 6],
    pub(crate) ip: Ipv4Addr,
}

impl Address {
    /// Everyone on the wire.
    pub(crate) const BROADCAST: Address = Address { hardware: [0xff; 6], ip: Ipv4Addr::BROADCAST };
}

/// A frame that carries a datagram of `len` bytes, which `fill` writes, from and to `port`.
pub(crate) fn emit(port: u16, from: Address, to: Address, len: usize, fill: impl FnOnce(&mut [u8])) -> Frame {
    let mut frame = Frame::zeroed(HEADERS_LEN + len);
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(from.hardware),
        dst_addr: EthernetAddress(to.hardware),
        ethertype: EthernetProtocol::Ipv4,
    };
    let ip = Ipv4Repr {
        src_addr: from.ip,
        dst_addr: to.ip,
        next_header: IpProtocol::Udp,
        payload_len: UDP_LEN + len,
        hop_limit: 64,
    };
    let udp = UdpRepr { src_port: port, dst_port: port };
    // The datagram has a checksum of its own, so UDP's, which IPv4 leaves optional, is not filled in.
    let mut checksums = ChecksumCapabilities::default();
    checksums.udp = smoltcp::phy::Checksum::None;
    let mut packet = EthernetFrame::new_unchecked(frame.bytes_mut());
    ethernet.emit(&mut packet);
    let mut packet = Ipv4Packet::new_unchecked(packet.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut packet = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(&mut packet, &from.ip.into(), &to.ip.into(), len, fill, &checksums);
    frame
}

/// An ARP reply in which the neighbour at `ip` tells its hardware address.
pub(crate) fn announcement(ip: Ipv4Addr, hardware: [u8; 6], to_hardware: [u8; 6], to_ip: Ipv4Addr) -> Frame {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(hardware),
        source_protocol_addr: ip,
        target_hardware_addr: EthernetAddress(to_hardware),
        target_protocol_addr: to_ip,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(hardware),
        dst_addr: EthernetAddress(to_hardware),
        ethertype: EthernetProtocol::Arp,
    };
    let mut frame = Frame::zeroed(ETHERNET_LEN + arp.buffer_len());
    let mut packet = EthernetFrame::new_unchecked(frame.bytes_mut());
    ethernet.emit(&mut packet);
    arp.emit(&mut ArpPacket::new_unchecked(packet.payload_mut()));
    frame
}

/// The datagram in a frame, from and to `port`, and where it came from; none if the frame carries something else.
pub(crate) fn parse(port: u16, frame: &[u8]) -> Option<(Address, &[u8])> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let hardware = ethernet.src_addr().0;
    let ip = Ipv4Packet::new_checked(frame.get(ETHERNET_LEN..)?).ok()?;
    if ip.next_header() != IpProtocol::Udp
        || ip.more_frags()
        || ip.frag_offset() != 0
        || !ip.verify_checksum()
    {
        return None;
    }
    let start = ETHERNET_LEN + usize::from(ip.header_len());
    let end = ETHERNET_LEN + usize::from(ip.total_len());
    let udp_bytes = frame.get(start..end)?;
    let udp = UdpPacket::new_checked(udp_bytes).ok()?;
    if udp.dst_port() != port || udp.src_port() != port {
        return None;
    }
    let payload = udp_bytes.get(UDP_LEN..usize::from(udp.len()))?;
    Some((Address { hardware, ip: ip.src_addr() }, payload))
}
