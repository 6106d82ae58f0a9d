//! What a transaction has written, and what it tells the leader.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use cluster_format::limits::{KEY_LEN_MAX, RANGE_DELETES_MAX};

use super::*;

/// It was seen to be absent.
#[test]
fn an_insert_that_is_rolled_back_stays_read() {
    let mut machine = Machine::new(1);
    machine.settle();
    let mut transaction = Transaction::new(machine.tables.snapshot(), MemoryPool::new(1000).lease());
    let savepoint = transaction.savepoint();
    let inserted = machine.run(transaction.insert(&b"a"[..].into(), b"1"[..].into()));
    assert_eq!(inserted, Ok(true));
    transaction.restore(savepoint);
    let (commit, _) =
        transaction.into_commit(RequestId { session: 1, sequence: 1 }, Origin { node: NodeId(1) });
    assert_eq!((commit.reads, commit.writes), ([KeyRange::single(b"a")].into(), Vec::new()));
}

#[test]
fn a_transaction_sees_the_ranges_that_it_has_deleted() {
    let mut machine = Machine::new(1);
    machine.apply(&ledger(&(0..40).map(|key| (key, Some(10))).collect::<Vec<_>>()));
    let mut transaction = Transaction::new(machine.tables.snapshot(), MemoryPool::new(10_000).lease());
    let all = KeyRange { start: [][..].into(), end: [0xff][..].into() };
    let some = KeyRange { start: [10][..].into(), end: [20][..].into() };
    transaction.put(&[11], b"old").unwrap();
    transaction.put(&[25], b"new").unwrap();
    let savepoint = transaction.savepoint();
    assert_eq!(transaction.delete_range(&some), Ok(true));
    transaction.put(&[12], b"again").unwrap();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut scan = transaction.scan(all.clone(), direction);
        let rows = machine.run(scan.next_batch(&transaction)).unwrap();
        let mut keys: Vec<u8> = rows.iter().map(|(key, _)| key[0]).collect();
        keys.sort();
        // Of the changes, the seventh is of the members.
        let left = (0..40).filter(|key| *key != 6 && (*key == 12 || !some.contains(&[*key])));
        assert_eq!(keys, left.collect::<Vec<_>>());
    }
    assert_eq!(machine.run(transaction.get(&[11])), Ok(None));
    assert_eq!(machine.run(transaction.get(&[12])), Ok(Some(b"again"[..].into())));
    assert_eq!(machine.run(transaction.insert(&[13][..].into(), b"free"[..].into())), Ok(true));
    transaction.restore(savepoint);
    assert_eq!(machine.run(transaction.get(&[11])), Ok(Some(b"old"[..].into())));
    assert_eq!(transaction.delete_range(&some), Ok(true));
    let longer = KeyRange { start: [15][..].into(), end: [22][..].into() };
    assert_eq!(transaction.delete_range(&longer), Ok(true));
    let (commit, _) =
        transaction.into_commit(RequestId { session: 1, sequence: 1 }, Origin { node: NodeId(1) });
    assert_eq!(commit.deletes, [KeyRange { start: some.start, end: longer.end }]);
    assert_eq!(commit.writes, [Write { key: [25][..].into(), value: Some(b"new"[..].into()) }]);
}

/// Rows that it has written between few that are stored, and behind them: however many, they come as they are asked for.
#[test]
fn a_scan_gives_no_more_rows_than_asked_for_where_the_transaction_has_written() {
    let mut machine = Machine::new(1);
    machine.apply(&ledger(&(0..40).step_by(4).map(|key| (key, Some(10))).collect::<Vec<_>>()));
    let mut transaction = Transaction::new(machine.tables.snapshot(), MemoryPool::new(100_000).lease());
    let all = KeyRange { start: [][..].into(), end: [0xff][..].into() };
    let mut before = transaction.scan(all.clone(), Direction::Forward);
    let mut expected: BTreeMap<_, _> =
        machine.run(before.next_batch(&transaction)).unwrap().into_iter().collect();
    for key in (0..100).filter(|key| key % 3 == 0) {
        transaction.put(&[key], b"new").unwrap();
        expected.insert([key][..].into(), b"new"[..].into());
    }
    for key in [8, 9, 99] {
        transaction.delete(&[key]).unwrap();
        expected.remove(&[key][..]);
    }
    let rows = (1..=7).chain([1000]).map(Most::rows);
    for most in rows.chain([Most { rows: 1000, len: 10 }]) {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut scan = transaction.scan(all.clone(), direction);
            let (mut found, mut goes_on) = (Vec::new(), true);
            while goes_on {
                let mut some: Vec<Row> = Vec::new();
                goes_on = machine.run(scan.next_into(&transaction, most, &mut some)).unwrap();
                assert!(some.len() <= most.rows);
                let but_last = some.split_last().map_or(&[][..], |(_, others)| others);
                assert!(
                    but_last.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() < most.len
                );
                found.append(&mut some);
            }
            if direction == Direction::Backward {
                found.reverse();
            }
            assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>(), "{most:?} {direction:?}");
        }
    }
}

