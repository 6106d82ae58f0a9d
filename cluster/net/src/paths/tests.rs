//! Two nodes on two fabrics, of which parts fail.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use cluster_format::{ClusterId, NodeId};
use drivers_api::{Frame, Instant, Mtu};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{NicConfig, PeerEvent, Peers, PeersConfig};

/// Frames are on their way for so long, unless they are late.
const LATENCY: Duration = Duration::from_millis(1);

struct Fabrics {
    now: Instant,
    nodes: [Peers; 2],
    /// When, to which node, over which fabric.
    flying: Vec<(Instant, usize, usize, Frame)>,
    /// Fabrics, and the node that hears nothing there any more.
    cut: BTreeSet<(usize, usize)>,
    /// Frames are late by up to so many milliseconds.
    late_ms: u64,
    rng: ChaCha8Rng,
    /// Frames that were sent over each fabric.
    sent: [u32; 2],
    events: [Vec<PeerEvent>; 2],
}

fn config(node: u8, nics: u8) -> PeersConfig {
    let nic = |nic| NicConfig { hardware_address: [2, 0, 0, 0, nic, node], mtu: Mtu::ETHERNET };
    PeersConfig {
        cluster: ClusterId::of_name("test"),
        node: NodeId(node),
        nics: (0..nics).map(nic).collect(),
        ip: Ipv4Addr::new(10, 0, 0, node),
        peers: vec![(NodeId(1), None), (NodeId(2), None)],
        seed: [node; 32],
    }
}

impl Fabrics {
    /// Of nodes with so many NICs each, which know each other.
    fn new(nics: [u8; 2]) -> Fabrics {
        let now = Instant::ZERO;
        let nodes = [Peers::new(config(1, nics[0]), now), Peers::new(config(2, nics[1]), now)];
        let mut fabrics = Fabrics {
            now,
            nodes,
            flying: vec![],
            cut: BTreeSet::new(),
            late_ms: 0,
            rng: ChaCha8Rng::seed_from_u64(1),
            sent: [0; 2],
            events: [vec![], vec![]],
        };
        fabrics.run(1_000);
        assert_eq!(
            core::mem::take(&mut fabrics.events),
            [2, 1].map(|node| vec![PeerEvent::Up(NodeId(node))])
        );
        fabrics
    }

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now = self.now + Duration::from_millis(1);
            let arrived: Vec<_> = self.flying.extract_if(.., |(due, ..)| *due <= self.now).collect();
            for (_, to, fabric, frame) in arrived {
                if !self.cut.contains(&(fabric, to)) {
                    self.nodes[to].receive(self.now, fabric, frame.bytes());
                    // A node answers each frame before it sees the next.
                    self.turn(to);
                }
            }
            (0..2).for_each(|node| self.turn(node));
        }
    }

    fn turn(&mut self, from: usize) {
        let Fabrics { now, nodes, flying, late_ms, rng, sent, events, .. } = self;
        let node = &mut nodes[from];
        events[from].append(&mut node.take_events());
        node.poll(*now, &mut |nic, frame| {
            sent[nic] += 1;
            let late = Duration::from_millis(rng.next_u64() % (*late_ms + 1));
            flying.push((*now + LATENCY + late, 1 - from, nic, frame));
        });
        assert!(flying.len() < 1_000, "frames become ever more");
        let deadline = node.deadline();
        assert!(deadline.is_none_or(|at| at > *now), "nothing is due twice: {deadline:?}");
    }

    fn cut(&mut self, fabric: usize) {
        self.cut.extend([(fabric, 0), (fabric, 1)]);
    }

    /// How many milliseconds a message takes from the first node to the second, or the other way.
    fn takes(&mut self, from: usize) -> u64 {
        let to = NodeId(2 - from as u8);
        self.nodes[from].send(to, vec![7; 5_000]).unwrap();
        let before = self.events[1 - from].len();
        (0..).find(|_| self.ran(1).events[1 - from][before..].iter().any(is_message)).unwrap()
    }

    fn ran(&mut self, milliseconds: u64) -> &Fabrics {
        self.run(milliseconds);
        self
    }

    /// The NICs that the nodes take to each other.
    fn taken(&self) -> [usize; 2] {
        [0, 1].map(|node| self.nodes[node].links().next().unwrap().nic.unwrap())
    }

    fn has_reset(&self) -> bool {
        self.events.iter().flatten().any(|event| matches!(event, PeerEvent::Reset(_)))
    }
}

