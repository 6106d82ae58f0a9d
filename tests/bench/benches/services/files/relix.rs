//! Relix's side: statements on the tables of files, each its own transaction. A worker has a connection and a runtime of its
//! own, so that what it asks and what it is answered stays in its thread.

use tests_bench::load::connect;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::{LONG, MANY, Operation, READ, SHORT, WRITTEN_NAME, contents, read_name};
use crate::session::ask;

/// Makes a file or a directory (`$3`) of this name (`$2`) in a directory (`$1`).
const CREATE: &str = "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner) VALUES ($3, 420, 'bench') RETURNING id), \
     e AS (INSERT INTO sys.entries (directory, name, inode) SELECT $1, $2, id FROM i) SELECT id FROM i";

/// Writes bytes (`$2`) to a file (`$1`), in its blocks.
const WRITE: &str = "WITH b AS (INSERT INTO sys.blocks (inode, number, data) \
       SELECT $1, n, substr($2::bytea, n * 16384 + 1, 16384) FROM generate_series(0, (octet_length($2::bytea) - 1) / 16384) n \
       ON CONFLICT (inode, number) DO UPDATE SET data = excluded.data) \
     UPDATE sys.inodes SET size = greatest(size, octet_length($2::bytea)), modified_at = now(), changed_at = now() \
     WHERE id = $1";

/// What is in a file, by its directory and name.
const READ_BLOCKS: &str = "SELECT b.data FROM sys.entries e JOIN sys.blocks b ON b.inode = e.inode \
     WHERE e.directory = $1 AND e.name = $2 ORDER BY b.number";

/// Removes a file that has one name.
const REMOVE: &str = "WITH e AS (DELETE FROM sys.entries WHERE directory = $1 AND name = $2 RETURNING inode) \
     DELETE FROM sys.inodes i USING e WHERE i.id = e.inode RETURNING i.id";

/// Makes files of these names (`$2`) and contents (`$3`), which have numbers (`$4`), in a directory. The inodes are numbered
/// by their table: the first one gets the first name.
const CREATE_MANY: &str = "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner, size) \
       SELECT 'file', 420, 'bench', octet_length(d) FROM unnest($3::bytea[]) d RETURNING id), \
     n AS (SELECT id, row_number() OVER (ORDER BY id) AS file FROM i), \
     f AS (SELECT n.id, g.name, g.data FROM n JOIN (SELECT unnest($4::bigint[]) AS file, \
       unnest($2::text[]) AS name, unnest($3::bytea[]) AS data) g USING (file)), \
     e AS (INSERT INTO sys.entries (directory, name, inode) SELECT $1, name, id FROM f) \
     INSERT INTO sys.blocks (inode, number, data) SELECT id, 0, data FROM f RETURNING inode";

/// Who works in a directory.
pub struct Worker {
    runtime: Runtime,
    client: Client,
    statements: Statements,
    directory: i64,
    written: i64,
}

struct Statements {
    create: Statement,
    write: Statement,
    read: Statement,
    remove: Statement,
    create_many: Statement,
}

impl super::Worker for Worker {
    /// The port of a node.
    type Place = u16;

    fn open(place: &u16, number: u64) -> Result<Worker, String> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let opened = runtime.block_on(async {
            let client = connect(*place).await?;
            let statements = Statements {
                create: client.prepare(CREATE).await?,
                write: client.prepare(WRITE).await?,
                read: client.prepare(READ_BLOCKS).await?,
                remove: client.prepare(REMOVE).await?,
                create_many: client.prepare(CREATE_MANY).await?,
            };
            Ok::<_, tokio_postgres::Error>((client, statements))
        });
        let (client, statements) = opened.map_err(|error| format!("{error:?}"))?;
        let mut worker = Worker { runtime, client, statements, directory: 1, written: 0 };
        worker.directory = worker.create(&format!("bench-{number}"), "directory")?;
        worker.written = worker.create(WRITTEN_NAME, "file")?;
        for length in [SHORT, LONG] {
            let file = worker.create(&read_name(length), "file")?;
            worker.write(file, &contents(READ, length))?;
        }
        Ok(worker)
    }

    fn perform(&mut self, operation: Operation, number: u64, bytes: &[u8]) -> Result<Vec<u8>, String> {
        match operation {
            Operation::Create => self.create(&number.to_string(), "file").map(drop),
            Operation::Write(_) => self.write(self.written, bytes),
            Operation::Read(length) => return self.read(&read_name(length)),
            Operation::Remove => self.remove(&number.to_string()),
            Operation::CreateMany => self.create_many(number, bytes),
        }
        .map(|()| Vec::new())
    }

    fn written(&mut self) -> Result<Vec<u8>, String> {
        self.read(WRITTEN_NAME)
    }
}

impl Worker {
    fn ask(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, String> {
        self.runtime.block_on(ask(&self.client, statement, params)).map_err(|error| format!("{error:?}"))
    }

    fn create(&self, name: &str, kind: &str) -> Result<i64, String> {
        let made = self.ask(&self.statements.create, &[&self.directory, &name, &kind])?;
        expect(made.len(), 1, "files made")?;
        Ok(made[0].get(0))
    }

    fn write(&self, file: i64, bytes: &[u8]) -> Result<(), String> {
        self.ask(&self.statements.write, &[&file, &bytes]).map(drop)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let blocks = self.ask(&self.statements.read, &[&self.directory, &name])?;
        Ok(blocks.iter().flat_map(|row| row.get::<_, &[u8]>(0)).copied().collect())
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        let removed = self.ask(&self.statements.remove, &[&self.directory, &name])?;
        expect(removed.len(), 1, "files removed")
    }

    fn create_many(&self, number: u64, bytes: &[u8]) -> Result<(), String> {
        let names: Vec<String> = (0..MANY).map(|file| format!("{number}-{file}")).collect();
        let bytes: Vec<&[u8]> = bytes.chunks(SHORT).collect();
        let files: Vec<i64> = (1..=MANY as i64).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&self.directory, &names, &bytes, &files];
        let made = self.ask(&self.statements.create_many, &params)?;
        expect(made.len(), MANY, "files made at once")
    }
}

fn expect(found: usize, wanted: usize, what: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found} instead of {wanted}")) }
}
