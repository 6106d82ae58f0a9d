//! `LISTEN` and `NOTIFY`: who is told what, and when.

use std::sync::Arc;

use cluster_sql::memory::MemoryDatabase;
use cluster_sql::{CancelFlag, Missed, Mode, Outcome, Session, SqlError};

use crate::support::block_on;

struct Client(Session<MemoryDatabase>);

impl Client {
    fn new(database: &MemoryDatabase, backend: u32) -> Client {
        let cancel = Arc::new(CancelFlag::default());
        Client(Session::new(database.clone(), "relix", "relix", backend, cancel))
    }

    /// Runs statements as the simple protocol does.
    fn try_run(&mut self, sql: &str) -> Result<(), SqlError> {
        let ran = block_on(async {
            let statements = self.0.parse(sql)?;
            for statement in &*statements {
                let mode = Mode { alone: statements.len() == 1, described: false };
                let prepared = self.0.prepare(statement, &[]).await?;
                if let Outcome::Rows(mut cursor) = self.0.execute(&prepared, Vec::new(), mode).await? {
                    while self.0.fetch(&mut cursor).await?.is_some() {}
                }
            }
            Ok(())
        });
        match ran {
            Ok(()) => block_on(self.0.sync()),
            Err(error) => {
                self.0.fail();
                Err(error)
            }
        }
    }

    /// Runs one statement, and whether nothing else belongs to its transaction.
    fn execute(&mut self, sql: &str, alone: bool) {
        let ran = block_on(async {
            let statements = self.0.parse(sql)?;
            let prepared = self.0.prepare(&statements[0], &[]).await?;
            self.0.execute(&prepared, Vec::new(), Mode { alone, described: false }).await
        });
        ran.map(drop).expect("it runs");
    }

    fn run(&mut self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// What it has been told since the last call.
    fn told(&self) -> Vec<String> {
        let next = || self.0.take_notification().expect("nothing was missed");
        std::iter::from_fn(next)
            .map(|one| format!("{}: {} {}", one.backend, one.channel, one.payload))
            .collect()
    }
}

fn pair() -> (Client, Client) {
    let database = MemoryDatabase::new(1_700_000_000_000_000);
    let mut listener = Client::new(&database, 1);
    listener.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT g, g FROM generate_series(1, 9) g",
    );
    listener.run("LISTEN a");
    (listener, Client::new(&database, 2))
}

#[test]
fn who_listens_is_told_what_has_been_committed() {
    let (mut listener, mut other) = pair();
    other.run("NOTIFY a");
    other.run("NOTIFY A, 'payload'");
    other.run("NOTIFY b, 'nobody listens'");
    other.run("SELECT pg_notify('a', n::text) FROM t WHERE id < 4");
    other.run("INSERT INTO t VALUES (10, length(pg_notify('a', 'inserted')))");
    listener.run("NOTIFY a, 'own'");
    let expected = ["2: a ", "2: a payload", "2: a 1", "2: a 2", "2: a 3", "2: a inserted", "1: a own"];
    assert_eq!(listener.told(), expected);
    assert!(other.told().is_empty());
    listener.run("UNLISTEN *");
    other.run("NOTIFY a, 'too late'");
    assert!(listener.told().is_empty());
}

#[test]
fn a_block_tells_when_it_commits_and_each_thing_once() {
    let (listener, mut other) = pair();
    other.run("BEGIN");
    other.run("NOTIFY a, 'one'");
    other.run("SELECT pg_notify('a', 'two'), pg_notify('a', 'one')");
    other.run("SAVEPOINT s");
    other.run("NOTIFY a, 'undone'");
    other.run("ROLLBACK TO s");
    assert!(listener.told().is_empty());
    other.run("COMMIT");
    assert_eq!(listener.told(), ["2: a one", "2: a two"]);
    other.run("BEGIN; NOTIFY a, 'never'; ROLLBACK");
    other.try_run("NOTIFY a, 'never'; SELECT 1 / 0").unwrap_err();
    other.run("BEGIN READ ONLY; NOTIFY a, 'only reads'; COMMIT");
    assert_eq!(listener.told(), ["2: a only reads"]);
    other.run("NOTIFY a, 'with the rest'; UPDATE t SET n = 0 WHERE id = 1");
    assert_eq!(listener.told(), ["2: a with the rest"]);
}

