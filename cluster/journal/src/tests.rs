//! A journal on a disk of bytes, with torn writes and damage.

mod properties;
mod recovery;
mod ring;
mod simulated;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::{
    Commit, Digest, Entry, Incarnation, LogPosition, NodeId, Origin, Payload, Planted, RequestId, Version,
    Write,
};
use drivers_api::{DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};

use crate::superblock::{COPIES, FORMAT, Found, RECORDS_START, SECTORS_MIN, SUPERBLOCK_LEN, Superblock};
use crate::{Beginning, Identity, Journal, JournalError, JournalEvent, LogEnd, Mark, Record, RecordState};

#[derive(Clone)]
struct Disk {
    bytes: Vec<u8>,
    /// How often it was opened.
    lives: u64,
    unreadable: BTreeSet<u64>,
    transfer_len_max: usize,
}

impl Disk {
    fn blank() -> Disk {
        Disk {
            bytes: vec![0; SECTORS_MIN as usize * SECTOR_SIZE],
            lives: 0,
            unreadable: BTreeSet::new(),
            transfer_len_max: 64 * 1024,
        }
    }

    fn geometry(&self) -> DiskGeometry {
        let sectors = (self.bytes.len() / SECTOR_SIZE) as u64;
        DiskGeometry { sectors, queue_depth: 8, transfer_len_max: self.transfer_len_max }
    }

    fn range(sector: u64, len: usize) -> core::ops::Range<usize> {
        let start = sector as usize * SECTOR_SIZE;
        start..start + len
    }

    fn sector(&mut self, sector: u64) -> &mut [u8] {
        &mut self.bytes[Self::range(sector, SECTOR_SIZE)]
    }

    /// The copy of the superblock there.
    fn copy(&mut self, sector: u64) -> &mut [u8] {
        &mut self.bytes[Self::range(sector, SUPERBLOCK_LEN)]
    }

    fn serve(&mut self, mut request: DiskRequest) -> DiskCompletion {
        let mut result = Ok(());
        match &mut request.operation {
            DiskOperation::Read { sector, buffer } => {
                assert!(buffer.len() <= self.transfer_len_max);
                let sectors = *sector..*sector + (buffer.len() / SECTOR_SIZE) as u64;
                if self.unreadable.range(sectors).next().is_some() {
                    result = Err(DiskError::Device);
                }
                buffer.copy_from_slice(&self.bytes[Self::range(*sector, buffer.len())]);
            }
            DiskOperation::Write { sector, buffer, .. } => {
                assert!(buffer.len() <= self.transfer_len_max);
                self.write(*sector, buffer, u64::MAX);
            }
            DiskOperation::Flush => {}
        }
        DiskCompletion { id: request.id, operation: request.operation, result }
    }

    /// Only the sectors whose bit is set in `written` reach the disk.
    fn write(&mut self, sector: u64, buffer: &[u8], written: u64) {
        for (index, piece) in (0..).zip(buffer.chunks(SECTOR_SIZE)) {
            if written >> (index % 64) & 1 == 1 {
                self.unreadable.remove(&(sector + index));
                self.sector(sector + index).copy_from_slice(piece);
            }
        }
    }

    fn tear(&mut self, request: DiskRequest, written: u64) {
        let DiskOperation::Write { sector, buffer, .. } = request.operation else { return };
        self.write(sector, &buffer, written);
    }
}

fn identity(name: &str, node: u8) -> Identity {
    Identity { cluster_name: name.into(), node: NodeId(node), founders: Some(node) }
}

/// Serves all requests, the newest first, since a disk may answer in any order.
fn run(journal: &mut Journal, disk: &mut Disk) -> Result<Vec<JournalEvent>, JournalError> {
    let mut events = journal.take_events();
    loop {
        journal.recover();
        let requests = journal.take_requests();
        if requests.is_empty() {
            return Ok(events);
        }
        for request in requests.into_iter().rev() {
            journal.completed(disk.serve(request))?;
            events.append(&mut journal.take_events());
        }
    }
}

