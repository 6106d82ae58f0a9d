//! Which page frames are taken. Runs of them are taken from both ends: short ones from the bottom, long ones
//! from the top, so that the former do not leave the latter in pieces. First fit by
//! address from either end, over bitmaps (Wilson and others, *Dynamic Storage Allocation*, 1995, section 3).

use core::ops::Range;

const BITS: usize = u64::BITS as usize;

/// The words of a bitmap of `frames` frames.
pub const fn words_of(frames: usize) -> usize {
    frames.div_ceil(BITS)
}

/// A number for each frame: its place in the map, from 0. Runs are ranges of them.
pub struct Frames<'a> {
    /// A bit for each frame, set where it is taken.
    taken: &'a mut [u64],
    len: usize,
    free: usize,
    /// No frame below is free.
    bottom: usize,
    /// No frame from here on is free.
    top: usize,
}

impl<'a> Frames<'a> {
    /// `len` frames, all of them taken; `bitmap` has [`words_of`]`(len)` words.
    ///
    /// Panics if it has fewer.
    pub fn new(len: usize, bitmap: &'a mut [u64]) -> Self {
        assert!(bitmap.len() >= words_of(len), "a bitmap for {len} frames");
        bitmap.fill(u64::MAX);
        Frames { taken: bitmap, len, free: 0, bottom: len, top: 0 }
    }

    /// Frames that are free.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Takes the lowest `count` frames that lie next to each other.
    pub fn take_low(&mut self, count: usize) -> Option<usize> {
        self.bottom = self.next(self.bottom, false)?;
        let mut start = self.bottom;
        loop {
            let end = self.next(start, true).unwrap_or(self.len);
            if end - start >= count {
                self.mark(start..start + count, true);
                return Some(start);
            }
            start = self.next(end, false)?;
        }
    }

    /// Takes the highest `count` frames that lie next to each other, the first of them at a multiple of `align`
    /// if frame 0 is at `base`.
    pub fn take_high(&mut self, count: usize, align: usize, base: usize) -> Option<usize> {
        self.top = self.previous(self.top, false)? + 1;
        let mut end = self.top;
        loop {
            let start = self.previous(end, true).map_or(0, |taken| taken + 1);
            let at = end.checked_sub(count).and_then(|at| at.checked_sub((at + base) % align));
            if let Some(at) = at.filter(|at| *at >= start) {
                self.mark(at..at + count, true);
                return Some(at);
            }
            end = self.previous(start, false)? + 1;
        }
    }

    /// Makes the run that begins at `start` `new` frames long instead of `old`, where it is. False, and nothing has
    /// changed, if the frames behind it are not free.
    pub fn resize(&mut self, start: usize, old: usize, new: usize) -> bool {
        if new <= old {
            self.give(start + new..start + old);
            return true;
        }
        let more = start + old..start + new;
        if more.end > self.len || self.next(more.start, true).is_some_and(|taken| taken < more.end) {
            return false;
        }
        self.mark(more, true);
        true
    }

    /// Gives frames back, or at first.
    pub fn give(&mut self, run: Range<usize>) {
        debug_assert!(run.clone().all(|frame| bit(self.taken, frame)), "{run:?} is not taken");
        self.mark(run, false);
    }

    /// The longest run that is free: goes through all of them.
    pub fn longest_free(&self) -> usize {
        let (mut from, mut longest) = (self.bottom, 0);
        while let Some(start) = self.next(from, false) {
            from = self.next(start, true).unwrap_or(self.len);
            longest = longest.max(from - start);
        }
        longest
    }

    fn mark(&mut self, run: Range<usize>, taken: bool) {
        if run.is_empty() {
            return;
        }
        set(self.taken, run.clone(), taken);
        if !taken {
            self.free += run.len();
            self.bottom = self.bottom.min(run.start);
            self.top = self.top.max(run.end);
            return;
        }
        self.free -= run.len();
        if run.start == self.bottom {
            self.bottom = run.end;
        }
        if run.end == self.top {
            self.top = run.start;
        }
    }

    /// The first frame from `from` on that is `taken`, or is not.
    fn next(&self, from: usize, taken: bool) -> Option<usize> {
        let mut mask = u64::MAX << (from % BITS);
        for (index, word) in self.taken[..words_of(self.len)].iter().enumerate().skip(from / BITS) {
            let found = if taken { *word } else { !*word } & mask;
            if found != 0 {
                let frame = index * BITS + found.trailing_zeros() as usize;
                return (frame < self.len).then_some(frame);
            }
            mask = u64::MAX;
        }
        None
    }

