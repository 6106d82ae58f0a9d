//! Nodes come and go: one joins, one loses its disk, one is taken out and comes back.

use tests_vm::{Cluster, turn};

/// One row more, through `node`, and with it proof that a quorum stands.
fn write(cluster: &Cluster, node: u8, id: i64) {
    let insert = format!("INSERT INTO written VALUES ({id}, 'through node {node}')");
    cluster
        .client(node)
        .query(&insert)
        .unwrap_or_else(|refused| panic!("row {id} by node {node}: {refused}"));
}

/// The same rows at every node in `nodes`, each asked by itself: how many they are.
fn rows_at_all(cluster: &Cluster, nodes: &[u8]) -> usize {
    let rows = |node: &u8| {
        cluster.client(*node).query("SELECT id, body FROM written ORDER BY id").expect("the rows")
    };
    let all: Vec<_> = nodes.iter().map(rows).collect();
    assert!(all.iter().all(|rows| *rows == all[0]), "nodes {nodes:?} show the same rows");
    all[0].len()
}

fn becomes_a_voter(cluster: &Cluster, node: u8) {
    cluster.wait(&format!("node {node} is a voter"), || {
        cluster.role(node).filter(|role| role == "follower" || role == "leader")
    });
    cluster.catches_up(node);
}

/// A fourth node joins by itself, and then no single loss stops the four.
fn a_fourth_joins(cluster: &Cluster) {
    let said = cluster.try_up(&["--nodes", "4"]).expect_success("relix up --nodes 4");
    println!("  a fourth: {}", said.lines().last().unwrap_or_default().trim());
    becomes_a_voter(cluster, 4);
    write(cluster, 4, 1_000);
    assert_eq!(rows_at_all(cluster, &[1, 2, 3, 4]), 101);
    for node in 1..=4 {
        cluster.fault(&["kill", &node.to_string()]);
        write(cluster, node % 4 + 1, 1_000 + i64::from(node));
        cluster.fault(&["restart", &node.to_string()]);
        cluster.catches_up(node);
    }
    assert_eq!(rows_at_all(cluster, &[1, 2, 3, 4]), 105, "each may die in turn");
}

/// The leader's disk is gone. It comes back blank, is brought everything, and its vote counts again.
fn a_wiped_leader_is_rebuilt(cluster: &Cluster) {
    let wiped = cluster.leader();
    cluster.wipe(wiped);
    becomes_a_voter(cluster, wiped);
    assert_eq!(rows_at_all(cluster, &[1, 2, 3, 4]), 105, "node {wiped} has all rows again");
    let other = wiped % 4 + 1;
    cluster.fault(&["kill", &other.to_string()]);
    write(cluster, wiped, 2_000);
    cluster.fault(&["restart", &other.to_string()]);
    cluster.catches_up(other);
}

/// A node that was removed says so, stays out, and is taken in again only with another disk.
fn a_removed_node_stays_out(cluster: &Cluster) {
    cluster.client(1).query("CALL sys.remove_node(4)").expect("CALL sys.remove_node");
    let removed = || cluster.role(4).filter(|role| role == "removed");
    cluster.wait("node 4 says that it was removed", removed);
    let own = cluster.client(4).row("SELECT role FROM sys.nodes WHERE id = 4");
    assert_eq!(own.as_deref(), Ok("removed"), "in sys.nodes too");
    cluster.fault(&["restart", "4"]);
    cluster.wait("node 4 says so again after its restart", removed);
    // Two are a majority of three, not of four: node 4 does not count.
    cluster.fault(&["kill", "4"]);
    cluster.fault(&["kill", "3"]);
    write(cluster, 1, 3_000);
    cluster.fault(&["restart", "3"]);
    cluster.catches_up(3);
    cluster.wipe(4);
    becomes_a_voter(cluster, 4);
    write(cluster, 4, 3_001);
    assert_eq!(rows_at_all(cluster, &[1, 2, 3, 4]), 108, "with a blank disk it is taken in again");
}

fn members_come_and_go(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    let client = cluster.client(1);
    client.query("CREATE TABLE written (id bigint PRIMARY KEY, body text)").expect("CREATE TABLE");
    let rows: Vec<String> = (0..100).map(|id| format!("({id}, 'before')")).collect();
    client.query(&format!("INSERT INTO written VALUES {}", rows.join(","))).expect("the first rows");
    a_fourth_joins(&cluster);
    a_wiped_leader_is_rebuilt(&cluster);
    a_removed_node_stays_out(&cluster);
}

#[test]
fn vms_come_and_go() {
    members_come_and_go("members", &[]);
}

#[test]
fn host_processes_come_and_go() {
    members_come_and_go("host-members", &["--host"]);
}

/// Machines that are told only their cluster's name and size: the last one is node 4, whatever numbers the others have.
#[test]
fn vms_that_find_each_other_come_and_go() {
    members_come_and_go("discovered-members", &["--discover"]);
}

#[test]
fn host_processes_that_find_each_other_come_and_go() {
    members_come_and_go("discovered-host-members", &["--discover", "--host"]);
}