fn open_with(disk: &mut Disk, planted: Planted) -> Result<(Journal, Vec<Record>), JournalError> {
    disk.lives += 1;
    let mut journal = Journal::open(disk.geometry(), identity("test", 1), 41 + disk.lives, planted)?;
    let mut events = run(&mut journal, disk)?;
    let Some(JournalEvent::Opened { incarnation, damaged_regions, .. }) = events.pop() else {
        panic!("it opens")
    };
    assert_eq!(incarnation, Incarnation(42));
    assert!(matches!(events.remove(0), JournalEvent::Begins(_)));
    let records: Vec<Record> = events
        .into_iter()
        .map(|event| match event {
            JournalEvent::Recovered(record) => record,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(records.iter().filter(|record| record.after_damage).count() as u64, damaged_regions);
    Ok((journal, records))
}

fn open(disk: &mut Disk) -> Result<(Journal, Vec<Record>), JournalError> {
    open_with(disk, Planted::NONE)
}

fn append(journal: &mut Journal, disk: &mut Disk, state: RecordState, entries: &[Arc<Entry>]) {
    journal.append(1, state, entries);
    assert_eq!(run(journal, disk), Ok(vec![JournalEvent::Appended(1)]));
}

fn read(journal: &mut Journal, disk: &mut Disk, first: u64, through: u64) -> Vec<Arc<Entry>> {
    journal.read(2, Version(first), Version(through), usize::MAX);
    match run(journal, disk).unwrap().pop() {
        Some(JournalEvent::Read(2, entries)) => entries,
        other => panic!("{other:?}"),
    }
}

fn has(journal: &Journal, mark: Mark) -> bool {
    journal.marks().contains(mark as u32)
}

/// `count` entries of `term`, each with `len` bytes, that follow `end`.
fn entries(end: LogEnd, term: u64, count: u64, len: usize) -> Vec<Arc<Entry>> {
    let mut previous = end;
    let mut made = Vec::new();
    for _ in 0..count {
        let version = previous.position.version.next();
        // Of two lengths, no sector is alike, or two torn writes could make up a whole one; and none is like an unreadable one.
        let value: Vec<u8> = (0..len).map(|at| at as u8 ^ len as u8 ^ term as u8).collect();
        let write = Write { key: b"key"[..].into(), value: Some(value.into()) };
        let commit = Commit {
            request: RequestId { session: term, sequence: version.0 },
            origin: Origin { node: NodeId(1) },
            read_version: Version(0),
            reads: vec![],
            deletes: vec![],
            writes: vec![write],
        };
        let payload = Payload::Commit(Arc::new(commit));
        let entry = Arc::new(Entry::new(LogPosition { term, version }, 0, previous.digest, payload));
        previous = LogEnd::of(&entry);
        made.push(entry);
    }
    made
}

fn end_of(log: &[Arc<Entry>]) -> LogEnd {
    log.last().map_or(LogEnd::default(), |entry| LogEnd::of(entry))
}

fn state(term: u64) -> RecordState {
    RecordState { term, voted_for: Some(NodeId(3)), commit: Version(0), ..RecordState::default() }
}

fn committed(commit: u64) -> RecordState {
    RecordState { commit: Version(commit), ..state(1) }
}

fn recovered(state: RecordState, entries: &[Arc<Entry>], end: LogEnd) -> Record {
    Record { state, entries: entries.to_vec(), end, after_damage: false }
}

#[test]
fn records_come_back_in_order() {
    let mut disk = Disk::blank();
    let (mut journal, records) = open(&mut disk).unwrap();
    assert!(records.is_empty() && journal.is_empty() && has(&journal, Mark::DiskFormatted));
    let log = entries(LogEnd::default(), 1, 2, 3000);
    append(&mut journal, &mut disk, state(1), &log);
    append(&mut journal, &mut disk, state(2), &[]);
    let other = entries(end_of(&log[..1]), 2, 1, 10);
    append(&mut journal, &mut disk, state(2), &other);
    let (journal, records) = open(&mut disk).unwrap();
    assert_eq!(records[0], recovered(state(1), &log, end_of(&log)));
    assert_eq!(records[1], recovered(state(2), &[], end_of(&log)));
    assert_eq!(records[2], recovered(state(2), &other, end_of(&other)));
    assert_eq!(journal.log_end(), end_of(&other));
    assert!(!has(&journal, Mark::TornTail) && has(&journal, Mark::LogReplaced));
}

#[test]
fn a_disk_of_something_else_is_refused_and_left_alone() {
    let blank = Disk::blank();
    let mut ours = blank.clone();
    open(&mut ours).unwrap();
    let open_as = |disk: &mut Disk, name, node| {
        let before = disk.bytes.clone();
        let mut journal = Journal::open(disk.geometry(), identity(name, node), 1, Planted::NONE).unwrap();
        let result = run(&mut journal, disk);
        assert!(disk.bytes == before, "nothing is written");
        result.unwrap_err()
    };
    let name = String::from("test");
    assert_eq!(open_as(&mut ours, "other", 1), JournalError::OtherCluster { name });
    assert_eq!(open_as(&mut ours, "test", 2), JournalError::OtherNode { node: NodeId(1) });

    let mut foreign = blank.clone();
    foreign.bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(open_as(&mut foreign, "test", 1), JournalError::Foreign);

    for place in [64 * 1024 + 64, RECORDS_START as usize * SECTOR_SIZE] {
        let mut elsewhere = blank.clone();
        elsewhere.bytes[place..][..8].copy_from_slice(b"_BHRfS_M");
        assert_eq!(open_as(&mut elsewhere, "test", 1), JournalError::Foreign, "a file system's mark");
    }

    for sector in [16, RECORDS_START, RECORDS_START + 100] {
        let mut unreadable = blank.clone();
        unreadable.unreadable.insert(sector);
        assert_eq!(open_as(&mut unreadable, "test", 1), JournalError::Device(DiskError::Device));
    }

    for format in [3, 9] {
        let mut other = ours.clone();
        for copy in COPIES {
            other.sector(copy)[8] = format as u8;
        }
        assert_eq!(open_as(&mut other, "test", 1), JournalError::OtherFormat { format });
    }

    let mut larger = Disk { bytes: vec![0; (SECTORS_MIN as usize + 8) * SECTOR_SIZE], ..blank.clone() };
    open(&mut larger).unwrap();
    larger.bytes.truncate(SECTORS_MIN as usize * SECTOR_SIZE);
    let truncated = JournalError::TooSmall { sectors: SECTORS_MIN, needed: SECTORS_MIN + 8 };
    assert_eq!(open_as(&mut larger, "test", 1), truncated);

    let mut dead = ours.clone();
    dead.unreadable.extend(0..SECTORS_MIN);
    assert_eq!(open_as(&mut dead, "test", 1), JournalError::Device(DiskError::Device));
}

/// Found by tests/fuzz: what comes behind them would not be a number any more.
#[test]
fn a_superblock_of_an_earlier_release_says_nothing_of_founders() {
    for founders in [None, Some(0), Some(3)] {
        let written = Superblock::new(Identity { founders, ..identity("test", 1) }, 42, SECTORS_MIN);
        let Found::Valid(read) = Superblock::parse(&written.to_bytes()) else { panic!("{founders:?}") };
        assert_eq!(*read, written);
    }
}

#[test]
fn numbers_that_no_ledger_reaches_are_damage() {
    let huge = LogPosition { term: 1, version: Version(u64::MAX - 1) };
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    append(
        &mut journal,
        &mut disk,
        state(1),
        &entries(LogEnd { position: huge, ..LogEnd::default() }, 1, 1, 9),
    );
    append(&mut journal, &mut disk, RecordState { term: u64::MAX, ..state(1) }, &[]);
    let (journal, records) = open(&mut disk).unwrap();
    assert!(records.is_empty() && journal.log_end() == LogEnd::default());

    let valid = Superblock::new(identity("test", 1), 42, SECTORS_MIN);
    assert!(matches!(Superblock::parse(&valid.to_bytes()), Found::Valid(_)));
    let base = LogEnd { position: huge, ..LogEnd::default() };
    let wrong = [
        Superblock { sequence: u64::MAX, ..valid.clone() },
        Superblock { beginning: Beginning { base, ..Beginning::default() }, ..valid.clone() },
        Superblock { beginning: Beginning { state: committed(u64::MAX), ..Beginning::default() }, ..valid },
    ];
    assert!(wrong.iter().all(|wrong| Superblock::parse(&wrong.to_bytes()) == Found::Damaged));
}

#[test]
fn one_superblock_is_enough_and_the_others_are_written_again() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    append(&mut journal, &mut disk, state(1), &[]);
    let pristine = disk.clone();
    for kept in COPIES {
        let mut disk = pristine.clone();
        for (kind, copy) in COPIES.into_iter().filter(|copy| *copy != kept).enumerate() {
            match kind {
                0 => disk.sector(copy).fill(0),
                1 => disk.sector(copy)[20] ^= 1,
                _ => assert!(disk.unreadable.insert(copy)),
            }
        }
        let (journal, records) = open(&mut disk).unwrap();
        assert!(records.len() == 1 && has(&journal, Mark::SuperblockRepaired));
        assert!(disk.bytes == pristine.bytes && disk.unreadable.is_empty());
    }
}

#[test]
fn a_first_format_that_was_cut_short_is_repeated() {
    for torn in 0..4u64.pow(COPIES.len() as u32) {
        let mut disk = Disk::blank();
        let mut format = Disk::blank();
        open(&mut format).unwrap();
        for (index, copy) in COPIES.into_iter().enumerate() {
            match torn >> (2 * index) & 3 {
                0 => {}
                1 => disk.copy(copy).copy_from_slice(format.copy(copy)),
                2 => disk.copy(copy)[..100].copy_from_slice(&format.copy(copy)[..20].repeat(5)),
                _ => assert!(disk.unreadable.insert(copy)),
            }
        }
        if disk.unreadable.len() == COPIES.len() {
            assert_eq!(open(&mut disk).err(), Some(JournalError::Device(DiskError::Device)));
            continue;
        }
        let (_, records) = open(&mut disk).unwrap();
        assert!(records.is_empty());
        let valid = COPIES.map(|copy| matches!(Superblock::parse(disk.copy(copy)), Found::Valid(_)));
        assert!(valid == [true; 4] && disk.unreadable.is_empty(), "{torn:#b}");
    }
}

#[test]
fn a_journal_that_lost_every_superblock_is_not_formatted() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    append(&mut journal, &mut disk, state(1), &entries(LogEnd::default(), 1, 1, 600));
    append(&mut journal, &mut disk, state(1), &[]);
    for copy in COPIES {
        disk.sector(copy).fill(0);
    }
    assert_eq!(open(&mut disk).err(), Some(JournalError::Damaged { sector: 0 }));
    disk.sector(0)[..8].copy_from_slice(b"RELIXDSK");
    disk.sector(0)[8] = FORMAT as u8;
    for sector in [RECORDS_START, RECORDS_START + 1] {
        disk.sector(sector).fill(0);
    }
    assert_eq!(open(&mut disk).err(), Some(JournalError::Damaged { sector: 0 }));
}

#[test]
fn a_full_journal_keeps_room_for_votes() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let mut end = LogEnd::default();
    loop {
        let more = entries(end, 1, 1, 100_000);
        if !journal.has_room_for(&more) {
            break;
        }
        append(&mut journal, &mut disk, state(1), &more);
        end = end_of(&more);
    }
    assert!(end.position.version > Version(8) && journal.has_room_for(&[]));
    assert!(journal.free_len() < 200_000 && has(&journal, Mark::MultiPieceAppend));
    while journal.has_room_for(&[]) {
        append(&mut journal, &mut disk, state(2), &[]);
    }
    let (mut journal, _) = open(&mut disk).unwrap();
    assert_eq!(journal.log_end(), end);
    assert_eq!(read(&mut journal, &mut disk, 1, u64::MAX).len() as u64, end.position.version.0);
}

#[test]
fn errors_of_writes_are_the_devices() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    journal.append(1, state(1), &[]);
    let DiskRequest { id, operation } = journal.take_requests().pop().unwrap();
    let completion = DiskCompletion { id, operation, result: Err(DiskError::Device) };
    assert_eq!(journal.completed(completion), Err(JournalError::Device(DiskError::Device)));
}
