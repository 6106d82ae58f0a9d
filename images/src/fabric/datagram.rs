//! Datagrams of UDP over IPv4 in frames, as the gateway's own servers read and write them.

use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr,
    UdpPacket, UdpRepr,
};

use crate::cluster::{gateway_hardware_address, gateway_ip};

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const UDP_LEN: usize = 8;

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub hardware: EthernetAddress,
    pub ip: Ipv4Addr,
    pub port: u16,
}

/// What a frame carries to a port, and from and to where.
pub fn read(frame: &[u8], port: u16) -> Option<([End; 2], &[u8])> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != IpProtocol::Udp || ip.more_frags() || ip.frag_offset() != 0 {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok().filter(|udp| udp.dst_port() == port)?;
    let from = End { hardware: ethernet.src_addr(), ip: ip.src_addr(), port: udp.src_port() };
    let to = End { hardware: ethernet.dst_addr(), ip: ip.dst_addr(), port };
    Some(([from, to], udp.payload()))
}

impl End {
    /// A port of the gateway.
    pub fn gateway(port: u16) -> End {
        End { hardware: EthernetAddress(gateway_hardware_address()), ip: gateway_ip(), port }
    }
}

/// A frame that carries `len` bytes, which `fill` writes.
pub fn write(from: End, to: End, len: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let ethernet =
        EthernetRepr { src_addr: from.hardware, dst_addr: to.hardware, ethertype: EthernetProtocol::Ipv4 };
    let ip = Ipv4Repr {
        src_addr: from.ip,
        dst_addr: to.ip,
        next_header: IpProtocol::Udp,
        payload_len: UDP_LEN + len,
        hop_limit: 64,
    };
    let udp = UdpRepr { src_port: from.port, dst_port: to.port };
    let checksums = ChecksumCapabilities::default();
    let mut frame = vec![0; ETHERNET_LEN + IPV4_LEN + UDP_LEN + len];
    let mut packet = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet.emit(&mut packet);
    let mut packet = Ipv4Packet::new_unchecked(packet.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut packet = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(&mut packet, &from.ip.into(), &to.ip.into(), len, fill, &checksums);
    frame
}
