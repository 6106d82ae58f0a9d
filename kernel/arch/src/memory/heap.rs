//! The heap: all RAM the kernel does not occupy itself.
//!
//! Allocations of [`LONG_LEN`] bytes and more are page frames of their own, from the top of RAM down. Short ones
//! share frames that [`Talc`] takes from the bottom up. A short one that stays would otherwise lie in the way
//! of long ones for ever: after hours of both, there is no mebibyte in one piece in a heap that is half empty.
//! Only if no run of frames is left is a long one looked for between the short ones.

use alloc::alloc::{GlobalAlloc, Layout, alloc};
use core::ptr::{self, NonNull};
use core::slice;

use kernel_core::frames::{Frames, words_of};
use kernel_core::{Region, RegionSet};
use spin::Mutex;
use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::{DIRECT_MAP, PAGE_SIZE, physical};

/// From here on an allocation has frames of its own: at most an eighth of it is lost to rounding.
const LONG_LEN: usize = 32 << 10;
/// Frames the short ones take at a time.
const STEP: usize = 64;
const FRAME_LEN: usize = PAGE_SIZE as usize;

#[global_allocator]
static HEAP: Heap = Heap { short: TalcLock::new(Lowest { end: None }), frames: Mutex::new(None) };

struct Heap {
    /// Locked before `frames`, if both are.
    short: TalcLock<spin::Mutex<()>, Lowest>,
    frames: Mutex<Option<Ram>>,
}

/// The frames of the heap.
struct Ram {
    frames: Frames<'static>,
    /// The page frame number of the lowest.
    base: usize,
    /// Bytes that the heap was given.
    len: usize,
    /// What was asked for, of those allocations that have frames of their own.
    long_len: usize,
    long_count: usize,
}

/// How the heap stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapStatistics {
    /// Bytes of RAM it was given.
    pub total_bytes: usize,
    /// Bytes in use, by what was asked for.
    pub used_bytes: usize,
    /// Allocations in use.
    pub allocations: usize,
    /// Bytes in the longest run of free frames: what can be had in one piece for sure.
    pub longest_free_bytes: usize,
}

/// Counts the heap.
pub fn statistics() -> HeapStatistics {
    let short = HEAP.short.lock();
    count(short.counters(), HEAP.frames.lock().as_ref())
}

/// Counts the heap, unless it is in use this moment: for a dying kernel, which must not wait.
pub(crate) fn try_statistics() -> Option<HeapStatistics> {
    let short = HEAP.short.try_lock()?;
    let ram = HEAP.frames.try_lock()?;
    Some(count(short.counters(), ram.as_ref()))
}

