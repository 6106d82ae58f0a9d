//! Where leadership is to be, and what is thrown away.

use alloc::sync::Arc;

use cluster_sql::memory::MemoryDatabase;

use super::*;
use crate::SCHEMAS;
use crate::bench::{Bench, block_on, hex};
use crate::worker::tests::Works;

fn avoided(bench: &mut Bench) -> Vec<u8> {
    let placement = block_on(placement(&mut bench.session, &bench.cancel)).expect("readable");
    assert_eq!(placement.problem, None);
    placement.avoided.iter().map(|node| node.0).collect()
}

#[test]
fn the_program_is_what_its_text_says() {
    let module = wat::parse_str(include_str!("statement.wat")).expect("valid");
    let hex = hex(&module);
    assert!(SCHEMA.sql.contains(&format!("'\\x{hex}'")), "it is {hex}");
}

#[test]
fn who_is_preferred_leads_if_it_is_up_and_does_not_drain() {
    let mut bench = Bench::new();
    bench.round(&[1, 2, 3]);
    assert_eq!(avoided(&mut bench), []);
    bench.run("UPDATE sys.workers SET leader_preference = 5 WHERE node = 2");
    assert_eq!(avoided(&mut bench), [1, 3]);
    bench.run("UPDATE sys.workers SET draining = true WHERE node = 2");
    assert_eq!(avoided(&mut bench), [2]);
    bench.run("UPDATE sys.workers SET draining = node = 1");
    bench.round(&[1, 3]);
    assert_eq!(avoided(&mut bench), [1]);
}

#[test]
fn the_placement_is_a_query_that_can_be_another() {
    let mut bench = Bench::new();
    bench.round(&[1, 2, 3]);
    bench.run(
        "UPDATE sys.placements SET query = 'SELECT node FROM sys.workers WHERE node % 2 = 1 ORDER BY 1'",
    );
    assert_eq!(avoided(&mut bench), [1, 3]);
    bench.run("UPDATE sys.placements SET query = 'SELECT 1 / 0'");
    bench.run("UPDATE sys.workers SET draining = true WHERE node = 3");
    let placement = block_on(placement(&mut bench.session, &bench.cancel)).expect("readable");
    assert_eq!(placement.avoided, [NodeId(3)]);
    assert_eq!(placement.problem.as_deref(), Some("placement \"leader\": division by zero (SQLSTATE 22012)"));
    bench.run("DELETE FROM sys.placements");
    assert_eq!(avoided(&mut bench), []);
}

#[test]
fn tasks_that_have_ended_are_kept_as_long_as_is_said() {
    let mut works = Works::new();
    let bench = &mut works.bench;
    bench.run("INSERT INTO sys.queues (name) VALUES ('short'), ('ever')");
    bench.run("INSERT INTO sys.retention (queue, kept) VALUES ('short', '1 h'), ('default', '30 days')");
    bench.run(
        "INSERT INTO sys.tasks (queue, program, state, ended_at) \
         SELECT q, 'p', s, now() - a FROM unnest(ARRAY['default', 'short', 'ever']) q, unnest(ARRAY['done', 'failed']) s, \
         unnest(ARRAY['1 min', '2 h', '31 days']::interval[]) a",
    );
    bench.run("INSERT INTO sys.tasks (queue, program, state, ended_at) SELECT 'short', 'p', 'done', now() - '2 h'::interval \
               FROM generate_series(1, 1500)");
    bench.run("INSERT INTO sys.tasks (program, run_at) VALUES ('waits', 'infinity')");
    bench.run("INSERT INTO sys.tasks (queue, program, version, arguments) SELECT queue, program, version, arguments \
               FROM sys.schedules WHERE name = 'sys.upkeep.tasks'");
    let left =
        "SELECT queue, count(*) FROM sys.tasks WHERE queue <> 'sys.upkeep' GROUP BY queue ORDER BY queue";
    assert_eq!(bench.run(left), "default 7, ever 6, short 1506");
    for _ in 0..9 {
        works.work();
    }
    assert_eq!(works.bench.run(left), "default 5, ever 6, short 2");
    let chore = "SELECT state, attempt, failures, error FROM sys.tasks WHERE queue = 'sys.upkeep'";
    // Seven full batches of one queue, the rest, and once more to find nothing.
    assert_eq!(works.bench.run(chore), "done 9 0 -");
    let refused = works.bench.run("UPDATE sys.retention SET kept = '300000 years'");
    assert!(refused.contains("23514"), "{refused}");
}

#[test]
fn names_that_are_taken_are_left_alone() {
    let database = MemoryDatabase::new(1_000_000_000_000_000);
    let mut session = Session::of_system(database, Arc::default());
    let before = SCHEMAS.iter().filter(|schema| schema.number != SCHEMA.number).copied();
    assert_eq!(block_on(session.install(&before.collect::<Vec<_>>())), Ok(true));
    for sql in [
        "INSERT INTO sys.programs (name, module) VALUES ('sys.upkeep', 'mine')",
        "INSERT INTO sys.queues (name) VALUES ('sys.upkeep')",
        "INSERT INTO sys.schedules (name, cron, program) VALUES ('sys.upkeep.tasks', '* * * * *', 'mine')",
    ] {
        block_on(session.run(sql, Vec::new())).expect(sql);
    }
    assert_eq!(block_on(session.install(SCHEMAS)), Ok(true));
    let module = block_on(session.run("SELECT module FROM sys.programs", Vec::new())).expect("a row");
    assert_eq!(module.value(), Some(&Datum::Bytea(b"mine".as_slice().into())));
}

#[test]
fn a_placement_without_an_end_is_stopped() {
    let mut bench = Bench::new();
    bench.round(&[1]);
    let endless = "WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a FROM n) SELECT a FROM n WHERE a = 2";
    bench.run(&format!("UPDATE sys.placements SET query = '{endless}'"));
    let found = block_on(placement(&mut bench.session, &bench.cancel)).expect("readable");
    assert!(found.problem.is_some_and(|problem| problem.contains("57014")));
}

/// So that it neither reads all tasks nor meets a conflict with those that end.
#[test]
fn what_is_to_go_is_found_by_when_it_has_ended() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.tasks (program) SELECT 'p' FROM generate_series(1, 5000)");
    bench.run("ANALYZE");
    let body = bench.run("SELECT prosrc FROM pg_proc WHERE proname = 'forget_tasks'");
    let plan =
        bench.run(&format!("EXPLAIN {}", body.replace("of_queue", "'default'").replace("before", "now()")));
    assert!(plan.contains("Range scan of tasks by tasks_ended") && !plan.contains("Scan of tasks"), "{plan}");
}