fn is_message(event: &PeerEvent) -> bool {
    matches!(event, PeerEvent::Message(..))
}

#[test]
fn peers_are_kept_when_a_fabric_fails_and_go_back_when_it_is_whole() {
    let mut fabrics = Fabrics::new([2, 2]);
    fabrics.run(1_000);
    for round in 0..3 {
        assert_eq!(fabrics.taken(), [0, 0], "round {round}");
        fabrics.cut(0);
        for from in [0, 1] {
            let took = fabrics.takes(from);
            assert!(took < 450, "round {round}: {took} ms");
        }
        assert_eq!(fabrics.taken(), [1, 1]);
        assert!(fabrics.takes(0) < 20);
        fabrics.run(5_000);
        fabrics.cut.clear();
        fabrics.run(450);
        assert_eq!(fabrics.taken(), [1, 1]);
        // The path is found by a broadcast, and has to be good for a while.
        fabrics.run(1_300);
        assert!(fabrics.takes(0) < 20 && fabrics.takes(1) < 20);
    }
    assert_eq!(fabrics.taken(), [0, 0]);
    assert!(!fabrics.has_reset());
}

#[test]
fn who_is_not_heard_learns_of_it() {
    let mut fabrics = Fabrics::new([2, 2]);
    // What the first says over the first fabric is lost, and what it hears there is not.
    fabrics.cut.insert((0, 1));
    let took = fabrics.takes(0);
    assert!(took < 550, "{took} ms");
    fabrics.run(500);
    assert_eq!(fabrics.taken(), [1, 1]);
    assert!(!fabrics.has_reset());
}

#[test]
fn a_nic_whose_link_is_down_is_left_at_once() {
    let mut fabrics = Fabrics::new([2, 2]);
    fabrics.cut(0);
    for node in &mut fabrics.nodes {
        node.set_link(0, false);
    }
    let took = fabrics.takes(0);
    assert!(took < 20, "{took} ms");
    // Nothing is tried there meanwhile.
    let sent = fabrics.sent[0];
    fabrics.run(3_000);
    assert_eq!(fabrics.sent[0], sent);
    fabrics.cut.clear();
    for node in &mut fabrics.nodes {
        node.set_link(0, true);
    }
    fabrics.run(2_000);
    assert_eq!(fabrics.taken(), [0, 0]);
    assert!(!fabrics.has_reset());
}

/// As a link that flaps, or a card that is plugged out and in.
#[test]
fn a_nic_that_was_down_for_a_moment_is_taken_again() {
    let mut fabrics = Fabrics::new([2, 2]);
    for pause in [1, 50, 250, 400] {
        for node in &mut fabrics.nodes {
            node.set_link(0, false);
        }
        fabrics.run(pause);
        assert_eq!(fabrics.taken(), [1, 1]);
        for node in &mut fabrics.nodes {
            node.set_link(0, true);
        }
        fabrics.run(2_000);
        assert_eq!(fabrics.taken(), [0, 0], "after {pause} ms");
    }
}

/// Each fabric carries what one of them says, and no answer.
#[test]
fn two_fabrics_that_carry_one_way_each_are_one_that_carries_both() {
    let mut fabrics = Fabrics::new([2, 2]);
    fabrics.cut.extend([(0, 0), (1, 1)]);
    fabrics.run(500);
    for from in [0, 1, 0, 1] {
        let took = fabrics.takes(from);
        assert!(took < 20, "{took} ms");
        fabrics.run(3_000);
    }
    assert!(!fabrics.has_reset());
}

#[test]
fn a_fabric_that_comes_and_goes_is_left_alone() {
    let mut fabrics = Fabrics::new([2, 2]);
    fabrics.cut(0);
    fabrics.run(1_000);
    for _ in 0..20 {
        fabrics.cut.clear();
        fabrics.run(350);
        fabrics.cut(0);
        fabrics.run(450);
        assert_eq!(fabrics.taken(), [1, 1]);
        assert!(fabrics.takes(1) < 20);
    }
}

