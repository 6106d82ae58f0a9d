//! virtio-blk.
//!
//! ```text
//!   submit -> WRITE or READ or FLUSH -> done
//!   submit durable -> WRITE -> (cache is write-back: FLUSH) -> done
//! ```
//!
//! Slot i of the driver has its own header, status byte and descriptors, so nothing is allocated per
//! request: only the data's address changes.

mod request;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

use drivers_api::{
    Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, QueueInfo, SECTOR_SIZE,
};

use self::request::{FlushStep, HeldOperation, InFlight, PARTS, STATUS_NONE, Slot};
use crate::platform::PlatformRef;
use crate::ring::{Descriptor, INDIRECT, NEXT, Used, WRITE};
use crate::transport::{self, InitError, Interrupts, Queue, Transport, has, read_config, read_u64};

const FEATURE_SIZE_MAX: u64 = 1 << 1;
const FEATURE_READ_ONLY: u64 = 1 << 5;
const FEATURE_FLUSH: u64 = 1 << 9;
const FEATURE_CONFIG_WCE: u64 = 1 << 11;

const CONFIG_CAPACITY: usize = 0;
const CONFIG_SIZE_MAX: usize = 8;
const CONFIG_WRITEBACK: usize = 32;

const TYPE_READ: u64 = 0;
const TYPE_WRITE: u64 = 1;
const TYPE_FLUSH: u64 = 4;

const STATUS_OK: u8 = 0;

const QUEUE: u16 = 0;
/// The device's interrupt behind those of its queues.
const CONFIG_INTERRUPT: u16 = QUEUE + 1;
const QUEUE_SIZE_MAX: u16 = 256;
const HEADER_LEN: u32 = 16;
/// The most bytes of one request: as one buffer, physically contiguous.
const TRANSFER_LEN_MAX: usize = 1 << 20;

/// How durability is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// Every write is durable when it completes, so a durable write is one request. Chosen when the device
    /// lets the driver choose.
    WriteThrough,
    /// The device caches; a durable write is a write and then a flush.
    WriteBack,
}

/// A virtio disk.
pub struct BlockDevice {
    platform: PlatformRef,
    transport: Box<dyn Transport>,
    queue: Queue,
    /// Those of a changed configuration, where they do not share the queue's.
    config_interrupts: Option<Interrupts>,
    geometry: DiskGeometry,
    cache: CacheMode,
    indirect: bool,
    slots: Vec<Slot>,
    in_flight: Vec<Option<InFlight>>,
    free: Vec<u16>,
    finished: VecDeque<DiskCompletion>,
    waker: Option<Waker>,
    /// The device broke the protocol and was reset: everything fails from now on.
    broken: bool,
}

impl BlockDevice {
    pub(crate) fn new(
        platform: PlatformRef,
        mut transport: Box<dyn Transport>,
        wanted: CacheMode,
    ) -> Result<BlockDevice, InitError> {
        let supported = transport::common_features()
            | FEATURE_SIZE_MAX
            | FEATURE_READ_ONLY
            | FEATURE_FLUSH
            | FEATURE_CONFIG_WCE;
        let features = transport::negotiate(&*transport, supported)?;
        let queue = Queue::new(platform, &mut *transport, QUEUE, QUEUE_SIZE_MAX, features)?;
        let indirect = has(features, virtio_spec::F::INDIRECT_DESC);
        let depth = if indirect { queue.ring.size() } else { queue.ring.size() / PARTS };
        if depth == 0 {
            return Err(InitError::Incomplete);
        }
        let size_max = read_config(&*transport, |config| match features & FEATURE_SIZE_MAX {
            0 => TRANSFER_LEN_MAX,
            _ => (config.read::<u32>(CONFIG_SIZE_MAX) as usize).min(TRANSFER_LEN_MAX),
        });
        let config_interrupts = Interrupts::of_config(platform, &mut *transport, CONFIG_INTERRUPT);
        let mut geometry = DiskGeometry {
            sectors: 0,
            queue_depth: depth,
            transfer_len_max: size_max / SECTOR_SIZE * SECTOR_SIZE,
        };
        let cache = choose_cache(&*transport, features, wanted);
        let slots: Vec<Slot> = (0..depth).map(|_| Slot::new()).collect();
        let in_flight = (0..depth).map(|_| None).collect();
        let free = (0..depth).rev().collect();
        transport::start(&*transport);
        // Of changes from now on, the device tells.
        geometry.sectors = capacity(&*transport);
        Ok(BlockDevice {
            platform,
            transport,
            queue,
            config_interrupts,
            geometry,
            cache,
            indirect,
            slots,
            in_flight,
            free,
            finished: VecDeque::new(),
            waker: None,
            broken: false,
        })
    }

