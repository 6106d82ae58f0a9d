//! Programs that mean harm.

use std::format;
use std::string::{String, ToString};

use super::*;
use crate::limits::{RESULT_LEN_MAX, SQL_LEN_MAX, TABLE_ELEMENTS_MAX};

const PAGE: usize = 65536;

#[test]
fn loops_and_recursion_end() {
    assert_eq!(trap(&main("(loop (br 0))")), Trap::OutOfFuel { limit: LIMITS.fuel_max });
    assert_eq!(trap(&program("(func $f (export \"run\") (call $f))")), Trap::StackOverflow);
    let wide = format!("(func $f (export \"run\") (local {}) (call $f))", "i64 ".repeat(1000));
    assert_eq!(trap(&program(&wide)), Trap::StackOverflow);
    let mutual = r#"(table 2 funcref) (elem (i32.const 0) $a $b)
        (func $a (export "run") (call_indirect (i32.const 1))) (func $b (call_indirect (i32.const 0)))"#;
    assert_eq!(trap(&program(mutual)), Trap::StackOverflow);
}

/// As code in a straight line and as a loop: in 128 KiB, where 8 bytes an instruction would be too much.
#[test]
fn programs_take_none_of_the_hosts_stack() {
    let line = "(local.set 0 (i64.add (local.get 0) (i64.const 3)))".repeat(20_000);
    let round = "(local.set 0 (i64.mul (local.get 0) (i64.const 3))) (f64.store (i32.const 0) (f64.const 1))";
    let program =
        main(&format!("(local i64) {line} (loop {round} (br_if 0 (i64.ne (local.get 0) (i64.const 1))))"));
    let deep = super::program("(func $f (export \"run\") (local i64 i64) (call $f))");
    let ends =
        std::thread::Builder::new().stack_size(128 * 1024).spawn(move || (trap(&program), trap(&deep)));
    let ends = ends.expect("a thread").join().expect("its stack is enough");
    assert_eq!(ends, (Trap::OutOfFuel { limit: LIMITS.fuel_max }, Trap::StackOverflow));
}

#[test]
fn instructions_trap() {
    let traps = [
        ("unreachable", Trap::Unreachable),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", Trap::DivisionByZero),
        ("(drop (i64.rem_u (i64.const 1) (i64.const 0)))", Trap::DivisionByZero),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", Trap::IntegerOverflow),
        ("(drop (i32.trunc_f64_s (f64.const nan)))", Trap::BadConversion),
        ("(drop (i32.load (i32.const 65533)))", Trap::MemoryOutOfBounds),
        ("(drop (i64.load offset=0xffffffff (i32.const -1)))", Trap::MemoryOutOfBounds),
        ("(i32.store8 (i32.const 65536) (i32.const 1))", Trap::MemoryOutOfBounds),
        ("(memory.fill (i32.const 1) (i32.const 1) (i32.const 65536))", Trap::MemoryOutOfBounds),
        ("(memory.copy (i32.const -1) (i32.const 0) (i32.const 2))", Trap::MemoryOutOfBounds),
        ("(drop (table.get (i32.const 9)))", Trap::TableOutOfBounds),
        ("(call_indirect (i32.const 9))", Trap::TableOutOfBounds),
        ("(call_indirect (i32.const 0))", Trap::CallToNull),
        ("(call_indirect (param i64) (i64.const 1) (i32.const 1))", Trap::CallOfOtherType),
    ];
    for (body, expected) in traps {
        let text = format!("(table 2 funcref) (func $f (export \"run\") {body}) (elem (i32.const 1) $f)");
        let trapped = trap(&program(&text));
        assert_eq!(trapped, expected);
        assert!(!trapped.to_string().contains('\n'));
    }
}

/// Runs with a payer; returns how it ended and what the payer was asked for.
fn paid_by(payer: &Payer, module: &str) -> Step {
    let program = Program::new(&compile(module), Grants::all()).expect("a program");
    match Run::new(&program, "run", LIMITS, facts(), Box::new(payer.clone())) {
        Ok(run) => finish(run, &[1000]).0.end,
        Err(trap) => Step::Trap(trap),
    }
}

/// Grows by a page until that fails, then traps if it has not so many pages.
fn grower(pages: usize) -> String {
    format!(
        r#"(module (memory (export "memory") 1) (func (export "run")
            (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
            (if (i32.ne (memory.size) (i32.const {pages})) (then unreachable))))"#
    )
}

