//! Is the simulator able to fail? Each known mistake ([`Mistake`]) is planted in all nodes, and seeds are run
//! until one finds it.

#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cluster_format::{Mistake, Planted};
use tests_sim::{Options, Simulation};

/// A mistake that is not found within so many seeds counts as never found.
pub const SEEDS_MAX: u64 = 1000;

/// How a mistake was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub mistake: Mistake,
    /// How many seeds it took, and what the last one found, which it does not find without the mistake; none
    /// if none did.
    pub found: Option<(u64, String)>,
}

/// Plants mistakes and looks for each, from seed `first` on, on all cores. In the order of `mistakes`.
pub fn find_all(mistakes: &[Mistake], first: u64) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mistake) = mistakes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let finding = Finding { mistake: *mistake, found: find(*mistake, first) };
                    println!("{finding:?}");
                    findings.lock().expect("no thread panics").push(finding);
                }
            });
        }
    });
    let mut findings = findings.into_inner().expect("no thread panics");
    findings.sort_by_key(|finding| mistakes.iter().position(|mistake| *mistake == finding.mistake));
    findings
}

fn find(mistake: Mistake, first: u64) -> Option<(u64, String)> {
    (0..SEEDS_MAX).find_map(|index| {
        let mut options = Options::of_seed(first + index, None);
        options.planted = Planted::new(mistake);
        let failed = Simulation::run(&options).err()?;
        options.planted = Planted::NONE;
        if let Err(failed) = Simulation::run(&options) {
            panic!("fails without a mistake: {failed}");
        }
        let what = failed.what.lines().next().unwrap_or_default().to_string();
        Some((index + 1, what))
    })
}
