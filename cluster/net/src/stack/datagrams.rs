//! Datagrams to servers and from them, over UDP.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::IpEndpoint;

use super::Stack;

/// Datagrams of one server that wait each way, at most, and their bytes.
const WAITING_MAX: usize = 4;
const WAITING_LEN_MAX: usize = 512;

impl Stack {
    /// Sends a datagram to a server, one of a few. It may be lost, as any may: also while the stack has no address.
    ///
    /// Each server has a socket of its own, for what cannot be sent to one stays in its socket, before all that follows. What
    /// is still there when the next is sent to it goes with the socket.
    pub fn send_datagram(&mut self, to: IpAddr, port: u16, bytes: &[u8]) {
        if let Some(index) = self.datagrams.iter().position(|(server, _)| *server == to)
            && self.sockets.get::<Socket<'_>>(self.datagrams[index].1).send_queue() > 0
        {
            let (_, stuck) = self.datagrams.swap_remove(index);
            self.sockets.remove(stuck);
        }
        let known = self.datagrams.iter().find(|(server, _)| *server == to).map(|(_, handle)| *handle);
        let handle = known.unwrap_or_else(|| {
            let buffer =
                || PacketBuffer::new(vec![PacketMetadata::EMPTY; WAITING_MAX], vec![0; WAITING_LEN_MAX]);
            let mut socket = Socket::new(buffer(), buffer());
            // Fails only for one that is bound already, or for port 0.
            let _ = socket.bind(self.ephemeral_port());
            let handle = self.sockets.add(socket);
            self.datagrams.push((to, handle));
            handle
        });
        // One that is too long is lost.
        let _ =
            self.sockets.get_mut::<Socket<'_>>(handle).send_slice(bytes, IpEndpoint::new(to.into(), port));
        self.stirred = true;
    }

    /// The next datagram of a server, and from where it is: its address and port.
    pub fn take_datagram(&mut self) -> Option<(IpAddr, u16, Vec<u8>)> {
        let Stack { datagrams, sockets, .. } = self;
        datagrams.iter().find_map(|(_, handle)| {
            let (bytes, from) = sockets.get_mut::<Socket<'_>>(*handle).recv().ok()?;
            Some((from.endpoint.addr.into(), from.endpoint.port, bytes.to_vec()))
        })
    }
}
