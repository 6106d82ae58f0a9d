//! Stories of settings: what is set at one node holds at all of them, whatever happens to it.

use std::time::Duration;

use drivers_api::Mtu;
use tests_sim::{Client, Cluster, ask};
use tests_workloads::{Failure, Row, noise};

const MINUTE: Duration = Duration::from_secs(60);

const HOUR_MICROS: i64 = 3600 * 1_000_000;

const DISK_SECTORS: u64 = 64 * 2048;

const BRIEF: &str = "UPDATE sys.settings SET value = '0' WHERE name = 'retention'";

const VALUE: &str = "SELECT value FROM sys.settings WHERE name = 'retention'";

fn cell(text: &str) -> Vec<Row> {
    vec![vec![Some(text.to_string())]]
}

/// A table, and some versions of one row of it.
fn make_counter(cluster: &mut Cluster) {
    ask(cluster, 1, "CREATE TABLE counter (id int PRIMARY KEY, n int)").unwrap();
    ask(cluster, 1, "INSERT INTO counter VALUES (1, 0)").unwrap();
    count(cluster);
}

/// So many versions later. The newest thousand can always be read.
fn count(cluster: &mut Cluster) {
    let host = cluster.host();
    let counted = cluster.run_until(MINUTE, async move {
        let mut client = Client::connect(&host, 1).await?;
        for _ in 0..1200 {
            client.query("UPDATE counter SET n = n + 1 WHERE id = 1").await?;
        }
        Ok::<(), Failure>(())
    });
    counted.expect("a minute is enough").expect("nothing is in the way");
}

/// An hour goes by, as far as clocks on walls are concerned.
fn let_an_hour_pass(cluster: &mut Cluster) {
    let now = cluster.now();
    (1..=cluster.len()).for_each(|node| cluster.set_clock(node, |clock| clock.jump(now, HOUR_MICROS)));
}

/// The oldest version that each node can read.
fn oldest_versions(cluster: &mut Cluster) -> Vec<u64> {
    let rows = ask(cluster, 1, "SELECT oldest_version FROM sys.storage ORDER BY node").expect("an answer");
    rows.iter().map(|row| row[0].as_ref().expect("a version").parse().expect("a number")).collect()
}

#[test]
fn what_one_node_sets_holds_at_all_of_them_at_once_and_survives_losing_power() {
    let mut cluster = Cluster::new(3, 31);
    make_counter(&mut cluster);
    let_an_hour_pass(&mut cluster);
    count(&mut cluster);
    assert!(oldest_versions(&mut cluster).iter().all(|oldest| *oldest <= 1), "a day is kept");
    ask(&mut cluster, 2, BRIEF).unwrap();
    for node in 1..=3 {
        assert_eq!(ask(&mut cluster, node, VALUE), Ok(cell("0s")));
    }
    let oldest = oldest_versions(&mut cluster);
    assert!(oldest.iter().all(|version| *version > 1200), "{oldest:?}");
    (1..=3).for_each(|node| cluster.crash(node));
    (1..=3).for_each(|node| cluster.start(node));
    for node in 1..=3 {
        assert_eq!(ask(&mut cluster, node, VALUE), Ok(cell("0s")));
    }
    let_an_hour_pass(&mut cluster);
    count(&mut cluster);
    let later = oldest_versions(&mut cluster);
    assert!(later.iter().zip(&oldest).all(|(later, before)| *later > before + 1000), "{later:?}");
    // What comes next is kept for longer, if that is said.
    ask(&mut cluster, 1, "UPDATE sys.settings SET value = '2h' WHERE name = 'retention'").unwrap();
    let_an_hour_pass(&mut cluster);
    count(&mut cluster);
    let last = oldest_versions(&mut cluster);
    assert!(last.iter().zip(&later).all(|(last, before)| *last < before + 1000), "{last:?}");
}

#[test]
fn a_node_that_is_brought_the_tables_has_the_settings() {
    let mut cluster = Cluster::switched_off(3, 0, 32, DISK_SECTORS, &[Mtu::JUMBO]);
    for id in 1..=3 {
        // So short that nobody can be brought the ledger in place of the tables.
        cluster.options(id).log_len_max = 32 << 10;
        cluster.options(id).tables_len_max = 256 << 10;
        cluster.start(id);
    }
    ask(&mut cluster, 1, BRIEF).unwrap();
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    cluster.crash(3);
    for id in 0..70 {
        ask(&mut cluster, 1, &format!("INSERT INTO t VALUES ({id}, '{}')", noise(300_000, id))).unwrap();
        ask(&mut cluster, 1, &format!("DELETE FROM t WHERE id = {id}")).unwrap();
    }
    cluster.replace_disk(3, DISK_SECTORS);
    cluster.start(3);
    assert!(cluster.run_until_so(2 * MINUTE, |cluster| cluster.is_well(3)));
    let installed = |(_, line): &(_, String)| line.starts_with("installed a snapshot");
    assert!(cluster.console(3).iter().any(installed), "{:?}", cluster.console(3));
    assert_eq!(ask(&mut cluster, 3, VALUE), Ok(cell("0s")));
    make_counter(&mut cluster);
    let_an_hour_pass(&mut cluster);
    count(&mut cluster);
    let oldest = oldest_versions(&mut cluster);
    assert!(oldest.iter().all(|version| *version > 1000), "{oldest:?}");
}

#[test]
fn a_full_disk_takes_settings() {
    let mut cluster = Cluster::with_disks(3, 33, 8 * 2048);
    ask(&mut cluster, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    let insert = |id: u64, len| format!("INSERT INTO t VALUES ({id}, '{}')", noise(len, id));
    // Until not even a short row has room.
    for (from, len) in [(0, 200_000), (1000, 2000), (2000, 0)] {
        let refused = (from..from + 1000).find_map(|id| ask(&mut cluster, 1, &insert(id, len)).err());
        assert!(matches!(&refused, Some(Failure::Server(state, _)) if state == "53100"), "{refused:?}");
    }
    ask(&mut cluster, 1, BRIEF).unwrap();
    assert!(ask(&mut cluster, 1, &insert(3000, 0)).is_err(), "that alone makes no room");
    (1..=3).for_each(|node| assert_eq!(ask(&mut cluster, node, VALUE), Ok(cell("0s"))));
}
