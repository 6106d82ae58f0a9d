//! The heap: all RAM the kernel does not occupy itself.
//!
//! ```text
//!   up to 4 KiB      a part of some page frames, which one of several pools manages, by length. What a pool took at once it
//!                    gives back once that is wholly free, but for the first
//!   below 64 KiB     page frames of its own, the lowest
//!   beyond           page frames of its own, the highest
//!   whole pages      page frames of their own, too, however few
//! ```
//!
//! With one pool for all there is, after some minutes, no mebibyte in one piece in a heap that is half empty: what is
//! small and stays lies everywhere, and keeps the frames around it.

use alloc::alloc::{GlobalAlloc, Layout, alloc};
use core::{ptr, slice};

use kernel_core::RegionSet;
use kernel_core::frames::{Frames, words_of};
use spin::Mutex;
use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::{DIRECT_MAP, PAGE_SIZE, physical};

const FRAME_LEN: usize = PAGE_SIZE as usize;
/// The longest allocations of each pool, and how many frames it takes at a time: few, as one allocation that stays
/// keeps all of them. What is longer has frames of its own.
const POOLS: [(usize, usize); 4] = [(64, 4), (256, 4), (1 << 10, 4), (4 << 10, 16)];
/// From here on frames of one's own are the highest.
const LONG_LEN: usize = 64 << 10;

type Pool = TalcLock<spin::Mutex<()>, Lowest>;

#[global_allocator]
static HEAP: Heap = Heap { pools: pools(), ram: Mutex::new(None) };

const fn pools() -> [Pool; POOLS.len()] {
    let [tiny, small, medium, large] = POOLS;
    [new_pool(tiny), new_pool(small), new_pool(medium), new_pool(large)]
}

const fn new_pool((_, step): (usize, usize)) -> Pool {
    TalcLock::new(Lowest { step })
}

struct Heap {
    /// Each is locked before `ram`, if both are.
    pools: [Pool; POOLS.len()],
    ram: Mutex<Option<Ram>>,
}

/// The frames of the heap.
struct Ram {
    frames: Frames<'static>,
    /// The page frame number of the lowest.
    base: usize,
    /// Bytes that the heap was given.
    len: usize,
    /// Bytes asked for, of those allocations that have frames of their own.
    used: usize,
    count: usize,
}

/// How the heap stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapStatistics {
    /// Bytes of RAM it was given.
    pub total_bytes: usize,
    /// Bytes in use, by what was asked for.
    pub used_bytes: usize,
    /// Allocations in use.
    pub allocations: usize,
    /// Bytes that pools for what is small have, in use or not.
    pub pooled_bytes: usize,
    /// Bytes in page frames that nobody has.
    pub free_bytes: usize,
    /// Bytes in the longest run of them: the longest allocation that is possible now.
    pub longest_free_bytes: usize,
}

/// Counts the heap.
pub fn statistics() -> HeapStatistics {
    let mut counted = HEAP.ram.lock().as_ref().map_or(HeapStatistics::default(), Ram::statistics);
    HEAP.pools.iter().for_each(|pool| counted.add(pool.lock().counters()));
    counted
}

/// Counts the heap, unless it is in use this moment: for a dying kernel, which must not wait.
pub(crate) fn try_statistics() -> Option<HeapStatistics> {
    let mut counted = HEAP.ram.try_lock()?.as_ref().map_or(HeapStatistics::default(), Ram::statistics);
    for pool in &HEAP.pools {
        counted.add(pool.try_lock()?.counters());
    }
    Some(counted)
}

impl HeapStatistics {
    fn add(&mut self, pool: &talc::base::Counters) {
        self.used_bytes += pool.allocated_bytes;
        self.allocations += pool.allocation_count;
        self.pooled_bytes += pool.claimed_bytes;
    }
}

/// Gives `free`, made of whole pages, to the heap. Call it once, before the first allocation.
///
/// # Safety
///
/// It must be mapped read-write in the direct map, and used by nobody, for ever.
pub(super) unsafe fn init<const N: usize>(mut free: RegionSet<N>) {
    let regions = free.as_slice();
    let (Some(first), Some(last)) = (regions.first(), regions.last()) else {
        panic!("no RAM is left for the heap");
    };
    let (base, end) = (first.start / PAGE_SIZE, last.end / PAGE_SIZE);
    let words = words_of((end - base) as usize);
    let bitmap_len = (words * size_of::<u64>()).next_multiple_of(FRAME_LEN) as u64;
    let bitmap = free.take(bitmap_len, PAGE_SIZE, u64::MAX).expect("no RAM for the map of page frames");
    let bitmap = (DIRECT_MAP + bitmap) as *mut u64;
    // SAFETY: the caller's promise; the bitmap was taken out of what the heap gets.
    let bitmap = unsafe {
        ptr::write_bytes(bitmap, 0, words);
        slice::from_raw_parts_mut(bitmap, words)
    };
    let mut frames = Frames::new((end - base) as usize, bitmap);
    for region in free.as_slice() {
        frames.give((region.start / PAGE_SIZE - base) as usize..(region.end / PAGE_SIZE - base) as usize);
    }
    let ram = Ram { frames, base: base as usize, len: free.total() as usize, used: 0, count: 0 };
    *HEAP.ram.lock() = Some(ram);
}

fn frames_of(len: usize) -> usize {
    len.div_ceil(FRAME_LEN)
}

impl Ram {
    fn address(&self, frame: usize) -> *mut u8 {
        (DIRECT_MAP as usize + (self.base + frame) * FRAME_LEN) as *mut u8
    }

