//! The protective MBR (section 5.2.3): tells those who do not know GPTs that all of the disk is taken.

use alloc::vec;
use alloc::vec::Vec;

use drivers_api::SECTOR_SIZE;

use crate::{BOOT_CODE_LEN, u32_at};

const RECORDS: usize = 446;
const RECORD_LEN: usize = 16;
const RECORD_COUNT: usize = 4;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
const PROTECTIVE: u8 = 0xee;

/// The record that protects, of those that `sector` 0 holds: where it is.
fn record(sector: &[u8]) -> Option<usize> {
    let is_mbr = sector.len() == SECTOR_SIZE && sector.ends_with(&SIGNATURE);
    let mut records = (0..RECORD_COUNT).map(|index| RECORDS + index * RECORD_LEN);
    records.find(|at| is_mbr && sector[at + 4] == PROTECTIVE)
}

/// Whether this is one.
pub(crate) fn is_protective(sector: &[u8]) -> bool {
    record(sector).is_some()
}

/// The last sector of what it protects: of the disk, when it was written.
pub(crate) fn last_sector(sector: &[u8]) -> Option<u64> {
    let at = record(sector)?;
    let (first, sectors) = (u32_at(sector, at + 8)?, u32_at(sector, at + 12)?);
    (u64::from(first) + u64::from(sectors)).checked_sub(1)
}

/// The sector 0 of a disk of so many sectors: `earlier`, with nothing changed but the length, if it protects already; else
/// one with its boot code, if it has any.
pub(crate) fn protecting(sectors: u64, earlier: &[u8]) -> Vec<u8> {
    let len = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    let mut bytes = vec![0; SECTOR_SIZE];
    let at = match record(earlier) {
        Some(at) => {
            bytes.copy_from_slice(earlier);
            at
        }
        None => {
            if let Some(code) = earlier.get(..BOOT_CODE_LEN) {
                bytes[..BOOT_CODE_LEN].copy_from_slice(code);
            }
            bytes[SECTOR_SIZE - 2..].copy_from_slice(&SIGNATURE);
            // From cylinder 0, head 0, sector 2 to beyond all cylinders; from sector 1 on.
            bytes[RECORDS..RECORDS + 12]
                .copy_from_slice(&[0, 0, 2, 0, PROTECTIVE, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
            RECORDS
        }
    };
    bytes[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
    bytes
}
