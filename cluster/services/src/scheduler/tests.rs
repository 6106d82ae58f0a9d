//! Rounds on a database in memory.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_sql::catalog::{Descriptor, all};
use cluster_sql::database::Freshness;

use super::*;
use crate::SCHEMAS;
use crate::bench::{Bench, block_on};

impl Bench {
    /// Which worker has which task.
    fn running(&mut self) -> String {
        self.run("SELECT id, worker FROM sys.tasks WHERE state = 'running' ORDER BY id")
    }

    fn policy(&mut self, policy: &str) {
        self.run(&format!("UPDATE sys.queues SET policy = '{policy}'"));
    }
}

#[test]
fn ids_are_what_the_constants_say_and_the_schema_is_made_once() {
    let mut bench = Bench::new();
    assert_eq!(block_on(bench.session.install(SCHEMAS)), Ok(false));
    let snapshot = block_on(cluster_sql::database::Database::snapshot(&bench.database, Freshness::Local));
    let mut ids = Vec::new();
    for (_, name, descriptor) in block_on(all(&snapshot.expect("a snapshot"))).expect("readable") {
        if let Descriptor::Table(table) = descriptor {
            ids.push((name, table.id));
            ids.extend(table.indexes.iter().map(|index| (index.name.clone(), index.id)));
        }
    }
    let id = |name: &str| ids.iter().find(|(known, _)| known == name).map(|(_, id)| *id);
    assert_eq!(id("policies"), Some(POLICIES));
    assert_eq!(id("queues"), Some(QUEUES));
    assert_eq!(id("workers"), Some(WORKERS));
    assert_eq!(id("tasks"), Some(TASKS));
    assert_eq!(id("tasks_ready"), Some(TASKS_READY));
    assert_eq!(id("tasks_running"), Some(TASKS_RUNNING));
    assert_eq!(bench.run("CREATE TABLE t (a integer)"), "");
    assert_eq!(bench.run("SELECT 't'::regclass::oid < 20000"), "t", "ids of users are as they were");
}

#[test]
fn what_the_system_keeps_cannot_be_redefined() {
    let mut bench = Bench::new();
    let refused = "permission denied for schema sys (SQLSTATE 42501)";
    for sql in [
        "CREATE TABLE sys.mine (a integer)",
        "DROP TABLE sys.tasks CASCADE",
        "ALTER TABLE sys.tasks ADD COLUMN mine integer",
        "CREATE INDEX ON sys.tasks (program)",
        "DROP VIEW sys.slots",
        "CREATE TABLE mine (task bigint REFERENCES sys.tasks)",
        "ALTER TABLE sys.queues RENAME TO mine",
    ] {
        assert_eq!(bench.run(sql), refused, "{sql}");
    }
}

#[test]
fn policies_differ_in_who_gets_what() {
    let tasks = "INSERT INTO sys.tasks (program, priority, tenant, home) VALUES \
                 ('p', 1, 'a', 3), ('p', 3, 'a', NULL), ('p', 2, 'b', 3)";
    for (policy, expected) in
        [("fifo", "1 1, 2 1, 3 2"), ("least_loaded", "1 1, 2 2, 3 3"), ("locality", "1 3, 2 1, 3 3")]
    {
        let mut bench = Bench::new();
        bench.policy(policy);
        bench.round(&[1, 2, 3]);
        bench.run("UPDATE sys.workers SET capacity = 2");
        bench.run(tasks);
        assert_eq!(bench.round(&[1, 2, 3]).given, 3, "{policy}");
        assert_eq!(bench.running(), expected, "{policy}");
    }
    for (policy, expected) in [("fifo", "1 1, 2 2"), ("priority", "2 1, 3 2"), ("fair", "1 1, 3 2")] {
        let mut bench = Bench::new();
        bench.policy(policy);
        bench.round(&[1, 2]);
        bench.run("UPDATE sys.workers SET capacity = 1");
        bench.run(tasks);
        assert_eq!(bench.round(&[1, 2]).given, 2, "{policy}");
        assert_eq!(bench.running(), expected, "{policy}");
    }
}

#[test]
fn tenants_have_fair_shares_of_what_becomes_free_one_by_one() {
    let mut bench = Bench::new();
    bench.policy("fair");
    bench.round(&[1]);
    bench.run("UPDATE sys.workers SET capacity = 2");
    bench.run("INSERT INTO sys.tasks (program, tenant) SELECT 'p', 'a' FROM generate_series(1, 4)");
    bench.round(&[1]);
    bench.run("INSERT INTO sys.tasks (program, tenant) VALUES ('p', 'b')");
    bench.run("UPDATE sys.tasks SET state = 'done' WHERE id = 1");
    bench.round(&[1]);
    assert_eq!(bench.running(), "2 1, 5 1");
}

