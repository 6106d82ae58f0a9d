//! What comes from the wire, and what peers say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use cluster_consensus::{AppendOutcome, Config, Message, MessageBody, Raft, Recovered, Timing};
use cluster_format::{
    ClusterId, Crc32c, Entry, Incarnation, LogPosition, Membership, NodeId, Payload, Planted, Version,
    crc32c, decode, encode,
};
use cluster_net::discovery::{self, Call};
use cluster_net::{
    Addressing, NicConfig, PeerEvent, Peers, PeersConfig, Stack, StackConfig, Timekeeper, ntp,
};
use cluster_node::fuzzing::PeerMessage;
use drivers_api::{FRAME_LEN_MAX, Frame, Instant, Mtu, Now, WallTime};
use smoltcp::wire::{EthernetFrame, IpProtocol, Ipv4Packet, TcpPacket};

use crate::input::{Input, Output};

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const UDP_LEN: usize = 8;
const DATAGRAM: usize = ETHERNET_LEN + IPV4_LEN + UDP_LEN;
/// A packet of DHCP is where a datagram of peers is.
const DHCP: usize = DATAGRAM;

fn config(node: u8) -> PeersConfig {
    PeersConfig {
        cluster: ClusterId::of_name("fuzz"),
        node: NodeId(node),
        nics: [0, 1]
            .map(|nic| NicConfig { hardware_address: [2, 0, 0, 0, nic, node], mtu: Mtu::JUMBO })
            .into(),
        ip: Ipv4Addr::new(10, 0, 0, node),
        peers: vec![(NodeId(1), None), (NodeId(2), None)],
        seed: [node; 32],
    }
}

const CALLED_LEN: usize = 24;

/// What is heard can be said again.
pub fn calls(bytes: &[u8]) {
    let mut frame = bytes.to_vec();
    if let Some((body, sum)) =
        frame.get_mut(DATAGRAM..).and_then(|call| call.split_at_mut_checked(CALLED_LEN))
        && let Some(sum) = sum.get_mut(..4)
    {
        sum.copy_from_slice(&crc32c(body).to_le_bytes());
    }
    if let Ok(mut ethernet) = EthernetFrame::new_checked(&mut frame)
        && let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut())
    {
        ip.fill_checksum();
    }
    let cluster = ClusterId::of_name("fuzz");
    if let Some((from, call)) = discovery::heard(cluster, &frame) {
        let again = discovery::call(cluster, from, &call);
        assert_eq!(discovery::heard(cluster, again.bytes()), Some((from, call)));
    }
}

pub fn call_seeds() -> Vec<Vec<u8>> {
    let machine = [2, 0, 0, 0, 0, 7];
    let calls = [
        Call::Looks { size: 3, backs: machine, founds: true },
        Call::Exists { machine },
        Call::Place { machine, node: NodeId(4) },
    ];
    let said = calls.iter().map(|call| discovery::call(ClusterId::of_name("fuzz"), machine, call));
    said.map(|frame| frame.bytes().to_vec()).collect()
}

/// Whatever servers answer, the clock goes on, and time is read.
pub fn times(bytes: &[u8]) {
    let server = IpAddr::from(Ipv4Addr::new(10, 0, 0, 9));
    let mut input = Input::new(bytes);
    let mut now = Now::default();
    let mut keeper = Timekeeper::new(&[server], [7; 32], now.monotonic);
    while !input.is_empty() {
        let (flags, pause) = (input.byte(), input.byte());
        let mut packet = input.long().to_vec();
        let mut nonce = [0; 8];
        keeper.poll(now.monotonic, &mut |_, question| nonce.copy_from_slice(&question[40..]));
        if flags & 1 == 0 && packet.len() >= ntp::PACKET_LEN {
            packet[24..32].copy_from_slice(&nonce);
        }
        let before = keeper.corrected(now).wall;
        let pause = Duration::from_millis(u64::from(pause) * u64::from(pause));
        now.monotonic = now.monotonic + pause;
        now.wall.unix_micros += pause.as_micros() as i64;
        assert!(keeper.corrected(now).wall >= before, "it stands still at most");
        keeper.receive(now.monotonic, server, &packet);
        let said = keeper.take_notices().iter().map(|notice| notice.to_string().len()).sum::<usize>();
        assert!(said < 1024, "a packet makes it say {said} bytes");
        let _ = (keeper.deadline(), keeper.trouble(now.monotonic));
    }
}

pub fn time_seeds() -> Vec<Vec<u8>> {
    let mut seed = Output::default();
    for micros in [0, 1_795_953_600_000_000, 4_000_000_000_000_000] {
        let reply = ntp::reply(&ntp::question(0), micros).expect("a question");
        seed.byte(0).byte(3).long(&reply);
    }
    vec![seed.0]
}

