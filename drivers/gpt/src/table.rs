//! The table: a header, and entries (section 5.3.3).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;

use crate::header::{ENTRY_LEN, Header, PRIMARY};
use crate::{BOOT_CODE_LEN, GptError, Guid, Write, crc32, mbr, u64_at};

/// How many entries a new table has room for, as most have.
const ENTRY_COUNT: usize = 128;
/// Code units in a name.
const NAME_LEN: usize = 36;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: Guid,
    /// Which it is.
    pub id: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
    /// What it is called.
    pub name: String,
}

impl Partition {
    /// How many sectors it has.
    pub fn sectors(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// A partition that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPartition<'a> {
    /// What it is for.
    pub kind: Guid,
    /// Which it is.
    pub id: Guid,
    /// What it is called: 36 code units of UTF-16 at most, the rest is left out.
    pub name: &'a str,
    /// Its first sector.
    pub first: u64,
    /// How many sectors it has; `None`: all that are left.
    pub sectors: Option<u64>,
}

/// A valid table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub(crate) header: Header,
    /// As they are on the disk, in whole sectors.
    pub(crate) entries: Vec<u8>,
}

impl Table {
    /// A table of `partitions` for a disk of so many sectors, called `disk`.
    pub fn new(sectors: u64, disk: Guid, partitions: &[NewPartition<'_>]) -> Result<Table, GptError> {
        let mut header = Header {
            place: PRIMARY,
            other: 0,
            first_usable: 0,
            last_usable: 0,
            disk,
            entries: PRIMARY + 1,
            entry_count: ENTRY_COUNT as u32,
            entry_len: ENTRY_LEN as u32,
            entries_crc: 0,
        };
        header.first_usable = header.entries + header.entries_sectors();
        header.other = sectors.checked_sub(1).ok_or(GptError::NoRoom)?;
        header.last_usable =
            header.other.checked_sub(header.entries_sectors() + 1).ok_or(GptError::NoRoom)?;
        let mut table = Table { header, entries: vec![0; header.entries_len()] };
        if partitions.len() > ENTRY_COUNT {
            return Err(GptError::NoRoom);
        }
        for (entry, partition) in table.entries.chunks_exact_mut(ENTRY_LEN).zip(partitions) {
            let last = match partition.sectors {
                Some(sectors) => partition.first.checked_add(sectors).and_then(|end| end.checked_sub(1)),
                None => Some(header.last_usable),
            };
            entry[..16].copy_from_slice(&partition.kind.0);
            entry[16..32].copy_from_slice(&partition.id.0);
            entry[32..40].copy_from_slice(&partition.first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.ok_or(GptError::NoRoom)?.to_le_bytes());
            for (unit, place) in
                partition.name.encode_utf16().take(NAME_LEN).zip(entry[56..].chunks_exact_mut(2))
            {
                place.copy_from_slice(&unit.to_le_bytes());
            }
        }
        table.sum_up();
        let Table { header, entries } = table;
        Table::of(header, entries).ok_or(GptError::NoRoom)
    }

    /// The table of a header and the sectors of its entries; `None` if these are damaged.
    pub(crate) fn of(header: Header, entries: Vec<u8>) -> Option<Table> {
        let listed = entries.get(..header.entries_len())?;
        if crc32(listed) != header.entries_crc {
            return None;
        }
        let table = Table { header, entries };
        let mut places: Vec<(u64, u64)> = table.partitions().map(|one| (one.first, one.last)).collect();
        places.sort_unstable();
        let usable = header.first_usable..=header.last_usable;
        let fit = places
            .iter()
            .all(|(first, last)| first <= last && usable.contains(first) && usable.contains(last));
        let apart = places.windows(2).all(|pair| pair[0].1 < pair[1].0);
        (fit && apart).then_some(table)
    }

    /// Which disk it is.
    pub fn disk(&self) -> Guid {
        self.header.disk
    }

    /// How many sectors the disk has, or had when the table was written.
    pub fn sectors(&self) -> u64 {
        self.header.backup() + 1
    }

    /// The partitions, in the order of their entries.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.used().filter_map(|(_, entry)| {
            let units =
                entry.get(56..ENTRY_LEN)?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            let name = char::decode_utf16(units.take_while(|unit| *unit != 0));
            Some(Partition {
                kind: Guid(*entry.first_chunk()?),
                id: Guid(*entry.get(16..)?.first_chunk()?),
                first: u64_at(entry, 32)?,
                last: u64_at(entry, 40)?,
                name: name.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
            })
        })
    }

    /// The first partition of this type.
    pub fn find(&self, kind: Guid) -> Result<Partition, GptError> {
        self.partitions().find(|partition| partition.kind == kind).ok_or(GptError::NoPartition { kind })
    }

    /// The entries that are in use: where each begins, and its bytes.
    fn used(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let len = self.header.entry_len as usize;
        let entries = self.entries[..self.header.entries_len()].chunks_exact(len).enumerate();
        entries
            .filter(|(_, entry)| entry[..16] != Guid::ZERO.0)
            .map(move |(index, entry)| (index * len, entry))
    }

    /// The partition of type `kind` ends with sector `last` from now on.
    pub(crate) fn set_last(&mut self, kind: Guid, last: u64) {
        let found = self.used().find(|(_, entry)| entry[..16] == kind.0).map(|(at, _)| at);
        if let Some(at) = found {
            self.entries[at + 40..at + 48].copy_from_slice(&last.to_le_bytes());
            self.sum_up();
        }
    }

    fn sum_up(&mut self) {
        self.header.entries_crc = crc32(&self.entries[..self.header.entries_len()]);
    }

    /// The copy of it that is called for: the primary one or the backup.
    pub(crate) fn as_copy(&self, is_primary: bool) -> Table {
        let backup = self.header.backup();
        let mut copy = self.clone();
        (copy.header.place, copy.header.other, copy.header.entries) = match is_primary {
            true => (PRIMARY, backup, PRIMARY + 1),
            false => (backup, PRIMARY, backup - self.header.entries_sectors()),
        };
        if is_primary && self.header.place == PRIMARY || !is_primary && self.header.place != PRIMARY {
            copy.header.entries = self.header.entries;
        }
        copy
    }

    /// What writes this copy: the entries first, so that the header is right once it is there.
    pub(crate) fn writes(&self) -> [Write; 2] {
        [
            Write { sector: self.header.entries, bytes: self.entries.clone() },
            Write { sector: self.header.place, bytes: self.header.to_bytes() },
        ]
    }

    /// What makes a blank disk one with this table, and with `boot_code` in its first sector.
    pub fn format(&self, boot_code: &[u8; BOOT_CODE_LEN]) -> Vec<Write> {
        let mut first = vec![0; SECTOR_SIZE];
        first[..BOOT_CODE_LEN].copy_from_slice(boot_code);
        let first = Write { sector: 0, bytes: mbr::protecting(self.sectors(), &first) };
        [self.as_copy(false).writes(), self.as_copy(true).writes()]
            .into_iter()
            .flatten()
            .chain([first])
            .collect()
    }
}
