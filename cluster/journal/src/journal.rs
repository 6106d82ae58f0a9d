//! The journal: opens a disk, appends records, reads old entries. A state machine: requests for the disk
//! come out of [`Journal::take_requests`], completions go into [`Journal::completed`].

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use cluster_format::{Entry, NodeId, Version};
use drivers_api::{DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};

use crate::index::Index;
use crate::reader::Reader;
use crate::record::{Record, RecordState, build};
use crate::recovery::{Chain, EndCheck, EndVerdict, Next, next_record};
use crate::superblock::{
    CLUSTER_NAME_LEN_MAX, COPIES, Found, Identity, RECORDS_START, SECTORS_MIN, Superblock,
};

/// Kept free for votes when entries no longer fit: 1 MiB.
const RESERVE_SECTORS: u64 = 2048;

/// A record of this many sectors at most counts as small: 4 KiB.
const SMALL_SECTORS: u64 = 8;

/// Why a disk cannot be used. Nothing was written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// It holds something, but not a Relix disk.
    Foreign,
    /// It belongs to another cluster.
    OtherCluster {
        /// The cluster's name.
        name: String,
    },
    /// It belongs to another node of this cluster.
    OtherNode {
        /// The node.
        node: NodeId,
    },
    /// A later release wrote it.
    NewerFormat {
        /// Its format.
        format: u16,
    },
    /// It is smaller than when it was formatted, or than any use.
    TooSmall {
        /// Its size.
        sectors: u64,
        /// What it should be.
        needed: u64,
    },
    /// Something acknowledged can no longer be read.
    Damaged {
        /// Where.
        sector: u64,
    },
    /// The cluster's name does not fit the superblock.
    NameTooLong,
    /// The device failed.
    Device(DiskError),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Foreign => {
                write!(
                    f,
                    "the data disk holds something else than Relix data: give a blank disk or the right one"
                )
            }
            JournalError::OtherCluster { name } => {
                write!(
                    f,
                    "the data disk belongs to the cluster '{name}': give this cluster's disk or a blank one"
                )
            }
            JournalError::OtherNode { node } => {
                write!(f, "the data disk belongs to node {node} of this cluster: give this node's disk")
            }
            JournalError::NewerFormat { format } => {
                write!(
                    f,
                    "the data disk has format {format}, which is newer than this release reads: upgrade"
                )
            }
            JournalError::TooSmall { sectors, needed } => {
                let (has, needs) = (sectors / 2, needed.div_ceil(2));
                write!(
                    f,
                    "the data disk has {has} KiB where {needs} KiB are needed: it was truncated, or is too small"
                )
            }
            JournalError::Damaged { sector } => write!(
                f,
                "the data disk is damaged at sector {sector}, before records that are intact: replace it by a blank one"
            ),
            JournalError::NameTooLong => {
                write!(
                    f,
                    "the cluster's name is longer than {CLUSTER_NAME_LEN_MAX} bytes: choose a shorter one"
                )
            }
            JournalError::Device(error) => write!(f, "{error}"),
        }
    }
}

impl From<DiskError> for JournalError {
    fn from(error: DiskError) -> Self {
        JournalError::Device(error)
    }
}

/// What has happened.
#[derive(Debug, PartialEq)]
pub enum JournalEvent {
    /// Opening found a record; records come in order.
    Recovered(Record),
    /// Everything was recovered: the journal takes appends.
    Opened {
        /// Whether the disk was blank and has been formatted.
        formatted: bool,
    },
    /// The append with this name is durable.
    Appended(u64),
    /// The read with this name is done; entries may be fewer than asked for, or none.
    Read(u64, Vec<Arc<Entry>>),
}

enum State {
    /// Reads the superblock copies.
    ReadingSuperblocks { found: Vec<Found> },
    /// Makes sure that a disk whose superblocks are blank holds nothing else where records begin.
    CheckingBlank { reader: Reader },
    /// Writes them, on a blank disk.
    Formatting { left: usize },
    /// Reads the records.
    Scanning { reader: Reader },
    /// Makes sure that nothing lies behind the last record.
    CheckingEnd { reader: Reader, check: EndCheck, end: u64 },
    /// Takes appends.
    Open,
}

struct Append {
    name: u64,
    requests_left: usize,
}

struct Read {
    name: u64,
    first: Version,
    through: Version,
    len_left: usize,
    reader: Reader,
    chain: Option<Chain>,
    entries: Vec<Arc<Entry>>,
}

