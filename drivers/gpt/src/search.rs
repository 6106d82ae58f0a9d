//! Finding the table of a disk.
//!
//! ```text
//!  FRONT (sectors 0 and 1) ──► ENTRIES of the primary ──► BACKUP where it says ──► its ENTRIES ──► done
//!    │                              │ damaged
//!    └────── no valid header ───────┴──► BACKUP at the disk's last sector, then where the protective MBR ends ──► ...
//! ```

use alloc::vec::Vec;
use core::fmt;

use drivers_api::SECTOR_SIZE;

use crate::header::{Header, PRIMARY, SIGNATURE};
use crate::table::Table;
use crate::{GptError, RELIX_DATA, mbr};

/// Sectors that are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub sector: u64,
    /// How many: at least one, at most 128.
    pub sectors: u64,
}

/// One of a table's copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// That at the disk's beginning.
    Primary,
    /// That at its end.
    Backup,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Copy::Primary => "first",
            Copy::Backup => "second",
        })
    }
}

/// A disk's table, as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The table, by the copy that counts.
    pub table: Table,
    /// The copy that is damaged, is not there, or says something else.
    pub damaged: Option<Copy>,
    /// The first sector; none if it cannot be read.
    pub(crate) front: Option<Vec<u8>>,
}

enum Step {
    Front,
    Header { place: u64 },
    Entries { header: Header },
    Done,
}

/// The search: say what is wanted, take what was read, until nothing is wanted any more.
pub struct Search {
    sectors: u64,
    step: Step,
    front: Option<Vec<u8>>,
    /// Whether the disk looks as if it had a table.
    has_signs: bool,
    primary: Option<Table>,
    backup: Option<Table>,
    /// Where a backup may be that has not been looked at.
    places: Vec<u64>,
}

impl Search {
    /// On a disk of so many sectors.
    pub fn new(sectors: u64) -> Search {
        Search {
            sectors,
            step: if sectors > PRIMARY { Step::Front } else { Step::Done },
            front: None,
            has_signs: false,
            primary: None,
            backup: None,
            places: Vec::new(),
        }
    }

    /// What is to be read next, within the disk; `None` when all is known.
    pub fn wanted(&self) -> Option<Span> {
        match &self.step {
            Step::Front => Some(Span { sector: 0, sectors: PRIMARY + 1 }),
            Step::Header { place } => Some(Span { sector: *place, sectors: 1 }),
            Step::Entries { header } => {
                Some(Span { sector: header.entries, sectors: header.entries_sectors() })
            }
            Step::Done => None,
        }
    }

    /// What was wanted: `bytes` are those sectors, or `None` if they cannot be read.
    pub fn arrived(&mut self, bytes: Option<&[u8]>) {
        let wanted = self.wanted().map_or(0, |span| span.sectors) as usize * SECTOR_SIZE;
        let bytes = bytes.filter(|bytes| bytes.len() == wanted);
        match core::mem::replace(&mut self.step, Step::Done) {
            Step::Front => self.front_arrived(bytes),
            Step::Header { place } => match bytes.and_then(|bytes| Header::parse(bytes, place)) {
                Some(header) => self.look_at(header),
                None => self.look_on(),
            },
            Step::Entries { header } => {
                let table = bytes.and_then(|bytes| Table::of(header, bytes.to_vec()));
                match (header.place, table) {
                    (PRIMARY, Some(table)) => {
                        // Only there: another would be of an earlier life of the disk.
                        self.places =
                            [header.other].into_iter().filter(|place| *place < self.sectors).collect();
                        self.primary = Some(table);
                    }
                    (_, Some(table)) => {
                        self.backup = Some(table);
                        self.places.clear();
                    }
                    (_, None) => {}
                }
                self.look_on();
            }
            Step::Done => {}
        }
    }

    fn front_arrived(&mut self, bytes: Option<&[u8]>) {
        let (first, header) = bytes.map_or((&[][..], &[][..]), |bytes| bytes.split_at(SECTOR_SIZE));
        self.front = bytes.map(|_| first.to_vec());
        self.has_signs = mbr::is_protective(first) || header.starts_with(&SIGNATURE);
        let last = self.sectors - 1;
        // The last that is looked at comes first.
        let earlier = mbr::last_sector(first).filter(|place| *place > PRIMARY && *place < last);
        self.places = earlier.into_iter().chain([last]).collect();
        match Header::parse(header, PRIMARY) {
            Some(header) => self.look_at(header),
            None => self.look_on(),
        }
    }

    /// A header was found: its entries are next, as far as they are on the disk.
    fn look_at(&mut self, header: Header) {
        let end = header.entries.saturating_add(header.entries_sectors());
        if end <= self.sectors {
            self.step = Step::Entries { header };
        } else {
            self.look_on();
        }
    }

    fn look_on(&mut self) {
        self.step = match self.places.pop() {
            Some(place) if place > PRIMARY => Step::Header { place },
            _ => Step::Done,
        };
    }

    /// What there is; `None` if the disk has no table. Once nothing is wanted any more.
    pub fn finish(self) -> Result<Option<Found>, GptError> {
        let Search { sectors, front, has_signs, primary, backup, .. } = self;
        let same = |one: &Table, other: &Table| one.as_copy(true) == other.as_copy(true);
        let (table, damaged) = match (primary, backup) {
            (Some(primary), Some(backup)) if same(&primary, &backup) => (primary, None),
            (Some(primary), _) => (primary, Some(Copy::Backup)),
            // What is at a disk's end may be left of an earlier life of it: not if its beginning was wiped away.
            (None, Some(backup)) if has_signs || may_be_wiped(&front) && backup.find(RELIX_DATA).is_ok() => {
                (backup, Some(Copy::Primary))
            }
            (None, _) if has_signs => return Err(GptError::Damaged),
            (None, _) => return Ok(None),
        };
        if table.sectors() > sectors {
            return Err(GptError::TooSmall { sectors, needed: table.sectors() });
        }
        Ok(Some(Found { table, damaged, front }))
    }
}

/// Whether the first sector holds nothing, or cannot be read.
fn may_be_wiped(front: &Option<Vec<u8>>) -> bool {
    front.iter().flatten().all(|byte| *byte == 0)
}
