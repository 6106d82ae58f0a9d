//! Opening a disk.
//!
//! ```text
//!  ┌─────────────────────┐ no valid copy, nothing foreign ┌───────────────┐
//!  │ reading superblocks │ ─────────────────────────────► │ checking that │ ── anything there ─► refused
//!  └─────────────────────┘                                │ it is blank   │
//!    │         │ some copies are bad                      └───────────────┘
//!    │         ▼                                                  │ it is
//!    │  ┌─────────────────────┐                                   │
//!    │  │ writing superblocks │ ◄─────────────────────────────────┘
//!    ▼  └─────────────────────┘
//!  ┌──────────┐ ◄──┘          the end of the records is found
//!  │ scanning │ ─────────────────────────────────────────────────► open
//!  └──────────┘
//! ```

use alloc::vec::Vec;

use cluster_format::{Incarnation, Version};
use drivers_api::{DiskError, DiskOperation, SECTOR_SIZE};

use crate::journal::{Journal, Purpose, State};
use crate::reader::{BLANK, Piece, Reader, UNREADABLE};
use crate::record::{Header, Record, RecordBody};
use crate::scanner::{self, Next, Scanner};
use crate::superblock::{COPIES, Found, RECORDS_START, Superblock};
use crate::{JournalError, JournalEvent, Mark};

/// How far behind the superblocks a blank disk is searched for records: 1 MiB.
const BLANK_SECTORS: u64 = 2048;

/// How far it has got, and what it has found.
pub(crate) struct Opening {
    stage: Stage,
    formatted: bool,
    damaged_regions: u64,
    /// The newest commit index recovered.
    commit: Version,
}

enum Stage {
    /// Reads the copies of the superblock.
    ReadingSuperblocks { found: [Option<Found>; COPIES.len()] },
    /// Makes sure that a disk without a superblock holds nothing else.
    CheckingBlank { reader: Reader },
    /// Writes copies: all of them on a blank disk, else those that are bad.
    WritingSuperblocks { left: usize },
    /// Reads the records.
    Scanning { scanner: Scanner },
}

impl Opening {
    pub(crate) fn new() -> Opening {
        let stage = Stage::ReadingSuperblocks { found: [const { None }; COPIES.len()] };
        Opening { stage, formatted: false, damaged_regions: 0, commit: Version::ZERO }
    }
}

impl Journal {
    pub(crate) fn read_superblocks(&mut self) {
        for sector in COPIES {
            self.request(Purpose::Opening, Piece { sector, sectors: 1 }.read());
        }
    }

    fn opening(&mut self) -> Option<&mut Opening> {
        match &mut self.state {
            State::Opening(opening) => Some(opening),
            State::Open => None,
        }
    }

    /// A piece was read, or could not be.
    pub(crate) fn opening_read(
        &mut self,
        sector: u64,
        buffer: &[u8],
        result: Result<(), DiskError>,
    ) -> Result<(), JournalError> {
        let State::Opening(opening) = &mut self.state else { return Ok(()) };
        match &mut opening.stage {
            Stage::ReadingSuperblocks { found } => {
                if let Some(copy) = COPIES.iter().position(|copy| *copy == sector) {
                    found[copy] = Some(result.map_or(Found::Unreadable, |()| Superblock::parse(buffer)));
                }
                let all: Vec<Found> = found.iter().flatten().cloned().collect();
                if all.len() == COPIES.len() {
                    self.superblocks_read(&all)?;
                }
            }
            Stage::CheckingBlank { reader } => {
                reader.arrived(buffer, result, &mut self.marks)?;
                check_blank(reader)?;
                match reader.wanted() {
                    Some(wanted) => self.request(Purpose::Opening, wanted.read()),
                    None => {
                        self.chain.journal = self.superblock.journal;
                        opening.formatted = true;
                        self.write_superblocks(&COPIES);
                    }
                }
            }
            Stage::Scanning { scanner } => {
                scanner.reader.arrived(buffer, result, &mut self.marks)?;
                self.continue_scan();
            }
            Stage::WritingSuperblocks { .. } => {}
        }
        Ok(())
    }

    fn superblocks_read(&mut self, found: &[Found]) -> Result<(), JournalError> {
        let Some(superblock) = choose(found) else {
            return self.no_superblock(found);
        };
        self.check_identity(superblock)?;
        self.superblock = superblock.clone();
        self.chain.journal = superblock.journal;
        let valid = Found::Valid(superblock.clone());
        let copies = COPIES.iter().zip(found).filter(|(_, found)| **found != valid);
        let bad: Vec<u64> = copies.map(|(sector, _)| *sector).collect();
        if bad.is_empty() {
            self.scan();
        } else {
            self.marks.hit(Mark::SuperblockRepaired as u32);
            self.write_superblocks(&bad);
        }
        Ok(())
    }

