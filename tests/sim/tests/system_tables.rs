//! Stories of live tables: what they show of nodes that are there, and say of those that are not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use drivers_api::Mtu;
use tests_sim::{Client, Cluster, ask, number, until};
use tests_workloads::{Failure, Row, World};

const MINUTE: Duration = Duration::from_secs(60);

/// The rows of a query at a node, and what is remarked.
fn remarked(cluster: &mut Cluster, node: u8, sql: &'static str) -> (Vec<Row>, Vec<String>) {
    let host = cluster.host();
    let asked = cluster.run_until(MINUTE, async move {
        let mut client = Client::connect(&host, node).await?;
        let rows = client.query(sql).await?.rows;
        Ok::<_, Failure>((rows, client.take_notices()))
    });
    asked.expect("a minute is enough").expect("nothing is in the way")
}

#[test]
fn a_query_says_which_node_did_not_answer() {
    let mut cluster = Cluster::new(3, 80);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "SELECT 1").ok());
    let disks = "SELECT node FROM sys.storage ORDER BY node";
    let (rows, remarks) = remarked(&mut cluster, 1, disks);
    assert_eq!((rows.len(), remarks.len()), (3, 0));
    cluster.crash(2);
    let began = cluster.now();
    let (rows, remarks) = remarked(&mut cluster, 1, disks);
    assert!(cluster.now().since(began) < Duration::from_secs(1), "nobody waits for long");
    assert_eq!(rows.len(), 2);
    assert_eq!(remarks, ["node 2 did not answer; its rows are missing"]);
    // This table shows it.
    let (rows, remarks) = remarked(&mut cluster, 3, "SELECT id, state FROM sys.nodes ORDER BY id");
    assert_eq!(rows[1], [Some("2".into()), Some("down".into())]);
    assert_eq!((rows.len(), remarks.len()), (3, 0));
}

#[test]
fn a_node_without_an_address_takes_part_and_says_so() {
    let mut cluster = Cluster::switched_off(3, 0, 81, 64 * 2048, &[Mtu::JUMBO]);
    cluster.set_settings(3, "relix.ip=dhcp");
    (1..=3).for_each(|id| cluster.start(id));
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "CREATE TABLE t (id int)").ok());
    cluster.run(Duration::from_secs(12));
    let line = "no DHCP server has answered for 10 s: start one, or give this node relix.ip=ADDRESS/PREFIX";
    let said = cluster.console(3).iter().filter(|(_, said)| said == line).count();
    assert_eq!(said, 1);
    let (rows, remarks) =
        remarked(&mut cluster, 1, "SELECT id, state, address IS NULL, trouble FROM sys.nodes ORDER BY id");
    let row = |texts: [&str; 3]| texts.map(|text| Some(text.to_string()));
    assert_eq!((rows[2][..3].to_vec(), rows[2][3].as_deref()), (row(["3", "up", "t"]).to_vec(), Some(line)));
    assert_eq!((rows[1][..3].to_vec(), &rows[1][3]), (row(["2", "up", "f"]).to_vec(), &None));
    assert!(remarks.is_empty(), "{remarks:?}");
    // It makes a majority with one other.
    cluster.crash(2);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "INSERT INTO t VALUES (1)").ok());
}

/// A client that waits for its end, at a node.
async fn until_ended(mut client: Client, ended: Rc<RefCell<Option<Failure>>>) {
    *ended.borrow_mut() = Some(client.last_words().await);
}

fn by_administrator() -> Failure {
    Failure::Server("57P01".into(), "terminating connection due to administrator command".into())
}

/// Connects, runs `statements`, and then waits to be ended.
fn victim(cluster: &mut Cluster, node: u8, statements: &'static [&'static str]) -> Victim {
    let (host, ended) = (cluster.host(), Rc::new(RefCell::new(None)));
    let connected = cluster.run_until(MINUTE, async move {
        let mut client = Client::connect(&host, node).await?;
        for statement in statements {
            client.query(statement).await?;
        }
        Ok::<_, Failure>(client)
    });
    let client = connected.expect("a minute is enough").expect("nothing is in the way");
    let pid = client.pid();
    cluster.spawn(until_ended(client, ended.clone()));
    Victim { pid, ended }
}

struct Victim {
    pid: i32,
    ended: Rc<RefCell<Option<Failure>>>,
}

