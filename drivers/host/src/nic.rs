//! A wire over a Unix datagram socket: one datagram, one frame.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::task::{Context, Poll};

use drivers_api::{Frame, Mtu, Nic, NicQueueFull};

/// Frames waiting for the socket, at most.
const TRANSMIT_QUEUE_MAX: usize = 256;

/// A NIC whose wire is a socket.
pub struct HostNic {
    socket: UnixDatagram,
    hardware_address: [u8; 6],
    mtu: Mtu,
    waiting: VecDeque<Frame>,
    /// There may be frames: the socket is not asked again and again.
    readable: bool,
    /// Where frames arrive; each then gets a buffer of its own length. The byte behind the longest frame shows that
    /// one is longer.
    arriving: Vec<u8>,
}

impl HostNic {
    /// Binds `local` and sends to whoever is bound at `remote`. Fails where the sockets do.
    pub fn open(local: &Path, remote: &Path, hardware_address: [u8; 6], mtu: Mtu) -> io::Result<HostNic> {
        match std::fs::remove_file(local) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(local)?;
        socket.set_nonblocking(true)?;
        socket.connect(remote)?;
        let arriving = vec![0; mtu.frame_len() + 1];
        Ok(HostNic { socket, hardware_address, mtu, waiting: VecDeque::new(), readable: true, arriving })
    }

    /// What to watch for frames.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Something has arrived at the socket.
    pub(crate) fn set_readable(&mut self) {
        self.readable = true;
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

    fn mtu(&self) -> Mtu {
        self.mtu
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
        while self.readable {
            match self.socket.recv(&mut self.arriving) {
                Ok(len) if len > self.mtu.frame_len() => {} // lost: it is too long
                Ok(len) => return Poll::Ready(Frame::copy_of(&self.arriving[..len])),
                // The root watches the descriptor; see `Waiter`.
                Err(error) => self.readable = error.kind() == io::ErrorKind::Interrupted,
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn frames_as_long_as_the_mtu_arrive_and_longer_ones_are_lost() {
        let directory = std::env::temp_dir().join(format!("relix-nic-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (ours, theirs) = (directory.join("nic"), directory.join("switch"));
        let switch = UnixDatagram::bind(&theirs).unwrap();
        for mtu in [Mtu::ETHERNET, Mtu::JUMBO] {
            let mut nic = HostNic::open(&ours, &theirs, [2, 0, 0, 0, 0, 1], mtu).unwrap();
            let mut context = Context::from_waker(Waker::noop());
            assert!(nic.poll_receive(&mut context).is_pending());
            for len in [mtu.frame_len() + 1, mtu.frame_len(), 2 * mtu.frame_len(), 60] {
                switch.send_to(&vec![7; len], &ours).unwrap();
            }
            assert!(nic.poll_receive(&mut context).is_pending(), "nobody has said that something came");
            nic.set_readable();
            for len in [mtu.frame_len(), 60] {
                let Poll::Ready(frame) = nic.poll_receive(&mut context) else { panic!("a frame of {len}") };
                assert_eq!(frame.bytes(), vec![7; len]);
            }
            assert!(nic.poll_receive(&mut context).is_pending());
            nic.transmit(Frame::zeroed(mtu.frame_len())).unwrap();
            nic.kick();
            assert_eq!(switch.recv(&mut vec![0; 10_000]).unwrap(), mtu.frame_len());
        }
        let _ = std::fs::remove_dir_all(&directory);
    }
}
