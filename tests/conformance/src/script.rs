//! Scripts of SQL with the answers that are expected.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqllogictest::{
    AsyncDB, ColumnType, DBOutput, ExpectedError, QueryExpect, Record, Runner, SortMode, StatementExpect,
    parse_file, strict_column_validator,
};

use crate::session::{Answer, Failure, Session};

/// A column's type, as a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(char);

impl ColumnType for Kind {
    fn from_char(letter: char) -> Option<Kind> {
        Some(Kind(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

impl Kind {
    /// By the name that Postgres gives the type.
    fn of(name: &str) -> Kind {
        Kind(match name {
            "bool" => 'B',
            "int2" | "int4" | "int8" | "oid" => 'I',
            "float4" | "float8" => 'R',
            "numeric" => 'N',
            "date" | "time" | "timestamp" | "timestamptz" | "interval" => 'D',
            "json" | "jsonb" => 'J',
            name if name.starts_with('_') => 'A',
            _ => 'T',
        })
    }
}

/// A value on a line of its own column.
fn shown(value: &Option<String>) -> String {
    match value.as_deref() {
        None => "NULL".into(),
        Some("") => "(empty)".into(),
        Some(text) => text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t"),
    }
}

#[async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        let Answer { columns, rows, count } = Session::run(self, sql).await?;
        if columns.is_empty() {
            return Ok(DBOutput::StatementComplete(count));
        }
        let types = columns.iter().map(|(_, kind)| Kind::of(kind)).collect();
        Ok(DBOutput::Rows { types, rows: rows.iter().map(|row| row.iter().map(shown).collect()).collect() })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "postgresql"
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.state.clone())
    }
}

/// Between the values of a row.
const SEPARATOR: &str = "\t";

fn is_same(_: fn(&String) -> String, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.iter().map(|row| row.join(SEPARATOR)).eq(expected.iter().cloned())
}

fn runner(port: u16) -> Runner<Session, impl sqllogictest::MakeConnection<Conn = Session>> {
    let mut runner = Runner::new(move || Session::connect(port));
    runner.with_validator(is_same);
    runner.with_normalizer(String::clone);
    runner.with_column_validator(strict_column_validator);
    runner
}

/// All scripts.
///
/// # Panics
/// If their folder cannot be read.
pub fn all() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let entries = std::fs::read_dir(folder).expect("the folder of scripts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a script").path()).collect();
    paths.sort();
    paths
}

/// Runs a script against a server, on its own connection; what is not as expected, with its place, if anything.
pub async fn run(path: &Path, port: u16) -> Result<(), String> {
    runner(port).run_file_async(path).await.map_err(|error| error.display(false).to_string())
}

/// Writes what a server answers into a script, in place of what was expected.
pub async fn record(path: &Path, port: u16) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let session = Session::connect(port).await.map_err(|error| failed(&error))?;
    let mut recorded = String::new();
    for mut record in parse_file::<Kind>(path).map_err(|error| failed(&error))? {
        match &mut record {
            Record::Statement { sql, expected, .. } => {
                *expected = statement_expected(session.run(sql).await, expected)
            }
            Record::Query { sql, expected, .. } => {
                *expected = query_expected(session.run(sql).await, expected)
            }
            Record::Injected(_) => continue,
            _ => {}
        }
        recorded.push_str(&format!("{record}\n"));
    }
    std::fs::write(path, recorded.trim_end().to_string() + "\n").map_err(|error| failed(&error))
}

fn statement_expected(outcome: Result<Answer, Failure>, before: &StatementExpect) -> StatementExpect {
    match (outcome, before) {
        (Err(failure), _) => StatementExpect::Error(ExpectedError::SqlState(failure.state)),
        (Ok(answer), StatementExpect::Count(_)) => StatementExpect::Count(answer.count),
        (Ok(_), _) => StatementExpect::Ok,
    }
}

fn query_expected(outcome: Result<Answer, Failure>, before: &QueryExpect<Kind>) -> QueryExpect<Kind> {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(failure) => return QueryExpect::Error(ExpectedError::SqlState(failure.state)),
    };
    let (sort_mode, label) = match before {
        QueryExpect::Results { sort_mode, label, .. } => (*sort_mode, label.clone()),
        QueryExpect::Error(_) => (None, None),
    };
    let row = |row: &Vec<Option<String>>| row.iter().map(shown).collect::<Vec<_>>().join(SEPARATOR);
    let mut results: Vec<String> = answer.rows.iter().map(row).collect();
    if sort_mode == Some(SortMode::RowSort) {
        results.sort();
    }
    let types = answer.columns.iter().map(|(_, kind)| Kind::of(kind)).collect();
    QueryExpect::Results { types, sort_mode, result_mode: None, label, results }
}
