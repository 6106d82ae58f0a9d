//! Functions, procedures and triggers whose language is wasm.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::bench::{Bench, block_on};

/// What calls may begin at, one export for each thing to do.
const PROGRAM: &str = r#"(module
    (import "relix" "arguments" (func $arguments (result i32)))
    (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
    (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
    (import "relix" "result" (func $result (param i32 i32)))
    (import "relix" "fail" (func $fail (param i32 i32)))
    (import "relix" "log" (func $log (param i32 i32 i32)))
    (import "relix" "time" (func $time (result i64)))
    (import "relix" "sleep_until" (func $sleep_until (param i64)))
    (memory (export "memory") 4)
    (data (i32.const 100000) "null")
    (data (i32.const 100010) "{\"a\": 7, \"b\": \"seven\"}") ;; 22
    (data (i32.const 100040) "INSERT INTO t VALUES ($1, $2)") ;; 29
    (data (i32.const 100070) "insufficient funds") ;; 18
    ;; Reads the response to 0; its length.
    (func $read (result i32) (call $response_read (i32.const 0) (i32.const 0) (i32.const 65536)))
    ;; Gives what it is called with.
    (func (export "echo") (drop (call $arguments)) (call $result (i32.const 0) (call $read)))
    (func (export "nothing"))
    (func (export "null") (call $result (i32.const 100000) (i32.const 4)))
    (func (export "word") (call $result (i32.const 100024) (i32.const 7)))
    (func (export "no_json") (call $result (i32.const 100011) (i32.const 2)))
    (func (export "row") (call $result (i32.const 100010) (i32.const 22)))
    ;; Runs the statement that its one argument is; what it gives, or fails with.
    (func $one (result i32) (local $len i32)
        (drop (call $arguments))
        (local.set $len (call $read))
        (call $sql (i32.const 2) (i32.sub (local.get $len) (i32.const 4)) (i32.const 0) (i32.const 0)))
    (func (export "query")
        (if (i32.lt_s (call $one) (i32.const 0)) (then (call $fail (i32.const 0) (call $read))))
        (call $result (i32.const 0) (call $read)))
    (func (export "ignores") (drop (call $one)))
    (func (export "explains")
        (if (i32.lt_s (call $one) (i32.const 0)) (then (call $fail (i32.const 100070) (i32.const 18)))))
    ;; Inserts its arguments.
    (func (export "insert") (local $len i32)
        (drop (call $arguments))
        (local.set $len (call $read))
        (if (i32.lt_s (call $sql (i32.const 100040) (i32.const 29) (i32.const 0) (local.get $len)) (i32.const 0))
            (then (call $fail (i32.const 0) (call $read)))))
    (func (export "logs") (drop (call $arguments)) (call $log (i32.const 2) (i32.const 0) (call $read)))
    (func (export "sleeps") (call $sleep_until (i64.const 0)))
    (func (export "loops") (loop (br 0)))
    (func (export "traps") unreachable))"#;

fn bench() -> Bench {
    let mut bench = Bench::new();
    let module = wat::parse_str(PROGRAM).expect("valid");
    let allowance = Allowance { fuel_max: Some(1_000_000), ..Allowance::default() };
    assert_eq!(block_on(add(&mut bench.session, "p", &module, allowance)), Ok(Ok(1)));
    bench.run("CREATE TABLE t (a integer PRIMARY KEY, b text)");
    bench
}

/// Makes a function `name` whose calls begin at the export of that name; what it takes and gives, and how it is.
fn make(bench: &mut Bench, name: &str, takes: &str, gives: &str, how: &str) {
    let sql =
        format!("CREATE OR REPLACE FUNCTION {name}({takes}) {gives} LANGUAGE wasm {how} AS 'p', '{name}'");
    assert_eq!(bench.run(&sql), "");
}

#[test]
fn a_function_gives_what_its_program_does() {
    let mut bench = bench();
    make(&mut bench, "echo", "a integer, b text, c date = NULL", "RETURNS jsonb", "IMMUTABLE");
    assert_eq!(bench.run("SELECT echo(1, 'two')"), r#"[1, "two", null]"#);
    assert_eq!(
        bench.run("SELECT echo(a, 'x', '2026-01-31') FROM generate_series(1, 2) a"),
        r#"[1, "x", "2026-01-31"], [2, "x", "2026-01-31"]"#
    );
    bench.run("DROP FUNCTION echo");
    make(&mut bench, "echo", "a integer, b integer", "RETURNS integer[]", "STRICT");
    assert_eq!(bench.run("SELECT echo(1, 2)"), "{1,2}");
    assert_eq!(bench.run("SELECT echo(1, NULL)"), "-");
    bench.run("DROP FUNCTION echo");
    make(&mut bench, "echo", "a integer, b integer", "RETURNS SETOF integer", "STABLE");
    assert_eq!(bench.run("SELECT * FROM echo(1, 2)"), "1, 2");
    bench.run("DROP FUNCTION echo");
    make(&mut bench, "echo", "a jsonb, b jsonb", "RETURNS TABLE (n integer, word text)", "STABLE");
    assert_eq!(bench.run(r#"SELECT word, n FROM echo('[1, "one"]', '[2, null]')"#), "one 1, - 2");
    assert_eq!(
        bench.run("SELECT * FROM echo('[1]', '2')"),
        "the program gives a row of 1 values (SQLSTATE 22P02)"
    );
    make(&mut bench, "nothing", "", "RETURNS integer", "");
    assert_eq!(bench.run("SELECT nothing()"), "-");
    make(&mut bench, "word", "", "RETURNS text", "");
    make(&mut bench, "no_json", "", "RETURNS text", "");
    make(&mut bench, "null", "", "RETURNS text", "");
    assert_eq!(bench.run("SELECT word(), \"null\"()"), "seven -");
    assert_eq!(
        bench.run("SELECT no_json()"),
        "the result of the program is not what the function gives (SQLSTATE 22P02)"
    );
    let languages = "SELECT p.proname, l.lanname, p.probin, p.prosrc FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
                     WHERE p.proname = 'nothing'";
    assert_eq!(bench.run(languages), "nothing wasm p nothing");
}

#[test]
fn what_a_program_does_takes_place_with_the_statement_that_calls() {
    let mut bench = bench();
    make(&mut bench, "query", "statement text", "RETURNS jsonb", "");
    make(&mut bench, "ignores", "statement text", "RETURNS void", "");
    make(&mut bench, "explains", "statement text", "RETURNS void", "");
    assert_eq!(bench.run("CREATE PROCEDURE insert(a integer, b text) LANGUAGE wasm AS 'p', 'insert'"), "");
    assert_eq!(bench.run("CALL insert(1, 'it''s')"), "");
    assert_eq!(
        bench.run("SELECT query('INSERT INTO t VALUES (2) RETURNING a')"),
        r#"{"rows": [[2]], "count": 1, "columns": ["a"]}"#
    );
    assert_eq!(
        bench.run("SELECT query('SELECT * FROM t')"),
        r#"{"rows": [[1, "it's"], [2, null]], "count": 2, "columns": ["a", "b"]}"#
    );
    // A function that calls a function.
    assert_eq!(
        bench.run("SELECT query('CALL insert(3, NULL)')"),
        r#"{"rows": [], "count": 0, "columns": []}"#
    );
    let twice = "duplicate key value violates unique constraint \"t_pkey\" (SQLSTATE 23505)";
    assert_eq!(bench.run("CALL insert(1, 'b')"), format!("{twice} (SQLSTATE 23505)"));
    assert_eq!(bench.run("SELECT ignores('INSERT INTO t VALUES (4), (1)')"), twice);
    assert_eq!(
        bench.run("SELECT explains('INSERT INTO t VALUES (4), (1)')"),
        "insufficient funds (SQLSTATE 23505)"
    );
    assert_eq!(bench.run("SELECT a FROM t"), "1, 2, 3");
    bench.run("DROP FUNCTION query");
    make(&mut bench, "query", "statement text", "RETURNS jsonb", "STABLE");
    assert_eq!(
        bench.run("SELECT query('DELETE FROM t')"),
        "a function that is not VOLATILE cannot change tables, or call one that is (SQLSTATE 0A000) (SQLSTATE 0A000)"
    );
    for statement in ["COMMIT", "CREATE TABLE u ()", "SELECT 1; SELECT 2", ""] {
        let error = bench.run(&format!("SELECT query('{statement}')"));
        assert!(error.contains("SQLSTATE 0A000") || error.contains("SQLSTATE 42601"), "{statement}: {error}");
    }
    assert_eq!(bench.run("SELECT count(*) FROM t"), "3");
}

#[test]
fn what_a_program_logs_the_client_is_told() {
    let mut bench = bench();
    make(&mut bench, "logs", "a integer", "RETURNS void", "");
    bench.run("SELECT logs(a) FROM generate_series(1, 1000) a");
    let notices = bench.session.take_notices();
    assert_eq!(notices.len(), 100);
    bench.run("SELECT logs(7), logs(8)");
    let told = |bench: &mut Bench| {
        bench.session.take_notices().into_iter().map(|notice| notice.message).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut bench), ["[7]", "[8]"]);
    assert_eq!((notices[1].severity, notices[1].message.as_str()), ("NOTICE", "[2]"));
}

#[test]
fn what_ends_badly_says_how_and_where() {
    let mut bench = bench();
    for (name, error) in [
        ("loops", "the program used up all its fuel: 1000000 at most (SQLSTATE 54000)"),
        ("traps", "the program panicked: it came to an unreachable instruction (SQLSTATE 38000)"),
        (
            "sleeps",
            "a function that sleeps, waits, has steps or uses files is not supported (SQLSTATE 0A000)",
        ),
    ] {
        make(&mut bench, name, "", "RETURNS integer", "");
        let answer = bench.run(&format!("SELECT {name}()"));
        assert_eq!(answer, error, "{name}");
        let failed = block_on(bench.session.run(&format!("SELECT {name}()"), Vec::new())).expect_err("fails");
        assert_eq!(failed.context, Some(format!("WebAssembly function \"{name}\"")));
    }
    let refused = [
        (
            "CREATE FUNCTION f() RETURNS integer LANGUAGE wasm AS 'q'",
            "there is no program \"q\" (SQLSTATE 42704)",
        ),
        (
            "CREATE FUNCTION f() RETURNS integer LANGUAGE wasm AS 'p'",
            "program \"p\" exports no function \"run\" (SQLSTATE 42883)",
        ),
        (
            "CREATE FUNCTION f() RETURNS integer LANGUAGE wat AS 'p'",
            "language \"wat\" does not exist (SQLSTATE 42704)",
        ),
        (
            "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'p', 'q'",
            "this form of a function's body is not supported (SQLSTATE 0A000)",
        ),
        ("SELECT f()", "function f() does not exist (SQLSTATE 42883)"),
    ];
    for (sql, error) in refused {
        assert_eq!(bench.run(sql), error);
    }
    bench.run("DELETE FROM sys.programs");
    assert_eq!(bench.run("SELECT loops()"), "there is no program \"p\" (SQLSTATE 42704)");
}

#[test]
fn a_program_that_its_own_transaction_has_changed_is_nothing_to_others() {
    let mut bench = bench();
    make(&mut bench, "nothing", "", "RETURNS integer", "");
    let gives = "(data (i32.const 100100) \"7\") (func (export \"nothing\") (call $result (i32.const 100100) (i32.const 1)))";
    let module = wat::parse_str(PROGRAM.replace("(func (export \"nothing\"))", gives)).expect("valid");
    assert_eq!(bench.run("SELECT nothing()"), "-");
    let other = |bench: &mut Bench| {
        let mut session = bench.another();
        let answer = block_on(session.run("SELECT nothing()", Vec::new())).expect("runs");
        answer.value().cloned()
    };
    assert_eq!(bench.run("BEGIN"), "");
    let replaced =
        block_on(bench.session.run(
            "UPDATE sys.programs SET module = $1 WHERE name = 'p'",
            [Datum::Bytea(module.into())].into(),
        ));
    assert_eq!(replaced.map(|answer| answer.count), Ok(1));
    assert_eq!(bench.run("SELECT nothing()"), "7");
    assert_eq!(other(&mut bench), Some(Datum::Null));
    assert_eq!(bench.run("ROLLBACK"), "");
    assert_eq!(bench.run("SELECT nothing()"), "-");
}

#[test]
fn programs_are_triggers() {
    let mut bench = bench();
    make(&mut bench, "row", "", "RETURNS trigger", "");
    make(&mut bench, "null", "", "RETURNS trigger", "");
    make(&mut bench, "nothing", "", "RETURNS trigger", "");
    make(&mut bench, "logs", "", "RETURNS trigger", "");
    bench.run("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION \"row\"()");
    bench.run(
        "CREATE TRIGGER y BEFORE UPDATE ON t FOR EACH ROW WHEN (new.b = 'gone') EXECUTE FUNCTION \"null\"()",
    );
    bench.run("CREATE TRIGGER z BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing()");
    bench.run("CREATE TRIGGER l AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION logs()");
    bench.run("CREATE TRIGGER s AFTER INSERT ON t EXECUTE FUNCTION logs()");
    assert_eq!(bench.run("INSERT INTO t VALUES (1, 'one') RETURNING *"), "7 seven");
    assert_eq!(bench.run("UPDATE t SET b = 'gone' RETURNING *"), "");
    assert_eq!(bench.run("UPDATE t SET b = 'here', a = 8 RETURNING *"), "8 here");
    let told: Vec<String> = bench.session.take_notices().into_iter().map(|notice| notice.message).collect();
    assert_eq!(
        told,
        [
            r#"{"op":"INSERT","trigger":"s","table":"t"}"#,
            r#"{"op":"UPDATE","trigger":"l","table":"t","old":{"a":7,"b":"seven"},"new":{"a":8,"b":"here"}}"#
        ]
    );
    assert_eq!(bench.run("DELETE FROM t RETURNING a"), "8");
    make(&mut bench, "echo", "", "RETURNS trigger", "");
    bench.run("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION echo()");
    bench.run("DROP TRIGGER x ON t");
    bench.run("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION echo()");
    assert_eq!(
        bench.run("INSERT INTO t VALUES (1)"),
        "the program gives a column \"op\", and \"t\" has none (SQLSTATE 42703)"
    );
}