    fn frame_of(&self, pointer: *const u8) -> usize {
        (pointer as usize - DIRECT_MAP as usize) / FRAME_LEN - self.base
    }

    fn statistics(&self) -> HeapStatistics {
        HeapStatistics {
            total_bytes: self.len,
            used_bytes: self.used,
            allocations: self.count,
            pooled_bytes: 0,
            free_bytes: self.frames.free() * FRAME_LEN,
            longest_free_bytes: self.frames.longest_free() * FRAME_LEN,
        }
    }

    fn allocate(&mut self, layout: Layout) -> Option<*mut u8> {
        let count = frames_of(layout.size());
        let start = if !is_long(layout.size()) && layout.align() <= FRAME_LEN {
            self.frames.take_low(count)?
        } else {
            self.frames.take_high(count, frames_of(layout.align()), self.base)?
        };
        self.used += layout.size();
        self.count += 1;
        Some(self.address(start))
    }

    fn deallocate(&mut self, pointer: *mut u8, len: usize) {
        let start = self.frame_of(pointer);
        self.frames.give(start..start + frames_of(len));
        self.used -= len;
        self.count -= 1;
    }

    /// Makes an allocation longer or shorter where it is, if there is room.
    fn resize(&mut self, pointer: *mut u8, old: usize, new: usize) -> bool {
        let done = self.frames.resize(self.frame_of(pointer), frames_of(old), frames_of(new));
        if done {
            self.used = self.used - old + new;
        }
        done
    }
}

impl Heap {
    fn with_ram<T>(&self, body: impl FnOnce(&mut Ram) -> T) -> Option<T> {
        self.ram.lock().as_mut().map(body)
    }
}

/// The pool for such allocations; none if they have frames of their own, as those do that begin at one.
fn pool_of(layout: Layout) -> Option<usize> {
    let begins_anywhere = layout.align() < FRAME_LEN;
    POOLS.iter().position(|(longest, _)| begins_anywhere && layout.size() <= *longest)
}

/// Whether frames of one's own are the highest.
fn is_long(len: usize) -> bool {
    len >= LONG_LEN
}

// SAFETY: frames belong to one allocation, or to one pool, which is sound; by the length one sees to whom.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match pool_of(layout) {
            // SAFETY: the caller's promise.
            Some(pool) => unsafe { self.pools[pool].alloc(layout) },
            None => self.with_ram(|ram| ram.allocate(layout)).flatten().unwrap_or(ptr::null_mut()),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match pool_of(layout) {
            // SAFETY: the caller's promise.
            Some(pool) => unsafe { self.pools[pool].dealloc(pointer, layout) },
            None => drop(self.with_ram(|ram| ram.deallocate(pointer, layout.size()))),
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_len, layout.align()) };
        let stays = || self.with_ram(|ram| ram.resize(pointer, layout.size(), new_len)) == Some(true);
        let has_frames = match (pool_of(layout), pool_of(new_layout)) {
            (Some(old), Some(new)) if old == new => {
                // SAFETY: the caller's promise.
                return unsafe { self.pools[old].realloc(pointer, layout, new_len) };
            }
            (None, None) => true,
            _ => false,
        };
        // What becomes long, or no longer is, goes to where its like is, if it can.
        if has_frames && is_long(layout.size()) == is_long(new_len) && stays() {
            return pointer;
        }
        // SAFETY: the caller's promise; the two do not overlap.
        unsafe {
            let moved = self.alloc(new_layout);
            if moved.is_null() && has_frames && stays() {
                return pointer;
            }
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, layout.size().min(new_len));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

/// Where pools get frames from, and give them back to: the lowest that there are.
#[derive(Debug)]
struct Lowest {
    /// How many at a time.
    step: usize,
}

// SAFETY: takes frames from their map, never from an allocator, and gives back what `acquire` took.
unsafe impl Source for Lowest {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // What a heap needs beside the allocation itself: its ends, and the first one the lists of gaps.
        let beside = layout.align() + talc::min_first_heap_layout::<B>().size();
        let least = frames_of(layout.size().checked_add(beside).ok_or(())?);
        let step = talc.source.step;
        let taken = HEAP.with_ram(|ram| {
            let mut counts = [step.max(least), least].into_iter();
            let (start, count) = counts.find_map(|count| Some((ram.frames.take_low(count)?, count)))?;
            Some((ram.address(start), count * FRAME_LEN))
        });
        let (start, len) = taken.flatten().ok_or(())?;
        // SAFETY: the frames are free RAM, mapped, and were taken for this.
        unsafe { talc.claim(start, len) }.map(drop).ok_or(())
    }

    const TRACK_HEAP_END: bool = true;

    unsafe fn resize(&mut self, chunk_base: *mut u8, heap_end: *mut u8, is_heap_base: bool) -> *mut u8 {
        if !is_heap_base {
            return heap_end;
        }
        // The heap began at a frame, not further below `chunk_base` than Talc's unit.
        let start = (chunk_base as usize - 1) / FRAME_LEN * FRAME_LEN;
        HEAP.with_ram(|ram| {
            let run = ram.frame_of(start as *const u8)..ram.frame_of(heap_end);
            ram.frames.give(run);
        });
        chunk_base
    }
}

/// The physical address of a new frame for a page table.
pub(super) fn page_table_frame() -> u64 {
    let layout = Layout::from_size_align(FRAME_LEN, FRAME_LEN).expect("a page");
    // SAFETY: the layout is not empty.
    let frame = unsafe { alloc(layout) };
    if frame.is_null() {
        alloc::alloc::handle_alloc_error(layout);
    }
    physical(frame)
}
