//! What there is to say of the sockets.

use core::net::SocketAddr;

use smoltcp::socket::{Socket, tcp};

use super::Stack;

/// A socket, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketStatus {
    /// Its port on this node.
    pub port: u16,
    /// The other end; none before there is one.
    pub remote: Option<SocketAddr>,
    /// As RFC 9293 calls it, in small letters.
    pub state: &'static str,
    /// Bytes that have arrived and were not taken yet, and how many there is room for.
    pub received: (usize, usize),
    /// Bytes that were not acknowledged yet, and how many there is room for.
    pub sent: (usize, usize),
}

impl SocketStatus {
    fn of(socket: &tcp::Socket<'_>) -> SocketStatus {
        let local = socket.local_endpoint().map_or(socket.listen_endpoint().port, |local| local.port);
        SocketStatus {
            port: local,
            remote: socket.remote_endpoint().map(|remote| SocketAddr::new(remote.addr.into(), remote.port)),
            state: name(socket.state()),
            received: (socket.recv_queue(), socket.recv_capacity()),
            sent: (socket.send_queue(), socket.send_capacity()),
        }
    }
}

impl Stack {
    /// All sockets of TCP: those that listen, and those that are connected.
    pub fn sockets(&self) -> impl Iterator<Item = SocketStatus> {
        self.sockets.iter().filter_map(|(_, socket)| match socket {
            Socket::Tcp(socket) => Some(SocketStatus::of(socket)),
            Socket::Dhcpv4(_) | Socket::Udp(_) => None,
        })
    }

    /// Bytes of the buffers of all sockets, and how many they may have, unless they need more to work at all.
    pub fn buffers(&self) -> (usize, usize) {
        (self.buffers_len, self.buffers_len_max)
    }
}

fn name(state: tcp::State) -> &'static str {
    match state {
        tcp::State::Closed => "closed",
        tcp::State::Listen => "listen",
        tcp::State::SynSent => "syn-sent",
        tcp::State::SynReceived => "syn-received",
        tcp::State::Established => "established",
        tcp::State::FinWait1 => "fin-wait-1",
        tcp::State::FinWait2 => "fin-wait-2",
        tcp::State::CloseWait => "close-wait",
        tcp::State::Closing => "closing",
        tcp::State::LastAck => "last-ack",
        tcp::State::TimeWait => "time-wait",
    }
}
