//! The gateway as tokio-postgres sees it: everything is prepared, every type must be exact.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, UNIX_EPOCH};

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

async fn connect(address: std::net::SocketAddr) -> Client {
    let config = format!("host=127.0.0.1 port={} user=relix dbname=relix", address.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

async fn with_table() -> (std::net::SocketAddr, Client) {
    let address = support::listen();
    let client = connect(address).await;
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, n int, s text, f float8, b bool, at timestamp)";
    client.batch_execute(sql).await.expect("created");
    (address, client)
}

#[tokio::test]
async fn parameters_have_the_types_of_their_places() {
    let (_, client) = with_table().await;
    for (sql, expected) in [
        (
            "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)",
            &[Type::INT8, Type::INT4, Type::TEXT, Type::FLOAT8, Type::BOOL, Type::TIMESTAMP][..],
        ),
        (
            "SELECT s FROM t WHERE id = $1 AND n IN ($2, 3) LIMIT $3 OFFSET $4",
            &[Type::INT8, Type::INT4, Type::INT8, Type::INT8],
        ),
        (
            "UPDATE t SET n = n + $1, s = $2 WHERE id BETWEEN $3 AND $4",
            &[Type::INT4, Type::TEXT, Type::INT8, Type::INT8],
        ),
        ("SELECT $1::int4 + 1, upper($2), $3", &[Type::INT4, Type::TEXT, Type::TEXT]),
        ("DELETE FROM t WHERE s LIKE $1", &[Type::TEXT]),
    ] {
        let statement = client.prepare(sql).await.expect(sql);
        assert_eq!(statement.params(), expected, "{sql}");
    }
}

#[tokio::test]
async fn values_survive_the_binary_format() {
    let (_, client) = with_table().await;
    let at = UNIX_EPOCH + Duration::from_micros(1_714_558_272_131_415);
    let insert = "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let row =
        client.query_one(insert, &[&1i64, &-2i32, &"text", &0.5f64, &true, &at]).await.expect("inserted");
    assert_eq!(row.get::<_, i64>(0), 1);
    client.execute("INSERT INTO t (id) VALUES ($1)", &[&2i64]).await.expect("inserted");
    let row = client.query_one("SELECT * FROM t WHERE id = $1", &[&1i64]).await.expect("found");
    assert_eq!((row.get::<_, i32>(1), row.get::<_, &str>(2), row.get::<_, f64>(3)), (-2, "text", 0.5));
    assert_eq!((row.get::<_, bool>(4), row.get::<_, std::time::SystemTime>(5)), (true, at));
    let row = client
        .query_one("SELECT n, count(*) FROM t WHERE id = $1 GROUP BY n", &[&2i64])
        .await
        .expect("found");
    assert_eq!((row.get::<_, Option<i32>>(0), row.get::<_, i64>(1)), (None, 1));
}

#[tokio::test]
async fn transactions_portals_and_errors() {
    let (address, mut client) = with_table().await;
    let insert = client
        .prepare("INSERT INTO t (id) SELECT x FROM generate_series(1, $1::int4) x")
        .await
        .expect("valid");
    let transaction = client.transaction().await.expect("begun");
    assert_eq!(transaction.execute(&insert, &[&1000i32]).await.expect("inserted"), 1000);
    let portal = transaction.bind("SELECT id FROM t", &[]).await.expect("bound");
    for expected in [400, 400, 200, 0] {
        assert_eq!(transaction.query_portal(&portal, 400).await.expect("rows").len(), expected);
    }
    transaction.commit().await.expect("committed");
    let error = client.execute("INSERT INTO t (id) VALUES (7)", &[]).await.expect_err("it is there");
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    // A table that another session made anew is planned anew, unless the result is another.
    let select = client.prepare("SELECT * FROM t WHERE id = 7").await.expect("valid");
    let other = connect(address).await;
    other.batch_execute("DROP TABLE t; CREATE TABLE t (id int8 PRIMARY KEY, n int)").await.expect("done");
    // The same text prepared again is described anew.
    assert_eq!(client.prepare("SELECT * FROM t WHERE id = 7").await.expect("valid").columns().len(), 2);
    let error = client.query(&select, &[]).await.expect_err("other columns");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    assert!(client.query("SELECT * FROM t WHERE id = 7", &[]).await.expect("anew").is_empty());
}

#[tokio::test]
async fn concurrent_increments_of_one_row_are_all_kept() {
    let (address, client) = with_table().await;
    client.batch_execute("INSERT INTO t (id, n) VALUES (1, 0)").await.expect("inserted");
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = connect(address).await;
        tasks.push(tokio::spawn(async move {
            let update = client.prepare("UPDATE t SET n = n + $1 WHERE id = 1").await.expect("valid");
            for _ in 0..50 {
                client.execute(&update, &[&1i32]).await.expect("retried, not refused");
            }
        }));
    }
    for task in tasks {
        task.await.expect("done");
    }
    let row = client.query_one("SELECT n FROM t WHERE id = 1", &[]).await.expect("found");
    assert_eq!(row.get::<_, i32>(0), 200);
}

#[tokio::test]
async fn a_running_statement_is_cancelled() {
    let (_, client) = with_table().await;
    let token = client.cancel_token();
    let cancelling = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        token.cancel_query(NoTls).await
    });
    let error = client
        .query_one("SELECT count(*) FROM generate_series(1, 100000000000)", &[])
        .await
        .expect_err("it would take hours");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    cancelling.await.expect("joined").expect("sent");
    assert!(client.query_one("SELECT 1", &[]).await.is_ok());
}

/// What the server says to `bytes`, to the end.
fn say(bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(support::listen()).expect("connects");
    stream.write_all(bytes).expect("sent");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("closed by the server");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn strangers_are_sent_away_in_one_message() {
    let garbage = say(b"GET / HTTP/1.1\r\n\r\n");
    assert!(
        garbage.starts_with('E') && garbage.contains("C08P01") && garbage.contains("SFATAL"),
        "{garbage}"
    );
    let stranger = say(b"\0\0\0\x16\0\x03\0\0user\0someone\0\0");
    assert!(stranger.contains("C28000"), "{stranger}");
    let elsewhere = say(b"\0\0\0\x20\0\x03\0\0user\0relix\0database\0db\0\0");
    assert!(elsewhere.contains("C3D000"), "{elsewhere}");
}

/// asyncpg prepares with Flush, and sends Sync only when it has seen the error.
#[test]
fn an_error_does_not_wait_for_sync() {
    let mut stream = TcpStream::connect(support::listen()).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let startup: &[u8] = b"\0\0\0\x14\0\x03\0\0user\0relix\0\0";
    let parse: &[u8] = b"P\0\0\0\x0d\0SELEC\0\0\0";
    let flush: &[u8] = b"H\0\0\0\x04";
    stream.write_all(&[startup, parse, flush].concat()).expect("sent");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("C42601") {
        let mut part = [0; 4096];
        let len = stream.read(&mut part).expect("the error comes without Sync");
        assert!(len > 0, "the server goes on: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&part[..len]);
    }
}
