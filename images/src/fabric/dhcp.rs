//! The DHCP server of the virtual network (RFC 2131): a node is granted the address that it would have been told. Pure: a
//! frame in, a frame out.
//!
//! Nothing has to be kept, since a node's MAC address says which it is: no address is ever granted to two.

use std::net::Ipv4Addr;

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
};

use super::datagram::{self, End};
use crate::cluster::{NODES_MAX, PREFIX_LEN, gateway_ip, hardware_address_of, ip_of, network_ip};
use crate::control::DhcpMode;

/// What addresses are granted for, in seconds.
const LEASE_SECS: u32 = 3600;

/// The server.
#[derive(Debug, Default)]
pub struct DhcpServer {
    pub mode: DhcpMode,
    /// How often it has lied.
    lies: u32,
}

impl DhcpServer {
    /// What it answers to a frame, if that asks it for something.
    pub fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let ([from, _], payload) = datagram::read(frame, DHCP_SERVER_PORT)?;
        if from.port != DHCP_CLIENT_PORT {
            return None;
        }
        let packet = DhcpPacket::new_checked(payload).ok()?;
        let asked = DhcpRepr::parse(&packet).ok()?;
        let node =
            (1..=NODES_MAX).find(|node| hardware_address_of(*node) == asked.client_hardware_address.0)?;
        if self.mode == DhcpMode::Silent {
            return None;
        }
        let is_lying = self.mode == DhcpMode::Lying;
        match asked.message_type {
            DhcpMessageType::Discover => {
                let offered = if is_lying { self.lie(node) } else { ip_of(node) };
                Some(reply(&asked, DhcpMessageType::Offer, offered))
            }
            // Other servers may have made an offer, too.
            DhcpMessageType::Request
                if asked.server_identifier.is_some_and(|server| server != gateway_ip()) =>
            {
                None
            }
            DhcpMessageType::Request => {
                // Whoever renews names its address as its own.
                let wanted = asked.requested_ip.unwrap_or(asked.client_ip);
                // A lie is kept to.
                let is_granted = wanted == ip_of(node) || is_lying;
                let kind = if is_granted { DhcpMessageType::Ack } else { DhcpMessageType::Nak };
                Some(reply(&asked, kind, wanted))
            }
            // Nothing is kept that could be given back.
            _ => None,
        }
    }

    /// In turn, the address of another node and that of the network itself.
    fn lie(&mut self, node: u8) -> Ipv4Addr {
        self.lies += 1;
        match self.lies % 2 {
            1 => ip_of(if node == 1 { 2 } else { 1 }),
            _ => network_ip(),
        }
    }
}

