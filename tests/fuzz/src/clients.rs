//! What clients send.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cluster_gateway::frontend::{decode as decode_message, decode_startup};
use cluster_gateway::http::{HEAD_LEN_MAX, Head, Malformed};
use cluster_gateway::{Closed, Connection, Registry, serve, serve_http};
use cluster_sql::ast::{CopyFormat, LineFormat};
use cluster_sql::catalog::Descriptor;
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::types::{DataType, Datum, Scalar};
use cluster_sql::{fuzzing, parse, row, wire};

use crate::input::{Input, Output};

const TYPES: [DataType; 14] = [
    DataType::Bool,
    DataType::Int4,
    DataType::Int8,
    DataType::Float8,
    DataType::Text,
    DataType::Timestamp,
    DataType::Numeric,
    DataType::Bytea,
    DataType::Date,
    DataType::Timestamptz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Jsonb,
    DataType::Array(Scalar::Text),
];

/// Bytes as each of the things that they may be.
pub fn messages(bytes: &[u8]) {
    let _ = decode_startup(bytes);
    let mut rest = bytes;
    while let Ok(Some((_, len))) = decode_message(rest) {
        rest = &rest[len..];
    }
    copy(bytes);
    if let Ok(found) = row::read(bytes, &TYPES, &[], &[]) {
        let again = row::encode(&found);
        // A NaN differs from itself.
        let reread = row::read(&again, &TYPES, &[], &[]);
        assert!(
            reread.is_ok_and(|reread| format!("{reread:?}") == format!("{found:?}")),
            "a row stays a row"
        );
    }
    let _ = Descriptor::decode(bytes);
    for data_type in TYPES {
        let _ = wire::parse_binary(data_type, bytes).map(|datum| show(&datum));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for data_type in TYPES {
        let _ = wire::parse_text(data_type, text, &wire::Style::default()).map(|datum| show(&datum));
    }
}

fn show(datum: &Datum) {
    let (mut text, mut bytes) = (String::new(), Vec::new());
    wire::write_text(datum, &wire::Style::default(), &mut text);
    wire::write_binary(datum, &mut bytes);
}

/// COPY's rows, in one piece and in several, which must make no difference.
fn copy(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let csv = input.bit();
    let (delimiter, null) = if csv { (b',', "") } else { (b'\t', "\\N") };
    let escape = if input.bit() { b'\\' } else { b'"' };
    let lines = LineFormat { csv, delimiter, null: null.into(), header: input.bit(), quote: b'"', escape };
    let cut = usize::from(input.byte());
    let data = input.rest();
    let (first, second) = data.split_at(cut.min(data.len()));
    for format in [CopyFormat::Lines(lines), CopyFormat::Binary] {
        let whole = fuzzing::copy_records(format.clone(), 2, &[data]);
        assert_eq!(fuzzing::copy_records(format, 2, &[first, second]), whole, "however it is cut");
    }
}

pub fn message_seeds() -> Vec<Vec<u8>> {
    let mut bind = Output::default();
    bind.bytes(b"B\0\0\0\x1ep\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff\0\0");
    let values = [
        Datum::Bool(true),
        Datum::Int4(-5),
        Datum::Int8(1 << 40),
        Datum::Float8(2.5),
        Datum::Text("text".into()),
        Datum::Null,
    ];
    let full = row::encode(&values);
    let texts: [&[u8]; 8] = [
        b"\0\0\0\x17\0\x03\0\0user\0relix\0\0",
        b"Q\0\0\0\x0dSELECT 1\0P\0\0\0\x10s\0SELECT 2\0\0\0E\0\0\0\x09\0\0\0\0\0",
        b"\x01\0\0\x05a,\"b \"\"c\"\"\n,d\",\"\",\r\nx,y,z,w\n\\.\n",
        b"\0\0\0\x02a\\tb\t\\N\t\\\\N\t\\101\\x41\n\\.\nignored\n",
        b"\0\0\0\x14PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x01x\0\x02\xff\xff\xff\xff\0\0\0\x02hi\xff\xff",
        b"2026-11-26 20:56:34.123456+02:30",
        b"-1.25e-7",
        b"infinity",
    ];
    texts.iter().map(|text| text.to_vec()).chain([bind.0, full]).collect()
}

const STATEMENTS: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, name varchar(9) NOT NULL DEFAULT 'x', at timestamp DEFAULT now())",
    "INSERT INTO t (id, name) VALUES (1, 'a'), (2, E'b\\n') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE t.id > 0 RETURNING id",
    "SELECT name, count(*), sum(id) FROM t WHERE id BETWEEN 1 AND 9 OR name LIKE 'a%' GROUP BY name \
     HAVING count(*) > 0 ORDER BY 2 DESC, 1 LIMIT 5 OFFSET 1",
    "UPDATE t SET name = upper(name) || 'z', id = id + 1 WHERE id IN (1, 2, 3) AND NOT (name IS NULL)",
    "WITH a AS (DELETE FROM t WHERE id > 1 RETURNING id, name), b AS (UPDATE t SET name = 'y' RETURNING *) INSERT INTO t SELECT id, name FROM a RETURNING *",
    "DELETE FROM t WHERE id % 2 = 0; BEGIN; SAVEPOINT s; ROLLBACK TO s; COMMIT",
    "SELECT CASE WHEN 1 < 2 THEN 'x' ELSE NULL END, CAST('7' AS bigint), -2 * (3 + 4.5), coalesce(NULL, 1)",
    "COPY t (id, name) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';')",
    "EXPLAIN SELECT * FROM sys.nodes; SHOW server_version; SET application_name = 'x'",
];

