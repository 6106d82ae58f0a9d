//! The network splits, a machine stands still: the majority goes on, and all agree afterwards.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tests_vm::{Cluster, InsertStream, State, turn};

use crate::failover::{Streams, check_every_outcome};

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
    cluster.catches_up(leader);
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

/// A line of `relix fault links --json`.
#[derive(Clone, Debug, Deserialize)]
struct LinkLine {
    from: u8,
    to: u8,
    state: String,
    sent: u64,
    arrived: u64,
    lost: u64,
    dropped: u64,
    duplicated: u64,
    in_flight: u64,
    untaken: u64,
}

#[derive(Deserialize)]
struct Links {
    seed: u64,
    links: Vec<LinkLine>,
}

fn links(cluster: &Cluster) -> Links {
    let text = cluster.relix(&["fault", "links", "--json"]).expect_success("relix fault links");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("fault links gave {text}: {error}"))
}

fn link(cluster: &Cluster, from: u8, to: u8) -> LinkLine {
    let found = links(cluster).links.into_iter().find(|link| (link.from, link.to) == (from, to));
    found.unwrap_or_else(|| panic!("there is a link from {from} to {to}"))
}

/// The last byte of each frame's source and destination, of a file in pcap's format.
fn captured(file: &[u8]) -> Vec<(u8, u8)> {
    assert_eq!(file[..4], 0xa1b2_c3d4u32.to_le_bytes());
    let (mut rest, mut frames) = (&file[24..], Vec::new());
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let frame = &rest[16..16 + len];
        frames.push((frame[11], frame[5]));
        rest = &rest[16 + len..];
    }
    frames
}

/// Who hears the leader no more elects another, though the leader hears them; the lab tells how it came.
#[test]
fn a_leader_that_is_not_heard_is_replaced_and_the_lab_shows_why() {
    let _turn = turn();
    let cluster = Cluster::start("one-way", &["--host", "--fault-seed", "7"]);
    assert_eq!(links(&cluster).seed, 7);
    let leader = cluster.leader();
    let others = cluster.others(leader);
    let (leader_text, others_text) = (leader.to_string(), format!("{},{}", others[0], others[1]));
    cluster.client(1).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    let path = cluster.dir().join("one-way.pcap");
    let file = path.to_str().expect("a path of letters");
    let before = link(&cluster, others[0], leader);
    cluster.fault(&["capture", "--from", &others[0].to_string(), "--to", &leader_text, "--out", file]);
    let started = link(&cluster, others[0], leader);
    let again = ["fault", "capture", "--out", file];
    assert!(cluster.relix(&again).expect_one_line_error("a second capture").contains("--stop"));

    cluster.fault(&["partition", &format!("{leader}/{others_text}"), "--one-way"]);
    cluster.wait("another leader", || cluster.status().leader.filter(|id| *id != leader));
    let client = cluster.client(others[0]).with_patience(Duration::from_secs(20));
    client.query("INSERT INTO written (id) VALUES (1)").expect("the others go on");
    let cut = link(&cluster, leader, others[0]);
    assert!(cut.state == "cut" && cut.lost > 0, "{cut:?}");
    let heard = link(&cluster, others[0], leader);
    assert!(heard.state == "up" && heard.lost == 0 && heard.arrived > before.arrived, "{heard:?}");

    cluster.fault(&["heal"]);
    assert_eq!(link(&cluster, leader, others[0]).state, "up");
    let rows = cluster.client(leader).row("SELECT count(*) FROM written");
    assert_eq!(rows, Ok("1".into()), "the old leader has what the others wrote");
    cluster.catches_up(leader);
    let said = cluster.relix(&["fault", "capture", "--stop"]).expect_success("the capture ends");
    let after = link(&cluster, others[0], leader);
    let frames = captured(&std::fs::read(&path).expect("the capture is there"));
    assert!(said.starts_with(&format!("{} frames", frames.len())), "{said}");
    let least = heard.arrived - heard.untaken - (started.arrived - started.untaken);
    let most = after.arrived - after.untaken - (before.arrived - before.untaken);
    assert!(
        (least..=most).contains(&(frames.len() as u64)),
        "{least} to {most} frames, not {}",
        frames.len()
    );
    // Those for all are captured where they arrive, too.
    assert!(frames.iter().all(|(from, to)| *from == others[0] && [leader, 0xff].contains(to)), "{frames:?}");
    assert!(cluster.relix(&again).expect_one_line_error("the file is there").contains(file));

    for link in links(&cluster).links {
        let accounted = link.arrived + link.lost + link.dropped + link.in_flight;
        assert_eq!(link.sent + link.duplicated, accounted, "{link:?}");
    }
}

