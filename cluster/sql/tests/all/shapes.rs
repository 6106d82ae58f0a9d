//! Statements that differ in values only are parsed and planned once: they do what they would do by themselves.

use std::sync::Arc;

use cluster_sql::memory::MemoryDatabase;
use cluster_sql::{CancelFlag, Mode, Outcome, Session, SqlResult, wire};
use proptest::prelude::*;

use crate::support::block_on;

const ALONE: Mode = Mode { alone: true, described: false };

struct Client(Session<MemoryDatabase>);

impl Client {
    fn new() -> Client {
        let database = MemoryDatabase::new(1_700_000_000_000_000);
        let mut client = Client(Session::new(database, "relix", "relix", 1, Arc::new(CancelFlag::default())));
        for sql in [
            "CREATE TABLE t (id int PRIMARY KEY, big bigint UNIQUE, small smallint, name text, short varchar(3), \
             price numeric(6,2), at timestamptz, flag bool)",
            "INSERT INTO t SELECT g, g * 10000000000, g, 'n' || g, 's' || g, g / 4.0, now(), g % 2 = 0 \
             FROM generate_series(1, 9) g",
            "CREATE TABLE log (id int, what text, n bigint DEFAULT 7)",
        ] {
            assert!(client.plainly(sql).is_ok(), "{sql}");
        }
        client
    }

    /// As any text is run.
    fn plainly(&mut self, sql: &str) -> SqlResult<String> {
        let parsed = self.0.parse(sql)?;
        let prepared = block_on(self.0.prepare(&parsed[0], &[]))?;
        let outcome = block_on(self.0.execute(&prepared, Vec::new(), ALONE));
        self.outcome(outcome)
    }

    /// As a statement of its shape, if it is recognized.
    fn by_shape(&mut self, sql: &str) -> Option<SqlResult<String>> {
        let (prepared, params) = block_on(self.0.recognize(sql))?;
        let outcome = block_on(self.0.execute(&prepared, params, ALONE));
        Some(self.outcome(outcome))
    }

    fn outcome(&mut self, outcome: SqlResult<Outcome>) -> SqlResult<String> {
        let mut cursor = match outcome.inspect_err(|_| self.0.fail())? {
            Outcome::Rows(cursor) => cursor,
            Outcome::Done(tag) => return Ok(tag.to_string()),
            _ => panic!("neither rows nor done"),
        };
        let mut shown: String = cursor
            .columns()
            .iter()
            .map(|column| format!("{} {:?},", column.name, column.data_type))
            .collect();
        while let Some(rows) = block_on(self.0.fetch(&mut cursor)).inspect_err(|_| self.0.fail())? {
            for datum in rows.iter().flatten() {
                wire::write_text(datum, self.0.style(), &mut shown);
                shown.push('|');
            }
        }
        Ok(shown)
    }

    fn everything(&mut self) -> String {
        let tables = ["SELECT * FROM t ORDER BY id", "SELECT * FROM log ORDER BY id, what"];
        tables.map(|sql| self.plainly(sql).unwrap()).concat()
    }
}

/// `@` is a value.
const TEMPLATES: &[&str] = &[
    "SELECT name FROM t WHERE id = @",
    "SELECT id, @, name || @ FROM t WHERE big = @",
    "SELECT * FROM t WHERE id = @ AND small = @",
    "SELECT price + @, @ / @ FROM t WHERE id = @",
    "SELECT CASE WHEN flag THEN @ / 0 END FROM t WHERE id = @",
    "SELECT @::smallint FROM t WHERE id = @",
    "SELECT id FROM t WHERE id IN (@, @)",
    "SELECT id FROM t WHERE small = @",
    "SELECT count(*) FROM t WHERE id < @",
    "SELECT id FROM t WHERE id = @ LIMIT @",
    "SELECT id FROM t WHERE id = (SELECT max(id) FROM t WHERE id < @)",
    "SELECT at < @ FROM t WHERE id = @",
    "SELECT numeric(9, 1) @ FROM t WHERE id = @",
    "SELECT name LIKE @, substr(name, @) FROM t WHERE id = -@",
    "UPDATE t SET name = @, big = big + @ WHERE id = @",
    "UPDATE t SET small = @ WHERE id = @ RETURNING small, @",
    "UPDATE t SET short = @, price = @ WHERE id = @",
    "UPDATE t SET flag = @ WHERE id = @ AND name = @",
    "UPDATE t SET id = @ WHERE id = @",
    "DELETE FROM t WHERE id = @",
    "DELETE FROM t WHERE big = @ RETURNING id + @",
    "INSERT INTO t (id, small, short, price) VALUES (@, @, @, @)",
    "INSERT INTO t (id, small) VALUES (@, @), (@, @)",
    "INSERT INTO t (id, big) VALUES (@, @), (@, @)",
    "INSERT INTO t (id, name) VALUES (@, @) ON CONFLICT (id) DO UPDATE SET small = @, name = @",
    "INSERT INTO t (id, name) VALUES (@, @) ON CONFLICT (id) DO UPDATE SET name = excluded.name || @ WHERE t.small > @",
    "INSERT INTO t (id, at) VALUES (@, '08:00 tomorrow') ON CONFLICT DO NOTHING",
    "INSERT INTO log (id, what) VALUES (@, @), (@, @);",
    "INSERT INTO log VALUES (@, @, DEFAULT) RETURNING n + @",
    "INSERT INTO log SELECT @, @",
    "SELECT @ AS a ORDER BY @",
    "SELECT nonsense FROM t WHERE id = @",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..12u32).prop_map(|value| value.to_string()),
        1 => (0..12u32).prop_map(|value| format!("'{value}'")),
        1 => prop::sample::select(
            &["2147483647", "2147483648", "30000000000", "99999999999999999999", "70000", "-3", "1.5", "NULL", "1e2"][..]
        ).prop_map(String::from),
        1 => prop::sample::select(
            &["'abc'", "'abcdef'", "'it''s'", "''", "'n%'", "'now'", "'2020-01-02'", "'true'", "'1.25'", "E'a'"][..]
        ).prop_map(String::from),
    ]
}

