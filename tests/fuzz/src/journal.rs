//! The ledger's disk: a superblock, and any bytes behind it.

use std::sync::LazyLock;

use cluster_format::{
    Commit, Digest, Entry, Incarnation, LogPosition, NodeId, Origin, Payload, Planted, RequestId, Version,
    Write, crc32c, decode_prefix, encode,
};
use cluster_journal::{
    Beginning, Identity, Journal, JournalError, JournalEvent, LogEnd, RECORDS_START, Record, RecordState,
};
use drivers_api::SECTOR_SIZE;

use crate::disk::SparseDisk;
use crate::input::{Input, Output};

/// The smallest disk: two mebibytes of it are the ring.
const SECTORS: u64 = 8 * 2048;

/// Where copies of the superblock are, its length, and where its body begins: see cluster/journal/src/superblock.rs.
const COPIES: [u64; 4] = [0, 512, 8, 1024];
const SUPERBLOCK_LEN: usize = 4096;
const BODY: usize = 16;

/// A record's header: see cluster/journal/src/record.rs.
const HEADER_LEN: usize = 144;

/// The fields of a superblock, in their order.
type Fields = (Identity, u64, u64, u64, u64, u64, (u64, u64, u32, u64), Beginning);

fn identity() -> Identity {
    Identity { cluster_name: "fuzz".into(), node: NodeId(1), founders: Some(1) }
}

/// Opens a disk and reads all of it.
fn open(disk: &mut SparseDisk, random: u64) -> Result<(Journal, Vec<Record>), JournalError> {
    let mut journal = Journal::open(disk.geometry(), identity(), random, Planted::NONE)?;
    let events = run(&mut journal, disk)?;
    let record = |event| match event {
        JournalEvent::Recovered(record) => Some(record),
        _ => None,
    };
    let opened = events.iter().any(|event| matches!(event, JournalEvent::Opened { .. }));
    assert!(opened, "it opens, or says why not");
    Ok((journal, events.into_iter().filter_map(record).collect()))
}

fn run(journal: &mut Journal, disk: &mut SparseDisk) -> Result<Vec<JournalEvent>, JournalError> {
    let mut events = journal.take_events();
    loop {
        journal.recover();
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

/// A copy of the superblock, as a journal writes it when it formats a disk.
fn formatted() -> (SparseDisk, Vec<u8>) {
    let mut disk = SparseDisk::new(SECTORS);
    let opened = open(&mut disk, 41);
    assert!(opened.is_ok(), "a blank disk is formatted");
    let mut copy = vec![0; SUPERBLOCK_LEN];
    disk.read(COPIES[0], &mut copy);
    (disk, copy)
}

/// The copy, with another body.
fn with_body(copy: &[u8], body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(SUPERBLOCK_LEN - BODY)];
    let mut copy = copy[..BODY].to_vec();
    copy[10..12].copy_from_slice(&(body.len() as u16).to_le_bytes());
    copy[12..16].copy_from_slice(&crc32c(body).to_le_bytes());
    copy.extend_from_slice(body);
    copy.resize(SUPERBLOCK_LEN, 0);
    copy
}

fn body_of(copy: &[u8]) -> &[u8] {
    let len = usize::from(u16::from_le_bytes([copy[10], copy[11]]));
    &copy[BODY..BODY + len]
}

/// What the bits of a record's second byte ask for, before its header is put there.
const KEEPS_SEQUENCE: u8 = 1;
const KEEPS_PREVIOUS: u8 = 2;
const KEEPS_PLACE: u8 = 4;
const KEEPS_PAYLOAD_SUM: u8 = 8;
const KEEPS_LIFE: u8 = 16;

/// Makes a record of each sector that begins with a 1: magic numbers and checksums are right, and what follows from the
/// record before, unless its bits say otherwise.
fn seal(bytes: &mut [u8], magic: &[u8], fields: &Fields) {
    let (_, journal, _, _, _, start, chain, _) = fields;
    let (_, mut sequence, mut previous, mut life) = *chain;
    for sector in 0..bytes.len() / SECTOR_SIZE {
        let record = &mut bytes[sector * SECTOR_SIZE..];
        if record[0] != 1 {
            continue;
        }
        let bits = record[1];
        record[..6].copy_from_slice(magic);
        record[6] = 0;
        record[8..16].copy_from_slice(&journal.to_le_bytes());
        if bits & KEEPS_SEQUENCE == 0 {
            sequence = sequence.wrapping_add(1);
            record[16..24].copy_from_slice(&sequence.to_le_bytes());
        }
        if bits & KEEPS_PLACE == 0 {
            record[24..32].copy_from_slice(&start.wrapping_add(sector as u64).to_le_bytes());
        }
        if bits & KEEPS_PREVIOUS == 0 {
            record[32..36].copy_from_slice(&previous.to_le_bytes());
        }
        if bits & KEEPS_LIFE == 0 {
            record[112..120].copy_from_slice(&life.to_le_bytes());
        }
        let len = u32::from_le_bytes([record[36], record[37], record[38], record[39]]) as usize;
        let payload = record.get(HEADER_LEN..HEADER_LEN.saturating_add(len));
        if let Some(sum) = payload.filter(|_| bits & KEEPS_PAYLOAD_SUM == 0).map(crc32c) {
            record[60..64].copy_from_slice(&sum.to_le_bytes());
        }
        previous = crc32c(&record[..140]);
        record[140..144].copy_from_slice(&previous.to_le_bytes());
        let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("eight bytes"));
        (sequence, life) = (number(16), number(112));
    }
}

