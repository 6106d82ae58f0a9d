//! Each fault by itself, and all of them together.

use alloc::boxed::Box;
use alloc::vec;
use core::task::Waker;

use proptest::prelude::*;

use super::*;

const MILLION: u32 = 1_000_000;

fn write_of(sector: u64, fill: u8) -> DiskOperation {
    DiskOperation::Write { sector, buffer: vec![fill; 2 * SECTOR_SIZE].into(), durable: true }
}

fn submit(disk: &mut SimDisk, id: u64, operation: DiskOperation) {
    disk.submit(DiskRequest { id, operation }).expect("there is room");
}

fn completions(disk: &mut SimDisk) -> Vec<DiskCompletion> {
    let mut context = Context::from_waker(Waker::noop());
    let mut done = Vec::new();
    while let Some(due) = disk.next_due() {
        disk.advance(due.max(disk.now));
        match disk.poll_completion(&mut context) {
            Poll::Ready(completion) => done.push(completion),
            Poll::Pending => panic!("it was due"),
        }
    }
    done
}

/// Writes two sectors, all of them `fill`, and waits for it.
fn write(disk: &mut SimDisk, sector: u64, fill: u8) {
    submit(disk, 1, write_of(sector, fill));
    assert_eq!(completions(disk).pop().expect("it completes").result, Ok(()));
}

/// What the medium holds there: the byte that fills both sectors.
fn held(disk: &SimDisk, sector: u64) -> Option<u8> {
    let fill = disk.medium.get(sector)[0];
    (sector..sector + 2).all(|sector| *disk.medium.get(sector) == [fill; SECTOR_SIZE]).then_some(fill)
}

fn read(disk: &mut SimDisk, sector: u64) -> Result<Box<[u8]>, DiskError> {
    submit(disk, 2, DiskOperation::Read { sector, buffer: vec![0; SECTOR_SIZE].into() });
    let DiskCompletion { operation, result, .. } = completions(disk).pop().expect("it completes");
    let DiskOperation::Read { buffer, .. } = operation else { panic!("a read comes back as one") };
    result.map(|()| buffer)
}

fn with(faults: DiskFaults) -> SimDisk {
    SimDisk { faults, ..SimDisk::new(1000, 1) }
}

#[test]
fn a_disk_that_grows_keeps_what_it_has_and_one_that_shrinks_what_is_left() {
    let mut disk = SimDisk::new(1000, 1);
    write(&mut disk, 10, 7);
    write(&mut disk, 998, 8);
    disk.spoil_sector(999);
    let beyond = write_of(999, 9);
    submit(&mut disk, 3, beyond);
    assert_eq!(completions(&mut disk).pop().map(|done| done.result), Some(Err(DiskError::OutOfRange)));
    disk.resize(2000);
    write(&mut disk, 1998, 9);
    assert_eq!([10, 1500, 1998].map(|sector| held(&disk, sector)), [Some(7), Some(0), Some(9)]);
    disk.resize(500);
    disk.resize(1000);
    assert_eq!([10, 998].map(|sector| held(&disk, sector)), [Some(7), Some(0)]);
    assert!(read(&mut disk, 999).is_ok());
}

#[test]
fn a_disk_grows_beneath_requests_in_flight_and_what_is_volatile_of_the_new_part_goes_with_the_power() {
    let mut disk = SimDisk::new(1000, 1);
    submit(&mut disk, 1, write_of(10, 7));
    let beyond =
        DiskOperation::Write { sector: 1500, buffer: vec![8; 2 * SECTOR_SIZE].into(), durable: false };
    submit(&mut disk, 2, beyond);
    disk.resize(2000);
    assert_eq!(disk.geometry().sectors, 2000);
    assert!(completions(&mut disk).iter().all(|done| done.result == Ok(())));
    assert_eq!([10, 1500].map(|sector| held(&disk, sector)), [Some(7), Some(8)]);
    let disk = disk.crashed(Arrived::Nothing, 1);
    assert_eq!([10, 1500].map(|sector| held(&disk, sector)), [Some(7), Some(0)]);
}

#[test]
fn a_disk_without_faults_keeps_what_is_written() {
    let mut disk = SimDisk::new(1000, 1);
    for sector in 0..100 {
        write(&mut disk, 2 * sector, sector as u8);
    }
    disk.crash();
    assert!((0..100).all(|sector| held(&disk, 2 * sector) == Some(sector as u8)));
    assert_eq!(disk.fault_counts(), DiskFaultCounts::default());
    submit(&mut disk, 1, write_of(999, 1));
    assert_eq!(completions(&mut disk)[0].result, Err(DiskError::OutOfRange));
}

