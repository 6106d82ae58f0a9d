//! Machines with a NIC on each of two fabrics.

use std::sync::Arc;
use std::time::Duration;

use drivers_api::Mtu;
use tests_sim::{Cluster, ask, start_load, until};
use tests_workloads::Inserts;

fn on_two_fabrics(seed: u64, mtus: &[Mtu]) -> Cluster {
    let mut cluster = Cluster::switched_off(3, 0, seed, 64 * 2048, mtus);
    cluster.add_fabric();
    (1..=3).for_each(|id| cluster.start(id));
    cluster
}

/// The NICs over which nodes reach each other, as node `node` has them.
fn nics(cluster: &mut Cluster, node: u8) -> Vec<String> {
    let rows = ask(cluster, node, "SELECT DISTINCT nic FROM sys.links WHERE state = 'up' ORDER BY nic");
    rows.expect("an answer").into_iter().flatten().flatten().collect()
}

#[test]
fn a_cluster_goes_on_when_one_of_its_fabrics_is_cut() {
    for (seed, fabric) in [(90, 0), (91, 1), (92, 0), (93, 0)] {
        let mut cluster = on_two_fabrics(seed, &[Mtu::JUMBO, Mtu::ETHERNET][..1 + seed as usize % 2]);
        until(&mut cluster, 1, |cluster| cluster.leader());
        let inserts = Arc::new(Inserts::default());
        let pace = start_load(&mut cluster, inserts.clone(), 3, Duration::from_millis(4));
        cluster.run(Duration::from_secs(2));
        let (leader, ports) = (cluster.leader(), cluster.ports(fabric, &[1, 2, 3]));
        let first = ["nic0".to_string()];
        assert_eq!(nics(&mut cluster, 1), first, "seed {seed}");
        for round in 0..2 {
            cluster.network.set_cut(&ports, &ports, true);
            // By then peers have taken the other path, and what was lost was sent again.
            cluster.run(Duration::from_millis(900));
            let before = pace.tally();
            cluster.run(Duration::from_secs(2));
            assert!(
                pace.tally().committed > before.committed + 300,
                "seed {seed}, round {round}: they go on"
            );
            assert_eq!(cluster.leader(), leader, "seed {seed}, round {round}: nobody was elected");
            let taken = ["nic1".to_string()];
            assert_eq!(nics(&mut cluster, 2), if fabric == 0 { &taken } else { &first }, "seed {seed}");
            cluster.network.set_cut(&ports, &ports, false);
            cluster.run(Duration::from_secs(3));
            assert_eq!(nics(&mut cluster, 3), first, "seed {seed}, round {round}: they are back");
        }
        pace.stop();
        cluster.run(Duration::from_secs(1));
        assert_eq!(pace.verdict(), Ok(()), "seed {seed}");
        for node in 1..=3 {
            let rows = ask(&mut cluster, node, "SELECT n FROM numbers ORDER BY n").expect("an answer");
            assert_eq!(inserts.check_rows(&rows), Ok(()), "seed {seed}: at node {node}");
        }
    }
}

/// Each pair of nodes has another fabric: no fabric joins them all.
#[test]
fn paths_are_chosen_for_each_peer() {
    let mut cluster = on_two_fabrics(94, &[Mtu::JUMBO]);
    until(&mut cluster, 1, |cluster| cluster.leader());
    for (fabric, one, others) in [(0, 1, &[2, 3][..]), (1, 2, &[3])] {
        let (one, others) = (cluster.ports(fabric, &[one]), cluster.ports(fabric, others));
        cluster.network.set_cut(&one, &others, true);
    }
    cluster.run(Duration::from_secs(3));
    for node in 1..=3 {
        ask(&mut cluster, node, &format!("CREATE TABLE t{node} (a int)")).expect("it is served");
    }
    let sql = "SELECT count(*) FROM sys.links WHERE state = 'up'";
    assert_eq!(tests_sim::number(ask(&mut cluster, 1, sql).expect("an answer")), Some(6));
    assert_eq!(nics(&mut cluster, 2), ["nic0", "nic1"]);
}

#[test]
fn who_is_cut_off_from_both_fabrics_is_gone() {
    let mut cluster = on_two_fabrics(95, &[Mtu::JUMBO]);
    let leader = until(&mut cluster, 1, |cluster| cluster.leader());
    let others: Vec<u8> = (1..=3).filter(|node| *node != leader).collect();
    for fabric in [0, 1] {
        let (own, others) = (cluster.ports(fabric, &[leader]), cluster.ports(fabric, &others));
        cluster.network.set_cut(&own, &others, true);
        cluster.run(Duration::from_secs(4));
        let leads = cluster.leader().is_some_and(|leads| leads != leader);
        assert_eq!(leads, fabric == 1, "another leads only when both are cut");
    }
}
