//! A stack that asks for its address, and a server that does as it is told.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use cluster_format::NodeId;
use drivers_api::{Frame, Instant, Mtu};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use super::{Addressing, Stack, StackConfig};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// What a server grants.
#[derive(Clone, Copy)]
struct Terms {
    ip: Ipv4Addr,
    mask: Option<Ipv4Addr>,
    router: Option<Ipv4Addr>,
    secs: Option<u32>,
}

const TERMS: Terms =
    Terms { ip: IP, mask: Some(Ipv4Addr::new(255, 255, 255, 0)), router: None, secs: Some(100) };

/// What a server does about what it is asked.
#[derive(Clone, Copy)]
enum Mood {
    Silent,
    Honest(Terms),
    /// Offers the one and grants the other.
    Turns(Terms, Terms),
    /// Denies what it has offered.
    Denies(Terms),
}

struct Network {
    now: Instant,
    stack: Stack,
    mood: Mood,
    /// What the node has asked for, and when, in milliseconds.
    heard: Vec<(u64, DhcpMessageType)>,
    said: Vec<String>,
}

fn config(addressing: Addressing) -> StackConfig {
    let (hardware_address, mtu) = (MAC, Mtu::ETHERNET);
    StackConfig {
        hardware_address,
        mtu,
        addressing,
        ip6: None,
        seed: 1,
        connections_max: 4,
        buffers_len_max: 0,
    }
}

impl Network {
    fn new(mood: Mood) -> Network {
        let stack = Stack::new(config(Addressing::Dhcp), Instant::ZERO);
        Network { now: Instant::ZERO, stack, mood, heard: vec![], said: vec![] }
    }

    /// Runs for so many seconds, from deadline to deadline.
    fn run(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        for _ in 0..10_000 {
            self.stack.poll(self.now);
            self.said.extend(self.stack.take_notices().iter().map(ToString::to_string));
            while let Some(frame) = self.stack.take_frame() {
                self.answer(frame.bytes());
            }
            let due = self.stack.deadline(self.now).unwrap_or(end);
            if due > end || self.now >= end {
                self.now = end;
                return;
            }
            // A millisecond each way at least.
            self.now = due.max(self.now + Duration::from_millis(1));
        }
        panic!("the stack does not come to rest: {:?}", self.said);
    }

    fn answer(&mut self, frame: &[u8]) {
        let ethernet = EthernetFrame::new_checked(frame).unwrap();
        if ethernet.ethertype() == EthernetProtocol::Arp {
            let reply = crate::wire::announcement(SERVER, SERVER_MAC, MAC, self.stack.ip().unwrap());
            return self.stack.receive(reply);
        }
        let Ok(ip) = Ipv4Packet::new_checked(ethernet.payload()) else { return };
        let Ok(udp) = UdpPacket::new_checked(ip.payload()) else { return };
        let packet = DhcpPacket::new_checked(udp.payload()).unwrap();
        let asked = DhcpRepr::parse(&packet).unwrap();
        self.heard.push((self.now.as_micros() / 1000, asked.message_type));
        let (is_discover, offered) =
            (asked.message_type == DhcpMessageType::Discover, DhcpMessageType::Offer);
        let (kind, terms) = match self.mood {
            Mood::Silent => return,
            Mood::Honest(terms) | Mood::Denies(terms) | Mood::Turns(terms, _) if is_discover => {
                (offered, terms)
            }
            Mood::Honest(terms) | Mood::Turns(_, terms) => (DhcpMessageType::Ack, terms),
            Mood::Denies(terms) => (DhcpMessageType::Nak, terms),
        };
        self.stack.receive(reply(&asked, kind, terms));
    }

    fn said(&self) -> Vec<&str> {
        self.said.iter().map(String::as_str).collect()
    }
}

