//! Tables whose frames are any bytes, with no checksum before them.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cluster_format::{KeyRange, Version};
use cluster_tree::fuzzing::{
    Dead, FrameKind, Frames, HashedKey, MemTable, Position, Source, TableCursor, read,
};
use cluster_tree::{
    CellRun, Direction, FrameRef, Most, RangeRead, RangeTombstones, ReadError, Sum, Table, TableHead, TableId,
};

use crate::input::Input;

/// Payloads, one for each offset there may be.
pub struct Payloads {
    pub payloads: Vec<Arc<[u8]>>,
    reads: Cell<usize>,
}

/// So many reads are enough for one input.
const READS_MAX: usize = 2000;

impl Frames for Payloads {
    async fn read(&self, table: &Table, _: FrameKind, frame: &FrameRef) -> Result<Arc<[u8]>, ReadError> {
        self.reads.set(self.reads.get() + 1);
        match self.payloads.get(frame.offset as usize % self.payloads.len().max(1)) {
            Some(payload) if self.reads.get() < READS_MAX => Ok(payload.clone()),
            _ => Err(ReadError::Device(table.head.id, *frame)),
        }
    }
}

/// What is at hand, now.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        // It may pause, and is never waiting.
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

fn reference(offset: u32) -> FrameRef {
    FrameRef { offset, sectors: 1, sum: Sum([0; 16]) }
}

/// A table of some 60,000 sectors, where frames may be anywhere.
fn table(input: &mut Input<'_>, number: u64) -> Arc<Table> {
    let (first, last) = (input.short(), input.short());
    let head = TableHead {
        id: TableId(number),
        sectors: 1 << 16,
        records: input.number(),
        deletions: input.number(),
        hidden: input.number(),
        first: first.min(last).into(),
        last: first.max(last).into(),
        oldest: Version(input.number()),
        newest: Version(input.number()),
        cleared: Version(input.number()),
        filter: reference(input.byte().into()),
        index: reference(input.byte().into()),
    };
    Arc::new(Table { head, cells: CellRun { first: 0, count: 512 } })
}

/// Reads in every way.
pub fn read_tables(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let count = 1 + input.byte() % 3;
    let tables: Vec<_> = (1..=count).map(|number| table(&mut input, number.into())).collect();
    let asked: Vec<(&[u8], Version)> = (0..3).map(|_| (input.short(), Version(input.number()))).collect();
    let mut payloads = Vec::new();
    while !input.is_empty() {
        payloads.push(input.long().into());
    }
    let frames = Payloads { payloads, reads: Cell::new(0) };
    for table in &tables {
        for (key, version) in &asked {
            let _ = now(table.get(&frames, HashedKey::new(key), *version));
        }
        go_through(table, &frames, &asked);
    }
    let (start, end) = (asked[0].0.into(), asked[1].0.into());
    let ranges = [KeyRange { start, end }, KeyRange { start: [][..].into(), end: [0xff; 9][..].into() }];
    let mut tombstones = RangeTombstones::default();
    tombstones.add(&ranges[0], asked[1].1);
    // What one read finds to be dead, the next passes over.
    let memory = MemTable::default();
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        for direction in [Direction::Forward, Direction::Backward] {
            let sources = || tables.iter().map(|table| Source::run(std::slice::from_ref(table))).collect();
            let (most, mut rows) = (Most::rows(50), Vec::new());
            let asked = RangeRead { range, version: asked[2].1, direction, most };
            let dead = Dead { memory: &memory, newest: Version::ZERO };
            let found = read(&frames, sources(), &tombstones, dead, asked, &mut rows);
            if now(found).is_ok() {
                assert!(rows.len() <= 50);
            }
        }
    }
}

fn go_through(table: &Arc<Table>, frames: &Payloads, asked: &[(&[u8], Version)]) {
    frames.reads.set(0);
    for (key, version) in asked {
        let target = Position { key, version: *version };
        let mut cursor = TableCursor::new(table.clone(), Arc::default());
        let mut more = now(cursor.seek(frames, target));
        for _ in 0..100 {
            if more.is_err() || cursor.record().is_none() {
                break;
            }
            more = now(cursor.advance(frames));
        }
        let mut more = now(cursor.seek_before(frames, target));
        for _ in 0..100 {
            if more.is_err() || cursor.record().is_none() {
                break;
            }
            more = now(cursor.retreat(frames));
        }
    }
    frames.reads.set(0);
}
