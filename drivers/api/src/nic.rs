//! A wire of Ethernet frames.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::task::{Context, Poll};

/// Bytes of an Ethernet frame before its packet: two addresses and a type. (The FCS is the device's own.)
const ETHERNET_HEADER_LEN: usize = 14;

/// The longest frame of any NIC.
pub const FRAME_LEN_MAX: usize = Mtu::JUMBO.frame_len();

/// The longest packet that a NIC sends and takes: bytes from the IP header on, without Ethernet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtu(u16);

impl Mtu {
    /// The least of any NIC: what every host must take (RFC 791, section 3.1).
    pub const MIN: Mtu = Mtu(576);

    /// Ethernet's own, and that of whoever says nothing else.
    pub const ETHERNET: Mtu = Mtu(1500);

    /// The most of any NIC, as is usual for frames longer than Ethernet's own.
    pub const JUMBO: Mtu = Mtu(9000);

    /// The MTU nearest to `bytes`, which a device or a peer may have named.
    pub const fn nearest(bytes: u16) -> Mtu {
        match bytes {
            0..576 => Mtu::MIN,
            9001.. => Mtu::JUMBO,
            _ => Mtu(bytes),
        }
    }

    /// Bytes of the longest packet.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// Bytes of the longest frame.
    pub const fn frame_len(self) -> usize {
        ETHERNET_HEADER_LEN + self.bytes()
    }
}

/// Bytes every [`Frame`] keeps free before its contents, for a device's own header: a NIC then sends
/// header and frame as one buffer. (virtio-net needs 12.)
pub const FRAME_HEADROOM: usize = 16;

/// One Ethernet frame in a buffer of its own, with [`FRAME_HEADROOM`] bytes free before it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    buffer: Vec<u8>,
}

impl Frame {
    /// A frame of `len` zero bytes.
    pub fn zeroed(len: usize) -> Frame {
        Frame { buffer: vec![0; FRAME_HEADROOM + len] }
    }

    /// A frame with these contents.
    pub fn copy_of(bytes: &[u8]) -> Frame {
        let mut buffer = Vec::with_capacity(FRAME_HEADROOM + bytes.len());
        buffer.resize(FRAME_HEADROOM, 0);
        buffer.extend_from_slice(bytes);
        Frame { buffer }
    }

    /// A frame whose buffer, headroom first, a device has filled. `None` if it is shorter than the
    /// headroom.
    pub fn from_buffer(buffer: Vec<u8>) -> Option<Frame> {
        (buffer.len() >= FRAME_HEADROOM).then_some(Frame { buffer })
    }

    /// The frame's contents.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[FRAME_HEADROOM..]
    }

    /// The frame's contents, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[FRAME_HEADROOM..]
    }

    /// The whole buffer, headroom first, for a device.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.bytes().len())
    }
}

/// The transmit queue is full; the frame was dropped, as a wire may drop any frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicQueueFull;

/// A network interface. Frames may be lost, and nothing tells of it: protocols above recover.
pub trait Nic {
    /// The MAC address.
    fn hardware_address(&self) -> [u8; 6];

    /// The longest packet it sends and takes. Longer ones are lost.
    fn mtu(&self) -> Mtu;

    /// Whether something is plugged in, as far as the device tells. Its word is new once the waker of
    /// [`Nic::poll_receive`] is woken.
    fn link_is_up(&self) -> bool {
        true
    }

    /// Whether [`Nic::transmit`] has room for another frame.
    fn can_transmit(&self) -> bool;

    /// Queues a frame of at most [`Mtu::frame_len`] bytes.
    fn transmit(&mut self, frame: Frame) -> Result<(), NicQueueFull>;

    /// Hands what was queued to the device.
    fn kick(&mut self);

    /// The next received frame. The waker is also woken when a full transmit queue has room again.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Frame>;
}

/// The NICs of one machine, at least one, numbered from 0. There are as many as long as the machine runs.
pub trait Nics {
    /// How many there are.
    fn count(&self) -> usize;

    /// The one with this number.
    ///
    /// # Panics
    /// There is none.
    fn nic(&mut self, number: usize) -> &mut dyn Nic;
}

/// The only one.
impl<N: Nic> Nics for N {
    fn count(&self) -> usize {
        1
    }

    fn nic(&mut self, number: usize) -> &mut dyn Nic {
        assert_eq!(number, 0, "the machine has one NIC");
        self
    }
}
