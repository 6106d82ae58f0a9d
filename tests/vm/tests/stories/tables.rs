//! A real table goes in through one node and is the same on all.

use std::path::PathBuf;
use std::process::Command;

use tests_vm::{Cluster, is_installed, repository, run, turn};

const CREATE: &str = "CREATE TABLE airports (iata text PRIMARY KEY, name text, city text, state text, \
                      country text, latitude double precision, longitude double precision)";

const CHECKSUM: &str = "SELECT count(*), sum(length(name)), sum(length(iata)), sum(latitude), \
                        min(longitude), max(city) FROM airports";

fn airports() -> PathBuf {
    repository().join("tests/data/airports.csv")
}

/// Loads the table through node 1: by psql where there is one.
pub fn load_airports(cluster: &Cluster) {
    cluster.client(1).query(CREATE).expect("CREATE TABLE");
    let path = airports();
    if is_installed("psql") {
        let mut psql = Command::new("psql");
        let port = cluster.port(1).to_string();
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "relix",
            "-d",
            "relix",
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        psql.arg("-c").arg(format!("\\copy airports FROM '{}' WITH (FORMAT csv, HEADER)", path.display()));
        let said = run(&mut psql).expect_success("psql \\copy");
        assert_eq!(said.trim(), "COPY 3376");
    } else {
        println!("psql is not installed: COPY by the driver instead");
        let data = std::fs::read(path).expect("the table's file");
        let sql = "COPY airports FROM STDIN WITH (FORMAT csv, HEADER)";
        assert_eq!(cluster.client(1).copy_in(sql, &data), Ok(3376));
    }
}

/// The same sums at all three nodes: what they are.
pub fn agreed_checksum(cluster: &Cluster) -> String {
    let answers: Vec<String> =
        (1..=3).map(|node| cluster.client(node).row(CHECKSUM).expect("a checksum")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the nodes disagree: {answers:?}");
    answers[0].clone()
}

fn tables_are_the_same_everywhere(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    load_airports(&cluster);
    let sums = agreed_checksum(&cluster);
    println!("{name}: {sums}");
    // Known from the file itself.
    assert!(sums.starts_with("3376|"), "{sums}");
    for node in 1..=3 {
        let top = cluster
            .client(node)
            .query("SELECT state, count(*) AS n FROM airports GROUP BY state ORDER BY n DESC, state LIMIT 2");
        let expected = [["AK", "263"], ["TX", "209"]].map(|row| row.map(|cell| Some(cell.to_string())));
        assert_eq!(top.expect("GROUP BY").as_slice(), &expected.map(|row| row.to_vec()), "node {node}");
    }
    // Any node takes writes, and all see them at once.
    for node in 1..=3 {
        let change = format!("UPDATE airports SET city = 'via {node}' WHERE iata = '00M'");
        cluster.client(node).query(&change).expect("UPDATE");
        let seen = cluster.client(node % 3 + 1).row("SELECT city FROM airports WHERE iata = '00M'");
        assert_eq!(seen, Ok(format!("via {node}")));
    }
    all_three_die_and_nothing_is_lost(&cluster);
}

/// The power fails everywhere at once.
fn all_three_die_and_nothing_is_lost(cluster: &Cluster) {
    let before = agreed_checksum(cluster);
    for node in ["1", "2", "3"] {
        cluster.fault(&["kill", node]);
    }
    let said = cluster.up();
    println!("after all three were killed: {}", said.lines().next().unwrap_or_default());
    assert_eq!(agreed_checksum(cluster), before);
    // An orderly stop loses nothing either.
    cluster.relix(&["down"]).expect_success("relix down");
    cluster.up();
    assert_eq!(agreed_checksum(cluster), before);
}

#[test]
fn vms_hold_the_same_tables_and_lose_none() {
    tables_are_the_same_everywhere("tables", &[]);
}

#[test]
fn host_processes_hold_the_same_tables_and_lose_none() {
    tables_are_the_same_everywhere("host-tables", &["--host"]);
}
