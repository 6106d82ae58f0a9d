//! TCP for clients, by smoltcp.
//!
//! smoltcp looks at every socket for every packet, so sockets are bounded: a few listen, and each that
//! becomes a connection is replaced while there are fewer than the limit.

mod address;
mod connection;
mod datagrams;
mod leasing;
mod sockets;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

pub use address::{Addressing, is_host_address6};
use cluster_format::NodeId;
pub use connection::{TcpConnection, TcpError};
use drivers_api::{Frame, Instant, Mtu};
use leasing::Leasing;
pub use leasing::{Lease, Notice};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::Instant as StackInstant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpEndpoint, Ipv4Cidr};
pub use sockets::SocketStatus;
use spin::Mutex;

/// Dropped connections that still have something to say, at most; then the oldest is broken off.
const CLOSING_MAX: usize = 32;

/// A socket's buffers, as long as there is enough memory for those that may follow: seven of the longest segments. A stream
/// is as fast as that many bytes are for each round trip.
const RECEIVE_BUFFER_LEN: usize = 64 * 1024;
const TRANSMIT_BUFFER_LEN: usize = 64 * 1024;

/// What a socket must have: room for a request, and for two segments of an answer, so that an acknowledgement is not what
/// it waits for.
const RECEIVE_BUFFER_LEN_MIN: usize = 4 * 1024;
const SEGMENTS_MIN: usize = 2;

/// An acknowledgement waits this long for something to travel with.
const ACK_DELAY: smoltcp::time::Duration = smoltcp::time::Duration::from_millis(10);

/// Frames that wait for the wire, at most.
const FRAMES_MAX: usize = 512;

/// Local ports for connections made from here.
const EPHEMERAL_PORTS: core::ops::Range<u16> = 49152..65535;

/// Where the stack lives.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// MAC address.
    pub hardware_address: [u8; 6],
    /// The NIC's. Whoever takes less says so when it connects.
    pub mtu: Mtu,
    /// Where it has its IPv4 address from.
    pub addressing: Addressing,
    /// An IPv6 address and the bits of its network's prefix, beside the link-local one that there always is.
    pub ip6: Option<(Ipv6Addr, u8)>,
    /// Seeds sequence numbers and ports.
    pub seed: u64,
    /// Connections at once, at most.
    pub connections_max: usize,
    /// Bytes of all their buffers, at most, unless they need more to work at all.
    pub buffers_len_max: usize,
}

/// The TCP stack of one node.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    ports: Vec<Port>,
    connections: usize,
    connections_max: usize,
    buffers_len_max: usize,
    /// Bytes of the buffers of all sockets, and how many these are.
    buffers_len: usize,
    sockets_len: usize,
    /// Dropped connections that still have something to say.
    closing: Vec<SocketHandle>,
    /// Something was put in or taken out since it was polled.
    stirred: bool,
    /// When it must be polled if nothing is.
    due: Option<Instant>,
    /// It was polled since it was last asked for clients.
    may_accept: bool,
    next_port: u16,
    hardware_address: [u8; 6],
    /// Of a node that asks for its address.
    leasing: Option<Leasing>,
    /// Servers that were sent datagrams, and the sockets of each.
    datagrams: Vec<(IpAddr, SocketHandle)>,
}

/// A port that is listened at, and the sockets that wait for a connection there.
struct Port {
    number: u16,
    listening: Vec<SocketHandle>,
    listening_max: usize,
}

/// Frames between the stack and the NIC.
struct Wire {
    mtu: Mtu,
    received: VecDeque<Frame>,
    to_send: VecDeque<Frame>,
}

impl Stack {
    /// A stack with that address, whose clock stands at `now`.
    pub fn new(config: StackConfig, now: Instant) -> Stack {
        let hardware = EthernetAddress(config.hardware_address);
        let mut settings = Config::new(HardwareAddress::Ethernet(hardware));
        settings.random_seed = config.seed;
        let mut wire = Wire { mtu: config.mtu, received: VecDeque::new(), to_send: VecDeque::new() };
        let mut interface = Interface::new(settings, &mut wire, time(now));
        address::set_ip6(&mut interface, hardware, config.ip6);
        let mut sockets = SocketSet::new(vec![]);
        let leasing = match config.addressing {
            Addressing::Static { ip, prefix_len } => {
                address::set(&mut interface, Some(Ipv4Cidr::new(ip, prefix_len.min(32))), None);
                None
            }
            Addressing::Dhcp => Some(Leasing::new(&mut sockets, config.hardware_address, now)),
        };
        let span = u64::from(EPHEMERAL_PORTS.end - EPHEMERAL_PORTS.start);
        Stack {
            interface,
            sockets,
            wire,
            ports: vec![],
            connections: 0,
            connections_max: config.connections_max,
            buffers_len_max: config.buffers_len_max,
            buffers_len: 0,
            sockets_len: 0,
            closing: vec![],
            stirred: true,
            due: None,
            may_accept: false,
            next_port: EPHEMERAL_PORTS.start + (config.seed % span) as u16,
            hardware_address: config.hardware_address,
            leasing,
            datagrams: vec![],
        }
    }

