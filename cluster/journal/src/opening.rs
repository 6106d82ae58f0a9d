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
//! It scans one piece after the other, as the caller gets on with what they hold.

use alloc::boxed::Box;
use alloc::vec::Vec;

use cluster_format::{Incarnation, Version};
use drivers_api::{DiskError, DiskOperation, SECTOR_SIZE};

use crate::journal::{Journal, Purpose, State};
use crate::reader::{BLANK, Piece, Reader, UNREADABLE};
use crate::record::{Header, Record};
use crate::ring::Ring;
use crate::scanner::{self, Next, Scanner};
use crate::superblock::{
    COPIES, Found, RECORDS_START, Superblock, check_may_be_blank, choose, copy_at, is_of_copy,
};
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
    /// Reads the records; `wanted` when the caller says so.
    Scanning { scanner: Box<Scanner>, wanted: Option<Piece> },
}

impl Opening {
    pub(crate) fn new() -> Opening {
        let stage = Stage::ReadingSuperblocks { found: [const { None }; COPIES.len()] };
        Opening { stage, formatted: false, damaged_regions: 0, commit: Version::ZERO }
    }

    /// Whether records are being read.
    pub(crate) fn is_scanning(&self) -> bool {
        matches!(self.stage, Stage::Scanning { .. })
    }
}

impl Journal {
    pub(crate) fn read_superblocks(&mut self) {
        for sector in COPIES {
            self.request(Purpose::Opening, copy_at(sector).read());
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
                        opening.formatted = true;
                        self.write_superblocks(&COPIES);
                    }
                }
            }
            Stage::Scanning { scanner, .. } => {
                scanner.reader.arrived(buffer, result, &mut self.marks)?;
                self.continue_scan()?;
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
        let valid = Found::Valid(Box::new(superblock.clone()));
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

    fn no_superblock(&mut self, found: &[Found]) -> Result<(), JournalError> {
        check_may_be_blank(found)?;
        let repeated = found.iter().any(|found| *found != Found::Blank);
        self.marks.hit(if repeated { Mark::FormatRepeated } else { Mark::DiskFormatted } as u32);
        let end = (RECORDS_START + BLANK_SECTORS).min(self.geometry.sectors);
        let reader = Reader::new(Ring::straight(end), 0..end, &self.geometry);
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
        let buffer = self.superblock.to_bytes();
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
        let Superblock { start, chain, beginning, .. } = self.superblock.clone();
        let ring = self.superblock.ring();
        (self.durable, self.start, self.head) = ((beginning.state, beginning.base), start, start);
        self.index.start_anew(beginning.base);
        if let Some(opening) = self.opening() {
            opening.commit = beginning.base.position.version;
        }
        self.events.push(JournalEvent::Begins(beginning));
        let scanner = Scanner::new(ring, start..start + ring.sectors(), chain, &self.geometry, self.planted);
        let wanted = scanner.reader.wanted();
        self.enter(Stage::Scanning { scanner: Box::new(scanner), wanted }, None);
    }

    /// Reads on: after [`JournalEvent::Begins`], and whenever the caller is done with what was recovered so far. Does
    /// nothing if that is under way.
    pub fn recover(&mut self) {
        if let Some(Opening { stage: Stage::Scanning { wanted, .. }, .. }) = self.opening()
            && let Some(wanted) = wanted.take()
        {
            self.request(Purpose::Opening, wanted.read());
        }
    }

    fn continue_scan(&mut self) -> Result<(), JournalError> {
        loop {
            let State::Opening(opening) = &mut self.state else { return Ok(()) };
            let Stage::Scanning { scanner, wanted } = &mut opening.stage else { return Ok(()) };
            match scanner.next(&mut self.marks) {
                Next::Record(found) => self.recovered(*found),
                Next::More(piece) => {
                    *wanted = Some(piece);
                    return Ok(());
                }
                Next::End if scanner.is_outrun() => return Err(JournalError::Damaged { sector: COPIES[0] }),
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
                    return Ok(());
                }
            }
        }
    }

    fn recovered(&mut self, found: scanner::Found) {
        let scanner::Found { place, chain, header, entries, after_damage } = found;
        let State::Opening(opening) = &mut self.state else { return };
        if after_damage {
            opening.damaged_regions += 1;
            self.index.lost(opening.commit, &entries, &header.end, &mut self.marks);
        }
        opening.commit = opening.commit.max(header.state.commit);
        self.durable = (header.state.behind(&self.durable.0), header.end);
        let places = place..place + header.sectors();
        self.index.note(&entries, places, chain, header.end, &mut self.marks);
        let record = Record { state: header.state, entries, end: header.end, after_damage };
        self.events.push(JournalEvent::Recovered(record));
    }
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
        let is_copy = is_of_copy(sector);
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
