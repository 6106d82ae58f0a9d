//! Each tick of a schedule is a task that is done once, whoever leads then and whatever befalls the nodes.

use std::time::Duration;

use tests_sim::{Cluster, ask};
use tests_workloads::add_statement_program;

/// Asks, now this node and now that one, until there is an answer; its first value.
fn insist(cluster: &mut Cluster, sql: &str) -> String {
    for node in (1..=3).cycle().take(300) {
        if let Ok(rows) = ask(cluster, node, sql) {
            return rows.into_iter().flatten().next().flatten().unwrap_or_default();
        }
        cluster.run(Duration::from_millis(200));
    }
    panic!("nobody answers: {sql}");
}

fn every_second_has_its_task(seed: u64) {
    let mut cluster = Cluster::new(3, seed);
    insist(&mut cluster, &add_statement_program());
    insist(&mut cluster, "CREATE TABLE t (a integer)");
    insist(
        &mut cluster,
        "INSERT INTO sys.schedules (name, cron, program, arguments, backfill) \
         VALUES ('s', '* * * * * *', 'statement', '\"INSERT INTO t VALUES (1)\"', 1000)",
    );
    for round in 0..8 {
        cluster.run(Duration::from_secs(5));
        let victim = match cluster.leader() {
            Some(leader) if round % 2 == 0 => leader,
            _ => cluster.below(3) as u8 + 1,
        };
        cluster.crash(victim);
        if round == 5 {
            // And everybody else.
            (1..=3).filter(|node| *node != victim).for_each(|node| cluster.crash(node));
        }
        cluster.run(Duration::from_secs(4));
        (1..=3)
            .filter(|node| !cluster.is_up(*node))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|node| cluster.start(node));
    }
    cluster.run(Duration::from_secs(5));
    insist(&mut cluster, "UPDATE sys.schedules SET paused = true");
    cluster.run(Duration::from_secs(10));
    let ticks = "SELECT count(*) || ' ' || count(DISTINCT run_at) || ' ' || extract(epoch FROM max(run_at) - min(run_at))::bigint + 1 \
                 || ' ' || count(*) FILTER (WHERE state = 'done') || ' ' || (SELECT count(*) FROM t) FROM sys.tasks";
    let found = insist(&mut cluster, ticks);
    let counts: Vec<u64> = found.split(' ').map(|count| count.parse().expect("a number")).collect();
    assert!(counts[0] > 60 && counts.iter().all(|count| *count == counts[0]), "seed {seed}: {found}");
}

#[test]
fn ticks_become_tasks_once_and_none_is_left_out() {
    (90..95).for_each(every_second_has_its_task);
}
