//! The stores of others.

use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadableTable, TableDefinition};
use rusqlite::{Connection, OptionalExtension};

use super::{CACHE_LEN, Engine, Row};

pub(crate) struct Sqlite {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Sqlite {
    pub(crate) fn new(directory: &Path) -> Sqlite {
        let mut sqlite = Sqlite { path: directory.join("sqlite.db"), connection: None };
        sqlite.reopen();
        let create = "CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";
        sqlite.connection().execute_batch(create).expect("a table");
        sqlite
    }

    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is open")
    }
}

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn load(&mut self, rows: &[Row]) {
        let transaction = self.connection().transaction().expect("a transaction");
        let mut insert = transaction.prepare_cached("INSERT INTO rows VALUES (?1, ?2)").expect("a statement");
        for (key, value) in rows {
            insert.execute((&key[..], value)).expect("a row");
        }
        drop(insert);
        transaction.commit().expect("a commit");
    }

    fn settle(&mut self) {
        self.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    }

    fn reopen(&mut self) {
        self.connection = None;
        let connection = Connection::open(&self.path).expect("a database");
        let cache_kib = CACHE_LEN / 1024;
        let settings = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{cache_kib};"
        );
        connection.execute_batch(&settings).expect("settings");
        self.connection = Some(connection);
    }

    fn get(&mut self, key: &[u8; 8]) -> Option<usize> {
        let mut get =
            self.connection().prepare_cached("SELECT value FROM rows WHERE key = ?1").expect("a statement");
        let value = get.query_row([&key[..]], |row| row.get::<_, Vec<u8>>(0)).optional();
        value.expect("a read").map(|value| value.len())
    }

    fn scan(&mut self) -> (u64, u64) {
        let mut all =
            self.connection().prepare("SELECT key, value FROM rows ORDER BY key").expect("a statement");
        let mut rows = all.query([]).expect("rows");
        let mut counted = (0, 0);
        while let Some(row) = rows.next().expect("a row") {
            let len = |column| row.get_ref(column).and_then(|cell| Ok(cell.as_blob()?.len())).expect("bytes");
            counted = (counted.0 + 1, counted.1 + (len(0) + len(1)) as u64);
        }
        counted
    }

    fn written(&self) -> Option<u64> {
        None
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.path).expect("the file").len()
    }
}

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

pub(crate) struct Redb {
    path: PathBuf,
    database: Option<Database>,
}

impl Redb {
    pub(crate) fn new(directory: &Path) -> Redb {
        let mut redb = Redb { path: directory.join("redb.db"), database: None };
        redb.reopen();
        redb
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("it is open")
    }
}

impl Engine for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn load(&mut self, rows: &[Row]) {
        let mut transaction = self.database().begin_write().expect("a transaction");
        transaction.set_durability(Durability::Immediate);
        {
            let mut table = transaction.open_table(ROWS).expect("a table");
            for (key, value) in rows {
                table.insert(&key[..], &value[..]).expect("a row");
            }
        }
        transaction.commit().expect("a commit");
    }

    fn settle(&mut self) {}

    fn reopen(&mut self) {
        self.database = None;
        let database = Database::builder().set_cache_size(CACHE_LEN).create(&self.path);
        self.database = Some(database.expect("a database"));
    }

    fn get(&mut self, key: &[u8; 8]) -> Option<usize> {
        let transaction = self.database().begin_read().expect("a transaction");
        let table = transaction.open_table(ROWS).expect("a table");
        // To keep, as the others give it.
        table.get(&key[..]).expect("a read").map(|value| value.value().to_vec().len())
    }

    fn scan(&mut self) -> (u64, u64) {
        let transaction = self.database().begin_read().expect("a transaction");
        let table = transaction.open_table(ROWS).expect("a table");
        let rows = table.iter().expect("rows").map(|row| row.expect("a row"));
        rows.fold((0, 0), |(rows, bytes), (key, value)| {
            (rows + 1, bytes + (key.value().len() + value.value().len()) as u64)
        })
    }

    fn written(&self) -> Option<u64> {
        None
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.path).expect("the file").len()
    }
}
