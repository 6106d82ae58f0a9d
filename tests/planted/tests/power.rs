//! Nodes that do not wait for their disks: letting the power fail everywhere in a small workload finds them.

use cluster_format::{Mistake, Planted};
use tests_sim::cut_power_everywhere;

/// Panics if nothing is amiss after any failure of the power.
fn find(mistake: Mistake) {
    let lost = cut_power_everywhere(Planted::new(mistake), None).err();
    let lost = lost.unwrap_or_else(|| panic!("{mistake:?} is not found"));
    println!("{mistake:?}: {}: {}", lost.cut, lost.what);
}

#[test]
fn what_is_acknowledged_before_it_is_durable_is_missed() {
    find(Mistake::AckBeforeFlush);
    find(Mistake::WriteNotFlushed);
}

#[test]
fn a_root_that_is_durable_before_its_tables_is_missed() {
    // Rows that cannot be read, tables that others are to bring, or a node that does not come back: whatever was to be there.
    find(Mistake::TablesNotFlushed);
}
