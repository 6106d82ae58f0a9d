//! The sectors.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Range;

use drivers_api::SECTOR_SIZE;

pub(super) type Sector = [u8; SECTOR_SIZE];

const BLANK: Sector = [0; SECTOR_SIZE];

/// What a disk holds.
#[derive(Clone, Default)]
pub(super) struct Medium {
    /// Sectors that were ever written; all others are blank.
    written: BTreeMap<u64, Sector>,
    unreadable: BTreeSet<u64>,
}

impl Medium {
    pub(super) fn get(&self, sector: u64) -> &Sector {
        self.written.get(&sector).unwrap_or(&BLANK)
    }

    /// Writes a sector, which makes it readable again.
    pub(super) fn put(&mut self, sector: u64, bytes: Sector) {
        self.unreadable.remove(&sector);
        self.written.insert(sector, bytes);
    }

    /// Sectors in `range` that were ever written.
    pub(super) fn written(&self, range: Range<u64>) -> impl Iterator<Item = u64> {
        self.written.range(range).map(|(sector, _)| *sector)
    }

    pub(super) fn flip_bit(&mut self, sector: u64, bit: usize) {
        let bytes = self.written.entry(sector).or_insert(BLANK);
        bytes[bit / 8 % SECTOR_SIZE] ^= 1 << (bit % 8);
    }

    /// Makes a sector unreadable; false if it already was.
    pub(super) fn spoil(&mut self, sector: u64) -> bool {
        self.unreadable.insert(sector)
    }

    /// Forgets what lies from `sector` on.
    pub(super) fn cut(&mut self, sector: u64) {
        self.written.split_off(&sector);
        self.unreadable.split_off(&sector);
    }

    pub(super) fn is_readable(&self, sectors: Range<u64>) -> bool {
        self.unreadable.range(sectors).next().is_none()
    }
}

/// The sectors of a buffer that begins at `sector`.
pub(super) fn sectors_of(sector: u64, buffer: &[u8]) -> impl Iterator<Item = (u64, Sector)> {
    (sector..).zip(buffer.chunks_exact(SECTOR_SIZE)).map(|(sector, piece)| {
        let mut bytes = BLANK;
        bytes.copy_from_slice(piece);
        (sector, bytes)
    })
}
