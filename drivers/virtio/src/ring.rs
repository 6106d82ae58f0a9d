//! The split virtqueue: bookkeeping without hardware, tested on the host against a fake device.
//!
//! ```text
//!   driver: describe, push ... publish --> available ring --> device
//!   driver: pop <------------------------- used ring <------- device
//! ```
//!
//! All three rings are atomics, so the device may change them at any time without harm.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// Another descriptor follows.
pub(crate) const NEXT: u16 = 1;
/// The device writes this buffer.
pub(crate) const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub(crate) const INDIRECT: u16 = 4;

const AVAILABLE_NO_INTERRUPT: u16 = 1;
const USED_NO_NOTIFY: u32 = 1;

/// A descriptor: address; length, flags and the next one's index.
#[derive(Debug, Default)]
#[repr(C, align(16))]
pub(crate) struct Descriptor {
    address: AtomicU64,
    rest: AtomicU64,
}

impl Descriptor {
    /// Describes a buffer.
    pub fn set(&self, address: u64, len: u32, flags: u16, next: u16) {
        self.address.store(address, Ordering::Relaxed);
        let rest = u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48;
        self.rest.store(rest, Ordering::Relaxed);
    }
}

/// A chain the device has finished with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// The index of its first descriptor.
    pub head: u16,
    /// Bytes the device says it wrote.
    pub len: u32,
}

/// The device broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// One virtqueue, seen from the driver.
pub(crate) struct Ring {
    size: u16,
    event_index: bool,
    descriptors: Vec<Descriptor>,
    /// flags, index, heads, used event.
    available: Vec<AtomicU16>,
    /// flags and index, pairs of (head, length), available event.
    used: Vec<AtomicU32>,
    /// The index after the last head pushed.
    pushed: u16,
    /// The index the device was last told.
    published: u16,
    /// The index after the last element popped.
    popped: u16,
}

impl Ring {
    /// A ring of `size` descriptors, a power of two.
    pub fn new(size: u16, event_index: bool) -> Ring {
        assert!(size.is_power_of_two(), "a queue of {size}");
        let entries = usize::from(size);
        Ring {
            size,
            event_index,
            descriptors: (0..entries).map(|_| Descriptor::default()).collect(),
            available: (0..entries + 3).map(|_| AtomicU16::new(0)).collect(),
            used: (0..2 * entries + 2).map(|_| AtomicU32::new(0)).collect(),
            pushed: 0,
            published: 0,
            popped: 0,
        }
    }

    /// Descriptors.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Where the three parts are: descriptors, available ring, used ring.
    pub fn addresses(&self) -> [*const u8; 3] {
        [self.descriptors.as_ptr().cast(), self.available.as_ptr().cast(), self.used.as_ptr().cast()]
    }

    /// Describes a buffer in descriptor `index`.
    pub fn describe(&self, index: u16, address: u64, len: u32, flags: u16, next: u16) {
        self.descriptors[usize::from(index)].set(address, len, flags, next);
    }

    /// Adds the chain that starts at `head`. The caller never has more chains out than descriptors.
    pub fn push(&mut self, head: u16) {
        assert!(head < self.size);
        self.available[2 + usize::from(self.pushed & (self.size - 1))].store(head, Ordering::Relaxed);
        self.pushed = self.pushed.wrapping_add(1);
    }

    /// Chains pushed and not yet published.
    pub fn unpublished(&self) -> u16 {
        self.pushed.wrapping_sub(self.published)
    }

    /// Shows the device what was pushed; whether it must be notified.
    pub fn publish(&mut self) -> bool {
        if self.pushed == self.published {
            return false;
        }
        let before = core::mem::replace(&mut self.published, self.pushed);
        self.available[1].store(self.pushed, Ordering::Release);
        // The device's wish must be read after the index is visible, or a notification is lost.
        fence(Ordering::SeqCst);
        if self.event_index {
            let event = self.used[1 + 2 * usize::from(self.size)].load(Ordering::Relaxed) as u16;
            need_event(event, self.pushed, before)
        } else {
            self.used[0].load(Ordering::Relaxed) & USED_NO_NOTIFY == 0
        }
    }

    /// Whether the device has finished something that was not popped.
    pub fn has_used(&self) -> bool {
        self.used_index() != self.popped
    }

    /// The next chain the device has finished with.
    pub fn pop(&mut self) -> Result<Option<Used>, Broken> {
        let index = self.used_index();
        if index == self.popped {
            return Ok(None);
        }
        let outstanding = self.published.wrapping_sub(self.popped);
        if index.wrapping_sub(self.popped) > outstanding {
            return Err(Broken);
        }
        let at = 1 + 2 * usize::from(self.popped & (self.size - 1));
        let head = self.used[at].load(Ordering::Relaxed);
        let len = self.used[at + 1].load(Ordering::Relaxed);
        self.popped = self.popped.wrapping_add(1);
        let head = u16::try_from(head).ok().filter(|&head| head < self.size).ok_or(Broken)?;
        Ok(Some(Used { head, len }))
    }

    /// Asks for an interrupt when the next chain is finished. If one is already, answers true: there may be
    /// no interrupt for it, so pop again.
    pub fn enable_interrupts(&mut self) -> bool {
        if self.event_index {
            self.set_used_event(self.popped);
        } else {
            self.available[0].store(0, Ordering::Relaxed);
        }
        // The wish must be visible before the index is read, or an interrupt is lost.
        fence(Ordering::SeqCst);
        self.has_used()
    }

    /// Asks for no interrupts (which may still come).
    pub fn disable_interrupts(&mut self) {
        if self.event_index {
            self.set_used_event(self.popped.wrapping_sub(1));
        } else {
            self.available[0].store(AVAILABLE_NO_INTERRUPT, Ordering::Relaxed);
        }
    }

    fn set_used_event(&self, index: u16) {
        self.available[2 + usize::from(self.size)].store(index, Ordering::Relaxed);
    }

    fn used_index(&self) -> u16 {
        (self.used[0].load(Ordering::Acquire) >> 16) as u16
    }
}

/// Whether moving an index from `before` to `now` passes `event` (the specification's rule).
fn need_event(event: u16, now: u16, before: u16) -> bool {
    now.wrapping_sub(event).wrapping_sub(1) < now.wrapping_sub(before)
}

#[cfg(test)]
mod tests;