#[test]
fn a_queue_that_is_never_empty_leaves_room_for_others() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.queues (name) VALUES ('a'), ('z')");
    bench.round(&[1]);
    bench.run("UPDATE sys.workers SET capacity = 2");
    bench.run("INSERT INTO sys.tasks (queue, program) SELECT 'a', 'p' FROM generate_series(1, 100)");
    bench.run("INSERT INTO sys.tasks (queue, program) VALUES ('z', 'p')");
    bench.round(&[1]);
    assert_eq!(bench.running(), "1 1, 2 1");
    bench.run("UPDATE sys.tasks SET state = 'done' WHERE state = 'running'");
    bench.round(&[1]);
    assert_eq!(bench.running(), "3 1, 101 1");
}

#[test]
fn only_a_policy_that_overcommits_is_asked_when_there_is_no_room() {
    let mut bench = Bench::new();
    bench.run(
        "INSERT INTO sys.policies (name, query) VALUES \
         ('mine', 'SELECT id, 1 FROM sys.tasks WHERE state = ''ready'' AND queue = $1 ORDER BY id LIMIT 1')",
    );
    bench.policy("mine");
    bench.round(&[1]);
    bench.run("UPDATE sys.workers SET capacity = 1");
    bench.run("INSERT INTO sys.tasks (program) VALUES ('p'), ('p'), ('p')");
    bench.round(&[1]);
    bench.round(&[1]);
    assert_eq!(bench.running(), "1 1");
    bench.run("UPDATE sys.policies SET overcommits = true");
    bench.round(&[1]);
    assert_eq!(bench.running(), "1 1, 2 1");
}

#[test]
fn a_policy_of_ones_own_takes_effect_by_one_update() {
    let mut bench = Bench::new();
    bench.run(
        "INSERT INTO sys.policies (name, query) VALUES \
         ('newest', 'SELECT id, 2 FROM sys.tasks WHERE state = ''ready'' AND queue = $1 ORDER BY id DESC LIMIT least($2, 1)')",
    );
    bench.run("INSERT INTO sys.tasks (program) VALUES ('p'), ('p')");
    bench.policy("newest");
    bench.round(&[1, 2]);
    assert_eq!(bench.running(), "2 2");
}

#[test]
fn a_policy_that_fails_or_wants_nonsense_is_in_nobodys_way() {
    let mut bench = Bench::new();
    bench.round(&[1, 2]);
    bench.run(
        "INSERT INTO sys.policies (name, query) VALUES ('broken', 'SELECT 1 / 0, $1::text, $2::integer'), \
         ('odd', 'SELECT id, CASE id WHEN 1 THEN 77 WHEN 3 THEN 1 WHEN 5 THEN 2 END FROM sys.tasks \
                  WHERE $1 IS NOT NULL ORDER BY id LIMIT $2 + 5')",
    );
    bench.run("INSERT INTO sys.queues (name, policy) VALUES ('a', 'broken'), ('b', 'odd')");
    bench.run(
        "INSERT INTO sys.tasks (queue, program) \
         VALUES ('b', 'p'), ('b', 'p'), ('b', 'p'), ('a', 'p'), ('default', 'p')",
    );
    let round = bench.round(&[1, 2]);
    let problem = "queue \"a\": policy \"broken\": division by zero (SQLSTATE 22012)";
    assert_eq!((round.given, round.problems), (2, [String::from(problem)].into()));
    // One of its own tasks, for a node that there is; and the task of a queue that has nothing to do with it.
    assert_eq!(bench.running(), "3 1, 5 1");
}

#[test]
fn queues_limit_how_many_run_and_can_be_paused() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.queues (name, concurrency) VALUES ('narrow', 2)");
    bench.run("INSERT INTO sys.tasks (queue, program) SELECT 'narrow', 'p' FROM generate_series(1, 5)");
    assert_eq!(bench.round(&[1, 2, 3]).given, 2);
    assert_eq!(bench.round(&[1, 2, 3]).given, 0);
    bench.run("UPDATE sys.tasks SET state = 'done' WHERE id = 1");
    assert_eq!(bench.round(&[1, 2, 3]).given, 1);
    bench.run("UPDATE sys.queues SET concurrency = NULL, paused = true WHERE name = 'narrow'");
    assert_eq!(bench.round(&[1, 2, 3]).given, 0);
    bench.run("UPDATE sys.queues SET paused = false WHERE name = 'narrow'");
    assert_eq!(bench.round(&[1, 2, 3]).given, 2);
}

