//! Golden scripts: statements with exactly what they answer, over the in-memory database.
//!
//! A line `a> SQL` runs in session `a`; what stands below it, up to an empty line, is the answer. Other
//! lines are comments. A statement may wait for another session: it is answered when it goes on. `UPDATE_GOLDEN=1 cargo test -p cluster-sql --test all golden` rewrites the answers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cluster_sql::memory::MemoryDatabase;
use cluster_sql::types::Datum;
use cluster_sql::{CancelFlag, Mode, Outcome, Session, SqlResult, wire};

use crate::support::block_on;

fn line(row: &[Datum]) -> String {
    let text = |datum: &Datum| match datum {
        Datum::Null => "NULL".into(),
        datum => {
            let mut text = String::new();
            wire::write_text(datum, &wire::Style::default(), &mut text);
            text
        }
    };
    row.iter().map(text).collect::<Vec<String>>().join(" | ")
}

async fn run(session: &mut Session<MemoryDatabase>, sql: &str, out: &mut String) -> SqlResult<()> {
    let statements = session.parse(sql)?;
    let mode = Mode { alone: statements.len() == 1, described: false };
    for statement in statements.iter() {
        let prepared = session.prepare(statement, &[]).await?;
        let tag = match session.execute(&prepared, Vec::new(), mode).await? {
            Outcome::Rows(mut cursor) => {
                let names: Vec<&str> = cursor.columns().iter().map(|column| column.name.as_str()).collect();
                let _ = writeln!(out, "{}", names.join(" | "));
                while let Some(rows) = session.fetch(&mut cursor).await? {
                    rows.iter().for_each(|row| out.push_str(&(line(row) + "\n")));
                }
                cursor.tag()
            }
            Outcome::Done(tag) => tag,
            _ => continue,
        };
        for notice in session.take_notices() {
            let _ = writeln!(out, "{}: {}", notice.severity, notice.message);
        }
        let _ = writeln!(out, "{tag}");
    }
    session.sync().await
}

async fn answer(session: &mut Session<MemoryDatabase>, sql: &str) -> String {
    let mut out = String::new();
    if let Err(error) = run(session, sql, &mut out).await {
        session.fail();
        let _ = writeln!(out, "ERROR {}: {}", error.state.0, error.message);
        for (title, text) in [("DETAIL", error.detail), ("HINT", error.hint)] {
            text.into_iter().for_each(|text| out.push_str(&format!("{title}: {text}\n")));
        }
        error.position.into_iter().for_each(|position| out.push_str(&format!("AT {position}\n")));
    }
    out
}

/// A statement that is being run, with the session that runs it.
type Running = Pin<Box<dyn Future<Output = (Session<MemoryDatabase>, String)>>>;

/// So often may others run before a statement counts as waiting for another session.
const POLLS_MAX: usize = 10_000;

enum Seat {
    Free(Box<Session<MemoryDatabase>>),
    Waiting(Running),
    Taken,
}

impl Seat {
    /// Goes on with what waits here; its answer, once there is one.
    fn go_on(&mut self) -> Option<String> {
        let Seat::Waiting(running) = self else { return None };
        for _ in 0..POLLS_MAX {
            if let Poll::Ready((session, answer)) =
                running.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                *self = Seat::Free(Box::new(session));
                return Some(answer);
            }
        }
        None
    }

    fn start(&mut self, sql: &str) -> String {
        let mut session = match std::mem::replace(self, Seat::Taken) {
            Seat::Free(session) => session,
            waiting => {
                *self = waiting;
                return "(waits still: not run)\n".into();
            }
        };
        let sql = sql.to_string();
        *self = Seat::Waiting(Box::pin(async move {
            let answer = answer(&mut session, &sql).await;
            (*session, answer)
        }));
        self.go_on().unwrap_or_else(|| "(waits)\n".into())
    }
}