/// Makes checksums right: those of IPv4, of TCP, and of a datagram between nodes.
fn seal(frame: &mut [u8]) {
    let Ok(mut ethernet) = EthernetFrame::new_checked(frame) else { return };
    let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut()) else { return };
    ip.fill_checksum();
    let (from, to) = (ip.src_addr(), ip.dst_addr());
    let protocol = ip.next_header();
    let payload = ip.payload_mut();
    match protocol {
        IpProtocol::Tcp => {
            if let Ok(mut tcp) = TcpPacket::new_checked(payload) {
                tcp.fill_checksum(&from.into(), &to.into());
            }
        }
        _ => {
            let Some(datagram) = payload.get_mut(UDP_LEN..).filter(|bytes| bytes.len() >= 64) else { return };
            let mut sum = Crc32c::new();
            let len = usize::from(u16::from_le_bytes([datagram[56], datagram[57]])).min(datagram.len() - 64);
            sum.update(&datagram[..60]);
            sum.update(&[0; 4]);
            sum.update(&datagram[64..64 + len]);
            datagram[60..64].copy_from_slice(&sum.finish().to_le_bytes());
        }
    }
}

/// Frames, one after the other, to what carries peers and to what carries clients.
pub fn frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut now = Instant::ZERO;
    let mut peers = Peers::new(config(1), now);
    let given = Addressing::Static { ip: Ipv4Addr::new(10, 0, 0, 1), prefix_len: 24 };
    // One is told its address, and one asks for it.
    let mut stacks = [given, Addressing::Dhcp].map(|addressing| {
        let (hardware_address, mtu) = ([2, 0, 0, 0, 0, 1], Mtu::JUMBO);
        let (seed, connections_max, buffers_len_max) = (1, 4, 0);
        let ip6 = Some((Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1), 64));
        let config =
            StackConfig { hardware_address, mtu, addressing, ip6, seed, connections_max, buffers_len_max };
        let mut stack = Stack::new(config, now);
        stack.listen(5432, 32);
        stack
    });
    // What it has asked in.
    let mut transaction = [0; 4];
    // What the node has said of itself, so that an answer can be made to it.
    let mut session = [0; 8];
    while !input.is_empty() {
        let (flags, pause) = (input.byte(), input.byte());
        let mut bytes = input.long().to_vec();
        if flags & 1 == 0 && bytes.len() >= DATAGRAM + 64 {
            bytes[DATAGRAM + 24..DATAGRAM + 32].copy_from_slice(&session);
        }
        if flags & 2 == 0 && bytes.len() >= DHCP + 8 {
            bytes[DHCP + 4..DHCP + 8].copy_from_slice(&transaction);
        }
        seal(&mut bytes);
        now = now + Duration::from_millis(u64::from(pause) * u64::from(pause));
        let is_for_stacks = !peers.receive(now, usize::from(flags >> 2 & 1), &bytes)
            && (1..=FRAME_LEN_MAX).contains(&bytes.len());
        for stack in &mut stacks {
            if is_for_stacks {
                stack.receive(Frame::copy_of(&bytes));
            }
            stack.note_peers(peers.addresses());
            stack.poll(now);
            while let Some(frame) = stack.take_frame() {
                if let Some(asked) = frame.bytes().get(DHCP + 4..DHCP + 8) {
                    transaction.copy_from_slice(asked);
                }
            }
            let said = stack.take_notices().iter().map(|notice| notice.to_string().len()).sum::<usize>();
            assert!(said < 4096, "a frame makes it say {said} bytes");
            let has_usable = stack.ip().is_none_or(cluster_net::is_host_address);
            assert!(has_usable, "{:?} is taken for an address", stack.ip());
        }
        peers.poll(now, &mut |_, frame| {
            if let Some(own) = frame.bytes().get(DATAGRAM + 16..DATAGRAM + 24) {
                session.copy_from_slice(own);
            }
        });
        for event in peers.take_events() {
            if let PeerEvent::Message(node, message) = event {
                let _ = peers.send(node, message);
            }
        }
        let _ = (peers.deadline(), stacks[1].deadline(now), peers.reachable());
    }
}

/// What two nodes say to each other until each has got a message.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let mut now = Instant::ZERO;
    let (mut one, mut other) = (Peers::new(config(1), now), Peers::new(config(2), now));
    let mut seed = Output::default();
    for turn in 0..8 {
        let mut sent = Vec::new();
        other.poll(now, &mut |_, frame| sent.push(frame.bytes().to_vec()));
        for frame in sent {
            seed.byte(0).byte(3).long(&frame);
            one.receive(now, 0, &frame);
        }
        let mut sent = Vec::new();
        one.poll(now, &mut |_, frame| sent.push(frame.bytes().to_vec()));
        sent.iter().for_each(|frame| _ = other.receive(now, 0, frame));
        now = now + Duration::from_millis(9);
        if turn > 2 {
            // It may not be up yet.
            let _ = other.send(NodeId(1), vec![turn; 300]);
        }
    }
    vec![seed.0, tcp_seed()]
}

