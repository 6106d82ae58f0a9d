//! A few seeds of the whole simulation. `relix sim` runs as many as there is time for.

use tests_sim::{FaultKind, Fleet, Options, Simulation, run_fleet};

#[test]
fn a_few_seeds_find_nothing() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let fleet = Fleet { first: 1, seeds: 12, until: None, nodes: None, threads };
    let began = std::time::Instant::now();
    let (summary, failed) = run_fleet(&fleet, &mut |_| {});
    println!("{}", summary.report(began.elapsed()));
    if let Some(failed) = failed {
        panic!("{failed}\nrepeat it by: relix sim --seed {}", failed.options.seed);
    }
    assert!(summary.tally.committed > 1_000, "{:?}", summary.tally);
}

/// Messages once and in order, files that stay a tree, workflows that go on where they were: whatever befalls the nodes.
#[test]
fn services_keep_what_they_promise() {
    for seed in 3000..3003 {
        let options = Options::of_seed(seed, None).with_services();
        let outcome = Simulation::run(&options).unwrap_or_else(|failed| panic!("seed {seed}: {failed}"));
        assert!(outcome.tally.committed > 20, "seed {seed}: {:?}", outcome.tally);
    }
}

#[test]
fn the_same_seed_is_the_same_simulation() {
    let options = Options::of_seed(7, None);
    let run = || Simulation::run(&options).map(|outcome| (outcome.trace, outcome.tally));
    let first = run().unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(Ok(first), run());
    let other = Options { seed: 8, ..options };
    assert_ne!(Ok(first), Simulation::run(&other).map(|outcome| (outcome.trace, outcome.tally)));
}

#[test]
fn every_kind_of_fault_happens() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let fleet = Fleet { first: 2000, seeds: 48, until: None, nodes: None, threads };
    let (summary, failed) = run_fleet(&fleet, &mut |_| {});
    if let Some(failed) = failed {
        panic!("{failed}\nrepeat it by: relix sim --seed {}", failed.options.seed);
    }
    let never = summary.counts.never();
    let kinds = FaultKind::ALL.iter().map(|kind| kind.name()).filter(|name| never.contains(name));
    assert_eq!(kinds.collect::<Vec<_>>(), Vec::<&str>::new(), "a fault that does not happen proves nothing");
    let alone = summary.majority_alone;
    assert!(alone * 2 > summary.seeds, "a majority was alone in {alone} of {} seeds only", summary.seeds);
}