/// What a request for the disk belongs to, in its id's low bits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Opening = 0,
    Append = 1,
    Read = 2,
}

/// The journal of one member.
pub struct Journal {
    geometry: DiskGeometry,
    superblock: Superblock,
    state: State,
    chain: Chain,
    /// Where the next record goes.
    head: u64,
    index: Index,
    append: Option<Append>,
    reads: VecDeque<Read>,
    requests: Vec<DiskRequest>,
    requests_made: u64,
    events: Vec<JournalEvent>,
    formatted: bool,
}

impl Journal {
    /// Starts to open the disk. `journal` names it if it is blank and will be formatted: a random number.
    pub fn open(geometry: DiskGeometry, identity: Identity, journal: u64) -> Result<Journal, JournalError> {
        if identity.cluster_name.len() > CLUSTER_NAME_LEN_MAX {
            return Err(JournalError::NameTooLong);
        }
        if geometry.sectors < SECTORS_MIN {
            return Err(JournalError::TooSmall { sectors: geometry.sectors, needed: SECTORS_MIN });
        }
        let mut opening = Journal {
            geometry,
            superblock: Superblock { identity, journal, sectors: geometry.sectors },
            state: State::ReadingSuperblocks { found: Vec::new() },
            chain: Chain { journal, sequence: 0, sum: 0 },
            head: RECORDS_START,
            index: Index::default(),
            append: None,
            reads: VecDeque::new(),
            requests: Vec::new(),
            requests_made: 0,
            events: Vec::new(),
            formatted: false,
        };
        for sector in COPIES {
            opening.request(Purpose::Opening, read_of(sector, 1));
        }
        Ok(opening)
    }

    /// Requests for the disk.
    pub fn take_requests(&mut self) -> Vec<DiskRequest> {
        core::mem::take(&mut self.requests)
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<JournalEvent> {
        core::mem::take(&mut self.events)
    }

    /// Bytes that entries may still take.
    pub fn free_len(&self) -> u64 {
        (self.geometry.sectors - self.head).saturating_sub(RESERVE_SECTORS) * SECTOR_SIZE as u64
    }

    /// Bytes the disk has.
    pub fn len(&self) -> u64 {
        self.geometry.sectors * SECTOR_SIZE as u64
    }

    /// Whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.head == RECORDS_START
    }

    /// Whether a record of `entries` fits. Votes may use all of the reserve; the few entries that open a
    /// leader's term, half of it.
    pub fn has_room_for(&self, entries: &[Arc<Entry>]) -> bool {
        let len: usize = entries.iter().map(|entry| entry.len_estimate() + 16).sum();
        let sectors = (len / SECTOR_SIZE) as u64 + 2;
        let reserve = match sectors {
            _ if entries.is_empty() => 0,
            0..=SMALL_SECTORS => RESERVE_SECTORS / 2,
            _ => RESERVE_SECTORS,
        };
        self.head + sectors + reserve <= self.geometry.sectors
    }

    /// Appends a record, durably; [`JournalEvent::Appended`] says when. One at a time, after
    /// [`JournalEvent::Opened`], and only if [`Journal::has_room_for`] it.
    pub fn append(&mut self, name: u64, state: RecordState, entries: &[Arc<Entry>]) {
        assert!(self.append.is_none() && matches!(self.state, State::Open), "one append at a time");
        let (bytes, sum) = build(self.chain.journal, self.chain.sequence + 1, self.chain.sum, state, entries);
        self.chain.sequence += 1;
        self.chain.sum = sum;
        let sector = self.head;
        self.head += (bytes.len() / SECTOR_SIZE) as u64;
        self.index.note(entries, sector);
        let transfer_len = (self.geometry.transfer_len_max / SECTOR_SIZE).max(1) * SECTOR_SIZE;
        let pieces = bytes.len().div_ceil(transfer_len);
        self.append = Some(Append { name, requests_left: pieces });
        if pieces == 1 {
            return self
                .request(Purpose::Append, DiskOperation::Write { sector, buffer: bytes, durable: true });
        }
        for (index, piece) in bytes.chunks(transfer_len).enumerate() {
            let sector = sector + (index * transfer_len / SECTOR_SIZE) as u64;
            self.request(
                Purpose::Append,
                DiskOperation::Write { sector, buffer: piece.into(), durable: true },
            );
        }
    }

