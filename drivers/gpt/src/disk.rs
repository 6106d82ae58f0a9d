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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use alloc::vec;
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// A disk that does nothing, and remembers what it was asked for: one request at a time.
    #[derive(Default)]
    struct Echo {
        asked: Option<DiskRequest>,
    }

    impl Disk for Echo {
        fn geometry(&self) -> DiskGeometry {
            DiskGeometry { sectors: 1000, queue_depth: 1, transfer_len_max: 1 << 20 }
        }

        fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
            match &self.asked {
                Some(_) => Err(request),
                None => {
                    self.asked = Some(request);
                    Ok(())
                }
            }
        }

        fn kick(&mut self) {}

        fn poll_completion(&mut self, _: &mut Context<'_>) -> Poll<DiskCompletion> {
            match self.asked.take() {
                Some(DiskRequest { id, operation }) => {
                    Poll::Ready(DiskCompletion { id, operation, result: Ok(()) })
                }
                None => Poll::Pending,
            }
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(id: u64, sector: u64, sectors: usize) -> DiskRequest {
        let buffer: Box<[u8]> = vec![0; sectors * SECTOR_SIZE].into();
        DiskRequest { id, operation: DiskOperation::Read { sector, buffer } }
    }

    #[test]
    fn requests_go_to_the_partition_and_come_back_as_they_were() {
        let mut disk = PartitionDisk::new(Echo::default(), 100, 50);
        assert_eq!(disk.geometry().sectors, 50);
        disk.submit(read(1, 40, 10)).expect("there is room");
        assert_eq!(disk.disk.asked, Some(read(1, 140, 10)));
        assert_eq!(disk.submit(read(2, 3, 1)), Err(read(2, 3, 1)), "the queue is full");
        let mut context = Context::from_waker(Waker::noop());
        let DiskRequest { id, operation } = read(1, 40, 10);
        let done = DiskCompletion { id, operation, result: Ok(()) };
        assert_eq!(disk.poll_completion(&mut context), Poll::Ready(done));
        let flush = DiskRequest { id: 3, operation: DiskOperation::Flush };
        disk.submit(flush.clone()).expect("there is room");
        assert_eq!(disk.disk.asked, Some(flush));
    }

    #[test]
    fn what_is_outside_is_refused_and_never_reaches_the_disk() {
        let mut disk = PartitionDisk::new(Echo::default(), 100, 50);
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        assert!(disk.poll_completion(&mut context).is_pending());
        for (id, sector, sectors) in [(1, 50, 1), (2, 41, 10), (3, u64::MAX, 1), (4, u64::MAX - 99, 1)] {
            disk.submit(read(id, sector, sectors)).expect("it is taken");
            assert_eq!(disk.disk.asked, None);
            let DiskRequest { id, operation } = read(id, sector, sectors);
            let done = DiskCompletion { id, operation, result: Err(DiskError::OutOfRange) };
            assert_eq!(disk.poll_completion(&mut context), Poll::Ready(done));
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "who waited is woken");
    }
}
