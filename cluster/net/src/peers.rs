//! All the peers: one link to each, found by configuration or by broadcast, over as many paths as this machine has NICs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;

use cluster_format::limits::MEMBERS_MAX;
use cluster_format::{ClusterId, NodeId};
use drivers_api::{Frame, Instant, Mtu};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::LinkError;
use crate::datagram::{HEADER_LEN, Header, Kind, Malformed, payload_len_max};
use crate::link::{Fragment, Link, LinkStatus};
use crate::paths::Paths;
use crate::wire::{Address, PEER_PORT, emit, parse};

/// Who this node is on the wire, and whom it looks for.
#[derive(Clone, Debug)]
pub struct PeersConfig {
    /// The cluster: datagrams of another are refused.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Its NICs, at least one.
    pub nics: Vec<NicConfig>,
    /// Its address, whichever NIC it speaks over; 0.0.0.0 as long as it has none.
    pub ip: Ipv4Addr,
    /// The others that are known beforehand, with their addresses where the configuration gives them. Those
    /// without are found by broadcast; further ones make themselves known.
    pub peers: Vec<(NodeId, Option<Ipv4Addr>)>,
    /// Seeds the session numbers: never the same twice.
    pub seed: [u8; 32],
}

/// A NIC of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicConfig {
    /// Its MAC address.
    pub hardware_address: [u8; 6],
    /// Its MTU. No longer packets are sent than any NIC of this node and of the receiver takes: what was cut for one path may
    /// be sent again over another.
    pub mtu: Mtu,
}

/// How it stands with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Its address, if it is known.
    pub ip: Option<Ipv4Addr>,
    /// The NIC of this node that datagrams leave over, while the peer answers.
    pub nic: Option<usize>,
    /// Its link.
    pub link: LinkStatus,
}

/// Whether a frame is a datagram between nodes of this cluster, whoever it is for.
pub fn is_of_cluster(cluster: ClusterId, frame: &[u8]) -> bool {
    let datagram = parse(PEER_PORT, frame).map(|(_, datagram)| datagram);
    datagram.and_then(|bytes| Header::parse(bytes).ok()).is_some_and(|(header, _)| header.cluster == cluster)
}

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// A message has arrived whole.
    Message(NodeId, Vec<u8>),
    /// A part of a message has arrived: the peer is there and at it.
    Receiving(NodeId),
    /// The peer can be reached.
    Up(NodeId),
    /// What was sent to the peer may be lost: it was restarted, or has not answered for long.
    Reset(NodeId),
    /// A datagram was refused.
    Refused(Refusal),
}

/// Why a datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is damaged or no datagram of ours.
    Malformed(Ipv4Addr),
    /// Its protocol has another version.
    OtherVersion(Ipv4Addr, u8),
    /// It belongs to another cluster.
    OtherCluster(Ipv4Addr),
    /// It claims to come from this very node.
    SameNode(Ipv4Addr),
    /// There are as many nodes as there may be, without its sender.
    TooMany(Ipv4Addr, NodeId),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(ip) => write!(f, "refused a malformed peer datagram from {ip}"),
            Refusal::OtherVersion(ip, version) => {
                write!(
                    f,
                    "refused a peer datagram of protocol version {version} from {ip}: upgrade the older node"
                )
            }
            Refusal::OtherCluster(ip) => write!(f, "refused a peer datagram of another cluster from {ip}"),
            Refusal::SameNode(ip) => {
                write!(f, "{ip} uses this node's id: give every node of the cluster an id of its own")
            }
            Refusal::TooMany(ip, node) => {
                write!(f, "refused node {node} at {ip}: a cluster has at most {MEMBERS_MAX} nodes")
            }
        }
    }
}

struct Peer {
    link: Link,
    configured_ip: Option<Ipv4Addr>,
    paths: Paths,
    /// Its address, as its last datagram said.
    heard_ip: Option<Ipv4Addr>,
    /// The MAC address of its first NIC, which is its machine's name, since it was heard.
    machine: Option<[u8; 6]>,
    /// That of its NICs, as its last datagram said.
    mtu: Mtu,
    /// When it was last heard looking for another.
    overheard_at: Option<Instant>,
    was_up: bool,
}

impl Peer {
    fn new(link: Link, configured_ip: Option<Ipv4Addr>, nics: usize) -> Peer {
        Peer {
            link,
            configured_ip,
            paths: Paths::new(nics),
            heard_ip: None,
            machine: None,
            mtu: Mtu::ETHERNET,
            overheard_at: None,
            was_up: false,
        }
    }

    /// Its address, as far as it has one.
    fn ip(&self) -> Option<Ipv4Addr> {
        self.heard_ip.filter(|ip| !ip.is_unspecified()).or(self.configured_ip)
    }
}

/// A peer that looks for another again and again is greeted no more often than this.
const GREETED_EVERY: Duration = Duration::from_secs(1);

