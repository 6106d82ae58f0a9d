//! A tree on a simulated disk.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cluster_format::{KeyRange, Version};
use drivers_api::{Disk, Instant};
use drivers_sim::SimDisk;
use proptest::prelude::*;

use super::{Model, in_model, key, value};
use crate::*;

/// The superblock's place: the tree begins behind it.
pub(super) const START: u64 = 8;

const OPTIONS: TreeOptions =
    TreeOptions { memory_len_max: 6000, young_runs: 4, base_sectors_max: 40, table_cells_max: 1 };

/// A change: its key's number, and the length of its value or none. From [`RANGE`] on, the number is that of a range that is
/// deleted.
pub(super) type Change = (u8, Option<usize>);

/// The first number of a range.
pub(super) const RANGE: u8 = 64;

/// Keys and, now and then, ranges.
pub(super) fn numbers() -> impl Strategy<Value = u8> {
    prop_oneof![30 => 0..60u8, 1 => RANGE..=u8::MAX]
}

/// The range with this number: from one key to another.
pub(super) fn range(number: u8) -> KeyRange {
    let mut bounds = [number % 60, number % 61].map(key);
    bounds.sort();
    let [start, end] = bounds;
    KeyRange { start: start.into(), end: end.into() }
}

pub(super) struct Machine {
    pub(super) disk: SimDisk,
    now: Instant,
    pub(super) grid: Grid,
    pub(super) tree: Tree,
    /// No older version is read.
    pub(super) horizon: u64,
    /// What the superblock says.
    pub(super) root: Option<Root>,
    /// What it will say after so many turns.
    writing: Option<(Root, u32)>,
    /// How many turns it takes to write a superblock.
    root_turns: u32,
    /// Requests that the disk has got, and after how many the power fails.
    pub(super) requests: u64,
    pub(super) requests_max: u64,
    pub(super) events: Vec<TreeEvent>,
}

impl Machine {
    pub(super) fn new(cells: u32) -> Machine {
        Machine::in_life(cells, 1)
    }

    /// One whose tables have other names than those of other lives.
    pub(super) fn in_life(cells: u32, life: u64) -> Machine {
        let disk = SimDisk::new(START + u64::from(cells * CELL_SECTORS), 1);
        let (grid, tree) = Machine::boot(&disk, None, life);
        let (now, requests_max) = (Instant::ZERO, u64::MAX);
        Machine {
            disk,
            now,
            grid,
            tree,
            horizon: 0,
            root: None,
            writing: None,
            root_turns: 5,
            requests: 0,
            requests_max,
            events: Vec::new(),
        }
    }

    fn boot(disk: &SimDisk, root: Option<Root>, life: u64) -> (Grid, Tree) {
        let grid = Grid::new(&disk.geometry(), START, 200_000);
        let tree = Tree::open(grid.clone(), OPTIONS, root, life << 32);
        (grid, tree)
    }

    /// The power fails, and comes back.
    pub(super) fn crash(&mut self) {
        self.disk.crash();
        // It may have been written, and not been said so.
        if let Some((root, _)) = self.writing.take().filter(|(_, turns)| turns % 2 == 1) {
            self.root = Some(root);
        }
        self.requests_max = u64::MAX;
        self.events.clear();
        (self.grid, self.tree) = Machine::boot(&self.disk, self.root.clone(), self.now.as_micros() + 2);
    }

    /// The power fails, and comes back with a disk of so many cells.
    pub(super) fn crash_and_resize(&mut self, cells: u32) {
        self.disk.crash();
        self.disk.resize(START + u64::from(cells * CELL_SECTORS));
        self.crash();
    }

    /// The disk becomes larger, with so many cells, while all goes on.
    pub(super) fn grow(&mut self, cells: u32) {
        let sectors = START + u64::from(cells * CELL_SECTORS);
        self.disk.resize(sectors);
        self.grid.grow(sectors);
    }

    fn is_up(&self) -> bool {
        self.requests < self.requests_max
    }

    /// Lets the disk and the tree work, the disk for one request at most; whether there was anything to do.
    pub(super) fn turn(&mut self) -> bool {
        let mut more = self.tree.advance();
        for event in self.tree.take_events() {
            more = true;
            if let TreeEvent::Root { root, .. } = &event {
                self.writing = Some((root.clone(), self.root_turns));
            }
            self.events.push(event);
        }
        more |= self.write_root();
        for request in self.grid.take_requests() {
            if self.is_up() {
                self.requests += 1;
                self.disk.submit(request).unwrap();
            }
        }
        let Some(due) = self.disk.next_due().filter(|_| self.is_up()) else { return more };
        self.now = self.now.max(due);
        self.disk.advance(self.now);
        while let Poll::Ready(completion) = self.disk.poll_completion(&mut Context::from_waker(Waker::noop()))
        {
            self.grid.completed(completion);
        }
        true
    }

    fn write_root(&mut self) -> bool {
        match self.writing.take().filter(|_| self.is_up()) {
            None => return false,
            Some((root, 0)) => {
                self.root = Some(root);
                self.tree.root_durable();
            }
            Some((root, turns)) => self.writing = Some((root, turns - 1)),
        }
        true
    }

    pub(super) fn settle(&mut self) {
        while self.is_up() && self.turn() {}
    }

