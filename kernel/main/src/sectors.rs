//! Reads and writes of a disk that nobody else uses yet, one after the other.

use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::ops::Range;

use drivers_api::{Disk, DiskCompletion, DiskError, DiskOperation, DiskRequest, SECTOR_SIZE};
use drivers_virtio::BlockDevice;

/// The bytes of `sectors`; `None` if they cannot be read.
pub async fn read(disk: &mut BlockDevice, sectors: Range<u64>) -> Option<Vec<u8>> {
    let (mut sector, len) = (sectors.start, (sectors.end - sectors.start) as usize * SECTOR_SIZE);
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let part = (len - bytes.len()).min(transfer_len_max(disk));
        let operation = DiskOperation::Read { sector, buffer: vec![0; part].into() };
        let DiskCompletion { operation: DiskOperation::Read { buffer, .. }, result: Ok(()), .. } =
            request(disk, operation).await
        else {
            return None;
        };
        bytes.extend_from_slice(&buffer);
        sector += (part / SECTOR_SIZE) as u64;
    }
    Some(bytes)
}

/// Writes `bytes`, which are durable once it is done.
pub async fn write(disk: &mut BlockDevice, sector: u64, bytes: &[u8]) -> Result<(), DiskError> {
    let most = transfer_len_max(disk);
    for (index, part) in bytes.chunks(most).enumerate() {
        let sector = sector + (index * most / SECTOR_SIZE) as u64;
        let operation = DiskOperation::Write { sector, buffer: part.into(), durable: true };
        request(disk, operation).await.result?;
    }
    Ok(())
}

/// What one request may carry. A disk that takes less than a sector refuses that.
fn transfer_len_max(disk: &BlockDevice) -> usize {
    disk.geometry().transfer_len_max.max(SECTOR_SIZE)
}

/// One request, of which there is no other at the time.
async fn request(disk: &mut BlockDevice, operation: DiskOperation) -> DiskCompletion {
    if let Err(DiskRequest { id, operation }) = disk.submit(DiskRequest { id: 0, operation }) {
        return DiskCompletion { id, operation, result: Err(DiskError::Device) };
    }
    disk.kick();
    poll_fn(|context| disk.poll_completion(context)).await
}