    /// Reads entries from `first` on, up to `through` and about `len_max` bytes.
    pub fn read(&mut self, name: u64, first: Version, through: Version, len_max: usize) {
        let sector = self.index.find(first).unwrap_or(self.head);
        let reader = Reader::new(sector, self.head);
        let read = Read { name, first, through, len_left: len_max, reader, chain: None, entries: Vec::new() };
        self.reads.push_back(read);
        if self.reads.len() == 1 {
            self.continue_read();
        }
    }

    /// A request has finished. An error means that the disk can no longer be used.
    pub fn completed(&mut self, completion: DiskCompletion) -> Result<(), JournalError> {
        completion.result?;
        match completion.id & 3 {
            id if id == Purpose::Append as u64 => self.append_completed(),
            id if id == Purpose::Read as u64 => {
                if let (Some(read), DiskOperation::Read { buffer, .. }) =
                    (self.reads.front_mut(), completion.operation)
                {
                    read.reader.grow(&buffer);
                    self.continue_read();
                }
            }
            _ => self.opening_completed(completion.operation)?,
        }
        Ok(())
    }

    fn request(&mut self, purpose: Purpose, operation: DiskOperation) {
        self.requests_made += 1;
        self.requests.push(DiskRequest { id: self.requests_made << 2 | purpose as u64, operation });
    }

    fn append_completed(&mut self) {
        let Some(append) = &mut self.append else { return };
        append.requests_left -= 1;
        if append.requests_left == 0 {
            self.events.push(JournalEvent::Appended(append.name));
            self.append = None;
        }
    }

