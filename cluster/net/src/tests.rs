//! Two nodes' links over a wire that loses, doubles, delays and damages.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use cluster_format::{ClusterId, NodeId};
use drivers_api::{Frame, Instant, Mtu};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::datagram::Header;
use crate::wire;
use crate::{NicConfig, PeerEvent, Peers, PeersConfig, Refusal};

struct Wire {
    now: Instant,
    rng: ChaCha8Rng,
    flying: Vec<(Instant, usize, Frame)>,
    loss_percent: u64,
    delay_ms: u64,
    nodes: Vec<Peers>,
}

fn config(node: u8, cluster: &str, seed: u8) -> PeersConfig {
    PeersConfig {
        cluster: ClusterId::of_name(cluster),
        node: NodeId(node),
        nics: vec![NicConfig { hardware_address: [2, 0, 0, 0, 0, node], mtu: Mtu::ETHERNET }],
        ip: Ipv4Addr::new(10, 0, 0, node),
        peers: vec![(NodeId(1), None), (NodeId(2), None)],
        seed: [seed; 32],
    }
}

impl Wire {
    fn new(loss_percent: u64, seed: u64) -> Wire {
        let nodes = [1, 2].map(|node| Peers::new(config(node, "test", node), Instant::ZERO));
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Wire { now: Instant::ZERO, rng, flying: vec![], loss_percent, delay_ms: 3, nodes: nodes.into() }
    }

    fn run(&mut self, milliseconds: u64) -> Vec<Vec<PeerEvent>> {
        let mut events = vec![vec![], vec![]];
        for _ in 0..milliseconds {
            self.now = self.now + Duration::from_millis(1);
            let arrived: Vec<_> = self.flying.extract_if(.., |(due, ..)| *due <= self.now).collect();
            for (_, to, frame) in arrived {
                self.nodes[to].receive(self.now, 0, frame.bytes());
            }
            for (index, events) in events.iter_mut().enumerate() {
                events.append(&mut self.nodes[index].take_events());
                let mut sent = vec![];
                self.nodes[index].poll(self.now, &mut |_, frame| sent.push(frame));
                sent.into_iter().for_each(|frame| self.fly(1 - index, frame));
            }
        }
        events
    }

    fn fly(&mut self, to: usize, mut frame: Frame) {
        let copies = match self.rng.next_u64() % 100 {
            chance if chance < self.loss_percent => 0,
            chance if chance < 2 * self.loss_percent => 2,
            _ => 1,
        };
        if self.rng.next_u64() % 100 < self.loss_percent / 4 {
            let len = frame.bytes().len() as u64;
            frame.bytes_mut()[(self.rng.next_u64() % len) as usize] ^= 1;
        }
        for _ in 0..copies {
            let delay = Duration::from_millis(1 + self.rng.next_u64() % self.delay_ms);
            self.flying.push((self.now + delay, to, frame.clone()));
        }
    }
}

