//! Stories: what a user would see, step by step.

use std::sync::Arc;
use std::time::Duration;

use cluster_journal::RECORDS_START;
use drivers_api::{Level, Mtu};
use drivers_sim::LinkFaults;
use tests_sim::{Cluster, ask, start_load};
use tests_workloads::{Failure, Inserts, Row, noise, query_anywhere};

const MINUTE: Duration = Duration::from_secs(60);

/// What clients of a workload wait between transactions, at most.
const THINK: Duration = Duration::from_millis(4);

fn cell(text: &str) -> Vec<Row> {
    vec![vec![Some(text.to_string())]]
}

fn make_numbers(cluster: &mut Cluster) {
    ask(cluster, 1, "CREATE TABLE numbers (n bigint NOT NULL)").unwrap();
}

/// The table is as the clients were told, at every node.
fn check_inserts(cluster: &mut Cluster, inserts: &Inserts) {
    for node in 1..=cluster.len() {
        let rows = numbers(cluster, node);
        assert_eq!(inserts.check_rows(&rows), Ok(()), "at node {node}");
    }
}

/// All rows as one node sees them.
fn numbers(cluster: &mut Cluster, node: u8) -> Vec<Row> {
    ask(cluster, node, "SELECT n FROM numbers ORDER BY n").unwrap()
}

fn leader_of(cluster: &mut Cluster) -> u8 {
    let host = cluster.host();
    let sql = "SELECT id FROM sys.nodes WHERE role = 'leader' ORDER BY term DESC LIMIT 1";
    let rows = cluster.run_until(MINUTE, async move { query_anywhere(&host, sql).await });
    let rows = rows.expect("an answer");
    rows[0][0].as_ref().expect("a leader").parse().expect("a node")
}

#[test]
fn what_one_node_wrote_every_node_reads() {
    let mut cluster = Cluster::new(3, 1);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    ask(&mut cluster, 2, "INSERT INTO t VALUES (1, 'one'), (2, NULL)").unwrap();
    for node in 1..=3 {
        assert_eq!(ask(&mut cluster, node, "SELECT v FROM t WHERE id = 1"), Ok(cell("one")));
    }
    ask(&mut cluster, 3, "UPDATE t SET v = 'two' WHERE id = 2").unwrap();
    assert_eq!(ask(&mut cluster, 1, "SELECT count(*) FROM t WHERE v IS NOT NULL"), Ok(cell("2")));
}

#[test]
fn a_node_alone_is_a_cluster() {
    let mut cluster = Cluster::new(1, 2);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    ask(&mut cluster, 1, "INSERT INTO t VALUES (1)").unwrap();
    cluster.crash(1);
    cluster.start(1);
    assert_eq!(ask(&mut cluster, 1, "SELECT count(*) FROM t"), Ok(cell("1")));
}

#[test]
fn the_leader_dies_during_a_stream_of_inserts() {
    let mut cluster = Cluster::new(3, 3);
    let inserts = Arc::new(Inserts::default());
    let pace = start_load(&mut cluster, inserts.clone(), 4, THINK);
    cluster.run(Duration::from_secs(2));
    let leader = leader_of(&mut cluster);
    cluster.crash(leader);
    let before = pace.tally().committed;
    cluster.run(Duration::from_secs(4));
    assert!(pace.tally().committed > before + 100, "writes go on");
    cluster.start(leader);
    cluster.run(Duration::from_secs(2));
    pace.stop();
    cluster.run(Duration::from_secs(20));
    check_inserts(&mut cluster, &inserts);
}

#[test]
fn all_nodes_lose_power_at_once() {
    let mut cluster = Cluster::new(3, 4);
    let inserts = Arc::new(Inserts::default());
    let pace = start_load(&mut cluster, inserts.clone(), 4, THINK);
    cluster.run(Duration::from_secs(2));
    (1..=3).for_each(|node| cluster.crash(node));
    pace.stop();
    cluster.run(Duration::from_secs(20));
    (1..=3).for_each(|node| cluster.start(node));
    assert!(pace.tally().committed > 100);
    check_inserts(&mut cluster, &inserts);
}

