//! A wire over a Unix datagram socket: one datagram, one frame.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::task::{Context, Poll};

use drivers_api::{FRAME_HEADROOM, FRAME_LEN_MAX, Frame, Nic, NicQueueFull};

/// Frames waiting for the socket, at most.
const TRANSMIT_QUEUE_MAX: usize = 256;

/// A NIC whose wire is a socket.
pub struct HostNic {
    socket: UnixDatagram,
    hardware_address: [u8; 6],
    waiting: VecDeque<Frame>,
}

impl HostNic {
    /// Binds `local` and sends to whoever is bound at `remote`.
    pub fn open(local: &Path, remote: &Path, hardware_address: [u8; 6]) -> io::Result<HostNic> {
        match std::fs::remove_file(local) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(local)?;
        socket.set_nonblocking(true)?;
        socket.connect(remote)?;
        Ok(HostNic { socket, hardware_address, waiting: VecDeque::new() })
    }

    /// What to watch for frames.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether frames wait for room in the socket.
    pub fn wants_to_write(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Nic for HostNic {
    fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    fn can_transmit(&self) -> bool {
        self.waiting.len() < TRANSMIT_QUEUE_MAX
    }

    fn transmit(&mut self, frame: Frame) -> Result<(), NicQueueFull> {
        if !self.can_transmit() {
            return Err(NicQueueFull);
        }
        self.waiting.push_back(frame);
        Ok(())
    }

    fn kick(&mut self) {
        while let Some(frame) = self.waiting.front() {
            match self.socket.send(frame.bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A wire whose other end is gone loses its frames.
                _ => self.waiting.pop_front(),
            };
        }
    }

    fn poll_receive(&mut self, _context: &mut Context<'_>) -> Poll<Frame> {
        self.kick();
        let mut buffer = vec![0; FRAME_HEADROOM + FRAME_LEN_MAX];
        match self.socket.recv(&mut buffer[FRAME_HEADROOM..]) {
            Ok(len) => {
                buffer.truncate(FRAME_HEADROOM + len);
                Frame::from_buffer(buffer).map_or(Poll::Pending, Poll::Ready)
            }
            // The root watches the descriptor; see `Waiter`.
            Err(_) => Poll::Pending,
        }
    }
}
