//! What is known of tables beside their rows.

use cluster_format::{Commit, Origin, Write};
use cluster_format::{Entry, LogPosition, Membership, NodeId, Payload, RequestId, Version, decode, encode};
use cluster_store::{Tables, TablesEvent, TablesOptions, Through};
use cluster_tree::Levels;
use cluster_tree::fuzzing::Manifest;

use crate::disk::SparseDisk;
use crate::input::{Input, Output};
use crate::tree::disks::{CELLS, START, root_of};

const OPTIONS: TablesOptions = TablesOptions { memory_len_max: 10_000, cache_len_max: 10_000 };

const SECTORS: u64 = START + CELLS as u64 * cluster_tree::CELL_SECTORS as u64;

/// Opens tables with any root, or any mark, and applies entries.
pub fn tables(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut disk = SparseDisk::new(SECTORS);
    let (is_whole, mark) = (input.bit(), input.long());
    let manifest =
        Manifest { levels: Levels::default(), horizon: Version(input.number()), mark: mark.into() };
    let tree = root_of(&mut disk, &encode(&manifest));
    let rest = input.long();
    let root = if is_whole { rest.to_vec() } else { [&encode(&tree), rest].concat() };
    let founding = Membership::founding(3);
    let mut tables = Tables::open(&disk.geometry(), START, OPTIONS, &root, 1 << 40, founding);
    if !settle(&mut tables, &mut disk) {
        return;
    }
    for _ in 0..8 {
        if input.is_empty() || tables.are_lost() {
            break;
        }
        let (what, micros) = (input.byte(), input.number() as i64);
        let request = RequestId { session: input.number(), sequence: input.number() };
        let _ = (tables.request_state(request), tables.requests_horizon(), tables.requests_hash());
        let LogPosition { term, version } = tables.through().last;
        let position = LogPosition { term, version: version.next() };
        let payload = match what % 3 {
            0 => Payload::TermStart,
            _ => Payload::Commit(commit(request, input.short()).into()),
        };
        let entry = Entry::new(position, micros, tables.through().digest, payload);
        tables.apply(&entry).expect("it is the next one");
        let _ = tables.check(&Commit { read_version: Version(input.number()), ..commit(request, b"a") });
        let _ = tables.outgoing(Version(input.number()));
        if what & 64 == 0 {
            tables.freeze();
        }
        settle(&mut tables, &mut disk);
    }
}

fn commit(request: RequestId, key: &[u8]) -> Commit {
    let write = Write { key: key.into(), value: Some(b"value"[..].into()) };
    let origin = Origin { node: NodeId(1) };
    Commit {
        request,
        origin,
        read_version: Version(0),
        reads: Vec::new(),
        deletes: Vec::new(),
        writes: [write].into(),
    }
}

/// Lets them work; whether they are there.
fn settle(tables: &mut Tables, disk: &mut SparseDisk) -> bool {
    for _ in 0..1000 {
        let mut more = tables.advance();
        for event in tables.take_events() {
            more = true;
            match event {
                TablesEvent::Root { .. } => tables.root_durable(),
                TablesEvent::NotOpened => return false,
                _ => {}
            }
        }
        for request in tables.grid().take_requests() {
            more = true;
            let completion = disk.serve(request);
            tables.grid().completed(completion);
        }
        if !more {
            return true;
        }
    }
    panic!("they never come to rest");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let through = Through { last: LogPosition { term: 2, version: Version(30) }, ..Through::default() };
    let requests: Vec<(RequestId, Version)> =
        (1..4).map(|session| (RequestId { session, sequence: 5 }, Version(session + 20))).collect();
    let history = vec![(1_000_000i64, Version(3)), (70_000_000, Version(9))];
    let membership = Membership::founding(3);
    // Without a setting, and with one.
    let mark_with = |settings: &[(&[u8], &[u8])]| {
        encode(&(through, &membership, (&requests, Version(2)), &history, settings))
    };
    let (bare, mark) = (mark_with(&[]), mark_with(&[(b"\0\x04retention", b"5s")]));
    let rest = encode(&(through, &membership));
    let mut seed = Output::default();
    seed.byte(0).long(&mark).number(4).long(&rest);
    for what in [1, 0, 65, 2] {
        seed.byte(what).number(90_000_000).number(2).number(7).short(b"key").number(25).number(30);
    }
    let mut setting = Output::default();
    setting.byte(0).long(&bare).number(4).long(&rest);
    setting.byte(1).number(90_000_000).number(2).number(7).short(b"\0\x04retention").number(25).number(30);
    let mut other = Output::default();
    other.byte(1).long(&mark).number(0).long(&decode::<Vec<u8>>(&[0]).expect("no bytes"));
    vec![seed.0, setting.0, other.0]
}
