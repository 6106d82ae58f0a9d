//! A whole disk: any records, filters and heads of tables, but checksums that are right all the way up.

use std::sync::Arc;

use cluster_format::{Digest, KeyRange, Version, decode, encode};
use cluster_tree::fuzzing::{BlockBuilder, Frame, FrameKind, Manifest, Position, Record, Value};
use cluster_tree::{
    CELL_SECTORS, CellRun, Direction, FrameRef, Grid, Levels, Most, RangeRead, ReadError, Root, Snapshot,
    Table, TableHead, TableId, Tree, TreeEvent, TreeOptions,
};
use drivers_api::SECTOR_SIZE;

use crate::disk::SparseDisk;
use crate::input::Input;

pub const CELLS: u32 = 96;
pub const START: u64 = 8;
const OPTIONS: TreeOptions =
    TreeOptions { memory_len_max: 4000, young_runs: 4, base_sectors_max: 40, table_cells_max: 2 };

/// So many turns are enough for whatever is under way.
const TURNS_MAX: usize = 3000;

/// What is written of a table, and its head.
fn table(input: &mut Input<'_>, id: u64) -> (TableHead, Vec<u8>) {
    let id = TableId(id);
    let mut bytes: Vec<u8> = Vec::new();
    let mut add = |kind, payload: &[u8]| {
        let frame = Frame::build(id, (bytes.len() / SECTOR_SIZE) as u32, kind, payload);
        bytes.extend_from_slice(&frame.bytes);
        frame.reference
    };
    let flags = input.byte();
    let value = add(FrameKind::Value, input.short());
    let mut index = BlockBuilder::default();
    let mut last: Vec<u8> = Vec::new();
    for _ in 0..flags & 3 {
        let (key, version, rows) = (input.short(), Version(input.number()), input.long());
        let rows = add(FrameKind::Rows, &with_reference(rows, &value));
        // An index is in order, or it would not have been written; what it refers to need not be.
        if *key > *last || last.is_empty() && index.is_empty() {
            let reference = rows.to_bytes();
            let position = Position { key, version };
            index.add(Record { position, value: Value::Inline(&reference) });
            last = key.to_vec();
        }
    }
    let index = if flags & 64 == 0 { index.finish() } else { input.short().to_vec() };
    let index = add(FrameKind::Index, &index);
    let filter = if flags & 128 == 0 { &[0xff; 32] } else { input.short() };
    let filter = add(FrameKind::Filter, filter);
    let head = TableHead {
        id,
        sectors: (bytes.len() / SECTOR_SIZE) as u32,
        records: input.number(),
        deletions: input.number(),
        hidden: input.number(),
        first: input.short().into(),
        last: if flags & 32 == 0 { last.into() } else { input.short().into() },
        oldest: Version(input.number()),
        newest: Version(input.number()),
        cleared: Version(u64::from(flags & 16)),
        filter,
        index,
    };
    (head, bytes)
}

/// `FAR!` in a block of records stands for a reference, which cannot be guessed.
fn with_reference(rows: &[u8], value: &FrameRef) -> Vec<u8> {
    let reference = value.to_bytes();
    match rows.windows(4).position(|window| window == b"FAR!") {
        Some(at) => [&rows[..at], &reference, &rows[at + 4..]].concat(),
        None => rows.to_vec(),
    }
}

struct Machine {
    disk: SparseDisk,
    grid: Grid,
    tree: Tree,
}

impl Machine {
    fn new(disk: SparseDisk, root: Option<Root>, random: u64) -> Machine {
        let grid = Grid::new(&disk.geometry(), START, 40_000);
        let tree = Tree::open(grid.clone(), OPTIONS, root, random);
        Machine { disk, grid, tree }
    }

    /// Lets everything work until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let mut more = self.tree.advance();
            for event in self.tree.take_events() {
                more = true;
                if matches!(event, TreeEvent::Root { .. }) {
                    self.tree.root_durable();
                }
            }
            for request in self.grid.take_requests() {
                more = true;
                let completion = self.disk.serve(request);
                self.grid.completed(completion);
            }
            if !more {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Runs what needs the disk.
    fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        for _ in 0..TURNS_MAX {
            let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                return value;
            }
            for request in self.grid.take_requests() {
                let completion = self.disk.serve(request);
                self.grid.completed(completion);
            }
        }
        panic!("it never ends");
    }

    fn read(&mut self, snapshot: &Snapshot, key: &[u8], version: Version) {
        let _ = self.run(snapshot.get(key, version));
        let range = KeyRange { start: [][..].into(), end: [0xff; 9][..].into() };
        for direction in [Direction::Forward, Direction::Backward] {
            let asked = RangeRead { range: &range, version, direction, most: Most::rows(20) };
            let _: Result<_, ReadError> = self.run(snapshot.read(asked));
        }
    }
}

