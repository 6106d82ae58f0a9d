//! A tree on a simulated disk: it loses nothing that its root named, whenever the power fails, and serves nothing
//! wrong, whatever decays.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cluster_format::{KeyRange, Version};
use drivers_api::{Disk, Instant, SECTOR_SIZE};
use drivers_sim::SimDisk;
use proptest::prelude::*;

use super::{Model, in_model, key, value};
use crate::*;

/// The superblock's place: the tree begins behind it.
const START: u64 = 8;

const OPTIONS: TreeOptions = TreeOptions { memory_len_max: 6000, base_sectors_max: 40, table_cells_max: 1 };

/// A change: its key's number, and the length of its value or none.
type Change = (u8, Option<usize>);

pub(super) struct Machine {
    disk: SimDisk,
    now: Instant,
    pub(super) grid: Grid,
    pub(super) tree: Tree,
    /// No older version is read.
    horizon: u64,
    /// What the superblock says.
    pub(super) root: Option<Root>,
    /// What it will say after so many turns.
    writing: Option<(Root, u32)>,
    /// How many turns it takes to write a superblock.
    root_turns: u32,
    /// Requests that the disk has got, and after how many the power fails.
    requests: u64,
    requests_max: u64,
    events: Vec<TreeEvent>,
}

impl Machine {
    pub(super) fn new(cells: u32) -> Machine {
        let disk = SimDisk::new(START + u64::from(cells * CELL_SECTORS), 1);
        let (grid, tree) = Machine::boot(&disk, None, 1);
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

    fn is_up(&self) -> bool {
        self.requests < self.requests_max
    }

    /// Lets the disk and the tree work, the disk for one request at most; whether there was anything to do.
    pub(super) fn turn(&mut self) -> bool {
        let mut more = self.tree.advance();
        for event in self.tree.take_events() {
            more = true;
            if let TreeEvent::Root(root) = &event {
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
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            self.turn();
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
    fn add(&mut self, changes: &[Change], version: u64) {
        for (number, (key_number, len)) in (1..).zip(changes).skip(version as usize) {
            let value = len.map(|len| Arc::from(&value(number, len)[..]));
            self.tree.add(&key(*key_number)[..].into(), Version(number), value);
            while self.is_up() && self.tree.memory_is_full() && !self.tree.can_freeze() && self.turn() {}
            if !self.is_up() {
                return;
            }
            self.horizon = self.horizon.max(number.saturating_sub(40));
            self.tree.set_horizon(Version(self.horizon));
            if self.tree.memory_is_full() && self.tree.can_freeze() {
                self.tree.freeze(number.to_be_bytes()[..].into());
            }
            self.turn();
        }
    }

    /// A bit of a sector of the cells flips.
    pub(super) fn flip(&mut self, sector: u64) {
        self.disk.flip_bit(START + sector, 333);
    }

    /// Compares everything, as of `version`, and as of the oldest that may still be read.
    fn check(&mut self, model: &Model, version: u64) {
        self.check_at(model, version);
        if self.horizon < version {
            self.check_at(model, self.horizon);
        }
    }

    fn check_at(&mut self, model: &Model, version: u64) {
        let snapshot = self.tree.snapshot();
        for number in 0..64 {
            let found = self.run(snapshot.get(&key(number), Version(version))).unwrap();
            assert_eq!(found.map(|found| found.to_vec()), in_model(model, &key(number), version));
        }
        let range = KeyRange { start: [][..].into(), end: [0xff][..].into() };
        for direction in [Direction::Forward, Direction::Backward] {
            let read = snapshot.read(&range, Version(version), direction, 1000);
            let read = self.run(read).unwrap();
            let mut read: Vec<_> = read.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            if direction == Direction::Backward {
                read.reverse();
            }
            let rows = model.keys().filter_map(|key| Some((key.clone(), in_model(model, key, version)?)));
            assert_eq!(read, rows.collect::<Vec<_>>());
        }
    }

    /// Every cell is free, or named by the newest root.
    fn check_cells(&mut self) {
        self.settle();
        let tables: u32 = self.tree.levels().tables().map(|table| table.cells.count).sum();
        let copies = self.root.iter().flat_map(|root| root.copies).map(|run| run.count).sum::<u32>();
        let (free, count) = self.grid.with_cells(|cells| (cells.free(), cells.count()));
        assert_eq!(free + tables + copies, count);
    }

    /// Reads all tables from end to end; what was wrong with them.
    fn scrub(&mut self) -> Vec<ReadError> {
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
    fn is_stuck(&mut self) -> bool {
        self.settle();
        self.tree.memory_is_full() && !self.tree.can_freeze()
    }
}

fn model_of(changes: &[Change]) -> Model {
    let mut model = Model::new();
    for (version, (number, len)) in (1..).zip(changes) {
        model.entry(key(*number)).or_default().insert(version, len.map(|len| value(version, len)));
    }
    model
}

fn changes(count: usize) -> impl Strategy<Value = Vec<Change>> {
    let len =
        prop_oneof![6 => (0..300usize).prop_map(Some), 1 => (0..12_000usize).prop_map(Some), 2 => Just(None)];
    proptest::collection::vec((0..60u8, len), 1..count)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn whatever_happened_before_the_last_root_survives_power_failures(
        changes in changes(400),
        crashes in proptest::collection::vec(1..400u64, 0..4),
    ) {
        let (mut machine, model) = (Machine::new(60), model_of(&changes));
        let mut version = 0;
        for requests in crashes {
            machine.requests_max = machine.requests + requests;
            machine.add(&changes, version);
            machine.settle();
            machine.crash();
            version = machine.opened();
            machine.check(&model, version);
            machine.check_cells();
        }
        machine.add(&changes, version);
        machine.check(&model, changes.len() as u64);
        machine.check_cells();
        machine.check(&model, changes.len() as u64);
    }

    #[test]
    fn what_decays_is_noticed_and_nothing_wrong_is_served(
        changes in changes(200),
        at in any::<prop::sample::Index>(),
        bit in 0..SECTOR_SIZE * 8,
    ) {
        let (mut machine, model) = (Machine::new(60), model_of(&changes));
        machine.add(&changes, 0);
        machine.settle();
        machine.crash();
        machine.disk.flip_bit(START + at.index(40 * CELL_SECTORS as usize) as u64, bit);
        // Either copy of the manifest will do.
        let version = machine.opened();
        let snapshot = machine.tree.snapshot();
        let expected: BTreeMap<_, _> =
            model.keys().map(|key| (key, in_model(&model, key, version))).collect();
        for (key, expected) in expected {
            match machine.run(snapshot.get(key, Version(version))) {
                Ok(found) => prop_assert_eq!(found.map(|found| found.to_vec()), expected),
                Err(ReadError::Frame(..)) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}

#[test]
fn a_power_failure_at_any_request_loses_nothing() {
    let changes: Vec<Change> = (0..500u64)
        .map(|at| ((at * 37 % 60) as u8, (at % 5 > 0).then_some((at * 53 % 700) as usize)))
        .collect();
    let model = model_of(&changes);
    let mut machine = Machine::new(60);
    machine.add(&changes, 0);
    machine.settle();
    let requests = machine.requests;
    assert!(machine.tree.levels().levels.len() > 1 && requests > 100, "{requests} requests");
    for failing in 1..requests {
        let mut machine = Machine::new(60);
        machine.requests_max = failing;
        machine.add(&changes, 0);
        machine.settle();
        machine.crash();
        let version = machine.opened();
        machine.check(&model, version);
        machine.add(&changes, version);
        machine.check(&model, changes.len() as u64);
        machine.check_cells();
    }
}

#[test]
fn the_versions_of_one_key_may_fill_many_tables() {
    let changes: Vec<Change> =
        (0..6000u64).map(|at| (if at % 50 == 0 { (at / 50 % 60) as u8 } else { 30 }, Some(90))).collect();
    let model = model_of(&changes);
    let mut machine = Machine::new(200);
    for (number, (key_number, len)) in (1..).zip(&changes) {
        let value = len.map(|len| Arc::from(&value(number, len)[..]));
        machine.tree.add(&key(*key_number)[..].into(), Version(number), value);
        if number % 1500 == 0 {
            machine.tree.freeze(number.to_be_bytes()[..].into());
            machine.settle();
            let levels = machine.tree.levels().clone();
            let tables: Vec<_> = levels.tables().collect();
            assert!(tables.windows(2).any(|pair| pair[0].head.last == pair[1].head.first), "one key's");
            for version in [1, 700, number - 1000, number - 1, number] {
                machine.check_at(&model, version);
            }
        }
    }
    assert!(machine.tree.levels().young.is_empty(), "they have been merged");
    machine.check_cells();
}

#[test]
fn a_full_disk_serves_what_it_has_and_goes_on_when_there_is_room() {
    // The same keys again and again, all versions of which are kept.
    let changes: Vec<Change> = (0..8000u64).map(|at| ((at * 37 % 60) as u8, Some(300))).collect();
    let model = model_of(&changes);
    let mut machine = Machine::new(24);
    let mut version = 0;
    while !machine.is_stuck() {
        let (number, len) = changes[version as usize];
        version += 1;
        let value = len.map(|len| Arc::from(&value(version, len)[..]));
        machine.tree.add(&key(number)[..].into(), Version(version), value);
        if machine.tree.memory_is_full() && machine.tree.can_freeze() {
            machine.tree.freeze(version.to_be_bytes()[..].into());
        }
    }
    assert!(machine.events.contains(&TreeEvent::Full));
    for at in [1, version / 2, version] {
        machine.check_at(&model, at);
    }
    // A crash loses no more than what had not become a table.
    let (root, before) = (machine.root.clone(), version);
    machine.crash();
    version = machine.opened();
    assert!(machine.root == root && version > before / 2);
    machine.check_at(&model, version);
    // Nobody wants the old versions any more.
    machine.horizon = version;
    machine.tree.set_horizon(Version(version));
    machine.settle();
    machine.add(&changes, version);
    assert!(!machine.is_stuck());
    machine.check_at(&model, changes.len() as u64);
    machine.check_cells();
}

#[test]
fn a_snapshot_stays_what_it_is_while_everything_is_replaced() {
    let changes: Vec<Change> = (0..2000u64).map(|at| ((at * 37 % 60) as u8, Some(100))).collect();
    let model = model_of(&changes);
    let mut machine = Machine::new(60);
    machine.add(&changes[..500], 0);
    let snapshot = machine.tree.snapshot();
    machine.add(&changes, 500);
    machine.settle();
    assert!(machine.horizon > 500, "newer snapshots do not show that version");
    let current = machine.tree.snapshot();
    assert_eq!(machine.run(current.get(&key(1), Version(500))), Err(ReadError::Forgotten(Version(500))));
    drop(current);
    for number in 0..60 {
        let found = machine.run(snapshot.get(&key(number), Version(500))).unwrap();
        assert_eq!(found.map(|found| found.to_vec()), in_model(&model, &key(number), 500));
    }
    let kept = machine.grid.free_cells();
    drop(snapshot);
    machine.check_cells();
    assert!(machine.grid.free_cells() > kept, "its tables' cells are free now");
}

#[test]
fn a_broken_disk_ends_the_tree_and_loses_nothing_that_was_durable() {
    let changes: Vec<Change> = (0..400u64).map(|at| ((at * 37 % 60) as u8, Some(100))).collect();
    let model = model_of(&changes);
    let mut machine = Machine::new(60);
    machine.add(&changes[..200], 0);
    machine.disk.broken = true;
    machine.tree.freeze([][..].into());
    machine.settle();
    let failed = |event: &TreeEvent| matches!(event, TreeEvent::Failed(WriteError::Device(_)));
    assert_eq!(machine.events.iter().filter(|event| failed(event)).count(), 1, "it is said once");
    assert!(!machine.tree.can_freeze() && !machine.tree.advance());
    machine.disk.broken = false;
    machine.crash();
    let version = machine.opened();
    machine.check(&model, version);
    machine.add(&changes, version);
    machine.check(&model, changes.len() as u64);
}

#[test]
fn without_its_manifest_a_tree_does_nothing() {
    let changes: Vec<Change> = (0..400u64).map(|at| ((at * 37 % 60) as u8, Some(100))).collect();
    let mut machine = Machine::new(60);
    machine.add(&changes, 0);
    machine.settle();
    let copies = machine.root.clone().unwrap().copies;
    copies.iter().for_each(|copy| machine.flip(u64::from(copy.first * CELL_SECTORS)));
    machine.crash();
    machine.settle();
    assert_eq!(machine.events, [TreeEvent::NotOpened(OpenError::Damaged)]);
    assert!(!machine.tree.can_freeze());
    assert_eq!(machine.grid.free_cells(), 60);
    // Nor with a root that names other places than there are.
    for run in [CellRun { first: 59, count: 2 }, CellRun { first: u32::MAX, count: u32::MAX }] {
        machine.root.as_mut().unwrap().copies = [run; 2];
        machine.crash();
        machine.settle();
        assert_eq!(machine.events, [TreeEvent::NotOpened(OpenError::Damaged)]);
    }
}

#[test]
fn whatever_flips_in_a_table_is_noticed() {
    let mut machine = Machine::new(60);
    let changes: Vec<Change> =
        (0..60).map(|number| (number, Some(if number == 7 { 9000 } else { 100 }))).collect();
    machine.add(&changes, 0);
    machine.tree.freeze([0; 8][..].into());
    machine.settle();
    let tables: Vec<_> = machine.tree.levels().tables().cloned().collect();
    for table in tables {
        for sector in 0..table.head.sectors {
            let place = u64::from(table.cells.first * CELL_SECTORS + sector);
            machine.flip(place);
            machine.crash();
            machine.opened();
            let snapshot = machine.tree.snapshot();
            let found = (0..60).map(|number| machine.run(snapshot.get(&key(number), Version(60))));
            let damaged =
                found.filter(|found| matches!(found, Err(ReadError::Frame(_, _, FrameError::Damaged))));
            assert!(damaged.count() > 0, "sector {sector} of {table:?}");
            assert!(machine.scrub().iter().any(|error| matches!(error, ReadError::Frame(..))));
            machine.flip(place);
            assert_eq!(machine.scrub(), []);
        }
    }
}
