//! Damage of every kind, at every place, and its repair.

use super::*;
use crate::record::{HEADER_LEN, Header};

/// A record as it was written: its first sector, and what of the disk it depends on.
fn extents(disk: &Disk) -> Vec<(u64, core::ops::Range<usize>)> {
    let mut sector = RECORDS_START;
    let mut found = Vec::new();
    while let Some(header) = Header::parse(&disk.bytes[sector as usize * SECTOR_SIZE..]) {
        found.push((sector, Disk::range(sector, HEADER_LEN + header.payload_len)));
        sector += header.sectors();
    }
    found
}

/// Records of every kind: entries, a vote, a long one, one that replaces, a seal.
fn varied() -> (Disk, Vec<Arc<Entry>>) {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let mut log = entries(LogEnd::default(), 1, 2, 50);
    append(&mut journal, &mut disk, committed(0), &log);
    append(&mut journal, &mut disk, committed(2), &[]);
    let replaced = entries(end_of(&log), 1, 1, 1500);
    append(&mut journal, &mut disk, committed(2), &replaced);
    let newer = entries(end_of(&log), 2, 2, 20);
    append(&mut journal, &mut disk, committed(2), &newer);
    log.extend(newer);
    let more = entries(end_of(&log), 2, 3, 200);
    append(&mut journal, &mut disk, committed(4), &more);
    log.extend(more);
    append(&mut journal, &mut disk, committed(7), &[]);
    (disk, log)
}

#[test]
fn damage_to_any_sector_is_told_exactly() {
    let (pristine, log) = varied();
    let records = open(&mut pristine.clone()).unwrap().1;
    let extents = extents(&pristine);
    assert_eq!(records.len(), extents.len());
    let last = extents.last().unwrap().0;
    for sector in RECORDS_START..=last {
        for kind in 0..6 {
            let mut disk = pristine.clone();
            match kind {
                0 => disk.sector(sector).fill(0),
                1 => disk.sector(sector)[0] ^= 1,
                2 => disk.sector(sector)[SECTOR_SIZE - 1] ^= 0x80,
                3 => disk.sector(sector).fill(0xff),
                // A record that was meant for elsewhere.
                4 => disk.bytes.copy_within(Disk::range(last, SECTOR_SIZE), sector as usize * SECTOR_SIZE),
                _ => assert!(disk.unreadable.insert(sector)),
            }
            let intact = |index: usize| {
                let (first, bytes) = &extents[index];
                let unreadable =
                    kind == 5 && (*first..=*first + (bytes.len() / 512) as u64).contains(&sector);
                !unreadable && disk.bytes[bytes.clone()] == pristine.bytes[bytes.clone()]
            };
            let expected: Vec<Record> = (0..records.len())
                .filter(|index| intact(*index))
                .map(|index| Record {
                    after_damage: index > 0 && !intact(index - 1),
                    ..records[index].clone()
                })
                .collect();
            let lost = records.len() - expected.len();
            assert!(lost <= 1 && (lost == 1 || kind < 4 || sector == last), "sector {sector}, kind {kind}");
            let (mut journal, found) = open(&mut disk).unwrap();
            assert_eq!(found, expected, "sector {sector}, kind {kind}");
            assert_eq!(journal.log_end(), end_of(&log));
            for first in 1..=log.len() {
                let found = read(&mut journal, &mut disk, first as u64, u64::MAX);
                assert!(log[first - 1..].starts_with(&found), "nothing false is read");
                assert!(lost == 1 || found == log[first - 1..], "nothing intact is missing");
            }
        }
    }
}

/// Ten records of an entry each and a seal, of which those numbered `lost` are damaged.
fn with_hole(commit: u64, lost: core::ops::Range<usize>) -> (Disk, Vec<Arc<Entry>>) {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let log = entries(LogEnd::default(), 1, 10, 400);
    for entry in &log {
        append(&mut journal, &mut disk, committed(commit), core::slice::from_ref(entry));
    }
    append(&mut journal, &mut disk, committed(commit), &[]);
    let places = extents(&disk);
    for record in lost {
        disk.sector(places[record - 1].0)[100] ^= 1;
    }
    (disk, log)
}

