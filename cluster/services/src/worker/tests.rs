//! Attempts at tasks, and what befalls them, on a database in memory.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::pin;
use core::task::Poll;

use cluster_sql::memory::MemoryDatabase;

use super::*;
use crate::bench::{Bench, block_on, hex, poll};

/// Runs the statement that its arguments are.
pub(crate) const STATEMENT: &str = include_str!("../../../tasks/examples/statement.wat");

pub(crate) const FOR_EVER: &str =
    r#"(module (memory (export "memory") 1) (func (export "run") (loop (br 0))))"#;

pub(crate) struct Works {
    pub(crate) bench: Bench,
    pub(crate) worker: Worker<MemoryDatabase>,
}

impl Works {
    pub(crate) fn new() -> Works {
        let mut bench = Bench::new();
        bench.run("CREATE TABLE t (a integer)");
        let worker = Worker::new(bench.database.clone(), NodeId(1));
        let mut works = Works { bench, worker };
        works.add("statement", STATEMENT, "");
        works
    }

    /// Adds a program; `columns` are more of its row.
    pub(crate) fn add(&mut self, name: &str, text: &str, more: &str) {
        self.add_module(name, &wat::parse_str(text).expect("valid"), more);
    }

    pub(crate) fn add_module(&mut self, name: &str, module: &[u8], more: &str) {
        let hex = hex(module);
        let (columns, values) = more.split_once('=').unwrap_or_default();
        let added = self.bench.run(&format!(
            "INSERT INTO sys.programs (name, module {columns}) VALUES ('{name}', '\\x{hex}' {values})"
        ));
        assert_eq!(added, "");
    }

    /// Gives the cluster a task that runs `program` on a statement.
    pub(crate) fn task(&mut self, program: &str, statement: &str) {
        let statement = statement.replace('\'', "''");
        let added = self.bench.run(&format!(
            "INSERT INTO sys.tasks (program, arguments, attempts_max) VALUES ('{program}', '\"{statement}\"', 1)"
        ));
        assert_eq!(added, "");
    }

    /// Everything that is ready runs to its end.
    pub(crate) fn work(&mut self) {
        self.bench.round(&[1]);
        for begun in block_on(self.worker.look()).expect("a look") {
            block_on(self.worker.run(begun)).expect("nothing in the way");
        }
    }

    pub(crate) fn states(&mut self) -> String {
        self.bench.run("SELECT state, error FROM sys.tasks ORDER BY id")
    }
}

#[test]
fn a_task_does_what_it_does_with_the_end_of_its_row() {
    let mut works = Works::new();
    works.task("statement", "INSERT INTO t VALUES (1) RETURNING a, 'x' AS b, NULL AS c");
    works.work();
    assert_eq!(works.states(), "done -");
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
    assert_eq!(
        works.bench.run("SELECT result FROM sys.tasks"),
        r#"{"columns":["a","b","c"],"rows":[[1,"x",null]],"count":1}"#
    );
    works.work();
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
}

#[test]
fn a_program_that_fails_leaves_nothing_and_its_neighbours_are_unharmed() {
    let mut works = Works::new();
    let deep = r#"(module (memory (export "memory") 1) (func $f (export "run") (call $f)))"#;
    let big = r#"(module (memory (export "memory") 1)
        (func (export "run") (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))"#;
    let wild =
        r#"(module (memory (export "memory") 1) (func (export "run") (drop (i32.load (i32.const -4)))))"#;
    let asks = r#"(module (import "relix" "log" (func (param i32 i32 i32))) (memory (export "memory") 1)
        (func (export "run")))"#;
    works.add("for ever", FOR_EVER, ", fuel_max=, 1000000");
    works.add("deep", deep, "");
    works.add("big", big, "");
    works.add("wild", wild, "");
    works.add("asks", asks, ", privileges=, 'sql'");
    works.add_module("garbage", b"garbage", "");
    for program in ["for ever", "deep", "big", "wild", "asks", "garbage", "missing"] {
        works.task(program, "");
    }
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.task("statement", "INSERT INTO nothing VALUES (1)");
    // A row that is longer than rows may be.
    works.task("statement", "CREATE TABLE long AS SELECT repeat('x', 2000000) AS a");
    works.bench.run("UPDATE sys.workers SET capacity = 20");
    for _ in 0..2 {
        works.work();
    }
    let states = [
        "failed the program used up all its fuel: 1000000 at most",
        "failed the program has too many calls in one another: 10000 at most, with 1048576 bytes of locals",
        "failed the program panicked: it came to an unreachable instruction",
        "failed the program read or wrote outside its memory",
        "failed program \"asks\", version 1: the module imports relix.log, which needs the privilege \"log\"",
        "failed program \"garbage\", version 1: this is no WebAssembly module of version 1: \
         give it what a compiler for wasm32 has written",
        "failed there is no program \"missing\"",
        "done -",
        "failed the program failed: relation \"nothing\" does not exist (SQLSTATE 42P01)",
        "failed the program failed: a row of 2000006 bytes exceeds the limit of 1048576 bytes (SQLSTATE 54000)",
    ];
    assert_eq!(works.states(), states.join(", "));
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
}

