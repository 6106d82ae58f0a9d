//! Indexes of long tables are built while others write. Every interleaving of the builder's turns with the writers' is
//! drawn from a seed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cluster_format::KeyRange;
use cluster_sql::catalog::{Descriptor, Index, TableDescriptor, descriptor_key};
use cluster_sql::database::{Database, Freshness};
use cluster_sql::key::table_range;
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::wire::{Style, text_of};
use cluster_sql::{CancelFlag, CancelReason, Mode, Outcome, Session, SqlError};
use cluster_store::Direction;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::support::block_on;

const START_MICROS: i64 = 1_700_000_000_000_000;

fn poll<F: Future + ?Sized>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

struct Client {
    session: Session<MemoryDatabase>,
    cancel: Arc<CancelFlag>,
}

impl Client {
    fn new(database: &MemoryDatabase) -> Client {
        let cancel = Arc::new(CancelFlag::default());
        Client { session: Session::new(database.clone(), "relix", "relix", 1, cancel.clone()), cancel }
    }

    /// Runs a statement; its rows as text.
    async fn run(&mut self, sql: &str) -> Result<Vec<String>, SqlError> {
        let mode = Mode { alone: true, described: false };
        let statements = self.session.parse(sql)?;
        let prepared = self.session.prepare(&statements[0], &[]).await?;
        let mut shown = Vec::new();
        match self.session.execute(&prepared, Vec::new(), mode).await {
            Ok(Outcome::Rows(mut cursor)) => {
                while let Some(rows) = self.session.fetch(&mut cursor).await? {
                    let text =
                        |row: &Vec<_>| row.iter().map(|d| text_of(d, &Style::default())).collect::<Vec<_>>();
                    shown.extend(rows.iter().map(|row| text(row).join("|")));
                }
            }
            Ok(_) => {}
            Err(error) => {
                self.session.fail();
                return Err(error);
            }
        }
        Ok(shown)
    }

