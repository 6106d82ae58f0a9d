//! A wire of Ethernet frames.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::task::{Context, Poll};

/// The longest frame: 14 bytes of header and an MTU of 1500, no FCS.
pub const FRAME_LEN_MAX: usize = 1514;

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
        let mut frame = Frame::zeroed(bytes.len());
        frame.bytes_mut().copy_from_slice(bytes);
        frame
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

    /// Whether [`Nic::transmit`] has room for another frame.
    fn can_transmit(&self) -> bool;

    /// Queues a frame of at most [`FRAME_LEN_MAX`] bytes.
    fn transmit(&mut self, frame: Frame) -> Result<(), NicQueueFull>;

    /// Hands what was queued to the device.
    fn kick(&mut self);

    /// The next received frame. The waker is also woken when a full transmit queue has room again.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Frame>;
}
