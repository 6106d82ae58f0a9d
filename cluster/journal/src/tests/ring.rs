//! Around the ring: what the tables hold makes room, and a crash at any request loses nothing.

use super::*;
use proptest::prelude::*;

/// A journal, and what should be in it.
struct Model {
    disk: Disk,
    /// The whole log.
    log: Vec<Arc<Entry>>,
    /// The newest state that is durable.
    state: RecordState,
    /// What the superblock may say of the tables: the second, while it is being written.
    roots: Vec<(Vec<u8>, u64)>,
}

impl Model {
    fn new(sectors: u64) -> Model {
        let bytes = vec![0; sectors as usize * SECTOR_SIZE];
        let disk = Disk { bytes, ..Disk::blank() };
        Model { disk, log: Vec::new(), state: RecordState::default(), roots: [(Vec::new(), 0)].into() }
    }

    /// The disk has so many sectors more, or fewer.
    fn resize(&mut self, more: i64) {
        let sectors = self.disk.geometry().sectors.strict_add_signed(more);
        self.disk.bytes.resize(sectors as usize * SECTOR_SIZE, 0);
    }

    /// Opens it, and checks that it is all there.
    fn open(&mut self) -> Journal {
        self.disk.lives += 1;
        let mut journal =
            Journal::open(self.disk.geometry(), identity("test", 1), 41 + self.disk.lives, Planted::NONE)
                .unwrap();
        let events = run(&mut journal, &mut self.disk).unwrap();
        let Some(JournalEvent::Begins(Beginning { root, state, base })) = events.first() else {
            panic!("{:?}", events.first())
        };
        let mut state = *state;
        let known =
            self.roots.iter().find(|(known, _)| known == root).expect("a root that was made durable").clone();
        assert!(base.position.version.0 <= known.1, "nothing that the tables lack is given up");
        assert_eq!(*base, end_of(&self.log[..base.position.version.0 as usize]));
        for event in &events[1..] {
            match event {
                JournalEvent::Recovered(record) => {
                    assert!(!record.after_damage);
                    state = record.state;
                }
                JournalEvent::Opened { damaged_regions, .. } => assert_eq!(*damaged_regions, 0),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((state.term, state.voted_for), (self.state.term, self.state.voted_for));
        assert_eq!(journal.log_end(), end_of(&self.log));
        self.roots = [known].into();
        self.check(&mut journal);
        journal
    }

    /// All entries that it has not given up can be read.
    fn check(&mut self, journal: &mut Journal) {
        let first =
            (1..=self.log.len()).find(|version| journal.index.find(Version(*version as u64)).is_some());
        let first = first.unwrap_or(self.log.len() + 1);
        assert!(first as u64 <= self.roots[0].1 + 1);
        assert!(read(journal, &mut self.disk, first as u64, u64::MAX) == self.log[first - 1..]);
    }

    fn append(&mut self, journal: &mut Journal, term: u64, count: u64, len: usize) -> bool {
        let more = entries(end_of(&self.log), term, count, len);
        let has_room = journal.has_room_for(&more);
        if has_room {
            let commit = Version(self.log.len() as u64);
            journal.append(1, RecordState { commit, ..state(term) }, &more);
            self.log.extend(more);
        }
        has_room
    }

    fn append_durably(&mut self, journal: &mut Journal, count: u64, len: usize) -> bool {
        let has_room = self.append(journal, 1, count, len);
        if has_room {
            assert_eq!(run(journal, &mut self.disk), Ok(vec![JournalEvent::Appended(1)]));
            self.state = journal.durable.0;
        }
        has_room
    }

    /// The tables hold everything up to `through`.
    fn checkpoint(&mut self, journal: &mut Journal, through: usize) {
        let root = vec![self.roots.len() as u8, through as u8, (through >> 8) as u8, self.disk.lives as u8];
        journal.checkpoint(&root, &end_of(&self.log[..through]));
        self.roots.push((root, through as u64));
    }

    fn checkpoint_durably(&mut self, journal: &mut Journal, through: usize) {
        self.checkpoint(journal, through);
        assert_eq!(run(journal, &mut self.disk), Ok(vec![JournalEvent::Checkpointed]));
        self.roots.remove(0);
    }
}

#[test]
fn what_the_tables_hold_makes_room_and_stays_as_long_as_there_is_some() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    let mut laps = 0;
    while laps < 5 {
        while !journal.wants_checkpoint() && model.append_durably(&mut journal, 3, 9_000) {}
        let before = journal.start;
        model.checkpoint_durably(&mut journal, model.log.len() - 7);
        let (ring, room) = (journal.superblock.ring_sectors, journal.entry_sectors());
        laps += u64::from((journal.start - RECORDS_START) / ring > (before - RECORDS_START) / ring);
        let left = journal.head - journal.start;
        assert!(
            left <= room / 4 && left + 2 * 256 > room / 4,
            "{left} of {room}: a quarter, but for a segment"
        );
        model.check(&mut journal);
    }
    assert!(has(&journal, Mark::RingAdvanced));
    model.open();
}

/// What begins behind the ring would be lost if that grew.
#[test]
fn the_ring_of_a_larger_disk_stays_where_it_is() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    let (end, room) = (journal.sectors_end(), journal.space().1);
    for _ in 0..3 {
        model.resize(SECTORS_MIN as i64 * 3);
        journal = model.open();
        for _ in 0..40 {
            while !journal.wants_checkpoint() && model.append_durably(&mut journal, 3, 9_000) {}
            model.checkpoint_durably(&mut journal, model.log.len());
        }
        assert!(journal.head > RECORDS_START + 3 * journal.superblock.ring_sectors);
        assert_eq!((journal.sectors_end(), journal.space().1), (end, room));
    }
}