#[test]
fn a_task_is_due_at_its_time_and_a_key_is_taken_once() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.tasks (program, run_at) VALUES ('p', now() + '5 s')");
    let round = bench.round(&[1]);
    assert_eq!(round, Round { next_micros: Some(1_000_000_005_000_000), ..Round::default() });
    bench.database.set_wall_micros(1_000_000_005_000_000);
    assert_eq!(bench.round(&[1]), Round { given: 1, ..Round::default() });
    let keyed = "INSERT INTO sys.tasks (program, deduplication_key) VALUES ('p', 'one')";
    assert_eq!(bench.run(keyed), "");
    assert!(bench.run(keyed).contains("23505"));
}

#[test]
fn what_a_lost_worker_was_to_run_is_ready_again_and_it_gets_nothing() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.tasks (program) SELECT 'p' FROM generate_series(1, 3)");
    bench.policy("least_loaded");
    bench.round(&[1, 2, 3]);
    bench.run("UPDATE sys.workers SET draining = true WHERE node = 1");
    assert_eq!(bench.running(), "1 1, 2 2, 3 3");
    assert_eq!(bench.round(&[1, 3]).given, 1);
    assert_eq!(bench.running(), "1 1, 2 3, 3 3");
    assert_eq!(bench.run("SELECT node, state FROM sys.workers ORDER BY node"), "1 up, 2 lost, 3 up");
    bench.round(&[1, 2, 3]);
    assert_eq!(bench.run("SELECT node, state FROM sys.workers ORDER BY node"), "1 up, 2 up, 3 up");
}

#[test]
fn a_task_whose_worker_there_is_not_is_given_to_another() {
    let mut bench = Bench::new();
    bench.round(&[1, 2]);
    bench.policy("least_loaded");
    bench.run("INSERT INTO sys.tasks (program) VALUES ('p'), ('p'), ('p')");
    bench.round(&[1, 2]);
    assert_eq!(bench.running(), "1 1, 2 2, 3 1");
    bench.run("UPDATE sys.tasks SET worker = 77 WHERE id IN (1, 2)");
    bench.round(&[2]);
    bench.round(&[2]);
    assert_eq!(bench.running(), "1 2, 2 2, 3 2");
    bench.run("DELETE FROM sys.workers");
    bench.round(&[2]);
    assert_eq!(bench.running(), "1 2, 2 2, 3 2", "it is noted again, and they are its own");
    for worker in ["NULL", "-1"] {
        let odd = format!("UPDATE sys.tasks SET worker = {worker} WHERE id = 1");
        assert!(bench.run(&odd).contains("\"tasks_running_worker\""));
    }
    let looked = "EXPLAIN SELECT FROM sys.tasks WHERE state = 'running' AND worker > 0";
    assert!(bench.run(looked).contains("tasks_running"), "few of all tasks are looked at");
}

#[test]
fn a_policy_that_gives_more_than_is_wanted_is_cut_and_one_without_an_end_is_stopped_alone() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.queues (name) VALUES ('q')");
    bench.run("INSERT INTO sys.tasks (queue, program) VALUES ('default', 'p'), ('q', 'p')");
    let endless =
        "SELECT t.id, 1 FROM generate_series(1, 1000000000) g, sys.tasks t WHERE queue = $1 AND g > $2";
    bench.run(&format!("INSERT INTO sys.policies (name, query) VALUES ('mine', '{endless}')"));
    bench.run("UPDATE sys.queues SET policy = 'mine' WHERE name = 'default'");
    let found = bench.round(&[1]);
    assert_eq!((found.given, found.problems), (2, Vec::new()));

    bench.run("UPDATE sys.tasks SET state = 'ready', worker = NULL");
    let slow = "SELECT max(g), $2 FROM generate_series(1, 1000000000) g WHERE $1 <> g::text";
    bench.run(&format!("UPDATE sys.policies SET query = '{slow}' WHERE name = 'mine'"));
    let cancel = Arc::<CancelFlag>::default();
    let mut session = Session::of_system(bench.database.clone(), cancel.clone());
    let found = block_on(round(&mut session, &cancel, &[(NodeId(1), true)])).expect("a round");
    assert_eq!(found.given, 1);
    assert!(found.problems[0].contains("policy \"mine\""), "{:?}", found.problems);
}

