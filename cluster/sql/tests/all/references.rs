//! What rows refer to is there when they are committed, whatever others have done since it was looked for.

use std::sync::Arc;

use cluster_sql::memory::MemoryDatabase;
use cluster_sql::wire::{Style, text_of};
use cluster_sql::{CancelFlag, CopyIn, Mode, Outcome, Session, SqlError};

use crate::support::block_on;

struct Client {
    session: Session<MemoryDatabase>,
}

impl Client {
    fn new(database: &MemoryDatabase) -> Client {
        let cancel = Arc::new(CancelFlag::default());
        Client { session: Session::new(database.clone(), "relix", "relix", 1, cancel) }
    }

    async fn outcome(&mut self, sql: &str) -> Result<Outcome, SqlError> {
        let statements = self.session.parse(sql)?;
        let prepared = self.session.prepare(&statements[0], &[]).await?;
        self.session.execute(&prepared, Vec::new(), Mode { alone: true, described: false }).await
    }

    /// Runs a statement; its rows as text, or the SQLSTATE.
    fn run(&mut self, sql: &str) -> Result<Vec<String>, &'static str> {
        let ran = block_on(async {
            let mut shown = Vec::new();
            if let Outcome::Rows(mut cursor) = self.outcome(sql).await? {
                while let Some(rows) = self.session.fetch(&mut cursor).await? {
                    let text =
                        |row: &Vec<_>| row.iter().map(|d| text_of(d, &Style::default())).collect::<Vec<_>>();
                    shown.extend(rows.iter().map(|row| text(row).join("|")));
                }
            }
            Ok(shown)
        });
        self.ended(ran)
    }

    fn ended<T>(&mut self, ended: Result<T, SqlError>) -> Result<T, &'static str> {
        ended.map_err(|error| {
            self.session.fail();
            error.state.0
        })
    }

    fn does(&mut self, sql: &str) -> Vec<String> {
        self.run(sql).unwrap_or_else(|state| panic!("{sql}: {state}"))
    }

    fn copy(&mut self, sql: &str) -> Box<CopyIn> {
        match block_on(self.outcome(sql)) {
            Ok(Outcome::CopyIn(copy)) => copy,
            Ok(_) => panic!("{sql} is no COPY"),
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }

    fn copy_data(&mut self, copy: &mut CopyIn, lines: &str) {
        block_on(self.session.copy_data(copy, lines.as_bytes())).expect("the rows are taken");
    }

    fn copy_done(&mut self, copy: Box<CopyIn>) -> Result<String, &'static str> {
        let done = block_on(self.session.copy_done(*copy)).map(|tag| tag.to_string());
        self.ended(done)
    }
}

/// Two tables that rows of a third refer to: to one by two columns, and by a key that may wait.
fn clients() -> (Client, Client) {
    let database = MemoryDatabase::new(1_700_000_000_000_000);
    let (mut one, other) = (Client::new(&database), Client::new(&database));
    one.does("CREATE TABLE p (id int PRIMARY KEY)");
    one.does("CREATE TABLE q (a int, b int, PRIMARY KEY (a, b))");
    one.does(
        "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, a int, b int,
         up int REFERENCES c DEFERRABLE INITIALLY DEFERRED, FOREIGN KEY (a, b) REFERENCES q)",
    );
    one.does("INSERT INTO p VALUES (1), (2)");
    one.does("INSERT INTO q VALUES (1, 1), (2, 2)");
    (one, other)
}

const ORPHANS: &str =
    "SELECT c.id FROM c WHERE c.p NOT IN (SELECT id FROM p) OR c.up NOT IN (SELECT id FROM c)
     OR (c.a, c.b) NOT IN (SELECT a, b FROM q) ORDER BY 1";

