//! Where leadership is to be, and what is thrown away.

use alloc::string::String;
use core::fmt::Write;

use super::*;
use crate::bench::{Bench, block_on};

fn avoided(bench: &mut Bench) -> Vec<u8> {
    let placement = block_on(placement(&mut bench.session)).expect("readable");
    assert_eq!(placement.problem, None);
    placement.avoided.iter().map(|node| node.0).collect()
}

#[test]
fn the_program_is_what_its_text_says() {
    let module = wat::parse_str(include_str!("statement.wat")).expect("valid");
    let hex = module.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes all");
        hex
    });
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
    let placement = block_on(placement(&mut bench.session)).expect("readable");
    assert_eq!(placement.avoided, [NodeId(3)]);
    assert_eq!(placement.problem.as_deref(), Some("placement \"leader\": division by zero (SQLSTATE 22012)"));
    bench.run("DELETE FROM sys.placements");
    assert_eq!(avoided(&mut bench), []);
}

#[test]
fn tasks_that_have_ended_are_kept_as_long_as_their_queue_says() {
    let mut bench = Bench::new();
    bench.run("INSERT INTO sys.queues (name, kept) VALUES ('short', '1 h'), ('ever', NULL)");
    bench.run(
        "INSERT INTO sys.tasks (queue, program, state, ended_at) \
         SELECT q, 'p', s, now() - a FROM unnest(ARRAY['default', 'short', 'ever']) q, unnest(ARRAY['done', 'failed']) s, \
         unnest(ARRAY['1 min', '2 h', '31 days']::interval[]) a",
    );
    bench.run("INSERT INTO sys.tasks (program, created_at) VALUES ('waits', now() - '1 year'::interval)");
    let statement = bench.run("SELECT arguments #>> '{}' FROM sys.schedules WHERE name = 'upkeep.tasks'");
    assert_eq!(bench.run(&statement), "");
    let left = "SELECT queue, count(*) FROM sys.tasks GROUP BY queue ORDER BY queue";
    assert_eq!(bench.run(left), "default 5, ever 6, short 2");
}
