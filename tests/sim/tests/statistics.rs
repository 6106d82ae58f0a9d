//! Stories of statistics that are made by themselves.

use std::time::Duration;

use tests_sim::{Cluster, ask};
use tests_workloads::noise;

/// Longer than the pause after an analysis.
const A_WHILE: Duration = Duration::from_secs(15);

/// How many rows a node takes a table to have.
fn estimate(cluster: &mut Cluster, node: u8, table: &str) -> u64 {
    let rows = ask(cluster, node, &format!("EXPLAIN SELECT * FROM {table}")).expect("a plan");
    let plan = rows[0][0].clone().expect("a line");
    let rows = plan.split("rows=").nth(1).unwrap_or_else(|| panic!("{plan}"));
    rows.trim_end_matches(')').parse().expect("a number")
}

fn insert(cluster: &mut Cluster, table: &str, rows: std::ops::Range<u64>) {
    let rows: Vec<String> = rows.map(|id| format!("({id}, {})", id % 10)).collect();
    ask(cluster, 2, &format!("INSERT INTO {table} VALUES {}", rows.join(", "))).expect("there is room");
}

#[test]
fn what_changes_much_is_analyzed_and_every_node_knows() {
    let mut cluster = Cluster::new(3, 71);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, k int)").unwrap();
    ask(&mut cluster, 1, "CREATE INDEX ON t (k)").unwrap();
    insert(&mut cluster, "t", 0..300);
    cluster.run(A_WHILE);
    (1..=3).for_each(|node| assert_eq!(estimate(&mut cluster, node, "t"), 300));
    // Too little to be worth it; then enough.
    insert(&mut cluster, "t", 300..340);
    cluster.run(A_WHILE);
    assert_eq!(estimate(&mut cluster, 1, "t"), 300);
    insert(&mut cluster, "t", 340..500);
    cluster.run(A_WHILE);
    (1..=3).for_each(|node| assert_eq!(estimate(&mut cluster, node, "t"), 500));
    // Another leader goes on.
    let leader = cluster.leader().expect("one leads");
    cluster.crash(leader);
    cluster.run(A_WHILE);
    cluster.start(leader);
    assert!(cluster.run_until_so(A_WHILE, |cluster| cluster.is_well(leader)));
    ask(&mut cluster, 3, "DELETE FROM t WHERE id >= 100").unwrap();
    cluster.run(A_WHILE);
    (1..=3).for_each(|node| assert_eq!(estimate(&mut cluster, node, "t"), 100));
}

#[test]
fn of_a_long_table_a_part_is_read() {
    const ROWS: u64 = 24_000;
    let mut cluster = Cluster::with_disks(3, 73, 400 * 2048);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, k int, v text)").unwrap();
    for first in (0..ROWS).step_by(400) {
        let row = |id: u64| format!("({id}, {}, '{}')", id % 10, noise(2000, id));
        let rows: Vec<String> = (first..first + 400).map(row).collect();
        ask(&mut cluster, 1, &format!("INSERT INTO t VALUES {}", rows.join(", "))).unwrap();
    }
    // Until what is in memory is on the disk.
    cluster.run(4 * A_WHILE);
    ask(&mut cluster, 1, "ANALYZE t").unwrap();
    let found = estimate(&mut cluster, 2, "t");
    assert!(found != ROWS, "they were not counted");
    assert!(found.abs_diff(ROWS) < ROWS / 5, "{found}");
    let groups = ask(&mut cluster, 2, "EXPLAIN SELECT k FROM t GROUP BY k").expect("a plan");
    assert!(groups[0][0].as_ref().is_some_and(|plan| plan.contains("rows=10)")), "{groups:?}");
}

#[test]
fn it_can_be_switched_off_and_nothing_is_done_without_need() {
    let mut cluster = Cluster::new(3, 72);
    ask(&mut cluster, 1, "UPDATE sys.settings SET value = 'off' WHERE name = 'auto_analyze'").unwrap();
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, k int)").unwrap();
    let unknown = estimate(&mut cluster, 1, "t");
    insert(&mut cluster, "t", 0..300);
    cluster.run(A_WHILE);
    assert_eq!(estimate(&mut cluster, 1, "t"), unknown);
    ask(&mut cluster, 3, "UPDATE sys.settings SET value = 'on' WHERE name = 'auto_analyze'").unwrap();
    cluster.run(A_WHILE);
    assert_eq!(estimate(&mut cluster, 1, "t"), 300);
    let before = cluster.commit(1);
    cluster.run(10 * A_WHILE);
    assert_eq!(cluster.commit(1), before, "a cluster in which nothing changes does nothing");
}
