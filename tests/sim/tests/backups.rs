//! Stories of backups: taken while clients write, restored while nodes die.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tests_sim::{Client, Cluster, ask, within};
use tests_workloads::{Failure, Row, noise};

const MINUTE: Duration = Duration::from_secs(60);

const ACCOUNTS: u64 = 64;
const BALANCE: u64 = 100;

/// Rows are long, so that a backup of them takes many frames.
const NOTE_LEN: usize = 20_000;

const AUDIT: &str = "SELECT count(*), sum(balance), sum(length(note)) FROM accounts";

fn state(answer: Result<Vec<Row>, Failure>) -> String {
    match answer {
        Err(Failure::Server(state, _)) => state,
        other => panic!("no refusal: {other:?}"),
    }
}

fn expected() -> Vec<Row> {
    let cells = [ACCOUNTS, ACCOUNTS * BALANCE, ACCOUNTS * NOTE_LEN as u64];
    vec![cells.map(|cell| Some(cell.to_string())).into()]
}

/// A cluster with accounts.
fn with_accounts(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(3, seed);
    let create = "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, note text)";
    ask(&mut cluster, 1, create).expect("a new table");
    for id in 0..ACCOUNTS {
        let insert = format!("INSERT INTO accounts VALUES ({id}, {BALANCE}, '{}')", noise(NOTE_LEN, id));
        ask(&mut cluster, 1, &insert).expect("a new row");
    }
    cluster
}

fn backup(cluster: &mut Cluster, node: u8) -> Vec<u8> {
    let host = cluster.host();
    let taken = cluster.run_until(MINUTE, async move {
        let mut client = Client::connect(&host, node).await?;
        client.copy_out("BACKUP").await
    });
    taken.expect("an answer within a minute").expect("a backup")
}

/// Starts to restore; what became of it, once that is known.
fn start_restore(cluster: &mut Cluster, node: u8, backup: &[u8]) -> Rc<Cell<Option<Result<u64, Failure>>>> {
    let outcome = Rc::new(Cell::new(None));
    let (host, backup, told) = (cluster.host(), backup.to_vec(), outcome.clone());
    cluster.spawn(async move {
        let restored = async {
            let mut client = Client::connect(&host, node).await?;
            client.copy_in("RESTORE", &backup).await.map(|answer| answer.affected)
        };
        told.set(Some(restored.await));
    });
    outcome
}

fn restore(cluster: &mut Cluster, node: u8, backup: &[u8]) -> Result<u64, Failure> {
    let outcome = start_restore(cluster, node, backup);
    let end = cluster.now() + MINUTE;
    while cluster.now() < end {
        cluster.run(Duration::from_millis(10));
        if let Some(outcome) = outcome.take() {
            return outcome;
        }
    }
    panic!("node {node} has not restored within a minute");
}

/// Lets so many entries be committed.
fn run_commits(cluster: &mut Cluster, node: u8, commits: u64) {
    let version = |cluster: &Cluster| cluster.commit(node).map_or(0, |version| version.0);
    let until = version(cluster) + commits;
    assert!(cluster.run_until_so(MINUTE, |cluster| version(cluster) >= until));
}

#[test]
fn a_restore_that_does_not_fit_leaves_nothing_behind() {
    // With so much room that nobody's reading is in the way of writing.
    let mut large = Cluster::with_disks(1, 44, 128 * 2048);
    ask(&mut large, 1, "CREATE TABLE t (id int PRIMARY KEY, v text)").expect("a new table");
    for id in 0..60 {
        ask(&mut large, 1, &format!("INSERT INTO t VALUES ({id}, '{}')", noise(300_000, id)))
            .expect("a new row");
    }
    let bytes = backup(&mut large, 1);
    let mut small = Cluster::with_disks(1, 45, 8 * 2048);
    for _ in 0..2 {
        let refused = restore(&mut small, 1, &bytes).expect_err("18 MB on a disk of 8 MiB");
        assert!(matches!(&refused, Failure::Server(state, _) if state == "53100"), "{refused}");
    }
    ask(&mut small, 1, "CREATE TABLE u (id int PRIMARY KEY)").expect("nothing keeps it from going on");
    ask(&mut small, 1, "INSERT INTO u VALUES (1)").expect("there is room");
}