#[test]
fn a_session_of_another_node_is_seen_and_ended_and_its_transaction_is_undone() {
    let mut cluster = Cluster::new(3, 81);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "CREATE TABLE t (a integer)").ok());
    let block = &["SET application_name = 'billing'", "BEGIN", "INSERT INTO t VALUES (1)"];
    let victim = victim(&mut cluster, 2, block);
    let shown = "SELECT node, kind, state, statement, transaction_started_at >= started_at, pid \
                 FROM sys.sessions WHERE application_name = 'billing'";
    let rows = ask(&mut cluster, 1, shown).expect("an answer");
    let texts: Vec<String> = rows[0].iter().flatten().cloned().collect();
    let pid = victim.pid.to_string();
    assert_eq!(texts, ["2", "postgres", "idle in transaction", "INSERT INTO t VALUES (1)", "t", &pid]);
    let activity =
        "SELECT pid, query, xact_start IS NOT NULL FROM pg_stat_activity WHERE application_name = 'billing'";
    let rows = ask(&mut cluster, 3, activity).expect("an answer");
    assert_eq!(rows, [vec![Some(pid.clone()), Some("INSERT INTO t VALUES (1)".into()), Some("t".into())]]);

    // There is nothing to stop, and the session stays.
    let cancel = format!("SELECT pg_cancel_backend({pid})");
    assert_eq!(ask(&mut cluster, 3, &cancel), Ok(vec![vec![Some("t".into())]]));
    cluster.run(Duration::from_secs(1));
    assert_eq!(*victim.ended.borrow(), None);

    let end = format!("SELECT pg_terminate_backend({pid})");
    assert_eq!(ask(&mut cluster, 1, &end), Ok(vec![vec![Some("t".into())]]));
    cluster.run(Duration::from_secs(1));
    assert_eq!(*victim.ended.borrow(), Some(by_administrator()));
    let left = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM sys.sessions WHERE node = 2)";
    assert_eq!(ask(&mut cluster, 1, left), Ok(vec![vec![Some("0".into()), Some("0".into())]]));
    assert_eq!(ask(&mut cluster, 1, &end), Ok(vec![vec![Some("f".into())]]));
}

#[test]
fn sessions_whose_rows_are_deleted_end() {
    let mut cluster = Cluster::new(3, 82);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "SELECT 1").ok());
    let idle: Vec<Victim> =
        (1..=3).map(|node| victim(&mut cluster, node, &["SET application_name = 'old'"])).collect();
    let other = victim(&mut cluster, 2, &["SET application_name = 'new'"]);
    let refused = ask(&mut cluster, 3, "DELETE FROM sys.sessions RETURNING pid");
    assert!(matches!(refused, Err(Failure::Server(state, _)) if state == "0A000"));
    let refused = ask(&mut cluster, 3, "UPDATE sys.sessions SET state = 'idle'");
    assert!(matches!(refused, Err(Failure::Server(state, _)) if state == "42809"));
    ask(&mut cluster, 3, "DELETE FROM sys.sessions WHERE application_name = 'old'").expect("an answer");
    cluster.run(Duration::from_secs(1));
    assert!(idle.iter().all(|victim| *victim.ended.borrow() == Some(by_administrator())));
    assert_eq!(*other.ended.borrow(), None);
}

#[test]
fn a_statement_that_runs_is_stopped_and_its_session_ended_from_elsewhere() {
    let mut cluster = Cluster::new(3, 83);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "SELECT 1").ok());
    const LONG: &str = "SELECT count(*) FROM generate_series(1, 2000000000)";
    for (function, state) in [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")] {
        let (host, failed) = (cluster.host(), Rc::new(RefCell::new(None)));
        let told = failed.clone();
        cluster.spawn(async move {
            let mut client = Client::connect(&host, 2).await.expect("a connection");
            client.ask(LONG).await.expect("sent");
            *told.borrow_mut() = Some(client.last_words().await);
        });
        let running = format!("SELECT {function}(pid) FROM sys.sessions WHERE state = 'active' AND node = 2");
        until(&mut cluster, 1, |cluster| {
            let rows = ask(cluster, 1, &running).expect("an answer");
            (!rows.is_empty()).then_some(())
        });
        cluster.run(Duration::from_secs(1));
        let failed = failed.borrow_mut().take();
        assert!(matches!(&failed, Some(Failure::Server(met, _)) if met == state), "{function}: {failed:?}");
    }
}

/// Which nodes say that they drain, by their ids.
fn draining(cluster: &mut Cluster, node: u8) -> Vec<Option<String>> {
    let rows = ask(cluster, node, "SELECT draining FROM sys.nodes ORDER BY id").expect("an answer");
    rows.into_iter().map(|row| row[0].clone()).collect()
}

#[test]
fn a_node_that_drains_hands_leadership_over_and_does_not_get_it_back() {
    let mut cluster = Cluster::new(3, 84);
    // It would have it back, if it did not drain.
    cluster.set_settings(1, "relix.priority=9");
    cluster.crash(1);
    cluster.start(1);
    until(&mut cluster, 2, |cluster| {
        let workers = ask(cluster, 2, "SELECT count(*) FROM sys.workers WHERE state = 'up'");
        (workers.ok().and_then(number) == Some(3) && cluster.leader() == Some(1)).then_some(())
    });
    let refused = ask(&mut cluster, 2, "UPDATE sys.nodes SET role = 'leader' WHERE id = 2");
    let line = "column \"role\" of live table \"nodes\" cannot be changed";
    assert_eq!(refused, Err(Failure::Server("42809".into(), line.into())));

    ask(&mut cluster, 3, "UPDATE sys.nodes n SET draining = NOT n.draining WHERE n.role = 'leader'")
        .expect("done");
    until(&mut cluster, 1, |cluster| cluster.leader().filter(|leader| *leader != 1));
    assert_eq!(draining(&mut cluster, 2), ["t", "f", "f"].map(|text| Some(text.into())));
    let workers = ask(&mut cluster, 2, "SELECT node FROM sys.workers WHERE draining");
    assert_eq!(workers, Ok(vec![vec![Some("1".into())]]));
    cluster.run(Duration::from_secs(60));
    assert_ne!(cluster.leader(), Some(1));

    ask(&mut cluster, 1, "UPDATE sys.nodes SET draining = false WHERE id = 1").expect("done");
    until(&mut cluster, 2, |cluster| (cluster.leader() == Some(1)).then_some(()));
    assert_eq!(draining(&mut cluster, 3), ["f", "f", "f"].map(|text| Some(text.into())));
}