#[test]
fn a_disk_that_is_smaller_than_what_the_tables_may_use_is_refused_and_not_written_to() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    assert!(model.append_durably(&mut journal, 3, 10));
    // No root has been written meanwhile: nothing can be there.
    for more in [SECTORS_MIN as i64, -(SECTORS_MIN as i64)] {
        model.resize(more);
        model.open();
    }
    model.resize(8);
    journal = model.open();
    model.checkpoint_durably(&mut journal, 3);
    model.resize(-1);
    let before = model.disk.clone();
    let sectors = SECTORS_MIN + 7;
    let truncated = JournalError::TooSmall { sectors, needed: SECTORS_MIN + 8 };
    assert_eq!(open(&mut model.disk).err(), Some(truncated));
    assert!(model.disk.bytes == before.bytes);
    model.resize(1);
    model.open();
}

/// While records are appended as before: as long as no root can lead to what is new, the disk may be the old one again.
#[test]
fn a_disk_that_grows_beneath_the_journal_is_known_to_from_the_next_root_on() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    assert!(model.append_durably(&mut journal, 3, 10));
    model.resize(8);
    journal.grow(SECTORS_MIN + 8);
    assert!(model.append_durably(&mut journal, 3, 10));
    model.resize(-8);
    journal = model.open();
    model.resize(8);
    journal.grow(SECTORS_MIN + 8);
    journal.grow(SECTORS_MIN);
    let (end, room) = (journal.sectors_end(), journal.space().1);
    model.checkpoint_durably(&mut journal, 3);
    assert_eq!((journal.sectors_end(), journal.space().1), (end, room), "the ring stays");
    model.resize(-1);
    let truncated = JournalError::TooSmall { sectors: SECTORS_MIN + 7, needed: SECTORS_MIN + 8 };
    assert_eq!(open(&mut model.disk).err(), Some(truncated));
    model.resize(1);
    model.open();
}

#[test]
fn without_entries_it_does_not_fill_up_either() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    assert!(model.append_durably(&mut journal, 3, 10));
    for vote in 0..3 * journal.superblock.ring_sectors {
        model.state = RecordState { commit: Version(3), ..state(vote + 2) };
        assert!(journal.has_room_for(&[]), "{vote}");
        append(&mut journal, &mut model.disk, model.state, &[]);
        if journal.wants_checkpoint() {
            model.checkpoint_durably(&mut journal, 3);
        }
    }
    model.open();
}

#[test]
fn what_a_snapshot_replaces_is_gone_once_that_is_durable() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    assert!(model.append_durably(&mut journal, 3, 10));
    let before = model.disk.clone();
    let position = LogPosition { term: 2, version: Version(9) };
    let base = LogEnd { position, digest: Digest::of(b"what the ninth entry is") };
    journal.start_anew(b"root", base, LogPosition::default());
    assert!(journal.is_starting_anew() && journal.log_end() == base);
    let mut requests = journal.take_requests();
    assert_eq!(requests.len(), 2, "two of the copies stay as they are");
    // Cut short, nothing has happened.
    for arrived in [0, 0b1011] {
        model.disk.tear(DiskRequest { id: 0, operation: clone(&requests[0].operation) }, arrived);
        let (again, records) = open(&mut before.clone()).unwrap();
        assert!(records.len() == 1 && again.log_end() == end_of(&model.log));
    }
    for request in requests.drain(..) {
        journal.completed(model.disk.serve(request)).unwrap();
    }
    assert_eq!(run(&mut journal, &mut model.disk), Ok(vec![JournalEvent::Checkpointed]));
    let more = entries(base, 2, 2, 10);
    append(&mut journal, &mut model.disk, state(2), &more);
    for _ in 0..2 {
        assert_eq!(journal.log_end(), end_of(&more));
        assert!(read(&mut journal, &mut model.disk, 1, 3).is_empty());
        assert_eq!(read(&mut journal, &mut model.disk, 10, 11), more);
        journal = open(&mut model.disk).unwrap().0;
    }
    assert_eq!(journal.superblock.beginning.root, b"root");
}

