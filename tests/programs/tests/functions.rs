//! Each function of the crate that programs are written with, by the example that calls them.

use tests_programs::{Node, rust};

fn node() -> Node {
    Node::new(&[("probe", rust("probe"))])
}

#[test]
fn values_of_all_types_go_there_and_come_back() {
    let mut node = node();
    let types =
        r#"["Infinity",[12.5,["a,\"\\",""],[1,null],"2026-02-28","2023-11-14T22:13:20.123456+00:00"]]"#;
    assert_eq!(node.result("probe", "\"types\""), types);
    let nulls = r#"[null,null,[null,"\\x01"],"invalid type: null, expected i64"]"#;
    assert_eq!(node.result("probe", "\"nulls\""), nulls);
    let rows = r#"[null,[{"id":1,"name":"n1"},{"id":2,"name":"n2"}],3,[2,3]]"#;
    assert_eq!(node.result("probe", "\"rows\""), rows);
    assert_eq!(node.ask("SELECT a FROM t"), "1");
}

#[test]
fn what_fails_says_why_and_leaves_nothing() {
    let mut node = node();
    let failures = [
        (
            "refused",
            r#"[["42P01","relation \"nothing\" does not exist (SQLSTATE 42P01)"],["25P02","current transaction is aborted, commands ignored until end of transaction block (SQLSTATE 25P02)"]]"#,
        ),
        (
            "ignored",
            "current transaction is aborted, commands ignored until end of transaction block (SQLSTATE 25P02)",
        ),
        (
            "unanswered",
            "the rows take more than the 4194304 bytes that a program is given at once (SQLSTATE 54000)",
        ),
        ("panic", "panicked at programs/sdk/../examples/probe.rs:LINE: nothing is left of \"t\""),
        (
            "bounds",
            "panicked at programs/sdk/../examples/probe.rs:LINE: index out of bounds: the len is 6 but the index is 6",
        ),
        ("memory", "the memory is used up"),
        ("fail", "on purpose"),
        ("nonsense", "there is no nonsense"),
    ];
    for (what, expected) in failures {
        let error = node.error("probe", &format!("\"{what}\""));
        assert_eq!(without_line(&error), expected, "{what}");
    }
    assert_eq!(node.ask("SELECT count(*) FROM t"), "0");
    node.ask("INSERT INTO sys.tasks (id, program, entry, attempts_max) VALUES (99, 'probe', 'other', 1)");
    let other = node.until(99, |task| task.state == "failed");
    assert_eq!(other.error.as_deref(), Some("the program failed: the other one"));
}

/// A panic's message without the number of its line, which changes with the example.
fn without_line(error: &str) -> String {
    let Some((before, after)) = error.split_once(".rs:") else { return error.to_string() };
    format!("{before}.rs:LINE{}", after.trim_start_matches(char::is_numeric))
}

#[test]
fn a_run_has_a_time_chance_a_log_and_a_result() {
    let mut node = node();
    assert_eq!(node.result("probe", "\"result\""), "\"set\"");
    assert_eq!(node.result("probe", "\"facts\""), "[true,true]");
    assert!(node.console().contains("a line of the probe"));
}

#[test]
fn files_are_written_and_read() {
    let mut node = node();
    let said = r#"["Shorter","/probe/long: no such file or directory","/probe/deep: directory not empty"]"#;
    assert_eq!(node.result("probe", "\"files\""), said);
    assert_eq!(
        node.ask("SELECT path FROM sys.files ORDER BY path"),
        "/\n/probe\n/probe/deep\n/probe/deep/text"
    );
    assert_eq!(node.file("/probe/deep/text"), "Shorter");
}

#[test]
fn a_step_is_done_once_though_its_task_has_failed_and_begun_again() {
    let mut node = node();
    let task = node.begin("probe", "\"steps\"", 20);
    let failed = node.until(task, |task| task.error.is_some());
    assert_eq!(failed.error.as_deref(), Some("the program failed: not yet"));
    // The first step is there; what the second did was undone with it.
    assert_eq!(node.ask("SELECT a FROM t"), "1");
    assert_eq!(node.ask("SELECT name, result FROM sys.steps"), "a 1");
    node.ask("INSERT INTO t VALUES (100)");
    let done = node.until(task, |task| task.state == "done");
    assert_eq!(done.result.as_deref(), Some(r#"[1,"later"]"#));
    assert_eq!(node.ask("SELECT a FROM t ORDER BY a"), "1\n2\n100");
    assert_eq!(node.ask("SELECT name, result FROM sys.steps ORDER BY name"), "a 1\nb \"later\"\nc null");
    assert_ne!(node.ask("SELECT failures FROM sys.tasks"), "0");
}

#[test]
fn what_a_step_gave_must_be_what_it_gives() {
    let mut node = node();
    let task = node.begin("probe", "\"changed\"", 1);
    // It waits between its steps, and meanwhile the first has given something else.
    while node.ask("SELECT waits_for FROM sys.tasks") == "-" {}
    node.ask("UPDATE sys.steps SET result = '\"seven\"'");
    node.ask("SELECT sys.send('probe', 'null')");
    let failed = node.until(task, |task| task.state == "failed");
    let error = failed.error.expect("why");
    let expected = "the program failed: step \"a\" has given something else before: invalid type: string";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn tasks_send_receive_wait_and_sleep() {
    let mut node = node();
    node.ask("INSERT INTO sys.mailboxes (name) VALUES ('probe')");
    assert_eq!(node.result("probe", "\"messages\""), r#"[{"a":1},null]"#);
    assert_eq!(node.result("probe", "\"sleep\""), "60");
    assert_eq!(node.result("probe", "\"wait\""), "\"in vain\"");
    assert_eq!(node.ask("SELECT attempt FROM sys.tasks ORDER BY id"), "1\n2\n2");
}

#[test]
fn a_program_is_a_function_of_sql() {
    let mut node = node();
    node.ask(
        "CREATE FUNCTION repeated(words text[], times int DEFAULT 2) RETURNS text[] IMMUTABLE LANGUAGE wasm \
         AS 'probe', 'repeated'",
    );
    assert_eq!(node.ask("SELECT repeated(ARRAY['ab', '\"'])"), r#"{abab,"\"\""}"#);
    assert_eq!(node.ask("SELECT repeated(ARRAY['a'], g) FROM generate_series(1, 3) g"), "{a}\n{aa}\n{aaa}");
    assert_eq!(node.ask("SELECT repeated('{}', NULL)"), "-");
    assert_eq!(node.refused("SELECT repeated(ARRAY['a'], 10)"), "10 times is too often");
    node.ask("CREATE FUNCTION rows(words text[], times int) RETURNS SETOF text LANGUAGE wasm AS 'probe', 'repeated'");
    assert_eq!(node.ask("SELECT * FROM rows(ARRAY['a', 'b'], 3)"), "aaa\nbbb");
}
