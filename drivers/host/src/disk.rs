//! A disk over a file. One thread does the reading and writing, so that the node never waits; durable
//! writes that arrive together share one `fdatasync`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use drivers_api::{Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};

pub(crate) const QUEUE_DEPTH: u16 = 128;
const TRANSFER_LEN_MAX: usize = 1024 * 1024;

/// What the thread has finished, and whom to tell.
#[derive(Default)]
struct Finished {
    completions: VecDeque<DiskCompletion>,
    waker: Option<Waker>,
}

/// A disk whose sectors are a file's bytes.
pub struct HostDisk {
    size: DiskSize,
    submitted: Vec<DiskRequest>,
    in_flight: usize,
    requests: Sender<Vec<DiskRequest>>,
    finished: Arc<Mutex<Finished>>,
}

impl HostDisk {
    /// Opens the file at `path`, which is as long as the disk is large.
    pub fn open(path: &Path) -> io::Result<HostDisk> {
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
        let finished = Arc::new(Mutex::new(Finished::default()));
        let size = DiskSize { file: file.clone(), sectors: Arc::default(), finished: finished.clone() };
        size.measure()?;
        let (requests, batches) = channel();
        let shared = finished.clone();
        thread::Builder::new().name("disk".into()).spawn(move || serve(&file, &batches, &shared))?;
        Ok(HostDisk { size, submitted: Vec::new(), in_flight: 0, requests, finished })
    }

    /// Its size, for whoever is told that it has changed.
    pub fn size(&self) -> DiskSize {
        self.size.clone()
    }
}

/// How large a [`HostDisk`] is.
#[derive(Clone)]
pub struct DiskSize {
    file: Arc<File>,
    sectors: Arc<AtomicU64>,
    finished: Arc<Mutex<Finished>>,
}

impl DiskSize {
    /// The file may have another length: measures it, and wakes the disk's user.
    pub fn measure(&self) -> io::Result<()> {
        self.sectors.store(self.file.metadata()?.len() / SECTOR_SIZE as u64, Ordering::Release);
        wake(&self.finished, []);
        Ok(())
    }
}

impl Disk for HostDisk {
    fn geometry(&self) -> DiskGeometry {
        let sectors = self.size.sectors.load(Ordering::Acquire);
        DiskGeometry { sectors, queue_depth: QUEUE_DEPTH, transfer_len_max: TRANSFER_LEN_MAX }
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if self.in_flight >= usize::from(QUEUE_DEPTH) {
            return Err(request);
        }
        self.in_flight += 1;
        self.submitted.push(request);
        Ok(())
    }

    fn kick(&mut self) {
        if !self.submitted.is_empty() {
            // The thread ends only with this disk.
            let _ = self.requests.send(std::mem::take(&mut self.submitted));
        }
    }

    fn poll_completion(&mut self, context: &mut Context<'_>) -> Poll<DiskCompletion> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        match finished.completions.pop_front() {
            Some(completion) => {
                self.in_flight -= 1;
                Poll::Ready(completion)
            }
            None => {
                if !finished.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    finished.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// The thread: takes whatever has been handed over, does it, syncs once if anything must be durable.
fn serve(file: &File, batches: &Receiver<Vec<DiskRequest>>, finished: &Mutex<Finished>) {
    while let Ok(mut batch) = batches.recv() {
        while let Ok(mut more) = batches.try_recv() {
            batch.append(&mut more);
        }
        let mut must_sync = false;
        let mut completions: Vec<DiskCompletion> = batch
            .into_iter()
            .map(|mut request| {
                must_sync |= matches!(
                    request.operation,
                    DiskOperation::Flush | DiskOperation::Write { durable: true, .. }
                );
                let result = perform(file, &mut request.operation).map_err(|_| DiskError::Device);
                DiskCompletion { id: request.id, operation: request.operation, result }
            })
            .collect();
        if must_sync && file.sync_data().is_err() {
            completions.iter_mut().for_each(|completion| completion.result = Err(DiskError::Device));
        }
        wake(finished, completions);
    }
}

/// Wakes the disk's user, for these completions or for whatever else is news.
fn wake(finished: &Mutex<Finished>, completions: impl IntoIterator<Item = DiskCompletion>) {
    let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
    finished.completions.extend(completions);
    let waker = finished.waker.take();
    drop(finished);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn perform(file: &File, operation: &mut DiskOperation) -> io::Result<()> {
    match operation {
        DiskOperation::Read { sector, buffer } => file.read_exact_at(buffer, *sector * SECTOR_SIZE as u64),
        DiskOperation::Write { sector, buffer, .. } => {
            file.write_all_at(buffer, *sector * SECTOR_SIZE as u64)
        }
        DiskOperation::Flush => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_file_that_was_lengthened_is_a_larger_disk_once_that_is_said() {
        let path = std::env::temp_dir().join(format!("relix-disk-{}", std::process::id()));
        assert!(HostDisk::open(&path).is_err(), "there is none");
        let file = File::create_new(&path).expect("a file");
        file.set_len(100 * SECTOR_SIZE as u64).expect("it is made longer");
        let mut disk = HostDisk::open(&path).expect("a disk");
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        assert!(disk.poll_completion(&mut Context::from_waker(&waker)).is_pending());
        file.set_len(200 * SECTOR_SIZE as u64 + 1).expect("it is made longer");
        assert_eq!((disk.geometry().sectors, flag.0.load(Ordering::SeqCst)), (100, false));
        disk.size().measure().expect("it has a length");
        assert_eq!((disk.geometry().sectors, flag.0.load(Ordering::SeqCst)), (200, true));
        std::fs::remove_file(&path).expect("it is removed");
    }
}