/// A disk with tables of these bytes, and its root.
fn forge(input: &mut Input<'_>, disk: &mut SparseDisk) -> Root {
    let mut levels = Levels::default();
    let mut cell = 2;
    for number in 0..u64::from(input.byte() % 6) {
        let level = input.byte();
        let (head, bytes) = table(input, number + 1);
        let count = head.sectors.div_ceil(CELL_SECTORS);
        disk.write(START + u64::from(cell * CELL_SECTORS), &bytes);
        let table = Arc::new(Table { head, cells: CellRun { first: cell, count } });
        cell += count;
        match level % 4 {
            0 => levels.young.push([table].into()),
            level => {
                levels.levels.resize_with(levels.levels.len().max(level.into()), Vec::new);
                levels.levels[usize::from(level) - 1].push(table);
            }
        }
    }
    let (horizon, mark) = (Version(input.number()), input.short().into());
    root_of(disk, &encode(&Manifest { levels, horizon, mark }))
}

/// The root of a disk with this list of tables.
pub fn root_of(disk: &mut SparseDisk, manifest: &[u8]) -> Root {
    let frame = Frame::build(TableId(0), 0, FrameKind::Manifest, manifest);
    let copies = [CellRun { first: 0, count: 1 }, CellRun { first: 1, count: 1 }];
    for copy in copies {
        disk.write(START + u64::from(copy.first * CELL_SECTORS), &frame.bytes);
    }
    decode(&encode(&(copies, frame.reference))).expect("a root is its copies and their frame")
}

/// Opens a disk with any list of tables, and reads.
pub fn open_manifest(bytes: &[u8]) {
    let mut disk = SparseDisk::new(START + u64::from(CELLS * CELL_SECTORS));
    let root = root_of(&mut disk, bytes);
    let mut machine = Machine::new(disk, Some(root), 1 << 40);
    machine.settle();
    let snapshot = machine.tree.snapshot();
    machine.read(&snapshot, b"key/", Version(60));
    machine.tree.add(&b"key"[..].into(), Version(61), None);
    if machine.tree.can_freeze() {
        machine.tree.freeze(b"mark"[..].into());
    }
    machine.settle();
}

/// Opens a disk with any root.
pub fn open_root(root: Root) {
    let disk = SparseDisk::new(START + u64::from(CELLS * CELL_SECTORS));
    Machine::new(disk, Some(root), 1 << 40).settle();
}

/// Opens it, and does everything that is done to a tree.
pub fn disk(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut disk = SparseDisk::new(START + u64::from(CELLS * CELL_SECTORS));
    let root = forge(&mut input, &mut disk);
    let mut machine = Machine::new(disk, Some(root), 1 << 40);
    machine.settle();
    for _ in 0..16 {
        if input.is_empty() {
            break;
        }
        let (what, key, version) = (input.byte(), input.short(), Version(input.number()));
        match what % 8 {
            6 => {
                let range = KeyRange { start: key.into(), end: [0xff][..].into() };
                machine.tree.delete_range(&range, version);
            }
            7 => machine.tree.rest(),
            0 => machine.tree.set_horizon(version),
            1 => _ = machine.tree.scrub_next(),
            2 => {
                let snapshot = machine.tree.snapshot();
                machine.read(&snapshot, key, version);
            }
            3 if machine.tree.can_freeze() => machine.tree.freeze(key.into()),
            4 => send(&mut machine, key, version),
            _ => {
                let value = [7; 50][..].into();
                machine.tree.add(&key.into(), version, Some(value).filter(|_| what < 128));
            }
        }
        if what & 64 == 0 {
            machine.settle();
        }
    }
    machine.settle();
}

/// Sends its tables to another, whatever they are.
fn send(from: &mut Machine, key: &[u8], version: Version) {
    let outgoing = from.tree.outgoing();
    let sectors = START + u64::from(CELLS * CELL_SECTORS);
    let mut to = Machine::new(SparseDisk::new(sectors), None, 1 << 41);
    to.settle();
    let mut incoming = to.tree.incoming(outgoing.content());
    for index in 0.. {
        let Ok(Some(piece)) = from.run(outgoing.piece(index)) else { return };
        let Ok(taken) = incoming.add(index, &piece) else { return };
        if to.run(taken).is_err() {
            return;
        }
        if outgoing.is_last(index) {
            break;
        }
    }
    let Ok(arrived) = to.run(incoming.finish()) else { return };
    to.tree.replace(arrived);
    to.settle();
    let snapshot = to.tree.snapshot();
    to.read(&snapshot, key, version);
}

/// What a peer sends as a list of tables, and as tables.
pub fn transfer(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let manifest = input.long();
    let sectors = START + u64::from(CELLS * CELL_SECTORS);
    let mut machine = Machine::new(SparseDisk::new(sectors), None, 1);
    machine.settle();
    let len = if input.bit() { input.number() } else { manifest.len() as u64 };
    let mut incoming = machine.tree.incoming((Digest::of(manifest), len));
    let (first, second) = manifest.split_at(manifest.len() / 2);
    for (index, piece) in [first, second].into_iter().enumerate() {
        let Ok(taken) = incoming.add(index as u64, piece) else { return };
        let _ = machine.run(taken);
    }
    let mut index = incoming.next();
    while !input.is_empty() {
        let mut piece = input.long().to_vec();
        piece.resize(piece.len().next_multiple_of(SECTOR_SIZE), 0);
        let Ok(taken) = incoming.add(index, &piece) else { break };
        let _ = machine.run(taken);
        index += 1;
    }
    if let Ok(arrived) = machine.run(incoming.finish()) {
        machine.tree.replace(arrived);
        machine.settle();
    }
}
