//! A cluster comes up, has a leader, and every node answers.

use std::time::{Duration, Instant};

use tests_vm::{Client, Cluster, State, turn};

/// Three nodes answer SQL and agree on who leads.
fn serves(name: &str, up_options: &[&str], accel: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let status = cluster.status();
    assert!(status.leader.is_some(), "there is a leader");
    assert_eq!(status.nodes.len(), 3);
    for node in &status.nodes {
        assert_eq!(node.state, State::Up, "node {}", node.id);
        assert!(accel.contains(&node.accel.as_str()), "node {} runs on {}", node.id, node.accel);
        let client = cluster.client(node.id);
        assert_eq!(client.row("SELECT 1").as_deref(), Ok("1"));
        let members = client.row("SELECT count(*) FROM sys.nodes WHERE state = 'up'");
        assert_eq!(members.as_deref(), Ok("3"), "as node {} sees it", node.id);
        let leaders = client.row("SELECT id FROM sys.nodes WHERE role = 'leader'").expect("one leader");
        assert_eq!(leaders, status.leader.map(|id| id.to_string()).unwrap_or_default());
        assert_ne!(client.row("SELECT count(*) FROM sys.devices").as_deref(), Ok("0"));
    }
    if accel == VM {
        // What the kernels have said before their nodes began is kept as well.
        let kernels = "SELECT count(DISTINCT node) FROM sys.log WHERE text = 'machine ready' AND at < now()";
        let client = cluster.client(2);
        cluster.wait("lines of the kernels", || (client.row(kernels).as_deref() == Ok("3")).then_some(()));
    }
    // The same command again finds everything in order.
    cluster.up();
    // Larger disks are noticed without a restart, whatever bus they are on.
    cluster.try_up(&["--disk-mib", "5000"]).expect_success("larger disks");
    for node in 1..=3 {
        let line = "the data disk has grown from 4194304 to 5120000 KiB";
        cluster.wait("a node takes notice", || cluster.log(node).contains(line).then_some(()));
    }
    // A statement by the command itself, and its aligned answer.
    let answer = cluster.relix(&["sql", "--node", "2", "-c", "SELECT 40 + 2 AS answer"]);
    let table = answer.expect_success("relix sql");
    assert!(table.contains(" answer\n") && table.contains("     42\n"), "aligned: {table}");
    let console = cluster.relix(&["logs", "1"]).expect_success("relix logs");
    assert!(!console.is_empty(), "node 1 has printed something");
    cluster.relix(&["down"]).expect_success("relix down");
    let gone = cluster.relix(&["status"]).expect_one_line_error("status of nothing");
    assert!(gone.contains("relix up"), "it says what to do: {gone}");
}

const VM: &[&str] = &["tcg", "kvm"];

#[test]
fn three_vms_serve() {
    serves("vms", &[], VM);
}

#[test]
fn three_vms_of_64_mib_serve() {
    serves("small", &["--memory", "64"], VM);
}

#[test]
fn three_microvms_serve() {
    serves("microvm", &["--machine", "microvm"], VM);
}

#[test]
fn three_host_processes_serve() {
    serves("host", &["--host"], &["host"]);
}

#[test]
fn a_long_query_holds_nobody_up() {
    let _turn = turn();
    let cluster = Cluster::start("long-query", &["--host"]);
    let leader = cluster.leader();
    let client = cluster.client(leader);
    client.query("CREATE TABLE t (id int PRIMARY KEY)").expect("CREATE TABLE");
    let busy = cluster.client(leader).with_patience(Duration::from_secs(300));
    let long = std::thread::spawn(move || busy.row("SELECT count(*) FROM generate_series(1, 20000000) AS n"));
    let mut slowest = Duration::ZERO;
    let mut inserted = 0;
    while !long.is_finished() {
        let started = Instant::now();
        client.query(&format!("INSERT INTO t VALUES ({inserted})")).expect("INSERT beside the long query");
        slowest = slowest.max(started.elapsed());
        inserted += 1;
    }
    let answer = long.join().expect("the long query ends");
    assert_eq!(answer.as_deref(), Ok("20000000"));
    println!("beside a long query: {inserted} inserts, the slowest took {slowest:.2?}");
    assert!(inserted > 1, "inserts go on beside it");
    assert_eq!(cluster.status().leader, Some(leader), "the leader has kept its word to its followers");
}

#[test]
fn too_many_clients_are_told_so() {
    let _turn = turn();
    let cluster = Cluster::start("crowd", &["--host"]);
    let connected: Vec<_> = (0..150).map(|_| cluster.try_client(1)).collect();
    let refused: Vec<_> = connected.iter().filter_map(|client| client.as_ref().err()).collect();
    let served: Vec<&Client> = connected.iter().flatten().collect();
    println!("150 clients of one node: {} served, first refusal: {:?}", served.len(), refused.first());
    assert!(served.len() >= 120, "most are served");
    assert!(
        refused.iter().all(|refusal| refusal.state() == Some("53300")),
        "the others are told why: {refused:?}"
    );
    served.iter().for_each(|client| assert_eq!(client.row("SELECT 1").as_deref(), Ok("1")));
    drop(connected);
    assert_eq!(cluster.client(1).row("SELECT 1").as_deref(), Ok("1"), "there is room again");
}