    /// The last frame before `before` that is `taken`, or is not.
    fn previous(&self, before: usize, taken: bool) -> Option<usize> {
        let last = before.checked_sub(1)?;
        let mut mask = u64::MAX >> (BITS - 1 - last % BITS);
        for index in (0..=last / BITS).rev() {
            let word = self.taken[index];
            let found = if taken { word } else { !word } & mask;
            if found != 0 {
                return Some(index * BITS + (BITS - 1) - found.leading_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }
}

fn bit(map: &[u64], frame: usize) -> bool {
    map[frame / BITS] >> (frame % BITS) & 1 == 1
}

fn set(map: &mut [u64], run: Range<usize>, value: bool) {
    let mut frame = run.start;
    while frame < run.end {
        let end = run.end.min((frame / BITS + 1) * BITS);
        let mask = u64::MAX >> (BITS - (end - frame)) << (frame % BITS);
        let word = &mut map[frame / BITS];
        *word = if value { *word | mask } else { *word & !mask };
        frame = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn short_and_long_runs_come_from_their_ends() {
        let mut bitmap = [0; 3];
        let mut frames = Frames::new(180, &mut bitmap);
        assert_eq!((frames.take_low(1), frames.take_high(1, 1, 0)), (None, None));
        frames.give(10..180);
        assert_eq!(frames.take_low(4), Some(10));
        assert_eq!(frames.take_high(100, 1, 0), Some(80));
        assert_eq!(frames.take_high(66, 1, 0), Some(14));
        assert_eq!((frames.free(), frames.take_low(1)), (0, None));
        frames.give(80..180);
        assert!(frames.resize(14, 66, 70) && !frames.resize(14, 70, 167));
        assert_eq!((frames.free(), frames.longest_free()), (96, 96));
        assert!(frames.resize(14, 70, 1));
        assert_eq!((frames.free(), frames.longest_free()), (165, 165));
    }

    #[test]
    fn a_run_is_aligned_to_addresses() {
        let mut bitmap = [0];
        let mut frames = Frames::new(64, &mut bitmap);
        frames.give(0..64);
        // Frame 59 is at 64 then, the last multiple of 8 with room for three.
        assert_eq!(frames.take_high(3, 8, 5), Some(59));
        assert_eq!(frames.take_high(60, 8, 5), None);
    }

    proptest! {
        /// Runs are free, in order, next to each other, the lowest or the highest that fit, and are found wherever
        /// there is one.
        #[test]
        fn behaves_as_a_map(
            len in 1usize..300,
            hole in (0usize..300, 0usize..80),
            steps in prop::collection::vec((0u8..4, 1usize..90, 0usize..6), 0..60),
        ) {
            let mut bitmap = vec![0; words_of(len)];
            let mut frames = Frames::new(len, &mut bitmap);
            let mut model = vec![true; len];
            let mut runs: Vec<Range<usize>> = Vec::new();
            for frame in (0..len).filter(|frame| !(hole.0..hole.0 + hole.1).contains(frame)) {
                frames.give(frame..frame + 1);
                model[frame] = false;
            }
            for (what, count, pick) in steps {
                let fits = |at: usize| at + count <= len && !model[at..at + count].contains(&true);
                match what {
                    0 => {
                        let at = frames.take_low(count);
                        prop_assert_eq!(at, (0..len).find(|at| fits(*at)));
                        runs.extend(at.map(|at| at..at + count));
                    }
                    1 => {
                        let align = 1 << (pick % 3);
                        let at = frames.take_high(count, align, pick);
                        let aligned = |at: &usize| (at + pick).is_multiple_of(align);
                        prop_assert_eq!(at, (0..len).rev().filter(aligned).find(|at| fits(*at)));
                        runs.extend(at.map(|at| at..at + count));
                    }
                    _ if runs.is_empty() => continue,
                    2 => {
                        let run = runs.swap_remove(pick % runs.len());
                        frames.give(run.clone());
                        model[run].fill(false);
                    }
                    _ => {
                        let index = pick % runs.len();
                        let run = &mut runs[index];
                        let end = run.start + count;
                        let fits = end <= len && !model[run.end.min(end)..end].contains(&true);
                        prop_assert_eq!(frames.resize(run.start, run.len(), count), fits || end <= run.end);
                        if fits || end <= run.end {
                            model[run.clone()].fill(false);
                            run.end = end;
                        }
                    }
                }
                runs.iter().for_each(|run| model[run.clone()].fill(true));
                prop_assert_eq!(frames.free(), model.iter().filter(|taken| !**taken).count());
                let longest = model.split(|taken| *taken).map(<[bool]>::len).max();
                prop_assert_eq!(Some(frames.longest_free()), longest);
            }
        }
    }
}