/// The peers of one node.
pub struct Peers {
    cluster: ClusterId,
    node: NodeId,
    /// The MAC addresses of its NICs, and which of their links are down.
    nics: Vec<([u8; 6], bool)>,
    ip: Ipv4Addr,
    /// The least of its NICs.
    mtu: Mtu,
    rng: ChaCha8Rng,
    peers: BTreeMap<NodeId, Peer>,
    events: Vec<PeerEvent>,
}

impl Peers {
    /// Starts to look for the peers.
    pub fn new(config: PeersConfig, now: Instant) -> Peers {
        let mut rng = ChaCha8Rng::from_seed(config.seed);
        let others = config.peers.iter().filter(|(node, _)| *node != config.node);
        let peers = others.map(|(node, ip)| {
            let link = Link::new(session_number(&mut rng), now);
            (*node, Peer::new(link, *ip, config.nics.len()))
        });
        Peers {
            peers: peers.collect(),
            cluster: config.cluster,
            node: config.node,
            nics: config.nics.iter().map(|nic| (nic.hardware_address, false)).collect(),
            ip: config.ip,
            mtu: config.nics.iter().map(|nic| nic.mtu).min().unwrap_or(Mtu::ETHERNET),
            rng,
            events: Vec::new(),
        }
    }

    /// Takes a frame that has come over NIC number `nic` if it carries a peer datagram; false if it is for someone else.
    pub fn receive(&mut self, now: Instant, nic: usize, frame: &[u8]) -> bool {
        let Some((from, datagram)) = parse(PEER_PORT, frame) else { return false };
        // Of NICs on one wire, each hears what the others broadcast.
        if self.nics.iter().any(|(own, _)| *own == from.hardware) {
            return true;
        }
        if let Err(refusal) = self.receive_datagram(now, nic, from, datagram) {
            self.events.push(PeerEvent::Refused(refusal));
        }
        true
    }

    fn receive_datagram(
        &mut self,
        now: Instant,
        nic: usize,
        from: Address,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let (header, payload) = Header::parse(datagram).map_err(|malformed| match malformed {
            Malformed::OtherVersion(version) => Refusal::OtherVersion(from.ip, version),
            Malformed::Foreign | Malformed::Damaged => Refusal::Malformed(from.ip),
        })?;
        if header.cluster != self.cluster {
            return Err(Refusal::OtherCluster(from.ip));
        }
        if header.from == self.node {
            return Err(Refusal::SameNode(from.ip));
        }
        self.add(now, header.from);
        let Some(peer) = self.peers.get_mut(&header.from) else {
            return Err(Refusal::TooMany(from.ip, header.from));
        };
        if header.to != self.node && header.to != NodeId(0) {
            // A broadcast greeting for another. Whoever sends it may have been restarted and not know of this node. (Other
            // datagrams for others look for a path to them.)
            let greets = header.kind == Kind::Hello;
            if greets && peer.overheard_at.is_none_or(|at| now.since(at) > GREETED_EVERY) {
                peer.overheard_at = Some(now);
                peer.link.greet(now);
            }
            return Ok(());
        }
        peer.paths.heard(now, nic, from.hardware, header.hears);
        (peer.heard_ip, peer.mtu) = (Some(from.ip), header.mtu);
        if header.leaves_first {
            peer.machine = Some(from.hardware);
        }
        if peer.link.receive(now, &header, payload) && core::mem::take(&mut peer.was_up) {
            self.events.push(PeerEvent::Reset(header.from));
        }
        if !peer.was_up && peer.link.status().established {
            peer.was_up = true;
            self.events.push(PeerEvent::Up(header.from));
        }
        if header.sequence != 0 && peer.link.is_receiving() {
            self.events.push(PeerEvent::Receiving(header.from));
        }
        while let Some(message) = peer.link.take_message() {
            self.events.push(PeerEvent::Message(header.from, message));
        }
        Ok(())
    }

    /// Begins to look for a further node, unless it is known or there are as many as there may be.
    pub fn add(&mut self, now: Instant, node: NodeId) {
        let known = node == self.node || node == NodeId::EVERYONE || self.peers.contains_key(&node);
        if !known && self.peers.len() + 1 < MEMBERS_MAX {
            let link = Link::new(session_number(&mut self.rng), now);
            let mut peer = Peer::new(link, None, self.nics.len());
            let down = self.nics.iter().enumerate().filter(|(_, (_, is_down))| *is_down);
            down.for_each(|(nic, _)| peer.paths.set_down(nic, true));
            self.peers.insert(node, peer);
        }
    }

    /// The nodes that can be reached.
    pub fn reachable(&self) -> Vec<NodeId> {
        let up = self.peers.iter().filter(|(_, peer)| peer.link.status().established);
        up.map(|(node, _)| *node).collect()
    }

    /// What there is to say of the links.
    pub fn links(&self) -> impl Iterator<Item = PeerStatus> {
        self.peers.iter().map(|(node, peer)| PeerStatus {
            node: *node,
            ip: peer.ip(),
            nic: peer.link.status().established.then(|| peer.paths.taken()),
            link: peer.link.status(),
        })
    }

