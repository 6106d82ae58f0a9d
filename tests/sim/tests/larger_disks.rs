//! Stories of disks that get another size while their node is off.

use std::collections::BTreeSet;
use std::time::Duration;

use drivers_api::Level;
use tests_sim::{Cluster, ask};
use tests_workloads::{Failure, Row, noise};

const MINUTE: Duration = Duration::from_secs(60);

const SMALL_SECTORS: u64 = 8 * 2048;

const LARGE_SECTORS: u64 = 64 * 2048;

const VALUE_LEN: usize = 200_000;

fn insert(cluster: &mut Cluster, node: u8, id: u64) -> Result<Vec<Row>, Failure> {
    ask(cluster, node, &format!("INSERT INTO t VALUES ({id}, '{}')", noise(VALUE_LEN, id)))
}

/// Inserts rows until no more are taken; how many there are then.
fn fill(cluster: &mut Cluster, node: u8, stored: u64) -> u64 {
    for id in stored..100 {
        if let Err(refused) = insert(cluster, node, id) {
            assert!(matches!(&refused, Failure::Server(state, _) if state == "53100"), "{refused}");
            return id;
        }
    }
    panic!("8 MiB do not hold this much");
}

fn full_cluster(seed: u64) -> (Cluster, u64) {
    let mut cluster = Cluster::with_disks(3, seed, SMALL_SECTORS);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    let stored = fill(&mut cluster, 1, 0);
    assert!(stored > 3, "{stored}");
    (cluster, stored)
}

fn restart_with(cluster: &mut Cluster, node: u8, sectors: u64) {
    cluster.crash(node);
    cluster.disk(node).resize(sectors);
    cluster.start(node);
}

/// Every node has exactly the rows that were acknowledged.
fn check_rows(cluster: &mut Cluster, stored: u64) {
    let expected: Vec<Row> =
        (0..stored).map(|id| vec![Some(id.to_string()), Some(noise(VALUE_LEN, id))]).collect();
    for node in 1..=3 {
        let rows = ask(cluster, node, "SELECT id, v FROM t ORDER BY id").unwrap();
        assert!(rows == expected, "at node {node}: {} rows of {stored}", rows.len());
    }
}

fn disk_totals(cluster: &mut Cluster) -> Vec<u64> {
    let rows = ask(cluster, 1, "SELECT disk_total FROM sys.storage ORDER BY node").unwrap();
    rows.iter().map(|row| row[0].as_ref().expect("a length").parse().expect("a number")).collect()
}

#[test]
fn a_full_cluster_takes_writes_again_once_its_nodes_have_restarted_with_larger_disks() {
    let (mut cluster, mut stored) = full_cluster(41);
    let before = disk_totals(&mut cluster);
    for node in 1..=3 {
        restart_with(&mut cluster, node, LARGE_SECTORS);
        assert!(cluster.run_until_so(MINUTE, |cluster| cluster.is_well(node)));
        check_rows(&mut cluster, stored);
    }
    let grown: Vec<u64> = before.iter().map(|len| len + (LARGE_SECTORS - SMALL_SECTORS) * 512).collect();
    assert_eq!(disk_totals(&mut cluster), grown);
    for id in stored..3 * stored {
        insert(&mut cluster, (id % 3 + 1) as u8, id).unwrap();
    }
    stored *= 3;
    check_rows(&mut cluster, stored);
    (1..=3).for_each(|node| cluster.crash(node));
    (1..=3).for_each(|node| cluster.start(node));
    check_rows(&mut cluster, stored);
}

/// Until most disks are large, what becomes of a write depends on who leads.
#[test]
fn writes_while_only_some_disks_are_large_are_taken_or_refused_and_none_is_lost() {
    for seed in 43..53 {
        let (mut cluster, stored) = full_cluster(seed);
        let mut taken: BTreeSet<u64> = (0..stored).collect();
        let mut possible = taken.clone();
        for node in 1..=3u8 {
            restart_with(&mut cluster, node, LARGE_SECTORS);
            for id in (0..12).map(|at| 100 * u64::from(node) + at) {
                match insert(&mut cluster, (id % 3 + 1) as u8, id) {
                    Ok(_) => _ = taken.insert(id),
                    Err(Failure::Server(state, _)) if state == "53100" || state == "57P03" => continue,
                    // It is not known.
                    Err(_) => {}
                }
                possible.insert(id);
            }
        }
        insert(&mut cluster, 1, 400).unwrap();
        taken.insert(400);
        possible.insert(400);
        for node in 1..=3 {
            let rows = ask(&mut cluster, node, "SELECT id FROM t").unwrap();
            let ids = rows.iter().map(|row| row[0].as_ref().expect("an id").parse().expect("a number"));
            let ids: BTreeSet<u64> = ids.collect();
            assert!(ids.is_superset(&taken) && ids.is_subset(&possible), "seed {seed}, node {node}: {ids:?}");
        }
    }
}

#[test]
fn a_node_refuses_a_disk_that_has_become_smaller_and_goes_on_once_it_is_whole() {
    let mut cluster = Cluster::with_disks(3, 42, LARGE_SECTORS);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    restart_with(&mut cluster, 3, LARGE_SECTORS - 8);
    (0..5).for_each(|id| _ = insert(&mut cluster, 1, id).unwrap());
    let errors = cluster.console(3).iter().filter(|(level, _)| *level == Level::Error);
    let errors: Vec<&str> = errors.map(|(_, line)| &**line).collect();
    assert!(errors.len() == 1 && errors[0].contains("65532 KiB where 65536 KiB are needed"), "{errors:?}");
    restart_with(&mut cluster, 3, LARGE_SECTORS);
    assert!(cluster.run_until_so(MINUTE, |cluster| cluster.is_well(3)));
    check_rows(&mut cluster, 5);
}
