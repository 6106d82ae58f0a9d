//! Machines that are told only their cluster's name and how many there are.

use std::sync::Arc;
use std::time::Duration;

use drivers_api::Mtu;
use drivers_sim::LinkFaults;
use tests_sim::{Cluster, ask, number, start_load, until};
use tests_workloads::Inserts;

const SECTORS: u64 = 64 * 2048;

/// So many machines, switched off, that expect `size`.
fn machines(count: usize, size: u8, seed: u64) -> Cluster {
    let mut cluster = Cluster::switched_off(0, count, seed, SECTORS, &[Mtu::JUMBO]);
    (1..=count as u8).for_each(|machine| cluster.set_settings(machine, &format!("relix.size={size}")));
    cluster
}

/// Waits until so many nodes vote, as `machine` has it.
fn until_voters(cluster: &mut Cluster, machine: u8, count: usize) {
    until(cluster, 1, |cluster| (cluster.voters(machine).len() == count).then_some(()));
}

fn nodes(cluster: &mut Cluster, machine: u8) -> Vec<String> {
    let rows = ask(cluster, machine, "SELECT node FROM sys.machines ORDER BY node").expect("the table");
    rows.into_iter().map(|row| row[0].clone().expect("a number")).collect()
}

#[test]
fn blank_machines_found_a_cluster_and_a_later_one_joins() {
    for seed in 100..106 {
        let mut cluster = machines(4, 3, seed);
        // Not in the order of their addresses, and not at once.
        for machine in [3, 1, 2] {
            cluster.start(machine);
            let pause = cluster.below(3000);
            cluster.run(Duration::from_millis(pause));
        }
        (1..=3).for_each(|machine| until_voters(&mut cluster, machine, 3));
        ask(&mut cluster, 2, "CREATE TABLE t AS SELECT 7 AS a").expect("it serves");
        assert_eq!(nodes(&mut cluster, 3), ["1", "2", "3"], "seed {seed}");
        cluster.start(4);
        until_voters(&mut cluster, 4, 4);
        assert_eq!(nodes(&mut cluster, 4), ["1", "2", "3", "4"], "seed {seed}");
        assert_eq!(number(ask(&mut cluster, 4, "SELECT a FROM t").expect("an answer")), Some(7));
    }
}

#[test]
fn machines_keep_their_nodes_whatever_they_lose() {
    let mut cluster = machines(3, 3, 110);
    (1..=3).for_each(|machine| cluster.start(machine));
    (1..=3).for_each(|machine| until_voters(&mut cluster, machine, 3));
    let inserts = Arc::new(Inserts::default());
    let pace = start_load(&mut cluster, inserts.clone(), 2, Duration::from_millis(4));
    cluster.run(Duration::from_secs(1));
    // One after the other loses its disk: the first, which founded the cluster, too.
    for machine in 1..=3 {
        cluster.crash(machine);
        cluster.replace_disk(machine, SECTORS);
        cluster.start(machine);
        until(&mut cluster, 1, |cluster| cluster.is_well(machine).then_some(()));
    }
    // All lose their power, and their disks say what they are.
    (1..=3).for_each(|machine| cluster.crash(machine));
    (1..=3).for_each(|machine| cluster.start(machine));
    cluster.run(Duration::from_secs(3));
    pace.stop();
    cluster.run(Duration::from_secs(2));
    assert_eq!(pace.verdict(), Ok(()));
    assert_eq!(nodes(&mut cluster, 1), ["1", "2", "3"]);
    let rows = ask(&mut cluster, 3, "SELECT n FROM numbers ORDER BY n").expect("an answer");
    assert_eq!(inserts.check_rows(&rows), Ok(()));
}

#[test]
fn a_cluster_of_one_node_that_is_to_be_of_three_does_not_serve() {
    let mut cluster = machines(3, 3, 120);
    (1..=3).for_each(|machine| cluster.start(machine));
    // One other has been taken in, and does not vote yet.
    let learns = |cluster: &Cluster| {
        let has_learners = |(_, line): &(_, String)| line.contains("learners");
        cluster.leader().is_some_and(|leader| cluster.console(leader).iter().any(has_learners))
    };
    assert!(cluster.run_until_so(Duration::from_secs(60), learns));
    let founder = cluster.leader().expect("it was there");
    let others: Vec<u8> = (1..=3).filter(|machine| *machine != founder).collect();
    others.iter().for_each(|machine| cluster.crash(*machine));
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.voters(founder).len(), 1);
    let refused = ask(&mut cluster, founder, "CREATE TABLE t (a int)").expect_err("it does not serve");
    assert!(format!("{refused:?}").contains("is being founded"), "{refused:?}");
    cluster.start(others[0]);
    until_voters(&mut cluster, founder, 2);
    ask(&mut cluster, founder, "CREATE TABLE t (a int)").expect("it serves");
}

