//! The addresses of the stack's interface.

use core::net::Ipv4Addr;

use smoltcp::iface::Interface;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

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
            // There is room for one address of each kind.
            let _ = addresses.push(IpCidr::Ipv4(address));
        }
    });
    match router {
        // There is room for a router, too.
        Some(router) => drop(interface.routes_mut().add_default_ipv4_route(router)),
        None => drop(interface.routes_mut().remove_default_ipv4_route()),
    }
}
