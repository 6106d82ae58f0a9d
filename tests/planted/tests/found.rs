//! Every planted mistake is found.

use cluster_format::Mistake;
use tests_planted::{SEEDS_MAX, find_all};

#[test]
fn the_simulator_finds_every_planted_mistake() {
    // PLANTED=NAME looks for one of them.
    let only = std::env::var("PLANTED").ok();
    let is_wanted = |mistake: &Mistake| only.as_ref().is_none_or(|name| *name == format!("{mistake:?}"));
    let mistakes: Vec<Mistake> = Mistake::ALL.iter().copied().filter(is_wanted).collect();
    let findings = find_all(&mistakes, 0);
    println!("| mistake | seeds | found as |\n|---|---|---|");
    for finding in &findings {
        let (seeds, what) = finding.found.clone().unwrap_or((SEEDS_MAX, "NOT FOUND".into()));
        println!("| {:?} | {seeds} | {what} |", finding.mistake);
    }
    let hidden: Vec<_> = findings.iter().filter(|one| one.found.is_none()).map(|one| one.mistake).collect();
    assert!(hidden.is_empty(), "not found within {SEEDS_MAX} seeds: {hidden:?}");
}
