//! A disk over a file. One thread does the reading and writing, so that the node never waits; durable
//! writes that arrive together share one `fdatasync`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
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
    geometry: DiskGeometry,
    submitted: Vec<DiskRequest>,
    in_flight: usize,
    requests: Sender<Vec<DiskRequest>>,
    finished: Arc<Mutex<Finished>>,
}

impl HostDisk {
    /// Opens the file at `path`; if there is none, makes one of `len` bytes that takes space as it is
    /// written.
    pub fn open(path: &Path, len: u64) -> io::Result<HostDisk> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() == 0 {
            file.set_len(len)?;
        }
        let sectors = file.metadata()?.len() / SECTOR_SIZE as u64;
        let geometry = DiskGeometry { sectors, queue_depth: QUEUE_DEPTH, transfer_len_max: TRANSFER_LEN_MAX };
        let finished = Arc::new(Mutex::new(Finished::default()));
        let (requests, batches) = channel();
        let shared = finished.clone();
        thread::Builder::new().name("disk".into()).spawn(move || serve(&file, &batches, &shared))?;
        Ok(HostDisk { geometry, submitted: Vec::new(), in_flight: 0, requests, finished })
    }
}

impl Disk for HostDisk {
    fn geometry(&self) -> DiskGeometry {
        self.geometry
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
        let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.completions.extend(completions);
        let waker = finished.waker.take();
        drop(finished);
        if let Some(waker) = waker {
            waker.wake();
        }
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
