//! Tables that have lost something get it from another tree of the same history.

use super::durability::model_of;
use super::machine::{Change, Machine, numbers};
use super::*;
use crate::writer::{Room, TableIds, write_tables};

/// Reads all tables from end to end; patches for those that are damaged.
fn patches_for(machine: &mut Machine) -> Vec<Patch> {
    for _ in 0..machine.tree.levels().tables().count() {
        machine.tree.scrub_next();
        machine.settle();
    }
    let scrubbed = machine.events.drain(..).filter_map(|event| match event {
        TreeEvent::Scrubbed(scrubbed) if !scrubbed.damaged.is_empty() => Some(scrubbed),
        _ => None,
    });
    scrubbed.map(|scrubbed| Patch::new(&scrubbed)).collect()
}

/// Fills a patch, so many bytes at a time.
fn fill(patch: &mut Patch, peer: &mut Machine, len_max: usize) {
    while let Some(question) = patch.question() {
        let snapshot = peer.tree.snapshot();
        let piece = peer.run(snapshot.patch(&question, len_max)).unwrap();
        patch.fill(&piece).unwrap();
    }
}

/// Mends all tables, one after the other, from what a peer has; how many there were.
fn mend(machine: &mut Machine, peer: &mut Machine, len_max: usize) -> usize {
    let mut patches = patches_for(machine);
    let count = patches.len();
    patches.iter_mut().for_each(|patch| fill(patch, peer, len_max));
    let horizon = patches.iter().map(|patch| patch.horizon().0).max().unwrap_or(0);
    machine.horizon = machine.horizon.max(horizon);
    while !patches.is_empty() {
        machine.tree.mend(patches.clone());
        machine.settle();
        let left = patches.len();
        for event in machine.events.drain(..) {
            match event {
                TreeEvent::Mended(table) => patches.retain(|patch| patch.table() != table),
                TreeEvent::NotMended(_) => panic!("all gaps are known"),
                _ => {}
            }
        }
        assert!(patches.len() < left);
    }
    count
}

#[test]
fn a_row_whose_deletion_was_lost_does_not_come_back() {
    let mut changes: Vec<Change> = (0..40).map(|key| (key, Some(400))).collect();
    changes.extend((0..40).map(|key| (key, None)));
    // The rows lie deep, their deletions on top of them.
    let mut machine = Machine::new(200);
    machine.add(&changes[..40], 0);
    machine.settle();
    machine.add(&changes, 40);
    while !machine.tree.can_freeze() && machine.turn() {}
    machine.tree.freeze(80u64.to_be_bytes()[..].into());
    machine.settle();
    let deletions = machine.tree.levels().tables().find(|table| table.head.deletions > 0).cloned().unwrap();
    machine.flip(u64::from(deletions.cells.first * CELL_SECTORS));
    // Nobody can see them at the peer, whose tables have forgotten both.
    let mut peer = Machine::in_life(200, 9);
    peer.horizon = 80;
    peer.tree.set_horizon(Version(80));
    assert_eq!(mend(&mut machine, &mut peer, 100), 1);
    machine.check_at(&model_of(&changes), 80);
    assert_eq!(machine.scrub(), []);
}

#[test]
fn a_row_whose_deletion_was_forgotten_here_does_not_come_back() {
    let mut changes: Vec<Change> = (0..8).map(|key| (key * 7, Some(20_000))).collect();
    changes.extend([(0, None), (28, None)]);
    let mut machine = Machine::new(200);
    machine.add(&changes, 0);
    while !machine.tree.can_freeze() && machine.turn() {}
    machine.tree.freeze(10u64.to_be_bytes()[..].into());
    (machine.horizon, _) = (10, machine.tree.set_horizon(Version(10)));
    // Later rows make it merge what there is, and forget.
    for (number, key) in (11..40).zip((1..8).cycle()) {
        machine.put(number, (key * 7 + 6, Some(20_000)));
        machine.freeze_if_full(number);
        machine.settle();
    }
    let table = machine.tree.levels().tables().find(|table| table.covers(&key(7))).cloned().unwrap();
    assert!(table.head.newest <= Version(8), "{:?}", table.head);
    machine.flip(u64::from(table.cells.first * CELL_SECTORS));
    drop(table);
    let mut peer = Machine::in_life(200, 9);
    (1..).zip(&changes).for_each(|(number, change)| peer.put(number, *change));
    assert_eq!(mend(&mut machine, &mut peer, 100), 1);
    assert_eq!(machine.horizon, 10);
    let snapshot = machine.tree.snapshot();
    for number in 0..8 {
        let row = machine.run(snapshot.get(&key(number * 7), Version(10))).unwrap();
        assert_eq!(row.is_some(), number % 4 != 0);
    }
}

