//! Reading records one after the other, a large piece of disk at a time.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use drivers_api::SECTOR_SIZE;

/// Sectors read at a time: 256 KiB.
const PIECE_SECTORS: u64 = 512;

/// A window of the disk that slides forward.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The sector that the window begins with.
    start: u64,
    bytes: Vec<u8>,
    /// How many of `bytes` lie before the window: they are dropped when it grows.
    passed: usize,
    /// The sector behind the last that may be read.
    end: u64,
}

/// Sectors to read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) sector: u64,
    pub(crate) sectors: u64,
}

impl Piece {
    pub(crate) fn buffer(&self) -> Box<[u8]> {
        vec![0; self.sectors as usize * SECTOR_SIZE].into()
    }
}

impl Reader {
    /// A window that begins, empty, at `sector`.
    pub(crate) fn new(sector: u64, end: u64) -> Reader {
        Reader { start: sector, bytes: Vec::new(), passed: 0, end }
    }

    /// The sector the window begins with.
    pub(crate) fn position(&self) -> u64 {
        self.start
    }

    /// What the window holds.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.passed..]
    }

    /// What to read so that the window grows; none at the end of the disk.
    pub(crate) fn wanted(&self, transfer_len_max: usize) -> Option<Piece> {
        let sector = self.start + (self.bytes().len() / SECTOR_SIZE) as u64;
        let most = PIECE_SECTORS.min((transfer_len_max / SECTOR_SIZE).max(1) as u64);
        let sectors = self.end.saturating_sub(sector).min(most);
        (sectors > 0).then_some(Piece { sector, sectors })
    }

    /// The piece that was wanted.
    pub(crate) fn grow(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.passed);
        self.passed = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// Moves the window's beginning forward.
    pub(crate) fn advance(&mut self, sectors: u64) {
        self.passed += (sectors as usize * SECTOR_SIZE).min(self.bytes().len());
        self.start += sectors;
    }
}
