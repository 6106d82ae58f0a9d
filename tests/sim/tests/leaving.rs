//! Nodes that are switched off in order.

use std::sync::Arc;
use std::time::Duration;

use tests_sim::{Cluster, ask, number, start_load, until};
use tests_workloads::Inserts;

/// Longer than handing over and telling sessions takes, shorter than an election.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn a_leader_hands_over_and_its_clients_are_told() {
    for seed in 80..84 {
        let mut cluster = Cluster::new(3, seed);
        let leader = until(&mut cluster, 1, |cluster| cluster.leader());
        let inserts = Arc::new(Inserts::default());
        let pace = start_load(&mut cluster, inserts.clone(), 3, Duration::from_millis(4));
        cluster.run(Duration::from_secs(1));
        cluster.press_power_button(leader);
        assert!(cluster.run_until_so(SOON, |cluster| !cluster.is_up(leader)), "seed {seed}: it is off");
        // It is gone when others vote, and they do not wait for it.
        assert!(
            cluster.run_until_so(SOON / 5, |cluster| cluster.leader().is_some()),
            "seed {seed}: another leads"
        );
        let successor = cluster.leader();
        let before = pace.tally();
        cluster.run(Duration::from_secs(1));
        assert!(pace.tally().committed > before.committed + 20, "seed {seed}: the others go on");
        cluster.start(leader);
        cluster.run(Duration::from_secs(2));
        pace.stop();
        cluster.run(Duration::from_secs(1));
        assert_eq!(pace.verdict(), Ok(()), "seed {seed}");
        let other = successor.expect("it was there");
        for node in [leader, other] {
            let rows = ask(&mut cluster, node, "SELECT n FROM numbers ORDER BY n").expect("an answer");
            assert_eq!(inserts.check_rows(&rows), Ok(()), "seed {seed}: at node {node}");
        }
    }
}

#[test]
fn who_is_alone_or_without_others_leaves_all_the_same() {
    let mut cluster = Cluster::new(1, 85);
    ask(&mut cluster, 1, "CREATE TABLE t AS SELECT 1 AS a").expect("a table");
    cluster.press_power_button(1);
    assert!(cluster.run_until_so(SOON, |cluster| !cluster.is_up(1)), "it is off");
    assert!(cluster.console(1).iter().any(|(_, line)| line.contains("nobody can take over")));
    cluster.start(1);
    until(&mut cluster, 1, |cluster| {
        number(ask(cluster, 1, "SELECT a FROM t").ok()?).filter(|one| *one == 1)
    });

    let mut cluster = Cluster::new(3, 86);
    let leader = until(&mut cluster, 1, |cluster| cluster.leader());
    (1..=3).filter(|node| *node != leader).for_each(|node| cluster.crash(node));
    cluster.press_power_button(leader);
    // As long as it may take to hand over, and to tell sessions.
    assert!(cluster.run_until_so(Duration::from_secs(5), |cluster| !cluster.is_up(leader)), "it is off");
}