/// A table of these records, by the numbers of keys, versions and lengths of values.
fn table(machine: &mut Machine, id: u64, records: &[(u8, u64, usize)]) -> Run {
    let memory = MemTable::default();
    for (number, version, len) in records {
        let value = Arc::from(&value(*version, *len)[..]);
        memory.add(&key(*number)[..].into(), Version(*version), Some(value));
    }
    let grid = machine.grid.clone();
    let room = Room { table_cells_max: 1, left: 0 };
    let retention = Retention::new(Version::ZERO, false);
    machine
        .run(write_tables(
            &grid,
            [Source::memory(&memory, Version(u64::MAX))].into(),
            retention,
            TableIds(id),
            room,
        ))
        .unwrap()
}

#[test]
fn a_row_that_only_deeper_tables_have_stays_what_it_is_there() {
    let mut machine = Machine::new(60);
    // The first of them spans a key of which the deeper one has a newer version than any of its own.
    let upper = table(&mut machine, 1 << 50, &[(0, 10, 50), (14, 20, 50)]);
    let lower = table(&mut machine, 1 << 51, &[(7, 90, 50)]);
    machine.flip(u64::from(upper[0].cells.first * CELL_SECTORS + upper[0].head.index.offset));
    machine.tree.set_levels(Levels { levels: [upper, lower].into(), ..Levels::default() });
    let mut peer = Machine::in_life(60, 9);
    for (number, version) in [(0, 10), (7, 15), (14, 20), (7, 90)] {
        peer.put(version, (number, Some(50)));
    }
    assert_eq!(mend(&mut machine, &mut peer, 1000), 1);
    let snapshot = machine.tree.snapshot();
    for (number, version) in [(0, 10), (7, 90), (14, 20)] {
        let found = machine.run(snapshot.get(&key(number), Version(100))).unwrap();
        assert_eq!(found.as_deref(), Some(&value(version, 50)[..]), "{number}");
    }
}

#[test]
fn a_table_that_can_be_read_again_is_no_longer_damaged() {
    let mut machine = Machine::new(60);
    machine.add(&[(0, Some(50))], 0);
    machine.tree.freeze(1u64.to_be_bytes()[..].into());
    machine.settle();
    let table = machine.tree.levels().tables().next().cloned().unwrap();
    let sector = u64::from(table.cells.first * CELL_SECTORS);
    machine.flip(sector);
    assert_eq!(patches_for(&mut machine).len(), 1);
    assert!(machine.tree.is_damaged());
    machine.flip(sector);
    assert_eq!(patches_for(&mut machine).len(), 0);
    assert!(!machine.tree.is_damaged());
}

#[test]
fn answers_that_are_not_what_was_asked_for_are_refused() {
    let changes: Vec<Change> = (0..40).map(|key| (key, Some(100))).collect();
    let mut machine = Machine::new(200);
    machine.add(&changes, 0);
    machine.tree.freeze(40u64.to_be_bytes()[..].into());
    machine.settle();
    let table = machine.tree.levels().tables().next().cloned().unwrap();
    machine.flip(u64::from(table.cells.first * CELL_SECTORS));
    let patch = patches_for(&mut machine).pop().unwrap();
    let question = patch.question().unwrap();
    let mut peer = Machine::in_life(200, 9);
    peer.add(&changes, 0);
    peer.put(41, (39, Some(10)));
    peer.put(42, (50, Some(10)));
    let mut answer = |asked: &PatchQuestion| {
        let snapshot = peer.tree.snapshot();
        let piece = peer.run(snapshot.patch(asked, 100_000)).unwrap();
        patch.clone().fill(&piece)
    };
    assert_eq!(answer(&question), Ok(()));
    let newer = Version(41);
    let of_newer_versions = PatchQuestion { version: newer, newest: newer, ..question.clone() };
    let of_later_keys = PatchQuestion { newest: Version(42), last: [0xff][..].into(), ..question.clone() };
    for asked in [of_newer_versions, of_later_keys] {
        assert_eq!(answer(&asked), Err(NotFilled::Different));
    }
}