/// An unplugged network card is a link that is down for its VM, which says so, also when it is started without one.
#[test]
fn a_vm_that_is_unplugged_knows_and_catches_up() {
    let _turn = turn();
    let cluster = Cluster::start("unplugged", &[]);
    let leader = cluster.leader();
    let others = cluster.others(leader);
    let node = others[0].to_string();
    let said = |line: &str| cluster.log(others[0]).matches(line).count();
    cluster.client(leader).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    cluster.fault(&["nic", &node, "down"]);
    cluster.wait("the VM says that its link is down", || (said("nic0: link down") == 1).then_some(()));
    assert_eq!(link(&cluster, leader, others[0]).state, "unplugged");
    cluster.client(leader).query("INSERT INTO written (id) VALUES (1)").expect("the others go on");
    cluster.fault(&["restart", &node]);
    cluster.wait("so it does when it starts", || (said("nic0: link down") == 2).then_some(()));
    assert_eq!(said("nic0: link up"), 0);
    cluster.fault(&["nic", &node, "up"]);
    cluster.wait("the VM says that its link is up", || (said("nic0: link up") == 1).then_some(()));
    let rows = cluster.client(others[0]).row("SELECT count(*) FROM written");
    assert_eq!(rows, Ok("1".into()), "it has what the others wrote");
    cluster.catches_up(others[0]);
}

/// The NICs that a node's links with the others leave over; null where there is none.
fn nics(cluster: &Cluster, node: u8) -> String {
    let sql =
        format!("SELECT string_agg(DISTINCT nic, ',') FROM sys.links WHERE node = {node} AND state = 'up'");
    cluster.client(node).row(&sql).expect("sys.links")
}

#[test]
fn vms_on_two_fabrics_keep_their_peers_when_one_is_cut() {
    let _turn = turn();
    let cluster = Cluster::start("fabrics", &["--fabrics", "2"]);
    let leader = cluster.leader();
    let term = || cluster.client(leader).row("SELECT max(term) FROM sys.raft").expect("sys.raft");
    let (node, before) = (cluster.others(leader)[0], term());
    cluster.client(leader).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    let write = |id: u8| {
        cluster.client(node).query(&format!("INSERT INTO written (id) VALUES ({id})")).expect("they go on");
    };
    cluster.wait("the first fabric is used", || (nics(&cluster, node) == "nic0").then_some(()));
    cluster.fault(&["link", "--fabric", "1", "--down"]);
    write(1);
    cluster.wait("the other is used", || (nics(&cluster, node) == "nic1").then_some(()));
    cluster.fault(&["link", "--fabric", "1", "--up"]);
    cluster.wait("the first is used again", || (nics(&cluster, node) == "nic0").then_some(()));
    // One whose card on the second fabric is unplugged, and which hears nobody on the first, hears nobody.
    let fault = ["nic", &node.to_string(), "down", "--fabric", "2"];
    cluster.fault(&fault);
    cluster.wait("it says so", || cluster.log(node).contains("nic1: link down").then_some(()));
    write(2);
    assert_eq!(term(), before, "nobody had to be elected");
    let others: Vec<String> = (1..=3).filter(|other| *other != node).map(|other| other.to_string()).collect();
    cluster.fault(&["partition", &format!("{node}/{}", others.join(",")), "--fabric", "1"]);
    let lost = format!("node {node} is no longer reachable");
    cluster.wait("the others miss it", || cluster.log(leader).contains(&lost).then_some(()));
    cluster.client(leader).query("INSERT INTO written (id) VALUES (3)").expect("they are two");
    cluster.fault(&["heal"]);
    cluster.catches_up(node);
    assert_eq!(cluster.client(node).row("SELECT count(*) FROM written"), Ok("3".into()));
    let refused = cluster.relix(&["fault", "link", "--fabric", "3", "--down"]);
    assert!(refused.expect_one_line_error("no such fabric").contains("no fabric 3"));
    let base_port = (cluster.port(1) - 1).to_string();
    let refused = cluster.relix(&["up", "--detach", "--fabrics", "3", "--base-port", &base_port]);
    assert!(refused.expect_one_line_error("other fabrics").contains("another number of fabrics"));
}
