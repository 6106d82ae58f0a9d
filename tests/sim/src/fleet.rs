//! Many seeds, on all cores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::report::Summary;
use crate::simulation::{Failed, Simulation};

/// Progress is told at least this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Which seeds to run.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// From this on.
    pub first: u64,
    /// So many, at most.
    pub seeds: u64,
    /// None is begun later than this.
    pub until: Option<Instant>,
    /// So many nodes, or as the seed says.
    pub nodes: Option<u8>,
    /// Simulations at a time.
    pub threads: usize,
}

/// Runs seeds until all are done, the time is up, or one fails; what they did, and the first that failed.
pub fn run_fleet(fleet: &Fleet, progress: &mut dyn FnMut(&Summary)) -> (Summary, Option<Failed>) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut summary = Summary::default();
    let mut first_failed: Option<Failed> = None;
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..fleet.threads.max(1) {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && fleet.until.is_none_or(|end| Instant::now() < end) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= fleet.seeds {
                        return;
                    }
                    let options = Options::of_seed(fleet.first.wrapping_add(index), fleet.nodes);
                    if sender.send(Simulation::run(&options)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        loop {
            match results.recv_timeout(PROGRESS_EVERY) {
                Ok(Ok(outcome)) => summary.add(&outcome),
                Ok(Err(failed)) => {
                    stop.store(true, Ordering::Relaxed);
                    first_failed.get_or_insert(failed);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            progress(&summary);
        }
    });
    (summary, first_failed)
}