    pub(super) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        self.run_if_up(future).expect("the power is on")
    }

    /// None if the power fails before it is done.
    pub(super) fn run_if_up<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(value);
            }
            if !self.turn() && !self.is_up() {
                return None;
            }
        }
    }

    /// The version that the tables hold, after a start.
    pub(super) fn opened(&mut self) -> u64 {
        self.settle();
        match &self.events[..] {
            [TreeEvent::Opened(mark), ..] if mark.is_empty() => 0,
            [TreeEvent::Opened(mark), ..] => u64::from_be_bytes((**mark).try_into().unwrap()),
            other => panic!("it was not opened: {other:?}"),
        }
    }

    /// Adds what came after `version`, with work between.
    pub(super) fn add(&mut self, changes: &[Change], version: u64) {
        for (number, (key_number, len)) in (1..).zip(changes).skip(version as usize) {
            self.put(number, (*key_number, *len));
            while self.is_up() && self.tree.memory_is_full() && !self.tree.can_freeze() && self.turn() {}
            if !self.is_up() {
                return;
            }
            self.horizon = self.horizon.max(number.saturating_sub(40));
            self.tree.set_horizon(Version(self.horizon));
            self.freeze_if_full(number);
            self.turn();
            if number.is_multiple_of(16) {
                self.pass_over(number);
            }
        }
    }

    /// Somebody reads everything, so that it is known where nothing is left.
    fn pass_over(&mut self, version: u64) {
        let snapshot = self.tree.snapshot();
        let range = KeyRange { start: [][..].into(), end: [0xff][..].into() };
        let (direction, most) = (Direction::Forward, Most::rows(1000));
        let asked = RangeRead { range: &range, version: Version(version), direction, most };
        // It may meet what a test has damaged, or the power may fail.
        let _ = self.run_if_up(snapshot.read(asked));
    }

    /// Adds the change of this version.
    pub(super) fn put(&mut self, version: u64, (number, len): Change) {
        if number >= RANGE {
            return self.tree.delete_range(&range(number), Version(version));
        }
        let value = len.map(|len| Arc::from(&value(version, len)[..]));
        self.tree.add(&key(number)[..].into(), Version(version), value);
    }

    /// Makes changes one by one until nothing can be done any more though memory is full; the version of the last.
    pub(super) fn fill_up(&mut self, changes: &[Change]) -> u64 {
        let mut version = 0;
        while !self.is_stuck() {
            version += 1;
            self.put(version, changes[version as usize - 1]);
            self.freeze_if_full(version);
        }
        version
    }

    pub(super) fn freeze_if_full(&mut self, version: u64) {
        if self.tree.memory_is_full() && self.tree.can_freeze() {
            self.tree.freeze(version.to_be_bytes()[..].into());
        }
    }

    /// A bit of a sector of the cells flips.
    pub(super) fn flip(&mut self, sector: u64) {
        self.disk.flip_bit(START + sector, 333);
    }

    /// Compares everything, as of `version`, and as of the oldest that may still be read.
    pub(super) fn check(&mut self, model: &Model, version: u64) {
        self.check_at(model, version);
        if self.horizon < version {
            self.check_at(model, self.horizon);
        }
    }

    pub(super) fn check_at(&mut self, model: &Model, version: u64) {
        let snapshot = self.tree.snapshot();
        for number in 0..64 {
            let found = self.run(snapshot.get(&key(number), Version(version))).unwrap();
            assert_eq!(found.map(|found| found.to_vec()), in_model(model, &key(number), version));
        }
        let all = KeyRange { start: [][..].into(), end: [0xff][..].into() };
        let ranges = [all, range(version as u8), range((7 * version) as u8)];
        let directions = [Direction::Forward, Direction::Backward];
        for (range, direction) in
            ranges.iter().flat_map(|range| directions.map(|direction| (range, direction)))
        {
            let read = snapshot.read(RangeRead {
                range,
                version: Version(version),
                direction,
                most: Most::rows(1000),
            });
            let read = self.run(read).unwrap();
            let mut read: Vec<_> = read.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            if direction == Direction::Backward {
                read.reverse();
            }
            let keys = model.keys().filter(|key| range.contains(key));
            let rows = keys.filter_map(|key| Some((key.clone(), in_model(model, key, version)?)));
            assert_eq!(read, rows.collect::<Vec<_>>(), "{range:?}");
        }
    }

    /// Every cell is free, or named by the newest root.
    pub(super) fn check_cells(&mut self) {
        self.settle();
        let tables: u32 = self.tree.levels().tables().map(|table| table.cells.count).sum();
        let copies = self.root.iter().flat_map(|root| root.copies).map(|run| run.count).sum::<u32>();
        let (free, count) = self.grid.with_cells(|cells| (cells.free(), cells.count()));
        assert_eq!(free + tables + copies, count);
    }

    /// Reads all tables from end to end; what was wrong with them.
    pub(super) fn scrub(&mut self) -> Vec<ReadError> {
        let tables: Vec<_> = self.tree.levels().tables().cloned().collect();
        let mut damaged = Vec::new();
        for _ in &tables {
            assert!(self.tree.scrub_next() && !self.tree.scrub_next());
            self.settle();
            let Some(TreeEvent::Scrubbed(mut scrubbed)) = self.events.pop() else { panic!("it is done") };
            let table = tables.iter().find(|table| table.head.id == scrubbed.table).unwrap();
            let is_whole = scrubbed.sectors == u64::from(table.head.sectors);
            assert!(is_whole || !scrubbed.damaged.is_empty(), "every sector is read");
            damaged.append(&mut scrubbed.damaged);
        }
        damaged
    }

    /// Nothing can be done any more, though memory is full.
    pub(super) fn is_stuck(&mut self) -> bool {
        self.settle();
        self.tree.memory_is_full() && !self.tree.can_freeze()
    }
}
