//! virtio-net: one queue each way, buffers handed over in place.
//!
//! A [`Frame`]'s buffer begins with 16 free bytes; the device's 12-byte header is the last 12 of them, so
//! header and frame are one piece of memory and one descriptor.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::{Context, Poll, Waker};

use drivers_api::{FRAME_HEADROOM, Frame, Mtu, Nic, NicQueueFull, QueueInfo};

use crate::platform::PlatformRef;
use crate::ring::WRITE;
use crate::transport::{self, InitError, Interrupts, Queue, Transport, read_config};

const QUEUE_RECEIVE: u16 = 0;
const QUEUE_TRANSMIT: u16 = 1;
/// The device's interrupt behind those of its queues.
const CONFIG_INTERRUPT: u16 = QUEUE_TRANSMIT + 1;
const QUEUE_SIZE_MAX: u16 = 256;

/// The device's header, before every frame.
const HEADER_LEN: usize = 12;
/// Where it begins in a frame's buffer.
const HEADER_AT: usize = FRAME_HEADROOM - HEADER_LEN;

/// Bytes of all receive buffers, at most: the longer frames may be, the fewer there are. (Whoever carries frames to
/// the device keeps those that find none: QEMU and the switch behind it do.)
const RECEIVE_LEN_MAX: usize = 576 << 10;

/// Where the status is in the configuration, behind the address, and what of it says that the link is up.
const CONFIG_STATUS: usize = 6;
const STATUS_LINK_UP: u16 = 1;

/// Where the MTU is in the configuration, behind the address, the status and the number of queues.
const CONFIG_MTU: usize = 10;

/// Bytes of a frame's buffer.
const fn buffer_len(mtu: Mtu) -> usize {
    FRAME_HEADROOM + mtu.frame_len()
}

/// A virtio network interface.
pub struct NetworkDevice {
    platform: PlatformRef,
    transport: Box<dyn Transport>,
    address: [u8; 6],
    mtu: Mtu,
    /// Whether the device tells of its link.
    has_status: bool,
    link_is_up: bool,
    /// Those of a changed configuration, where they do not share the queues'.
    config_interrupts: Option<Interrupts>,
    receive: Queue,
    /// Buffer i is in descriptor i, while the device has it.
    receive_buffers: Vec<Option<Vec<u8>>>,
    transmit: Queue,
    transmit_buffers: Vec<Option<Vec<u8>>>,
    transmit_free: Vec<u16>,
    /// Someone was told that the transmit queue is full, and is to be woken when it is not.
    transmit_awaited: Cell<bool>,
    /// The device broke the protocol and was reset: nothing is sent or received any more.
    broken: bool,
}

impl NetworkDevice {
    pub(crate) fn new(
        platform: PlatformRef,
        mut transport: Box<dyn Transport>,
    ) -> Result<NetworkDevice, InitError> {
        let mac = virtio_spec::net::F::MAC.bits().to_ne() as u64;
        let mtu = virtio_spec::net::F::MTU.bits().to_ne() as u64;
        let status = virtio_spec::net::F::STATUS.bits().to_ne() as u64;
        let supported = transport::common_features() | mac | mtu | status;
        let features = transport::negotiate(&*transport, supported)?;
        if features & mac == 0 {
            return Err(InitError::Incomplete);
        }
        let address = read_config(&*transport, |config| {
            let mut address = [0; 6];
            for (offset, byte) in address.iter_mut().enumerate() {
                *byte = config.read(offset);
            }
            address
        });
        let mtu = read_config(&*transport, |config| {
            let field = config.part(CONFIG_MTU, 2).filter(|_| features & mtu != 0);
            field.map_or(Mtu::ETHERNET, |field| Mtu::nearest(field.read(0)))
        });
        let receive_max = (RECEIVE_LEN_MAX / buffer_len(mtu)).min(QUEUE_SIZE_MAX.into()) as u16;
        let receive = Queue::new(platform, &mut *transport, QUEUE_RECEIVE, receive_max, features)?;
        let transmit = Queue::new(platform, &mut *transport, QUEUE_TRANSMIT, QUEUE_SIZE_MAX, features)?;
        let config_interrupts = Interrupts::of_config(platform, &mut *transport, CONFIG_INTERRUPT);
        let (receive_size, transmit_size) = (receive.ring.size(), transmit.ring.size());
        let mut device = NetworkDevice {
            platform,
            transport,
            address,
            mtu,
            has_status: features & status != 0,
            link_is_up: true,
            config_interrupts,
            receive,
            receive_buffers: (0..receive_size).map(|_| None).collect(),
            transmit,
            transmit_buffers: (0..transmit_size).map(|_| None).collect(),
            transmit_free: (0..transmit_size).rev().collect(),
            transmit_awaited: Cell::new(false),
            broken: false,
        };
        (0..receive_size).for_each(|slot| device.give_buffer(slot));
        device.transmit.ring.disable_interrupts();
        transport::start(&*device.transport);
        device.receive.kick();
        // Of changes from now on, the device tells.
        device.read_link();
        Ok(device)
    }

    /// The queues, for a listing; their interrupts are counted by whoever lists.
    pub(crate) fn queues(&self) -> Vec<QueueInfo> {
        let info = |name, queue: &Queue| QueueInfo {
            name,
            depth: queue.ring.size(),
            vector: queue.interrupts.vector,
            interrupts: 0,
        };
        alloc::vec![info("receive", &self.receive), info("transmit", &self.transmit)]
    }

