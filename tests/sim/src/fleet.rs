//! Many seeds, on all cores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::report::Summary;
use crate::simulation::{Failed, Outcome, Simulation};

/// Progress is told at least this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// A seed that takes longer is named, so that one that hangs can be repeated.
const SLOW: Duration = Duration::from_secs(120);

/// One seed in so many is run twice, and must be the same simulation.
const REPEATED: u64 = 20;

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

/// What a fleet tells while it runs.
#[derive(Debug)]
pub enum Told<'a> {
    /// What was done so far.
    Progress(&'a Summary),
    /// This seed takes longer than [`SLOW`]: it may hang. Told once, and it fails nothing: how fast a machine
    /// is says nothing of the system.
    Slow(u64),
}

/// The seed a thread runs, since when, and whether that was found slow.
type Current = Mutex<Option<(u64, Instant, bool)>>;

/// Runs seeds until all are done, the time is up, or one fails; what they did, and the first that failed.
pub fn run_fleet(fleet: &Fleet, tell: &mut dyn FnMut(Told<'_>)) -> (Summary, Option<Failed>) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let current: Vec<Current> = (0..fleet.threads.max(1)).map(|_| Current::default()).collect();
    let mut summary = Summary::default();
    let mut first_failed: Option<Failed> = None;
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for current in &current {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || run_seeds(fleet, next, stop, current, &sender));
        }
        drop(sender);
        loop {
            match results.recv_timeout(PROGRESS_EVERY) {
                Ok(Ok((outcome, repeated))) => {
                    summary.add(&outcome);
                    summary.repeated += u64::from(repeated);
                }
                Ok(Err(failed)) => {
                    stop.store(true, Ordering::Relaxed);
                    first_failed.get_or_insert(failed);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            current.iter().filter_map(slow).for_each(|seed| tell(Told::Slow(seed)));
            tell(Told::Progress(&summary));
        }
    });
    (summary, first_failed)
}

/// What one thread does. Each result says whether the seed was run twice.
fn run_seeds(
    fleet: &Fleet,
    next: &AtomicU64,
    stop: &AtomicBool,
    current: &Current,
    results: &mpsc::Sender<Result<(Outcome, bool), Failed>>,
) {
    while !stop.load(Ordering::Relaxed) && fleet.until.is_none_or(|end| Instant::now() < end) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= fleet.seeds {
            return;
        }
        let seed = fleet.first.wrapping_add(index);
        set(current, Some((seed, Instant::now(), false)));
        let options = Options::of_seed(seed, fleet.nodes);
        let is_repeated = seed.is_multiple_of(REPEATED);
        let run = if is_repeated { Simulation::run_twice } else { Simulation::run };
        let result = run(&options);
        set(current, None);
        if results.send(result.map(|outcome| (outcome, is_repeated))).is_err() {
            return;
        }
    }
}

fn set(current: &Current, to: Option<(u64, Instant, bool)>) {
    *current.lock().expect("nobody panics with it") = to;
}

/// The seed, if it has become slow since this was asked last.
fn slow(current: &Current) -> Option<u64> {
    let mut current = current.lock().expect("nobody panics with it");
    let (seed, began, told) = current.as_mut()?;
    let is_new = !*told && began.elapsed() >= SLOW;
    *told |= is_new;
    is_new.then_some(*seed)
}
