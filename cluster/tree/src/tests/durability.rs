//! A tree loses nothing that its root named, whenever the power fails, and serves nothing wrong, whatever decays.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use cluster_format::{KeyRange, Version};
use drivers_api::SECTOR_SIZE;
use proptest::prelude::*;

use super::machine::{Change, Machine, RANGE, START, numbers, range};
use super::{Model, in_model, key, value};
use crate::*;

pub(super) fn model_of(changes: &[Change]) -> Model {
    let mut model = Model::new();
    for (version, (number, len)) in (1..).zip(changes) {
        if *number >= RANGE {
            let deleted = range(*number);
            let inside = model.iter_mut().filter(|(key, _)| deleted.contains(key));
            inside.for_each(|(_, versions)| _ = versions.insert(version, None));
            continue;
        }
        model.entry(key(*number)).or_default().insert(version, len.map(|len| value(version, len)));
    }
    model
}

fn changes(count: usize) -> impl Strategy<Value = Vec<Change>> {
    let len =
        prop_oneof![6 => (0..300usize).prop_map(Some), 1 => (0..12_000usize).prop_map(Some), 2 => Just(None)];
    proptest::collection::vec((numbers(), len), 1..count)
}

/// The same sixty keys again and again, each set to so many bytes.
fn overwriting(count: u64, len: usize) -> Vec<Change> {
    (0..count).map(|at| ((at * 37 % 60) as u8, Some(len))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn whatever_happened_before_the_last_root_survives_power_failures(
        changes in changes(400),
        crashes in proptest::collection::vec((1..400u64, 0..40u32), 0..4),
    ) {
        let (mut machine, model) = (Machine::new(60), model_of(&changes));
        let (mut version, mut cells) = (0, 60);
        for (requests, more) in crashes {
            machine.requests_max = machine.requests + requests;
            machine.add(&changes, version);
            (0..2).for_each(|_| machine.tree.rest());
            machine.settle();
            cells += more;
            machine.crash_and_resize(cells);
            version = machine.opened();
            machine.check(&model, version);
            machine.check_cells();
        }
        machine.add(&changes, version);
        machine.check(&model, changes.len() as u64);
        machine.check_cells();
        machine.check(&model, changes.len() as u64);
        (0..2).for_each(|_| machine.tree.rest());
        machine.check_cells();
        prop_assert!(machine.tree.levels().young.len() <= 1 || machine.tree.is_nearly_full(0));
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
    let number = |at: u64| if at % 40 == 39 { RANGE + (at % 190) as u8 } else { (at * 37 % 60) as u8 };
    let changes: Vec<Change> =
        (0..500).map(|at| (number(at), (at % 5 > 0).then_some((at * 53 % 700) as usize))).collect();
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
    for (number, change) in (1..).zip(&changes) {
        machine.put(number, *change);
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
    // All versions are kept.
    let changes = overwriting(8000, 300);
    let model = model_of(&changes);
    let mut machine = Machine::new(24);
    let mut version = machine.fill_up(&changes);
    assert!(machine.events.contains(&TreeEvent::Full));
    for at in [1, version / 2, version] {
        machine.check_at(&model, at);
    }
    machine.tree.advance();
    assert!(machine.is_stuck(), "it stays so");
    // Nobody wants the old versions any more.
    machine.horizon = version;
    machine.tree.set_horizon(Version(version));
    assert!(!machine.is_stuck(), "there is room again");
    machine.check_at(&model, version);
    machine.crash();
    version = machine.opened();
    machine.add(&changes, version);
    assert!(!machine.is_stuck());
    machine.check_at(&model, changes.len() as u64);
    machine.check_cells();
}

#[test]
fn a_full_disk_that_grows_has_room_and_one_that_shrinks_is_refused() {
    let changes = overwriting(16_000, 300);
    let model = model_of(&changes);
    let mut machine = Machine::new(24);
    // All versions are kept.
    let version = machine.fill_up(&changes);
    machine.crash_and_resize(200);
    let durable = machine.opened();
    assert_eq!(machine.grid.cells(), 200);
    machine.check_cells();
    [1, durable / 2, durable].iter().for_each(|at| machine.check_at(&model, *at));
    for number in durable + 1..=2 * version {
        machine.put(number, changes[number as usize - 1]);
        machine.freeze_if_full(number);
        assert!(!machine.is_stuck(), "twice as much fits");
    }
    [1, version, 2 * version].iter().for_each(|at| machine.check_at(&model, *at));
    // The tables' owner knows how large the disk was. Did it not, nothing would be made up.
    machine.crash_and_resize(24);
    machine.settle();
    assert_eq!(machine.events, [TreeEvent::NotOpened(OpenError::Damaged)]);
    assert_eq!(machine.grid.free_cells(), 24);
}

#[test]
fn a_full_disk_that_grows_beneath_the_tree_has_room_at_once() {
    let changes = overwriting(16_000, 300);
    let model = model_of(&changes);
    let mut machine = Machine::new(24);
    let version = machine.fill_up(&changes);
    machine.grow(200);
    assert!(!machine.is_stuck(), "what found no room has begun again by itself");
    for number in version + 1..=2 * version {
        machine.put(number, changes[number as usize - 1]);
        machine.freeze_if_full(number);
        assert!(!machine.is_stuck(), "twice as much fits");
    }
    [1, version, 2 * version].iter().for_each(|at| machine.check_at(&model, *at));
    machine.check_cells();
}

/// What was full begins again when the disk grows: the power fails at each request of that.
#[test]
fn the_power_may_fail_at_any_moment_after_the_disk_has_grown() {
    let changes = overwriting(8000, 300);
    let model = model_of(&changes);
    let mut requests_after = 0..;
    loop {
        let mut machine = Machine::new(24);
        let version = machine.fill_up(&changes);
        let before = machine.root.clone();
        let after = requests_after.next().expect("there is always one more");
        (machine.requests, machine.requests_max) = (0, after);
        machine.grow(60);
        machine.settle();
        let has_ended = machine.requests < after;
        machine.crash();
        // As long as the root is the old one, so may the disk be: that it has grown need not have been durable.
        if machine.root == before && after % 2 == 0 {
            machine.crash_and_resize(24);
        }
        let durable = machine.opened();
        machine.check_cells();
        [1, durable].iter().for_each(|at| machine.check_at(&model, *at));
        for number in durable + 1..=version {
            machine.put(number, changes[number as usize - 1]);
            machine.freeze_if_full(number);
            machine.settle();
        }
        machine.check_at(&model, version);
        if has_ended {
            assert!(after > 10, "more than {after} requests come of it");
            return;
        }
    }
}

#[test]
fn a_snapshot_stays_what_it_is_while_everything_is_replaced() {
    let changes = overwriting(2000, 100);
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
fn snapshots_that_are_kept_for_ever_do_not_fill_the_disk() {
    let changes = overwriting(6000, 300);
    let model = model_of(&changes);
    let mut machine = Machine::new(30);
    let mut kept = Vec::new();
    for end in (300..=6000).step_by(300) {
        machine.add(&changes[..end], end as u64 - 300);
        kept.push((end as u64, machine.tree.snapshot()));
    }
    machine.settle();
    assert!(!machine.events.contains(&TreeEvent::Full));
    machine.check(&model, 6000);
    let mut forgotten = 0;
    for (version, snapshot) in &kept {
        for number in 0..60 {
            match machine.run(snapshot.get(&key(number), Version(*version))) {
                Ok(found) => {
                    assert_eq!(found.map(|found| found.to_vec()), in_model(&model, &key(number), *version))
                }
                Err(error) => {
                    assert_eq!(error, ReadError::Forgotten(Version(*version)));
                    forgotten += 1;
                }
            }
        }
    }
    assert!(forgotten > 0, "or there was room for all of them");
    drop(kept);
    machine.settle();
    assert_eq!(machine.scrub(), []);
    machine.check_cells();
}

#[test]
fn a_broken_disk_ends_the_tree_and_loses_nothing_that_was_durable() {
    let changes = overwriting(400, 100);
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
    let changes = overwriting(400, 100);
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
fn a_sector_that_cannot_be_read_takes_nothing_else_with_it() {
    let mut machine = Machine::new(60);
    let changes: Vec<Change> = (0..60).map(|number| (number, Some(3000))).collect();
    machine.add(&changes, 0);
    while !machine.tree.can_freeze() && machine.turn() {}
    machine.tree.freeze([0; 8][..].into());
    machine.settle();
    let longest = machine.tree.levels().tables().max_by_key(|table| table.head.sectors).cloned().unwrap();
    let sector = u64::from(longest.cells.first * CELL_SECTORS + longest.head.sectors / 2);
    machine.disk.spoil_sector(START + sector);
    // From another frame on, whoever goes through the table reads ahead.
    let range = KeyRange { start: longest.head.first.clone(), end: [0xff][..].into() };
    machine.crash();
    machine.settle();
    let snapshot = machine.tree.snapshot();
    let mut count = 0;
    let error = loop {
        let (direction, most) = (Direction::Forward, Most::rows(count + 1));
        let asked = RangeRead { range: &range, version: Version(60), direction, most };
        match machine.run(snapshot.read(asked)) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    let (ReadError::Device(table, frame) | ReadError::Frame(table, frame, _)) = error else {
        panic!("{error}")
    };
    assert_eq!(table, longest.head.id);
    let lost = u64::from(longest.cells.first * CELL_SECTORS + frame.offset);
    assert!((lost..lost + u64::from(frame.sectors)).contains(&sector), "{frame:?} of {sector}");
}

#[test]
fn tables_of_a_deleted_range_go_without_being_read_even_from_a_full_disk() {
    let changes = overwriting(8000, 300);
    let mut machine = Machine::new(24);
    let version = machine.fill_up(&changes);
    let table = machine.tree.levels().tables().next().cloned().unwrap();
    machine.flip(u64::from(table.cells.first * CELL_SECTORS));
    drop(table);
    assert!(!machine.scrub().is_empty() && machine.tree.is_damaged());
    let rows = KeyRange { start: key(0).into(), end: [0xff][..].into() };
    machine.tree.delete_range(&rows, Version(version + 1));
    let snapshot = machine.tree.snapshot();
    assert!(machine.run(snapshot.get(&key(1), Version(version))).is_ok());
    assert_eq!(machine.run(snapshot.get(&key(1), Version(version + 1))), Ok(None));
    drop(snapshot);
    assert!(machine.is_stuck(), "somebody may read what was before");
    // It has to be durable before it counts; nothing else is in memory then.
    machine.horizon = version;
    machine.tree.set_horizon(Version(version));
    machine.settle();
    machine.tree.freeze((version + 1).to_be_bytes()[..].into());
    machine.settle();
    assert!(!machine.tree.levels().tombstones.is_empty());
    let requests = machine.requests;
    machine.horizon = version + 1;
    machine.tree.set_horizon(Version(version + 1));
    machine.settle();
    let flushed = Version(version + 1);
    assert_eq!(*machine.tree.levels().as_ref(), Levels { flushed, ..Levels::default() });
    assert!(!machine.tree.is_damaged());
    assert!(machine.requests - requests <= 3, "two manifests and a flush");
    machine.check_cells();
    machine.crash();
    assert_eq!(machine.opened(), version + 1);
    assert_eq!(machine.grid.free_cells(), 22);
}

#[test]
fn what_is_left_of_a_table_is_written_anew_without_the_rows_of_a_deleted_range() {
    let changes: Vec<Change> = (0..60).map(|number| (number, Some(1000))).collect();
    let mut machine = Machine::new(60);
    machine.add(&changes, 0);
    machine.settle();
    let deleted = KeyRange { start: key(7).into(), end: key(6).into() };
    machine.tree.delete_range(&deleted, Version(61));
    machine.tree.freeze(61u64.to_be_bytes()[..].into());
    machine.settle();
    machine.tree.set_horizon(Version(61));
    machine.settle();
    assert_eq!(machine.tree.levels().tombstones.len(), 1, "it waits for others, or until there is time");
    for _ in 0..2 {
        machine.tree.rest();
        machine.settle();
    }
    let levels = machine.tree.levels().clone();
    assert_eq!((levels.young.len(), levels.tombstones.len()), (0, 0), "{levels:?}");
    let records: u64 = levels.tables().map(|table| table.head.records).sum();
    let kept = (0..60).filter(|number| !deleted.contains(&key(*number))).count() as u64;
    assert_eq!(records, kept);
}

#[test]
fn the_space_of_a_range_is_that_of_its_parts() {
    let mut machine = Machine::new(200);
    // Some values are in frames of their own.
    let len = |at: u64| if at.is_multiple_of(5) { 20_000 } else { 900 };
    let changes: Vec<Change> = (0..400).map(|at| ((at * 37 % 60) as u8, Some(len(at)))).collect();
    machine.add(&changes, 0);
    machine.settle();
    let snapshot = machine.tree.snapshot();
    let mut of = |start: &[u8], end: &[u8]| {
        let range = KeyRange { start: start.into(), end: end.into() };
        machine.run(snapshot.disk_len(&range)).unwrap()
    };
    let all = snapshot.levels.disk_len();
    assert_eq!(of(&[], &[0xff]), all);
    assert_eq!((of(&[], &[1]), of(&[0xfe], &[0xff])), (0, 0));
    for number in 0..40 {
        let (before, behind) = (of(&[], &key(number)), of(&key(number), &[0xff]));
        assert_eq!(before + behind, all);
    }
    assert!(of(&key(0), &key(6)) > 0);
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