    /// How durability is reached.
    pub fn cache_mode(&self) -> CacheMode {
        self.cache
    }

    /// The queue, for a listing; its interrupts are counted by whoever lists.
    pub(crate) fn queues(&self) -> Vec<QueueInfo> {
        let (depth, vector) = (self.geometry.queue_depth, self.queue.interrupts.vector);
        alloc::vec![QueueInfo { name: "requests", depth, vector, interrupts: 0 }]
    }

    /// Describes slot `slot`'s request and pushes it.
    fn push(&mut self, slot: u16, kind: u64, sector: u64, data: Option<(u64, u32, u16)>) {
        let shared = &self.slots[usize::from(slot)];
        shared.header[0].store(kind, Ordering::Relaxed);
        shared.header[1].store(sector, Ordering::Relaxed);
        shared.status.store(STATUS_NONE, Ordering::Relaxed);
        let physical = |pointer: *const u8| self.platform.physical(pointer);
        let header = physical(shared.header.as_ptr().cast());
        let status = physical(shared.status.as_ptr());
        let first = if self.indirect { 0 } else { slot * PARTS };
        let describe = |part: u16, address, len, flags| {
            let next = if flags & NEXT != 0 { first + part + 1 } else { 0 };
            if self.indirect {
                shared.table[usize::from(part)].set(address, len, flags, next);
            } else {
                self.queue.ring.describe(first + part, address, len, flags, next);
            }
        };
        describe(0, header, HEADER_LEN, NEXT);
        let mut parts = 1;
        if let Some((address, len, flags)) = data {
            describe(parts, address, len, flags | NEXT);
            parts += 1;
        }
        describe(parts, status, 1, WRITE);
        let head = if self.indirect {
            let table = physical(shared.table.as_ptr().cast());
            let len = u32::from(parts + 1) * size_of::<Descriptor>() as u32;
            self.queue.ring.describe(slot, table, len, INDIRECT, 0);
            slot
        } else {
            first
        };
        self.queue.ring.push(head);
    }

    fn data(&self, buffer: *mut [u8], flags: u16) -> Option<(u64, u32, u16)> {
        Some((self.platform.physical(buffer.cast::<u8>()), buffer.len() as u32, flags))
    }

    /// Whether the request lies within the disk.
    fn fits(&self, operation: &DiskOperation) -> bool {
        let (sector, len) = match operation {
            DiskOperation::Read { sector, buffer } => (*sector, buffer.len()),
            DiskOperation::Write { sector, buffer, .. } => (*sector, buffer.len()),
            DiskOperation::Flush => return true,
        };
        let whole = len > 0 && len.is_multiple_of(SECTOR_SIZE) && len <= self.geometry.transfer_len_max;
        let end = sector.checked_add((len / SECTOR_SIZE) as u64);
        whole && end.is_some_and(|end| end <= self.geometry.sectors)
    }