    /// Those that were heard, or whose address is known beforehand, and their addresses; none as long as they have none.
    pub fn addresses(&self) -> impl Iterator<Item = (NodeId, Option<Ipv4Addr>)> + Clone {
        let is_known = |peer: &Peer| peer.heard_ip.is_some() || peer.configured_ip.is_some();
        self.peers.iter().filter(move |(_, peer)| is_known(peer)).map(|(node, peer)| (*node, peer.ip()))
    }

    /// The nodes that can be reached, and the MAC addresses of their machines' first NICs, as far as those were heard.
    pub fn machines(&self) -> Vec<(NodeId, Option<[u8; 6]>)> {
        let up = self.peers.iter().filter(|(_, peer)| peer.link.status().established);
        up.map(|(node, peer)| (*node, peer.machine)).collect()
    }

    /// The link of NIC number `nic` is up, or down: then nothing leaves over it, if there is another one.
    pub fn set_link(&mut self, nic: usize, is_up: bool) {
        if let Some((_, is_down)) = self.nics.get_mut(nic) {
            *is_down = !is_up;
            self.peers.values_mut().for_each(|peer| peer.paths.set_down(nic, !is_up));
        }
    }

    /// This node has another address: none is 0.0.0.0, which is no obstacle, since MAC addresses say where datagrams go.
    pub fn set_ip(&mut self, ip: Ipv4Addr) {
        self.ip = ip;
    }

    /// Queues a message for `to`.
    pub fn send(&mut self, to: NodeId, message: Vec<u8>) -> Result<(), LinkError> {
        self.peers.get_mut(&to).ok_or(LinkError::NotEstablished)?.link.send(message)
    }

    /// Queues a message for every node that can be reached.
    pub fn send_to_all(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let up = self.peers.values_mut().filter(|peer| peer.link.status().established);
        up.map(|peer| peer.link.send(message.to_vec())).fold(Ok(()), Result::and)
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<PeerEvent> {
        core::mem::take(&mut self.events)
    }

    /// Sends what is due: frames, with the numbers of the NICs that they leave over.
    pub fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(usize, Frame)) {
        for (node, peer) in &mut self.peers {
            let to_ip = peer.ip().unwrap_or(Ipv4Addr::BROADCAST);
            let (cluster, from, ip, mtu) = (self.cluster, self.node, self.ip, self.mtu);
            let mut send = |paths: &mut Paths, nic: usize, hardware: [u8; 6], fragment: &Fragment<'_>| {
                let header = Header {
                    kind: fragment.kind,
                    from,
                    to: *node,
                    cluster,
                    source_session: fragment.source_session,
                    destination_session: fragment.destination_session,
                    sequence: fragment.sequence,
                    received: fragment.received,
                    received_behind: fragment.received_behind,
                    first: fragment.first,
                    last: fragment.last,
                    hears: paths.hears(now, nic),
                    leaves_first: nic == 0,
                    mtu,
                };
                paths.sent(now, nic);
                let local = Address { hardware: self.nics[nic].0, ip };
                let to = Address { hardware, ip: to_ip };
                let len = HEADER_LEN + fragment.payload.len();
                transmit(nic, emit(PEER_PORT, local, to, len, |bytes| header.emit(fragment.payload, bytes)));
            };
            let Peer { link, paths, .. } = peer;
            if paths.take(now) {
                link.path_failed();
            }
            let session = session_number(&mut self.rng);
            let ended = link.poll(now, session, payload_len_max(mtu.min(peer.mtu)), &mut |fragment| {
                for nic in 0..paths.count() {
                    // A greeting goes everywhere, and to everyone until the peer was heard; the rest only follows then.
                    let leaves = match fragment.kind {
                        Kind::Hello => paths.is_up(nic),
                        Kind::Data => paths.is_outlet(now, nic),
                    };
                    if leaves {
                        send(paths, nic, paths.hardware(nic), &fragment);
                    }
                }
            });
            if let Some(trial) = link.trial() {
                for nic in 0..paths.count() {
                    if let Some(to) = paths.trial(now, nic) {
                        send(paths, nic, to, &trial);
                    }
                }
            }
            if ended {
                peer.was_up = false;
                // It may have moved.
                peer.paths.forget();
                (peer.heard_ip, peer.machine) = (None, None);
                self.events.push(PeerEvent::Reset(*node));
            }
        }
    }

    /// When [`Peers::poll`] has something to do, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let deadline = |peer: &Peer| {
            let trial = peer.paths.deadline().filter(|_| peer.link.status().established);
            [peer.link.deadline(), trial].into_iter().flatten().min()
        };
        self.peers.values().filter_map(deadline).min()
    }
}

/// A random number that is not 0.
fn session_number(rng: &mut ChaCha8Rng) -> u64 {
    rng.next_u64().max(1)
}
