//! Stories of disks that get another size, while their node is off and while it runs.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use drivers_api::Level;
use tests_sim::{Client, Cluster, ask};
use tests_workloads::{Failure, Row, noise};

const MINUTE: Duration = Duration::from_secs(60);

const SMALL_SECTORS: u64 = 8 * 2048;

const LARGE_SECTORS: u64 = 64 * 2048;

const VALUE_LEN: usize = 200_000;

fn insert(cluster: &mut Cluster, node: u8, id: u64) -> Result<Vec<Row>, Failure> {
    ask(cluster, node, &insertion(id))
}

fn insertion(id: u64) -> String {
    format!("INSERT INTO t VALUES ({id}, '{}')", noise(VALUE_LEN, id))
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

/// Gives all disks so many sectors while their nodes run.
fn grow_all(cluster: &mut Cluster, sectors: u64) {
    (1..=3).for_each(|node| cluster.resize_disk(node, sectors));
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

#[test]
fn a_full_cluster_takes_writes_again_as_soon_as_its_disks_have_grown_beneath_it() {
    let (mut cluster, mut stored) = full_cluster(54);
    let before = disk_totals(&mut cluster);
    grow_all(&mut cluster, LARGE_SECTORS);
    for id in stored..3 * stored {
        insert(&mut cluster, (id % 3 + 1) as u8, id).unwrap();
    }
    stored *= 3;
    let grown: Vec<u64> = before.iter().map(|len| len + (LARGE_SECTORS - SMALL_SECTORS) * 512).collect();
    assert_eq!(disk_totals(&mut cluster), grown);
    check_rows(&mut cluster, stored);
    for node in 1..=3 {
        let has_grown =
            |(_, line): &&(Level, String)| line == "the data disk has grown from 8192 to 65536 KiB";
        assert_eq!(cluster.console(node).iter().filter(has_grown).count(), 1);
        assert_eq!(cluster.marks().get("node: its disk grew while it ran"), Some(&true));
    }
    (1..=3).for_each(|node| cluster.crash(node));
    (1..=3).for_each(|node| cluster.start(node));
    check_rows(&mut cluster, stored);
    assert_eq!(disk_totals(&mut cluster), grown);
}

/// Starts a node whose disk may be found as large as it was before it grew, unless what counts lies behind that; whether it
/// is found so.
fn start_with_old_size(cluster: &mut Cluster, node: u8) -> bool {
    let disk = cluster.disk(node).clone();
    cluster.disk(node).resize(SMALL_SECTORS);
    let lines = cluster.console(node).len();
    cluster.start(node);
    cluster.run(Duration::from_secs(1));
    let is_refused = |(_, line): &(Level, String)| line.contains("8192 KiB where 65536 KiB are needed");
    if !cluster.console(node)[lines..].iter().any(is_refused) {
        return true;
    }
    cluster.crash(node);
    cluster.put_disk(node, disk);
    cluster.start(node);
    false
}

/// The power of all machines fails after so many requests of the work that begins then.
#[test]
fn the_power_may_fail_at_any_moment_while_disks_grow_and_nothing_is_lost() {
    let mut found_old = BTreeSet::new();
    for requests in 0..24 {
        let (mut cluster, stored) = full_cluster(55);
        (1..=3).for_each(|node| cluster.crash_after_requests(node, requests + u32::from(node)));
        grow_all(&mut cluster, LARGE_SECTORS);
        let (host, taken) = (cluster.host(), Rc::new(Cell::new(stored)));
        let told = taken.clone();
        cluster.spawn(async move {
            let Ok(mut client) = Client::connect(&host, 1).await else { return };
            while client.query(&insertion(told.get())).await.is_ok() {
                told.set(told.get() + 1);
            }
        });
        cluster.run(Duration::from_secs(2));
        (1..=3).for_each(|node| cluster.crash(node));
        for node in 1..=3 {
            found_old.insert(start_with_old_size(&mut cluster, node));
        }
        grow_all(&mut cluster, LARGE_SECTORS);
        // What became of the last one, nobody was told.
        match insert(&mut cluster, 2, taken.get()) {
            Err(Failure::Server(state, _)) if state == "23505" => {}
            other => _ = other.unwrap(),
        }
        check_rows(&mut cluster, taken.get() + 1);
    }
    assert_eq!(found_old.len(), 2, "disks are found as large as before and as they are now");
}

/// There is no way to shrink a disk but to take something away: until it is used, nobody misses it.
#[test]
fn a_disk_that_shrinks_beneath_its_node_is_one_line_and_nothing_else() {
    let mut cluster = Cluster::with_disks(3, 56, LARGE_SECTORS);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    let totals = disk_totals(&mut cluster);
    cluster.run(Duration::from_secs(5));
    cluster.resize_disk(2, SMALL_SECTORS);
    (0..5).for_each(|id| _ = insert(&mut cluster, 2, id).unwrap());
    let errors = cluster.console(2).iter().filter(|(level, _)| *level == Level::Error);
    let errors: Vec<&str> = errors.map(|(_, line)| &**line).collect();
    assert_eq!(errors, ["the data disk has shrunk from 65536 to 8192 KiB: give the whole disk back"]);
    assert!(cluster.is_well(2));
    assert_eq!(disk_totals(&mut cluster), totals);
    cluster.resize_disk(2, LARGE_SECTORS);
    (5..60).for_each(|id| _ = insert(&mut cluster, 2, id).unwrap());
    check_rows(&mut cluster, 60);
}