#[test]
fn a_minority_acknowledges_nothing_and_the_majority_goes_on() {
    let mut cluster = Cluster::new(3, 5);
    make_numbers(&mut cluster);
    let leader = leader_of(&mut cluster);
    let others: Vec<usize> = (1..=3).filter(|node| *node != usize::from(leader)).collect();
    cluster.network.set_cut(&[leader.into()], &others, true);
    let refused = ask(&mut cluster, leader, "INSERT INTO numbers VALUES (1)").unwrap_err();
    assert!(
        matches!(&refused, Failure::Server(state, _) if state == "08007" || state == "57P03"),
        "{refused}"
    );
    let refused = ask(&mut cluster, leader, "SELECT * FROM numbers").unwrap_err();
    assert!(matches!(&refused, Failure::Server(state, _) if state == "57P03"), "{refused}");
    ask(&mut cluster, others[0] as u8, "INSERT INTO numbers VALUES (2)").unwrap();
    cluster.network.set_cut(&[leader.into()], &others, false);
    for node in 1..=3 {
        assert_eq!(ask(&mut cluster, node, "SELECT count(*) FROM numbers WHERE n = 2"), Ok(cell("1")));
    }
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads() {
    let mut cluster = Cluster::with_disks(3, 6, 8 * 2048);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    let insert = |id: u64| format!("INSERT INTO t VALUES ({id}, '{}')", noise(200_000, id));
    let mut stored = 0;
    let refused = loop {
        match ask(&mut cluster, 1, &insert(stored)) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "8 MiB do not hold this much");
    };
    assert!(stored > 3, "{stored}");
    assert!(matches!(&refused, Failure::Server(state, _) if state == "53100"), "{refused}");
    let said = |node| cluster.console(node).iter().filter(|(_, line)| line.contains("disk is full")).count();
    assert_eq!((1..=3).map(said).sum::<usize>(), 1, "the leader says so, once");
    for node in 1..=3 {
        let count = stored.to_string();
        assert_eq!(ask(&mut cluster, node, "SELECT count(*) FROM t"), Ok(cell(&count)));
    }
    // Deleting makes room, if not for what can still be read as it was.
    for id in 0..stored {
        ask(&mut cluster, 2, &format!("DELETE FROM t WHERE id = {id}")).unwrap();
    }
    assert_eq!(ask(&mut cluster, 3, "SELECT count(*) FROM t"), Ok(cell("0")));
}