/// A connection that is opened, and something said.
fn tcp_seed() -> Vec<u8> {
    let mut seed = Output::default();
    for (flags, payload) in
        [(0x02, &b""[..]), (0x10, b""), (0x18, b"\0\0\0\x08\x04\xd2\x16\x2f"), (0x11, b"")]
    {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0];
        let len = (IPV4_LEN + 20 + payload.len()) as u16;
        frame.extend([0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([10, 0, 0, 9, 10, 0, 0, 1]);
        frame.extend([0x30, 0x39, 0x15, 0x38, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend_from_slice(payload);
        seed.byte(1).byte(1).long(&frame);
    }
    seed.0
}

/// A message between nodes.
pub fn message(bytes: &[u8]) {
    if let Ok(message) = decode::<PeerMessage>(bytes) {
        // A NaN differs from itself, and not as text.
        let again = decode::<PeerMessage>(&encode(&message));
        assert_eq!(
            format!("{again:?}"),
            format!("{:?}", Ok::<_, ()>(&message)),
            "it survives the round trip"
        );
    }
}

pub fn message_seeds() -> Vec<Vec<u8>> {
    let raft = raft_messages().into_iter().map(|message| encode(&PeerMessage::Raft(message)));
    let others = [
        PeerMessage::Read(7),
        PeerMessage::ReadAnswer(7, Some(Version(3))),
        PeerMessage::Entries(Version(300)),
        PeerMessage::EntriesAnswer(vec![entry(4)]),
        PeerMessage::Tables(None, 2),
        PeerMessage::Live(4, "nodes".into()),
    ];
    raft.chain(others.iter().map(encode)).collect()
}

fn entry(version: u64) -> Arc<Entry> {
    let position = LogPosition { term: 2, version: Version(version) };
    Entry::new(position, 0, Default::default(), Payload::Membership(Membership::founding(3).into())).into()
}

fn raft_messages() -> Vec<Message> {
    let last = LogPosition { term: 1, version: Version(1) };
    let bodies = [
        MessageBody::PreVoteRequest { last },
        MessageBody::PreVoteReply { granted: true },
        MessageBody::VoteRequest { last, leader_agrees: false },
        MessageBody::VoteReply { granted: true },
        MessageBody::AppendReply { round: 1, outcome: AppendOutcome::Matched(Version(1)), priority: 0 },
        MessageBody::StandNow,
        MessageBody::Join,
        MessageBody::Removed,
    ];
    let message = |body| Message { term: 2, incarnation: Incarnation(5), body };
    bodies.into_iter().map(message).collect()
}

/// One of three members.
pub fn raft(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut millis = 0;
    let at = |millis: u64| Now {
        monotonic: Instant::ZERO + Duration::from_millis(millis),
        wall: WallTime { unix_micros: 1_700_000_000_000_000 },
    };
    let config = Config {
        id: NodeId(1),
        incarnation: Incarnation(41),
        timing: Timing::default(),
        seed: [1; 32],
        log_len_max: 1 << 16,
        append_len_max: 1 << 12,
        write_len_max: 1 << 12,
        priority: 0,
        planted: Planted::NONE,
    };
    let mut raft = Raft::new(config, Recovered::nothing(Membership::founding(3)), at(0));
    while !input.is_empty() {
        let (what, pause) = (input.byte(), input.byte());
        millis += u64::from(pause) * u64::from(pause) / 16;
        match what % 4 {
            0 => _ = raft.propose(at(millis), Payload::TermStart),
            1 => raft.tick(at(millis)),
            _ => {
                if let Ok(message) = decode::<Message>(input.short()) {
                    raft.receive(at(millis), NodeId(2 + what % 3), message);
                }
            }
        }
        let _ = (raft.take_messages(), raft.deadline());
        if what & 64 == 0
            && let Some(write) = raft.take_write(at(millis))
        {
            raft.written(at(millis), write.mark);
        }
        let committed = raft.take_committed(1 << 12);
        assert!(committed.windows(2).all(|pair| pair[1].version == pair[0].version.next()));
        let _ = (raft.take_chunks_wanted(), raft.take_reads(at(millis)));
    }
}

pub fn raft_seeds() -> Vec<Vec<u8>> {
    let said = |messages: &[Message]| {
        let mut seed = Output::default();
        for message in messages {
            seed.byte(1).byte(60).byte(2).byte(3).short(&encode(message));
        }
        seed.0
    };
    let append = MessageBody::Append {
        previous: LogPosition::default(),
        entries: vec![entry(1)],
        commit: Version(1),
        round: 1,
    };
    let append = Message { term: 2, incarnation: Incarnation(5), body: append };
    vec![said(&raft_messages()), said(&[append])]
}
