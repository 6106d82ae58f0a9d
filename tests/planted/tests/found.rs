//! Every planted mistake is found: by seeds, but for what `power.rs` finds wherever it looks.

use cluster_format::Mistake;
use tests_planted::{SEEDS_MAX, find_all};

/// It takes a power failure between two writes of one checkpoint, which seeds meet once in a thousand or not at all;
/// letting the power fail at every boundary meets it at once.
const FOUND_BY_POWER: &[Mistake] = &[Mistake::TablesNotFlushed];

#[test]
fn the_simulator_finds_every_planted_mistake() {
    // PLANTED=NAME looks for one of them.
    let only = std::env::var("PLANTED").ok();
    let is_wanted = |mistake: &Mistake| match &only {
        Some(name) => *name == format!("{mistake:?}"),
        None => !FOUND_BY_POWER.contains(mistake),
    };
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
