//! The power fails at every boundary of a small workload.

use cluster_node::Planted;
use tests_sim::{Cut, cut_power_everywhere};

#[test]
fn a_power_failure_at_any_boundary_loses_nothing_and_shows_nothing_else() {
    // POWER_CUT=BOUNDARY:ARRIVED lets it fail there alone.
    let only = std::env::var("POWER_CUT").ok();
    let only = only.map(|text| Cut::parse(&text).expect("POWER_CUT is BOUNDARY:ARRIVED"));
    let covered = match cut_power_everywhere(Planted::NONE, only) {
        Ok(covered) => covered,
        Err(lost) => panic!("{}\nrepeat it by: POWER_CUT={}", lost.what, lost.cut),
    };
    if only.is_some() {
        return;
    }
    assert!(covered.boundaries > 500 && covered.cuts == 5 * covered.boundaries, "{covered:?}");
    // What has to be there for a failure to meet it.
    assert!(covered.sent_len > covered.storage["journal_total"], "the ring goes round: {covered:?}");
    assert!(covered.storage["file_bytes"] > 1 << 20, "more than the first level holds: {covered:?}");
    for mark in [
        "records that the tables hold were given up",
        "a record took more than one request",
        "node: its disk grew while it ran",
    ] {
        assert!(covered.marks[mark], "{mark}");
    }
}
