//! The allocator of the standard library, but that a run whose memory is used up says so: by itself, it would end at an
//! instruction that cannot be reached.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::imports;

struct Memory;

#[global_allocator]
static MEMORY: Memory = Memory;

/// What was given, if it is memory.
fn checked(given: *mut u8) -> *mut u8 {
    if given.is_null() {
        imports::fail("the memory is used up");
    }
    given
}

// SAFETY: all of it is the system's allocator, which fulfils the contract. Not to return is allowed.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract, as it does in all functions below.
        checked(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.realloc(old, layout, len) })
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}