#[test]
fn a_lost_write_stays_lost_once_a_good_one_follows() {
    for followed in [true, false] {
        let mut disk = with(DiskFaults { lost_per_million: MILLION, ..DiskFaults::default() });
        write(&mut disk, 10, 7);
        assert_eq!((held(&disk, 10), disk.fault_counts().lost), (Some(0), 1));
        disk.faults = DiskFaults::default();
        if followed {
            write(&mut disk, 12, 8);
        } else {
            // Before it in the log: nothing that comes after it would tell.
            write(&mut disk, 4, 8);
        }
        disk.crash();
        assert_eq!(held(&disk, 10), Some(if followed { 0 } else { 7 }));
        let DiskFaultCounts { lost, withdrawn, .. } = disk.fault_counts();
        assert_eq!((lost, withdrawn), if followed { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn a_write_beside_a_lost_one_does_not_settle_it() {
    let mut disk = with(DiskFaults { lost_per_million: MILLION, ..DiskFaults::default() });
    submit(&mut disk, 1, write_of(10, 7));
    submit(&mut disk, 2, write_of(12, 8));
    let mut context = Context::from_waker(Waker::noop());
    disk.advance(Instant::from_nanos(1_000_000));
    assert!(disk.poll_completion(&mut context).is_ready());
    disk.faults = DiskFaults::default();
    assert!(disk.poll_completion(&mut context).is_ready());
    disk.crash();
    assert_eq!((held(&disk, 10), held(&disk, 12)), (Some(7), Some(8)));
}

#[test]
fn a_misdirected_write_lands_elsewhere() {
    for followed in [true, false] {
        let mut disk = SimDisk::new(1000, 3);
        for sector in 0..10 {
            write(&mut disk, 2 * sector, 1);
        }
        disk.faults.misdirected_per_million = MILLION;
        write(&mut disk, 500, 9);
        disk.faults = DiskFaults::default();
        let landed = disk.medium.written(0..1000).find(|sector| held(&disk, *sector) == Some(9));
        assert!(landed.is_some_and(|place| place != 500) && held(&disk, 500) == Some(0));
        if followed {
            write(&mut disk, 998, 1);
        }
        disk.crash();
        assert_eq!(held(&disk, 500), Some(if followed { 0 } else { 9 }));
        let elsewhere = disk.medium.written(0..1000).filter(|sector| *sector != 500 && *sector != 501);
        let stray = elsewhere.filter(|sector| disk.medium.get(*sector)[0] == 9).count();
        assert_eq!(stray, if followed { 2 } else { 0 });
    }
}

#[test]
fn a_misdirected_write_spares_what_nothing_follows() {
    for seed in 0..1000 {
        let mut disk = SimDisk::new(40, seed);
        (0..10).for_each(|record| write(&mut disk, 2 * record, 1));
        disk.faults.misdirected_per_million = MILLION;
        write(&mut disk, 30, 9);
        assert_eq!(held(&disk, 18), Some(1), "seed {seed}");
    }
}

#[test]
fn a_late_write_arrives_later_or_never() {
    let late =
        DiskFaults { late_per_million: MILLION, lateness: Duration::from_secs(1), ..DiskFaults::default() };
    let mut disk = with(late);
    write(&mut disk, 10, 7);
    write(&mut disk, 12, 8);
    assert_eq!((held(&disk, 10), held(&disk, 12)), (Some(0), Some(0)));
    disk.faults = DiskFaults::default();
    write(&mut disk, 12, 9);
    assert_eq!(held(&disk, 12), Some(9), "writes to one place keep their order");
    disk.advance(Instant::from_nanos(2_000_000_000));
    assert_eq!((held(&disk, 10), held(&disk, 12)), (Some(7), Some(9)));
    assert_eq!(disk.fault_counts().late, 2);

    let mut outcomes = [0, 0];
    for seed in 0..50 {
        let mut disk = SimDisk { faults: late, ..SimDisk::new(1000, seed) };
        write(&mut disk, 10, 7);
        disk.faults = DiskFaults::default();
        write(&mut disk, 12, 8);
        disk.crash();
        outcomes[usize::from(held(&disk, 10) == Some(7))] += 1;
    }
    assert!(outcomes[0] > 10 && outcomes[1] > 10, "{outcomes:?}");
}

#[test]
fn decay_spares_what_nothing_follows() {
    let mut disk = SimDisk::new(1000, 1);
    write(&mut disk, 10, 7);
    disk.rot(100, 0..1000);
    disk.spoil(100, 0..1000);
    assert_eq!((held(&disk, 10), disk.fault_counts().rotten), (Some(7), 0));
    write(&mut disk, 12, 8);
    disk.rot(100, 11..1000);
    assert_eq!((held(&disk, 10), held(&disk, 12)), (None, Some(8)));
    assert_eq!(disk.fault_counts().rotten, 1);
}

#[test]
fn an_unreadable_sector_is_readable_once_written() {
    let mut disk = SimDisk::new(1000, 1);
    write(&mut disk, 10, 7);
    write(&mut disk, 12, 8);
    disk.spoil(1, 10..11);
    assert_eq!(read(&mut disk, 10), Err(DiskError::Device));
    assert!(read(&mut disk, 11).is_ok());
    disk.faults.unreadable_per_million = MILLION;
    assert_eq!(read(&mut disk, 11), Err(DiskError::Device));
    assert!(read(&mut disk, 12).is_ok(), "nothing follows it yet");
    assert_eq!((disk.fault_counts().unreadable, disk.fault_counts().errors), (2, 2));
    disk.faults = DiskFaults::default();
    write(&mut disk, 10, 9);
    assert!(read(&mut disk, 10).is_ok_and(|bytes| bytes[0] == 9));
}

#[test]
fn requests_overtake_each_other_and_take_longer() {
    let spike = Duration::from_millis(50);
    let mut disk = with(DiskFaults { reorder: true, ..DiskFaults::default() });
    for id in 0..60 {
        submit(&mut disk, id, write_of(2 * id, 1));
    }
    let order: Vec<u64> = completions(&mut disk).iter().map(|completion| completion.id).collect();
    assert!(order.len() == 60 && !order.is_sorted() && disk.fault_counts().reordered > 10);

    disk.faults = DiskFaults { spikes_per_million: MILLION, spike, ..DiskFaults::default() };
    let before = disk.now;
    (0..10).for_each(|sector| write(&mut disk, sector, 1));
    assert!(disk.now.since(before) > 2 * spike && disk.fault_counts().spikes == 10);
}

#[test]
fn a_stuck_disk_completes_later() {
    let mut disk = SimDisk::new(1000, 1);
    disk.stuck_until = Instant::from_nanos(1_000_000_000);
    submit(&mut disk, 1, write_of(10, 7));
    assert_eq!(disk.next_due(), Some(disk.stuck_until));
    assert_eq!(completions(&mut disk).len(), 1);
    assert_eq!((disk.now, disk.fault_counts().stuck), (disk.stuck_until, 1));
}

#[test]
fn a_crash_tears_what_is_in_flight() {
    let mut disk = SimDisk::new(1000, 1);
    for id in 0..40 {
        submit(&mut disk, id, write_of(2 * id, 1));
    }
    disk.crash();
    assert!(completions(&mut disk).is_empty());
    assert!((10..30).contains(&disk.fault_counts().torn));
    disk.broken = true;
    assert_eq!(read(&mut disk, 1), Err(DiskError::Device));
}

/// Writes two sectors as [`write`] does, and leaves it to the disk when they reach the medium.
fn write_volatile(disk: &mut SimDisk, sector: u64, fill: u8) {
    let buffer = vec![fill; 2 * SECTOR_SIZE].into();
    submit(disk, 1, DiskOperation::Write { sector, buffer, durable: false });
    assert_eq!(completions(disk).pop().expect("it completes").result, Ok(()));
}

#[test]
fn a_crash_takes_any_of_what_was_neither_durable_nor_flushed() {
    let mut seen = alloc::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut disk = SimDisk::new(1000, seed);
        write(&mut disk, 10, 1);
        write_volatile(&mut disk, 10, 2);
        write_volatile(&mut disk, 10, 3);
        assert_eq!(held(&disk, 10), Some(3), "reads show what the cache holds");
        disk.crash();
        seen.insert((disk.medium.get(10)[0], disk.medium.get(11)[0]));
    }
    assert_eq!(seen.len(), 9, "each sector holds any of what was written: {seen:?}");
}

#[test]
fn a_flush_and_a_durable_write_keep_what_completed_before_they_were_submitted() {
    for later in [|| DiskOperation::Flush, || write_of(20, 9)] {
        let mut outcomes = [0, 0];
        for seed in 0..50 {
            let mut disk = SimDisk::new(1000, seed);
            write_volatile(&mut disk, 10, 1);
            // This one is under way when the flush is submitted.
            let buffer = vec![2; 2 * SECTOR_SIZE].into();
            submit(&mut disk, 2, DiskOperation::Write { sector: 12, buffer, durable: false });
            submit(&mut disk, 3, later());
            assert_eq!(completions(&mut disk).len(), 2);
            disk.crash();
            assert_eq!(held(&disk, 10), Some(1));
            outcomes[usize::from(held(&disk, 12) == Some(2))] += 1;
        }
        assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// A log is appended to, one record of a few writes after the other. Whatever goes wrong: after a crash,
    /// every record that is damaged has an intact one behind it, and the same seed gives the same.
    #[test]
    fn faults_stay_within_the_bound(
        seed in any::<u64>(),
        records in prop::collection::vec((1u64..4, 0u8..8), 1..40),
        torn in any::<bool>(),
    ) {
        let run = || {
            let mut disk = SimDisk::new(1000, seed);
            disk.faults = DiskFaults {
                spikes_per_million: 100_000,
                spike: Duration::from_millis(10),
                reorder: true,
                lost_per_million: 150_000,
                misdirected_per_million: 100_000,
                late_per_million: 100_000,
                lateness: Duration::from_millis(100),
                unreadable_per_million: 100_000,
            };
            let mut sector = 0;
            let mut places = Vec::new();
            for (writes, decay) in &records {
                for write in 0..*writes {
                    submit(&mut disk, write, write_of(sector + 2 * write, places.len() as u8 + 1));
                }
                let _ = completions(&mut disk);
                places.push(sector..sector + 2 * writes);
                sector += 2 * writes;
                match decay {
                    0 => disk.rot(1, 0..1000),
                    1 => disk.spoil(1, 0..1000),
                    2 => drop(read(&mut disk, sector / 2)),
                    _ => {}
                }
            }
            if torn {
                submit(&mut disk, 0, write_of(sector, 0xff));
                submit(&mut disk, 1, write_of(sector + 2, 0xff));
            }
            disk.crash();
            disk.rot(2, 0..1000);
            disk.spoil(2, 0..1000);
            (disk, places)
        };
        let (disk, places) = run();
        let last = places.last().expect("one at least").clone();
        prop_assert!(disk.medium.is_readable(last.clone()));
        for sector in last {
            prop_assert_eq!(*disk.medium.get(sector), [places.len() as u8; SECTOR_SIZE]);
        }
        let (again, _) = run();
        prop_assert_eq!(disk.fault_counts(), again.fault_counts());
        prop_assert!((0..1000).all(|sector| disk.medium.get(sector) == again.medium.get(sector)));
    }
}

#[test]
fn what_a_power_failure_would_leave_is_seen_without_one() {
    let mut disk = SimDisk::new(1000, 3);
    write(&mut disk, 10, 1);
    let cached = DiskOperation::Write { sector: 10, buffer: vec![2; 2 * SECTOR_SIZE].into(), durable: false };
    submit(&mut disk, 1, cached);
    completions(&mut disk);
    submit(&mut disk, 2, write_of(12, 3));
    let left = |arrived, seed| {
        let disk = disk.crashed(arrived, seed);
        [10, 12].map(|sector| held(&disk, sector))
    };
    assert_eq!(left(Arrived::Nothing, 7), [Some(1), Some(0)]);
    assert_eq!(left(Arrived::Newest, 7), [Some(1), Some(3)]);
    assert_eq!(left(Arrived::Oldest, 7), [Some(2), Some(0)]);
    assert_eq!(left(Arrived::Everything, 7), [Some(2), Some(3)]);
    let drawn = |arrived| (0..40).map(move |seed| left(arrived, seed));
    assert!(drawn(Arrived::Writes).flatten().all(|held| held.is_some()), "as a whole or not at all");
    assert!(drawn(Arrived::Sectors).flatten().any(|held| held.is_none()), "torn");
    assert_eq!(completions(&mut disk).len(), 1, "the disk itself goes on");
}
