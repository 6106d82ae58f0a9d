//! Nodes that take the time from a server.

use std::time::{SystemTime, UNIX_EPOCH};

use tests_vm::{Cluster, SqlFailure, turn};

/// How far the node's clock is ahead of this machine's, in seconds.
fn ahead_s(cluster: &Cluster, node: u8) -> f64 {
    let said =
        cluster.client(node).row("SELECT extract(epoch FROM clock_timestamp())::float8").expect("its time");
    let own = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    said.parse::<f64>().expect("a number") - own
}

/// Whose time a node has.
fn clock(cluster: &Cluster, node: u8) -> Result<String, SqlFailure> {
    cluster.client(node).row(&format!("SELECT clock FROM sys.nodes WHERE id = {node}"))
}

#[test]
fn a_vm_whose_clock_is_wrong_is_put_right() {
    let _turn = turn();
    let cluster = Cluster::start("time", &["--ntp"]);
    for node in 1..=3 {
        cluster.wait("the time by a server", || (clock(&cluster, node).ok()? == "ntp").then_some(()));
    }
    let node = cluster.leader();
    for ahead in ["86400", "-86400"] {
        cluster.fault(&["clock", &node.to_string(), "--ahead-s", ahead]);
        cluster.wait("the clock is put right", || (ahead_s(&cluster, node).abs() < 600.0).then_some(()));
    }
    for line in [" s ahead", " s behind"] {
        let said = |it: &str| {
            it.contains("the clock is set by time server 10.77.0.254: it was 86") && it.contains(line)
        };
        assert!(cluster.log(node).lines().any(said), "{line}: {}", cluster.log(node));
    }
    // Who is told nothing of a server has the machine's clock, as it is.
    let own = Cluster::start("own-time", &["--nodes", "1"]);
    assert_eq!(clock(&own, 1), Ok("machine".into()));
    own.fault(&["clock", "1", "--ahead-s", "86400"]);
    let ahead = ahead_s(&own, 1);
    assert!((ahead - 86_400.0).abs() < 600.0, "{ahead} s");
}