    /// Finishes a request that never reaches the device.
    fn refuse(&mut self, request: DiskRequest, error: DiskError) {
        let DiskRequest { id, operation } = request;
        self.finished.push_back(DiskCompletion { id, operation, result: Err(error) });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Has `waker` woken by the device, and looks how large the disk is if the device has told that it changed.
    fn take_interrupts(&mut self, waker: &Waker) {
        let has_changed = self.queue.take_interrupts(&*self.transport, &mut self.config_interrupts, waker);
        if has_changed && !self.broken {
            self.geometry.sectors = capacity(&*self.transport);
        }
    }

    /// Collects what the device has finished.
    fn collect(&mut self) {
        while !self.broken {
            match self.queue.ring.pop() {
                Ok(None) => break,
                Ok(Some(used)) if self.complete(used) => {}
                _ => self.give_up(),
            }
        }
        self.queue.kick(); // flushes that follow writes
    }

    /// One finished chain; false if there is no such request.
    fn complete(&mut self, used: Used) -> bool {
        let slot = if self.indirect {
            used.head
        } else if used.head.is_multiple_of(PARTS) {
            used.head / PARTS
        } else {
            return false;
        };
        let Some(entry) = self.in_flight.get_mut(usize::from(slot)) else { return false };
        let Some(request) = entry else { return false };
        let ok = self.slots[usize::from(slot)].status.load(Ordering::Relaxed) == STATUS_OK;
        if ok && request.flush == FlushStep::Owed {
            request.flush = FlushStep::UnderWay;
            self.push(slot, TYPE_FLUSH, 0, None);
            return true;
        }
        let Some(InFlight { id, operation, .. }) = entry.take() else { return false };
        self.free.push(slot);
        // SAFETY: the device has returned the chain the buffer was in.
        let operation = unsafe { operation.release() };
        let result = if ok { Ok(()) } else { Err(DiskError::Device) };
        self.finished.push_back(DiskCompletion { id, operation, result });
        true
    }

    /// Resets a device that broke the protocol and fails what it held.
    fn give_up(&mut self) {
        self.broken = true;
        let stopped = transport::reset(&*self.transport).is_ok();
        for entry in &mut self.in_flight {
            let Some(InFlight { id, operation, .. }) = entry.take() else { continue };
            let operation = if stopped {
                // SAFETY: a device that has been reset touches no memory.
                unsafe { operation.release() }
            } else {
                // It may still write: its buffers are lost for ever.
                DiskOperation::Flush
            };
            self.finished.push_back(DiskCompletion { id, operation, result: Err(DiskError::Device) });
        }
    }
}

/// How many sectors the disk has now.
fn capacity(transport: &dyn Transport) -> u64 {
    read_config(transport, |config| read_u64(config, CONFIG_CAPACITY))
}

/// Settles how durability is reached. Without the flush feature the device has no cache.
fn choose_cache(transport: &dyn Transport, features: u64, wanted: CacheMode) -> CacheMode {
    if features & FEATURE_CONFIG_WCE != 0 {
        let config = transport.config();
        config.write(CONFIG_WRITEBACK, u8::from(wanted == CacheMode::WriteBack));
        return match config.read::<u8>(CONFIG_WRITEBACK) {
            0 => CacheMode::WriteThrough,
            _ => CacheMode::WriteBack,
        };
    }
    if features & FEATURE_FLUSH != 0 { CacheMode::WriteBack } else { CacheMode::WriteThrough }
}

impl Disk for BlockDevice {
    fn geometry(&self) -> DiskGeometry {
        self.geometry
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if self.broken {
            self.refuse(request, DiskError::Device);
            return Ok(());
        }
        if !self.fits(&request.operation) {
            self.refuse(request, DiskError::OutOfRange);
            return Ok(());
        }
        let Some(slot) = self.free.pop() else { return Err(request) };
        let operation = HeldOperation::hold(request.operation);
        let flush = match operation {
            HeldOperation::Write { durable: true, .. } if self.cache == CacheMode::WriteBack => {
                FlushStep::Owed
            }
            _ => FlushStep::None,
        };
        match operation {
            HeldOperation::Read { sector, buffer } => {
                self.push(slot, TYPE_READ, sector, self.data(buffer, WRITE));
            }
            HeldOperation::Write { sector, buffer, .. } => {
                self.push(slot, TYPE_WRITE, sector, self.data(buffer, 0));
            }
            HeldOperation::Flush => self.push(slot, TYPE_FLUSH, 0, None),
        }
        self.in_flight[usize::from(slot)] = Some(InFlight { id: request.id, operation, flush });
        Ok(())
    }

    fn kick(&mut self) {
        self.queue.kick();
    }

    fn poll_completion(&mut self, context: &mut Context<'_>) -> Poll<DiskCompletion> {
        if self.finished.is_empty() {
            self.take_interrupts(context.waker());
            loop {
                self.collect();
                // A completion that slipped in before interrupts were asked for raises none.
                if self.broken || !self.finished.is_empty() || !self.queue.ring.enable_interrupts() {
                    break;
                }
            }
        }
        match self.finished.pop_front() {
            Some(completion) => Poll::Ready(completion),
            None => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for BlockDevice {
    fn drop(&mut self) {
        // Before the rings are freed. The buffers still out are lost, not reused.
        let _ = transport::reset(&*self.transport);
    }
}

#[cfg(test)]
mod tests;
