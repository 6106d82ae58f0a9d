//! What PostgreSQL 15 answered, from `golden.txt`: lines `expression => answer`, which `make-golden.sh` writes. An error
//! is its SQLSTATE and its message; `timezone = NAME` sets the session's zone for what follows.
//!
//! `CALENDAR_GOLDEN=FILE` checks a file of one's own instead, such as the answers to `random-expressions.py`.

#![forbid(unsafe_code)]

mod expression;

use std::panic::catch_unwind;

use cluster_calendar::{Session, Timestamptz, Zone};
use expression::{evaluate, syntax, text};

/// The answer of the crate to an expression.
fn answer(expression: &str, zone: &Zone) -> String {
    // Answers that depend on it are differences.
    let now = Timestamptz::from_micros(840_000_000_123_456).expect("in range");
    match evaluate(&syntax::parse(expression), Session { zone, now }) {
        Ok(value) => text(&value, zone),
        Err(error) => format!("ERROR {} {error}", error.sqlstate()),
    }
}

#[test]
fn answers_are_those_of_postgres() {
    let path = std::env::var("CALENDAR_GOLDEN")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt").into());
    let golden = std::fs::read_to_string(path).expect("the golden file");
    let mut zone = Zone::utc();
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in golden.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("timezone = ") {
            zone = Zone::setting(name).expect("a zone");
            continue;
        }
        let (expression, expected) = line.split_once(" => ").expect(line);
        checked += 1;
        let found = catch_unwind(|| answer(expression, &zone)).unwrap_or_else(|_| "PANIC".into());
        if found != expected {
            wrong.push(format!("{expression} => {expected}\n    but is {found}"));
        }
    }
    assert!(checked > 300, "{checked} lines");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}
