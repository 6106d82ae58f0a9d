//! The stores of others, in this process.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use redb::{Database, Durability, ReadableTable, TableDefinition};
use rusqlite::{Connection, params_from_iter};

use super::system::{files_in, forget, size_of, written_by};
use super::{MEMORY_MIB, READS_FOR, Row, Subject, list_condition, list_of};

/// Rows a second that threads read, each by a reader of its own that `open` makes: it is given the number of a read, and
/// says how many rows that was.
fn read_by_threads<R: FnMut(u64) -> u64>(clients: usize, open: impl Fn() -> R + Sync) -> f64 {
    let reading = |client: usize| {
        let mut read = open();
        let started = Instant::now();
        let (mut count, mut rows) = (0, 0);
        while started.elapsed() < READS_FOR {
            rows += read(count * clients as u64 + client as u64);
            count += 1;
        }
        rows as f64 / started.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let reading = &reading;
        let threads: Vec<_> = (0..clients).map(|client| scope.spawn(move || reading(client))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reader")).sum()
    })
}

pub struct Sqlite {
    directory: PathBuf,
    /// The loader's, and the small writer's.
    connections: Option<[Mutex<Connection>; 2]>,
}

impl Sqlite {
    pub fn new(directory: PathBuf) -> Sqlite {
        let mut sqlite = Sqlite { directory, connections: None };
        let first = sqlite.connect(MEMORY_MIB);
        let tables = "CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL); \
                      CREATE TABLE small (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";
        first.execute_batch(tables).expect("two tables");
        sqlite.connections = Some([first, sqlite.connect(1)].map(Mutex::new));
        sqlite
    }

    fn connect(&self, cache_mib: usize) -> Connection {
        let connection = Connection::open(self.directory.join("sqlite.db")).expect("a database");
        let cache_kib = cache_mib * 1024;
        let settings = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{cache_kib}; \
             PRAGMA busy_timeout = 600000;"
        );
        connection.execute_batch(&settings).expect("settings");
        connection
    }

    fn with<T>(&self, which: usize, act: impl FnOnce(&mut Connection) -> T) -> T {
        act(&mut self.connections.as_ref().expect("it is open")[which].lock().expect("one at a time"))
    }
}