#[test]
fn nodes_whose_disks_are_full_still_elect_and_read() {
    let mut cluster = Cluster::new(3, 16);
    (1..=3).for_each(|node| cluster.crash(node));
    // Two small disks, which the leader of the third's size knows nothing of.
    (1..=2).for_each(|node| cluster.replace_disk(node, 8 * 2048));
    cluster.replace_disk(3, 64 * 2048);
    (1..=3).for_each(|node| cluster.start(node));
    ask(&mut cluster, 3, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    let insert = |id: u64| format!("INSERT INTO t VALUES ({id}, '{}')", noise(300_000, id));
    let mut stored = 0;
    while ask(&mut cluster, 3, &insert(stored)).is_ok() {
        stored += 1;
        assert!(stored < 100);
    }
    for node in 1..=3 {
        cluster.crash(node);
        cluster.start(node);
    }
    let rows = ask(&mut cluster, 1, "SELECT count(*) FROM t").unwrap();
    let count: u64 = rows[0][0].as_ref().unwrap().parse().unwrap();
    assert!(count == stored || count == stored + 1, "{count} of {stored}");
}

#[test]
fn one_full_disk_stops_nobody_and_is_no_work() {
    let mut cluster = Cluster::new(3, 17);
    (1..=3).for_each(|node| cluster.crash(node));
    cluster.replace_disk(1, 8 * 2048);
    (2..=3).for_each(|node| cluster.replace_disk(node, 64 * 2048));
    (1..=3).for_each(|node| cluster.start(node));
    ask(&mut cluster, 3, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    ask(&mut cluster, 3, "CALL sys.transfer_leadership(3)").unwrap();
    for id in 0..40 {
        ask(&mut cluster, 3, &format!("INSERT INTO t VALUES ({id}, '{}')", noise(300_000, id))).unwrap();
    }
    let said = |node| {
        cluster.console(node).iter().filter(|(_, line)| line.contains("no longer takes writes")).count()
    };
    assert_eq!([1, 2, 3].map(said), [1, 0, 0]);
    // A node that were busy without end would be found out.
    cluster.run(Duration::from_secs(30));
    assert_eq!(ask(&mut cluster, 2, "SELECT count(*) FROM t"), Ok(cell("40")));
}

#[test]
fn a_node_on_a_new_disk_is_brought_the_ledger() {
    let mut cluster = Cluster::new(3, 17);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    let replaced = leader_of(&mut cluster) % 3 + 1;
    cluster.crash(replaced);
    cluster.replace_disk(replaced, 64 * 2048);
    cluster.start(replaced);
    ask(&mut cluster, replaced, "INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(ask(&mut cluster, replaced, "SELECT count(*) FROM t"), Ok(cell("1")));
}

const TABLE_DISK_SECTORS: u64 = 16 * 2048;

/// A quarter of a disk is the journal's.
const TABLES_START: u64 = RECORDS_START + TABLE_DISK_SECTORS / 4;

/// So many nodes with rows in tables on their disks.
fn with_tables(nodes: u8, seed: u64) -> Cluster {
    let mut cluster = Cluster::switched_off(nodes.into(), 0, seed, TABLE_DISK_SECTORS, &[Mtu::JUMBO]);
    for id in 1..=nodes {
        cluster.options(id).tables_len_max = 256 << 10;
        cluster.start(id);
    }
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    for id in 0..20 {
        ask(&mut cluster, 1, &format!("INSERT INTO t VALUES ({id}, '{}')", noise(100_000, id))).unwrap();
    }
    cluster.run(Duration::from_secs(5));
    cluster
}

/// The same, and the last of them then has nothing intact behind its journal.
fn with_decayed_tables(nodes: u8, seed: u64) -> Cluster {
    let mut cluster = with_tables(nodes, seed);
    cluster.crash(nodes);
    (TABLES_START..TABLE_DISK_SECTORS).for_each(|sector| cluster.disk(nodes).flip_bit(sector, 7));
    cluster.start(nodes);
    cluster
}

fn said(cluster: &Cluster, node: u8, what: &str) -> bool {
    cluster.console(node).iter().any(|(_, line)| line.contains(what))
}

#[test]
fn a_bit_that_flips_anywhere_in_the_tables_is_found_and_put_right() {
    let mut cluster = with_tables(3, 27);
    let sql = "SELECT v FROM t ORDER BY id";
    let expected: Vec<Row> = (0..20).map(|id| vec![Some(noise(100_000, id))]).collect();
    let (mut whole, mut refused) = (0, 0);
    for step in 0..40 {
        // Most of what is there lies at the beginning.
        cluster.disk(3).flip_bit(TABLES_START + step * 131, step as usize * 101);
        for _ in 0..4 {
            // What is damaged is mended first, and not answered rather than answered wrong.
            match ask(&mut cluster, 3, sql) {
                Ok(rows) => assert!(rows == expected),
                Err(Failure::Server(state, _)) => {
                    assert_eq!(state, "XX001");
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
            cluster.run(Duration::from_secs(30));
        }
        assert!(cluster.run_until_so(MINUTE, |cluster| cluster.is_well(3)));
        whole = cluster.console(3).iter().filter(|(_, line)| line == "the tables are whole again").count();
    }
    assert!(whole >= 5, "{whole}: some of them were in use");
    assert_eq!(refused, 0, "statements wait for it");
    assert!(!said(&cluster, 3, "rebuil"), "it went on all the time");
    assert!(ask(&mut cluster, 3, sql) == Ok(expected));
}

#[test]
fn a_node_that_can_read_none_of_its_tables_is_brought_them() {
    let mut cluster = with_decayed_tables(3, 25);
    assert!(cluster.run_until_so(MINUTE, |cluster| said(cluster, 3, "the tables are rebuilt")));
    assert!(said(&cluster, 3, "the tables cannot be read"));
    for _ in 0..2 {
        assert_eq!(ask(&mut cluster, 3, "SELECT count(*) FROM t"), Ok(cell("20")));
        cluster.crash(3);
        cluster.start(3);
    }
}

#[test]
fn a_lone_node_with_a_damaged_table_refuses_what_it_cannot_keep() {
    let mut cluster = with_tables(1, 28);
    (0..8192).for_each(|sector| cluster.disk(1).flip_bit(TABLES_START + sector, 7));
    let told = "no other member has the rows that are lost";
    assert!(cluster.run_until_so(5 * MINUTE, |cluster| said(cluster, 1, told)));
    // Writes that need none of it go on as long as memory has room: what is to be merged with it stays there.
    let refused = (100..300i64).find_map(|number| {
        let id = if number % 2 == 0 { number } else { -number };
        let value = noise(100_000, number.unsigned_abs());
        ask(&mut cluster, 1, &format!("INSERT INTO t VALUES ({id}, '{value}')")).err()
    });
    // Whether disk or memory has no more room: it is said, and nobody waits for ever.
    let is_told = |failure: &Failure| matches!(failure, Failure::Server(state, _) if state == "XX001" || state == "53100");
    assert!(refused.as_ref().is_some_and(is_told), "{refused:?}");
    assert_eq!(ask(&mut cluster, 1, "SELECT 1"), Ok(cell("1")));
}

#[test]
fn a_lone_node_that_can_read_none_of_its_tables_says_what_to_do() {
    let mut cluster = with_decayed_tables(1, 26);
    assert!(cluster.run_until_so(MINUTE, |cluster| said(cluster, 1, "no other member has the tables")));
    let refused = ask(&mut cluster, 1, "SELECT count(*) FROM t").unwrap_err();
    assert!(matches!(&refused, Failure::Server(state, _) if state == "57P03"), "{refused}");
}

#[test]
fn two_nodes_at_a_time_are_brought_the_tables() {
    let mut cluster = Cluster::switched_off(5, 0, 23, 64 * 2048, &[Mtu::JUMBO]);
    for id in 1..=5 {
        cluster.options(id).log_len_max = 32 << 10;
        cluster.start(id);
    }
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    for id in 0..20 {
        ask(&mut cluster, 1, &format!("INSERT INTO t VALUES ({id}, '{}')", "z".repeat(300_000))).unwrap();
    }
    let leader = leader_of(&mut cluster);
    // The ledger's beginning is no longer to be read.
    (2048..2100).for_each(|sector| cluster.disk(leader).flip_bit(sector, 7));
    let inserts = Arc::new(Inserts::default());
    let pace = start_load(&mut cluster, inserts.clone(), 2, THINK);
    let blank: Vec<u8> = (1..=5).filter(|id| *id != leader).take(2).collect();
    for &id in &blank {
        cluster.crash(id);
        cluster.replace_disk(id, 64 * 2048);
        cluster.start(id);
    }
    let is_back = |cluster: &Cluster, id| cluster.health(id).is_some_and(|health| health.is_member);
    assert!(cluster.run_until_so(MINUTE, |cluster| blank.iter().all(|id| is_back(cluster, *id))));
    pace.stop();
    let installed = |id| cluster.console(id).iter().any(|(_, line)| line.starts_with("installed a snapshot"));
    assert!(blank.iter().all(|id| installed(*id)));
    for id in 1..=5 {
        assert_eq!(ask(&mut cluster, id, "SELECT count(*) FROM t"), Ok(cell("20")));
    }
    check_inserts(&mut cluster, &inserts);
}

#[test]
fn a_statement_that_needs_too_much_memory_ends_alone() {
    let mut cluster = Cluster::new(1, 14);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    for id in 0..30 {
        let sql = format!("INSERT INTO t VALUES ({id}, '{}')", "w".repeat(800_000));
        ask(&mut cluster, 1, &sql).unwrap();
    }
    let refused = ask(&mut cluster, 1, "SELECT v FROM t ORDER BY v").unwrap_err();
    assert!(matches!(&refused, Failure::Server(state, _) if state == "53200"), "{refused}");
    assert_eq!(ask(&mut cluster, 1, "SELECT count(*) FROM t"), Ok(cell("30")));
}

#[test]
fn a_node_that_was_away_for_long_catches_up_from_the_journal() {
    let mut cluster = Cluster::new(3, 8);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    let leader = leader_of(&mut cluster);
    let away = leader % 3 + 1;
    cluster.crash(away);
    for id in 0..30 {
        let sql = format!("INSERT INTO t VALUES ({id}, '{}')", "z".repeat(300_000));
        ask(&mut cluster, leader, &sql).unwrap();
    }
    cluster.start(away);
    assert_eq!(ask(&mut cluster, away, "SELECT count(*) FROM t"), Ok(cell("30")));
}

#[test]
fn a_disk_of_another_cluster_is_refused_and_said_so() {
    let mut cluster = Cluster::new(3, 9);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    cluster.crash(3);
    cluster.set_settings(3, "relix.cluster=other");
    cluster.start(3);
    cluster.run(Duration::from_secs(2));
    let said = |cluster: &Cluster, node, words: &str| {
        cluster.console(node).iter().any(|(_, line)| line.contains(words))
    };
    assert!(said(&cluster, 3, "belongs to the cluster 'relix'"));
    assert!(said(&cluster, 1, "another cluster"), "its peers refuse its datagrams");
    ask(&mut cluster, 1, "INSERT INTO t VALUES (1)").unwrap();
}

#[test]
fn a_broken_disk_stops_its_node_and_nobody_else() {
    let mut cluster = Cluster::new(3, 10);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    let leader = leader_of(&mut cluster);
    cluster.disk(leader).broken = true;
    let other = leader % 3 + 1;
    ask(&mut cluster, other, "INSERT INTO t VALUES (1)").unwrap();
    let errors = cluster.console(leader).iter().filter(|(level, _)| *level == Level::Error).count();
    assert_eq!(errors, 1);
}

#[test]
fn garbage_on_the_sql_port_disturbs_nobody() {
    let mut cluster = Cluster::new(3, 11);
    let host = cluster.host();
    cluster.run(Duration::from_secs(1));
    let answer = cluster.run_until(MINUTE, async move {
        let connection = host.open(1).expect("room");
        let _ = connection.write(b"GET / HTTP/1.0\r\n\r\n").await;
        let mut bytes = Vec::new();
        while connection.read(&mut bytes).await.is_ok() {}
        bytes
    });
    let answer = String::from_utf8_lossy(&answer.expect("the node ends the connection")).into_owned();
    assert!(answer.contains("FATAL") && answer.contains("08P01"), "{answer:?}");
    assert_eq!(ask(&mut cluster, 1, "SELECT 1"), Ok(cell("1")));
}

#[test]
fn a_client_that_says_nothing_is_given_up() {
    let mut cluster = Cluster::new(1, 15);
    let host = cluster.host();
    cluster.run(Duration::from_secs(1));
    let ended = cluster.run_until(MINUTE, async move {
        let connection = host.open(1).expect("room");
        connection.read(&mut Vec::new()).await
    });
    assert!(ended.expect("the node ends the connection").is_err());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut cluster = Cluster::new(3, seed);
        cluster.network.faults =
            LinkFaults { loss_per_mille: 20, jitter: Duration::from_millis(2), ..LinkFaults::default() };
        let pace = start_load(&mut cluster, Arc::new(Inserts::default()), 3, THINK);
        cluster.run(Duration::from_secs(3));
        (pace.tally(), cluster.trace())
    };
    assert!(run(12) == run(12));
    assert!(run(12) != run(13));
}

#[test]
fn a_removed_node_says_so_at_once() {
    let mut cluster = Cluster::new(3, 21);
    make_numbers(&mut cluster);
    let leader = leader_of(&mut cluster);
    let gone = leader % 3 + 1;
    assert!(ask(&mut cluster, leader, &format!("CALL sys.remove_node({gone})")).is_ok());
    cluster.run(Duration::from_secs(3));
    let before = cluster.now();
    for sql in ["SELECT n FROM numbers", "INSERT INTO numbers VALUES (1)"] {
        match ask(&mut cluster, gone, sql) {
            Err(Failure::Server(state, what)) => {
                assert_eq!(
                    (state.as_str(), what.as_str()),
                    ("57P03", "this node was removed from the cluster")
                );
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    // What it says of itself is no table of the cluster's.
    let own = ask(&mut cluster, gone, &format!("SELECT role FROM sys.nodes WHERE id = {gone}"));
    assert_eq!(own.expect("a live table"), cell("removed"));
    assert!(cluster.now().since(before) < Duration::from_secs(1));
}

#[test]
fn a_cluster_is_founded_on_slow_disks() {
    let mut cluster = Cluster::switched_off(5, 0, 22, 64 * 2048, &[Mtu::JUMBO]);
    for id in 1..=5 {
        cluster.disk(id).latency = Duration::from_millis(500);
        cluster.start(id);
    }
    make_numbers(&mut cluster);
    assert_eq!(ask(&mut cluster, 5, "SELECT count(*) FROM numbers"), Ok(cell("0")));
}
