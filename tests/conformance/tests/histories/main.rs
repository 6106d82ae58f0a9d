//! Clients of all nodes read and write at once, while nodes are killed; what they were told must be the history of a
//! strictly serializable database. And of histories that are not, the checker says so.

mod client;
mod plan;
mod record;
mod wrong;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::{Client, Load};
use record::Record;
use tests_checkers::Outcome;
use tests_conformance::session::Session;
use tests_vm::Cluster;

/// Clients, spread over the nodes.
const CLIENTS: u64 = 9;

/// Transactions of each client, at least: it goes on until the last fault is over.
const TRANSACTIONS_MIN: u64 = 80;

/// Transactions of all clients between two faults.
const BETWEEN_FAULTS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_clients_of_all_nodes_are_told_is_strictly_serializable() {
    let cluster = Cluster::start("histories", &["--host"]);
    let session = Session::connect(cluster.port(1)).await.expect("a connection");
    for sql in plan::set_up() {
        session.text(&sql).await.expect(&sql);
    }
    let ports = (1..=3).map(|node| cluster.port(node)).collect();
    let load = Arc::new(Load::new(ports));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(Client::new(number, load.clone()).run(TRANSACTIONS_MIN)))
        .collect();
    tokio::task::block_in_place(|| break_nodes(&cluster, &load.done));
    load.faults_are_over.store(true, Ordering::Relaxed);
    let mut record = Record::default();
    for client in clients {
        record.merge(client.await.expect("no client met what it should not"));
    }
    for node in 1..=3 {
        let mut auditor = Client::new(CLIENTS + node, load.clone());
        auditor.audit_at(node).await;
        record.merge(auditor.into_record());
    }
    println!("{record}");
    assert!(record.count(Outcome::Committed) as u64 >= CLIENTS * TRANSACTIONS_MIN / 2, "most took place");
    record.check().unwrap_or_else(|wrong| panic!("{wrong}"));
    wrong::every_wrong_history_is_found(&record);
}

/// Kills the leader, and then another node, and brings each back, by what clients have done meanwhile.
fn break_nodes(cluster: &Cluster, done: &AtomicU64) {
    let go_on = || {
        let until = done.load(Ordering::Relaxed) + BETWEEN_FAULTS;
        cluster.wait("transactions to go on", || (done.load(Ordering::Relaxed) >= until).then_some(()));
    };
    go_on();
    let leader = cluster.leader();
    let follower = cluster.others(leader)[0];
    for node in [leader, follower] {
        cluster.fault(&["kill", &node.to_string()]);
        go_on();
        cluster.fault(&["restart", &node.to_string()]);
        go_on();
        cluster.wait("the node is back", || cluster.role(node));
    }
}
