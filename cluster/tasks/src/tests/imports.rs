//! What each import does.

use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::LogLevel;
use crate::limits::{LOG_LEN_MAX, MESSAGE_LEN_MAX, RESPONSE_LEN_MAX, RESULT_LEN_MAX};

/// Reads the whole response to 4096 and makes it the result: `local.get 0` is its length.
const RESPONSE_AS_RESULT: &str = r#"
    (drop (call $response_read (i32.const 4096) (i32.const 0) (local.get 0)))
    (call $result (i32.const 4096) (local.get 0))
"#;

#[test]
fn arguments_are_a_response() {
    let program = main(&format!("(local i32) (local.set 0 (call $arguments)) {RESPONSE_AS_RESULT}"));
    assert_eq!(result(&program), "[1,2]");
}

#[test]
fn statements_are_asked_for_and_answered() {
    let program = program(&format!(
        r#"(data (i32.const 0) "SELECT $1[7]")
        (func (export "run") (local i32)
            (local.set 0 (call $sql (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 3)))
            {RESPONSE_AS_RESULT})"#
    ));
    let outcome = run(&program);
    let asked = Call::Sql { text: "SELECT $1".to_string(), parameters: "[7]".to_string() };
    assert_eq!(outcome.calls, [asked]);
    assert_eq!(outcome.end, Step::Done(Some("SELECT $1|[7]".to_string())));
}

#[test]
fn errors_are_negative() {
    let program = program(&format!(
        r#"(data (i32.const 0) "refuse")
        (func (export "run") (local i32)
            (local.set 0 (call $sql (i32.const 0) (i32.const 6) (i32.const 0) (i32.const 0)))
            (if (i32.ge_s (local.get 0) (i32.const 0)) (then unreachable))
            (local.set 0 (i32.sub (i32.const 0) (local.get 0)))
            {RESPONSE_AS_RESULT})"#
    ));
    assert_eq!(result(&program), "refused");
}

