//! Stories of workflows that wait for messages, and of nodes that lose their power meanwhile.

use std::time::Duration;

use tests_sim::{Cluster, ask, number, until};
use tests_workloads::add_order_program;

/// Orders of a story.
const ORDERS: i64 = 24;

/// The orders are paid, confirmed and shipped, each once, while one node after the other loses its power. What was asked when
/// one did may or may not have taken place: it is asked so that twice is not more than once.
fn orders_are_handled_once(seed: u64) {
    let mut cluster = Cluster::new(3, seed);
    let definitions = [
        &*add_order_program(),
        "CREATE TABLE payments (number integer)",
        "CREATE TABLE shipments (number integer)",
        "CREATE TABLE sent (number integer PRIMARY KEY)",
        "INSERT INTO sys.mailboxes (name) VALUES ('confirmed')",
        "UPDATE sys.queues SET policy = 'least_loaded'",
    ];
    for definition in definitions {
        until(&mut cluster, 1, |cluster| ask(cluster, 1, definition).ok().map(drop));
    }
    let mut down: Option<u8> = None;
    for order in 1..=ORDERS {
        let node = (1..=3).find(|node| Some(*node) != down && order % 2 == i64::from(*node) % 2).unwrap_or(2);
        let node = if Some(node) == down { node % 3 + 1 } else { node };
        let add = format!(
            "INSERT INTO sys.tasks (program, arguments, deduplication_key) \
             VALUES ('order', '[{order}]', '{order}') ON CONFLICT DO NOTHING"
        );
        until(&mut cluster, 1, |cluster| ask(cluster, node, &add).ok().map(drop));
        // One message, however often it is asked for.
        let send = format!(
            "WITH new AS (INSERT INTO sent VALUES ({order}) ON CONFLICT DO NOTHING RETURNING number) \
             INSERT INTO sys.messages (mailbox, body) SELECT 'confirmed', 'true' FROM new"
        );
        if order % 3 != 0 {
            until(&mut cluster, 1, |cluster| ask(cluster, node, &send).ok().map(drop));
        }
        match (order % 4, down.take()) {
            (1, None) => {
                let victim = u8::try_from(order % 3 + 1).expect("a node");
                cluster.crash(victim);
                down = Some(victim);
            }
            (_, Some(node)) => cluster.start(node),
            _ => {}
        }
    }
    if let Some(node) = down {
        cluster.start(node);
    }
    // Some wait still, and nothing else is to be done.
    let shipped = "SELECT count(*) FROM shipments";
    until(&mut cluster, 5, |cluster| {
        number(ask(cluster, 1, shipped).ok()?).filter(|done| *done == ORDERS - ORDERS / 3)
    });
    let waiting = "SELECT count(*) FROM sys.tasks WHERE waits_for = 'confirmed' AND state = 'ready'";
    until(&mut cluster, 1, |cluster| {
        number(ask(cluster, 2, waiting).ok()?).filter(|waiting| *waiting == ORDERS / 3)
    });
    cluster.run(Duration::from_secs(5));
    for _ in 0..ORDERS / 3 {
        until(&mut cluster, 1, |cluster| {
            ask(cluster, 3, "SELECT sys.send('confirmed', 'true')").ok().map(drop)
        });
    }
    until(&mut cluster, 5, |cluster| {
        let left = ask(cluster, 1, "SELECT count(*) FROM sys.tasks WHERE state <> 'done'").ok()?;
        number(left).filter(|left| *left == 0)
    });
    for table in ["payments", "shipments"] {
        let each = format!("SELECT count(*) FROM {table}");
        assert_eq!(ask(&mut cluster, 2, &each).ok().and_then(number), Some(ORDERS), "{table}");
        let each = format!("SELECT count(DISTINCT number) FROM {table}");
        assert_eq!(ask(&mut cluster, 2, &each).ok().and_then(number), Some(ORDERS), "{table}");
    }
    assert_eq!(ask(&mut cluster, 2, "SELECT count(*) FROM sys.messages").ok().and_then(number), Some(0));
    assert_eq!(
        ask(&mut cluster, 2, "SELECT count(*) FROM sys.steps").ok().and_then(number),
        Some(3 * ORDERS)
    );
}

#[test]
fn each_order_is_handled_once_though_nodes_lose_their_power() {
    (80..86).for_each(orders_are_handled_once);
}

#[test]
fn a_mailbox_fills_up_and_is_emptied() {
    let mut cluster = Cluster::new(3, 90);
    let full = "INSERT INTO sys.mailboxes (name, capacity) VALUES ('small', 5)";
    until(&mut cluster, 1, |cluster| ask(cluster, 1, full).ok().map(drop));
    let mut refused = None;
    for sent in 0..50 {
        match ask(&mut cluster, 2, "SELECT sys.send('small', '1')") {
            Ok(_) => cluster.run(Duration::from_millis(50)),
            Err(error) => {
                refused = Some((sent, format!("{error:?}")));
                break;
            }
        }
    }
    let (sent, error) = refused.expect("it is full at some time");
    assert!((5..=15).contains(&sent) && error.contains("is full"), "{sent}: {error}");
    ask(&mut cluster, 3, "DELETE FROM sys.messages").expect("emptied");
    until(&mut cluster, 1, |cluster| ask(cluster, 1, "SELECT sys.send('small', '1')").ok().map(drop));
}