fn reply(asked: &DhcpRepr<'_>, message_type: DhcpMessageType, granted: Ipv4Addr) -> Vec<u8> {
    let is_grant = message_type != DhcpMessageType::Nak;
    let dhcp = DhcpRepr {
        message_type,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: asked.client_hardware_address,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: if is_grant { granted } else { Ipv4Addr::UNSPECIFIED },
        server_ip: Ipv4Addr::UNSPECIFIED,
        // The gateway carries connections, not packets.
        router: None,
        subnet_mask: is_grant.then_some(Ipv4Addr::from_bits(u32::MAX << (32 - PREFIX_LEN))),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: asked.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(gateway_ip()),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: is_grant.then_some(LEASE_SECS),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    // Whoever has an address is answered there, the others by their MAC address; a denial is for whoever hears it.
    let (hardware, to) = match asked.client_ip {
        _ if !is_grant || asked.broadcast => (EthernetAddress::BROADCAST, Ipv4Addr::BROADCAST),
        Ipv4Addr::UNSPECIFIED => (asked.client_hardware_address, Ipv4Addr::BROADCAST),
        ip => (asked.client_hardware_address, ip),
    };
    let to = End { hardware, ip: to, port: DHCP_CLIENT_PORT };
    // There is room for just that.
    datagram::write(End::gateway(DHCP_SERVER_PORT), to, dhcp.buffer_len(), |bytes| {
        let _ = dhcp.emit(&mut DhcpPacket::new_unchecked(bytes));
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_format::NodeId;
    use cluster_net::{Addressing, Stack, StackConfig};
    use drivers_api::{Frame, Instant};
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::MTU;

    /// A question as a client asks it.
    fn question(
        hardware: [u8; 6],
        message_type: DhcpMessageType,
        from: Ipv4Addr,
        wanted: Option<Ipv4Addr>,
    ) -> Vec<u8> {
        let client = EthernetAddress(hardware);
        let mut asked = DhcpRepr {
            message_type,
            transaction_id: 7,
            secs: 0,
            client_hardware_address: client,
            client_ip: from,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: wanted,
            client_identifier: None,
            server_identifier: None,
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        asked.server_identifier = wanted.map(|_| gateway_ip());
        let from = End { hardware: client, ip: from, port: DHCP_CLIENT_PORT };
        let (hardware, ip) = (EthernetAddress::BROADCAST, Ipv4Addr::BROADCAST);
        let to = End { hardware, ip, port: DHCP_SERVER_PORT };
        datagram::write(from, to, asked.buffer_len(), |bytes| {
            asked.emit(&mut DhcpPacket::new_unchecked(bytes)).expect("there is room");
        })
    }

    /// The kind of an answer, and the address in it.
    fn understood(frame: &[u8]) -> (DhcpMessageType, Ipv4Addr) {
        let (_, payload) = datagram::read(frame, DHCP_CLIENT_PORT).expect("UDP");
        let packet = DhcpPacket::new_checked(payload).expect("DHCP");
        let reply = DhcpRepr::parse(&packet).expect("a message");
        (reply.message_type, reply.your_ip)
    }

    /// What a node's stack has, and has said, after some seconds beside the server and the others.
    fn asks(server: &mut DhcpServer, node: u8) -> (Option<Ipv4Addr>, Vec<String>) {
        let peers = [1, 2, 3].into_iter().filter(|peer| *peer != node);
        let config = StackConfig {
            hardware_address: hardware_address_of(node),
            mtu: MTU,
            addressing: Addressing::Dhcp,
            ip6: None,
            seed: 3,
            connections_max: 1,
            buffers_len_max: 0,
        };
        let mut stack = Stack::new(config, Instant::ZERO);
        stack.note_peers(peers.map(|peer| (NodeId(peer), Some(ip_of(peer)))));
        for millis in 0..6000 {
            stack.poll(Instant::ZERO + std::time::Duration::from_millis(millis));
            while let Some(frame) = stack.take_frame() {
                if let Some(answer) = server.answer(frame.bytes()) {
                    stack.receive(Frame::copy_of(&answer));
                }
            }
        }
        (stack.ip(), stack.take_notices().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_node_gets_the_address_that_it_would_be_told() {
        let mut server = DhcpServer::default();
        let (ip, said) = asks(&mut server, 2);
        assert_eq!(ip, Some(ip_of(2)));
        assert_eq!(said, ["address 10.77.0.2 by DHCP from 10.77.0.254 for 3600 s"]);
        server.mode = DhcpMode::Silent;
        assert_eq!(asks(&mut server, 2), (None, vec![]));
    }

    #[test]
    fn lies_are_known_for_what_they_are() {
        let mut server = DhcpServer { mode: DhcpMode::Lying, ..DhcpServer::default() };
        let (ip, said) = asks(&mut server, 3);
        assert_eq!(ip, None);
        let lies = ["10.77.0.1 from DHCP server 10.77.0.254: node 1 uses it", "10.77.0.0 from DHCP server"];
        assert!(said.len() == 2 && said.iter().zip(lies).all(|(said, lie)| said.contains(lie)), "{said:?}");
    }

    #[test]
    fn what_is_not_theirs_is_denied_and_what_is_said_to_others_is_not_answered() {
        let mut server = DhcpServer::default();
        let (two, none) = (hardware_address_of(2), Ipv4Addr::UNSPECIFIED);
        let wrong = question(two, DhcpMessageType::Request, none, Some(ip_of(3)));
        assert_eq!(understood(&server.answer(&wrong).expect("a denial")).0, DhcpMessageType::Nak);
        let renewal = question(two, DhcpMessageType::Request, ip_of(2), None);
        let renewed = server.answer(&renewal).expect("a grant");
        assert_eq!(understood(&renewed), (DhcpMessageType::Ack, ip_of(2)));
        assert_eq!(renewed[..6], two, "it is sent to whoever renews");
        let release = question(two, DhcpMessageType::Release, ip_of(2), None);
        let stranger = question([2; 6], DhcpMessageType::Discover, none, None);
        for ignored in [release, stranger, renewed, vec![], vec![0; 60]] {
            assert_eq!(server.answer(&ignored), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is asked by whomever, an address is granted to one MAC address only, and always the same.
        #[test]
        fn no_address_is_granted_to_two(
            asked in prop::collection::vec((0u8..=255, 1u8..=8, 0u8..=255, any::<bool>(), any::<bool>()), 1..100),
        ) {
            let mut server = DhcpServer::default();
            let mut granted = BTreeMap::new();
            for (node, kind, last, is_renewal, is_wanted) in asked {
                let hardware = hardware_address_of(node);
                let from = if is_renewal { ip_of(last) } else { Ipv4Addr::UNSPECIFIED };
                let question = question(hardware, kind.into(), from, is_wanted.then(|| ip_of(last)));
                let Some(answer) = server.answer(&question) else { continue };
                let (kind, ip) = understood(&answer);
                if kind != DhcpMessageType::Nak {
                    prop_assert_eq!(*granted.entry(ip).or_insert(hardware), hardware);
                    prop_assert!(ip != gateway_ip() && ip != network_ip());
                }
            }
        }

        #[test]
        fn any_bytes_are_answered_or_not(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            DhcpServer::default().answer(&bytes);
        }
    }
}
