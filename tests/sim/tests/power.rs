//! The power fails at every boundary of a small workload.

use cluster_node::Planted;
use tests_sim::{Cut, cut_power_everywhere};

#[test]
fn a_power_failure_at_any_boundary_loses_nothing_and_shows_nothing_else() {
    // POWER_CUT=BOUNDARY:ARRIVED lets it fail there alone.
    let only = std::env::var("POWER_CUT").ok();
    let only = only.map(|text| Cut::parse(&text).expect("POWER_CUT is BOUNDARY:ARRIVED"));
    let began = std::time::Instant::now();
    let covered = match cut_power_everywhere(Planted::NONE, only) {
        Ok(covered) => covered,
        Err(lost) => panic!("{}\nrepeat it by: POWER_CUT={}", lost.what, lost.cut),
    };
    println!(
        "{} {} {:?} {:?} {:?}",
        covered.boundaries,
        covered.cuts,
        covered.storage,
        covered.marks,
        began.elapsed(),
        covered.sent_len
    );
}