#[test]
fn a_program_cannot_end_its_transaction_or_change_its_session() {
    let mut works = Works::new();
    let statements =
        ["COMMIT", "ROLLBACK", "BEGIN", "SET search_path = sys", "DISCARD ALL", "SAVEPOINT a", "BACKUP"];
    for statement in statements {
        works.task("statement", statement);
    }
    works.task("statement", "SELECT set_config('search_path', 'sys', false)");
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.bench.run("UPDATE sys.workers SET capacity = 1");
    works.bench.round(&[1]);
    for _ in 0..20 {
        works.bench.run("UPDATE sys.workers SET capacity = 1");
        works.work();
    }
    let refused = "failed the program failed: a program cannot run this statement (SQLSTATE 0A000), ";
    assert_eq!(works.states(), refused.repeat(statements.len()) + "done -, done -");
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
}

#[test]
fn a_task_that_takes_too_long_is_stopped_and_one_that_is_cancelled_does_nothing() {
    let mut works = Works::new();
    works.add("for ever", FOR_EVER, "");
    works.task("for ever", "");
    works.task("for ever", "");
    works.bench.round(&[1]);
    let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
    assert_eq!(works.worker.advance(at(10)), None);
    let begun = block_on(works.worker.look()).expect("a look");
    let mut running: Vec<_> = begun.into_iter().map(|begun| Box::pin(works.worker.run(begun))).collect();
    for _ in 0..5 {
        assert!(running.iter_mut().all(|run| poll(run.as_mut()).is_pending()));
    }
    assert_eq!(works.worker.advance(at(20)), Some(at(70)));
    works.bench.run("UPDATE sys.tasks SET state = 'cancelled' WHERE id = 2");
    assert!(block_on(works.worker.look()).expect("a look").is_empty());
    let mut cancelled = running.pop().expect("two");
    assert_eq!(block_on(cancelled.as_mut()), Ok(false));
    assert!(poll(running[0].as_mut()).is_pending());
    works.worker.advance(at(70));
    assert_eq!(block_on(running[0].as_mut()), Ok(true));
    drop((running, cancelled));
    assert_eq!(works.states(), "failed it took longer than its timeout, cancelled -");
}

#[test]
fn a_task_that_was_given_to_another_worker_meanwhile_is_done_there_alone() {
    let mut works = Works::new();
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.bench.round(&[1]);
    let begun = block_on(works.worker.look()).expect("a look").pop().expect("one");
    // Lost, as others see it, before the attempt has read anything, and while it runs.
    let mut run = pin!(works.worker.run(begun));
    works.bench.round(&[2]);
    assert_eq!(works.bench.run("SELECT state, worker FROM sys.tasks"), "running 2");
    let run = loop {
        if let Poll::Ready(run) = poll(run.as_mut()) {
            break run;
        }
    };
    assert_eq!(run, Ok(false));
    assert_eq!(works.bench.run("SELECT count(*) FROM t"), "0");
    assert_eq!(works.bench.run("SELECT state, worker FROM sys.tasks"), "running 2");
}

#[test]
fn a_task_sleeps_without_a_worker_and_is_run_again() {
    let mut works = Works::new();
    let sleeper = r#"(module
        (import "relix" "time" (func $time (result i64)))
        (import "relix" "sleep_until" (func $sleep_until (param i64)))
        (memory (export "memory") 1)
        (func (export "run")
          (if (i64.lt_u (call $time) (i64.const 1000000005000000))
            (then (call $sleep_until (i64.const 1000000005000000))))))"#;
    works.add("sleeper", sleeper, "");
    works.task("sleeper", "");
    works.work();
    assert_eq!(
        works.bench.run("SELECT state, worker, extract(epoch FROM run_at)::bigint FROM sys.tasks"),
        "ready - 1000000005"
    );
    works.bench.database.set_wall_micros(1_000_000_005_000_000);
    works.work();
    assert_eq!(works.bench.run("SELECT state, attempt, failures FROM sys.tasks"), "done 2 0");
}

