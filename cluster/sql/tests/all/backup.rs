//! `BACKUP` and `RESTORE` over the in-memory database: what a backup holds, and what becomes of one that is
//! damaged, interrupted or meant for something else.

use std::sync::Arc;

use cluster_backup::{Encoder, Head, Section};
use cluster_format::{KeyRange, Version};
use cluster_sql::database::{Database, Freshness};
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::{Backup, CancelFlag, Mode, Outcome, Restore, Session, SqlError, SqlResult, Tag, wire};
use cluster_store::Direction;

use crate::support::block_on;

const ALONE: Mode = Mode { alone: true, described: false };

/// A client of its own of one database.
struct Client(Session<MemoryDatabase>);

impl Client {
    fn new(database: &MemoryDatabase) -> Client {
        Client(Session::new(database.clone(), "relix", "relix", 1, Arc::new(CancelFlag::default())))
    }

    fn start(&mut self, sql: &str, mode: Mode) -> SqlResult<Outcome> {
        let parsed = self.0.parse(sql)?;
        let started = block_on(async {
            let prepared = self.0.prepare(&parsed[0], &[]).await?;
            self.0.execute(&prepared, Vec::new(), mode).await
        });
        started.inspect_err(|_| self.0.fail())
    }

    /// The rows a statement gives, a line each.
    fn query(&mut self, sql: &str) -> SqlResult<Vec<String>> {
        let Outcome::Rows(mut cursor) = self.start(sql, ALONE)? else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        while let Some(rows) = block_on(self.0.fetch(&mut cursor))? {
            for row in rows {
                let mut line = String::new();
                for datum in &row {
                    wire::write_text(datum, &wire::Style::default(), &mut line);
                    line.push('|');
                }
                lines.push(line);
            }
        }
        Ok(lines)
    }

    fn begin_backup(&mut self) -> SqlResult<Box<Backup>> {
        self.start("BACKUP", ALONE).map(|outcome| match outcome {
            Outcome::Backup(backup) => backup,
            _ => panic!("BACKUP is a backup"),
        })
    }

    fn backup(&mut self) -> SqlResult<Vec<u8>> {
        let mut backup = self.begin_backup()?;
        let mut bytes = Vec::new();
        while let Some(piece) = block_on(self.0.backup_data(&mut backup))? {
            bytes.extend(piece);
        }
        Ok(bytes)
    }

    fn begin_restore(&mut self) -> SqlResult<Box<Restore>> {
        self.start("RESTORE", ALONE).map(|outcome| match outcome {
            Outcome::Restore(restore) => restore,
            _ => panic!("RESTORE is a restore"),
        })
    }

    /// As the gateway does it.
    fn restore(&mut self, backup: &[u8]) -> SqlResult<Tag> {
        let mut restore = self.begin_restore()?;
        let restored = block_on(async {
            for piece in backup.chunks(10_000) {
                self.0.restore_data(&mut restore, piece).await?;
            }
            self.0.restore_done(&mut restore).await
        });
        if restored.is_err() {
            block_on(self.0.undo_restore(&restore));
        }
        restored
    }
}

fn database() -> MemoryDatabase {
    MemoryDatabase::new(1_700_000_000_000_000)
}

/// Every row of the store.
fn stored(database: &MemoryDatabase) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = KeyRange { start: [][..].into(), end: [255][..].into() };
    let rows = block_on(async {
        let snapshot = database.snapshot(Freshness::Linearizable).await.expect("a snapshot");
        snapshot.read(&all, Direction::Forward, usize::MAX).await.expect("in memory")
    });
    rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Tables with a row of each kind, and the queries that show them.
