//! The part of the disk that records go round in.
//!
//! Records have *places* that only grow, as if the disk went on for ever: `RECORDS_START` is the first, and place `p`
//! is at sector `RECORDS_START + (p - RECORDS_START) % sectors`. So a record may go across the end, what an earlier lap
//! has left is told by its place, and nobody but this module has to know that there is an end.

use alloc::vec::Vec;
use core::ops::Range;

use crate::superblock::RECORDS_START;

/// The longest ring: 64 MiB, since it is read whole at every start.
const SECTORS_MAX: u64 = 64 * 2048;

/// Where the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Its first sector, and first place.
    start: u64,
    sectors: u64,
}

impl Ring {
    /// How long the ring of a disk with so many sectors is to be: a quarter, and no more than 64 MiB.
    pub(crate) fn sectors_for(disk_sectors: u64) -> u64 {
        (disk_sectors / 4).min(SECTORS_MAX)
    }

    /// The ring of records, so many sectors.
    pub(crate) fn of_records(sectors: u64) -> Ring {
        Ring { start: RECORDS_START, sectors }
    }

    /// A part of the disk from its beginning on, where places are sectors.
    pub(crate) fn straight(sectors: u64) -> Ring {
        Ring { start: 0, sectors }
    }

    /// How many sectors it has.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// The sector behind it.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.sectors
    }

    /// The sector of a place.
    pub(crate) fn sector(&self, place: u64) -> u64 {
        self.start + (place - self.start) % self.sectors
    }

    /// Whether two places have the same sector.
    pub(crate) fn is_same_sector(&self, one: u64, other: u64) -> bool {
        one >= self.start && other >= self.start && self.sector(one) == self.sector(other)
    }

    /// How many places from `place` on lie together.
    pub(crate) fn together(&self, place: u64) -> u64 {
        self.end() - self.sector(place)
    }

    /// Places as pieces of at most `most` that lie together.
    pub(crate) fn pieces(&self, places: Range<u64>, most: u64) -> Vec<Range<u64>> {
        let mut pieces = Vec::new();
        let mut place = places.start;
        while place < places.end {
            let end = places.end.min(place + most.min(self.together(place)));
            pieces.push(place..end);
            place = end;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_round() {
        let ring = Ring::of_records(100);
        let at = |place| ring.sector(RECORDS_START + place) - RECORDS_START;
        assert_eq!([0, 99, 100, 250].map(at), [0, 99, 0, 50]);
        let pieces = ring.pieces(RECORDS_START + 180..RECORDS_START + 330, 64);
        let lengths: Vec<u64> = pieces.iter().map(|piece| piece.end - piece.start).collect();
        assert_eq!(lengths, [20, 64, 36, 30]);
        assert!(ring.is_same_sector(RECORDS_START + 7, RECORDS_START + 207));
        assert!(!ring.is_same_sector(RECORDS_START + 7, 7));
    }
}
