//! tokio-postgres against three host processes: extended protocol, binary formats, errors, cancel, COPY.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{SinkExt, pin_mut};
use tests_vm::Cluster;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

async fn connect(port: u16) -> Client {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("relix").dbname("relix");
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// The SQLSTATE of a statement that must fail.
async fn state_of(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_finds_what_it_expects() {
    let cluster = Cluster::start("driver", &["--host"]);
    let mut client = connect(cluster.port(1)).await;
    six_types_in_binary(&client).await;
    parameters_are_described(&client).await;
    errors_carry_their_state(&client).await;
    transactions(&mut client).await;
    a_query_is_cancelled(&client).await;
    copy(&client).await;
    many_statements_in_flight(&client).await;
    let elsewhere = connect(cluster.port(3)).await;
    let count: i64 = elsewhere.query_one("SELECT count(*) FROM copied", &[]).await.expect("a row").get(0);
    assert_eq!(count, 1000, "another node sees it");
}

async fn six_types_in_binary(client: &Client) {
    let create = "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, real double precision, word text, \
                  flag bool, at timestamp)";
    client.batch_execute(create).await.expect("CREATE TABLE");
    let insert = client.prepare("INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6)").await.expect("prepare");
    let expected = [Type::INT4, Type::INT8, Type::FLOAT8, Type::TEXT, Type::BOOL, Type::TIMESTAMP];
    assert_eq!(insert.params(), expected);
    let at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let rows = [
        (1, i64::MAX, 0.1, "plain", true, at),
        (2, i64::MIN, -0.0, "", false, UNIX_EPOCH),
        (i32::MAX, 0, f64::INFINITY, "日本 'quoted' \\ \n", true, UNIX_EPOCH - Duration::from_secs(86_400)),
        (i32::MIN, -1, 5e-324, "x", false, at),
    ];
    for (id, big, real, word, flag, at) in rows {
        let inserted = client.execute(&insert, &[&id, &big, &real, &word, &flag, &at]).await.expect("INSERT");
        assert_eq!(inserted, 1);
        let select = "SELECT id, big, real, word, flag, at FROM kinds WHERE id = $1";
        let row = client.query_one(select, &[&id]).await.expect("the row");
        let seen: (i32, i64, f64, String, bool, SystemTime) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5));
        assert_eq!(seen, (id, big, real, word.to_string(), flag, at));
    }
    let (big, real, word, flag): (Option<i64>, Option<f64>, Option<&str>, Option<bool>) = Default::default();
    let inserted = client.execute(&insert, &[&7i32, &big, &real, &word, &flag, &None::<SystemTime>]).await;
    assert_eq!(inserted.expect("NULL in every column but the key"), 1);
    let row = client.query_one("SELECT * FROM kinds WHERE id = 7", &[]).await.expect("the row");
    assert_eq!(row.get::<_, Option<i64>>(1), None);
    assert_eq!(row.get::<_, Option<f64>>(2), None);
    assert_eq!(row.get::<_, Option<String>>(3), None);
    assert_eq!(row.get::<_, Option<bool>>(4), None);
    assert_eq!(row.get::<_, Option<SystemTime>>("at"), None);
}

async fn parameters_are_described(client: &Client) {
    let select =
        client.prepare("SELECT word, big + $1 AS more FROM kinds WHERE id = $2").await.expect("prepare");
    assert_eq!(select.params(), [Type::INT8, Type::INT4]);
    let columns: Vec<(&str, &Type)> = select.columns().iter().map(|c| (c.name(), c.type_())).collect();
    assert_eq!(columns, [("word", &Type::TEXT), ("more", &Type::INT8)]);
    let none = client.query(&select, &[&1i64, &99i32]).await.expect("no row");
    assert!(none.is_empty());
    let row = client.query_one(&select, &[&5i64, &2i32]).await.expect("the row");
    assert_eq!(row.get::<_, i64>("more"), i64::MIN + 5);
}