    /// Listens on `port`, of all addresses, as long as there may be further connections with so many sockets: as many clients
    /// may come at one time. Connections come out of [`Stack::accept`].
    pub fn listen(&mut self, port: u16, listening_max: usize) {
        self.ports.push(Port { number: port, listening: vec![], listening_max });
        self.replenish();
    }

    /// Takes a frame from the NIC.
    pub fn receive(&mut self, frame: Frame) {
        if self.leasing.as_mut().is_some_and(|leasing| !leasing.admits(frame.bytes())) {
            self.stirred = true;
            return;
        }
        // A wire may drop frames, and memory is bounded.
        if self.wire.received.len() < FRAMES_MAX {
            self.wire.received.push_back(frame);
            self.stirred = true;
        }
    }

    /// Notes the MAC address of a neighbour, as if it had announced itself: nobody needs to be asked for it,
    /// and no answer can be lost.
    pub fn introduce(&mut self, ip: Ipv4Addr, hardware_address: [u8; 6]) {
        let Some(own) = self.ip() else { return };
        self.receive(crate::wire::announcement(ip, hardware_address, self.hardware_address, own));
    }

    /// Its IPv4 address, if it has one by now.
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.interface.ipv4_addr()
    }

    /// What keeps it from having an address, if that is so.
    pub fn trouble(&self) -> Option<Notice> {
        self.leasing.as_ref().and_then(Leasing::trouble)
    }

    /// What there is to say of its address since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.leasing.as_mut().map(Leasing::take_notices).unwrap_or_default()
    }

    /// Learns which others there are, and their addresses, if they have some: it takes none of these from a server.
    pub fn note_peers(&mut self, peers: impl Iterator<Item = (NodeId, Option<Ipv4Addr>)> + Clone) {
        self.stirred |= self.leasing.as_mut().is_some_and(|leasing| leasing.note_peers(peers));
    }

    /// Does what is due: frames in, frames out, timeouts. Costs nothing if there is nothing to do.
    pub fn poll(&mut self, now: Instant) {
        if !self.stirred && self.due.is_none_or(|due| due > now) {
            return;
        }
        self.interface.poll(time(now), &mut self.wire, &mut self.sockets);
        self.follow_lease(now);
        let delay = self.interface.poll_delay(time(now), &self.sockets);
        let due = delay.map(|delay| now + Duration::from_micros(delay.total_micros()));
        self.due = due.into_iter().chain(self.leasing.as_ref().and_then(Leasing::silence_due)).min();
        // Those that wait for the rest of a handshake may have been given up, too.
        (self.stirred, self.may_accept) = (false, true);
        let Stack { sockets, buffers_len, sockets_len, .. } = self;
        self.closing.retain(|handle| {
            // What TIME-WAIT guards against, old segments, cannot hurt a protocol whose sessions have names.
            let socket = sockets.get::<tcp::Socket<'_>>(*handle);
            let done = matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait);
            if done {
                *buffers_len -= socket.recv_capacity() + socket.send_capacity();
                *sockets_len -= 1;
                sockets.remove(*handle);
            }
            !done
        });
    }

    fn follow_lease(&mut self, now: Instant) {
        let Some(leasing) = &mut self.leasing else { return };
        let before = self.interface.ipv4_addr();
        leasing.advance(now, &mut self.sockets, &mut self.interface);
        let Some(lost) = before.filter(|before| self.interface.ipv4_addr() != Some(*before)) else { return };
        // Whoever is connected to an address that is no longer this node's is told so, and nothing more is said from there.
        for (_, socket) in self.sockets.iter_mut() {
            if let Socket::Tcp(socket) = socket
                && socket.local_endpoint().is_some_and(|local| local.addr == lost.into())
            {
                socket.abort();
            }
        }
    }

    /// The next frame for the NIC.
    pub fn take_frame(&mut self) -> Option<Frame> {
        self.wire.to_send.pop_front()
    }

    /// When [`Stack::poll`] has something to do, if ever.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.stirred { Some(now) } else { self.due }
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// The next client that has connected, and to which port.
    pub fn accept(stack: &Arc<Mutex<Stack>>) -> Option<(u16, TcpConnection)> {
        let mut locked = stack.lock();
        if !locked.may_accept {
            return None;
        }
        let Stack { ports, sockets, .. } = &mut *locked;
        let taken = ports.iter_mut().find_map(|port| {
            let index = port.listening.iter().position(|handle| {
                let state = sockets.get::<tcp::Socket<'_>>(*handle).state();
                !matches!(state, tcp::State::Listen | tcp::State::SynReceived)
            })?;
            Some((port.number, port.listening.swap_remove(index)))
        });
        locked.may_accept = taken.is_some();
        let (port, handle) = taken?;
        locked.connections += 1;
        locked.replenish();
        drop(locked);
        Some((port, TcpConnection { stack: stack.clone(), handle }))
    }

    /// Connects to `ip`. The connection is established, or refused, later: reads and writes wait for it.
    pub fn connect(stack: &Arc<Mutex<Stack>>, ip: IpAddr, port: u16) -> Result<TcpConnection, TcpError> {
        let mut locked = stack.lock();
        if locked.connections >= locked.connections_max {
            return Err(TcpError);
        }
        let local = locked.ephemeral_port();
        let mut socket = locked.new_socket();
        let remote = IpEndpoint::new(ip.into(), port);
        socket.connect(locked.interface.context(), remote, local).map_err(|_| TcpError)?;
        let handle = locked.add(socket);
        locked.connections += 1;
        locked.stirred = true;
        drop(locked);
        Ok(TcpConnection { stack: stack.clone(), handle })
    }

    fn ephemeral_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = if port + 1 < EPHEMERAL_PORTS.end { port + 1 } else { EPHEMERAL_PORTS.start };
        port
    }

    /// A socket for each client that may come. When few more may, each port has its turn.
    fn replenish(&mut self) {
        loop {
            let listening: usize = self.ports.iter().map(|port| port.listening.len()).sum();
            let lacking = |port: &&Port| port.listening.len() < port.listening_max;
            let Some(number) = (self.connections + listening < self.connections_max)
                .then(|| self.ports.iter().filter(lacking).min_by_key(|port| port.listening.len()))
                .flatten()
                .map(|port| port.number)
            else {
                return;
            };
            let mut socket = self.new_socket();
            if socket.listen(number).is_err() {
                return;
            }
            let handle = self.add(socket);
            if let Some(port) = self.ports.iter_mut().find(|port| port.number == number) {
                port.listening.push(handle);
            }
        }
    }

    fn add(&mut self, socket: tcp::Socket<'static>) -> SocketHandle {
        self.buffers_len += socket.recv_capacity() + socket.send_capacity();
        self.sockets_len += 1;
        self.sockets.add(socket)
    }

    /// A socket: with long buffers, as long as all that may follow can have short ones. A socket keeps its buffers until it
    /// is gone, so those that come first have the long ones, whatever they do with them.
    fn new_socket(&self) -> tcp::Socket<'static> {
        let long = (RECEIVE_BUFFER_LEN, TRANSMIT_BUFFER_LEN);
        let segments_len = SEGMENTS_MIN * self.wire.mtu.frame_len();
        let short = (RECEIVE_BUFFER_LEN_MIN, segments_len.clamp(RECEIVE_BUFFER_LEN_MIN, TRANSMIT_BUFFER_LEN));
        let to_follow = (self.connections_max + CLOSING_MAX).saturating_sub(self.sockets_len + 1);
        let with_long = self.buffers_len + long.0 + long.1 + to_follow * (short.0 + short.1);
        let (receive, transmit) = if with_long <= self.buffers_len_max { long } else { short };
        new_socket(receive, transmit)
    }

    fn release(&mut self, handle: SocketHandle) {
        self.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
        self.closing.push(handle);
        if self.closing.len() > CLOSING_MAX {
            self.sockets.get_mut::<tcp::Socket<'_>>(self.closing[0]).abort();
        }
        self.connections -= 1;
        self.stirred = true;
        self.replenish();
    }
}