/// The parser.
pub fn sql(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse::parse(text);
    }
}

pub fn sql_seeds() -> Vec<Vec<u8>> {
    STATEMENTS.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A client that has said everything beforehand.
struct Script {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    written: usize,
}

/// What it takes of answers.
const ANSWERS_LEN_MAX: usize = 1 << 20;

impl Connection for Script {
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Closed> {
        let rest = &self.bytes[self.at..];
        let piece = &rest[..rest.len().min(self.piece)];
        into.extend_from_slice(piece);
        self.at += piece.len();
        if piece.is_empty() { Err(Closed) } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.written += bytes.len();
        if self.written > ANSWERS_LEN_MAX { Err(Closed) } else { Ok(()) }
    }
}

/// Turns of a session, at each of which it does up to a thousand rows' work.
const TURNS_MAX: usize = 5000;

/// A session: texts are statements, anything else is messages as they come.
pub fn session(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = 1 + usize::from(input.byte()) * 16;
    let mut script = b"\0\0\0\x22\0\x03\0\0user\0relix\0database\0relix\0\0".to_vec();
    let len = script.len() as u8;
    script[3] = len;
    while !input.is_empty() {
        match input.byte() {
            0 => script.extend_from_slice(input.long()),
            tag => {
                let body = input.long();
                script.push(b"QPBDECSHdcf"[usize::from(tag) % 11]);
                script.extend(((body.len() + 4) as u32).to_be_bytes());
                script.extend_from_slice(body);
            }
        }
    }
    let database = MemoryDatabase::new(1_700_000_000_000_000);
    let registry = Arc::new(Registry::new());
    let connection = Script { bytes: script, at: 0, piece, written: 0 };
    run(serve(connection, database, registry, 1, 2));
}

/// Serves until it ends, or has had its turns.
fn run(serving: impl Future<Output = ()>) {
    let mut serving = pin!(serving);
    for _ in 0..TURNS_MAX {
        if let Poll::Ready(()) = serving.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return;
        }
    }
}

/// Requests of HTTP, on tables in memory that no service has made.
pub fn http(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = 1 + usize::from(input.byte()) * 16;
    let script = input.rest().to_vec();
    if let Ok(Some((head, len))) = Head::decode(&script) {
        assert!(len <= HEAD_LEN_MAX && head.path.starts_with('/'));
        let body = |piece: usize| {
            let (mut framing, mut body) = (head.framing, Vec::new());
            let (mut at, mut end) = (len, len);
            while !framing.is_over() {
                let taken = framing.decode(&script[at..end], &mut body, 1 << 16)?;
                at += taken;
                if taken == 0 && !framing.is_over() {
                    if end == script.len() || body.len() >= 1 << 16 {
                        break;
                    }
                    end = script.len().min(end + piece);
                }
            }
            Ok::<_, Malformed>(body)
        };
        assert_eq!(body(piece), body(script.len()), "however it is cut");
    }
    let (database, registry) = (MemoryDatabase::new(1_700_000_000_000_000), Arc::new(Registry::new()));
    run(serve_http(Script { bytes: script, at: 0, piece, written: 0 }, database, registry, 1, 2));
}

pub fn http_seeds() -> Vec<Vec<u8>> {
    let requests = [
        "GET /files/a?stat HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "PUT /files/a%20b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET /events?channel=a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /hooks/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\n{}\r\n0\r\nT: 1\r\n\r\nMOVE /files/a HTTP/1.1\r\nHost: localhost\r\nDestination: http://localhost/files/b\r\n\r\n",
        "PUT /programs/p?fuel_max=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n\0asm\x01\0\0\0",
    ];
    requests.iter().map(|request| [&[9], request.as_bytes()].concat()).collect()
}

pub fn session_seeds() -> Vec<Vec<u8>> {
    let query = |seed: &mut Output, text: &str| _ = seed.byte(11).long(format!("{text}\0").as_bytes());
    let each = |text: &&str| {
        let mut seed = Output::default();
        seed.byte(9);
        query(&mut seed, STATEMENTS[0]);
        query(&mut seed, STATEMENTS[1]);
        query(&mut seed, text);
        // CopyData and CopyDone, or not understood.
        seed.byte(8).long(b"id;name\n7;seven\n8;\"e\"\n").byte(9).long(b"");
        seed.0
    };
    let mut seeds: Vec<Vec<u8>> = STATEMENTS[1..].iter().map(each).collect();
    let mut prepared = Output::default();
    prepared.byte(200);
    query(&mut prepared, STATEMENTS[0]);
    prepared.byte(1).long(b"s\0INSERT INTO t (id, name) VALUES ($1, $2)\0\0\0");
    prepared.byte(2).long(b"\0s\0\0\x00\0\x02\0\0\0\x017\0\0\0\x01x\0\0");
    prepared.byte(3).long(b"Ss\0").byte(4).long(b"\0\0\0\0\0").byte(6).long(b"");
    seeds.push(prepared.0);
    seeds
}