/// An entry behind `end`.
fn entry_behind(end: &LogEnd, len: usize) -> Entry {
    let LogPosition { term, version } = end.position;
    let position = LogPosition { term, version: version.next() };
    let commit = Commit {
        request: RequestId { session: 7, sequence: 9 },
        origin: Origin { node: NodeId(2) },
        read_version: version,
        reads: Vec::new(),
        deletes: Vec::new(),
        writes: [Write { key: b"k"[..].into(), value: Some(vec![5; len].into()) }].into(),
    };
    Entry::new(position, 0, end.digest, Payload::Commit(commit.into()))
}

/// What a superblock says, but for the founders, which stand behind it.
fn fields_of(body: &[u8]) -> Option<Fields> {
    decode_prefix(body).ok().map(|(fields, _)| fields)
}

/// Opens a disk, goes on from what is there, and opens it again.
pub fn disk(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    static FORMATTED: LazyLock<Vec<u8>> = LazyLock::new(|| formatted().1);
    let (mut disk, copy) = (SparseDisk::new(SECTORS), &*FORMATTED);
    COPIES.iter().for_each(|sector| disk.write(*sector, copy));
    let given = input.long();
    let body = if given.is_empty() { body_of(copy) } else { given };
    let copies = input.byte();
    let superblock = with_body(copy, body);
    for (index, sector) in COPIES.into_iter().enumerate() {
        if copies >> index & 1 == 0 {
            disk.write(sector, &superblock);
        }
    }
    let what = input.short().to_vec();
    let mut records = input.rest().to_vec();
    records.resize(records.len().next_multiple_of(SECTOR_SIZE), 0);
    let fields = fields_of(body).or_else(|| fields_of(body_of(copy))).expect("a journal has written it");
    let magic = [&b"RLXJ"[..], &copy[8..10]].concat();
    seal(&mut records, &magic, &fields);
    // In the ring, a place follows from the first.
    let ring = fields.3.clamp(1, SECTORS - RECORDS_START);
    for (sector, record) in records.chunks(SECTOR_SIZE).enumerate() {
        let place = fields.5.wrapping_sub(RECORDS_START).wrapping_add(sector as u64) % ring;
        disk.write(RECORDS_START + place, record);
    }
    let Ok((mut journal, records)) = open(&mut disk, 42) else { return };
    go_on(&mut journal, &mut disk, &records, &what);
    // What it holds then may differ: a record that followed from nothing may follow now.
    let again = open(&mut disk, 43);
    assert!(again.is_ok(), "what has opened and was written to opens again");
}

