//! Programs that mean harm, all at once: each ends with an error that says what it did, nothing of it is left, and those beside
//! it are done.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::Pin;

use cluster_sql::database::Database;

use super::steps::{INSERT, program};
use super::tests::{FOR_EVER, STATEMENT, Works};
use super::*;
use crate::bench::{block_on, poll};

/// A program that has inserted a row when it does harm.
fn then(harm: &str) -> String {
    program(INSERT, &format!("(drop (call $do (i32.const 16) (i32.const {}))) {harm}", INSERT.len()))
}

/// A module without imports, with these functions.
fn bare(functions: &str) -> String {
    format!(r#"(module (memory (export "memory") 1) {functions})"#)
}

/// Modules that are not run; what is said of them behind the name of the program.
fn not_run() -> Vec<(Vec<u8>, &'static str)> {
    let text = |text: &str| wat::parse_str(text).expect("a module");
    let whole = text(STATEMENT);
    let imports = |import: &str| {
        text(&format!(r#"(module {import} (memory (export "memory") 1) (func (export "run")))"#))
    };
    [
        (
            b"garbage".to_vec(),
            "this is no WebAssembly module of version 1: give it what a compiler for wasm32 has written",
        ),
        (
            Vec::new(),
            "this is no WebAssembly module of version 1: give it what a compiler for wasm32 has written",
        ),
        (
            whole[..whole.len() / 2].to_vec(),
            "the module cannot be run: unexpected end-of-file (at offset 0x98)",
        ),
        (
            imports(r#"(import "relix" "sql" (func (param i64)))"#),
            "the module imports relix.sql as if it were of another type: it is (i32, i32, i32, i32) -> i32",
        ),
        (
            imports(r#"(import "env" "abort" (func))"#),
            "the module imports env.abort: there are only the functions of module \"relix\"",
        ),
        (
            imports(r#"(import "relix" "sql" (func (param i32 i32 i32 i32) (result i32)))"#),
            "the module imports relix.sql, which needs the privilege \"sql\"",
        ),
        (
            text(&bare("(func $f (export \"run\")) (start $f)")),
            "the module has a start function: export it, and call it where the program begins",
        ),
        (text("(module (func (export \"run\")))"), "the module exports no memory named \"memory\""),
        (text(&bare(&"(func)".repeat(10_001))), "the module has more than 10000 functions"),
    ]
    .into()
}

/// Programs that are run, with what more their rows say, and what each ends with.
fn run_badly() -> Vec<(String, &'static str, &'static str)> {
    let insert_many = "INSERT INTO t SELECT -1 FROM generate_series(1, 50000)";
    let without_end = |statement: &str| {
        let body = format!("(loop (drop (call $do (i32.const 16) (i32.const {}))) (br 0))", statement.len());
        program(statement, &body)
    };
    let double = "INSERT INTO v SELECT coalesce((SELECT a || a FROM v ORDER BY length(a) DESC LIMIT 1), repeat('x', 1000))";
    let out_of_fuel = "the program used up all its fuel: 100000 at most";
    let fuel = ", fuel_max=, 100000";
    [
        (then("(loop (br 0))"), fuel, out_of_fuel),
        (then("(loop (drop (memory.grow (i32.const 1))) (br 0))"), fuel, out_of_fuel),
        (then("(loop (call $result (i32.const 0) (i32.const 1)) (br 0))"), fuel, out_of_fuel),
        (without_end(INSERT), fuel, out_of_fuel),
        (without_end(insert_many), "", "the program failed: the transaction writes more than the limit of 8388608 bytes, or 262144 rows (SQLSTATE 54000)"),
        (without_end(double), "", "the program failed: a row of 2048006 bytes exceeds the limit of 1048576 bytes (SQLSTATE 54000)"),
        (bare("(func $f (export \"run\") (call $f))"), "", "the program has too many calls in one another: 10000 at most, with 1048576 bytes of locals"),
        (then("unreachable"), "", "the program panicked: it came to an unreachable instruction"),
        (then("(call $result (i32.const -1) (i32.const 8))"), "", "the program gave relix.result a range that is not in its memory"),
        (then("(i32.store8 (i32.const 0) (i32.const 255)) (call $result (i32.const 0) (i32.const 1))"), "", "the program gave relix.result a text that is not UTF-8"),
        (then("(drop (memory.grow (i32.const 32))) (drop (call $sql (i32.const 0) (i32.const 1048577) (i32.const 0) (i32.const 0)))"), "", "the program gave relix.sql a text that is too long: 1048576 bytes at most"),
        (then("(drop (memory.grow (i32.const 32))) (call $result (i32.const 0) (i32.const 262145))"), "", "the program gave relix.result a text that is too long: 262144 bytes at most"),
        (then("(drop (call $step (i32.const 0) (i32.const 1)))"), "", "a program that has steps runs its statements within them: call step before, and step_done behind them"),
        (r#"(module (memory (export "memory") 4096) (func (export "run")))"#.into(), ", memory_max=, 1073741824", "the program begins with 268435456 bytes of memory, and may have 100663296"),
    ]
    .into()
}

/// Statements, and what the program that runs each ends with.
const STATEMENTS: [(&str, &str); 13] = [
    (
        "INSERT INTO v SELECT repeat('x', 1073741824)",
        "a text of 1073741824 bytes exceeds the limit of 8388608 bytes (SQLSTATE 54000)",
    ),
    (
        "SELECT repeat('x', 1073741824)",
        "a text of 1073741824 bytes exceeds the limit of 8388608 bytes (SQLSTATE 54000)",
    ),
    (
        "INSERT INTO v SELECT string_agg(repeat('x', 1000000), '') FROM generate_series(1, 1074)",
        "a text of 9000000 bytes exceeds the limit of 8388608 bytes (SQLSTATE 54000)",
    ),
    (
        "INSERT INTO v SELECT repeat('x', 2000000)",
        "a row of 2000006 bytes exceeds the limit of 1048576 bytes (SQLSTATE 54000)",
    ),
    (
        "SELECT g FROM generate_series(1, 1000000000) g",
        "the rows take more than the 4194304 bytes that a program is given at once (SQLSTATE 54000)",
    ),
    (
        "SELECT array_agg(g) FROM generate_series(1, 1000000000) g",
        "the statement needs more than the limit of 67108864 bytes of memory (SQLSTATE 53200)",
    ),
    (
        "INSERT INTO sys.tasks (program) SELECT 'statement' FROM generate_series(1, 1000000)",
        "the statement needs more than the limit of 67108864 bytes of memory (SQLSTATE 53200)",
    ),
    (
        "INSERT INTO sys.messages (mailbox) SELECT 'm' FROM generate_series(1, 1000000)",
        "the statement needs more than the limit of 67108864 bytes of memory (SQLSTATE 53200)",
    ),
    ("CREATE TABLE sys.mine (a integer)", "permission denied for schema sys (SQLSTATE 42501)"),
    ("DROP TABLE sys.tasks", "cannot drop table tasks because other objects depend on it (SQLSTATE 2BP01)"),
    ("ALTER TABLE sys.workers ADD COLUMN mine integer", "permission denied for schema sys (SQLSTATE 42501)"),
    (
        "INSERT INTO sys.workers (node) VALUES (-1), (NULL)",
        "null value in column \"node\" of relation \"workers\" violates not-null constraint (SQLSTATE 23502)",
    ),
    ("COMMIT", "a program cannot run this statement (SQLSTATE 0A000)"),
];

impl Works {
    /// Every task that is ready runs to its end, a little of each at a time.
    fn work_at_once(&mut self) {
        self.bench.round(&[1]);
        let begun = block_on(self.worker.look()).expect("a look");
        let mut running: Vec<Pin<Box<_>>> =
            begun.into_iter().map(|begun| Box::pin(self.worker.run(begun))).collect();
        while !running.is_empty() {
            running.retain_mut(|run| poll(run.as_mut()).is_pending());
        }
    }
}

#[test]
fn what_means_harm_fails_alone_and_leaves_nothing() {
    let mut works = Works::new();
    works.bench.run("CREATE TABLE v (a text)");
    works.bench.run("INSERT INTO sys.mailboxes (name) VALUES ('m')");
    works.bench.run("UPDATE sys.queues SET concurrency = 256");
    let mut expected = Vec::new();
    for (at, (module, error)) in not_run().into_iter().enumerate() {
        let name = format!("not run {at}");
        works.add_module(&name, &module, ", privileges=, 'log'");
        works.task(&name, "");
        expected.push(format!("program \"{name}\", version 1: {error}"));
    }
    for (at, (text, more, error)) in run_badly().into_iter().enumerate() {
        let name = format!("run badly {at}");
        works.add(&name, &text, more);
        works.task(&name, "");
        expected.push(error.into());
    }
    for (statement, error) in STATEMENTS {
        works.task("statement", statement);
        expected.push(format!("the program failed: {error}"));
    }
    let programs = works.bench.run("SELECT count(*) FROM sys.programs");
    let neighbours = 20;
    (0..neighbours).for_each(|at| works.task("statement", &format!("INSERT INTO t VALUES ({at})")));
    works.bench.round(&[1]);
    works.bench.run("UPDATE sys.workers SET capacity = 256");
    works.work_at_once();
    works.work_at_once();
    for (at, error) in expected.iter().enumerate() {
        let ended =
            works.bench.run(&format!("SELECT state || ' ' || error FROM sys.tasks WHERE id = {}", at + 1));
        assert_eq!(ended, format!("failed {error}"));
    }
    assert_eq!(
        works.bench.run("SELECT count(*) FROM sys.tasks WHERE state = 'done'"),
        format!("{neighbours}")
    );
    assert_eq!(
        works.bench.run("SELECT count(*), min(a), max(a) FROM t"),
        format!("{neighbours} 0 {}", neighbours - 1)
    );
    let left = "SELECT (SELECT count(*) FROM sys.tasks), (SELECT count(*) FROM v), (SELECT count(*) FROM sys.messages), \
                (SELECT count(*) FROM sys.steps), (SELECT count(*) FROM sys.programs), (SELECT count(*) FROM sys.workers)";
    assert_eq!(works.bench.run(left), format!("{} 0 0 0 {programs} 1", expected.len() + neighbours));
    assert_eq!(works.bench.database.memory().left(), works.bench.database.memory().size());
}

#[test]
fn what_would_take_for_ever_is_stopped_by_its_timeout() {
    let mut works = Works::new();
    works.add("for ever", FOR_EVER, "");
    works.task("for ever", "");
    works.task(
        "statement",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT count(*) FROM r",
    );
    works.task("statement", "SELECT count(*) FROM generate_series(1, 9000000000000) g");
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.bench.round(&[1]);
    let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
    works.worker.advance(at(1));
    let begun = block_on(works.worker.look()).expect("a look");
    let mut running: Vec<Pin<Box<_>>> =
        begun.into_iter().map(|begun| Box::pin(works.worker.run(begun))).collect();
    for turn in 0..1000 {
        running.retain_mut(|run| poll(run.as_mut()).is_pending());
        if turn == 200 {
            works.worker.advance(at(61));
        }
    }
    assert!(running.is_empty());
    drop(running);
    let stopped = "failed it took longer than its timeout, ";
    assert_eq!(works.states(), stopped.repeat(3) + "done -");
}

#[test]
fn who_sleeps_until_what_is_past_comes_behind_those_who_are_due() {
    let mut works = Works::new();
    works.bench.run("INSERT INTO sys.mailboxes (name) VALUES ('a')");
    works.bench.run("SELECT sys.send('a', '1')");
    works.add("sleeps", &program("", "(call $sleep_until (i64.const -9223372036854775807))"), "");
    works.add("waits", &program("", "(call $wait_for (i32.const 0) (i32.const 1) (i64.const 0))"), "");
    works.bench.run("INSERT INTO sys.tasks (program) SELECT p FROM generate_series(1, 16), unnest(ARRAY['sleeps', 'waits']) p");
    for _ in 0..8 {
        works.work();
    }
    works.task("statement", "INSERT INTO t VALUES (1)");
    works.work();
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
    assert_eq!(works.bench.run("SELECT sum(failures) FROM sys.tasks"), "0");
}

#[test]
fn who_makes_two_of_itself_takes_no_more_than_its_turns() {
    let mut works = Works::new();
    let twice = "INSERT INTO sys.tasks (program) SELECT 'twice' FROM generate_series(1, 2)";
    works.add(
        "twice",
        &program(twice, &format!("(drop (call $do (i32.const 16) (i32.const {})))", twice.len())),
        "",
    );
    works.bench.run("INSERT INTO sys.tasks (program) VALUES ('twice')");
    for _ in 0..8 {
        works.work();
    }
    let ready = works.bench.run("SELECT count(*) FROM sys.tasks WHERE state = 'ready'");
    let ready: usize = ready.parse().expect("a number");
    assert!(ready > 8, "{ready}");
    works.task("statement", "INSERT INTO t VALUES (1)");
    // Eight at a time, those that came before it first.
    for _ in 0..=ready / 8 {
        works.work();
    }
    assert_eq!(works.bench.run("SELECT a FROM t"), "1");
}

#[test]
fn a_program_logs_as_much_as_is_read() {
    let mut works = Works::new();
    let talks = r#"(module (import "relix" "log" (func $log (param i32 i32 i32))) (memory (export "memory") 1)
        (func (export "run") (local $line i32)
            (loop (call $log (i32.const 1) (i32.const 0) (i32.const 65536))
                (br_if 0 (i32.lt_u (local.tee $line (i32.add (local.get $line) (i32.const 1))) (i32.const 5000))))))"#;
    works.add("talks", talks, "");
    works.task("talks", "");
    works.work();
    assert_eq!(works.states(), "done -");
    let lines = works.worker.take_lines();
    assert_eq!(lines.len(), 100);
    assert!(lines.iter().all(|(_, line)| line.len() == 4096));
}

#[test]
fn memory_that_others_hold_puts_a_task_off_and_not_for_ever() {
    let mut works = Works::new();
    let grows = bare(
        "(func (export \"run\") (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable)))",
    );
    works.add("grows", &grows, "");
    works.task("grows", "");
    works.task("statement", "INSERT INTO t VALUES (1)");
    let mut others = works.bench.database.memory().lease();
    others.resize(works.bench.database.memory().size() - (1 << 20)).expect("all that there is");
    works.work();
    let tasks = "SELECT state, attempt, failures, error FROM sys.tasks ORDER BY id";
    let short = "there is not enough memory left to run the program (SQLSTATE 53000)";
    assert_eq!(works.bench.run(tasks), format!("ready 1 0 {short}, done 1 0 -"));
    // It is given another chance, and then has what it needs.
    others.resize(0).expect("less");
    works.bench.database.set_wall_micros(1_000_000_000_000_000 + 300_000);
    works.work();
    assert_eq!(works.bench.run(tasks), "done 2 0 -, done 1 0 -");
    // A task that was alone has itself to blame, and after so many attempts there is no more patience with others.
    works.bench.run("DELETE FROM sys.tasks");
    works.task("grows", "");
    works.bench.run("UPDATE sys.tasks SET attempt = 50");
    others.resize(works.bench.database.memory().size() - (1 << 20)).expect("all that there is");
    works.work();
    assert_eq!(works.bench.run(tasks), format!("failed 51 1 {short}"));
}