    fn opening_completed(&mut self, operation: DiskOperation) -> Result<(), JournalError> {
        match (&mut self.state, operation) {
            (State::ReadingSuperblocks { found }, DiskOperation::Read { buffer, .. }) => {
                found.push(Superblock::parse(&buffer));
                if found.len() == COPIES.len() {
                    let found = core::mem::take(found);
                    self.superblocks_read(found)?;
                }
            }
            (State::CheckingBlank { reader }, DiskOperation::Read { buffer, .. }) => {
                if buffer.iter().any(|byte| *byte != 0) {
                    return Err(JournalError::Foreign);
                }
                reader.advance((buffer.len() / SECTOR_SIZE) as u64);
                match reader.wanted(self.geometry.transfer_len_max) {
                    Some(piece) => self.request(Purpose::Opening, read_of(piece.sector, piece.sectors)),
                    None => self.format(),
                }
            }
            (State::Formatting { left }, _) => {
                *left -= 1;
                if *left == 0 {
                    self.formatted = true;
                    self.scan();
                }
            }
            (State::Scanning { reader }, DiskOperation::Read { buffer, .. }) => {
                reader.grow(&buffer);
                self.continue_scan()?;
            }
            (State::CheckingEnd { reader, .. }, DiskOperation::Read { buffer, .. }) => {
                reader.grow(&buffer);
                self.continue_check()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn superblocks_read(&mut self, found: Vec<Found>) -> Result<(), JournalError> {
        if found.iter().all(|found| *found == Found::Blank) {
            // Other systems keep their marks elsewhere in the first mebibyte.
            let reader = Reader::new(0, RECORDS_START + 1);
            if let Some(piece) = reader.wanted(self.geometry.transfer_len_max) {
                self.request(Purpose::Opening, read_of(piece.sector, piece.sectors));
            }
            self.state = State::CheckingBlank { reader };
            return Ok(());
        }
        let mut error = JournalError::Foreign;
        for found in found {
            match found {
                Found::Valid(superblock) => {
                    self.check_identity(&superblock)?;
                    self.chain.journal = superblock.journal;
                    self.superblock = superblock;
                    self.scan();
                    return Ok(());
                }
                Found::NewerFormat(format) => error = JournalError::NewerFormat { format },
                Found::Damaged => error = JournalError::Damaged { sector: COPIES[0] },
                Found::Blank | Found::Foreign => {}
            }
        }
        Err(error)
    }

    fn format(&mut self) {
        let sector = self.superblock.to_sector();
        self.state = State::Formatting { left: COPIES.len() };
        for copy in COPIES {
            let write = DiskOperation::Write { sector: copy, buffer: sector.clone(), durable: true };
            self.request(Purpose::Opening, write);
        }
    }

    fn check_identity(&self, found: &Superblock) -> Result<(), JournalError> {
        let expected = &self.superblock.identity;
        if found.identity.cluster_name != expected.cluster_name {
            return Err(JournalError::OtherCluster { name: found.identity.cluster_name.clone() });
        }
        if found.identity.node != expected.node {
            return Err(JournalError::OtherNode { node: found.identity.node });
        }
        if found.sectors > self.geometry.sectors {
            return Err(JournalError::TooSmall { sectors: self.geometry.sectors, needed: found.sectors });
        }
        Ok(())
    }

    fn scan(&mut self) {
        let reader = Reader::new(RECORDS_START, self.geometry.sectors);
        if let Some(piece) = reader.wanted(self.geometry.transfer_len_max) {
            self.request(Purpose::Opening, read_of(piece.sector, piece.sectors));
        }
        self.state = State::Scanning { reader };
    }

    fn continue_scan(&mut self) -> Result<(), JournalError> {
        let State::Scanning { reader } = &mut self.state else { return Ok(()) };
        loop {
            let piece = reader.wanted(self.geometry.transfer_len_max);
            match next_record(reader, &mut self.chain, piece.is_none()) {
                Next::Record(sector, record) => {
                    self.index.note(&record.entries, sector);
                    self.events.push(JournalEvent::Recovered(record));
                }
                Next::More => {
                    if let Some(piece) = piece {
                        self.request(Purpose::Opening, read_of(piece.sector, piece.sectors));
                        return Ok(());
                    }
                }
                Next::End => break,
            }
        }
        let end = reader.position();
        let check = EndCheck::new(reader);
        let State::Scanning { reader } = core::mem::replace(&mut self.state, State::Open) else {
            return Ok(());
        };
        self.state = State::CheckingEnd { reader, check, end };
        self.continue_check()
    }

    fn continue_check(&mut self) -> Result<(), JournalError> {
        let State::CheckingEnd { reader, check, end } = &mut self.state else { return Ok(()) };
        let end = *end;
        let piece = reader.wanted(self.geometry.transfer_len_max);
        match (check.check(reader, &self.chain, piece.is_none()), piece) {
            (EndVerdict::Damaged, _) => return Err(JournalError::Damaged { sector: end }),
            (EndVerdict::More, Some(piece)) => {
                self.request(Purpose::Opening, read_of(piece.sector, piece.sectors));
            }
            _ => self.opened(end),
        }
        Ok(())
    }

    fn opened(&mut self, end: u64) {
        self.head = end;
        self.state = State::Open;
        self.events.push(JournalEvent::Opened { formatted: self.formatted });
    }

    /// Goes on with the oldest read until it needs the disk, and with the next ones.
    fn continue_read(&mut self) {
        while let Some(read) = self.reads.front_mut() {
            let piece = read.reader.wanted(self.geometry.transfer_len_max);
            if !read.collect(&self.index, self.chain.journal, piece.is_none())
                && let Some(piece) = piece
            {
                return self.request(Purpose::Read, read_of(piece.sector, piece.sectors));
            }
            let Some(read) = self.reads.pop_front() else { return };
            self.events.push(JournalEvent::Read(read.name, read.entries));
        }
    }
}

impl Read {
    /// Takes what the window holds; true when the read is done.
    fn collect(&mut self, index: &Index, journal: u64, at_end: bool) -> bool {
        loop {
            // The chain is taken up at whatever record the index pointed to.
            let chain = match &mut self.chain {
                Some(chain) => chain,
                none => match crate::record::Header::parse(self.reader.bytes(), journal) {
                    Some(header) => none.insert(Chain {
                        journal,
                        sequence: header.sequence.wrapping_sub(1),
                        sum: header.previous,
                    }),
                    None => return at_end || !self.reader.bytes().is_empty(),
                },
            };
            match next_record(&mut self.reader, chain, at_end) {
                Next::Record(_, record) => {
                    for entry in record.entries {
                        let due = Version(self.first.0 + self.entries.len() as u64);
                        // Others come before the first, or were replaced later.
                        if entry.version != due || !index.is_newest(&entry) {
                            continue;
                        }
                        if due > self.through || (self.len_left == 0 && !self.entries.is_empty()) {
                            return true;
                        }
                        self.len_left = self.len_left.saturating_sub(entry.len_estimate());
                        self.entries.push(entry);
                    }
                }
                Next::More => return false,
                Next::End => return true,
            }
        }
    }
}

fn read_of(sector: u64, sectors: u64) -> DiskOperation {
    DiskOperation::Read { sector, buffer: crate::reader::Piece { sector, sectors }.buffer() }
}