    fn does(&mut self, sql: &str) -> Vec<String> {
        block_on(self.run(sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    fn fails(&mut self, sql: &str) -> (&'static str, String) {
        let error = block_on(self.run(sql)).expect_err(sql);
        (error.state.0, error.message)
    }
}

fn database(rows: usize) -> (MemoryDatabase, Client) {
    let database = MemoryDatabase::new(START_MICROS);
    let mut client = Client::new(&database);
    client.does("CREATE TABLE t (id int PRIMARY KEY, v int, w int)");
    client.does(&format!("INSERT INTO t SELECT g, g % 50, g FROM generate_series(1, {rows}) g"));
    (database, client)
}

fn table(database: &MemoryDatabase) -> TableDescriptor {
    let snapshot = block_on(database.snapshot(Freshness::Local)).expect("a snapshot");
    let bytes = block_on(snapshot.get(&descriptor_key("public", "t"))).expect("read").expect("the table");
    match Descriptor::decode(&bytes) {
        Some(Descriptor::Table(table)) => table,
        other => panic!("{other:?}"),
    }
}

/// How many keys there are under this id.
fn keys_of(database: &MemoryDatabase, id: u32) -> usize {
    let snapshot = block_on(database.snapshot(Freshness::Local)).expect("a snapshot");
    let mut range = table_range(id);
    let mut count = 0;
    loop {
        let rows = block_on(snapshot.read(&range, Direction::Forward, 256)).expect("read");
        let Some((last, _)) = rows.last() else { return count };
        count += rows.len();
        range.start = KeyRange::single(last).end;
    }
}

/// Whether some rows are in the index.
fn is_begun(database: &MemoryDatabase) -> bool {
    table(database).indexes.first().is_some_and(|index| keys_of(database, index.id) > 0)
}

/// Runs `sql` in one session, a turn at a time, and `between` its turns.
fn beside(client: &mut Client, sql: &str, mut between: impl FnMut(usize)) -> Result<Vec<String>, SqlError> {
    let mut building = pin!(client.run(sql));
    for turn in 0..1_000_000 {
        if let Some(built) = poll(&mut building) {
            return built;
        }
        between(turn);
    }
    panic!("it does not come to an end");
}

/// What the index says of each value is what the rows say.
fn agrees(database: &MemoryDatabase, client: &mut Client, column: &str) {
    let plan = client.does(&format!("EXPLAIN SELECT count(*) FROM t WHERE {column} = 7"));
    assert!(plan.iter().any(|line| line.contains("Range scan") || line.contains("Point get")), "{plan:?}");
    let by_rows =
        client.does(&format!("SELECT {column} + 0, count(*) FROM t WHERE {column} IS NOT NULL GROUP BY 1"));
    for line in by_rows {
        let (value, count) = line.split_once('|').expect("two columns");
        let by_index = client.does(&format!("SELECT count(*) FROM t WHERE {column} = {value}"));
        assert_eq!(by_index, [count], "{column} = {value}");
    }
    let rows = table(database);
    let index = rows.indexes.last().expect("an index");
    assert!(index.is_ready());
    assert_eq!(keys_of(database, index.id), keys_of(database, rows.id), "no entry is left of what is gone");
}

#[test]
fn an_index_is_whole_whatever_is_written_while_it_is_built() {
    for seed in 0..6 {
        let (database, mut builder) = database(6_000);
        let mut writer = Client::new(&database);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut next, mut written) = (10_000, 0);
        beside(&mut builder, "CREATE INDEX ON t (v)", |_| {
            if rng.next_u32() % 3 > 0 {
                return;
            }
            written += 1;
            let (id, value) = (1 + rng.next_u32() % 6_000, rng.next_u32() % 60);
            next += 1;
            writer.does(&match rng.next_u32() % 6 {
                0 => format!("INSERT INTO t VALUES ({next}, {value}, {next})"),
                1 => format!("DELETE FROM t WHERE id = {id}"),
                2 => format!("UPDATE t SET v = {value} WHERE id = {id}"),
                3 => format!("UPDATE t SET id = {next} WHERE id = {id}"),
                4 => format!("UPDATE t SET w = w + 1 WHERE id BETWEEN {id} AND {id} + 3"),
                _ => format!("INSERT INTO t VALUES (-{next}, NULL, {next})"),
            });
        })
        .expect("the index is built");
        assert!(written > 10, "{written} statements");
        agrees(&database, &mut builder, "v");
    }
}

#[test]
fn a_unique_index_is_whole_and_no_value_is_twice_in_it() {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..12 {
        let (database, mut builder) = database(5_000);
        let mut writer = Client::new(&database);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut next = 10_000;
        let built = beside(&mut builder, "ALTER TABLE t ADD UNIQUE (w)", |_| {
            let id = 1 + rng.next_u32() % 5_000;
            next += 1;
            // A value is given to another row and taken from the one that had it, in either order.
            let ran = match rng.next_u32() % 8 {
                0 => block_on(writer.run(&format!("INSERT INTO t VALUES ({next}, 0, {id})")))
                    .and_then(|_| block_on(writer.run(&format!("DELETE FROM t WHERE id = {id}")))),
                1 => block_on(writer.run(&format!("DELETE FROM t WHERE id = {id}")))
                    .and_then(|_| block_on(writer.run(&format!("INSERT INTO t VALUES ({next}, 0, {id})")))),
                2 => block_on(writer.run(&format!("UPDATE t SET id = {next} WHERE id = {id}"))),
                3 => block_on(writer.run(&format!("UPDATE t SET w = {next} WHERE id = {id}"))),
                _ => Ok(Vec::new()),
            };
            if let Err(error) = ran {
                assert_eq!(error.state.0, "23505", "{error:?}");
            }
        });
        match built {
            Ok(_) => {
                *outcomes.entry("built").or_default() += 1;
                agrees(&database, &mut builder, "w");
                let (state, _) = builder.fails("INSERT INTO t SELECT 99999, 0, w FROM t LIMIT 1");
                assert_eq!(state, "23505");
            }
            Err(error) => {
                *outcomes.entry("refused").or_default() += 1;
                assert_eq!(
                    (error.state.0, error.message.as_str()),
                    ("23505", "could not create unique index \"t_w_key\"")
                );
                assert!(table(&database).indexes.is_empty(), "nothing is left of it");
                builder.does("INSERT INTO t SELECT 99999, 0, w FROM t LIMIT 1");
            }
        }
    }
    assert!(outcomes.contains_key("built"), "{outcomes:?}");
}

#[test]
fn what_fails_leaves_nothing() {
    let (database, mut client) = database(5_000);
    let building = |table: &TableDescriptor| table.indexes.iter().any(|index| !Index::is_ready(index));
    let (state, message) = client.fails("CREATE UNIQUE INDEX twice ON t (v)");
    assert_eq!((state, message.as_str()), ("23505", "could not create unique index \"twice\""));
    assert!(table(&database).indexes.is_empty());
    client.does("UPDATE t SET v = NULL WHERE id = 4321");
    let (state, message) = client.fails("ALTER TABLE t ADD CONSTRAINT u UNIQUE (w), ADD UNIQUE (v)");
    assert_eq!(
        (state, message.contains("\"t_v_key\"")),
        ("23505", true),
        "several changes are one transaction: {message}"
    );
    assert!(table(&database).indexes.is_empty());
    // Cancelled, it is undone, too.
    let cancel = client.cancel.clone();
    let ended = beside(&mut client, "CREATE INDEX gone ON t (v)", |_| {
        if building(&table(&database)) {
            cancel.set(CancelReason::Request);
        }
    });
    assert_eq!(ended.expect_err("it was cancelled").state.0, "57014");
    assert!(table(&database).indexes.is_empty());
    client.cancel.clear();
    assert_eq!(client.does("CREATE INDEX gone ON t (v)"), Vec::<String>::new());
    agrees(&database, &mut client, "v");
}

#[test]
fn what_a_lost_session_leaves_is_swept_by_the_next_definition() {
    let (database, mut client) = database(5_000);
    let mut lost = Client::new(&database);
    let half = {
        let mut building = pin!(lost.run("CREATE UNIQUE INDEX half ON t (w)"));
        while !is_begun(&database) {
            assert!(poll(&mut building).is_none(), "it is not through yet");
        }
        let half = table(&database).indexes[0].clone();
        assert!(!half.is_ready());
        // It is not read, and writers keep it.
        let plan = client.does("EXPLAIN SELECT * FROM t WHERE w = 7");
        assert!(plan.iter().any(|line| line.contains("Scan of t")), "{plan:?}");
        let (state, _) = client.fails("INSERT INTO t VALUES (-1, 0, 1)");
        assert_eq!(state, "23505", "what is in it is refused");
        database.set_wall_micros(START_MICROS + 3_600_000_000);
        client.does("CREATE TABLE other (a int)");
        assert_eq!(table(&database).indexes.len(), 1, "its session is still there, however slow");
        half
    };
    client.does("DROP TABLE other");
    assert!(table(&database).indexes.is_empty());
    assert_eq!(keys_of(&database, half.id), 0);
    client.does("INSERT INTO t VALUES (-1, 0, 1)");
    client.does("CREATE INDEX half ON t (w)");
    agrees(&database, &mut client, "w");
}

#[test]
fn what_is_left_of_a_table_that_was_dropped_while_it_was_indexed_is_swept_too() {
    let (database, mut client) = database(5_000);
    let mut lost = Client::new(&database);
    {
        let mut building = pin!(lost.run("CREATE INDEX half ON t (w)"));
        while !is_begun(&database) {
            assert!(poll(&mut building).is_none(), "it is not through yet");
        }
        client.does("DROP TABLE t");
    }
    let builds = || {
        let snapshot = block_on(database.snapshot(Freshness::Local)).expect("a snapshot");
        block_on(snapshot.read(&KeyRange::prefix(&[0, 5]), Direction::Forward, 2)).expect("read").len()
    };
    assert_eq!(builds(), 1);
    client.does("CREATE TABLE other (a int)");
    assert_eq!(builds(), 0);
}

#[test]
fn a_builder_whose_index_is_dropped_says_so() {
    let (database, mut builder) = database(5_000);
    let mut other = Client::new(&database);
    let mut dropped = false;
    let ended = beside(&mut builder, "CREATE INDEX doomed ON t (v)", |_| {
        if !dropped && is_begun(&database) {
            other.does("DROP INDEX doomed");
            dropped = true;
        }
    });
    assert_eq!(ended.expect_err("it is gone").state.0, "55000");
    assert!(table(&database).indexes.is_empty());
}

#[test]
fn a_primary_key_is_built_over_rows_without_nulls() {
    let database = MemoryDatabase::new(START_MICROS);
    let mut client = Client::new(&database);
    client.does("CREATE TABLE t (id int, v int)");
    client.does("INSERT INTO t SELECT g, g FROM generate_series(1, 4000) g");
    client.does("INSERT INTO t VALUES (NULL, 1)");
    let (state, message) = client.fails("ALTER TABLE t ADD PRIMARY KEY (id)");
    assert_eq!((state, message.as_str()), ("23502", "column \"id\" of relation \"t\" contains null values"));
    client.does("UPDATE t SET id = 9999 WHERE id IS NULL");
    let mut writer = Client::new(&database);
    let (mut refused, mut removed) = (0, 0);
    client.does("INSERT INTO t VALUES (10001, 5)");
    beside(&mut client, "ALTER TABLE t ADD PRIMARY KEY (id)", |turn| {
        if table(&database).indexes.is_empty() {
            return;
        }
        match turn % 4 {
            0 => refused += usize::from(block_on(writer.run("INSERT INTO t VALUES (NULL, 2)")).is_err()),
            1 => removed += writer.does(&format!("DELETE FROM t WHERE id = {turn} RETURNING id")).len(),
            _ => {}
        }
    })
    .expect("it is built");
    assert!(refused > 0 && removed > 0, "{refused} {removed}");
    assert!(table(&database).columns[0].not_null);
    agrees(&database, &mut client, "id");
}