/// A run of a program that asks for a statement and makes the response its result.
fn asked() -> Run {
    let program = main(&format!(
        r#"(local i32)
        (drop (memory.grow (i32.const 8)))
        (local.set 0 (call $sql (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (if (i32.lt_s (local.get 0) (i32.const 0))
            (then (local.set 0 (i32.sub (i32.const 0) (local.get 0)))))
        {RESPONSE_AS_RESULT}"#
    ));
    let mut run = begin(&program, LIMITS).expect("a run");
    assert!(matches!(run.step(u64::MAX), Step::Call(Call::Sql { .. })));
    run
}

#[test]
fn answers_are_of_any_length() {
    for len in [0, 1, 5000, RESULT_LEN_MAX] {
        let mut run = asked();
        run.answer(Answer::Response("x".repeat(len)));
        assert_eq!(run.step(u64::MAX), Step::Done(Some("x".repeat(len))));
    }
    let mut run = asked();
    run.answer(Answer::Failed(String::new()));
    assert_eq!(run.step(u64::MAX), Step::Done(Some("the statement failed".to_string())));
    let mut run = asked();
    run.answer(Answer::Response("x".repeat(RESPONSE_LEN_MAX + 1)));
    let Step::Done(Some(error)) = run.step(u64::MAX) else { panic!("it ends") };
    assert!(error.starts_with("the response has 16777217 bytes"), "{error}");
}

#[test]
fn a_response_is_read_in_pieces() {
    // Pieces of 1000 bytes, each to where it belongs; beyond the end there is nothing.
    let program = main(
        r#"(local $len i32) (local $at i32)
        (local.set $len (call $arguments))
        (loop $again
            (local.set $at (i32.add (local.get $at)
                (call $response_read (local.get $at) (local.get $at) (i32.const 1000))))
            (br_if $again (i32.lt_u (local.get $at) (local.get $len))))
        (if (call $response_read (i32.const 0) (i32.const 1000000) (i32.const 10)) (then unreachable))
        (if (call $response_read (i32.const 65536) (i32.const 0) (i32.const 0)) (then unreachable))
        (call $result (i32.const 0) (local.get $len))"#,
    );
    let arguments: String = (0..6000).map(|number| format!("{number},")).collect();
    let facts = Facts { arguments: arguments.clone(), ..facts() };
    let run = Run::new(&program, "run", LIMITS, facts, Box::new(Payer::new(usize::MAX))).expect("a run");
    assert_eq!(finish(run, &[10]).0.end, Step::Done(Some(arguments)));
}

#[test]
fn the_last_result_counts() {
    let program = program(
        r#"(data (i32.const 0) "onetwo")
        (func (export "run") (call $result (i32.const 0) (i32.const 3)) (call $result (i32.const 3) (i32.const 3)))"#,
    );
    assert_eq!(result(&program), "two");
    assert_eq!(run(&main("")).end, Step::Done(None));
}

#[test]
fn failing_ends_the_run() {
    let program = program(
        r#"(data (i32.const 0) "no\nrows") (func (export "run") (call $fail (i32.const 0) (i32.const 7)) unreachable)"#,
    );
    let failed = trap(&program);
    assert_eq!(failed, Trap::Failed { message: "no\nrows".to_string() });
    assert_eq!(failed.to_string(), "the program failed: no?rows");
}

#[test]
fn lines_have_levels_and_are_cut() {
    // A two-byte character lies across the cut.
    let program = main(
        r#"(memory.fill (i32.const 0) (i32.const 97) (i32.const 5000))
        (i32.store16 (i32.const 4095) (i32.const 0xa4c3))
        (call $log (i32.const 0) (i32.const 0) (i32.const 1))
        (call $log (i32.const 1) (i32.const 0) (i32.const 2))
        (call $log (i32.const 2) (i32.const 0) (i32.const 0))
        (call $log (i32.const -9) (i32.const 0) (i32.const 5000))"#,
    );
    let outcome = run(&program);
    let line = |level, len| Call::Log { level, text: "a".repeat(len) };
    let lines = [
        line(LogLevel::Error, 1),
        line(LogLevel::Warn, 2),
        line(LogLevel::Info, 0),
        line(LogLevel::Debug, LOG_LEN_MAX - 1),
    ];
    assert_eq!(outcome.calls, lines);
    assert_eq!(outcome.end, Step::Done(None));
}

#[test]
fn messages_are_cut() {
    let program = main(
        r#"(memory.fill (i32.const 0) (i32.const 97) (i32.const 60000)) (call $fail (i32.const 0) (i32.const 60000))"#,
    );
    assert_eq!(trap(&program), Trap::Failed { message: "a".repeat(MESSAGE_LEN_MAX) });
}

#[test]
fn a_log_line_does_not_disturb_the_response() {
    let program = main(&format!(
        "(local i32) (local.set 0 (call $arguments)) (call $log (i32.const 2) (i32.const 0) (i32.const 1)) {RESPONSE_AS_RESULT}"
    ));
    assert_eq!(result(&program), "[1,2]");
}

#[test]
fn time_stands_still() {
    let program = main(
        r#"(if (i64.ne (call $time) (i64.const 1700000000000000)) (then unreachable))
        (if (i64.ne (call $time) (i64.const 1700000000000000)) (then unreachable))"#,
    );
    assert_eq!(run(&program).end, Step::Done(None));
}

#[test]
fn random_numbers_follow_from_the_seed() {
    // The numbers are the lines of the log, as bytes of hexadecimal digits would be too much to write here: each of 16
    // nibbles is a letter from 'a'.
    let program = main(
        r#"(local $number i64) (local $at i32) (local $left i32)
        (local.set $left (i32.const 3))
        (loop $numbers
            (local.set $number (call $random))
            (local.set $at (i32.const 0))
            (loop $nibbles
                (i32.store8 (local.get $at)
                    (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $number) (i64.const 15)))))
                (local.set $number (i64.shr_u (local.get $number) (i64.const 4)))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $nibbles (i32.lt_u (local.get $at) (i32.const 16))))
            (call $log (i32.const 2) (i32.const 0) (i32.const 16))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $numbers (local.get $left)))"#,
    );
    let numbers = |seed| -> Vec<Call> {
        let facts = Facts { seed, ..facts() };
        let run = Run::new(&program, "run", LIMITS, facts, Box::new(Payer::new(usize::MAX))).expect("a run");
        finish(run, &[u64::MAX]).0.calls
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
    assert_ne!(numbers(7)[0], numbers(7)[1]);
}

#[test]
fn sleeping_ends_the_run() {
    let program = main("(call $sleep_until (i64.add (call $time) (i64.const 5))) unreachable");
    let mut run = begin(&program, LIMITS).expect("a run");
    assert_eq!(run.step(u64::MAX), Step::Sleep(1_700_000_000_000_005));
    assert_eq!(run.step(u64::MAX), Step::Trap(Trap::NotRunnable));
}