#[test]
fn a_peer_with_one_nic_is_looked_for_now_and_then() {
    let mut fabrics = Fabrics::new([2, 1]);
    fabrics.run(1_000);
    assert!(fabrics.takes(0) < 20 && fabrics.takes(1) < 20);
    fabrics.sent = [0, 0];
    fabrics.run(10_000);
    // The second node tries nothing, and says nothing. So the first one tries its first path ten times a second until it has
    // not heard the peer for two seconds, then once, as it does the second all the time.
    let [first, second] = fabrics.sent;
    assert!((25..=35).contains(&first) && (9..=11).contains(&second), "{first}, {second}");
    assert_eq!(fabrics.nodes[0].addresses().count(), 1, "its address is known all the time");
    fabrics.cut(0);
    fabrics.run(2_500);
    fabrics.nodes[0].send(NodeId(2), vec![7]).unwrap();
    fabrics.run(2_500);
    assert!(fabrics.events[0].contains(&PeerEvent::Reset(NodeId(2))));
    fabrics.cut.clear();
    fabrics.run(2_000);
    assert!(fabrics.takes(0) < 20);
}

#[test]
fn one_nic_tries_nothing() {
    let mut fabrics = Fabrics::new([1, 1]);
    fabrics.run(1_000);
    fabrics.sent = [0, 0];
    fabrics.run(10_000);
    assert_eq!(fabrics.sent, [0, 0]);
    assert!(fabrics.nodes.iter().all(|node| node.deadline().is_none()));
}

/// Each greeting goes over both, and those of a life that has ended begin sessions anew: they must not become ever more.
#[test]
fn greetings_that_pass_each_other_do_not_multiply() {
    for seed in 0..20 {
        let mut fabrics = Fabrics::new([2, 2]);
        (fabrics.late_ms, fabrics.rng) = (3, ChaCha8Rng::seed_from_u64(seed));
        for life in 1..=50 {
            // It looks for a third as well, which the first hears and greets it for.
            let peers = vec![(NodeId(1), None), (NodeId(3), None)];
            let config = PeersConfig { seed: [100 + life; 32], peers, ..config(2, 2) };
            fabrics.nodes[1] = Peers::new(config, fabrics.now);
            fabrics.sent = [0, 0];
            for _ in 0..25 {
                let _ = fabrics.nodes[0].send(NodeId(2), vec![7; 100]);
                let _ = fabrics.nodes[1].send(NodeId(1), vec![7; 100]);
                fabrics.run(20);
            }
            assert!(fabrics.sent.iter().sum::<u32>() < 300, "seed {seed}: {:?} frames", fabrics.sent);
            assert!(fabrics.nodes.iter().all(|node| !node.reachable().is_empty()), "seed {seed}");
        }
    }
}

#[test]
fn nics_on_one_wire_are_no_double_of_their_node() {
    let mut node = Peers::new(config(1, 2), Instant::ZERO);
    let mut sent = vec![];
    node.poll(Instant::ZERO, &mut |nic, frame| sent.push((nic, frame)));
    assert_eq!(sent.iter().map(|(nic, _)| *nic).collect::<Vec<_>>(), [0, 1]);
    for (nic, frame) in sent {
        assert!(node.receive(Instant::ZERO, 1 - nic, frame.bytes()));
    }
    assert_eq!(node.take_events(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails of one fabric after the other, messages arrive, each once and in order, as long as one of them is whole
    /// for long enough in between.
    #[test]
    fn messages_arrive_while_one_fabric_is_whole(
        steps in prop::collection::vec((0..2usize, 0..3usize, 900..3_000u64), 1..12),
    ) {
        let mut fabrics = Fabrics::new([2, 2]);
        let mut sent = [vec![], vec![]];
        for (number, (fabric, direction, length)) in steps.into_iter().enumerate() {
            fabrics.cut.clear();
            // Both are whole for a moment: a path must be found before the other fails.
            fabrics.run(1_600);
            match direction {
                2 => fabrics.cut(fabric),
                to => _ = fabrics.cut.insert((fabric, to)),
            }
            for from in [0, 1] {
                let message = vec![number as u8; 1 + number * 977];
                fabrics.nodes[from].send(NodeId(2 - from as u8), message.clone()).unwrap();
                sent[from].push(message);
            }
            fabrics.run(length);
        }
        fabrics.cut.clear();
        fabrics.run(3_000);
        prop_assert!(!fabrics.has_reset());
        for from in [0, 1] {
            let arrived = fabrics.events[1 - from].iter().filter_map(|event| match event {
                PeerEvent::Message(_, message) => Some(message.clone()),
                _ => None,
            });
            prop_assert_eq!(&arrived.collect::<Vec<_>>(), &sent[from]);
        }
    }
}