/// Reads what is there, and writes behind it.
fn go_on(journal: &mut Journal, disk: &mut SparseDisk, records: &[Record], what: &[u8]) {
    let first = records.iter().flat_map(|record| &record.entries).map(|entry| entry.version).min();
    journal.read(1, first.unwrap_or(Version(1)), Version(u64::MAX), 100_000);
    let _ = run(journal, disk).expect("the disk works");
    let newest = records.iter().rev().find_map(|record| record.entries.last());
    let through = newest.map_or(LogEnd::default(), |entry| LogEnd::of(entry));
    for step in what.iter().take(12) {
        match step % 4 {
            0 => {
                let state = RecordState { term: journal.log_end().position.term, ..RecordState::default() };
                let entries = [entry_behind(&journal.log_end(), usize::from(*step) * 40).into()];
                let entries = if *step < 128 { &entries[..] } else { &[] };
                if journal.has_room_for(entries) {
                    journal.append(5, state, entries);
                }
            }
            1 if journal.can_checkpoint() => journal.checkpoint(&[*step; 40], &through),
            2 if journal.can_checkpoint() => {
                journal.start_anew(&[*step; 9], through, LogPosition::default());
            }
            _ => journal.read(2, Version(u64::from(*step)), Version(u64::MAX), 1000),
        }
        let _ = run(journal, disk).expect("the disk works");
    }
}

/// Records as a journal writes them, to be sealed again.
fn written(records: &[usize]) -> Vec<u8> {
    let mut disk = SparseDisk::new(SECTORS);
    let (mut journal, _) = open(&mut disk, 41).expect("a blank disk");
    for entries in records {
        let mut end = journal.log_end();
        let mut list = Vec::new();
        for _ in 0..*entries {
            let entry = entry_behind(&end, 30);
            end = LogEnd::of(&entry);
            list.push(entry.into());
        }
        journal.append(1, RecordState { term: 1, ..RecordState::default() }, &list);
        run(&mut journal, &mut disk).expect("the disk works");
    }
    let mut bytes = vec![0; 12 * SECTOR_SIZE];
    disk.read(RECORDS_START, &mut bytes);
    for sector in bytes.chunks_mut(SECTOR_SIZE) {
        if sector.starts_with(b"RLXJ") {
            sector[..2].copy_from_slice(&[1, 0]);
        }
    }
    while bytes.ends_with(&[0; SECTOR_SIZE]) {
        bytes.truncate(bytes.len() - SECTOR_SIZE);
    }
    bytes
}

pub fn seeds() -> Vec<Vec<u8>> {
    let (_, copy) = formatted();
    let mut fields = fields_of(body_of(&copy)).expect("a journal has written it");
    let mut seeds = Vec::new();
    let steps: [&[u8]; 3] = [&[0, 4, 1, 128, 3], &[1, 1, 0, 2, 0], &[]];
    for (records, steps) in [&[1, 2, 0, 3][..], &[0, 12], &[]].into_iter().zip(steps) {
        seeds.push(seed(&[], 0, steps, &written(records)));
    }
    // Two places on, the log begins behind version 7, and a copy is missing.
    fields.5 += 2;
    fields.7.base =
        LogEnd { position: LogPosition { term: 1, version: Version(7) }, digest: Digest::of(b"the seventh") };
    fields.7.root = vec![1, 2, 3];
    fields.7.state.commit = Version(7);
    assert_ne!(Incarnation(fields.1), Incarnation::UNKNOWN);
    seeds.push(seed(&encode(&fields), 4, steps[0], &written(&[2, 2])));
    seeds
}

fn seed(body: &[u8], copies: u8, steps: &[u8], records: &[u8]) -> Vec<u8> {
    let mut seed = Output::default();
    seed.long(body).byte(copies).short(steps).bytes(records);
    seed.0
}