fn clone(operation: &DiskOperation) -> DiskOperation {
    match operation {
        DiskOperation::Write { sector, buffer, durable } => {
            DiskOperation::Write { sector: *sector, buffer: buffer.clone(), durable: *durable }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_superblock_that_is_older_than_what_it_leads_to_is_refused() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    let mut superblocks = Vec::new();
    while journal.head < RECORDS_START + 3 * journal.superblock.ring_sectors {
        if !model.append_durably(&mut journal, 3, 9_000) || journal.wants_checkpoint() {
            model.checkpoint_durably(&mut journal, model.log.len());
            superblocks.push(journal.superblock.to_bytes());
        }
    }
    let ring = journal.superblock.ring_sectors;
    for superblock in superblocks {
        COPIES.iter().for_each(|copy| model.disk.copy(*copy).copy_from_slice(&superblock));
        let Found::Valid(superblock) = Superblock::parse(&superblock) else { panic!("it was written") };
        let is_outrun = superblock.start + ring < journal.head;
        let error = is_outrun.then_some(JournalError::Damaged { sector: 0 });
        assert_eq!(open(&mut model.disk).err(), error, "{} of {}", superblock.start, journal.head);
    }
}

#[test]
fn records_are_damaged_and_told_so_on_every_lap() {
    let mut model = Model::new(SECTORS_MIN);
    let mut journal = model.open();
    let ring = journal.superblock.ring();
    // The last record before the damage goes across the ring's end.
    while ring.sector(journal.head) > RECORDS_START + 40 || journal.head < ring.end() {
        if !model.append_durably(&mut journal, 1, 9_000) || journal.wants_checkpoint() {
            model.checkpoint_durably(&mut journal, model.log.len());
        }
    }
    let lost = journal.head;
    for _ in 0..3 {
        assert!(model.append_durably(&mut journal, 1, 700));
    }
    model.disk.sector(ring.sector(lost))[7] ^= 1;
    let (mut journal, records) = open(&mut model.disk).unwrap();
    let after: Vec<bool> = records.iter().rev().take(3).map(|record| record.after_damage).collect();
    assert_eq!(after, [false, true, false]);
    assert_eq!(journal.log_end(), end_of(&model.log));
    let last = model.log.len();
    append(&mut journal, &mut model.disk, state(1), &model.log[last - 3..last - 2]);
    assert_eq!(read(&mut journal, &mut model.disk, last as u64 - 9, u64::MAX), model.log[last - 10..]);
    model.checkpoint_durably(&mut journal, last);
}

#[derive(Clone, Debug)]
enum Step {
    /// So many entries of so many bytes.
    Append(u64, usize),
    /// The tables hold all but so many entries.
    Checkpoint(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// The power fails amid both a checkpoint and an append, of whose requests only some arrive, and in part. Meanwhile the
    /// disk may grow.
    #[test]
    fn a_crash_at_any_request_loses_nothing(
        lives in prop::collection::vec((
            prop::collection::vec(prop_oneof![
                3 => (1u64..20, 0usize..20_000).prop_map(|(count, len)| Step::Append(count, len)),
                1 => (0usize..30).prop_map(Step::Checkpoint),
            ], 1..60),
            0usize..8,
            any::<[u64; 8]>(),
            any::<bool>(),
            prop_oneof![Just(0i64), 1i64..20_000],
        ), 1..6),
        transfer in 8usize..200,
    ) {
        let mut model = Model::new(SECTORS_MIN);
        model.disk.transfer_len_max = transfer * SECTOR_SIZE;
        for (steps, served, arriving, crashes_in_append, more) in lives {
            model.resize(more);
            let mut journal = model.open();
            for step in steps {
                match step {
                    Step::Append(count, len) => _ = model.append_durably(&mut journal, count, len),
                    Step::Checkpoint(less) => {
                        let through = (model.roots[0].1 as usize).max(model.log.len().saturating_sub(less));
                        model.checkpoint_durably(&mut journal, through);
                    }
                }
            }
            let durable = model.log.len();
            model.checkpoint(&mut journal, durable);
            let appends = crashes_in_append && model.append(&mut journal, 2 + model.disk.lives, 1, 3000);
            // The oldest requests are served, with what they lead to.
            let mut requests = alloc::collections::VecDeque::from(journal.take_requests());
            for _ in 0..served {
                let Some(request) = requests.pop_front() else { break };
                journal.completed(model.disk.serve(request)).unwrap();
                requests.extend(journal.take_requests());
            }
            for (request, arrived) in requests.into_iter().zip(arriving) {
                model.disk.tear(request, arrived);
            }
            if appends {
                // What was torn may have arrived whole: it counts all the same.
                let mut copy = model.disk.clone();
                copy.lives += 1;
                let mut journal = Journal::open(copy.geometry(), identity("test", 1), 7, Planted::NONE).unwrap();
                run(&mut journal, &mut copy).unwrap();
                if journal.log_end() == end_of(&model.log) {
                    model.state = journal.durable.0;
                } else {
                    model.log.truncate(durable);
                }
            }
        }
        model.open();
    }
}