#[test]
fn what_is_done_again_after_a_conflict_tells_nothing_twice() {
    let (mut listener, mut other) = pair();
    other.run("BEGIN");
    other.run("SELECT pg_notify('a', 'first')");
    other.run("UPDATE t SET n = n + 1 WHERE id = 1");
    other.run("UPDATE t SET n = n + 1 WHERE id = 2 RETURNING pg_notify('a', id::text)");
    listener.run("UPDATE t SET n = 100 WHERE id = 1");
    other.run("COMMIT");
    assert_eq!(listener.told(), ["2: a first", "2: a 2"]);
}

#[test]
fn what_is_listened_to_is_a_matter_of_the_transaction() {
    let (mut listener, mut other) = pair();
    listener.run("BEGIN; LISTEN b; ROLLBACK");
    other.run("NOTIFY b");
    assert!(listener.told().is_empty());
    listener.run("BEGIN; LISTEN c; NOTIFY c, 'own'; UNLISTEN a; COMMIT");
    assert_eq!(listener.told(), ["1: c own"]);
    other.run("NOTIFY a; NOTIFY c");
    assert_eq!(listener.told(), ["2: c "]);
    listener.run("DISCARD ALL");
    other.run("NOTIFY c");
    assert!(listener.told().is_empty());
}

#[test]
fn limits_are_said() {
    let (listener, mut other) = pair();
    let state = |error: SqlError| error.state.0;
    assert_eq!(other.try_run("SELECT pg_notify('', 'x')").map_err(state), Err("22023"));
    assert_eq!(other.try_run("SELECT pg_notify(NULL, 'x')").map_err(state), Err("22023"));
    assert_eq!(other.try_run("SELECT pg_notify(repeat('x', 64), 'x')").map_err(state), Err("22023"));
    assert_eq!(other.try_run("SELECT pg_notify('a', repeat('x', 8000))").map_err(state), Err("22023"));
    let much = "SELECT pg_notify('a', g || repeat('x', 7000)) FROM generate_series(1, 200) g";
    assert_eq!(other.try_run(much).map_err(state), Err("54000"));
    assert!(listener.told().is_empty());
    other.run("SELECT pg_notify('a', g || repeat('x', 7000)) FROM generate_series(1, 100) g");
    assert_eq!(listener.told().len(), 100);
    for _ in 0..2 {
        other.run("SELECT pg_notify('a', g || repeat('x', 7000)) FROM generate_series(1, 100) g");
    }
    assert_eq!(listener.0.take_notification(), Err(Missed::TooSlow));
}

#[test]
fn a_statement_of_a_pipeline_tells_whatever_follows() {
    let (listener, mut other) = pair();
    for sql in ["NOTIFY a, 'begun'; BEGIN; COMMIT", "NOTIFY a, 'ended'; COMMIT"] {
        other.run(sql);
    }
    assert_eq!(listener.told(), ["2: a begun", "2: a ended"]);
    // As the extended protocol runs two statements before one Sync: the last of them knows that nothing follows.
    other.execute("NOTIFY a, 'pipelined'", false);
    other.execute("UPDATE t SET n = 0 WHERE id = 1", true);
    block_on(other.0.sync()).expect("committed");
    assert_eq!(listener.told(), ["2: a pipelined"]);
}

#[test]
fn a_block_that_would_tell_something_else_is_not_done_again() {
    let (mut listener, mut other) = pair();
    other.run("BEGIN");
    other.run("NOTIFY a, 'by the way'");
    other.run("UPDATE t SET n = n + 1 WHERE id = 1 RETURNING pg_notify('a', n::text)");
    listener.run("UPDATE t SET n = 100 WHERE id = 1");
    assert_eq!(other.try_run("COMMIT").map_err(|error| error.state.0), Err("40001"));
    assert!(listener.told().is_empty());
    other.run("UPDATE t SET n = n + 1 WHERE id = 1 RETURNING pg_notify('a', n::text)");
    assert_eq!(listener.told(), ["2: a 101"]);
}
