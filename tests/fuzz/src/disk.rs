//! A disk of zeros, but for what was written.

use std::collections::BTreeMap;

use drivers_api::{DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};

pub struct SparseDisk {
    sectors: u64,
    written: BTreeMap<u64, [u8; SECTOR_SIZE]>,
}

impl SparseDisk {
    pub fn new(sectors: u64) -> SparseDisk {
        SparseDisk { sectors, written: BTreeMap::new() }
    }

    pub fn geometry(&self) -> DiskGeometry {
        DiskGeometry { sectors: self.sectors, queue_depth: 8, transfer_len_max: 64 * 1024 }
    }

    /// Writes bytes, the last sector padded, as far as there is a disk.
    pub fn write(&mut self, sector: u64, bytes: &[u8]) {
        for (at, piece) in (sector..self.sectors).zip(bytes.chunks(SECTOR_SIZE)) {
            let mut padded = [0; SECTOR_SIZE];
            padded[..piece.len()].copy_from_slice(piece);
            self.written.insert(at, padded);
        }
    }

    /// Reads whole sectors.
    pub fn read(&self, sector: u64, bytes: &mut [u8]) {
        bytes.fill(0);
        let count = (bytes.len() / SECTOR_SIZE) as u64;
        for (at, written) in self.written.range(sector..sector + count) {
            let start = (at - sector) as usize * SECTOR_SIZE;
            bytes[start..start + SECTOR_SIZE].copy_from_slice(written);
        }
    }

    /// Does what is asked for, as a device would: nobody may ask for what is beyond the disk.
    pub fn serve(&mut self, mut request: DiskRequest) -> DiskCompletion {
        let fits = |sector: u64, len: usize| {
            assert!(len > 0 && len.is_multiple_of(SECTOR_SIZE) && len <= 64 * 1024, "{len} bytes at once");
            sector.checked_add((len / SECTOR_SIZE) as u64).is_some_and(|end| end <= self.sectors)
        };
        let result = match &mut request.operation {
            DiskOperation::Read { sector, buffer } if fits(*sector, buffer.len()) => {
                self.read(*sector, buffer);
                Ok(())
            }
            DiskOperation::Write { sector, buffer, .. } if fits(*sector, buffer.len()) => {
                self.write(*sector, buffer);
                Ok(())
            }
            DiskOperation::Flush => Ok(()),
            _ => Err(DiskError::OutOfRange),
        };
        assert!(result != Err(DiskError::OutOfRange), "a request lies beyond the disk");
        DiskCompletion { id: request.id, operation: request.operation, result }
    }
}
