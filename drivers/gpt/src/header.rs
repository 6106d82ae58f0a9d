//! A header (section 5.3.2): where the entries are, and what partitions may use.

use alloc::vec;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;

use crate::{Guid, crc32, u32_at, u64_at};

/// What a header begins with.
pub(crate) const SIGNATURE: [u8; 8] = *b"EFI PART";
const REVISION: u32 = 0x0001_0000;
/// Bytes that have a meaning.
const HEADER_LEN: usize = 92;

/// The length of an entry that has no unknown part.
pub(crate) const ENTRY_LEN: usize = 128;
/// The longest list of entries that is read, in bytes: four times as long as they are written.
pub(crate) const ENTRIES_LEN_MAX: usize = 64 << 10;

/// Where the primary header is.
pub(crate) const PRIMARY: u64 = 1;

/// A header. Places are sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Where it is.
    pub(crate) place: u64,
    /// Where the other copy's is.
    pub(crate) other: u64,
    /// What partitions may use begins here,
    pub(crate) first_usable: u64,
    /// and ends with this.
    pub(crate) last_usable: u64,
    pub(crate) disk: Guid,
    /// Where its entries begin.
    pub(crate) entries: u64,
    pub(crate) entry_count: u32,
    pub(crate) entry_len: u32,
    pub(crate) entries_crc: u32,
}

impl Header {
    /// The header that `sector`, at `place`, holds; `None` if it is none or is damaged.
    pub(crate) fn parse(sector: &[u8], place: u64) -> Option<Header> {
        let len = u32_at(sector, 12)? as usize;
        let whole = (HEADER_LEN..=SECTOR_SIZE).contains(&len) && sector.len() == SECTOR_SIZE;
        if !sector.starts_with(&SIGNATURE) || u32_at(sector, 8)? != REVISION || !whole {
            return None;
        }
        let mut summed = sector[..len].to_vec();
        summed[16..20].fill(0);
        if crc32(&summed) != u32_at(sector, 16)? {
            return None;
        }
        let header = Header {
            place: u64_at(sector, 24)?,
            other: u64_at(sector, 32)?,
            first_usable: u64_at(sector, 40)?,
            last_usable: u64_at(sector, 48)?,
            disk: Guid(*sector.get(56..)?.first_chunk()?),
            entries: u64_at(sector, 72)?,
            entry_count: u32_at(sector, 80)?,
            entry_len: u32_at(sector, 84)?,
            entries_crc: u32_at(sector, 88)?,
        };
        (header.place == place && header.is_possible()).then_some(header)
    }

    /// Whether its places leave each other alone.
    fn is_possible(&self) -> bool {
        let entry_len = self.entry_len as usize;
        let entries_len = entry_len.checked_mul(self.entry_count as usize);
        let bounded = entry_len >= ENTRY_LEN
            && entry_len.is_power_of_two()
            && entries_len.is_some_and(|len| (1..=ENTRIES_LEN_MAX).contains(&len));
        if !bounded {
            return false;
        }
        let Some(entries_end) = self.entries.checked_add(self.entries_sectors()) else { return false };
        // Each is below the next.
        let (primary, backup) = match self.place {
            PRIMARY => (PRIMARY, self.other),
            _ => (self.other, self.place),
        };
        let entries_fit = match self.place {
            PRIMARY => self.entries > PRIMARY && entries_end <= self.first_usable,
            _ => self.entries > self.last_usable && entries_end <= backup,
        };
        // Each copy's entries have room beside what is usable, wherever they are by now: they may be written anew.
        let room = self.entries_sectors();
        primary == PRIMARY
            && entries_fit
            && PRIMARY + room < self.first_usable
            && self.first_usable <= self.last_usable
            && self.last_usable < backup.saturating_sub(room)
            && backup < u64::MAX / SECTOR_SIZE as u64
    }

    /// Where the backup header is, whichever this one is.
    pub(crate) fn backup(&self) -> u64 {
        self.place.max(self.other)
    }

    /// How many bytes its entries are.
    pub(crate) fn entries_len(&self) -> usize {
        self.entry_len as usize * self.entry_count as usize
    }

    /// The same in sectors.
    pub(crate) fn entries_sectors(&self) -> u64 {
        self.entries_len().div_ceil(SECTOR_SIZE) as u64
    }

    /// Its sector.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; SECTOR_SIZE];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &SIGNATURE);
        put(8, &REVISION.to_le_bytes());
        put(12, &(HEADER_LEN as u32).to_le_bytes());
        put(24, &self.place.to_le_bytes());
        put(32, &self.other.to_le_bytes());
        put(40, &self.first_usable.to_le_bytes());
        put(48, &self.last_usable.to_le_bytes());
        put(56, &self.disk.0);
        put(72, &self.entries.to_le_bytes());
        put(80, &self.entry_count.to_le_bytes());
        put(84, &self.entry_len.to_le_bytes());
        put(88, &self.entries_crc.to_le_bytes());
        let sum = crc32(&bytes[..HEADER_LEN]);
        bytes[16..20].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}