async fn errors_carry_their_state(client: &Client) {
    let cases = [
        ("SELEC", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nothing FROM kinds", "42703"),
        ("INSERT INTO kinds (id) VALUES (1)", "23505"),
        ("INSERT INTO kinds (id) VALUES (NULL)", "23502"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 'x'::int", "22P02"),
        ("SELECT 2147483647 + 1", "22003"),
        ("SELECT no_such_function(1)", "42883"),
        ("CREATE TABLE kinds (id int)", "42P07"),
    ];
    for (sql, state) in cases {
        assert_eq!(state_of(client, sql).await, state, "{sql}");
        // By the extended protocol it is the same, and the session goes on.
        let error = client.query(sql, &[]).await.expect_err(sql);
        assert_eq!(error.code().map(|code| code.code()), Some(state), "{sql}, extended");
    }
    let one: i32 = client.query_one("SELECT 1", &[]).await.expect("a row").get(0);
    assert_eq!(one, 1);
}

async fn transactions(client: &mut Client) {
    let count = "SELECT count(*) FROM kinds";
    let before: i64 = client.query_one(count, &[]).await.expect("a row").get(0);
    let transaction = client.transaction().await.expect("BEGIN");
    transaction.execute("INSERT INTO kinds (id) VALUES (100)", &[]).await.expect("INSERT");
    let inside: i64 = transaction.query_one(count, &[]).await.expect("a row").get(0);
    assert_eq!(inside, before + 1, "a transaction sees what it wrote");
    transaction.rollback().await.expect("ROLLBACK");
    let transaction = client.transaction().await.expect("BEGIN");
    transaction.execute("INSERT INTO kinds (id) VALUES (101)", &[]).await.expect("INSERT");
    transaction.query("SELECT 1 / 0", &[]).await.expect_err("fails");
    let failed = transaction.query("SELECT 1", &[]).await.expect_err("the transaction has failed");
    assert_eq!(failed.code().map(|code| code.code()), Some("25P02"));
    drop(transaction);
    let after: i64 = client.query_one(count, &[]).await.expect("a row").get(0);
    assert_eq!(after, before, "nothing of either is left");
    let transaction = client.transaction().await.expect("BEGIN");
    transaction.execute("DELETE FROM kinds WHERE id = 7", &[]).await.expect("DELETE");
    transaction.commit().await.expect("COMMIT");
    let after: i64 = client.query_one(count, &[]).await.expect("a row").get(0);
    assert_eq!(after, before - 1);
}

async fn a_query_is_cancelled(client: &Client) {
    let cancel = client.cancel_token();
    // Takes far longer than anyone waits.
    let slow = client.query_one("SELECT count(*) FROM generate_series(1, 10000000000) AS n", &[]);
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(NoTls).await.expect("the cancel request is taken");
    };
    let both = async { tokio::join!(slow, cancelling).0 };
    let answer = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the query ends");
    let error = answer.expect_err("it was cancelled");
    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error}");
    let one: i32 = client.query_one("SELECT 1", &[]).await.expect("the session goes on").get(0);
    assert_eq!(one, 1);
}

async fn copy(client: &Client) {
    client.batch_execute("CREATE TABLE copied (id int PRIMARY KEY, word text)").await.expect("CREATE TABLE");
    let sink = client.copy_in("COPY copied FROM STDIN WITH (FORMAT csv)").await.expect("COPY");
    pin_mut!(sink);
    for id in 0..1000 {
        let line = if id == 500 { "500,\n".to_string() } else { format!("{id},\"word, \"\"{id}\"\"\"\n") };
        sink.send(Bytes::from(line)).await.expect("a line");
    }
    assert_eq!(sink.finish().await.expect("the end of COPY"), 1000);
    let row = client.query_one("SELECT word FROM copied WHERE id = 7", &[]).await.expect("the row");
    assert_eq!(row.get::<_, &str>(0), "word, \"7\"");
    let nulls = client.query_one("SELECT count(*) FROM copied WHERE word IS NULL", &[]).await.expect("a row");
    assert_eq!(nulls.get::<_, i64>(0), 1, "an empty field is NULL in csv");
    // A bad line: nothing of the COPY stays.
    let sink = client.copy_in("COPY copied FROM STDIN").await.expect("COPY");
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"2000\tgood\nnot a number\tbad\n")).await.expect("two lines");
    let error = sink.finish().await.expect_err("the second line is bad");
    assert_eq!(error.code().map(|code| code.code()), Some("22P02"), "{error}");
    let count: i64 = client.query_one("SELECT count(*) FROM copied", &[]).await.expect("a row").get(0);
    assert_eq!(count, 1000);
}

async fn many_statements_in_flight(client: &Client) {
    let select = client.prepare("SELECT word FROM copied WHERE id = $1").await.expect("prepare");
    let ids: Vec<i32> = (1..200).filter(|id| *id != 500).collect();
    let answers = ids.iter().map(|id| async { client.query_one(&select, &[id]).await });
    for (id, answer) in ids.iter().zip(futures_util::future::join_all(answers).await) {
        let word: String = answer.expect("the row").get(0);
        assert_eq!(word, format!("word, \"{id}\""));
    }
}