    fn read_link(&mut self) {
        if self.has_status {
            let status = read_config(&*self.transport, |config| config.read::<u16>(CONFIG_STATUS));
            self.link_is_up = status & STATUS_LINK_UP != 0;
        }
    }

    /// Has `waker` woken by what is received, and looks at the link if the device has told that it changed.
    fn take_interrupts(&mut self, waker: &Waker) {
        let has_changed = self.receive.take_interrupts(&*self.transport, &mut self.config_interrupts, waker);
        if has_changed && !self.broken {
            self.read_link();
        }
    }

    /// Gives the device a buffer to receive into.
    fn give_buffer(&mut self, slot: u16) {
        // Only the bytes before the header are initialised here; the device writes the rest.
        let mut buffer = Vec::with_capacity(buffer_len(self.mtu));
        buffer.resize(HEADER_AT, 0);
        let address = self.platform.physical(buffer.as_ptr()) + HEADER_AT as u64;
        self.receive.ring.describe(slot, address, (buffer_len(self.mtu) - HEADER_AT) as u32, WRITE, 0);
        self.receive_buffers[usize::from(slot)] = Some(buffer);
        self.receive.ring.push(slot);
    }

    /// The next frame the device has filled a buffer with.
    fn take_frame(&mut self) -> Option<Frame> {
        while !self.broken {
            let used = match self.receive.ring.pop() {
                Ok(None) => return None,
                Ok(Some(used)) => used,
                Err(_) => break,
            };
            let Some(mut buffer) = self.receive_buffers[usize::from(used.head)].take() else { break };
            self.give_buffer(used.head);
            let len = used.len as usize;
            if !(HEADER_LEN..=buffer_len(self.mtu) - HEADER_AT).contains(&len) {
                continue; // not a frame
            }
            // SAFETY: the capacity is `buffer_len` and len at most that less HEADER_AT. The device says it
            // wrote these bytes; where it did not, they are what the allocation held, which is no secret
            // here, and any byte is a value.
            unsafe { buffer.set_len(HEADER_AT + len) };
            return Frame::from_buffer(buffer);
        }
        self.give_up();
        None
    }

    /// Frees the buffers of frames that were sent.
    fn reclaim(&mut self) {
        while !self.broken {
            match self.transmit.ring.pop() {
                Ok(None) => return,
                Ok(Some(used)) if self.transmit_buffers[usize::from(used.head)].take().is_some() => {
                    self.transmit_free.push(used.head);
                }
                _ => self.give_up(),
            }
        }
    }

    /// Sees to it that whoever waits for room in the transmit queue is woken: now, or by an interrupt.
    fn await_room(&mut self, context: &mut Context<'_>) {
        if !self.transmit_awaited.get() || self.broken {
            return self.transmit.ring.disable_interrupts();
        }
        self.transmit.interrupts.register(context.waker());
        if !self.transmit_free.is_empty() || self.transmit.ring.enable_interrupts() {
            self.transmit_awaited.set(false);
            context.waker().wake_by_ref();
        }
    }

    /// Resets a device that broke the protocol. Its buffers stay where they are.
    fn give_up(&mut self) {
        if !self.broken {
            self.broken = true;
            let _ = transport::reset(&*self.transport);
        }
    }
}

impl Nic for NetworkDevice {
    fn hardware_address(&self) -> [u8; 6] {
        self.address
    }

    fn mtu(&self) -> Mtu {
        self.mtu
    }

    fn link_is_up(&self) -> bool {
        self.link_is_up
    }

    fn can_transmit(&self) -> bool {
        let room = !self.transmit_free.is_empty() || self.transmit.ring.has_used();
        self.transmit_awaited.set(self.transmit_awaited.get() || !room);
        room
    }

    fn transmit(&mut self, frame: Frame) -> Result<(), NicQueueFull> {
        if self.transmit_free.is_empty() {
            self.reclaim();
        }
        let mut buffer = frame.into_buffer();
        if self.broken || buffer.len() > buffer_len(self.mtu) {
            return Ok(()); // lost, as a wire may lose any frame
        }
        let Some(slot) = self.transmit_free.pop() else {
            self.transmit_awaited.set(true);
            return Err(NicQueueFull);
        };
        buffer[HEADER_AT..FRAME_HEADROOM].fill(0);
        let address = self.platform.physical(buffer.as_ptr()) + HEADER_AT as u64;
        self.transmit.ring.describe(slot, address, (buffer.len() - HEADER_AT) as u32, 0, 0);
        self.transmit_buffers[usize::from(slot)] = Some(buffer);
        self.transmit.ring.push(slot);
        Ok(())
    }

    fn kick(&mut self) {
        self.transmit.kick();
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Frame> {
        self.take_interrupts(context.waker());
        self.reclaim();
        if let Some(frame) = self.take_frame() {
            // Fresh buffers are shown in batches, unless the device may be short of them.
            if self.receive.ring.unpublished() >= self.receive.ring.size() / 4 {
                self.receive.kick();
            }
            return Poll::Ready(frame);
        }
        self.receive.kick();
        self.await_room(context);
        if !self.broken && self.receive.ring.enable_interrupts() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for NetworkDevice {
    fn drop(&mut self) {
        // Before rings and buffers are freed; a device that does not stop would write to freed memory.
        if transport::reset(&*self.transport).is_err() {
            core::mem::forget(core::mem::take(&mut self.receive_buffers));
        }
    }
}

#[cfg(test)]
mod tests;