    /// Blank, or a first format that was cut short; everything else is not ours to write to.
    fn no_superblock(&mut self, found: &[Found]) -> Result<(), JournalError> {
        for found in found {
            match found {
                Found::OtherFormat(format) => return Err(JournalError::OtherFormat { format: *format }),
                Found::Foreign => return Err(JournalError::Foreign),
                Found::Blank | Found::Valid(_) | Found::Damaged | Found::Unreadable => {}
            }
        }
        if found.iter().all(|found| *found == Found::Unreadable) {
            return Err(DiskError::Device.into());
        }
        let repeated = found.iter().any(|found| *found != Found::Blank);
        self.marks.hit(if repeated { Mark::FormatRepeated } else { Mark::DiskFormatted } as u32);
        let end = (RECORDS_START + BLANK_SECTORS).min(self.geometry.sectors);
        let reader = Reader::new(0, end, &self.geometry);
        let wanted = reader.wanted();
        self.enter(Stage::CheckingBlank { reader }, wanted);
        Ok(())
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

    fn enter(&mut self, stage: Stage, wanted: Option<Piece>) {
        if let Some(opening) = self.opening() {
            opening.stage = stage;
        }
        if let Some(wanted) = wanted {
            self.request(Purpose::Opening, wanted.read());
        }
    }

    fn write_superblocks(&mut self, copies: &[u64]) {
        self.enter(Stage::WritingSuperblocks { left: copies.len() }, None);
        let buffer = self.superblock.to_sector();
        for sector in copies {
            let write = DiskOperation::Write { sector: *sector, buffer: buffer.clone(), durable: true };
            self.request(Purpose::Opening, write);
        }
    }

    pub(crate) fn superblock_written(&mut self) {
        let Some(Opening { stage: Stage::WritingSuperblocks { left }, .. }) = self.opening() else { return };
        *left -= 1;
        if *left == 0 {
            self.scan();
        }
    }

    fn scan(&mut self) {
        let end = self.geometry.sectors;
        let scanner = Scanner::new(RECORDS_START, end, self.chain, &self.geometry, self.planted);
        let wanted = scanner.reader.wanted();
        self.enter(Stage::Scanning { scanner }, wanted);
    }

    fn continue_scan(&mut self) {
        loop {
            let State::Opening(opening) = &mut self.state else { return };
            let Stage::Scanning { scanner } = &mut opening.stage else { return };
            match scanner.next(&mut self.marks) {
                Next::Record(found) => self.recovered(found),
                Next::More(wanted) => return self.request(Purpose::Opening, wanted.read()),
                Next::End => {
                    if scanner.tail_is_torn() {
                        self.marks.hit(Mark::TornTail as u32);
                    }
                    self.head = scanner.end();
                    self.chain = scanner.chain().reopened(self.life);
                    self.events.push(JournalEvent::Opened {
                        formatted: opening.formatted,
                        incarnation: Incarnation(self.superblock.journal),
                        damaged_regions: opening.damaged_regions,
                    });
                    self.state = State::Open;
                    return;
                }
            }
        }
    }

    fn recovered(&mut self, found: scanner::Found) {
        let scanner::Found { sector, header, body, after_damage } = found;
        let State::Opening(opening) = &mut self.state else { return };
        let entries = match &body {
            RecordBody::Entries(entries) => entries.as_slice(),
            RecordBody::Chunk(_) => &[],
        };
        if after_damage {
            opening.damaged_regions += 1;
            self.index.lost(opening.commit, entries, &header.end, &mut self.marks);
        }
        opening.commit = opening.commit.max(header.state.commit);
        let sectors = sector..sector + header.sectors();
        self.index.note(entries, sectors, header.end, &mut self.marks);
        if let RecordBody::Chunk(chunk) = &body {
            self.note_chunk(chunk, header.end);
        }
        let record = Record { state: header.state, body, end: header.end, after_damage };
        self.events.push(JournalEvent::Recovered(record));
    }
}

/// The superblock that most valid copies hold.
fn choose(found: &[Found]) -> Option<&Superblock> {
    let valid = found.iter().filter_map(|copy| match copy {
        Found::Valid(superblock) => Some((found.iter().filter(|other| *other == copy).count(), superblock)),
        _ => None,
    });
    valid.max_by_key(|(copies, _)| *copies).map(|(_, superblock)| superblock)
}

/// Looks through what has been read of a disk without a superblock: its first mebibyte and the first
/// record's place must be blank, since other systems keep their marks there; and no record may follow,
/// since it would be all that is left of a journal. What cannot be read may be any of these.
fn check_blank(reader: &mut Reader) -> Result<(), JournalError> {
    while let Some(bytes) = reader.bytes().get(..SECTOR_SIZE) {
        let sector = reader.position();
        let blank = bytes == BLANK;
        if Header::parse(bytes).is_some() {
            return Err(JournalError::Damaged { sector: COPIES[0] });
        }
        let is_copy = COPIES.contains(&sector);
        if bytes == UNREADABLE && !is_copy {
            return Err(DiskError::Device.into());
        }
        if !blank && sector <= RECORDS_START && !is_copy {
            return Err(JournalError::Foreign);
        }
        reader.advance(1);
    }
    Ok(())
}