#[test]
fn memory_grows_up_to_the_limit() {
    let payer = Payer::new(usize::MAX);
    assert_eq!(paid_by(&payer, &grower(16)), Step::Done(None));
    let expected: Vec<usize> = (1..=16).map(|pages| pages * PAGE).collect();
    assert_eq!(payer.asked(), expected);

    // What others have left is nothing that a program is to know of: it is run again when there is more.
    let payer = Payer::new(3 * PAGE + 1);
    assert_eq!(paid_by(&payer, &grower(3)), Step::Trap(Trap::MemoryRefused));
    assert_eq!(payer.asked(), [PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE]);

    // All at once, and for ever.
    let payer = Payer::new(usize::MAX);
    let huge = r#"(module (memory (export "memory") 1) (func (export "run")
        (loop (drop (memory.grow (i32.const 60000))) (drop (memory.grow (i32.const -1))) (br 0))))"#;
    assert_eq!(paid_by(&payer, huge), Step::Trap(Trap::OutOfFuel { limit: LIMITS.fuel_max }));
    assert_eq!(payer.asked(), [PAGE]);
}

#[test]
fn memory_at_the_beginning_is_limited() {
    let payer = Payer::new(usize::MAX);
    for pages in [17, 65536] {
        let module = format!(r#"(module (memory (export "memory") {pages}) (func (export "run")))"#);
        let expected = Trap::OutOfMemory { len: pages * PAGE, limit: LIMITS.memory_len_max };
        assert_eq!(paid_by(&payer, &module), Step::Trap(expected));
    }
    assert!(payer.asked().is_empty());
    let payer = Payer::new(PAGE);
    let module = r#"(module (memory (export "memory") 2) (func (export "run")))"#;
    assert_eq!(paid_by(&payer, module), Step::Trap(Trap::MemoryRefused));
    // What is made zero costs fuel, if there is enough or not.
    let program = Program::new(&compile(module), Grants::all()).expect("a program");
    let mut run = begin(&program, Limits { fuel_max: 100, ..LIMITS }).expect("a run");
    assert_eq!(run.fuel_used(), 2 * 65536 / 64);
    assert_eq!(run.step(u64::MAX), Step::Trap(Trap::OutOfFuel { limit: 100 }));
}

#[test]
fn data_is_in_memory() {
    let program = program(r#"(data (i32.const 65535) "ab") (func (export "run"))"#);
    assert_eq!(begin(&program, LIMITS).expect_err("no run"), Trap::MemoryOutOfBounds);
    let program = super::program(r#"(table 1 funcref) (func $f (export "run")) (elem (i32.const 1) $f)"#);
    assert_eq!(begin(&program, LIMITS).expect_err("no run"), Trap::TableOutOfBounds);
}

#[test]
fn tables_are_short_and_do_not_grow() {
    for table in ["(table 100001 funcref)", "(table 50001 funcref) (table 50001 externref)"] {
        let program = program(&format!("{table} (func (export \"run\"))"));
        assert_eq!(begin(&program, LIMITS).expect_err("no run"), Trap::TableTooLong);
    }
    // Longer ones are not valid, and neither is refused with a panic.
    let huge = module("(table 0xffffffff funcref) (func (export \"run\"))");
    assert!(Program::new(&huge, Grants::all()).is_err_and(|_| true) || trap_of(&huge) == Trap::TableTooLong);
    let program = program(&format!(
        r#"(table {TABLE_ELEMENTS_MAX} funcref) (func (export "run")
            (if (i32.ne (table.grow (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))
            (table.fill (i32.const 0) (ref.null func) (i32.const {TABLE_ELEMENTS_MAX})))"#
    ));
    let (outcome, _) = finish(begin(&program, LIMITS).expect("a run"), &[1]);
    assert_eq!(outcome.end, Step::Done(None));
}

fn trap_of(module: &[u8]) -> Trap {
    trap(&Program::new(module, Grants::all()).expect("a program"))
}

#[test]
fn pointers_are_checked() {
    // Ranges as (start, length) that are not all in a page.
    let ranges: [(i64, i64); 7] =
        [(0, 65537), (65536, 1), (0xffff_ffff, 1), (0xffff_ffff, 0), (1, 0xffff_ffff), (-8, 8), (0, 1 << 30)];
    for (start, len) in ranges {
        let range = format!("(i32.const {start}) (i32.const {len})");
        let none = "(i32.const 0) (i32.const 0)";
        let calls = [
            ("sql", format!("(drop (call $sql {range} {none}))")),
            ("sql", format!("(drop (call $sql {none} {range}))")),
            ("result", format!("(call $result {range})")),
            ("fail", format!("(call $fail {range})")),
            ("log", format!("(call $log (i32.const 0) {range})")),
        ];
        for (import, call) in calls {
            assert_eq!(trap(&main(&call)), Trap::BadPointer { import }, "{call}");
        }
    }
    // Only what is copied has to fit.
    for (into, fits) in [(65531, true), (65532, false), (-1, false), (-5, false)] {
        let call = format!("(call $response_read (i32.const {into}) (i32.const 0) (i32.const -1))");
        let outcome = run(&main(&format!("(drop (call $arguments)) (drop {call})")));
        let refused = Step::Trap(Trap::BadPointer { import: "response_read" });
        assert_eq!(outcome.end, if fits { Step::Done(None) } else { refused });
    }
    for offset in ["-1", "6", "0x7fffffff", "0x80000000"] {
        let call = format!("(call $response_read (i32.const 0) (i32.const {offset}) (i32.const 5))");
        let program = main(&format!("(drop (call $arguments)) (if {call} (then unreachable))"));
        assert_eq!(run(&program).end, Step::Done(None));
    }
}

#[test]
fn texts_are_utf8_and_not_too_long() {
    let store = "(i32.store16 (i32.const 0) (i32.const 0x28c3))";
    let range = "(i32.const 0) (i32.const 2)";
    let calls = [
        ("sql", format!("(drop (call $sql {range} (i32.const 9) (i32.const 0)))")),
        ("sql", format!("(drop (call $sql (i32.const 9) (i32.const 0) {range}))")),
        ("result", format!("(call $result {range})")),
        ("fail", format!("(call $fail {range})")),
        ("log", format!("(call $log (i32.const 0) {range})")),
    ];
    for (import, call) in calls {
        assert_eq!(trap(&main(&format!("{store} {call}"))), Trap::TextNotUtf8 { import });
    }
    let limits = Limits { memory_len_max: 1 << 22, ..LIMITS };
    let long = [
        (
            "sql",
            SQL_LEN_MAX,
            "(drop (call $sql (i32.const 0) (i32.const 1048577) (i32.const 0) (i32.const 0)))",
        ),
        (
            "sql",
            SQL_LEN_MAX,
            "(drop (call $sql (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1048577)))",
        ),
        ("result", RESULT_LEN_MAX, "(call $result (i32.const 0) (i32.const 262145))"),
    ];
    for (import, limit, call) in long {
        let program = main(&format!("(drop (memory.grow (i32.const 30))) {call}"));
        let (outcome, _) = finish(begin(&program, limits).expect("a run"), &[u64::MAX]);
        assert_eq!(outcome.end, Step::Trap(Trap::TextTooLong { import, limit }));
    }
}

#[test]
fn loops_of_calls_end() {
    let calls = [
        "(drop (call $arguments))",
        "(drop (call $response_read (i32.const 0) (i32.const 0) (i32.const 9)))",
        "(call $result (i32.const 0) (i32.const 60000))",
        "(drop (call $time))",
        "(drop (call $random))",
        "(call $log (i32.const 0) (i32.const 0) (i32.const 4000))",
        "(drop (call $sql (i32.const 0) (i32.const 60000) (i32.const 0) (i32.const 60000)))",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))",
        "(memory.copy (i32.const 0) (i32.const 1) (i32.const 65535))",
        "(drop (memory.grow (i32.const 1)))",
        "(drop (memory.grow (i32.const 0)))",
    ];
    for call in calls {
        let program = main(&format!("(loop {call} (br 0))"));
        for slice in [u64::MAX, 10] {
            let (outcome, _) = finish(begin(&program, LIMITS).expect("a run"), &[slice]);
            assert_eq!(outcome.end, Step::Trap(Trap::OutOfFuel { limit: LIMITS.fuel_max }), "{call}");
            // What the last import cost may be beyond the limit.
            assert!(outcome.fuel_used < LIMITS.fuel_max + 20_000, "{call}: {}", outcome.fuel_used);
            assert!(outcome.calls.len() < 20_000);
        }
    }
}