#[test]
fn a_home_that_is_full_holds_up_no_other() {
    let mut bench = Bench::new();
    bench.policy("locality");
    bench.round(&[1, 2]);
    bench.run("UPDATE sys.workers SET capacity = 1");
    bench.run("UPDATE sys.queues SET concurrency = 3");
    bench.run("INSERT INTO sys.tasks (program, home) SELECT 'p', 1 FROM generate_series(1, 9)");
    bench.run("INSERT INTO sys.tasks (program, home) VALUES ('p', 2)");
    bench.round(&[1, 2]);
    assert_eq!(bench.running(), "1 1, 10 2");
}

#[test]
fn what_is_due_later_is_waited_for_behind_what_is_ready_and_not_wanted() {
    let mut bench = Bench::new();
    bench.policy("locality");
    bench.round(&[1, 2]);
    bench.run("UPDATE sys.workers SET capacity = 1");
    bench.run("INSERT INTO sys.tasks (program, home) VALUES ('p', 1)");
    assert_eq!(bench.round(&[1, 2]).given, 1);
    bench.run("INSERT INTO sys.tasks (program, home) VALUES ('p', 1)");
    bench.run("INSERT INTO sys.tasks (program, home, run_at) VALUES ('p', 2, now() + interval '5 s')");
    let due = bench.run("SELECT (EXTRACT(epoch FROM run_at) * 1000000)::bigint FROM sys.tasks WHERE id = 3");
    let round = bench.round(&[1, 2]);
    assert_eq!((round.given, round.next_micros.map(|at| format!("{at}"))), (0, Some(due)));
}

#[test]
fn policies_can_do_with_more_tasks_than_a_statement_has_memory_for() {
    let mut bench = Bench::new();
    bench.round(&[1]);
    for _ in 0..16 {
        bench.run("INSERT INTO sys.tasks (program) SELECT 'p' FROM generate_series(1, 5000)");
    }
    for (capacity, policy) in (1..).zip(["fifo", "least_loaded", "locality", "priority", "fair"]) {
        bench.policy(policy);
        bench.run(&format!("UPDATE sys.workers SET capacity = {capacity}"));
        assert_eq!(bench.round(&[1]), Round { given: 1, ..Round::default() }, "{policy}");
    }
}

#[test]
fn a_queue_with_a_rate_begins_so_many_in_each_period() {
    let mut bench = Bench::new();
    bench.round(&[1]);
    bench.run("UPDATE sys.workers SET capacity = 100");
    assert_eq!(bench.run("UPDATE sys.queues SET rate_limit = 3, rate_period = '1 min'"), "");
    bench.run("INSERT INTO sys.tasks (program) SELECT 'p' FROM generate_series(1, 10)");
    let begin = 1_000_000_000_000_000;
    let mut given = |second: i64| {
        bench.database.set_wall_micros(begin + second * 1_000_000);
        let Round { given, next_micros, .. } = bench.round(&[1]);
        let rest = bench.round(&[1]);
        (given, rest.given, rest.next_micros.or(next_micros).map(|next| (next - begin) / 1_000_000))
    };
    assert_eq!(given(0), (3, 0, Some(20)));
    assert_eq!(given(19), (0, 0, Some(20)));
    assert_eq!(given(20), (1, 0, Some(40)));
    // What was not used in a long time is not saved up.
    assert_eq!(given(1000), (3, 0, Some(1020)));
    assert_eq!(given(1045), (2, 0, Some(1060)));
    assert_eq!(given(1060), (1, 0, None));
    assert_eq!(bench.run("UPDATE sys.queues SET rate_limit = NULL"), "");
    bench.run("INSERT INTO sys.tasks (program) SELECT 'p' FROM generate_series(1, 10)");
    assert_eq!(bench.round(&[1]).given, 10);
    for wrong in ["rate_limit = 0", "rate_period = '0'", "rate_period = '-1 s'"] {
        let error = bench.run(&format!("UPDATE sys.queues SET {wrong}"));
        assert!(error.contains("23514"), "{wrong}: {error}");
    }
}

