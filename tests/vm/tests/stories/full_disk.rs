//! A full data disk refuses writes in words and goes on serving reads.

use tests_vm::{Cluster, turn};
use tests_workloads::noise;

/// Rows that would fill any small disk.
const ROWS_MAX: usize = 2000;

fn a_full_disk_refuses_writes(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, &[up_options, &["--disk-mib", "12"]].concat());
    let client = cluster.client(1);
    client.query("CREATE TABLE t (id int PRIMARY KEY, body text)").expect("CREATE TABLE");
    let mut rows = 0;
    let fill = |node: u8, rows: &mut usize| {
        let client = cluster.client(node);
        let refused = loop {
            match client.query(&format!("INSERT INTO t VALUES ({rows}, '{}')", noise(60_000, *rows as u64))) {
                Ok(_) => *rows += 1,
                Err(failure) => break failure,
            }
            assert!(*rows < ROWS_MAX, "a disk of 12 MiB does not take 120 MB");
        };
        assert_eq!(refused.state(), Some("53100"), "at node {node}: {refused}");
    };
    fill(1, &mut rows);
    println!("{name}: refused after {rows} rows");
    cluster.wait("a node's log says that the disk is full", || {
        (1..=3).find(|node| cluster.log(*node).contains("the data disk is full"))
    });
    for node in 1..=3 {
        let seen = cluster.client(node).row("SELECT count(*), min(id), max(id) FROM t");
        assert_eq!(seen, Ok(format!("{rows}|0|{}", rows - 1)), "reads go on at node {node}");
        // Merging may have made some room since.
        fill(node, &mut rows);
    }
    // It is full after a restart too, and still readable.
    cluster.relix(&["down"]).expect_success("relix down");
    cluster.up();
    assert_eq!(cluster.client(2).row("SELECT count(*) FROM t"), Ok(rows.to_string()));
    // Deletes are taken.
    cluster.client(3).query("DELETE FROM t WHERE id < 10").expect("a delete");
    assert_eq!(cluster.client(1).row("SELECT count(*) FROM t"), Ok((rows - 10).to_string()));
}

#[test]
fn vms_with_full_disks_serve_reads() {
    a_full_disk_refuses_writes("full-disk", &[]);
}

#[test]
fn host_processes_with_full_disks_serve_reads() {
    a_full_disk_refuses_writes("host-full-disk", &["--host"]);
}