fn make_tables(client: &mut Client) -> [&'static str; 2] {
    for sql in [
        "CREATE TABLE gone (a int)",
        "DROP TABLE gone",
        "CREATE TABLE kinds (id int PRIMARY KEY, b bigint, f double precision, t text, y bool, s timestamp DEFAULT now())",
        "INSERT INTO kinds (id, b, f, t, y) VALUES (-7, 9007199254740993, -0.125, 'grün', true), (7, NULL, 'NaN', '', false)",
        "CREATE TABLE notes (note varchar(20) NOT NULL DEFAULT 'none')",
        "INSERT INTO notes VALUES ('one'), ('two'), ('two')",
    ] {
        client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    ["SELECT * FROM kinds ORDER BY id", "SELECT note, count(*) FROM notes GROUP BY note ORDER BY note"]
}

/// A table of some frames of rows.
fn make_long_table(client: &mut Client) {
    client.query("CREATE TABLE long (id int PRIMARY KEY, v text)").expect("a new table");
    for from in (0..4000).step_by(1000) {
        // What a row says is hard to compress, so that frames are long.
        let values: Vec<String> = (from..from + 1000u64)
            .map(|id| {
                let noise =
                    (0..12).map(|n| format!("{:016x}", (id * 12 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
                format!("({id},'{}')", noise.collect::<String>())
            })
            .collect();
        client.query(&format!("INSERT INTO long VALUES {}", values.join(","))).expect("new rows");
    }
}

fn code<T>(result: SqlResult<T>) -> &'static str {
    result.err().map_or("", |error| error.state.0)
}

#[test]
fn what_was_backed_up_is_restored_and_goes_on() {
    let (old, new) = (database(), database());
    let (mut client, mut other) = (Client::new(&old), Client::new(&new));
    let queries = make_tables(&mut client);
    let backup = client.backup().expect("a backup");
    assert_eq!(other.restore(&backup), Ok(Tag::Restore(5)));
    assert_eq!(stored(&old), stored(&new));
    for query in queries {
        assert_eq!(client.query(query), other.query(query));
    }
    // Hidden row ids begin with the time; these databases count their sessions alike.
    new.set_wall_micros(1_700_000_000_000_001);
    other.query("INSERT INTO notes VALUES ('three')").expect("rows go on");
    other.query("CREATE TABLE another (id int PRIMARY KEY)").expect("tables go on");
    other.query("INSERT INTO another VALUES (1)").expect("rows of a table of its own");
    assert_eq!(other.query("SELECT count(*) FROM notes"), Ok(vec!["4|".into()]));
    assert_eq!(code(other.query("INSERT INTO kinds (id) VALUES (7)")), "23505");
    // A backup of a backup is the same, but for its head.
    let mut third = Client::new(&database());
    third.restore(&client.backup().expect("a backup")).expect("the same again");
}

#[test]
fn settings_are_the_clusters_own_and_in_no_backup() {
    let (mut client, mut other) = (Client::new(&database()), Client::new(&database()));
    let set = |hours| format!("UPDATE sys.settings SET value = '{hours}h' WHERE name = 'retention'");
    make_tables(&mut client);
    client.query(&set(1)).expect("it is set");
    other.query(&set(2)).expect("it is set");
    other.restore(&client.backup().expect("a backup")).expect("settings are no tables");
    let shown = other.query("SELECT value FROM sys.settings WHERE name = 'retention'");
    assert_eq!(shown, Ok(vec!["2h|".into()]));
}

#[test]
fn a_backup_of_nothing_restores_nothing() {
    let mut client = Client::new(&database());
    let backup = client.backup().expect("a backup");
    assert_eq!(client.restore(&backup), Ok(Tag::Restore(0)));
    client.query("CREATE TABLE t (a int)").expect("a new table");
}

#[test]
fn a_backup_is_of_one_version_whatever_is_written_meanwhile() {
    let old = database();
    let mut client = Client::new(&old);
    make_long_table(&mut client);
    let before = stored(&old);
    let mut backup = client.begin_backup().expect("a backup");
    let (mut bytes, mut writer, mut pieces) = (Vec::new(), Client::new(&old), 0);
    while let Some(piece) = block_on(client.0.backup_data(&mut backup)).expect("goes on") {
        bytes.extend(piece);
        // Ahead of the backup and behind it.
        for sql in [
            format!("UPDATE long SET v = 'new' WHERE id = {pieces}"),
            format!("DELETE FROM long WHERE id = {}", 3999 - pieces),
            format!("INSERT INTO long VALUES ({}, 'late')", 10_000 + pieces),
        ] {
            writer.query(&sql).expect("writes go on");
        }
        pieces += 1;
    }
    assert_eq!(backup.tag().to_string(), "BACKUP 4000");
    assert!(pieces > 4, "several frames: {pieces}");
    writer.query("DROP TABLE long").expect("it can go");
    let new = database();
    Client::new(&new).restore(&bytes).expect("a whole backup");
    assert!(stored(&new) == before);
}

#[test]
fn the_longest_rows_are_backed_up() {
    let (old, new) = (database(), database());
    let mut client = Client::new(&old);
    client.query("CREATE TABLE t (id int PRIMARY KEY, v text)").expect("a new table");
    for id in 0..5 {
        let value = "v".repeat((1 << 19) - 10);
        client.query(&format!("INSERT INTO t VALUES ({id}, '{value}')")).expect("a row");
    }
    client.query("UPDATE t SET v = v || v").expect("rows as long as they may be");
    let backup = client.backup().expect("a backup");
    Client::new(&new).restore(&backup).expect("a whole backup");
    assert!(stored(&old) == stored(&new));
}

#[test]
fn a_cluster_with_tables_is_not_restored_into() {
    let database = database();
    let mut client = Client::new(&database);
    make_tables(&mut client);
    let (backup, before) = (client.backup().expect("a backup"), stored(&database));
    let refused = client.restore(&backup).expect_err("there are tables");
    assert_eq!(refused.state.0, "55000");
    assert!(refused.message.contains("there are tables already"), "{refused}");
    assert!(stored(&database) == before);
}

#[test]
fn backups_and_restores_stand_alone() {
    let mut client = Client::new(&database());
    let beside = Mode { alone: false, described: false };
    for sql in ["BACKUP", "restore"] {
        assert_eq!(code(client.start(sql, beside)), "25001");
        client.query("BEGIN").expect("a block");
        assert_eq!(code(client.start(sql, ALONE)), "25001");
        client.query("ROLLBACK").expect("the end of it");
    }
    assert_eq!(code(client.query("BACKUP TO 'somewhere'")), "42601");
    assert_eq!(code(client.query("\"backup\"")), "42601");
    assert_eq!(code(client.query("EXPLAIN BACKUP")), "0A000");
}

#[test]
fn an_interrupted_restore_shows_nothing_and_can_be_repeated() {
    let (old, new) = (database(), database());
    make_long_table(&mut Client::new(&old));
    let backup = Client::new(&old).backup().expect("a backup");
    let mut first = Client::new(&new);
    let mut interrupted = first.begin_restore().expect("an empty cluster");
    let (half, rest) = backup.split_at(backup.len() / 2);
    block_on(first.0.restore_data(&mut interrupted, half)).expect("the first half");
    assert!(stored(&new).len() > 1000, "rows are there");
    // As after a power failure: nobody has undone anything.
    let mut client = Client::new(&new);
    assert_eq!(code(client.query("SELECT * FROM long")), "42P01");
    for refused in [client.query("CREATE TABLE t (a int)"), client.backup().map(|_| Vec::new())] {
        let refused = refused.expect_err("a restore has not ended");
        let hint = refused.hint.clone().unwrap_or_default();
        assert_eq!(refused.state.0, "55000");
        assert!(hint.contains("run 'relix restore FILE' again"), "{refused}: {hint}");
    }
    // Another one takes over, with other rows; the first can no longer do harm.
    let small = database();
    make_tables(&mut Client::new(&small));
    let other = Client::new(&small).backup().expect("a backup");
    client.restore(&other).expect("the second restore");
    let late = block_on(first.0.restore_data(&mut interrupted, rest));
    assert_eq!(code(late), "55000");
    block_on(first.0.undo_restore(&interrupted));
    assert!(stored(&new) == stored(&small));
}

/// What a restore of `backup` fails with. Nothing of it is left.
fn refused(backup: &[u8]) -> SqlError {
    let database = database();
    let mut client = Client::new(&database);
    let error = client.restore(backup).expect_err("it is refused");
    assert!(stored(&database).is_empty(), "nothing is left: {error}");
    client.query("CREATE TABLE t (a int)").expect("tables can be made");
    error
}

#[test]
fn a_damaged_backup_leaves_nothing() {
    let mut client = Client::new(&database());
    make_long_table(&mut client);
    let backup = client.backup().expect("a backup");
    for at in [0, 9, 20, backup.len() / 2, backup.len() - 50, backup.len() - 1] {
        let mut damaged = backup.clone();
        damaged[at] ^= 1;
        assert_eq!(refused(&damaged).state.0, "XX001", "byte {at}");
    }
    for len in [0, 7, 100, backup.len() / 2, backup.len() - 40, backup.len() - 1] {
        let error = refused(&backup[..len]);
        assert!(error.message.contains("ends too early"), "{len} bytes: {error}");
    }
    assert!(refused(b"-- PostgreSQL database dump").message.contains("no backup of Relix"));
}

#[test]
fn rows_that_no_backup_has_are_refused() {
    let head = Head { version: Version(1), wall_micros: 0, cluster: "other".into() };
    let of_row = |section, key: &[u8], value: &[u8]| {
        let mut encoder = Encoder::new(&head);
        encoder.add(section, key, value);
        let mut bytes = encoder.take();
        bytes.extend(encoder.finish().0);
        bytes
    };
    // A row without a table, the mark of a restore, what is no descriptor, no number and nothing known at all.
    for (key, value) in [
        (&[1, 0, 0, 0, 1, 7][..], &[1, 0][..]),
        (&[0, 3], &[0; 8]),
        (&[0, 1, b'x'], &[]),
        (&[0, 2], &[1]),
        (&[1, 2], &[]),
        (&[9], &[]),
    ] {
        for section in [Section::Tables, Section::Rows] {
            let error = refused(&of_row(section, key, value));
            assert!(error.message.contains("not as Relix writes them"), "{key:?}: {error}");
        }
    }
}

/// The file was written by `BACKUP` behind [`make_tables`] when format 1 was the newest. It is never written anew.
#[test]
fn a_backup_of_the_first_format_is_still_restored() {
    let database = database();
    let mut client = Client::new(&database);
    client.restore(include_bytes!("../../../backup/tests/format1.backup")).expect("a backup");
    let kinds = ["-7|9007199254740993|-0.125|grün|t|2023-11-14 22:13:20|", "7||NaN||f|2023-11-14 22:13:20|"];
    assert_eq!(client.query("SELECT * FROM kinds ORDER BY id"), Ok(kinds.map(String::from).into()));
    let notes = ["one|1|", "two|2|"].map(String::from);
    let counted = client.query("SELECT note, count(*) FROM notes GROUP BY note ORDER BY note");
    assert_eq!(counted, Ok(notes.into()));
    database.set_wall_micros(1_700_000_000_000_001);
    client.query("INSERT INTO notes DEFAULT VALUES").expect("rows go on");
    assert_eq!(client.query("SELECT note FROM notes WHERE note = 'none'"), Ok(vec!["none|".into()]));
}
