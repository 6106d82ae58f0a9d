//! A window of the disk that slides forward, read a large piece at a time.
//!
//! Where the device reports an error, pieces become smaller until a single sector fails: that one is
//! taken as damaged bytes. Behind it they become larger again.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use cluster_format::Marks;
use drivers_api::{DiskError, DiskGeometry, DiskOperation, SECTOR_SIZE};

use crate::ring::Ring;
use crate::{JournalError, Mark};

/// Sectors read at a time: 256 KiB.
const PIECE_SECTORS: u64 = 512;

/// A device with more unreadable sectors than these (2 MiB) has not aged but failed: going on could take
/// all it holds for lost.
const UNREADABLE_MAX: u64 = 4096;

/// A sector that was never written.
pub(crate) const BLANK: [u8; SECTOR_SIZE] = [0; SECTOR_SIZE];

/// What the bytes of an unreadable sector are taken to be: no header and no blank sector is made of them.
pub(crate) const UNREADABLE: [u8; SECTOR_SIZE] = [0xdb; SECTOR_SIZE];

/// Sectors to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) sector: u64,
    pub(crate) sectors: u64,
}

impl Piece {
    /// The request for it.
    pub(crate) fn read(self) -> DiskOperation {
        let buffer = vec![0; self.sectors as usize * SECTOR_SIZE].into();
        DiskOperation::Read { sector: self.sector, buffer }
    }
}

/// A window of the disk.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: Ring,
    /// The place that the window begins with.
    start: u64,
    bytes: Vec<u8>,
    /// How many of `bytes` lie before the window: they are dropped when it grows.
    passed: usize,
    /// The place behind the last that may be read.
    end: u64,
    /// Sectors of a piece at most, as the device allows.
    piece_max: u64,
    /// Sectors of the next piece at most: fewer near an unreadable sector.
    piece: u64,
    unreadable: u64,
}

impl Reader {
    /// A window that begins, empty, at the first of `places` of `ring`, and never goes beyond the last.
    pub(crate) fn new(ring: Ring, places: Range<u64>, geometry: &DiskGeometry) -> Reader {
        let piece_max = PIECE_SECTORS.min((geometry.transfer_len_max / SECTOR_SIZE).max(1) as u64);
        Reader {
            ring,
            start: places.start,
            bytes: Vec::new(),
            passed: 0,
            end: places.end,
            piece_max,
            piece: piece_max,
            unreadable: 0,
        }
    }

    /// Where it is.
    pub(crate) fn ring(&self) -> Ring {
        self.ring
    }

    /// The place the window begins with.
    pub(crate) fn position(&self) -> u64 {
        self.start
    }

    /// The place behind the last that may be read.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// What the window holds.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.passed..]
    }

    /// What to read so that the window grows; none if it reaches the end.
    pub(crate) fn wanted(&self) -> Option<Piece> {
        let place = self.start + (self.bytes().len() / SECTOR_SIZE) as u64;
        let sectors = self.end.saturating_sub(place).min(self.piece).min(self.ring.together(place));
        (sectors > 0).then_some(Piece { sector: self.ring.sector(place), sectors })
    }

    /// The piece that was wanted: `buffer` as long as asked for, filled if `result` says so. Fails if the
    /// device does no longer work.
    pub(crate) fn arrived(
        &mut self,
        buffer: &[u8],
        result: Result<(), DiskError>,
        marks: &mut Marks,
    ) -> Result<(), JournalError> {
        self.bytes.drain(..self.passed);
        self.passed = 0;
        let sectors = (buffer.len() / SECTOR_SIZE) as u64;
        match result {
            Ok(()) => {
                self.bytes.extend_from_slice(buffer);
                self.piece = (self.piece * 2).min(self.piece_max);
            }
            Err(DiskError::OutOfRange) => return Err(DiskError::OutOfRange.into()),
            Err(DiskError::Device) if sectors > 1 => self.piece = sectors / 2,
            Err(DiskError::Device) => {
                marks.hit(Mark::UnreadableSector as u32);
                self.bytes.extend_from_slice(&UNREADABLE);
                self.unreadable += 1;
                if self.unreadable > UNREADABLE_MAX {
                    return Err(DiskError::Device.into());
                }
            }
        }
        Ok(())
    }

    /// Moves the window's beginning forward.
    pub(crate) fn advance(&mut self, sectors: u64) {
        self.passed += (sectors as usize * SECTOR_SIZE).min(self.bytes().len());
        self.start += sectors;
    }

    /// Moves the window to a later place, and empties it.
    pub(crate) fn move_to(&mut self, place: u64) {
        self.bytes.clear();
        self.passed = 0;
        self.start = place;
    }
}
