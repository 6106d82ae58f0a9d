//! Which parts of the disk are free.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Sectors of a cell, the unit in which space is given: 64 KiB.
pub const CELL_SECTORS: u32 = 128;

/// Cells that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRun {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// The cells of a disk.
pub struct Cells {
    /// One bit each, set if it is taken.
    taken: Vec<u64>,
    count: u32,
    free: u32,
    /// None is free before this one.
    lowest: u32,
}

impl Cells {
    /// So many cells, all free.
    pub fn new(count: u32) -> Cells {
        let taken = vec![0; count.div_ceil(64) as usize];
        Cells { taken, count, free: count, lowest: 0 }
    }

    /// There are so many cells now, those behind the last one free. Never fewer than there were.
    pub fn grow(&mut self, count: u32) {
        let more = count.saturating_sub(self.count);
        self.taken.resize(count.max(self.count).div_ceil(64) as usize, 0);
        (self.count, self.free) = (self.count + more, self.free + more);
    }

    /// How many are free.
    pub fn free(&self) -> u32 {
        self.free
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// As [`Cells::take`], of those that are free beyond so many.
    pub fn take_leaving(&mut self, left: u32, least: u32, most: u32) -> Option<CellRun> {
        let free = self.free.saturating_sub(left);
        if free < least { None } else { self.take(least, most.min(free)) }
    }

    /// Takes up to `most` cells that lie together: the first run of so many, or else the longest there is, if that has
    /// at least `least`. What is given away again is taken again soon, so that a disk which is a sparse file takes little more
    /// than was ever in use at once.
    pub fn take(&mut self, least: u32, most: u32) -> Option<CellRun> {
        if self.free < least.max(1) {
            return None;
        }
        while self.lowest < self.count && self.is_taken(self.lowest) {
            self.lowest += 1;
        }
        let run = self.search(most).filter(|run| run.count >= least)?;
        self.set(run, true);
        Some(run)
    }

    /// These cells are taken, as a manifest says. False if they are not there, or one of them is taken already.
    pub fn claim(&mut self, run: CellRun) -> bool {
        let is_free =
            self.contain(run) && (run.first..run.first + run.count).all(|cell| !self.is_taken(cell));
        if is_free {
            self.set(run, true);
        }
        is_free
    }

    /// Whether there are these cells.
    pub fn contain(&self, run: CellRun) -> bool {
        run.first.checked_add(run.count).is_some_and(|end| end <= self.count)
    }

    /// These cells were taken, and are free.
    pub fn give_back(&mut self, run: CellRun) {
        self.set(run, false);
        self.lowest = self.lowest.min(run.first);
    }

    fn is_taken(&self, cell: u32) -> bool {
        self.taken[cell as usize / 64] >> (cell % 64) & 1 == 1
    }

    fn set(&mut self, run: CellRun, is_taken: bool) {
        for cell in run.first..run.first + run.count {
            assert!(self.is_taken(cell) != is_taken, "cell {cell} is taken once and freed once");
            self.taken[cell as usize / 64] ^= 1 << (cell % 64);
        }
        match is_taken {
            true => self.free -= run.count,
            false => self.free += run.count,
        }
    }

    /// The first run of `most` free cells, cut to that; or the longest there is.
    fn search(&self, most: u32) -> Option<CellRun> {
        let mut longest: Option<CellRun> = None;
        let mut first = self.lowest;
        while first < self.count {
            if first.is_multiple_of(64) && self.taken[first as usize / 64] == u64::MAX {
                first += 64;
                continue;
            }
            let mut behind = first;
            while behind < self.count && behind - first < most && !self.is_taken(behind) {
                behind += 1;
            }
            let run = CellRun { first, count: behind - first };
            if run.count > longest.map_or(0, |longest| longest.count) {
                longest = Some(run);
            }
            if run.count >= most {
                break;
            }
            first = behind + 1;
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn run(first: u32, count: u32) -> CellRun {
        CellRun { first, count }
    }

    #[test]
    fn only_what_is_free_can_be_claimed() {
        let mut cells = Cells::new(100);
        assert_eq!(cells.take(10, 60), Some(run(0, 60)));
        assert_eq!(cells.take(50, 60), None);
        assert!(!cells.claim(run(59, 2)) && !cells.claim(run(99, 2)) && !cells.claim(run(u32::MAX, 2)));
        assert!(cells.claim(run(60, 40)));
        cells.give_back(run(20, 10));
        assert!(cells.claim(run(20, 10)));
        assert_eq!(cells.free(), 0);
    }

    #[test]
    fn what_was_taken_and_not_needed_leaves_no_gaps() {
        let mut cells = Cells::new(100);
        for first in 0..90 {
            assert_eq!(cells.take(4, 10), Some(run(first, 10)));
            cells.give_back(run(first + 1, 9));
        }
    }

    #[test]
    fn where_there_is_no_room_for_many_the_longest_run_is_taken() {
        let mut cells = Cells::new(200);
        assert!(cells.claim(run(10, 1)) && cells.claim(run(120, 1)) && cells.claim(run(150, 50)));
        assert_eq!(cells.take(1, 200), Some(run(11, 109)));
        assert_eq!(cells.take(30, 200), None);
        assert_eq!(cells.take(29, 200), Some(run(121, 29)));
        cells.give_back(run(11, 109));
        assert_eq!(cells.free(), 119);
        assert_eq!(cells.take_leaving(100, 20, 200), None);
        assert_eq!(cells.take_leaving(100, 19, 200), Some(run(11, 19)));
    }

    #[test]
    fn a_larger_disk_has_more_cells_behind_the_last_one() {
        for count in [1, 63, 64, 65, 100] {
            let mut cells = Cells::new(count);
            assert_eq!(cells.take(1, count), Some(run(0, count)));
            cells.grow(count + 70);
            assert_eq!((cells.count(), cells.free()), (count + 70, 70));
            assert!(!cells.claim(run(count - 1, 2)) && !cells.claim(run(count + 69, 2)));
            assert_eq!(cells.take(1, 100), Some(run(count, 70)));
            cells.give_back(run(count - 1, 5));
            cells.grow(count);
            assert_eq!((cells.count(), cells.free()), (count + 70, 5), "none goes away");
        }
    }

    proptest! {
        #[test]
        fn no_cell_is_taken_twice(steps in proptest::collection::vec((1..40u32, 1..40u32, any::<bool>()), 1..200)) {
            let mut cells = Cells::new(333);
            let mut held: Vec<CellRun> = Vec::new();
            for (least, more, give_back) in steps {
                if give_back && !held.is_empty() {
                    cells.give_back(held.remove(least as usize % held.len()));
                } else if let Some(taken) = cells.take(least, least + more) {
                    prop_assert!((least..=least + more).contains(&taken.count));
                    held.push(taken);
                }
                let all: Vec<u32> = held.iter().flat_map(|run| run.first..run.first + run.count).collect();
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
                prop_assert_eq!(cells.free() as usize, 333 - all.len());
            }
        }
    }
}
