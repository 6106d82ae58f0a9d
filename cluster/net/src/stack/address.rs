//! The addresses of the stack's interface.

use core::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::iface::Interface;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// Where link-local addresses are (RFC 4291, 2.5.6): this, and 64 bits of an interface's own.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
const LINK_LOCAL_LEN: u8 = 64;

/// Where a node has its IPv4 address from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// It is told.
    Static {
        /// The address.
        ip: Ipv4Addr,
        /// Bits of its network's prefix.
        prefix_len: u8,
    },
    /// It asks servers of DHCP.
    Dhcp,
}

/// Gives the interface this IPv4 address and router, instead of those that it has.
pub(super) fn set(interface: &mut Interface, address: Option<Ipv4Cidr>, router: Option<Ipv4Addr>) {
    interface.update_ip_addrs(|addresses| {
        addresses.retain(|address| !matches!(address, IpCidr::Ipv4(_)));
        if let Some(address) = address {
            // There is room for three: this one, and two of IPv6.
            let _ = addresses.push(IpCidr::Ipv4(address));
        }
    });
    match router {
        // There is room for a router, too.
        Some(router) => drop(interface.routes_mut().add_default_ipv4_route(router)),
        None => drop(interface.routes_mut().remove_default_ipv4_route()),
    }
}

/// Gives the interface a link-local address, made of its MAC address (RFC 4291, appendix A), and this one, if it is told one.
pub(super) fn set_ip6(interface: &mut Interface, hardware: EthernetAddress, told: Option<(Ipv6Addr, u8)>) {
    let link_local = hardware.as_eui_64().map(|own| {
        let ip = Ipv6Addr::from_bits(LINK_LOCAL.to_bits() | u128::from(u64::from_be_bytes(own)));
        Ipv6Cidr::new(ip, LINK_LOCAL_LEN)
    });
    let told = told.map(|(ip, prefix_len)| Ipv6Cidr::new(ip, prefix_len.min(128)));
    interface.update_ip_addrs(|addresses| {
        for address in link_local.into_iter().chain(told) {
            // There is room for three.
            let _ = addresses.push(IpCidr::Ipv6(address));
        }
    });
}

/// Whether a node can have this address.
pub fn is_host_address6(ip: Ipv6Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
}
