//! Stories of the log: what nodes say on their consoles is a table, which grows when there is something to say.

use std::time::Duration;

use tests_sim::{Cluster, ask, number, until};
use tests_workloads::Row;

fn texts(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// Lets time pass until a line like this is in the log.
fn until_said(cluster: &mut Cluster, node: u8, pattern: &str) {
    let sql = format!("SELECT count(*) FROM sys.log WHERE text LIKE '{pattern}'");
    until(cluster, 1, |cluster| {
        let count = ask(cluster, node, &sql).ok().and_then(number);
        count.filter(|count| *count > 0)
    });
}

#[test]
fn what_nodes_say_is_in_the_log_of_all_of_them() {
    let mut cluster = Cluster::new(3, 90);
    until_said(&mut cluster, 1, "leader in term %");
    cluster.run(Duration::from_secs(5));
    let nodes = "SELECT DISTINCT node FROM sys.log WHERE level = 'info' AND at > '2000-01-01' ORDER BY node";
    assert_eq!(ask(&mut cluster, 2, nodes).map(texts), Ok(["1", "2", "3"].map(String::from).to_vec()));
    // Every line that a console has, once, in its order.
    for node in 1..=3u8 {
        let logged = format!("SELECT text FROM sys.log WHERE node = {node} ORDER BY id");
        let logged = ask(&mut cluster, 3, &logged).map(texts).expect("an answer");
        let printed: Vec<String> = cluster.console(node).iter().map(|(_, line)| line.clone()).collect();
        assert_eq!(logged, printed);
    }
    let gapless = "SELECT max(id) - count(*) FROM sys.log";
    assert_eq!(ask(&mut cluster, 1, gapless).map(number), Ok(Some(0)));
}

#[test]
fn a_cluster_that_has_nothing_to_say_writes_nothing() {
    let mut cluster = Cluster::new(3, 91);
    until_said(&mut cluster, 1, "leader in term %");
    cluster.run(Duration::from_secs(10));
    let before = cluster.commit(1);
    cluster.run(Duration::from_secs(60));
    assert_eq!(cluster.commit(1), before);
}

#[test]
fn lines_wait_for_a_leader() {
    let mut cluster = Cluster::new(3, 92);
    until_said(&mut cluster, 1, "leader in term %");
    cluster.crash(2);
    cluster.crash(3);
    cluster.run(Duration::from_secs(30));
    let before = cluster.commit(1);
    cluster.start(2);
    cluster.start(3);
    until_said(&mut cluster, 2, "node 2 is no longer reachable%");
    assert!(cluster.commit(1) > before);
    let said_by =
        "SELECT count(*) FROM sys.log WHERE node = 1 AND text LIKE 'node _ is no longer reachable%'";
    until(&mut cluster, 1, |cluster| {
        ask(cluster, 3, said_by).ok().and_then(number).filter(|count| *count >= 2)
    });
}