#[test]
fn queues_of_a_round_share_what_room_there_is() {
    let mut bench = Bench::new();
    bench.round(&[1, 2]);
    bench.run("UPDATE sys.workers SET capacity = 5");
    bench.run("INSERT INTO sys.queues (name, policy, concurrency) SELECT 'q' || g, 'least_loaded', 3 FROM generate_series(1, 40) g");
    bench.run(
        "INSERT INTO sys.tasks (queue, program) SELECT 'q' || g % 40 + 1, 'p' FROM generate_series(1, 400) g",
    );
    let before = bench.run("SELECT sum(round) FROM sys.queues");
    assert_eq!(bench.round(&[1, 2]).given, 10);
    let of_each =
        "SELECT worker, count(*) FROM sys.tasks WHERE state = 'running' GROUP BY worker ORDER BY worker";
    assert_eq!(bench.run(of_each), "1 5, 2 5");
    assert_eq!(before, "0");
    assert_eq!(bench.run("SELECT count(*) FROM sys.queues WHERE round = 1"), "4");
    // A policy that ends the block in which it is asked: what those before it have given is given, and once.
    bench.run("UPDATE sys.workers SET capacity = 7");
    bench.run("INSERT INTO sys.policies (name, query) VALUES ('ends', 'COMMIT')");
    bench.run("UPDATE sys.queues SET policy = 'ends' WHERE name = 'q14'");
    let round = bench.round(&[1, 2]);
    assert_eq!((round.given, round.problems.len()), (1, 1));
    assert_eq!(bench.run("SELECT count(*) FROM sys.tasks WHERE state = 'running'"), "14");
}

#[test]
fn nobody_who_has_changed_a_queue_and_waits_holds_up_the_round() {
    let mut bench = Bench::new();
    bench.round(&[1]);
    bench.run("INSERT INTO sys.queues (name) VALUES ('a'), ('b'), ('c')");
    bench.run("INSERT INTO sys.tasks (queue, program) VALUES ('a', 'p'), ('b', 'p'), ('c', 'p')");
    let mut other = bench.another();
    for sql in ["BEGIN", "UPDATE sys.queues SET paused = paused", "UPDATE sys.tasks SET priority = 1"] {
        assert!(block_on(other.run(sql, Vec::new())).is_ok());
    }
    assert_eq!(bench.round(&[1]).given, 3);
}

#[test]
fn a_queue_that_is_full_takes_no_more_until_there_is_room() {
    let mut bench = Bench::new();
    bench.round(&[1]);
    bench.run("UPDATE sys.workers SET capacity = 2");
    bench.run("INSERT INTO sys.queues (name, capacity) VALUES ('small', 8)");
    let add = |bench: &mut Bench, count: u32| {
        bench.run(&format!(
            "INSERT INTO sys.tasks (queue, program) SELECT 'small', 'p' FROM generate_series(1, {count})"
        ))
    };
    assert_eq!(add(&mut bench, 7), "");
    bench.round(&[1]);
    assert_eq!(add(&mut bench, 1), "");
    bench.round(&[1]);
    assert_eq!(bench.run("SELECT queue FROM sys.full_queues"), "small");
    let refused = "queue \"small\" is full (SQLSTATE 53400)";
    assert_eq!(add(&mut bench, 1), refused);
    // A schedule goes on with its next tick, and others are not in its way.
    bench.run("DELETE FROM sys.schedules");
    bench.run("INSERT INTO sys.schedules (name, cron, program, queue) VALUES ('s', '* * * * * *', 'p', 'small'), ('t', '* * * * * *', 'p', 'default')");
    assert!(block_on(crate::schedules::tick(&mut bench.session)).is_ok());
    bench.database.set_wall_micros(1_000_000_000_000_000 + 1_000_000);
    assert!(block_on(crate::schedules::tick(&mut bench.session)).is_ok());
    assert_eq!(bench.run("SELECT error FROM sys.schedules ORDER BY name"), format!("{refused}, -"));
    bench.run("DELETE FROM sys.schedules");
    // One that has ended is not yet enough room.
    let end = "UPDATE sys.tasks SET state = 'done', ended_at = now() WHERE id = (SELECT min(id) FROM sys.tasks WHERE state = 'running')";
    bench.run(end);
    bench.round(&[1]);
    assert_eq!(add(&mut bench, 1), refused);
    bench.run(end);
    bench.round(&[1]);
    assert_eq!(bench.run("SELECT queue FROM sys.full_queues"), "");
    assert_eq!(add(&mut bench, 2), "");
    bench.round(&[1]);
    assert_eq!(add(&mut bench, 1), refused);
    assert_eq!(bench.run("UPDATE sys.queues SET capacity = NULL"), "");
    bench.round(&[1]);
    assert_eq!(add(&mut bench, 1), "");
}