#[test]
fn a_hole_is_filled_piece_by_piece() {
    for commit in [0, 2, 3] {
        let (mut disk, log) = with_hole(commit, 4..7);
        let (mut journal, records) = open(&mut disk).unwrap();
        let after: Vec<bool> = records.iter().map(|record| record.after_damage).collect();
        assert_eq!(after, [false, false, false, true, false, false, false, false]);
        let certain = commit as usize;
        assert_eq!(read(&mut journal, &mut disk, 1, 10), log[..certain], "behind the commit index is doubt");
        assert!(read(&mut journal, &mut disk, 4, 10).is_empty());
        assert_eq!(read(&mut journal, &mut disk, 7, 10), log[6..], "what is intact behind the hole");
        append(&mut journal, &mut disk, committed(commit), &log[3..5]);
        assert_eq!(journal.log_end(), end_of(&log));
        assert_eq!(read(&mut journal, &mut disk, 1, 10), log[..5], "entry 4 repeats the digest of entry 3");
        append(&mut journal, &mut disk, committed(commit), &log[5..6]);
        for reopen in [true, false] {
            assert_eq!(read(&mut journal, &mut disk, 1, 10), log);
            assert_eq!(read(&mut journal, &mut disk, 5, 8), log[4..8]);
            assert_eq!(journal.log_end(), end_of(&log));
            assert!(has(&journal, Mark::HoleFilled) && has(&journal, Mark::DamagedRegion));
            if reopen {
                journal = open(&mut disk).unwrap().0;
            }
        }
        let more = entries(end_of(&log), 1, 2, 10);
        append(&mut journal, &mut disk, committed(commit), &more);
        assert_eq!(read(&mut journal, &mut disk, 1, 12), [log, more].concat());
    }
}

#[test]
fn entries_that_overlap_what_is_intact_behind_a_hole_keep_it() {
    let (mut disk, log) = with_hole(3, 4..7);
    let (mut journal, _) = open(&mut disk).unwrap();
    append(&mut journal, &mut disk, committed(3), &log[3..8]);
    for _ in 0..2 {
        assert_eq!(journal.log_end(), end_of(&log));
        assert_eq!(read(&mut journal, &mut disk, 1, 10), log);
        journal = open(&mut disk).unwrap().0;
    }
}

#[test]
fn another_history_replaces_what_is_behind_a_hole() {
    // If the term does not give it away, the digest does.
    for (term, count) in [(2, 1), (2, 3), (2, 5), (1, 3)] {
        let (mut disk, log) = with_hole(3, 4..7);
        let (mut journal, _) = open(&mut disk).unwrap();
        let fill = entries(end_of(&log[..3]), term, count, 10);
        append(&mut journal, &mut disk, committed(3), &fill);
        assert!(has(&journal, Mark::SuffixDropped));
        for _ in 0..2 {
            assert_eq!(journal.log_end(), end_of(&fill));
            assert_eq!(read(&mut journal, &mut disk, 1, 10), [&log[..3], &fill].concat());
            journal = open(&mut disk).unwrap().0;
        }
    }
}

#[test]
fn a_lost_end_is_noticed_by_the_seal() {
    let (mut disk, log) = with_hole(3, 9..11);
    let (mut journal, records) = open(&mut disk).unwrap();
    assert!(records.last().unwrap().after_damage);
    assert_eq!(records.last().unwrap().end, end_of(&log));
    append(&mut journal, &mut disk, committed(3), &log[8..9]);
    assert_eq!(journal.log_end(), end_of(&log), "an entry is still missing");
    append(&mut journal, &mut disk, committed(3), &log[9..]);
    assert_eq!(read(&mut journal, &mut disk, 1, 10), log);
}

#[test]
fn the_first_records_may_be_lost() {
    let (mut disk, log) = with_hole(0, 1..3);
    let (mut journal, records) = open(&mut disk).unwrap();
    assert!(records.len() == 9 && records[0].after_damage);
    assert!(read(&mut journal, &mut disk, 1, 10).is_empty());
    append(&mut journal, &mut disk, committed(0), &log[..2]);
    assert_eq!(read(&mut journal, &mut disk, 1, 10), log);
}

#[test]
fn entries_replaced_by_what_was_lost_are_not_read() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let old = entries(LogEnd::default(), 1, 5, 10);
    append(&mut journal, &mut disk, committed(2), &old);
    let new = entries(end_of(&old[..3]), 2, 3, 10);
    append(&mut journal, &mut disk, committed(2), &new[..1]);
    append(&mut journal, &mut disk, committed(2), &new[1..]);
    let lost = extents(&disk)[1].0;
    disk.sector(lost).fill(0);
    let (mut journal, records) = open(&mut disk).unwrap();
    assert!(records[1].after_damage);
    assert_eq!(read(&mut journal, &mut disk, 1, 6), old[..2], "entries 3 to 5 may have been replaced");
    assert_eq!(read(&mut journal, &mut disk, 5, 6), new[1..]);
    append(&mut journal, &mut disk, committed(2), &[old[2].clone(), new[0].clone()]);
    assert_eq!(read(&mut journal, &mut disk, 1, 6), [&old[..3], &new].concat());
}

