//! Datagrams to servers and from them, over UDP.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::IpEndpoint;

use super::{EPHEMERAL_PORTS, Stack};

/// Datagrams that wait each way, at most, and their bytes: one for each server that is asked something.
const WAITING_MAX: usize = 8;
const WAITING_LEN_MAX: usize = 1024;

impl Stack {
    /// Sends a datagram to a server. It may be lost, as any may: also while the stack has no address, or if too many wait.
    pub fn send_datagram(&mut self, to: IpAddr, port: u16, bytes: &[u8]) {
        let Some(handle) = self.datagram_socket() else { return };
        let _ =
            self.sockets.get_mut::<Socket<'_>>(handle).send_slice(bytes, IpEndpoint::new(to.into(), port));
        self.stirred = true;
    }

    /// The next datagram of a server, and from where it is: its address and port.
    pub fn take_datagram(&mut self) -> Option<(IpAddr, u16, Vec<u8>)> {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.datagrams?);
        let (bytes, from) = socket.recv().ok()?;
        Some((from.endpoint.addr.into(), from.endpoint.port, bytes.to_vec()))
    }

    /// It is made when it is first needed.
    fn datagram_socket(&mut self) -> Option<SocketHandle> {
        if self.datagrams.is_none() {
            let buffer =
                || PacketBuffer::new(vec![PacketMetadata::EMPTY; WAITING_MAX], vec![0; WAITING_LEN_MAX]);
            let mut socket = Socket::new(buffer(), buffer());
            let span = EPHEMERAL_PORTS.end - EPHEMERAL_PORTS.start;
            // Any port that connections do not come to for long.
            let port = EPHEMERAL_PORTS.start + (self.next_port - EPHEMERAL_PORTS.start + span / 2) % span;
            socket.bind(port).ok()?;
            self.datagrams = Some(self.sockets.add(socket));
        }
        self.datagrams
    }
}