#[test]
fn a_backup_amid_transfers_is_one_state_that_was() {
    let mut cluster = with_accounts(41);
    let (stop, transfers) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    for client in 0..3 {
        let (host, stop, transfers) = (cluster.host(), stop.clone(), transfers.clone());
        cluster.spawn(async move {
            let mut connection = Client::connect(&host, client as u8 + 1).await.expect("a node that is up");
            for round in 0.. {
                if stop.get() {
                    return;
                }
                // From one end of the table to the other.
                let (from, to) = ((client * 7 + round) % 10, ACCOUNTS - 1 - (client * 5 + round) % 10);
                let mut done = connection.query("BEGIN").await.is_ok();
                for (id, sign) in [(from, '-'), (to, '+')] {
                    let sql = format!("UPDATE accounts SET balance = balance {sign} 1 WHERE id = {id}");
                    done = done && connection.query(&sql).await.is_ok();
                }
                let end = if done { "COMMIT" } else { "ROLLBACK" };
                if connection.query(end).await.is_ok() && done {
                    transfers.set(transfers.get() + 1);
                }
            }
        });
    }
    cluster.run(Duration::from_secs(1));
    let before: u64 = transfers.get();
    // Its node takes part in the transfers; the backup travels over a wire that takes its time.
    let taken = backup(&mut cluster, 2);
    let during = transfers.get() - before;
    stop.set(true);
    assert!(during > 10, "{during} transfers while the backup was taken");
    assert!(taken.len() > 4 << 18, "several frames: {} bytes", taken.len());
    let mut other = Cluster::new(3, 42);
    assert_eq!(restore(&mut other, 3, &taken), Ok(ACCOUNTS));
    for node in 1..=3 {
        assert_eq!(ask(&mut other, node, AUDIT), Ok(expected()));
    }
    let odd = ask(&mut other, 1, "SELECT count(*) FROM accounts WHERE balance <> 100").expect("an answer");
    assert_ne!(odd, [[Some("0".to_string())]], "it was taken amid transfers");
}

#[test]
fn a_restore_outlives_the_leader() {
    let taken = backup(&mut with_accounts(43), 1);
    let mut cluster = Cluster::new(3, 44);
    assert!(cluster.run_until_so(MINUTE, |cluster| cluster.leader().is_some()));
    let leader = cluster.leader().expect("a leader");
    let outcome = start_restore(&mut cluster, leader % 3 + 1, &taken);
    run_commits(&mut cluster, leader, 3);
    cluster.crash(leader);
    assert!(cluster.run_until_so(MINUTE, |_| {
        let told = outcome.take();
        let is_told = told.is_some();
        outcome.set(told);
        is_told
    }));
    assert_eq!(outcome.take(), Some(Ok(ACCOUNTS)));
    cluster.start(leader);
    for node in 1..=3 {
        assert_eq!(ask(&mut cluster, node, AUDIT), Ok(expected()));
    }
}

#[test]
fn a_restore_whose_nodes_lose_power_shows_nothing_and_is_repeated() {
    let taken = backup(&mut with_accounts(45), 1);
    let mut cluster = Cluster::new(3, 46);
    ask(&mut cluster, 1, "SELECT 1").expect("a cluster that is up");
    let outcome = start_restore(&mut cluster, 1, &taken);
    run_commits(&mut cluster, 1, 4);
    (1..=3).for_each(|node| cluster.crash(node));
    assert_eq!(outcome.take(), None, "it was under way");
    (1..=3).for_each(|node| cluster.start(node));
    for node in 1..=3 {
        assert_eq!(state(ask(&mut cluster, node, AUDIT)), "42P01");
        assert_eq!(state(ask(&mut cluster, node, "CREATE TABLE t (id int)")), "55000");
    }
    assert_eq!(restore(&mut cluster, 2, &taken), Ok(ACCOUNTS));
    for node in 1..=3 {
        assert_eq!(ask(&mut cluster, node, AUDIT), Ok(expected()));
    }
    assert_eq!(ask(&mut cluster, 3, "CREATE TABLE t (id int)"), Ok(Vec::new()));
}

#[test]
fn a_restore_whose_client_goes_or_whose_bytes_are_wrong_is_undone() {
    let taken = backup(&mut with_accounts(47), 1);
    let mut cluster = Cluster::new(3, 48);
    let mut wrong = taken.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    let refused = restore(&mut cluster, 1, &wrong).expect_err("it is damaged");
    assert!(matches!(&refused, Failure::Server(state, _) if state == "XX001"), "{refused}");
    ask(&mut cluster, 2, "CREATE TABLE t (id int)").expect("nothing is in the way");
    let refused = restore(&mut cluster, 3, &taken).expect_err("there is a table");
    assert!(matches!(&refused, Failure::Server(state, _) if state == "55000"), "{refused}");
    ask(&mut cluster, 2, "DROP TABLE t").expect("the table is there");
    // A client that ends too early.
    let refused = restore(&mut cluster, 1, &taken[..middle]).expect_err("there is half of it");
    assert!(matches!(&refused, Failure::Server(_, said) if said.contains("too early")), "{refused}");
    // A client that goes amid its work. The node finds that out, and tidies up.
    (1..=3).for_each(|node| cluster.disk(node).latency = Duration::from_millis(50));
    let (host, before) = (cluster.host(), cluster.commit(1));
    let cut = cluster.run_until(MINUTE, async move {
        let mut client = Client::connect(&host, 1).await?;
        Ok::<_, Failure>(within(&host, Duration::from_millis(200), client.copy_in("RESTORE", &taken)).await)
    });
    assert_eq!(cut, Some(Ok(None)), "it was under way");
    let commits = cluster.commit(1).zip(before).map(|(after, before)| after.0 - before.0);
    assert!(commits.is_some_and(|commits| commits >= 2), "it was under way: {commits:?}");
    cluster.run(Duration::from_secs(5));
    assert_eq!(state(ask(&mut cluster, 3, AUDIT)), "42P01");
    ask(&mut cluster, 2, "CREATE TABLE t (id int)").expect("nothing is in the way");
}
