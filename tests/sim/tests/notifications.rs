//! Who listens is told of every transaction once, in the order of commits, wherever it is and whoever leads.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tests_sim::{Client, Cluster, Host, ask, within};
use tests_workloads::{Failure, World};

/// A listener that hears nothing for so long asks whether its node is there.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What listeners have seen.
#[derive(Default)]
struct Seen {
    /// The last number, by listener.
    last: Vec<u64>,
    notifications: u64,
    connections: u64,
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// Counts on until it is told to end, now here and now there.
async fn count(host: Host, nodes: u8, writer: u8, until: Rc<RefCell<bool>>) {
    let mut node = writer % nodes + 1;
    while !*until.borrow() {
        let counted = async {
            let mut client = Client::connect(&host, node).await?;
            for _ in 0..20 {
                client.query("UPDATE counter SET n = n + 1 RETURNING pg_notify('n', n::text)").await?;
                host.sleep(Duration::from_millis(7)).await;
            }
            Ok::<_, Failure>(())
        };
        if counted.await.is_err() {
            host.sleep(Duration::from_millis(100)).await;
        }
        node = node % nodes + 1;
    }
}

/// Listens at one node, as often as it is there.
async fn listen(host: Host, node: u8, seen: Rc<RefCell<Seen>>) {
    loop {
        let _ = listen_once(&host, node, &seen).await;
        host.sleep(Duration::from_millis(100)).await;
    }
}

async fn listen_once(host: &Host, node: u8, seen: &RefCell<Seen>) -> Result<(), Failure> {
    let mut client = Client::connect(host, node).await?;
    client.query("LISTEN n").await?;
    let counted = client.query("SELECT n FROM counter").await?;
    let counted = number(counted.rows[0][0].as_deref().expect("a number"));
    seen.borrow_mut().connections += 1;
    let mut last = None;
    loop {
        let Some(told) = within(host, PAUSE_MAX, client.notification()).await else {
            // A node that has lost its power says nothing, and is asked.
            within(host, PAUSE_MAX, client.query("SELECT 1")).await.ok_or(Failure::Lost)??;
            continue;
        };
        let told = number(&told?);
        match last {
            // Some of what was committed before may come as well.
            None => {
                assert!(told <= counted + 1, "node {node}: {told} came first, though {counted} was there")
            }
            Some(last) => assert_eq!(told, last + 1, "node {node}"),
        }
        last = Some(told);
        let mut seen = seen.borrow_mut();
        seen.last[usize::from(node) - 1] = told;
        seen.notifications += 1;
    }
}

fn every_commit_is_told_once_in_order(seed: u64) {
    let nodes = 3;
    let mut cluster = Cluster::new(nodes.into(), seed);
    let made = "CREATE TABLE counter (n bigint NOT NULL); INSERT INTO counter VALUES (0)";
    while ask(&mut cluster, 1, made).is_err() {
        cluster.run(Duration::from_millis(100));
    }
    let ended = Rc::new(RefCell::new(false));
    let seen = Rc::new(RefCell::new(Seen { last: vec![0; nodes.into()], ..Seen::default() }));
    for node in 1..=nodes {
        cluster.spawn(count(cluster.host(), nodes, node, ended.clone()));
        cluster.spawn(listen(cluster.host(), node, seen.clone()));
    }
    for round in 0..8 {
        cluster.run(Duration::from_secs(3));
        let victim = cluster.below(nodes.into()) as u8 + 1;
        if round % 2 == 0 {
            cluster.crash(victim);
            cluster.run(Duration::from_secs(3));
            cluster.start(victim);
        } else {
            cluster.pause(victim, true);
            cluster.run(Duration::from_secs(2));
            cluster.pause(victim, false);
        }
    }
    *ended.borrow_mut() = true;
    cluster.run(Duration::from_secs(10));
    let counted = ask(&mut cluster, 1, "SELECT n FROM counter").expect("an answer");
    let counted = number(counted[0][0].as_deref().expect("a number"));
    let seen = seen.borrow();
    assert_eq!(seen.last, vec![counted; nodes.into()], "whoever listens in the end is told of the last");
    assert!(
        counted > 200 && seen.notifications > 2 * counted,
        "{counted} counted, {} told",
        seen.notifications
    );
    assert!(seen.connections > u64::from(nodes), "some listeners came back");
}

#[test]
fn notifications_survive_the_loss_of_nodes() {
    (80..85).for_each(every_commit_is_told_once_in_order);
}
