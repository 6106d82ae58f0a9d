//! How long old versions are kept, and settings.

use super::*;

#[test]
fn what_is_older_than_the_retention_is_refused_at_once() {
    let mut changes = rewritten(2000);
    let mut machine = Machine::new(1);
    machine.apply(&ledger(&changes));
    let old = Version(500);
    assert_eq!(machine.rows(old), model(&ledger(&changes), old));
    // One that begins to read in time gets to its end.
    let reader = machine.tables.snapshot().as_of(old);
    changes.push((SETTING, Some(0)));
    machine.apply(&ledger(&changes)[2000..]);
    assert_eq!(machine.tables.oldest_version(), Version(1001));
    let late = machine.tables.snapshot().as_of(old);
    assert_eq!(machine.run(late.get(&[3])), Err(ReadError::Forgotten(old)));
    assert!(machine.run(reader.get(&[3])).is_ok_and(|row| row.is_some()));
    // What is forgotten stays so, however long later versions are kept: those of the last minute, from 1801 on.
    changes.push((SETTING, Some(5000)));
    changes.extend(rewritten(3000));
    machine.apply(&ledger(&changes)[2001..]);
    assert_eq!(machine.tables.oldest_version(), Version(1801));
}

#[test]
fn a_shorter_retention_gives_space_back() {
    let mut changes = rewritten(20_000);
    let disk_len = |changes: &[_]| {
        let mut machine = Machine::new(1);
        machine.apply(&ledger(changes));
        machine.tables.freeze();
        machine.settle();
        machine.tables.disk_len()
    };
    let before = disk_len(&changes);
    changes[10_000] = (SETTING, Some(0));
    let after = disk_len(&changes);
    assert!(after < before / 2, "{after} of {before} bytes");
}

#[test]
fn settings_are_known_from_the_start_even_if_no_entry_is_applied_again() {
    let mut changes = vec![(SETTING, Some(48 * 60))];
    changes.extend(rewritten(2000));
    let (ledger, mut machine) = (ledger(&changes), Machine::new(1));
    machine.apply(&ledger);
    while !machine.tables.freeze() {
        machine.turn();
    }
    machine.settle();
    machine.restart(&ledger, 2);
    assert_eq!(machine.tables.version(), Version(2001));
    assert_eq!(machine.tables.settings().retention_micros(), 48 * 3600 * 1_000_000);
}

#[test]
fn old_versions_go_when_more_of_the_disk_is_taken_than_they_may_have() {
    let mut machine = Machine::new(1);
    let mut ledger = ledger(&rewritten(2000));
    machine.apply(&ledger);
    machine.tables.freeze();
    machine.settle();
    assert!(machine.tables.oldest_version() <= Version(1));
    let last = ledger.last().unwrap();
    let key = crate::settings::RETENTION_DISK_SHARE.key();
    let commit = Commit {
        request: RequestId { session: 1, sequence: 3000 },
        origin: Origin { node: NodeId(1) },
        read_version: last.version,
        reads: Vec::new(),
        deletes: Vec::new(),
        writes: [Write { key: key.into(), value: Some(b"0%"[..].into()) }].into(),
    };
    let position = LogPosition { term: 1, version: last.version.next() };
    let payload = Payload::Commit(Arc::new(commit));
    ledger.push(Entry::new(position, last.wall_micros + 1000, last.digest(), payload));
    machine.apply(&ledger[2000..]);
    assert_eq!(machine.tables.oldest_version(), Version(1001));
}