#[test]
fn ranges_that_are_too_many_or_too_long_are_refused() {
    let mut machine = Machine::new(1);
    machine.settle();
    let snapshot = machine.tables.snapshot();
    let mut transaction = Transaction::new(snapshot.clone(), MemoryPool::new(100_000).lease());
    let range = |number: usize| {
        let number = 2 * number as u16;
        KeyRange { start: number.to_be_bytes()[..].into(), end: (number + 1).to_be_bytes()[..].into() }
    };
    for number in 0..RANGE_DELETES_MAX {
        assert_eq!(transaction.delete_range(&range(number)), Ok(true));
    }
    assert_eq!(transaction.delete_range(&range(RANGE_DELETES_MAX)), Ok(false));
    let long = KeyRange { start: [][..].into(), end: [7; KEY_LEN_MAX + 2][..].into() };
    let mut transaction = Transaction::new(snapshot.clone(), MemoryPool::new(100_000).lease());
    let refused = transaction.delete_range(&long);
    assert_eq!(refused, Err(StoreError::KeyTooLong { len: KEY_LEN_MAX + 2 }));
    let mut reading = Transaction::reading(snapshot, MemoryPool::new(100_000).lease());
    assert_eq!(reading.delete_range(&range(1)), Err(StoreError::ReadOnly));
}

/// Gives these tables for whatever could not be read.
struct Gives(Snapshot);

impl Mending for Gives {
    fn mended(&self, _: ReadError) -> Mended<'_> {
        Box::pin(core::future::ready(Some(self.0.clone())))
    }
}

/// As another node's may be, for a while.
#[test]
fn a_read_that_met_damage_does_not_go_on_with_older_tables() {
    let ledger = ledger(&rewritten(40));
    let mut machine = Machine::new(1);
    machine.apply(&ledger);
    while !machine.tables.freeze() {
        machine.turn();
    }
    machine.settle();
    // They have no disk, which nobody would serve here.
    let as_far_as = |count: usize| {
        let mut tables = Tables::in_memory();
        ledger[..count].iter().for_each(|entry| tables.apply(entry).unwrap());
        Arc::new(Gives(tables.snapshot()))
    };
    (64..16 * 2048).for_each(|sector| machine.disk.spoil_sector(sector));
    let damaged = machine.tables.snapshot();
    let read = machine.run(damaged.clone().mended_by(as_far_as(40)).get(&[3]));
    assert!(read.is_ok_and(|row| row.is_some()), "these have come as far");
    let read = machine.run(damaged.mended_by(as_far_as(20)).get(&[3]));
    assert!(read.is_err(), "these have not");
}

/// What was read of them once is kept, but never beyond a change.
#[test]
fn rows_of_the_system_are_those_of_the_version_however_often_they_are_read() {
    let mut machine = Machine::new(1);
    let changes: Vec<(u8, Option<usize>)> =
        (0..60u8).map(|at| (at % 3, (at % 5 != 0).then_some(usize::from(at) + 1))).collect();
    let mut snapshots = Vec::new();
    for entry in ledger(&changes) {
        machine.apply(&[entry]);
        snapshots.push(machine.tables.snapshot());
        let back = snapshots.len() / 2;
        snapshots.push(machine.tables.snapshot().as_of(snapshots[back].version()));
    }
    for _ in 0..2 {
        for snapshot in &snapshots {
            let rows = machine.rows(snapshot.version());
            for key in 0..3u8 {
                let found = machine.run(snapshot.get(&[key])).unwrap();
                assert_eq!(found.as_deref(), rows.get(&[key][..]).map(Vec::as_slice));
            }
        }
    }
}