#[test]
fn who_is_preferred_leads_while_it_is_up() {
    let mut cluster = Cluster::new(3, 86);
    until(&mut cluster, 1, |cluster| {
        let workers = ask(cluster, 1, "SELECT count(*) FROM sys.workers WHERE state = 'up'");
        (workers.ok().and_then(number) == Some(3)).then_some(())
    });
    ask(&mut cluster, 1, "UPDATE sys.workers SET leader_preference = node").expect("done");
    until(&mut cluster, 1, |cluster| (cluster.leader() == Some(3)).then_some(()));
    cluster.crash(3);
    until(&mut cluster, 1, |cluster| (cluster.leader() == Some(2)).then_some(()));
    cluster.start(3);
    until(&mut cluster, 1, |cluster| (cluster.leader() == Some(3)).then_some(()));
    // A query that means nothing leaves everything as it is.
    ask(&mut cluster, 1, "UPDATE sys.placements SET query = 'SELECT node FROM nowhere'").expect("done");
    cluster.run(Duration::from_secs(20));
    assert_eq!(cluster.leader(), Some(3));
    let said = ask(&mut cluster, 1, "SELECT count(*) FROM sys.log WHERE text LIKE 'placement \"leader\":%'");
    assert!(said.ok().and_then(number).is_some_and(|count| count > 0));
}

#[test]
fn live_tables_show_what_nodes_are_at() {
    let mut cluster = Cluster::new(3, 85);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "CREATE TABLE t (a integer)").ok());
    let open = victim(&mut cluster, 2, &["BEGIN", "INSERT INTO t VALUES (1), (2)"]);
    let block = format!(
        "SELECT count(*) FROM sys.transactions WHERE node = 2 AND pid = {} AND NOT read_only \
         AND state = 'idle in transaction' AND read_version > 0 AND written_rows = 2 AND written_bytes > 0",
        open.pid
    );
    let shown = [
        (&*block, 1),
        ("SELECT count(*) FROM sys.transactions", 1),
        (
            "SELECT count(*) FROM sys.links WHERE state = 'up' AND address IS NOT NULL AND round_trip_us > 0 \
             AND sent_bytes > sent_messages AND received_bytes > received_messages",
            6,
        ),
        (
            "SELECT count(*) FROM sys.sockets WHERE node = 2 AND port = 5432 AND state = 'established' \
             AND remote_address IS NOT NULL AND send_buffer > 0",
            1,
        ),
        (
            "SELECT count(DISTINCT area) FROM sys.memory WHERE used_bytes <= limit_bytes OR limit_bytes IS NULL",
            6,
        ),
        (
            "SELECT count(*) FROM sys.raft o JOIN sys.raft l ON l.peer = l.node AND l.role = 'leader' \
             WHERE o.node = l.node AND o.peer <> l.node AND o.state = 'streaming' AND o.role = 'follower' \
             AND o.matched BETWEEN 1 AND l.matched AND o.term = l.term AND o.heard_ms_ago < 1000",
            2,
        ),
        ("SELECT count(*) FROM sys.raft WHERE node = peer AND committed > 0", 3),
        ("SELECT count(*) FROM sys.block_cache WHERE used_bytes <= limit_bytes", 3),
        ("SELECT count(*) FROM sys.interrupts", 0),
    ];
    for (query, count) in shown {
        assert_eq!(ask(&mut cluster, 3, query).map(number), Ok(Some(count)), "{query}");
    }
}

#[test]
fn a_session_whose_client_takes_no_answer_is_ended() {
    let mut cluster = Cluster::new(3, 86);
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "SELECT 1").ok());
    let host = cluster.host();
    cluster.spawn(async move {
        let mut client = Client::connect(&host, 2).await.expect("a connection");
        client.ask("SELECT repeat('x', 1000) FROM generate_series(1, 100000)").await.expect("sent");
        host.sleep(MINUTE * 60).await;
        drop(client);
    });
    cluster.run(Duration::from_secs(5));
    let (active, all) = ("WHERE node = 2 AND state = 'active'", "WHERE node = 2");
    let count = |cluster: &mut Cluster, which: &str| {
        ask(cluster, 1, &format!("SELECT count(*) FROM sys.sessions {which}")).ok().and_then(number)
    };
    assert_eq!(count(&mut cluster, active), Some(1));
    ask(&mut cluster, 1, "DELETE FROM sys.sessions WHERE node = 2").expect("an answer");
    cluster.run(Duration::from_secs(1));
    assert_eq!(count(&mut cluster, all), Some(0));
}