#[test]
fn what_is_not_answered_does_not_go_on() {
    let mut run = asked();
    assert_eq!(run.step(u64::MAX), Step::Trap(Trap::NotRunnable));
    // Nothing was asked for: nothing happens.
    let mut run = begin(&main(""), LIMITS).expect("a run");
    run.answer(Answer::Response(String::new()));
    assert_eq!(run.step(u64::MAX), Step::Done(None));
    run.answer(Answer::Response(String::new()));
    assert_eq!(run.step(u64::MAX), Step::Trap(Trap::NotRunnable));
}

#[test]
fn a_step_that_was_done_before_gives_what_it_gave() {
    let program = program(&format!(
        r#"(data (i32.const 0) "done")
        (func (export "run") (local i32)
            (local.set 0 (call $step (i32.const 0) (i32.const 4)))
            {RESPONSE_AS_RESULT})"#
    ));
    let outcome = run(&program);
    assert_eq!(outcome.calls, [Call::Step { name: "done".to_string() }]);
    assert_eq!(outcome.end, Step::Done(Some("before".to_string())));
}

#[test]
fn a_step_that_is_to_be_done_is_minus_one_and_ends_at_another_time() {
    let program = program(
        r#"(data (i32.const 0) "pay")
        (func (export "run")
            (if (i32.ne (call $step (i32.const 0) (i32.const 3)) (i32.const -1)) (then unreachable))
            (call $step_done (i32.const 0) (i32.const 2))
            (if (i64.ne (call $time) (i64.const 1800000000000000)) (then unreachable)))"#,
    );
    let outcome = run(&program);
    let asked = [Call::Step { name: "pay".to_string() }, Call::StepDone { result: "pa".to_string() }];
    assert_eq!(outcome.calls, asked);
    assert_eq!(outcome.end, Step::Done(None));
}

#[test]
fn who_waits_says_for_what_and_how_long() {
    let program = program(
        r#"(data (i32.const 0) "box")
        (func (export "run") (call $wait_for (i32.const 0) (i32.const 3) (i64.const 99)) unreachable)"#,
    );
    assert_eq!(run(&program).end, Step::Wait { mailbox: "box".to_string(), until: 99 });
}

#[test]
fn pieces_of_files_are_any_bytes() {
    let program = program(
        r#"(data (i32.const 0) "/a/b") (data (i32.const 16) "\00\ff")
        (func (export "run")
            (if (i32.ne (call $file_read (i32.const 0) (i32.const 4) (i64.const 7) (i32.const 9)) (i32.const 3)) (then unreachable))
            (drop (call $response_read (i32.const 32) (i32.const 0) (i32.const 3)))
            (if (i32.ne (i32.load8_u (i32.const 33)) (i32.const 255)) (then unreachable))
            (if (i32.ne (call $file_write (i32.const 0) (i32.const 4) (i64.const -1) (i32.const 16) (i32.const 2)) (i32.const -2)) (then unreachable))
            (drop (call $file_write (i32.const 0) (i32.const 2) (i64.const 5) (i32.const 16) (i32.const 0)))
            (drop (call $file_remove (i32.const 0) (i32.const 4)))
            (drop (call $file_rename (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 2)))
            (drop (call $file_mkdir (i32.const 0) (i32.const 2))))"#,
    );
    let outcome = run(&program);
    let (long, short) = (|| "/a/b".to_string(), || "/a".to_string());
    let asked = [
        FileCall::Read { path: long(), offset: 7, len: 9 },
        FileCall::Write { path: long(), offset: None, bytes: [0, 255].into() },
        FileCall::Write { path: short(), offset: Some(5), bytes: [].into() },
        FileCall::Remove { path: long() },
        FileCall::Rename { path: long(), to: short() },
        FileCall::MakeDirectory { path: short() },
    ];
    assert_eq!(outcome.calls, asked.map(Call::File));
    assert_eq!(outcome.end, Step::Done(None));
}

#[test]
fn a_piece_that_is_not_in_memory_ends_the_run() {
    let body = "(drop (call $file_write (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 65530) (i32.const 100)))";
    assert_eq!(trap(&main(body)), Trap::BadPointer { import: "file_write" });
    let long = "(drop (memory.grow (i32.const 20))) \
        (drop (call $file_write (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 1048577)))";
    let limit = crate::limits::PIECE_LEN_MAX;
    let limits = Limits { memory_len_max: 4 << 20, ..LIMITS };
    let run = begin(&main(long), limits).expect("a run");
    assert_eq!(finish(run, &[u64::MAX]).0.end, Step::Trap(Trap::TextTooLong { import: "file_write", limit }));
}
