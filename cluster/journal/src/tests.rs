//! A journal on a disk of bytes, with torn writes and damage.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::{Commit, Digest, Entry, NodeId, Origin, Payload, RequestId, Version, Write};
use drivers_api::{DiskCompletion, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};
use proptest::prelude::*;

use crate::record::Header;
use crate::superblock::{RECORDS_START, SECTORS_MIN, Superblock};
use crate::{Identity, Journal, JournalError, JournalEvent, Record, RecordState};

#[derive(Clone)]
struct Disk {
    bytes: Vec<u8>,
}

impl Disk {
    fn blank() -> Disk {
        Disk { bytes: vec![0; SECTORS_MIN as usize * SECTOR_SIZE] }
    }

    fn geometry(&self) -> DiskGeometry {
        let sectors = (self.bytes.len() / SECTOR_SIZE) as u64;
        DiskGeometry { sectors, queue_depth: 8, transfer_len_max: 64 * 1024 }
    }

    fn range(sector: u64, len: usize) -> core::ops::Range<usize> {
        let start = sector as usize * SECTOR_SIZE;
        start..start + len
    }

    fn serve(&mut self, mut request: DiskRequest) -> DiskCompletion {
        match &mut request.operation {
            DiskOperation::Read { sector, buffer } => {
                buffer.copy_from_slice(&self.bytes[Self::range(*sector, buffer.len())])
            }
            DiskOperation::Write { sector, buffer, .. } => {
                self.bytes[Self::range(*sector, buffer.len())].copy_from_slice(buffer)
            }
            DiskOperation::Flush => {}
        }
        DiskCompletion { id: request.id, operation: request.operation, result: Ok(()) }
    }

    /// Only the sectors whose bit is set in `written` reach the disk.
    fn tear(&mut self, request: DiskRequest, written: u64) {
        let DiskOperation::Write { sector, buffer, .. } = request.operation else { return };
        for (index, piece) in buffer.chunks(SECTOR_SIZE).enumerate() {
            if written >> (index % 64) & 1 == 1 {
                self.bytes[Self::range(sector + index as u64, SECTOR_SIZE)].copy_from_slice(piece);
            }
        }
    }
}

fn identity(name: &str, node: u8) -> Identity {
    Identity { cluster_name: name.into(), node: NodeId(node) }
}

fn run(journal: &mut Journal, disk: &mut Disk) -> Result<Vec<JournalEvent>, JournalError> {
    let mut events = journal.take_events();
    loop {
        let requests = journal.take_requests();
        if requests.is_empty() {
            return Ok(events);
        }
        for request in requests {
            journal.completed(disk.serve(request))?;
            events.append(&mut journal.take_events());
        }
    }
}

fn open(disk: &mut Disk) -> Result<(Journal, Vec<Record>), JournalError> {
    let mut journal = Journal::open(disk.geometry(), identity("test", 1), 42)?;
    let mut events = run(&mut journal, disk)?;
    assert!(matches!(events.pop(), Some(JournalEvent::Opened { .. })));
    let records = events.into_iter().map(|event| match event {
        JournalEvent::Recovered(record) => record,
        other => panic!("{other:?}"),
    });
    Ok((journal, records.collect()))
}

fn entry(version: u64, term: u64, len: usize) -> Arc<Entry> {
    let write = Write { key: b"key"[..].into(), value: Some(vec![term as u8; len].into()) };
    let commit = Commit {
        request: RequestId { session: term, sequence: version },
        origin: Origin { node: NodeId(1) },
        read_version: Version(0),
        reads: vec![],
        writes: vec![write],
    };
    Arc::new(Entry {
        version: Version(version),
        term,
        wall_micros: 0,
        previous: Digest::ZERO,
        payload: Payload::Commit(Arc::new(commit)),
    })
}

fn state(term: u64) -> RecordState {
    RecordState { term, voted_for: Some(NodeId(3)), commit: Version(term) }
}

#[test]
fn records_come_back_in_order() {
    let mut disk = Disk::blank();
    let (mut journal, records) = open(&mut disk).unwrap();
    assert!(records.is_empty() && journal.is_empty());
    journal.append(7, state(1), &[entry(1, 1, 10), entry(2, 1, 3000)]);
    assert_eq!(run(&mut journal, &mut disk), Ok(vec![JournalEvent::Appended(7)]));
    journal.append(8, state(2), &[]);
    run(&mut journal, &mut disk).unwrap();
    let (_, records) = open(&mut disk).unwrap();
    assert_eq!(records[0], Record { state: state(1), entries: vec![entry(1, 1, 10), entry(2, 1, 3000)] });
    assert_eq!(records[1], Record { state: state(2), entries: vec![] });
}

