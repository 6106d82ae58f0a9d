//! Asks Relix and a real PostgreSQL the same, and says where they differ.
//!
//! `cargo run -p tests-conformance --example differential [-- [compare] FILE... | record FILE...]`; without files, all scripts.
//! `record` writes PostgreSQL's answers into the scripts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sqllogictest::{QueryExpect, Record, SortMode, parse_file};
use tests_conformance::postgres::Postgres;
use tests_conformance::script::{self, Kind};
use tests_conformance::session::{Answer, Failure, Session};
use tests_vm::Cluster;

type Outcome = Result<Answer, Failure>;

/// What must be the same of both.
fn difference(ours: &Outcome, theirs: &Outcome, is_ordered: bool) -> Option<String> {
    match (ours, theirs) {
        (Err(ours), Err(theirs)) if ours.state == theirs.state => None,
        (Ok(ours), Ok(theirs)) => {
            let sorted = |answer: &Answer| {
                let mut rows = answer.rows.clone();
                if !is_ordered {
                    rows.sort();
                }
                rows
            };
            let is_same = ours.columns == theirs.columns
                && sorted(ours) == sorted(theirs)
                && (ours.count == theirs.count || !ours.columns.is_empty());
            (!is_same).then(|| format!("{}\n{}", shown(ours), shown(theirs)))
        }
        _ => {
            let said = |outcome: &Outcome| match outcome {
                Ok(answer) => shown(answer),
                Err(failure) => format!("  {failure}"),
            };
            Some(format!("{}\n{}", said(ours), said(theirs)))
        }
    }
}

fn shown(answer: &Answer) -> String {
    let columns: Vec<String> = answer.columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
    let rows = answer.rows.iter().take(10).map(|row| row.iter().map(value).collect::<Vec<_>>().join(" | "));
    let lines = [columns.join(" | ")].into_iter().chain(rows);
    let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
    format!("{}\n  {} rows", lines.join("\n"), answer.count)
}

/// Runs a script on both; how many statements were run, and how many were answered differently.
async fn compare(path: &Path, ours: &Session, theirs: &Session) -> (usize, usize) {
    let records = match parse_file::<Kind>(path) {
        Ok(records) => records,
        Err(error) => {
            println!("{}: {error}", path.display());
            return (0, 1);
        }
    };
    let (mut run, mut different) = (0, 0);
    for record in records {
        let (loc, sql, is_ordered) = match record {
            Record::Statement { loc, sql, .. } => (loc, sql, true),
            Record::Query { loc, sql, expected, .. } => {
                let is_sorted = matches!(
                    expected,
                    QueryExpect::Results { sort_mode: Some(SortMode::RowSort | SortMode::ValueSort), .. }
                );
                (loc, sql, !is_sorted)
            }
            _ => continue,
        };
        run += 1;
        let (ours, theirs) = (ours.run(&sql).await, theirs.run(&sql).await);
        if let Some(difference) = difference(&ours, &theirs, is_ordered) {
            different += 1;
            println!("{}:{}: {sql}\n{difference}\n", path.display(), loc.line());
        }
    }
    (run, different)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let is_command = words.first().is_some_and(|word| word == "compare" || word == "record");
    let command = is_command.then(|| words.remove(0));
    let paths: Vec<PathBuf> = match words.is_empty() {
        true => script::all(),
        false => words.iter().map(PathBuf::from).collect(),
    };
    let Some(postgres) = Postgres::start() else {
        eprintln!("PostgreSQL is not installed: apt install postgresql");
        return ExitCode::FAILURE;
    };
    println!("{}", postgres.version());
    if command.as_deref() == Some("record") {
        for path in &paths {
            if let Err(error) = script::record(path, postgres.port).await {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
        return ExitCode::SUCCESS;
    }
    let cluster = Cluster::start("differential", &["--host", "--nodes", "1"]);
    let sessions = (Session::connect(cluster.port(1)).await, Session::connect(postgres.port).await);
    let (ours, theirs) = match sessions {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("no connection: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut run, mut different) = (0, 0);
    for path in &paths {
        let counts = compare(path, &ours, &theirs).await;
        (run, different) = (run + counts.0, different + counts.1);
    }
    println!("{run} statements of {} scripts, {different} answered differently", paths.len());
    if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
