//! The heap: all RAM the kernel does not occupy itself. A page frame is a page-aligned allocation.

use alloc::alloc::{Layout, alloc};
use core::sync::atomic::{AtomicUsize, Ordering};

use talc::TalcLock;
use talc::source::Manual;

use super::{PAGE_SIZE, physical};

#[global_allocator]
static HEAP: TalcLock<spin::Mutex<()>, Manual> = TalcLock::new(Manual);

static CLAIMED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// How the heap stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapStatistics {
    /// Bytes of RAM it was given.
    pub total_bytes: usize,
    /// Bytes in use, by what was asked for.
    pub used_bytes: usize,
    /// Allocations in use.
    pub allocations: usize,
}

/// Counts the heap.
pub fn statistics() -> HeapStatistics {
    count(HEAP.lock().counters())
}

/// Counts the heap, unless it is in use this moment: for a dying kernel, which must not wait.
pub(crate) fn try_statistics() -> Option<HeapStatistics> {
    HEAP.try_lock().map(|heap| count(heap.counters()))
}

fn count(counters: &talc::base::Counters) -> HeapStatistics {
    HeapStatistics {
        total_bytes: CLAIMED_BYTES.load(Ordering::Relaxed),
        used_bytes: counters.allocated_bytes,
        allocations: counters.allocation_count,
    }
}

/// Gives `size` bytes from `base` to the heap.
///
/// # Safety
///
/// They must be mapped read-write and used by nobody, for ever.
pub(super) unsafe fn claim(base: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    if unsafe { HEAP.lock().claim(base, size) }.is_some() {
        CLAIMED_BYTES.fetch_add(size, Ordering::Relaxed);
    }
}

/// The physical address of a new frame for a page table.
pub(super) fn page_table_frame() -> u64 {
    let layout = Layout::from_size_align(PAGE_SIZE as usize, PAGE_SIZE as usize).expect("a page");
    // SAFETY: the layout is not empty.
    let frame = unsafe { alloc(layout) };
    if frame.is_null() {
        alloc::alloc::handle_alloc_error(layout);
    }
    physical(frame)
}
