//! Nodes that ask for their addresses: with a server that grants them, one that is silent, and one that lies.

use tests_vm::{Cluster, turn};

/// Does what the server does from here on to a node that is started again; what it says on its console then, and in `relix
/// status`, is `said`, while the others go on. Then the server is mended, and it comes back.
fn is_told(cluster: &Cluster, node: u8, mode: &str, said: &[&str]) {
    cluster.fault(&["dhcp", mode]);
    cluster.fault(&["restart", &node.to_string()]);
    for line in said {
        cluster
            .wait(&format!("node {node} to say: {line}"), || cluster.log(node).contains(line).then_some(()));
    }
    let shown = cluster.wait("the others to show it", || {
        let text = cluster.relix(&["status"]).expect_success("relix status");
        said.iter().any(|line| text.contains(&format!("Node {node}: {line}"))).then_some(text)
    });
    println!("{shown}");
    assert!(cluster.role(node).is_some_and(|role| role == "follower"), "it takes part all the same");
    for other in cluster.others(node) {
        cluster.client(other).query("INSERT INTO written VALUES (1)").expect("the others go on");
    }
    let count = cluster.client(cluster.leader()).row("SELECT count(*) FROM written").expect("a count");
    cluster.fault(&["dhcp", "on"]);
    assert_eq!(cluster.client(node).row("SELECT count(*) FROM written"), Ok(count), "it comes back");
    let status = cluster.relix(&["status"]).expect_success("relix status");
    assert!(!status.contains(&format!("Node {node}: ")), "{status}");
}

#[test]
fn vms_get_their_addresses_or_say_what_is_wrong() {
    let _turn = turn();
    let cluster = Cluster::start("dhcp", &["--dhcp"]);
    for node in 1..=3 {
        let line = format!("address 10.77.0.{node} by DHCP from 10.77.0.254 for 3600 s");
        assert!(cluster.log(node).contains(&line), "{}", cluster.log(node));
    }
    cluster.client(1).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    let follower = cluster.others(cluster.leader())[0];
    let silence =
        "no DHCP server has answered for 10 s: start one, or give this node relix.ip=ADDRESS/PREFIX";
    is_told(&cluster, follower, "silent", &[silence]);
    let follower = cluster.others(cluster.leader())[0];
    let other = if follower == 1 { 2 } else { 1 };
    let lies =
        [(other, format!("node {other} uses it")), (0, "it is the address of the network itself".into())]
            .map(|(last, why)| format!("refused address 10.77.0.{last} from DHCP server 10.77.0.254: {why}"));
    is_told(&cluster, follower, "lying", &lies.each_ref().map(String::as_str));
}

#[test]
fn host_processes_get_their_addresses_too() {
    let _turn = turn();
    let cluster = Cluster::start("host-dhcp", &["--host", "--dhcp"]);
    let addresses = "SELECT string_agg(address, ' ' ORDER BY id) FROM sys.nodes";
    cluster.wait("all addresses", || {
        let row = cluster.client(1).row(addresses).ok()?;
        (row == "10.77.0.1 10.77.0.2 10.77.0.3").then_some(())
    });
    let told = Cluster::start("host-static", &["--host"]);
    let refused = told.relix(&["fault", "dhcp", "silent"]).expect_one_line_error("there is no server");
    assert!(refused.contains("do not ask for addresses"), "{refused}");
}

#[test]
fn clients_come_to_vms_by_ipv6() {
    let _turn = turn();
    let cluster = Cluster::start("ip6", &["--ip6", "--nodes", "1"]);
    let client = "SELECT remote_address FROM sys.sockets WHERE state = 'established' AND port = 5432 LIMIT 1";
    assert_eq!(cluster.client(1).row(client).as_deref(), Ok("fd77::fe"));
}
