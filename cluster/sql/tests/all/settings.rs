//! `sys.settings` decides how far back the tables can be read.

use std::sync::Arc;

use cluster_format::Version;
use cluster_sql::catalog::{Descriptor, descriptor_key};
use cluster_sql::database::{Database, Freshness};
use cluster_sql::key::table_range;
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::types::{DataType, Datum};
use cluster_sql::{CancelFlag, Mode, Session, SqlError, row};
use cluster_store::{Direction, ReadError, Snapshot};

use crate::support::block_on;

const START_MICROS: i64 = 1_700_000_000_000_000;

const HOUR_MICROS: i64 = 3600 * 1_000_000;

struct Client {
    database: MemoryDatabase,
    session: Session<MemoryDatabase>,
}

impl Client {
    fn new() -> Client {
        let database = MemoryDatabase::new(START_MICROS);
        let cancel = Arc::new(CancelFlag::default());
        let session = Session::new(database.clone(), "relix", "relix", 1, cancel);
        Client { database, session }
    }

    /// Runs a statement; the version after it.
    fn run(&mut self, sql: &str) -> Version {
        let mode = Mode { alone: true, described: false };
        let ran = block_on(async {
            let statements = self.session.parse(sql)?;
            let prepared = self.session.prepare(&statements[0], &[]).await?;
            self.session.execute(&prepared, Vec::new(), mode).await
        });
        ran.map(drop).expect("it runs");
        self.snapshot().version()
    }

    /// Hours in which rows are written.
    fn work(&mut self, hours: core::ops::Range<i64>) {
        for hour in hours {
            self.database.set_wall_micros(START_MICROS + hour * HOUR_MICROS);
            (0..100).for_each(|_| _ = self.run("UPDATE t SET n = n + 1 WHERE id = 2"));
        }
    }

    fn snapshot(&self) -> Snapshot {
        block_on(self.database.snapshot(Freshness::Local)).expect("a snapshot")
    }

    /// What row 1 of the table was at `version`.
    fn n_at(&self, version: Version) -> Result<Datum, SqlError> {
        let snapshot = self.snapshot().as_of(version);
        let read = async {
            let descriptor = snapshot.get(&descriptor_key("public", "t")).await?.expect("the table is there");
            let Some(Descriptor::Table(table)) = Descriptor::decode(&descriptor) else { panic!("no table") };
            snapshot.read(&table_range(table.id), Direction::Forward, 1).await
        };
        let rows: Result<_, ReadError> = block_on(read);
        let row = row::read(&rows?[0].1, &[DataType::Int4, DataType::Int4], &[], &[])?;
        Ok(row[1].clone())
    }
}

#[test]
fn an_old_version_can_be_read_until_the_retention_is_over() {
    let mut client = Client::new();
    client.run("CREATE TABLE t (id int PRIMARY KEY, n int)");
    let old = client.run("INSERT INTO t VALUES (1, 10), (2, 0)");
    let new = client.run("UPDATE t SET n = 11 WHERE id = 1");
    client.work(0..24);
    assert_eq!((client.n_at(old), client.n_at(new)), (Ok(Datum::Int4(10)), Ok(Datum::Int4(11))));
    client.run("UPDATE sys.settings SET value = '24h' WHERE name = 'retention'");
    assert_eq!(client.n_at(old), Ok(Datum::Int4(10)), "nothing has changed");
    // Less is kept as soon as that is said,
    client.run("UPDATE sys.settings SET value = '1h' WHERE name = 'retention'");
    let refused = client.n_at(old).expect_err("it is a day old");
    assert_eq!(refused.state.0, "72000");
    // and what is written from now on for as long as is said then.
    client.run("UPDATE sys.settings SET value = '7d' WHERE name = 'retention'");
    assert!(client.n_at(old).is_err(), "what is forgotten stays so");
    let kept = client.run("UPDATE t SET n = 12 WHERE id = 1");
    client.work(24..7 * 24);
    assert_eq!(client.n_at(kept), Ok(Datum::Int4(12)));
    client.run("UPDATE sys.settings SET value = '0' WHERE name = 'retention'");
    assert_eq!(client.n_at(kept).expect_err("nothing older is kept").state.0, "72000");
}