#[test]
fn too_few_machines_wait_and_say_so() {
    let mut cluster = machines(3, 3, 130);
    (1..=2).for_each(|machine| cluster.start(machine));
    cluster.run(Duration::from_secs(30));
    assert_eq!(cluster.leader(), None);
    let said =
        |cluster: &Cluster| cluster.console(1).iter().any(|(_, line)| line.contains("2 of 3 are here"));
    assert!(said(&cluster), "{:?}", cluster.console(1));
    cluster.start(3);
    (1..=3).for_each(|machine| until_voters(&mut cluster, machine, 3));
}

#[test]
fn a_founder_that_has_lost_its_disk_does_not_found_another_cluster() {
    let mut cluster = machines(3, 3, 140);
    (1..=3).for_each(|machine| cluster.start(machine));
    (1..=3).for_each(|machine| until_voters(&mut cluster, machine, 3));
    cluster.crash(1);
    cluster.replace_disk(1, SECTORS);
    let lines = cluster.console(1).len();
    cluster.start(1);
    until(&mut cluster, 1, |cluster| {
        let told = |(_, line): &(_, String)| line.contains("is node 1 of the cluster");
        cluster.console(1)[lines..].iter().any(told).then_some(())
    });
    // It knows its number, and nobody is left who knows the cluster; nor does it once its disk says the same.
    (2..=3).for_each(|machine| cluster.crash(machine));
    for _ in 0..2 {
        cluster.run(Duration::from_secs(20));
        assert_eq!(cluster.leader(), None);
        cluster.crash(1);
        cluster.start(1);
    }
    (2..=3).for_each(|machine| cluster.start(machine));
    (1..=3).for_each(|machine| until_voters(&mut cluster, machine, 3));
    until(&mut cluster, 1, |cluster| cluster.is_well(1).then_some(()));
}

/// Machines lose their power again and again while they look, are founding, or join: on a bad wire, amid writes. In the end
/// there is one cluster of all of them.
#[test]
fn one_cluster_is_founded_however_often_machines_lose_their_power() {
    for seed in 200..260 {
        let mut cluster = machines(4, 3, seed);
        cluster.network.faults =
            LinkFaults { loss_per_mille: 30, jitter: Duration::from_millis(5), ..LinkFaults::default() };
        (1..=3).for_each(|machine| cluster.start(machine));
        for _ in 0..30 {
            let pause = cluster.below(900);
            cluster.run(Duration::from_millis(pause));
            let machine = 1 + cluster.below(4) as u8;
            match (cluster.is_up(machine), cluster.below(3)) {
                (true, 0) => cluster.crash(machine),
                (true, 1) => {
                    let requests = cluster.below(4) as u32;
                    cluster.crash_after_requests(machine, requests);
                }
                (true, _) => {}
                (false, _) => cluster.start(machine),
            }
        }
        cluster.network.heal();
        for machine in 1..=4 {
            cluster.crash(machine);
            cluster.start(machine);
        }
        let whole = cluster.now() + Duration::from_secs(120);
        while !(1..=4).all(|machine| cluster.voters(machine).len() == 4) || !cluster.agrees_who_votes() {
            assert!(cluster.now() < whole, "seed {seed}: there is no cluster of all");
            cluster.run(Duration::from_millis(100));
        }
        assert_eq!(cluster.violation(), None, "seed {seed}");
        let numbers = nodes(&mut cluster, 1);
        assert_eq!(numbers.len(), 4, "seed {seed}: {numbers:?}");
    }
}

/// The founder loses its power as soon as it is one, and as many others as are expected are there.
#[test]
fn others_wait_for_a_founder_that_has_lost_its_power() {
    for seed in 150..160 {
        let mut cluster = machines(4, 3, seed);
        (1..=4).for_each(|machine| cluster.start(machine));
        until(&mut cluster, 1, |cluster| {
            cluster.console(1).iter().any(|(_, line)| line.contains("founds the cluster")).then_some(())
        });
        let pause = cluster.below(60);
        cluster.run(Duration::from_millis(pause));
        cluster.crash(1);
        cluster.run(Duration::from_secs(8));
        assert_eq!(cluster.leader(), None, "seed {seed}");
        cluster.start(1);
        (1..=4).for_each(|machine| until_voters(&mut cluster, machine, 4));
    }
}