fn count(short: &talc::base::Counters, ram: Option<&Ram>) -> HeapStatistics {
    let (total_bytes, long_len, long_count, longest) =
        ram.map_or((0, 0, 0, 0), |ram| (ram.len, ram.long_len, ram.long_count, ram.frames.longest_free()));
    HeapStatistics {
        total_bytes,
        used_bytes: short.allocated_bytes + long_len,
        allocations: short.allocation_count + long_count,
        longest_free_bytes: longest * FRAME_LEN,
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
    let count = (end - base) as usize;
    let words = words_of(count);
    let maps_len = (2 * words * size_of::<u64>()) as u64;
    let maps_len = Region::sized(0, maps_len).grow_to(PAGE_SIZE).len();
    let maps = free.take(maps_len, PAGE_SIZE, u64::MAX).expect("no RAM for the map of page frames");
    let maps = (DIRECT_MAP + maps) as *mut u64;
    // SAFETY: the caller's promise; the maps were taken out of what the heap gets, and are two.
    let (taken, low) = unsafe {
        ptr::write_bytes(maps, 0, 2 * words);
        (slice::from_raw_parts_mut(maps, words), slice::from_raw_parts_mut(maps.add(words), words))
    };
    let mut frames = Frames::new(count, taken, low);
    for region in free.as_slice() {
        frames.give((region.start / PAGE_SIZE - base) as usize..(region.end / PAGE_SIZE - base) as usize);
    }
    let ram = Ram { frames, base: base as usize, len: free.total() as usize, long_len: 0, long_count: 0 };
    *HEAP.frames.lock() = Some(ram);
}

impl Ram {
    fn address(&self, frame: usize) -> *mut u8 {
        (DIRECT_MAP as usize + (self.base + frame) * FRAME_LEN) as *mut u8
    }

    /// The frame that holds `pointer`.
    fn frame_of(&self, pointer: *const u8) -> usize {
        (pointer as usize - DIRECT_MAP as usize) / FRAME_LEN - self.base
    }

    fn take_long(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let align = layout.align().div_ceil(FRAME_LEN);
        let start = self.frames.take_high(frames_of(layout.size()), align, self.base)?;
        self.long_len += layout.size();
        self.long_count += 1;
        NonNull::new(self.address(start))
    }

    fn give_long(&mut self, pointer: *mut u8, len: usize) {
        let start = self.frame_of(pointer);
        self.frames.give(start..start + frames_of(len));
        self.long_len -= len;
        self.long_count -= 1;
    }

    fn resize_long(&mut self, pointer: *mut u8, old: usize, new: usize) -> bool {
        let done = self.frames.resize(self.frame_of(pointer), frames_of(old), frames_of(new));
        if done {
            self.long_len = self.long_len - old + new;
        }
        done
    }
}

fn frames_of(len: usize) -> usize {
    len.div_ceil(FRAME_LEN)
}

impl Heap {
    fn with_ram<T>(&self, body: impl FnOnce(&mut Ram) -> T) -> Option<T> {
        self.frames.lock().as_mut().map(body)
    }

    /// Whether the allocation has frames of its own.
    fn is_long(&self, pointer: *const u8, len: usize) -> bool {
        len >= LONG_LEN && self.with_ram(|ram| !ram.frames.is_low(ram.frame_of(pointer))) == Some(true)
    }

    /// Gives back the frames behind the last short allocation.
    fn trim(&self) {
        let mut short = self.short.lock();
        let Some(end) = short.source.end else { return };
        // SAFETY: `end` is where the last heap ends, as claimed, extended or truncated.
        let reserved = unsafe { short.reserved(end) };
        // One frame is kept: a heap that is empty would be deleted.
        let keep = (reserved.up_to.as_ptr() as usize).next_multiple_of(FRAME_LEN) + FRAME_LEN;
        if keep >= end.as_ptr() as usize {
            return;
        }
        // SAFETY: as above; what lies behind `keep` is free.
        let Some(kept) = (unsafe { short.truncate(end, keep as *mut u8) }) else { return };
        short.source.end = Some(kept);
        self.with_ram(|ram| {
            let run = ram.frame_of(keep as *const u8)..ram.frame_of(end.as_ptr());
            ram.frames.give(run);
        });
    }

    /// Copies an allocation to a place of the other kind, or where there is room.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::realloc`].
    unsafe fn move_to(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_len, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, layout.size().min(new_len));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

// SAFETY: frames belong to one allocation, or to Talc, which is one.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LONG_LEN {
            let take = || self.with_ram(|ram| ram.take_long(layout)).flatten();
            let long = take().or_else(|| {
                self.trim();
                take()
            });
            if let Some(long) = long {
                return long.as_ptr();
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.short.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.is_long(pointer, layout.size()) {
            self.with_ram(|ram| ram.give_long(pointer, layout.size()));
            return;
        }
        // SAFETY: the caller's promise; it is none of the long ones.
        unsafe { self.short.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        let in_place = match (self.is_long(pointer, layout.size()), new_len >= LONG_LEN) {
            // SAFETY: the caller's promise.
            (false, false) => return unsafe { self.short.realloc(pointer, layout, new_len) },
            (true, true) => {
                self.with_ram(|ram| ram.resize_long(pointer, layout.size(), new_len)) == Some(true)
            }
            _ => false,
        };
        if in_place {
            return pointer;
        }
        // SAFETY: the caller's promise.
        unsafe { self.move_to(pointer, layout, new_len) }
    }
}

/// Where the short allocations get frames from: the lowest.
#[derive(Debug)]
struct Lowest {
    /// Where the frames end that were taken last.
    end: Option<NonNull<u8>>,
}

// SAFETY: `end` is an address in RAM, which is every core's.
unsafe impl Send for Lowest {}

// SAFETY: takes frames from their map, never from an allocator.
unsafe impl Source for Lowest {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // What a heap needs beside the allocation itself: its ends, and the first one the lists of gaps.
        let beside = layout.align() + talc::min_first_heap_layout::<B>().size();
        let least = frames_of(layout.size().checked_add(beside).ok_or(())?);
        let taken = HEAP.with_ram(|ram| {
            let steps = [STEP.max(least), least];
            let (start, count) =
                steps.into_iter().find_map(|count| Some((ram.frames.take_low(count)?, count)))?;
            Some((ram.address(start), count * FRAME_LEN))
        });
        let (start, len) = taken.flatten().ok_or(())?;
        // SAFETY: the frames are free RAM, mapped, and were taken for this.
        let end = unsafe {
            match talc.source.end {
                Some(end) if end.as_ptr() == start => Some(talc.extend(end, start.add(len))),
                _ => talc.claim(start, len),
            }
        };
        talc.source.end = end.or(talc.source.end);
        end.map(drop).ok_or(())
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
