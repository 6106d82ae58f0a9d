//! The gateway as psql sees it. Without psql on the machine this says so and passes.

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// What psql prints for `script`, one session; none without psql.
fn psql(address: SocketAddr, script: &str) -> Option<String> {
    let mut child = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "VERBOSITY=verbose"])
        .arg(format!("host=127.0.0.1 port={} user=relix", address.port()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("psql reads");
    let output = child.wait_with_output().expect("psql ends");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Some(text)
}

fn check(script: &str, expected: &str) {
    match psql(support::listen(), script) {
        Some(printed) => assert_eq!(printed, expected),
        None => println!("skipped: there is no psql on this machine"),
    }
}

#[test]
fn psql_creates_fills_and_reads_a_table() {
    check(
        "CREATE TABLE t (id int PRIMARY KEY, name text, x float8);\n\
         INSERT INTO t VALUES (1, 'one', 0.5), (2, NULL, -1e20);\n\
         SELECT * FROM t ORDER BY id DESC;\n\
         SELECT count(*) FROM t WHERE id = 1;\n",
        "2||-1e+20\n1|one|0.5\n1\n",
    );
}

#[test]
fn psql_shows_what_it_listens_to() {
    let script =
        "LISTEN a;\nNOTIFY a, 'first';\nSELECT pg_notify('a', 'second');\nUNLISTEN a;\nNOTIFY a, 'third';\n";
    let Some(printed) = psql(support::listen(), script) else {
        println!("skipped: there is no psql on this machine");
        return;
    };
    let told: Vec<_> = printed.lines().filter(|line| line.starts_with("Asynchronous")).collect();
    assert_eq!(told.len(), 2, "{printed}");
    assert!(told[0].contains("notification \"a\" with payload \"first\" received"), "{printed}");
    assert!(told[1].contains("\"second\""), "{printed}");
}

#[test]
fn psql_copies_in_and_out() {
    check(
        "CREATE TABLE t (id int PRIMARY KEY, name text);\n\
         \\copy t FROM STDIN WITH (FORMAT csv, HEADER)\n\
         id,name\n1,\"a,\"\"b\"\"\"\n2,\n3,\"\"\n\\.\n\
         SELECT id, name IS NULL, length(name) FROM t;\n\
         COPY t TO STDOUT;\n\
         \\copy (SELECT name FROM t WHERE id = 1) TO STDOUT WITH (FORMAT csv, HEADER)\n",
        "1|f|5\n2|t|\n3|f|0\n1\ta,\"b\"\n2\t\\N\n3\t\nname\n\"a,\"\"b\"\"\"\n",
    );
}

#[test]
fn psql_is_told_what_went_wrong_and_goes_on() {
    check(
        "\\set VERBOSITY sqlstate\n\
         SELEC 1;\nSELECT 1/0;\nCREATE TABLE t (id int PRIMARY KEY);\nINSERT INTO t VALUES (1);\n\
         INSERT INTO t VALUES (1);\n\\copy t FROM STDIN\nx\n\\.\nSELECT 'still here';\n",
        "still here\nERROR:  42601\nERROR:  22012\nERROR:  23505\nERROR:  22P02\n",
    );
}
