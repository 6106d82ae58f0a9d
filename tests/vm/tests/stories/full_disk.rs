//! A full data disk refuses writes in words and goes on serving reads.

use tests_vm::{Cluster, turn};

/// Rows that would fill any small disk.
const ROWS_MAX: usize = 2000;

fn a_full_disk_refuses_writes(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, &[up_options, &["--disk-mib", "12"]].concat());
    let client = cluster.client(1);
    client.query("CREATE TABLE t (id int PRIMARY KEY, body text)").expect("CREATE TABLE");
    let body = "x".repeat(60_000);
    let insert = |id: usize| client.query(&format!("INSERT INTO t VALUES ({id}, '{body}')")).map(drop);
    let (rows, refused) = (0..ROWS_MAX)
        .find_map(|id| insert(id).err().map(|failure| (id, failure)))
        .expect("a disk of 12 MiB does not take 120 MB");
    println!("{name}: after {rows} rows: {refused}");
    assert_eq!(refused.state(), Some("53100"), "{refused}");
    cluster.wait("a node's log says that the disk is full", || {
        (1..=3).find(|node| cluster.log(*node).contains("the data disk is full"))
    });
    for node in 1..=3 {
        let reader = cluster.client(node);
        let seen = reader.row("SELECT count(*), min(id), max(id) FROM t");
        assert_eq!(seen, Ok(format!("{rows}|0|{}", rows - 1)), "reads go on at node {node}");
        let refused = reader.query(&format!("INSERT INTO t VALUES ({ROWS_MAX}, '{body}')"));
        assert_eq!(refused.expect_err("still full").state(), Some("53100"), "at node {node}");
    }
    // It is full after a restart too, and still readable.
    cluster.relix(&["down"]).expect_success("relix down");
    cluster.up();
    assert_eq!(cluster.client(2).row("SELECT count(*) FROM t"), Ok(rows.to_string()));
}

#[test]
fn vms_with_full_disks_serve_reads() {
    a_full_disk_refuses_writes("full-disk", &[]);
}

#[test]
fn host_processes_with_full_disks_serve_reads() {
    a_full_disk_refuses_writes("host-full-disk", &["--host"]);
}