#[test]
fn a_new_version_is_what_tasks_run_unless_they_say_which() {
    let mut works = Works::new();
    works.add("statement", FOR_EVER, ", version, fuel_max=, 2, 1000");
    works.task("statement", "INSERT INTO t VALUES (2)");
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.bench.run("UPDATE sys.tasks SET version = 1 WHERE id = 2");
    works.work();
    assert_eq!(works.bench.run("SELECT state FROM sys.tasks ORDER BY id"), "failed, done");
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
}

#[test]
fn a_failure_counts_against_the_attempt_that_has_failed_alone() {
    let mut works = Works::new();
    works.add("for ever", FOR_EVER, "");
    works.task("for ever", "");
    works.bench.round(&[1]);
    works.worker.advance(Instant::ZERO);
    let begun = block_on(works.worker.look()).expect("a look").pop().expect("one");
    let mut run = pin!(works.worker.run(begun));
    for _ in 0..5 {
        assert!(poll(run.as_mut()).is_pending());
    }
    // It is taken away and given to the same worker anew, before the attempt is stopped.
    works.bench.run("UPDATE sys.tasks SET attempt = attempt + 1");
    works.worker.advance(Instant::from_nanos(61_000_000_000));
    assert_eq!(block_on(run.as_mut()), Ok(false));
    assert_eq!(works.bench.run("SELECT state, attempt, failures FROM sys.tasks"), "running 2 0");
}

#[test]
fn a_task_leaves_room_in_its_row_for_how_it_ends() {
    let mut works = Works::new();
    let long = r#"(module
        (import "relix" "result" (func $result (param i32 i32)))
        (memory (export "memory") 16)
        (func (export "run")
          (memory.fill (i32.const 0) (i32.const 120) (i32.const 200000))
          (call $result (i32.const 0) (i32.const 200000))))"#;
    works.add("long", long, "");
    let mut add = |program: &str, len: usize| {
        let arguments = format!("to_jsonb(repeat('x', {len}))");
        works.bench.run(&format!(
            "INSERT INTO sys.tasks (program, arguments, attempts_max) VALUES ('{program}', {arguments}, 1)"
        ))
    };
    // The names and the quotes count.
    assert!(add("missing", 983_040 - 11).contains("tasks_are_not_too_long"));
    assert_eq!(add("missing", 983_040 - 12), "");
    assert_eq!(add("long", 983_000), "");
    works.work();
    let errors = works.bench.run("SELECT error FROM sys.tasks ORDER BY id");
    let (missing, long) = errors.split_once(", ").expect("two");
    assert_eq!(missing, "there is no program \"missing\"");
    assert!(long.starts_with("a row of ") && long.contains("exceeds the limit"), "{long}");
}

#[test]
fn an_error_is_as_long_as_anybody_reads() {
    let mut works = Works::new();
    // One that repeats all of this.
    works.task("statement", &format!("SELECT integer 'é{}'", "é".repeat(10_000)));
    works.work();
    assert_eq!(works.bench.run("SELECT octet_length(error) BETWEEN 4095 AND 4096 FROM sys.tasks"), "t");
}

#[test]
fn a_module_that_is_replaced_under_its_version_is_the_new_one() {
    let mut works = Works::new();
    works.add("one", STATEMENT, "");
    works.task("one", "INSERT INTO t VALUES (1)");
    works.work();
    works.bench.run("UPDATE sys.programs SET module = '\\x00' WHERE name = 'one'");
    works.worker.programs_changed(
        block_on(cluster_sql::database::Database::snapshot(&works.bench.database, Freshness::Local))
            .expect("a snapshot")
            .version(),
    );
    works.task("one", "INSERT INTO t VALUES (2)");
    works.work();
    assert!(
        works
            .states()
            .starts_with("done -, failed program \"one\", version 1: this is no WebAssembly module")
    );
}

#[test]
fn a_worker_that_holds_begins_nothing_and_goes_on_when_it_does_not() {
    let mut works = Works::new();
    works.bench.round(&[1]);
    works.bench.run("UPDATE sys.workers SET holding = true");
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.work();
    assert_eq!(works.bench.run("SELECT state, worker FROM sys.tasks"), "running 1");
    assert_eq!(works.bench.run("SELECT a FROM t"), "");
    works.bench.run("UPDATE sys.workers SET holding = false");
    works.work();
    assert_eq!(works.states(), "done -");
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
}
