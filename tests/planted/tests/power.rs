//! Nodes that do not wait for their disks: letting the power fail everywhere in a small workload finds them.

use cluster_format::{Mistake, Planted};
use tests_sim::cut_power_everywhere;

fn find(mistake: Mistake) -> String {
    let lost = cut_power_everywhere(Planted::new(mistake), None).err();
    let lost = lost.unwrap_or_else(|| panic!("{mistake:?} is not found"));
    println!("{mistake:?}: {}: {}", lost.cut, lost.what);
    lost.what
}

#[test]
fn what_is_acknowledged_before_it_is_durable_is_missed() {
    let what = find(Mistake::AckBeforeFlush);
    assert!(what.contains("acknowledged"), "{what}");
    find(Mistake::WriteNotFlushed);
}

#[test]
fn a_root_that_is_durable_before_its_tables_is_missed() {
    let what = find(Mistake::TablesNotFlushed);
    // Rows cannot be read, or so much is missing that the node waits for others to bring it.
    assert!(what.contains("XX001") || what.contains("rebuilding its tables"), "{what}");
}
