//! A full data disk refuses writes in words and goes on serving reads.

use tests_vm::{Cluster, turn};
use tests_workloads::noise;

/// Rows that would fill any small disk.
const ROWS_MAX: usize = 2000;

fn a_full_disk_refuses_writes(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::new(name, up_options);
    cluster.try_up(&["--disk-mib", "12"]).expect_success("relix up");
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
    larger_disks_take_writes_again(&cluster, rows - 10, rows);
}

/// Of a table that holds `count` rows with ids below `next`.
fn larger_disks_take_writes_again(cluster: &Cluster, count: usize, next: usize) {
    let said = cluster.try_up(&["--disk-mib", "11"]).expect_one_line_error("smaller disks");
    assert!(said.contains("12 MiB and do not shrink"), "{said}");
    let pids = cluster.pids();
    let said = cluster.try_up(&["--disk-mib", "32"]).expect_success("larger disks");
    assert!(said.contains("The data disks grow to 32 MiB."), "{said}");
    for node in 1..=3 {
        let line = "the data disk has grown from 12288 to 32768 KiB";
        cluster.wait("a node takes notice", || cluster.log(node).contains(line).then_some(()));
    }
    assert_eq!(cluster.pids(), pids, "nobody was restarted");
    assert_eq!(cluster.client(1).row("SELECT count(*) FROM t"), Ok(count.to_string()));
    for id in next..next + 60 {
        let sql = format!("INSERT INTO t VALUES ({id}, '{}')", noise(60_000, id as u64));
        cluster.client((id % 3 + 1) as u8).query(&sql).expect("there is room");
    }
    cluster.relix(&["down"]).expect_success("relix down");
    let said = cluster.try_up(&["--disk-mib", "11"]).expect_one_line_error("smaller disks");
    assert!(said.contains("32 MiB and do not shrink"), "{said}");
    let said = cluster.try_up(&["--disk-mib", "48"]).expect_success("larger disks");
    assert!(said.contains("The data disks grow to 48 MiB."), "{said}");
    for node in 1..=3 {
        let client = cluster.client(node);
        assert_eq!(client.row("SELECT count(*) FROM t"), Ok((count + 60).to_string()), "at node {node}");
        let total = client.row("SELECT min(disk_total) >= 43 * 1048576 FROM sys.storage");
        assert_eq!(total.as_deref(), Ok("t"), "48 MiB, less one and a ring of three");
    }
}

#[test]
fn vms_with_full_disks_serve_reads() {
    a_full_disk_refuses_writes("full-disk", &[]);
}

#[test]
fn host_processes_with_full_disks_serve_reads() {
    a_full_disk_refuses_writes("host-full-disk", &["--host"]);
}
