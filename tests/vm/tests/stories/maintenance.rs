//! What is done to a cluster at work on purpose, or by a bad wire, and its clients do not see as an error.

use std::time::{Duration, Instant};

use tests_vm::{Cluster, InsertStream, longest_silence, turn};

use crate::failover::check_every_outcome;

/// Longer than any answer takes: a client that waits sees no error but the node's own.
const PATIENCE: Duration = Duration::from_secs(60);

/// The leader is restarted in order: the clients of the others see no error.
fn no_client_notices_a_restart(name: &str, cluster: &Cluster) {
    let leader = cluster.leader();
    let stream = |node: u8| {
        let first_id = i64::from(node) * 1_000_000;
        InsertStream::start_patient("written", first_id, vec![cluster.port(node)], PATIENCE)
    };
    let streams: Vec<InsertStream> = cluster.others(leader).into_iter().map(stream).collect();
    std::thread::sleep(Duration::from_secs(1));
    let restarted = Instant::now();
    cluster.fault(&["restart", &leader.to_string()]);
    cluster.catches_up(leader);
    assert_ne!(cluster.leader(), leader, "another leads");
    std::thread::sleep(Duration::from_millis(500));
    let (mut records, over) = (Vec::new(), Instant::now());
    for stream in streams {
        let ended = stream.finish();
        let silence = longest_silence(&ended, restarted, over);
        println!("{name}: the leader was restarted under load: longest silence of a client {silence:.2?}");
        records.extend(ended);
    }
    let errors: Vec<_> = records.iter().filter(|record| record.outcome.is_err()).collect();
    assert!(errors.is_empty(), "no client of another node saw an error: {errors:?}");
    check_every_outcome(cluster, &records, "written");
}

/// Frames are late and get lost: writes take longer, and go on.
fn a_bad_wire_slows_writes(name: &str, cluster: &Cluster) {
    const ROWS: u32 = 20;
    const DELAY: Duration = Duration::from_millis(20);
    cluster.client(1).query("CREATE TABLE slow (id bigint PRIMARY KEY)").expect("CREATE TABLE");
    let write_all = |first_id: u32| {
        let client = cluster.client(2).with_patience(PATIENCE);
        let started = Instant::now();
        for id in first_id..first_id + ROWS {
            client.query(&format!("INSERT INTO slow VALUES ({id})")).expect("writes go on");
        }
        started.elapsed()
    };
    let good = write_all(0);
    cluster.fault(&["link", "--loss", "0.05", "--delay-ms", "20"]);
    let bad = write_all(ROWS);
    cluster.fault(&["heal"]);
    println!("{name}: {ROWS} inserts took {good:.2?}, with 5 % loss and 20 ms delay {bad:.2?}");
    // To the followers and back.
    assert!(bad >= 2 * DELAY * ROWS, "the fault was there: {bad:?}");
    for node in 1..=3 {
        let count = cluster.client(node).row("SELECT count(*) FROM slow");
        assert_eq!(count, Ok((2 * ROWS).to_string()), "at node {node}");
    }
}

fn work_goes_on(name: &str, up_options: &[&str]) {
    let _turn = turn();
    let cluster = Cluster::start(name, up_options);
    cluster.client(1).query("CREATE TABLE written (id bigint)").expect("CREATE TABLE");
    no_client_notices_a_restart(name, &cluster);
    a_bad_wire_slows_writes(name, &cluster);
}

#[test]
fn work_on_vms_goes_on() {
    work_goes_on("maintenance", &[]);
}

#[test]
fn work_on_host_processes_goes_on() {
    work_goes_on("host-maintenance", &["--host"]);
}