#[test]
fn what_copied_rows_refer_to_is_not_deleted_meanwhile() {
    for gone in ["DELETE FROM p WHERE id = 2", "DELETE FROM q WHERE a = 2", "UPDATE q SET b = 3 WHERE a = 2"]
    {
        let (mut one, mut other) = clients();
        // All are taken by the first piece, and looked at with it.
        let mut copy = one.copy("COPY c FROM STDIN");
        one.copy_data(&mut copy, "1\t1\t1\t1\t2\n2\t2\t2\t2\t1\n");
        other.does(gone);
        assert_eq!(one.copy_done(copy), Err("40001"), "{gone}");
        assert_eq!(one.does("SELECT count(*) FROM c"), ["0"]);
        // Again, it meets what is so now.
        let mut copy = one.copy("COPY c FROM STDIN");
        one.copy_data(&mut copy, "1\t1\t1\t1\t2\n2\t2\t2\t2\t1\n");
        assert_eq!(one.copy_done(copy), Err("23503"), "{gone}");
    }
}

#[test]
fn what_copied_rows_refer_to_holds_where_others_change_other_rows() {
    let (mut one, mut other) = clients();
    let mut copy = one.copy("COPY c FROM STDIN");
    one.copy_data(&mut copy, "1\t1\t1\t1\t2\n2\t2\t2\t2\t1\n");
    other.does("INSERT INTO p VALUES (3)");
    other.does("INSERT INTO q VALUES (3, 3)");
    assert_eq!(one.copy_done(copy).as_deref(), Ok("COPY 2"));
    assert_eq!(other.run("DELETE FROM p WHERE id = 2"), Err("23503"));
    assert_eq!(other.run("DELETE FROM c WHERE id = 1"), Err("23503"), "the one after it refers to it");
    assert_eq!(one.does(ORPHANS), Vec::<String>::new());
    let mut copy = one.copy("COPY c FROM STDIN");
    one.copy_data(&mut copy, "3\t1\t1\t1\t9\n");
    assert_eq!(one.copy_done(copy), Err("23503"), "nothing is called 9");
}

#[test]
fn rows_copied_in_a_block_are_checked_when_it_commits() {
    for gone in ["DELETE FROM p WHERE id = 2", "DELETE FROM q WHERE a = 2"] {
        let (mut one, mut other) = clients();
        one.does("BEGIN");
        one.does("INSERT INTO p VALUES (7)");
        let mut copy = one.copy("COPY c FROM STDIN");
        one.copy_data(&mut copy, "1\t7\t1\t1\t\\N\n2\t2\t2\t2\t1\n");
        one.copy_done(copy).expect("all is there");
        other.does(gone);
        assert_eq!(one.run("COMMIT"), Err("40001"), "{gone}");
        assert_eq!(one.does(ORPHANS), Vec::<String>::new());
        assert_eq!(one.does("SELECT count(*) FROM c"), ["0"]);
    }
}

#[test]
fn a_block_that_is_done_again_looks_again_for_what_its_rows_refer_to() {
    let (mut one, mut other) = clients();
    let counter = "CREATE TABLE counter (n int)";
    one.does(counter);
    one.does("INSERT INTO counter VALUES (0)");
    for gone in ["DELETE FROM p WHERE id = 2", "DELETE FROM q WHERE a = 2"] {
        one.does("BEGIN");
        one.does("UPDATE counter SET n = n + 1");
        one.does("INSERT INTO c VALUES (1, 2, 2, 2, 2), (2, 1, 1, 1, 1)");
        // Another node's commit: it does not wait for the claims of this one.
        other.does("DELETE FROM c");
        other.does(gone);
        let committed = one.run("COMMIT");
        assert!(matches!(committed, Err("40001" | "23503")), "{gone}: {committed:?}");
        assert_eq!(one.does(ORPHANS), Vec::<String>::new());
        assert_eq!(one.does("SELECT count(*) FROM c"), ["0"]);
        other.does("INSERT INTO p VALUES (2) ON CONFLICT DO NOTHING");
    }
    one.does("DELETE FROM q");
    one.does("INSERT INTO q VALUES (1, 1), (2, 2)");
    // What conflicts is something else: the rows come through, and refer to what is there.
    one.does("BEGIN");
    one.does("INSERT INTO c VALUES (1, 2, 2, 2, 2), (2, 1, 1, 1, 1)");
    one.does("UPDATE p SET id = id WHERE id = 1");
    one.does("COMMIT");
    assert_eq!(one.does("SELECT count(*) FROM c"), ["2"]);
    assert_eq!(one.does(ORPHANS), Vec::<String>::new());
}
