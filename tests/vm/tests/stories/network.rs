//! The network splits, a machine stands still: the majority goes on, and all agree afterwards.

use std::time::{Duration, Instant};

use tests_vm::{Cluster, InsertStream, State, turn};

use crate::failover::{Streams, catches_up, check_every_outcome};

fn the_leader_is_cut_off(
    name: &str,
    up_options: &[&str],
    cut: impl Fn(&Cluster, u8),
    mend: impl Fn(&Cluster, u8),
) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let leader = cluster.leader();
    let others = cluster.others(leader);
    cluster.client(1).query("CREATE TABLE alone (id bigint)").expect("CREATE TABLE");
    let streams = Streams::start(&cluster, leader);
    std::thread::sleep(Duration::from_secs(1));
    let event = Instant::now();
    cut(&cluster, leader);
    let successor = cluster.wait("another leader", || cluster.status().leader.filter(|id| *id != leader));
    assert!(others.contains(&successor));
    streams.go_on(&cluster);
    std::thread::sleep(Duration::from_secs(2));
    mend(&cluster, leader);
    let mended = Instant::now();
    cluster.client(leader).row("SELECT count(*) FROM written").expect("the old leader answers again");
    println!("{name}: the old leader answers {:.2?} after it is back", mended.elapsed());
    std::thread::sleep(Duration::from_secs(1));
    let (records, silence) = streams.finish(event);
    println!("{name}: longest silence at the others: {silence:.2?}");
    check_every_outcome(&cluster, &records, "written");
    catches_up(&cluster, leader);
}

fn partition(cluster: &Cluster, leader: u8) {
    let others: Vec<String> = cluster.others(leader).iter().map(u8::to_string).collect();
    cluster.fault(&["partition", &format!("{leader}/{}", others.join(","))]);
    // Alone, it must not say yes: neither to a write nor to a read that claims to be current.
    let alone = cluster.client(leader).with_patience(Duration::from_secs(20));
    let refused = alone.query("INSERT INTO alone (id) VALUES (1)");
    let refused = refused.expect_err("a leader without a quorum commits nothing");
    println!("  cut off, it says: {refused}");
    assert!(matches!(refused.state(), Some("08007" | "57P03" | "40001")), "in words: {refused}");
}

fn heal(cluster: &Cluster, _: u8) {
    cluster.fault(&["heal"]);
}

fn pause(cluster: &Cluster, leader: u8) {
    cluster.fault(&["pause", &leader.to_string()]);
    let status = cluster.status();
    let paused = status.nodes.iter().find(|node| node.id == leader).map(|node| node.state);
    assert_eq!(paused, Some(State::Paused));
}

fn resume(cluster: &Cluster, leader: u8) {
    cluster.fault(&["resume", &leader.to_string()]);
}

#[test]
fn vms_go_on_in_the_majority() {
    the_leader_is_cut_off("partition", &[], partition, heal);
}

#[test]
fn host_processes_go_on_in_the_majority() {
    the_leader_is_cut_off("host-partition", &["--host"], partition, heal);
}

#[test]
fn a_paused_vm_comes_back_as_a_follower() {
    the_leader_is_cut_off("pause", &[], pause, resume);
}

#[test]
fn bad_links_slow_but_lose_nothing() {
    let _turn = turn();
    let cluster = Cluster::start("bad-links", &["--host"]);
    cluster.client(1).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    let bad = ["link", "--loss", "0.05", "--delay-ms", "2", "--jitter-ms", "3", "--duplicate", "0.05"];
    cluster.fault(&bad);
    let stream = InsertStream::start("written", 1, (1..=3).map(|node| cluster.port(node)).collect());
    std::thread::sleep(Duration::from_secs(4));
    let records = stream.finish();
    cluster.fault(&["heal"]);
    check_every_outcome(&cluster, &records, "written");
    assert!(records.iter().any(|record| record.outcome.is_ok()), "writes go on");
}