impl Subject for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn load(&self, rows: &[Row]) {
        self.with(0, |connection| {
            let transaction = connection.transaction().expect("a transaction");
            let mut insert =
                transaction.prepare_cached("INSERT INTO rows VALUES (?1, ?2)").expect("a statement");
            for (key, body) in rows {
                insert.execute((key, body)).expect("a row");
            }
            drop(insert);
            transaction.commit().expect("a commit");
        });
    }

    fn write_one(&self, number: i64) {
        let insert = "INSERT INTO small VALUES (?1, 'some words')";
        self.with(1, |connection| connection.execute(insert, [number]).expect("a commit"));
    }

    fn settle(&self) {
        self.with(0, |connection| {
            connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint")
        });
    }

    fn written(&self) -> u64 {
        written_by("self")
    }

    fn size(&self) -> (u64, Option<u64>) {
        (size_of(&files_in(&self.directory)), None)
    }

    fn restart(&mut self, key: i64) -> Duration {
        self.connections = None;
        forget(&files_in(&self.directory));
        let started = Instant::now();
        self.connections = Some([self.connect(MEMORY_MIB), self.connect(1)].map(Mutex::new));
        self.with(0, |connection| {
            let body: String = connection
                .query_row("SELECT body FROM rows WHERE id = ?1", [key], |row| row.get(0))
                .expect("a row");
            assert_eq!(body.len(), 200);
        });
        started.elapsed()
    }

    fn read(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64 {
        // They share the memory there is.
        read_by_threads(clients, || {
            let connection = self.connect((MEMORY_MIB / clients).max(1));
            move |number| {
                let mut get =
                    connection.prepare_cached("SELECT body FROM rows WHERE id = ?1").expect("a statement");
                let body = get.query_row([keys(number)], |row| row.get::<_, String>(0));
                assert_eq!(body.expect("the row is there").len(), 200);
                1
            }
        })
    }

    fn read_lists(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64 {
        let select = &format!("SELECT body FROM rows WHERE {}", list_condition('?'));
        read_by_threads(clients, || {
            let connection = self.connect((MEMORY_MIB / clients).max(1));
            move |number| {
                let mut get = connection.prepare_cached(select).expect("a statement");
                let list = params_from_iter(list_of(keys, number));
                let bodies = get.query_map(list, |row| row.get::<_, String>(0)).expect("rows");
                bodies.filter(|body| body.as_ref().is_ok_and(|body| body.len() == 200)).count() as u64
            }
        })
    }

    fn scan(&self) -> (u64, u64) {
        let sum = "SELECT count(*), sum(length(body)) FROM rows";
        self.with(0, |connection| {
            connection.query_row(sum, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a scan")
        })
    }
}

const ROWS: TableDefinition<'_, i64, &str> = TableDefinition::new("rows");
const SMALL: TableDefinition<'_, i64, &str> = TableDefinition::new("small");

pub struct Redb {
    directory: PathBuf,
    database: Option<Database>,
}

impl Redb {
    pub fn new(directory: PathBuf) -> Redb {
        let mut redb = Redb { directory, database: None };
        redb.open();
        redb
    }

    fn open(&mut self) {
        let builder =
            Database::builder().set_cache_size(MEMORY_MIB << 20).create(self.directory.join("redb.db"));
        self.database = Some(builder.expect("a database"));
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("it is open")
    }

    fn insert<'a>(
        &self,
        table: TableDefinition<'_, i64, &'static str>,
        rows: impl Iterator<Item = (i64, &'a str)>,
    ) {
        let mut transaction = self.database().begin_write().expect("a transaction");
        transaction.set_durability(Durability::Immediate);
        {
            let mut table = transaction.open_table(table).expect("a table");
            for (key, body) in rows {
                table.insert(key, body).expect("a row");
            }
        }
        transaction.commit().expect("a commit");
    }
}

impl Redb {
    /// How many rows these keys have, copied as SQLite does.
    fn get(&self, keys: &[i64]) -> u64 {
        let transaction = self.database().begin_read().expect("a transaction");
        let table = transaction.open_table(ROWS).expect("a table");
        let is_there = |key: &&i64| {
            let body = table.get(**key).expect("a read").map(|body| body.value().to_string());
            body.is_some_and(|body| body.len() == 200)
        };
        keys.iter().filter(is_there).count() as u64
    }
}

impl Subject for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn load(&self, rows: &[Row]) {
        self.insert(ROWS, rows.iter().map(|(key, body)| (*key, body.as_str())));
    }

    fn write_one(&self, number: i64) {
        self.insert(SMALL, [(number, "some words")].into_iter());
    }

    fn settle(&self) {}

    fn written(&self) -> u64 {
        written_by("self")
    }

    fn size(&self) -> (u64, Option<u64>) {
        (size_of(&files_in(&self.directory)), None)
    }

    fn restart(&mut self, key: i64) -> Duration {
        self.database = None;
        forget(&files_in(&self.directory));
        let started = Instant::now();
        self.open();
        let transaction = self.database().begin_read().expect("a transaction");
        let table = transaction.open_table(ROWS).expect("a table");
        assert!(table.get(key).expect("a read").is_some_and(|body| body.value().len() == 200));
        started.elapsed()
    }

    fn read(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64 {
        read_by_threads(clients, || |number| self.get(&[keys(number)]))
    }

    fn read_lists(&self, clients: usize, keys: &(dyn Fn(u64) -> i64 + Sync)) -> f64 {
        read_by_threads(clients, || |number| self.get(&list_of(keys, number)))
    }

    fn scan(&self) -> (u64, u64) {
        let transaction = self.database().begin_read().expect("a transaction");
        let table = transaction.open_table(ROWS).expect("a table");
        let rows = table.iter().expect("rows").map(|row| row.expect("a row"));
        rows.fold((0, 0), |(rows, bytes), (_, body)| (rows + 1, bytes + body.value().len() as u64))
    }
}