fn statements() -> impl Strategy<Value = Vec<String>> {
    let template = prop::sample::select(TEMPLATES);
    let statement = (template, prop::collection::vec(value(), 4)).prop_map(|(template, values)| {
        let mut values = values.into_iter();
        template.split('@').collect::<Vec<_>>().iter().enumerate().fold(String::new(), |sql, (at, part)| {
            if at == 0 {
                (*part).into()
            } else {
                format!("{sql}{}{part}", values.next().unwrap_or("1".into()))
            }
        })
    });
    prop::collection::vec(statement, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn statements_do_what_they_do_by_themselves(statements in statements()) {
        let (mut recognizing, mut plain) = (Client::new(), Client::new());
        for sql in statements {
            let expected = plain.plainly(&sql);
            let found = match recognizing.by_shape(&sql) {
                Some(found) => found,
                None => recognizing.plainly(&sql),
            };
            let state = |result: SqlResult<String>| result.map_err(|error| (error.state, error.message));
            prop_assert_eq!(state(found), state(expected), "{}", sql);
        }
        prop_assert_eq!(recognizing.everything(), plain.everything());
    }
}

#[test]
fn what_does_the_same_for_all_values_is_recognized_when_it_comes_again() {
    let mut client = Client::new();
    let cases = [
        ("SELECT name FROM t WHERE id = @", true),
        ("SELECT id, @ FROM t WHERE big = @", true),
        ("UPDATE t SET name = 'a', small = small + @ WHERE id = @", true),
        ("DELETE FROM t WHERE id = @", true),
        ("INSERT INTO log (id, what) VALUES (@, 'it''s')", true),
        // What is best depends on the value; it may be no value; a constant is checked before there is a row.
        ("SELECT name FROM t WHERE id < @", false),
        ("SELECT count(*) FROM t WHERE id = @", false),
        ("SELECT id FROM t WHERE id = 1 ORDER BY @", false),
        ("UPDATE t SET small = @ WHERE id = @", false),
    ];
    for (template, expected) in cases {
        for (round, value) in ["1", "2", "3"].into_iter().enumerate() {
            let sql = template.replace('@', value);
            let recognized = client.by_shape(&sql);
            assert_eq!(recognized.is_some(), expected && round > 0, "{sql}");
            let outcome = recognized.unwrap_or_else(|| client.plainly(&sql));
            assert!(outcome.is_ok() || !expected, "{sql}");
        }
    }
}

#[test]
fn what_a_shape_stands_for_follows_its_tables() {
    let mut client = Client::new();
    let sql = |id: u32| format!("SELECT * FROM log WHERE id = {id}");
    client.plainly("ALTER TABLE log ADD PRIMARY KEY (id)").unwrap();
    client.plainly("INSERT INTO log VALUES (1, 'one')").unwrap();
    assert!(client.by_shape(&sql(1)).is_none());
    assert_eq!(client.by_shape(&sql(1)).unwrap(), client.plainly(&sql(1)));
    client.plainly("ALTER TABLE log ADD COLUMN more int DEFAULT 5").unwrap();
    assert_eq!(client.by_shape(&sql(1)).unwrap(), client.plainly(&sql(1)));
    client.plainly("ALTER TABLE log DROP CONSTRAINT log_pkey").unwrap();
    assert!(client.by_shape(&sql(1)).is_none());
    client.plainly("DROP TABLE log").unwrap();
    assert!(client.by_shape(&sql(1)).is_none());
}