fn replay(script: &str) -> String {
    let database = MemoryDatabase::new(1_700_000_000_000_000);
    let mut sessions: BTreeMap<String, Seat> = BTreeMap::new();
    let mut replayed = String::new();
    let mut in_answer = false;
    for line in script.lines() {
        match line.split_once("> ") {
            Some((name, sql)) if name.len() == 1 => {
                let new =
                    || Session::new(database.clone(), "relix", "relix", 1, Arc::new(CancelFlag::default()));
                let seat = sessions.entry(name.to_string()).or_insert_with(|| Seat::Free(Box::new(new())));
                replayed.push_str(&format!("{line}\n{}", seat.start(sql)));
                for (other, seat) in sessions.iter_mut().filter(|(other, _)| *other != name) {
                    if let Some(answer) = seat.go_on() {
                        replayed.push_str(&format!("({other} goes on)\n{answer}"));
                    }
                }
                in_answer = true;
            }
            _ => {
                in_answer &= !line.is_empty();
                if !in_answer {
                    replayed.push_str(&format!("{line}\n"));
                }
            }
        }
    }
    replayed
}

#[test]
fn golden_scripts_answer_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    for path in paths {
        let script = std::fs::read_to_string(&path).expect("a script");
        let replayed = replay(&script);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &replayed).expect("writable");
        } else {
            assert_eq!(script, replayed, "{} answers otherwise", path.display());
        }
    }
}

#[test]
fn statements_nested_or_chained_too_deep_are_refused() {
    // What the documentation of cluster_sql::parse promises.
    let small = std::thread::Builder::new().stack_size(512 * 1024).spawn(refuse_deep_statements);
    small.expect("a thread").join().expect("512 KiB of stack are enough");
}

fn refuse_deep_statements() {
    let database = MemoryDatabase::new(0);
    let mut session = Session::new(database, "relix", "relix", 1, Arc::new(CancelFlag::default()));
    let chain = |operator: &str, len: usize| format!("SELECT 1{}", format!("{operator}1").repeat(len));
    let texts = [
        chain("+", 100_000),
        chain("::int", 1_000).replace("int1", "int"),
        chain(" UNION SELECT ", 10_000),
        chain(" OR ", 100_000).replace('1', "true"),
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}1", "- ".repeat(100_000)),
        format!("SELECT {}true", "NOT ".repeat(100_000)),
        format!("SELECT 1 {}", "IS NULL ".repeat(50_000)),
        format!("SELECT {}1{}", "((1".repeat(40), "+1)+1)".repeat(40)),
        format!("SELECT a{}", "[1]".repeat(10_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(1_000), " END".repeat(1_000)),
    ];
    for text in texts {
        let code = match block_on(run(&mut session, &text, &mut String::new())) {
            Ok(()) => "",
            Err(error) => error.state.0,
        };
        assert!(matches!(code, "54001" | "42601"), "{code} for {}", &text[..40]);
    }
    let wide = format!("SELECT 1 WHERE 1 IN ({}1)", "1,".repeat(50_000));
    assert!(block_on(run(&mut session, &wide, &mut String::new())).is_ok());
    let terms = format!("SELECT 1 WHERE {}", vec!["1 = 2"; 250].join(" OR "));
    assert!(block_on(run(&mut session, &terms, &mut String::new())).is_ok());
}

#[test]
fn many_joins_are_planned_in_time() {
    let database = MemoryDatabase::new(0);
    let mut session = Session::new(database, "relix", "relix", 1, Arc::new(CancelFlag::default()));
    assert_eq!(
        block_on(answer(&mut session, "CREATE TABLE t (id int PRIMARY KEY, n int)")),
        "CREATE TABLE\n"
    );
    let joins = |kind: &str, count: usize| {
        let joined =
            |at| format!(" {kind} JOIN t t{at} ON t{at}.id = t{}.n AND t{at}.n = t{}.id", at - 1, at - 1);
        format!("SELECT count(*) FROM t t0{}", (1..count).map(joined).collect::<String>())
    };
    for sql in [joins("LEFT", 40), joins("", 40), joins("", 70)] {
        assert_eq!(block_on(answer(&mut session, &sql)), "count\n0\nSELECT 1\n");
    }
}