#[test]
fn a_disk_of_something_else_is_refused_and_left_alone() {
    let blank = Disk::blank();
    let mut ours = blank.clone();
    open(&mut ours).unwrap();
    let open_as = |disk: &mut Disk, name, node| {
        let before = disk.bytes.clone();
        let mut journal = Journal::open(disk.geometry(), identity(name, node), 1).unwrap();
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

    let mut elsewhere = blank.clone();
    elsewhere.bytes[64 * 1024 + 64..][..8].copy_from_slice(b"_BHRfS_M");
    assert_eq!(open_as(&mut elsewhere, "test", 1), JournalError::Foreign, "btrfs has its mark at 64 KiB");

    let mut newer = ours.clone();
    for copy in [0, 8] {
        newer.bytes[copy * SECTOR_SIZE + 8] = 9;
    }
    assert_eq!(open_as(&mut newer, "test", 1), JournalError::NewerFormat { format: 9 });

    let mut larger = Disk { bytes: vec![0; (SECTORS_MIN as usize + 8) * SECTOR_SIZE] };
    open(&mut larger).unwrap();
    larger.bytes.truncate(SECTORS_MIN as usize * SECTOR_SIZE);
    let truncated = JournalError::TooSmall { sectors: SECTORS_MIN, needed: SECTORS_MIN + 8 };
    assert_eq!(open_as(&mut larger, "test", 1), truncated);
}

#[test]
fn one_damaged_superblock_copy_is_enough() {
    let mut disk = Disk::blank();
    open(&mut disk).unwrap();
    disk.bytes[3] ^= 1;
    assert!(open(&mut disk).is_ok());
}

#[test]
fn damage_before_intact_records_is_told_from_a_torn_end() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    for version in 1..=3 {
        journal.append(version, state(1), &[entry(version, 1, 600)]);
        run(&mut journal, &mut disk).unwrap();
    }
    let record = |number: usize| (RECORDS_START as usize + 2 * number) * SECTOR_SIZE;
    let mut torn = disk.clone();
    torn.bytes[record(2) + 500] ^= 1;
    assert_eq!(open(&mut torn).unwrap().1.len(), 2, "the last record may be torn");
    for at in [record(1), record(1) + 500] {
        let mut damaged = disk.clone();
        damaged.bytes[at] ^= 1;
        let sector = RECORDS_START + 2;
        assert_eq!(open(&mut damaged).err(), Some(JournalError::Damaged { sector }));
    }
}

#[test]
fn a_full_journal_keeps_room_for_votes() {
    let mut disk = Disk::blank();
    let (mut journal, _) = open(&mut disk).unwrap();
    let mut version = 1;
    while journal.has_room_for(&[entry(version, 1, 100_000)]) {
        journal.append(0, state(1), &[entry(version, 1, 100_000)]);
        run(&mut journal, &mut disk).unwrap();
        version += 1;
    }
    assert!(version > 50 && journal.has_room_for(&[]));
    assert!(journal.free_len() < 200_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is appended, replaced and torn: acknowledged records come back, and reads find the newest.
    #[test]
    fn acknowledged_records_survive_a_torn_write(
        steps in prop::collection::vec((1usize..5, 0usize..2000, 0u64..3), 1..30),
        written in any::<u64>(),
    ) {
        let mut disk = Disk::blank();
        let (mut journal, _) = open(&mut disk).unwrap();
        let mut log: Vec<Arc<Entry>> = vec![];
        let mut records = 0;
        let last_step = steps.len() - 1;
        for (term, (count, len, replaced)) in steps.into_iter().enumerate() {
            let kept = log.len().saturating_sub(replaced as usize);
            let first = kept as u64 + 1;
            let entries: Vec<_> = (0..count as u64).map(|i| entry(first + i, term as u64, len)).collect();
            journal.append(term as u64, state(term as u64), &entries);
            if term == last_step {
                let requests = journal.take_requests();
                requests.into_iter().for_each(|request| disk.tear(request, written));
                break;
            }
            run(&mut journal, &mut disk).unwrap();
            log.truncate(kept);
            log.extend(entries);
            records += 1;
            journal.read(1, Version(1), Version(log.len() as u64), usize::MAX);
            let events = run(&mut journal, &mut disk).unwrap();
            prop_assert_eq!(events, vec![JournalEvent::Read(1, log.clone())]);
        }
        let (_, recovered) = open(&mut disk).unwrap();
        prop_assert!(recovered.len() == records || recovered.len() == records + 1);
        let mut replayed: Vec<Arc<Entry>> = vec![];
        for record in recovered.iter().take(records) {
            if let Some(first) = record.entries.first() {
                replayed.truncate(first.version.0 as usize - 1);
                replayed.extend(record.entries.iter().cloned());
            }
        }
        prop_assert_eq!(replayed, log);
    }

    /// Decoders take any bytes.
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        Superblock::parse(&bytes);
        Header::parse(&bytes, 42);
        let mut sector = bytes.clone();
        sector.resize(SECTOR_SIZE, 0);
        sector[..8].copy_from_slice(b"RELIXDSK");
        Superblock::parse(&sector);
    }
}
