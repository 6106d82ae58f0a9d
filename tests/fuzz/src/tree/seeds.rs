//! What the tree itself writes, to begin with.

use cluster_format::{KeyRange, Version, encode};
use cluster_tree::fuzzing::{
    BlockBuilder, Frame, FrameKind, Manifest, Position, Record, TableBuilder, Value,
};
use cluster_tree::{CellRun, Levels, RangeTombstones, Table, TableHead, TableId};
use drivers_api::SECTOR_SIZE;

use crate::input::Output;

fn key(number: u64) -> Vec<u8> {
    format!("key/{}{number:03}", "x".repeat(number as usize % 3)).into_bytes()
}

fn block_of(count: u64) -> Vec<u8> {
    let mut block = BlockBuilder::default();
    let mut keys: Vec<Vec<u8>> = (0..count).map(key).collect();
    keys.sort();
    for (number, key) in (0..).zip(&keys) {
        let value = match number % 3 {
            0 => Value::Deleted,
            1 => Value::Inline(b"a value"),
            _ => Value::Far(b"FAR!"),
        };
        block.add(Record { position: Position { key, version: Version(1000 - number) }, value });
    }
    block.finish()
}

pub fn blocks() -> Vec<Vec<u8>> {
    [0, 1, 5, 40].map(block_of).into()
}

/// A table of the usual kind: its head and its frames.
fn built(id: u64) -> (TableHead, Vec<Frame>) {
    let mut builder = TableBuilder::new(TableId(id));
    let mut keys: Vec<Vec<u8>> = (0..20).map(key).collect();
    keys.sort();
    for (number, key) in (0..).zip(&keys) {
        builder.add(key, Version(50 + number), (number % 5 != 0).then_some(b"a value"));
        builder.add(key, Version(10 + number), Some(b"an older one"));
    }
    builder.finish()
}

pub fn frames() -> Vec<Vec<u8>> {
    let raw = |kind: u8, frame: Frame| [&[0, kind][..], &frame.bytes].concat();
    let (_, parts) = built(7);
    let kinds = [0, 2, 3].into_iter().zip(parts);
    let mut seeds: Vec<Vec<u8>> = kinds.map(|(kind, frame)| raw(kind, frame)).collect();
    seeds.push(raw(1, Frame::build(TableId(7), 0, FrameKind::Value, &[5; 2000])));
    seeds.push(raw(4, Frame::build(TableId(7), 0, FrameKind::Manifest, &manifests()[0])));
    // A list of very many runs, none of which has a table.
    let empty = [&[0x80, 0x80, 0x80, 0x01][..], &[0; 1 << 21]].concat();
    seeds.push(raw(4, Frame::build(TableId(7), 0, FrameKind::Manifest, &empty)));
    seeds
}

pub fn manifests() -> Vec<Vec<u8>> {
    let table = |id: u64, first: u32| {
        let (head, _) = built(id);
        Table { head, cells: CellRun { first, count: 1 } }.into()
    };
    let mut tombstones = RangeTombstones::default();
    for (start, end, version) in [(b"a", b"m", 3), (b"f", b"z", 7)] {
        let range = KeyRange { start: start[..].into(), end: end[..].into() };
        tombstones.add(&range, Version(version));
    }
    let (young, below) = (vec![vec![table(1, 4)]], vec![vec![table(2, 5)], vec![]]);
    let levels = Levels { young, levels: below, tombstones, flushed: Version(8) };
    let manifest = Manifest { levels, horizon: Version(9), mark: b"mark"[..].into() };
    let reference = Frame::build(TableId(0), 0, FrameKind::Manifest, b"some tables").reference;
    let copies = [CellRun { first: 0, count: 1 }, CellRun { first: 1, count: 1 }];
    vec![encode(&manifest), encode(&(copies, reference)), encode(&Manifest::default())]
}

pub fn tables() -> Vec<Vec<u8>> {
    let (head, frames) = built(1);
    let (_, rows, filter, index) = (&head, &frames[0], &frames[1], &frames[2]);
    let payload = |frame: &Frame, kind| {
        Frame::parse(&frame.bytes, TableId(1), kind, &frame.reference).expect("it was just built")
    };
    let payloads = [
        payload(rows, FrameKind::Rows),
        payload(filter, FrameKind::Filter),
        payload(index, FrameKind::Index),
    ];
    // The index names frames by their sectors; rows come first, at 0.
    let mut seeds = Vec::new();
    for count in 1..=3u8 {
        let mut seed = Output::default();
        seed.byte(count - 1);
        for _ in 0..count {
            seed.short(&head.first).short(&head.last).number(40).number(4).number(20);
            seed.number(1).number(200).byte(1).byte(2);
        }
        for number in [3, 9, 15] {
            seed.short(&key(number)).number(60);
        }
        payloads.iter().for_each(|payload| _ = seed.long(payload));
        seeds.push(seed.0);
    }
    seeds
}

pub fn disks() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for count in 1..=5u8 {
        let mut seed = Output::default();
        seed.byte(count);
        for level in 0..count {
            let mut keys: Vec<Vec<u8>> = (0..20).map(key).collect();
            keys.sort();
            seed.byte(level % 3).byte(1).short(b"a long value");
            seed.short(&keys[19]).number(1000 - 19).long(&block_of(20));
            seed.number(20).number(7).number(u64::from(level) * 5).short(&keys[0]);
            seed.number(100).number(200 + u64::from(level));
        }
        seed.number(3).short(b"mark");
        for what in [2, 5, 5, 3, 1, 0, 2, 4] {
            seed.byte(what).short(&key(5)).number(1200 + u64::from(what));
        }
        seeds.push(seed.0);
    }
    seeds
}

pub fn transfers() -> Vec<Vec<u8>> {
    let (head, frames) = built(1);
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.iter().copied()).collect();
    assert_eq!(bytes.len(), head.sectors as usize * SECTOR_SIZE);
    let table = Table { head, cells: CellRun { first: 0, count: 1 } };
    let levels = Levels { young: vec![vec![table.into()]], ..Levels::default() };
    let manifest = encode(&Manifest { levels, horizon: Version(1), mark: b"mark"[..].into() });
    let mut seed = Output::default();
    seed.long(&manifest).byte(0).long(&bytes);
    vec![seed.0]
}
