//! One partition as a disk of its own.

use alloc::collections::VecDeque;
use core::task::{Context, Poll, Waker};

use drivers_api::{Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};

/// Sectors of a disk, from `first` on: what lies outside of them is out of reach. Its size stays as it is when the disk
/// grows.
pub struct PartitionDisk<D> {
    disk: D,
    first: u64,
    sectors: u64,
    /// What does not fit, and never reaches the disk.
    refused: VecDeque<DiskCompletion>,
    waker: Option<Waker>,
}

impl<D: Disk> PartitionDisk<D> {
    /// `sectors` sectors of `disk`, from `first` on. Nothing may be under way on it.
    pub fn new(disk: D, first: u64, sectors: u64) -> PartitionDisk<D> {
        PartitionDisk { disk, first, sectors, refused: VecDeque::new(), waker: None }
    }

    fn fits(&self, operation: &DiskOperation) -> bool {
        let (sector, len) = match operation {
            DiskOperation::Read { sector, buffer } => (*sector, buffer.len()),
            DiskOperation::Write { sector, buffer, .. } => (*sector, buffer.len()),
            DiskOperation::Flush => return true,
        };
        let end = sector.checked_add(len.div_ceil(SECTOR_SIZE) as u64);
        end.is_some_and(|end| end <= self.sectors)
    }
}

/// `operation` with its place moved by `change`.
fn moved(mut operation: DiskOperation, change: impl Fn(u64) -> u64) -> DiskOperation {
    match &mut operation {
        DiskOperation::Read { sector, .. } | DiskOperation::Write { sector, .. } => *sector = change(*sector),
        DiskOperation::Flush => {}
    }
    operation
}

impl<D: Disk> Disk for PartitionDisk<D> {
    fn geometry(&self) -> DiskGeometry {
        DiskGeometry { sectors: self.sectors, ..self.disk.geometry() }
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        let DiskRequest { id, operation } = request;
        if !self.fits(&operation) {
            self.refused.push_back(DiskCompletion { id, operation, result: Err(DiskError::OutOfRange) });
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
            return Ok(());
        }
        let first = self.first;
        let operation = moved(operation, |sector| sector + first);
        let submitted = self.disk.submit(DiskRequest { id, operation });
        submitted.map_err(|back| DiskRequest {
            id: back.id,
            operation: moved(back.operation, |sector| sector - first),
        })
    }

    fn kick(&mut self) {
        self.disk.kick();
    }

    fn poll_completion(&mut self, context: &mut Context<'_>) -> Poll<DiskCompletion> {
        if let Some(refused) = self.refused.pop_front() {
            return Poll::Ready(refused);
        }
        let first = self.first;
        match self.disk.poll_completion(context) {
            Poll::Ready(done) => {
                // Not all that is given back was: a disk that is broken may keep buffers.
                let operation = moved(done.operation, |sector| sector.saturating_sub(first));
                Poll::Ready(DiskCompletion { operation, ..done })
            }
            Poll::Pending => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