fn new_socket(receive_len: usize, transmit_len: usize) -> tcp::Socket<'static> {
    let receive = tcp::SocketBuffer::new(vec![0; receive_len]);
    let transmit = tcp::SocketBuffer::new(vec![0; transmit_len]);
    let mut socket = tcp::Socket::new(receive, transmit);
    // Replies are small and awaited: Nagle's algorithm only adds waiting. An acknowledgement travels with
    // the reply, which follows within milliseconds as a rule.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(Some(ACK_DELAY));
    // A client whose machine is gone must not keep its connection for ever.
    socket.set_keep_alive(Some(smoltcp::time::Duration::from_secs(30)));
    socket.set_timeout(Some(smoltcp::time::Duration::from_secs(90)));
    socket
}

fn time(now: Instant) -> StackInstant {
    StackInstant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

struct Receive(Frame);

struct Transmit<'a>(&'a mut VecDeque<Frame>);

impl RxToken for Receive {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, consume: F) -> R {
        consume(self.0.bytes())
    }
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = Frame::zeroed(len);
        let result = fill(frame.bytes_mut());
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Receive;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _now: StackInstant) -> Option<(Receive, Transmit<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Receive(frame), Transmit(&mut self.to_send)))
    }

    fn transmit(&mut self, _now: StackInstant) -> Option<Transmit<'_>> {
        (self.to_send.len() < FRAMES_MAX).then_some(Transmit(&mut self.to_send))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        // On Ethernet, smoltcp counts the header in.
        capabilities.max_transmission_unit = self.mtu.frame_len();
        capabilities
    }
}

#[cfg(test)]
mod families;
#[cfg(test)]
mod tests;
