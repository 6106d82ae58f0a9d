//! Stories of tasks, and of nodes that are lost with some.

use std::time::Duration;

use tests_sim::{Cluster, ask, number, until};
use tests_workloads::{Files, add_statement_program};

/// Tasks of a node that is lost run elsewhere within this: what is promised.
const GIVEN_TO_OTHERS_WITHIN: Duration = Duration::from_secs(2);

/// Three nodes, of which each runs the tasks that name it.
fn with_program(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(3, seed);
    let add = add_statement_program();
    until(&mut cluster, 1, |cluster| ask(cluster, 1, &add).ok().map(drop));
    ask(&mut cluster, 1, "CREATE TABLE t (a integer)").expect("a table");
    ask(&mut cluster, 1, "UPDATE sys.queues SET policy = 'locality'").expect("a policy");
    until(&mut cluster, 1, |cluster| {
        let all = ask(cluster, 1, "SELECT count(*) FROM sys.workers WHERE state = 'up'");
        (number(all.ok()?) == Some(3)).then_some(())
    });
    cluster
}

/// The victim loses its power, and is given a task before anybody knows.
fn tasks_go_on_without_their_node(seed: u64, of_leader: bool) {
    let mut cluster = with_program(seed);
    let leader = until(&mut cluster, 1, |cluster| cluster.leader());
    let victim = (1..=3).find(|node| (*node == leader) == of_leader).expect("three nodes");
    let other = (1..=3).find(|node| *node != victim).expect("three nodes");
    cluster.crash(victim);
    let lost = cluster.now();
    let add = format!(
        "INSERT INTO sys.tasks (program, home, arguments) VALUES ('statement', {victim}, '\"INSERT INTO t VALUES (1)\"')"
    );
    until(&mut cluster, 1, |cluster| ask(cluster, other, &add).ok().map(drop));
    until(&mut cluster, 1, |cluster| {
        number(ask(cluster, other, "SELECT count(*) FROM t").ok()?).filter(|done| *done == 1)
    });
    let took = cluster.now().since(lost);
    assert!(took <= GIVEN_TO_OTHERS_WITHIN, "it was done after {took:?}");
    let attempts = ask(&mut cluster, other, "SELECT attempt FROM sys.tasks").expect("an answer");
    assert!(of_leader || number(attempts) == Some(2), "it was the victim's first");
}

#[test]
fn a_task_of_a_lost_follower_runs_elsewhere_within_two_seconds() {
    (60..64).for_each(|seed| tasks_go_on_without_their_node(seed, false));
}

#[test]
fn a_task_of_a_lost_leader_runs_elsewhere_within_two_seconds() {
    (60..64).for_each(|seed| tasks_go_on_without_their_node(seed, true));
}

#[test]
fn what_a_node_was_running_when_its_power_failed_is_done_once_it_is_back() {
    let mut cluster = with_program(70);
    for job in 0..30 {
        let add = format!(
            "INSERT INTO sys.tasks (program, home, arguments) \
             VALUES ('statement', {}, '\"INSERT INTO t VALUES ({job})\"')",
            job % 3 + 1
        );
        ask(&mut cluster, 1, &add).expect("a task");
    }
    (1..=3).for_each(|node| cluster.crash(node));
    (1..=3).for_each(|node| cluster.start(node));
    until(&mut cluster, 1, |cluster| {
        let left = ask(cluster, 2, "SELECT count(*) FROM sys.tasks WHERE state <> 'done'").ok()?;
        (number(left) == Some(0)).then_some(())
    });
    let rows = ask(&mut cluster, 3, "SELECT count(*) FROM t").expect("an answer");
    assert_eq!(number(rows), Some(30));
    let distinct = ask(&mut cluster, 3, "SELECT count(DISTINCT a) FROM t").expect("an answer");
    assert_eq!(number(distinct), Some(30));
}

/// Tasks of all nodes append to one file, and each makes another: they meet at every step.
#[test]
fn tasks_that_write_to_one_file_are_done_one_after_the_other() {
    for seed in 80..83 {
        let mut cluster = with_program(seed);
        for sql in Files::set_up() {
            ask(&mut cluster, 1, &sql).expect("a program and a directory");
        }
        let began = cluster.now();
        let add = "INSERT INTO sys.tasks (program, arguments, attempts_max, timeout) \
                   SELECT 'keeper', to_jsonb(to_char(g, 'FM000000')), 1000, '20 min' FROM generate_series(1, 48) g";
        ask(&mut cluster, 1, add).expect("tasks");
        until(&mut cluster, 3, |cluster| {
            let left = ask(cluster, 2, "SELECT count(*) FROM sys.tasks WHERE state <> 'done'").ok()?;
            (number(left) == Some(0)).then_some(())
        });
        let took = cluster.now().since(began);
        println!("seed {seed}: 48 tasks that write to one file took {took:?}");
        assert!(took <= Duration::from_secs(10), "it took {took:?}");
    }
}