/// The horizon may lie beyond what was flushed, and what comes from a peer goes up to it.
#[test]
fn a_range_that_was_deleted_after_the_last_flush_stays_so_when_tables_are_mended() {
    let add = |machine: &mut Machine| {
        for version in 1..=20 {
            machine.put(version, (version as u8, Some(50)));
        }
    };
    let (mut machine, mut peer) = (Machine::new(60), Machine::in_life(60, 9));
    add(&mut machine);
    machine.tree.freeze(20u64.to_be_bytes()[..].into());
    machine.settle();
    add(&mut peer);
    for machine in [&mut machine, &mut peer] {
        machine.put(21, (30, Some(50)));
        machine.tree.delete_range(&KeyRange::single(&key(30)), Version(22));
        machine.put(30, (1, Some(60)));
    }
    machine.horizon = 30;
    machine.tree.set_horizon(Version(30));
    let table = machine.tree.levels().tables().next().cloned().unwrap();
    machine.flip(u64::from(table.cells.first * CELL_SECTORS));
    drop(table);
    assert_eq!(mend(&mut machine, &mut peer, 100_000), 1);
    machine.tree.freeze(30u64.to_be_bytes()[..].into());
    machine.settle();
    for _ in 0..2 {
        machine.tree.rest();
        machine.settle();
    }
    let snapshot = machine.tree.snapshot();
    assert_eq!(machine.run(snapshot.get(&key(30), Version(30))), Ok(None));
    assert!(machine.run(snapshot.get(&key(1), Version(30))).unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// Two trees of the same history, of which one forgets sooner and has other tables; bits of the other one's flip.
    #[test]
    fn whatever_is_lost_comes_from_another_tree(
        changes in prop::collection::vec((numbers(), prop::option::weighted(0.7, prop_oneof![
            3 => 0usize..2500,
            // Tables of a few rows, so that levels have many.
            1 => 8_000usize..30_000,
        ])), 60..300),
        lag in 0u64..100,
        pauses in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        flips in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::of(any::<prop::sample::Index>())), 1..6),
        len_max in 1usize..20_000,
        version in any::<prop::sample::Index>(),
    ) {
        let model = model_of(&changes);
        let now = changes.len() as u64;
        let mut machine = Machine::new(600);
        machine.add(&changes, 0);
        machine.settle();
        let mut peer = Machine::in_life(600, 9);
        for (number, change) in (1..).zip(&changes) {
            peer.put(number, *change);
            peer.tree.set_horizon(Version(number.saturating_sub(lag)));
            if peer.tree.can_freeze() && pauses.iter().any(|pause| pause.index(changes.len()) as u64 == number) {
                peer.tree.freeze(number.to_be_bytes()[..].into());
            }
            peer.freeze_if_full(number);
            peer.turn();
        }
        peer.settle();
        let tables: Vec<_> = machine.tree.levels().tables().cloned().collect();
        for (table, sector) in flips.iter().filter(|_| !tables.is_empty()) {
            let table = &tables[table.index(tables.len())];
            // Without its index, nothing of a table is left.
            let sector = sector.map_or(table.head.index.offset.into(), |sector| sector.index(table.head.sectors as usize) as u64);
            machine.flip(u64::from(table.cells.first * CELL_SECTORS) + sector);
        }
        drop(tables);
        mend(&mut machine, &mut peer, len_max);
        let horizon = machine.horizon.max(now.saturating_sub(lag));
        prop_assert!(machine.horizon <= horizon);
        for version in [now, machine.horizon, machine.horizon + version.index((now - machine.horizon + 1) as usize) as u64] {
            machine.check_at(&model, version);
        }
        prop_assert_eq!(machine.scrub(), []);
        machine.check_cells();
        // And so it goes on, and is after a crash.
        let more: Vec<Change> = [&changes[..], &changes[..60]].concat();
        machine.add(&more, now);
        machine.settle();
        machine.check(&model_of(&more), more.len() as u64);
        machine.crash();
        let opened = machine.opened();
        machine.check_at(&model_of(&more[..opened as usize]), opened);
    }
}