fn reply(asked: &DhcpRepr<'_>, message_type: DhcpMessageType, terms: Terms) -> Frame {
    let dhcp = DhcpRepr {
        message_type,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: asked.client_hardware_address,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: terms.ip,
        server_ip: SERVER,
        router: terms.router,
        subnet_mask: terms.mask,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: terms.secs,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let udp = UdpRepr { src_port: 67, dst_port: 68 };
    let ip = Ipv4Repr {
        src_addr: SERVER,
        dst_addr: Ipv4Addr::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: 8 + dhcp.buffer_len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(SERVER_MAC),
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut frame = Frame::zeroed(14 + 20 + 8 + dhcp.buffer_len());
    let mut packet = EthernetFrame::new_unchecked(frame.bytes_mut());
    ethernet.emit(&mut packet);
    let mut packet = Ipv4Packet::new_unchecked(packet.payload_mut());
    let checksums = ChecksumCapabilities::default();
    ip.emit(&mut packet, &checksums);
    let mut packet = UdpPacket::new_unchecked(packet.payload_mut());
    let fill = |bytes: &mut [u8]| dhcp.emit(&mut DhcpPacket::new_unchecked(bytes)).unwrap();
    udp.emit(&mut packet, &SERVER.into(), &Ipv4Addr::BROADCAST.into(), dhcp.buffer_len(), fill, &checksums);
    frame
}

#[test]
fn an_address_is_got_at_once_and_renewed_as_long_as_somebody_grants_it() {
    let mut network = Network::new(Mood::Honest(Terms { router: Some(SERVER), ..TERMS }));
    network.run(1);
    assert_eq!(network.stack.ip(), Some(IP));
    assert_eq!(network.said(), ["address 10.0.0.1 by DHCP from 10.0.0.9 for 100 s"]);
    assert_eq!(network.stack.trouble(), None);
    network.run(1000);
    assert_eq!(network.stack.ip(), Some(IP));
    assert_eq!(network.said.len(), 1, "what stays is said once: {:?}", network.said);
    let renewals = network.heard.iter().filter(|(_, kind)| *kind == DhcpMessageType::Request).count() - 1;
    assert!((19..=21).contains(&renewals), "one at half of each lease, not {renewals}");
}

#[test]
fn a_lease_that_nobody_renews_ends_and_the_node_asks_anew() {
    let mut network = Network::new(Mood::Honest(TERMS));
    network.run(1);
    network.mood = Mood::Silent;
    network.run(98);
    assert_eq!(network.stack.ip(), Some(IP), "until its end");
    network.run(2);
    assert_eq!(network.stack.ip(), None);
    let lost = "address 10.0.0.1 is lost: DHCP server 10.0.0.9 has not renewed it, and no other has";
    assert_eq!(network.said()[1..], [lost]);
    assert_eq!(network.stack.trouble().map(|trouble| trouble.to_string()).as_deref(), Some(lost));
    network.mood = Mood::Honest(TERMS);
    network.run(5);
    assert_eq!((network.stack.ip(), network.said.len()), (Some(IP), 3));
    assert_eq!(network.stack.trouble(), None);
}

#[test]
fn silence_is_said_after_ten_seconds_and_then_once_a_minute() {
    let mut network = Network::new(Mood::Silent);
    network.run(9);
    assert_eq!(network.said().len(), 0);
    network.run(171);
    let line = |secs| {
        alloc::format!(
            "no DHCP server has answered for {secs} s: start one, or give this node relix.ip=ADDRESS/PREFIX"
        )
    };
    assert_eq!(network.said, [line(10), line(70), line(130)]);
    assert_eq!(network.heard.len(), 91, "it goes on asking, every two seconds");
    network.mood = Mood::Honest(TERMS);
    network.run(3);
    assert_eq!(network.stack.ip(), Some(IP));
}

#[test]
fn each_lie_is_named_once_and_nothing_comes_of_it() {
    let at = |ip: [u8; 4]| Terms { ip: ip.into(), ..TERMS };
    let lies = [
        (at([127, 0, 0, 1]), "127.0.0.1", "no node can have it"),
        (at([10, 0, 0, 0]), "10.0.0.0", "it is the address of the network itself"),
        (at([10, 0, 0, 255]), "10.0.0.255", "it is the broadcast address of its network"),
        (at([10, 0, 0, 9]), "10.0.0.9", "it is the server's own"),
        (at([10, 0, 0, 3]), "10.0.0.3", "node 3 uses it"),
        (Terms { secs: Some(0), ..TERMS }, "10.0.0.1", "its lease is of no time"),
        (Terms { mask: None, ..TERMS }, "10.0.0.1", "it comes without a subnet mask"),
        (
            Terms { mask: Some(Ipv4Addr::BROADCAST), ..TERMS },
            "10.0.0.1",
            "its subnet mask 255.255.255.255 is none for a network of 4 addresses or more",
        ),
        (
            Terms { router: Some(Ipv4Addr::new(10, 1, 0, 1)), ..TERMS },
            "10.0.0.1",
            "its router 10.1.0.1 is no other address of the same network",
        ),
    ];
    for (terms, ip, why) in lies {
        for mood in [Mood::Honest(terms), Mood::Turns(TERMS, terms)] {
            let mut network = Network::new(mood);
            network.stack.note_peers([(NodeId(3), Some(Ipv4Addr::new(10, 0, 0, 3)))].into_iter());
            network.run(100);
            assert_eq!(network.stack.ip(), None, "{why}");
            let line = alloc::format!(
                "refused address {ip} from DHCP server 10.0.0.9: {why}: correct the server's configuration"
            );
            assert_eq!(network.said(), [line.as_str()], "{why}");
            assert_eq!(network.stack.trouble().map(|trouble| trouble.to_string()), Some(line));
            assert!(network.heard.len() < 120, "{} questions are no storm", network.heard.len());
            network.mood = Mood::Honest(TERMS);
            network.run(10);
            assert_eq!(network.stack.ip(), Some(IP), "it went on asking: {why}");
        }
    }
}

#[test]
fn who_denies_what_it_has_offered_is_not_asked_in_a_circle() {
    let mut network = Network::new(Mood::Denies(TERMS));
    network.run(100);
    assert!(network.said()[0].contains("gives no address: the server has offered it and denies it"));
    assert!(
        network.said.len() == 1 && network.heard.len() < 120,
        "{}: {:?}",
        network.heard.len(),
        network.said
    );
}

#[test]
fn a_renewal_changes_nothing_but_a_denial_takes_the_address() {
    let mut network = Network::new(Mood::Honest(TERMS));
    network.run(1);
    network.mood = Mood::Honest(Terms { ip: Ipv4Addr::new(10, 0, 0, 7), ..TERMS });
    network.run(60);
    assert_eq!(network.stack.ip(), Some(IP), "another address is no renewal");
    assert!(
        network.said()[1].contains("refused address 10.0.0.7")
            && network.said()[1].contains("10.0.0.1 was asked")
    );
    let mut network = Network::new(Mood::Honest(TERMS));
    network.run(1);
    network.mood = Mood::Denies(TERMS);
    network.run(60);
    assert_eq!(network.stack.ip(), None);
    assert_eq!(network.said()[1], "address 10.0.0.1 is lost: DHCP server 10.0.0.9 has taken it back");
}

#[test]
fn whoever_has_come_last_gives_way_to_a_peer() {
    let peer = [(NodeId(2), Some(IP))];
    let mut network = Network::new(Mood::Honest(TERMS));
    network.run(1);
    network.stack.note_peers(peer.into_iter());
    network.run(1);
    assert_eq!(network.stack.ip(), None);
    assert!(
        network.said()[1].contains("10.0.0.1 from DHCP server 10.0.0.9: node 2 uses it"),
        "{:?}",
        network.said
    );
    // It was there before: for long, or when the peer had no address.
    for (before, secs) in [(vec![], 11), (vec![(NodeId(2), None)], 1)] {
        let mut network = Network::new(Mood::Honest(TERMS));
        network.run(secs);
        network.stack.note_peers(before.into_iter());
        network.stack.note_peers(peer.into_iter());
        network.run(1);
        assert_eq!((network.stack.ip(), network.said.len()), (Some(IP), 1));
    }
}

#[test]
fn a_static_address_is_there_from_the_start_and_hears_no_server() {
    let stack = Stack::new(config(Addressing::Static { ip: IP, prefix_len: 24 }), Instant::ZERO);
    assert_eq!((stack.ip(), stack.trouble()), (Some(IP), None));
    let mut network = Network { stack, ..Network::new(Mood::Honest(TERMS)) };
    network.run(100);
    assert!(network.heard.is_empty() && network.said.is_empty());
}

/// What is for a server that nobody finds does not hold up what is for another.
#[test]
fn servers_that_are_not_there_do_not_keep_datagrams_from_others() {
    let at = |millis| Instant::ZERO + Duration::from_millis(millis);
    let mut stack = Stack::new(config(Addressing::Static { ip: IP, prefix_len: 24 }), at(0));
    stack.introduce(SERVER, SERVER_MAC);
    // One that does not answer, and one that there is no way to.
    let (dead, far) = (Ipv4Addr::new(10, 0, 0, 8), Ipv4Addr::new(192, 0, 2, 1));
    for round in 0..20 {
        for to in [dead, far, SERVER] {
            stack.send_datagram(to.into(), 123, &[round; 48]);
        }
        let mut arrived = 0;
        for millis in 0..20 {
            stack.poll(at(u64::from(round) * 100 + millis));
            while let Some(frame) = stack.take_frame() {
                let is_for_server = frame.bytes()[..6] == SERVER_MAC;
                arrived += usize::from(is_for_server && frame.bytes().ends_with(&[round; 48]));
            }
        }
        assert_eq!(arrived, 1, "round {round}");
    }
    assert!(stack.datagrams.len() == 3 && stack.sockets.iter().count() == 3, "sockets do not pile up");
}