fn messages(events: &[PeerEvent]) -> Vec<Vec<u8>> {
    let messages = events.iter().filter_map(|event| match event {
        PeerEvent::Message(_, message) => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

#[test]
fn peers_find_each_other_and_messages_arrive_in_order() {
    for (loss_percent, seed) in [(0, 1), (1, 2), (10, 3), (30, 4)] {
        let mut wire = Wire::new(loss_percent, seed);
        let events = wire.run(3_000);
        assert!(events[0].contains(&PeerEvent::Up(NodeId(2))), "loss {loss_percent}");
        let sent: Vec<Vec<u8>> = (0..200).map(|i| vec![i as u8; 1 + (i * 977) % 9_000]).collect();
        for message in &sent {
            wire.nodes[0].send(NodeId(2), message.clone()).unwrap();
        }
        let events = wire.run(20_000);
        assert!(messages(&events[1]) == sent, "loss {loss_percent}");
    }
}

/// Whoever waits for an address has its peers meanwhile: MAC addresses say where datagrams go.
#[test]
fn peers_need_no_address_and_learn_of_one() {
    let mut wire = Wire::new(1, 5);
    for node in [1, 2] {
        let config = PeersConfig { ip: Ipv4Addr::UNSPECIFIED, ..config(node, "test", node) };
        wire.nodes[usize::from(node) - 1] = Peers::new(config, Instant::ZERO);
    }
    let addresses = |wire: &Wire| wire.nodes[0].addresses().collect::<Vec<_>>();
    for round in 0..2 {
        let events = wire.run(1_000);
        assert!(round == 1 || events[0].contains(&PeerEvent::Up(NodeId(2))));
        let message = vec![round; 9_000];
        for (from, to) in [(0, NodeId(2)), (1, NodeId(1))] {
            wire.nodes[from].send(to, message.clone()).unwrap();
            assert_eq!(messages(&wire.run(1_000)[1 - from]), core::slice::from_ref(&message));
        }
        let ip = Ipv4Addr::new(10, 0, 0, 2);
        assert_eq!(addresses(&wire), [(NodeId(2), (round == 1).then_some(ip))]);
        wire.nodes[1].set_ip(ip);
    }
}

/// Frames may be on their way for longer than their sender lives.
#[test]
fn a_late_greeting_of_a_former_life_does_no_lasting_harm() {
    let mut wire = Wire::new(0, 7);
    let mut greetings = vec![];
    wire.nodes[1].poll(wire.now, &mut |_, frame| greetings.push(frame));
    assert!(!greetings.is_empty());
    wire.run(200);
    wire.nodes[1] = Peers::new(config(2, "test", 9), wire.now);
    wire.run(200);
    for greeting in greetings {
        wire.nodes[0].receive(wire.now, 0, greeting.bytes());
    }
    wire.run(100);
    for sender in [0, 1] {
        wire.nodes[sender].send(NodeId(2 - sender as u8), vec![7]).unwrap();
        let events = wire.run(100);
        assert_eq!(messages(&events[1 - sender]), [[7]], "to node {}", 2 - sender);
    }
    assert!(!wire.run(5_000).iter().flatten().any(|event| matches!(event, PeerEvent::Reset(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// Restarts, and frames that are lost, or arrive at any time later, doubled and in any order, until all that ends.
    #[test]
    fn links_come_back_whatever_is_lost_or_arrives_late(
        seed in any::<u64>(),
        delay_ms in 1u64..60,
        restarts in prop::collection::vec((0usize..2, 0u64..40, prop_oneof![Just(0u64), 20..100u64]), 1..8),
        last_ms in 0u64..40,
    ) {
        let mut wire = Wire { delay_ms, ..Wire::new(0, seed) };
        let mut late = vec![];
        for (life, (node, after_ms, loss_percent)) in (10..).zip(restarts) {
            wire.loss_percent = loss_percent;
            wire.run(after_ms);
            late.extend(wire.flying.iter().cloned());
            wire.nodes[node] = Peers::new(config(node as u8 + 1, "test", life), wire.now);
        }
        wire.run(last_ms);
        wire.loss_percent = 0;
        for (_, to, frame) in late {
            let delay = Duration::from_millis(wire.rng.next_u64() % 300);
            wire.flying.push((wire.now + delay, to, frame));
        }
        wire.run(1_500);
        for sender in [0, 1] {
            prop_assert!(wire.nodes[sender].send(NodeId(2 - sender as u8), vec![7]).is_ok(), "node {}", sender + 1);
            let events = wire.run(200);
            prop_assert_eq!(messages(&events[1 - sender]), [[7]]);
        }
    }
}

/// The end that was answered greets no more: what it sends next must do as well.
#[test]
fn an_answer_to_a_greeting_may_be_lost() {
    let mut wire = Wire { delay_ms: 1, ..Wire::new(0, 7) };
    wire.run(200);
    wire.nodes[0] = Peers::new(config(1, "test", 9), wire.now);
    // Its greeting arrives, and makes the other begin a session for it.
    wire.run(2);
    for _ in 0..500 {
        wire.run(1);
        wire.flying.retain(|(_, to, _)| *to != 1);
    }
    wire.run(1_500);
    for sender in [0, 1] {
        assert_eq!(wire.nodes[sender].send(NodeId(2 - sender as u8), vec![7]), Ok(()), "node {}", sender + 1);
        assert_eq!(messages(&wire.run(100)[1 - sender]), [[7]]);
    }
}

/// Who has just been started cannot tell which of two greetings is the late one.
#[test]
fn of_two_greetings_the_one_whose_sender_lives_counts() {
    let mut wire = Wire::new(0, 8);
    let mut late = vec![];
    wire.nodes[1].poll(wire.now, &mut |_, frame| late.push(frame));
    wire.nodes[1] = Peers::new(config(2, "test", 9), wire.now);
    let mut greetings = vec![];
    wire.nodes[1].poll(wire.now, &mut |_, frame| greetings.push(frame));
    greetings.append(&mut late);
    for greeting in greetings {
        wire.nodes[0].receive(wire.now, 0, greeting.bytes());
    }
    let events = wire.run(200);
    assert!(
        events
            .iter()
            .enumerate()
            .all(|(node, events)| events.contains(&PeerEvent::Up(NodeId(2 - node as u8))))
    );
    wire.nodes[0].send(NodeId(2), vec![7]).unwrap();
    assert_eq!(messages(&wire.run(100)[1]), [[7]]);
}

/// The lengths of the packets in which a message of some length travels, from a node to another.
fn packets(mtus: [Mtu; 2]) -> Vec<usize> {
    let mut nodes = [1, 2].map(|node: u8| {
        let nics = config(node, "test", node).nics;
        let nics =
            nics.into_iter().map(|nic| NicConfig { mtu: mtus[usize::from(node) - 1], ..nic }).collect();
        let config = PeersConfig { nics, ..config(node, "test", node) };
        Peers::new(config, Instant::ZERO)
    });
    let message: Vec<u8> = (0..50_000).map(|at| at as u8).collect();
    let mut lens = vec![];
    for millis in 0..300 {
        let now = Instant::ZERO + Duration::from_millis(millis);
        if millis == 200 {
            nodes[0].send(NodeId(2), message.clone()).unwrap();
        }
        for from in [0, 1] {
            let mut sent = vec![];
            nodes[from].poll(now, &mut |_, frame| sent.push(frame));
            for frame in sent {
                // As a NIC: what is too long is lost.
                if frame.bytes().len() <= mtus[1 - from].frame_len() {
                    nodes[1 - from].receive(now, 0, frame.bytes());
                }
                if from == 0 && millis >= 200 {
                    lens.push(frame.bytes().len() - 14);
                }
            }
        }
    }
    assert!(nodes[1].take_events().contains(&PeerEvent::Message(NodeId(1), message)), "{mtus:?}");
    lens
}

#[test]
fn packets_are_as_long_as_both_ends_take() {
    let few = Mtu::nearest(1480);
    for (mtus, longest) in [
        ([Mtu::ETHERNET; 2], 1500),
        ([Mtu::JUMBO; 2], 9000),
        ([Mtu::JUMBO, Mtu::ETHERNET], 1500),
        ([Mtu::ETHERNET, Mtu::JUMBO], 1500),
        // Of another's MTU is known how many hundreds it has.
        ([Mtu::JUMBO, few], 1400),
        ([few, Mtu::JUMBO], 1480),
        ([Mtu::JUMBO, Mtu::MIN], 576),
        ([Mtu::MIN; 2], 576),
    ] {
        assert_eq!(packets(mtus).into_iter().max(), Some(longest), "{mtus:?}");
    }
}

/// A node that knows but one MTU says nothing of it.
#[test]
fn an_mtu_that_is_not_said_is_ethernets_own() {
    let mut frames = vec![];
    let mut config = config(1, "test", 1);
    config.nics[0].mtu = Mtu::JUMBO;
    Peers::new(config, Instant::ZERO).poll(Instant::ZERO, &mut |_, frame| frames.push(frame));
    let (_, datagram) = wire::parse(wire::PEER_PORT, frames[0].bytes()).unwrap();
    let (header, _) = Header::parse(datagram).unwrap();
    assert_eq!(header.mtu, Mtu::JUMBO);
    let mut datagram = datagram.to_vec();
    datagram[59] = 0;
    datagram[60..64].fill(0);
    let sum = cluster_format::crc32c(&datagram);
    datagram[60..64].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(Header::parse(&datagram).map(|(header, _)| header.mtu), Ok(Mtu::ETHERNET));
}

#[test]
fn a_lost_frame_costs_milliseconds() {
    let mut wire = Wire::new(0, 5);
    wire.run(200);
    wire.nodes[0].send(NodeId(2), vec![1]).unwrap();
    wire.run(30);
    wire.loss_percent = 100;
    wire.nodes[0].send(NodeId(2), vec![2]).unwrap();
    wire.run(1);
    wire.loss_percent = 0;
    let events = wire.run(80);
    assert_eq!(messages(&events[1]), [vec![2]]);
}

#[test]
fn a_restarted_peer_is_noticed_and_old_messages_stay_away() {
    let mut wire = Wire::new(0, 6);
    wire.run(200);
    wire.nodes[0].send(NodeId(2), vec![1]).unwrap();
    wire.run(20);
    wire.nodes[1] = Peers::new(config(2, "test", 77), wire.now);
    let events = wire.run(500);
    assert!(events[0].contains(&PeerEvent::Reset(NodeId(2))));
    wire.nodes[0].send(NodeId(2), vec![9]).unwrap();
    assert_eq!(messages(&wire.run(50)[1]), [vec![9]]);
}

#[test]
fn a_silent_peer_is_given_up_and_found_again() {
    let mut wire = Wire::new(0, 7);
    wire.run(200);
    wire.loss_percent = 100;
    wire.nodes[0].send(NodeId(2), vec![1]).unwrap();
    let events = wire.run(3_000);
    assert!(events[0].contains(&PeerEvent::Reset(NodeId(2))));
    assert!(wire.nodes[0].send(NodeId(2), vec![2]).is_err());
    wire.loss_percent = 0;
    wire.run(1_500);
    wire.nodes[0].send(NodeId(2), vec![3]).unwrap();
    assert_eq!(messages(&wire.run(50)[1]), [vec![3]]);
}

/// Node 3 looks for node 1 alone. Node 2 has heard that, though it hears nothing of a node 3 that it took for well.
#[test]
fn whoever_is_heard_looking_for_another_is_greeted() {
    let looking_for_one = |seed| {
        let peers = vec![(NodeId(1), None)];
        Peers::new(PeersConfig { peers, ..config(3, "test", seed) }, Instant::ZERO)
    };
    let mut second = Peers::new(config(2, "test", 2), Instant::ZERO);
    for (life, start) in [(3, 0), (4, 5_000)] {
        let mut third = looking_for_one(life);
        let (mut up, mut second_up) = (vec![], vec![]);
        for millis in start..start + 100 {
            let now = Instant::ZERO + Duration::from_millis(millis);
            let (mut of_second, mut of_third) = (vec![], vec![]);
            third.poll(now, &mut |_, frame| of_third.push(frame));
            for frame in &of_third {
                second.receive(now, 0, frame.bytes());
            }
            second.poll(now, &mut |_, frame| of_second.push(frame));
            for frame in &of_second {
                third.receive(now, 0, frame.bytes());
            }
            up.extend(third.take_events());
            second_up.extend(second.take_events());
        }
        assert!(up.contains(&PeerEvent::Up(NodeId(2))), "life {life}");
        assert!(second_up.contains(&PeerEvent::Up(NodeId(3))), "life {life}: {second_up:?}");
    }
}

#[test]
fn datagrams_of_others_are_refused_by_name() {
    let mut stranger = Peers::new(config(2, "other", 1), Instant::ZERO);
    let mut ours = Peers::new(config(1, "test", 2), Instant::ZERO);
    let mut frames = vec![];
    stranger.poll(Instant::ZERO, &mut |_, frame| frames.push(frame));
    assert!(ours.receive(Instant::ZERO, 0, frames[0].bytes()));
    let ip = Ipv4Addr::new(10, 0, 0, 2);
    assert_eq!(ours.take_events(), [PeerEvent::Refused(Refusal::OtherCluster(ip))]);
    let last = frames[0].bytes().len() - 1;
    frames[0].bytes_mut()[last] ^= 1;
    ours.receive(Instant::ZERO, 0, frames[0].bytes());
    assert_eq!(ours.take_events(), [PeerEvent::Refused(Refusal::Malformed(ip))]);
}

proptest! {
    /// Decoders take any bytes, and links any headers.
    #[test]
    fn any_bytes_are_refused_or_understood(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::parse(&bytes);
        wire::parse(wire::PEER_PORT, &bytes);
        if let Some(magic) = bytes.get_mut(..5) {
            magic.copy_from_slice(b"RLXP\x01");
        }
        let _ = Header::parse(&bytes);
        let mut peers = Peers::new(config(1, "test", 1), Instant::ZERO);
        peers.receive(Instant::ZERO, 0, &bytes);
    }
}
