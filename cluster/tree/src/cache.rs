//! Frames in memory: those that are read again stay.
//!
//! ```text
//!              not read again           read again, or known
//!   new ──► small ──────────────► ghost          main ◄─┐ read since it came round
//!            │ read again           └──────────►  │ ────┘
//!            └───────────────────────────────────►└──────► gone
//! ```
//!
//! Three queues, as in S3-FIFO (Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023): a
//! scan goes through the small queue and leaves the main one alone. The ghosts are names of frames that left the small
//! queue unread.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::{FrameRef, TableId};

/// Which frame: its table, and its place and checksum there.
pub type FrameId = (TableId, FrameRef);

/// Bytes a frame costs beyond its payload: entries of the map and a queue, a reference count.
const OVERHEAD: usize = 96;

/// The small queue's share of the memory is one in so many.
const SMALL_SHARE: usize = 10;

/// A frame counts as read so often at most.
const READS_MAX: u8 = 3;

struct Entry {
    payload: Arc<[u8]>,
    /// How often it was read since it came, or came round.
    reads: u8,
}

/// A cache of frames within a budget of bytes.
pub struct FrameCache {
    len_max: usize,
    entries: HashMap<FrameId, Entry>,
    small: VecDeque<FrameId>,
    small_len: usize,
    main: VecDeque<FrameId>,
    main_len: usize,
    ghosts: HashSet<FrameId>,
    /// In the order they left, and some that have come back since.
    ghost_order: VecDeque<FrameId>,
    counts: CacheCounts,
}

/// What a cache has been good for, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Frames that were wanted and there.
    pub hits: u64,
    /// Frames that were wanted and not there.
    pub misses: u64,
    /// Frames that had to make room.
    pub evictions: u64,
}

impl FrameCache {
    /// An empty cache that takes up to `len_max` bytes.
    pub fn new(len_max: usize) -> FrameCache {
        FrameCache {
            len_max,
            entries: HashMap::new(),
            small: VecDeque::new(),
            small_len: 0,
            main: VecDeque::new(),
            main_len: 0,
            ghosts: HashSet::new(),
            ghost_order: VecDeque::new(),
            counts: CacheCounts::default(),
        }
    }

    /// The payload of a frame, if it is there.
    pub fn get(&mut self, frame: FrameId) -> Option<Arc<[u8]>> {
        let Some(entry) = self.entries.get_mut(&frame) else {
            self.counts.misses += 1;
            return None;
        };
        self.counts.hits += 1;
        entry.reads = (entry.reads + 1).min(READS_MAX);
        Some(entry.payload.clone())
    }

    /// Whether a frame is there.
    pub fn contains(&self, frame: FrameId) -> bool {
        self.entries.contains_key(&frame)
    }

    /// Keeps the payload of a frame that was read, if it is worth it.
    pub fn insert(&mut self, frame: FrameId, payload: Arc<[u8]>) {
        let len = payload.len() + OVERHEAD;
        // One that takes more than the small queue would drive out all else.
        if len > self.len_max / SMALL_SHARE || self.entries.contains_key(&frame) {
            return;
        }
        let is_main = self.ghosts.remove(&frame);
        self.entries.insert(frame, Entry { payload, reads: 0 });
        self.push(frame, len, is_main);
        while self.len_bytes() > self.len_max {
            self.evict();
        }
    }

    /// What it has been good for.
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// How many frames are there.
    pub fn frames(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes it may take.
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    /// How many bytes it takes.
    pub fn len_bytes(&self) -> usize {
        self.small_len + self.main_len
    }

    fn push(&mut self, frame: FrameId, len: usize, is_main: bool) {
        let (queue, queue_len) = match is_main {
            true => (&mut self.main, &mut self.main_len),
            false => (&mut self.small, &mut self.small_len),
        };
        queue.push_back(frame);
        *queue_len += len;
    }

    /// Moves on by one frame of the queue that is too long.
    fn evict(&mut self) {
        let is_small = self.small_len > self.len_max / SMALL_SHARE || self.main.is_empty();
        let (queue, queue_len) = match is_small {
            true => (&mut self.small, &mut self.small_len),
            false => (&mut self.main, &mut self.main_len),
        };
        let Some(frame) = queue.pop_front() else { return };
        let Some(entry) = self.entries.get_mut(&frame) else { return };
        let len = entry.payload.len() + OVERHEAD;
        *queue_len -= len;
        if entry.reads > 0 {
            entry.reads = if is_small { 0 } else { entry.reads - 1 };
            return self.push(frame, len, true);
        }
        self.entries.remove(&frame);
        self.counts.evictions += 1;
        if is_small {
            self.remember(frame);
        }
    }

    /// As many ghosts are remembered as there are frames.
    fn remember(&mut self, ghost: FrameId) {
        if self.ghosts.insert(ghost) {
            self.ghost_order.push_back(ghost);
        }
        while self.ghost_order.len() > self.entries.len() {
            let oldest = self.ghost_order.pop_front();
            oldest.iter().for_each(|ghost| {
                self.ghosts.remove(ghost);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sum;

    fn cache(frames: usize) -> FrameCache {
        FrameCache::new(frames * (1000 + OVERHEAD))
    }

    fn id(table: u64, offset: u32) -> FrameId {
        (TableId(table), FrameRef { offset, sectors: 1, sum: Sum([0; 16]) })
    }

    fn read(cache: &mut FrameCache, frame: u32) -> bool {
        let id = id(1, frame);
        let hit = cache.get(id).is_some();
        if !hit {
            cache.insert(id, [0; 1000].into());
        }
        hit
    }

    #[test]
    fn a_scan_does_not_drive_out_what_is_read_again_and_again() {
        let mut cache = cache(100);
        for _ in 0..3 {
            (0..50).for_each(|frame| _ = read(&mut cache, frame));
        }
        (1000..11_000).for_each(|frame| _ = read(&mut cache, frame));
        let kept = (0..50).filter(|frame| read(&mut cache, *frame)).count();
        assert!(kept >= 45, "{kept} of 50 frames are still there");
        assert!(cache.len_bytes() <= cache.len_max);
        assert!(cache.ghost_order.len() <= cache.entries.len());
    }

    #[test]
    fn what_comes_back_soon_is_kept_and_what_is_read_no_more_goes() {
        let mut cache = cache(100);
        (0..200).for_each(|frame| _ = read(&mut cache, frame));
        assert!(!read(&mut cache, 50), "it has left, and is remembered");
        (300..400).for_each(|frame| _ = read(&mut cache, frame));
        assert!(read(&mut cache, 50));
        for round in 0..30 {
            (1000..1080).for_each(|frame| _ = read(&mut cache, frame + round / 10 * 100));
        }
        assert!(!read(&mut cache, 50), "others are read more");
    }

    #[test]
    fn the_budget_holds_and_what_exceeds_it_is_not_kept() {
        let mut cache = cache(100);
        for frame in 0..1000 {
            cache.insert(id(2, frame), alloc::vec![0; 100 + frame as usize * 7].into());
            assert!(cache.len_bytes() <= cache.len_max);
        }
        cache.insert(id(3, 0), alloc::vec![0; 90_000].into());
        assert!(cache.get(id(3, 0)).is_none());
    }
}
