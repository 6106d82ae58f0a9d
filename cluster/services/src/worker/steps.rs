//! Programs that do more than fits one transaction: steps, and waiting for messages.

use alloc::format;

use super::tests::Works;
use crate::bench::block_on;

/// Asks for statements by number: `$do` runs the one at an address and fails if it does; `$once` does it as a step.
const LIBRARY: &str = r#"
    (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
    (import "relix" "step" (func $step (param i32 i32) (result i32)))
    (import "relix" "step_done" (func $step_done (param i32 i32)))
    (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
    (import "relix" "result" (func $result (param i32 i32)))
    (import "relix" "fail" (func $fail (param i32 i32)))
    (import "relix" "time" (func $time (result i64)))
    (import "relix" "sleep_until" (func $sleep_until (param i64)))
    (import "relix" "wait_for" (func $wait_for (param i32 i32 i64)))
    (memory (export "memory") 1)
    (func $do (param $at i32) (param $len i32) (result i32) (local $got i32)
        (local.set $got (call $sql (local.get $at) (local.get $len) (i32.const 0) (i32.const 0)))
        (if (i32.lt_s (local.get $got) (i32.const 0)) (then
            (local.set $got (i32.sub (i32.const 0) (local.get $got)))
            (drop (call $response_read (i32.const 8192) (i32.const 0) (local.get $got)))
            (call $fail (i32.const 8192) (local.get $got))))
        (local.get $got))
    (func $once (param $name i32) (param $at i32) (param $len i32)
        (if (i32.eq (call $step (local.get $name) (i32.const 1)) (i32.const -1)) (then
            (drop (call $do (local.get $at) (local.get $len)))
            (call $step_done (local.get $name) (i32.const 1)))))
"#;

/// A program whose entry does this; its memory begins with "abc" and, from 16 on, with a statement.
pub(super) fn program(statement: &str, body: &str) -> alloc::string::String {
    format!(
        "(module {LIBRARY} (data (i32.const 0) \"abc\") (data (i32.const 16) \"{statement}\") \
         (func (export \"run\") (local $got i32) {body}))"
    )
}

pub(super) const INSERT: &str = "INSERT INTO t VALUES (1)";

#[test]
fn steps_are_done_once_however_often_the_task_is_begun() {
    let mut works = Works::new();
    // It fails behind its second step for as long as the table has no third row.
    let statement = "SELECT 1 / (SELECT count(*) / 3 FROM t)";
    let body = format!(
        r#"(call $once (i32.const 0) (i32.const 16) (i32.const {len}))
        (call $once (i32.const 1) (i32.const 16) (i32.const {len}))
        (call $once (i32.const 2) (i32.const 1024) (i32.const {check}))
        (call $result (i32.const 0) (i32.const 3))"#,
        len = INSERT.len(),
        check = statement.len()
    );
    let text = program(INSERT, &body).replacen(
        "(func (export",
        &format!("(data (i32.const 1024) \"{statement}\") (func (export"),
        1,
    );
    works.add("steps", &text, "");
    works.bench.run("INSERT INTO sys.tasks (program, attempts_max, backoff) VALUES ('steps', 9, '0')");
    works.work();
    assert_eq!(works.bench.run("SELECT state, failures FROM sys.tasks"), "ready 1");
    assert_eq!(works.bench.run("SELECT name, result FROM sys.steps ORDER BY name"), "a a, b b");
    works.work();
    assert_eq!(works.bench.run("SELECT count(*) FROM t"), "2");
    works.bench.run(INSERT);
    works.work();
    assert_eq!(works.states(), "done -");
    assert_eq!(works.bench.run("SELECT count(*) FROM t"), "3");
    assert_eq!(works.bench.run("SELECT result FROM sys.tasks"), "abc");
    works.bench.run("DELETE FROM sys.tasks");
    assert_eq!(works.bench.run("SELECT count(*) FROM sys.steps"), "0");
}

#[test]
fn what_steps_must_not_do_is_said() {
    let mut works = Works::new();
    let len = INSERT.len();
    let bodies = [
        format!(
            "(call $once (i32.const 0) (i32.const 16) (i32.const {len})) (drop (call $do (i32.const 16) (i32.const {len})))"
        ),
        format!(
            "(drop (call $do (i32.const 16) (i32.const {len}))) (drop (call $step (i32.const 0) (i32.const 1)))"
        ),
        "(drop (call $step (i32.const 0) (i32.const 1))) (drop (call $step (i32.const 1) (i32.const 1)))"
            .into(),
        "(drop (call $step (i32.const 0) (i32.const 1)))".into(),
        "(call $step_done (i32.const 0) (i32.const 1))".into(),
        format!(
            "(drop (call $step (i32.const 0) (i32.const 1))) (drop (call $do (i32.const 16) (i32.const {len}))) (call $sleep_until (i64.const 0))"
        ),
        "(call $wait_for (i32.const 0) (i32.const 1) (i64.const 0))".into(),
    ];
    for (at, body) in bodies.iter().enumerate() {
        works.add(&format!("p{at}"), &program(INSERT, body), "");
        works.bench.run(&format!("INSERT INTO sys.tasks (program, attempts_max) VALUES ('p{at}', 1)"));
    }
    works.bench.run("UPDATE sys.workers SET capacity = 20");
    for _ in 0..2 {
        works.work();
    }
    let states = [
        "failed the program failed: a program that has steps runs its statements within them: call step before, and step_done behind them",
        "failed a program that has steps runs its statements within them: call step before, and step_done behind them",
        "failed the program has begun step \"b\" within step \"a\"",
        "failed the program has ended within a step",
        "failed the program has ended a step that it has not begun",
        "failed step \"a\" has changed something, and cannot sleep or wait then",
        "failed there is no mailbox \"a\" to wait for (SQLSTATE 42704)",
    ];
    assert_eq!(works.states(), states.join(", "));
    // The one step that was done before its program failed.
    assert_eq!(works.bench.run("SELECT count(*) FROM t"), "1");
}

#[test]
fn a_task_waits_for_a_message_without_a_worker() {
    let mut works = Works::new();
    works.bench.run("INSERT INTO sys.mailboxes (name) VALUES ('a')");
    let receive = "INSERT INTO t SELECT body::integer FROM sys.receive('a') RETURNING a";
    // So many bytes are no rows: {"columns":["a"],"rows":[],"count":0}
    let body = format!(
        r#"(if (i32.eq (call $do (i32.const 16) (i32.const {})) (i32.const 37))
            (then (call $wait_for (i32.const 0) (i32.const 1) (i64.const 0x7fffffffffffffff))))"#,
        receive.len()
    );
    works.add("waits", &program(receive, &body), "");
    works.bench.run("INSERT INTO sys.tasks (program) VALUES ('waits'), ('waits')");
    works.work();
    let waiting = "SELECT state, worker, waits_for, run_at FROM sys.tasks ORDER BY id";
    assert_eq!(works.bench.run(waiting), "ready - a infinity, ready - a infinity");
    works.work();
    assert_eq!(works.bench.run("SELECT attempt FROM sys.tasks"), "1, 1");
    works.bench.run("SELECT sys.send('a', '7')");
    works.work();
    assert_eq!(works.bench.run("SELECT state, waits_for FROM sys.tasks ORDER BY id"), "done -, ready a");
    assert_eq!(works.bench.run("SELECT a FROM t"), "7");
    works.bench.run("SELECT sys.send('a', '8')");
    works.work();
    assert_eq!(works.states(), "done -, done -");
    assert_eq!(works.bench.run("SELECT a FROM t ORDER BY a"), "7, 8");
}

#[test]
fn who_waits_for_what_is_there_is_run_again_at_once_and_who_waits_too_long_as_well() {
    let mut works = Works::new();
    works.bench.run("INSERT INTO sys.mailboxes (name) VALUES ('a')");
    let body = "(call $wait_for (i32.const 0) (i32.const 1) (i64.add (call $time) (i64.const 5000000)))";
    works.add("waits", &program("", body), "");
    works.bench.run("INSERT INTO sys.tasks (program) VALUES ('waits')");
    works.work();
    works.bench.seconds += 4;
    works.work();
    assert_eq!(works.bench.run("SELECT attempt, waits_for FROM sys.tasks"), "1 a");
    works.bench.database.set_wall_micros(1_000_000_000_000_000 + 6_000_000);
    works.work();
    assert_eq!(works.bench.run("SELECT attempt, waits_for FROM sys.tasks"), "2 a");
    works.bench.run("SELECT sys.send('a', '8')");
    for _ in 0..3 {
        works.work();
    }
    // Nobody has received it.
    assert_eq!(works.bench.run("SELECT attempt, waits_for FROM sys.tasks"), "5 -");
}

#[test]
fn who_sends_to_a_full_mailbox_is_run_again_later() {
    let mut works = Works::new();
    works.bench.run("INSERT INTO sys.mailboxes (name, capacity, is_full) VALUES ('a', 1, true)");
    works.task("statement", "SELECT sys.send('a', '1')");
    works.work();
    let state = works.bench.run("SELECT state, failures, error FROM sys.tasks");
    assert_eq!(state, r#"ready 0 mailbox "a" is full (SQLSTATE 53400)"#);
    works.bench.run("UPDATE sys.mailboxes SET is_full = false");
    works.bench.database.set_wall_micros(1_000_000_000_000_000 + 1_000_000);
    works.work();
    assert_eq!(works.states(), "done -");
    assert_eq!(
        block_on(works.bench.session.run("SELECT FROM sys.messages", alloc::vec::Vec::new()))
            .expect("rows")
            .count,
        1
    );
}

#[test]
fn a_program_writes_files_in_its_transaction() {
    let mut works = Works::new();
    let text = |end: &str| {
        format!(
            r#"(module
            (import "relix" "file_write" (func $write (param i32 i32 i64 i32 i32) (result i32)))
            (import "relix" "file_read" (func $read (param i32 i32 i64 i32) (result i32)))
            (import "relix" "file_mkdir" (func $mkdir (param i32 i32) (result i32)))
            (import "relix" "file_rename" (func $rename (param i32 i32 i32 i32) (result i32)))
            (import "relix" "file_remove" (func $remove (param i32 i32) (result i32)))
            (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
            (import "relix" "result" (func $result (param i32 i32)))
            (import "relix" "fail" (func $fail (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "/orders/7/invoice.new") ;; 21
            (data (i32.const 64) "/orders/7/invoice")    ;; 17
            (data (i32.const 128) "/orders/7")           ;; 9
            (data (i32.const 192) "Nuts: 5. ")           ;; 9
            (func (export "run") (local $len i32)
                (local.set $len (call $remove (i32.const 64) (i32.const 17)))
                (if (i32.ge_s (local.get $len) (i32.const 0)) (then unreachable))
                (drop (call $mkdir (i32.const 128) (i32.const 9)))
                (drop (call $write (i32.const 0) (i32.const 21) (i64.const -1) (i32.const 192) (i32.const 9)))
                (drop (call $write (i32.const 0) (i32.const 21) (i64.const -1) (i32.const 192) (i32.const 9)))
                (drop (call $write (i32.const 0) (i32.const 21) (i64.const 6) (i32.const 193) (i32.const 1)))
                (drop (call $rename (i32.const 0) (i32.const 21) (i32.const 64) (i32.const 17)))
                (local.set $len (call $read (i32.const 64) (i32.const 17) (i64.const 0) (i32.const 100)))
                (drop (call $response_read (i32.const 256) (i32.const 0) (local.get $len)))
                (call $result (i32.const 256) (local.get $len))
                {end}))"#
        )
    };
    works.add("writes", &text(""), "");
    works.add("fails", &text("(call $fail (i32.const 0) (i32.const 1))"), "");
    works.add("may not", &text(""), ", privileges=, 'sql'");
    works.bench.run("INSERT INTO sys.tasks (program, attempts_max) VALUES ('fails', 1), ('may not', 1)");
    works.work();
    let states = "failed the program failed: /, \
                  failed program \"may not\", version 1: the module imports relix.file_write, which needs the privilege \"files\"";
    assert_eq!(works.states(), states);
    assert_eq!(works.bench.run("SELECT count(*) FROM sys.entries"), "0");
    works.bench.run("DELETE FROM sys.tasks");
    works.bench.run("INSERT INTO sys.tasks (program) VALUES ('writes')");
    works.work();
    assert_eq!(works.states(), "done -");
    assert_eq!(works.bench.run("SELECT result FROM sys.tasks"), "Nuts: u. Nuts: 5. ");
    assert_eq!(
        works.bench.run("SELECT path, size FROM sys.files WHERE kind = 'file'"),
        "/orders/7/invoice 18"
    );
}