#[test]
fn a_header_alone_proves_that_what_came_before_it_is_lost() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let log = entries(LogEnd::default(), 1, 3, 600);
    for entry in &log {
        append(&mut journal, &mut disk, state(1), core::slice::from_ref(entry));
    }
    let places = extents(&disk);
    disk.sector(places[2].0 + 1).fill(0);
    let (journal, records) = open(&mut disk.clone()).unwrap();
    assert!(records.len() == 2 && journal.log_end() == end_of(&log[..2]) && has(&journal, Mark::TornTail));
    disk.sector(places[1].0).fill(0);
    let (mut journal, records) = open(&mut disk).unwrap();
    let expected = Record { after_damage: true, ..recovered(state(1), &[], end_of(&log)) };
    assert_eq!(records[1..], [expected]);
    append(&mut journal, &mut disk, state(1), &log[1..]);
    let (mut journal, _) = open(&mut disk).unwrap();
    assert_eq!(read(&mut journal, &mut disk, 1, 3), log);
}

#[test]
fn what_a_header_alone_has_told_is_told_again_behind_later_records() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let log = entries(LogEnd::default(), 1, 2, 600);
    append(&mut journal, &mut disk, state(1), &log);
    append(&mut journal, &mut disk, state(1), &[]);
    append(&mut journal, &mut disk, state(1), &log[1..]);
    let places = extents(&disk);
    disk.sector(places[1].0).fill(0);
    disk.sector(places[2].0 + 1).fill(0);
    let (mut journal, _) = open(&mut disk).unwrap();
    assert_eq!(read(&mut journal, &mut disk, 1, 2), log, "the log ends where it did before the damage");
    let newer = entries(end_of(&log[..1]), 2, 1, 10);
    append(&mut journal, &mut disk, state(2), &newer);
    for _ in 0..2 {
        assert_eq!(read(&mut journal, &mut disk, 1, 2), [&log[..1], &newer].concat());
        journal = open(&mut disk).unwrap().0;
    }
}

#[test]
fn damage_that_comes_while_it_runs_ends_a_read() {
    let (mut disk, log) = with_hole(10, 0..0);
    let (mut journal, _) = open(&mut disk).unwrap();
    let places = extents(&disk);
    disk.unreadable.insert(places[4].0);
    assert_eq!(read(&mut journal, &mut disk, 1, 10), log[..4]);
    assert!(read(&mut journal, &mut disk, 5, 10).is_empty());
    assert_eq!(read(&mut journal, &mut disk, 6, 10), log[5..]);
    assert!(has(&journal, Mark::ReadMetDamage) && has(&journal, Mark::UnreadableSector));
}

#[test]
fn what_an_earlier_life_gave_up_does_not_come_back() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    append(&mut journal, &mut disk, state(1), &entries(LogEnd::default(), 1, 1, 2000));
    append(&mut journal, &mut disk, state(2), &[]);
    let seal = extents(&disk)[1].0;
    disk.unreadable.extend([RECORDS_START, seal]);
    let (mut journal, records) = open(&mut disk).unwrap();
    assert!(records.is_empty());
    append(&mut journal, &mut disk, state(3), &[]);
    disk.unreadable.clear();
    let (_, records) = open(&mut disk).unwrap();
    assert_eq!(records, [recovered(state(3), &[], LogEnd::default())]);
}

#[test]
fn a_long_damaged_region_is_passed() {
    let mut disk = Disk { bytes: vec![0; 4 * SECTORS_MIN as usize * SECTOR_SIZE], ..Disk::blank() };
    let (mut journal, _) = open(&mut disk).unwrap();
    let long = entries(LogEnd::default(), 1, 1, 5_000_000);
    append(&mut journal, &mut disk, state(1), &long);
    append(&mut journal, &mut disk, state(1), &[]);
    for sector in [0, 1, 4000, 9000] {
        disk.sector(RECORDS_START + sector).fill(0);
    }
    disk.unreadable.extend(RECORDS_START + 100..RECORDS_START + 300);
    let (journal, records) = open(&mut disk).unwrap();
    let expected = Record { after_damage: true, ..recovered(state(1), &[], end_of(&long)) };
    assert!(records == [expected] && journal.log_end() == end_of(&long));
}

#[cfg(feature = "mistakes")]
#[test]
fn damage_can_be_taken_for_a_torn_tail_by_mistake() {
    let (mut disk, log) = with_hole(3, 4..5);
    let planted = Planted::new(cluster_format::Mistake::DamageTakenForTornTail);
    let (journal, records) = open_with(&mut disk, planted).unwrap();
    assert!(records.len() == 3 && journal.log_end() == end_of(&log[..3]));
}
