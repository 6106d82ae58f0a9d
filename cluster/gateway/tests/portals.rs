//! How long portals live.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

struct Client(TcpStream);

/// A message, without what a length says of it.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(((body.len() + 4) as u32).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Parses `sql` and binds it to a portal.
fn bind(portal: &str, sql: &str) -> Vec<u8> {
    let parse = message(b'P', format!("\0{sql}\0\0\0").as_bytes());
    [parse, message(b'B', format!("{portal}\0\0\0\0\0\0\0\0").as_bytes())].concat()
}

/// Takes a row of a portal.
fn execute(portal: &str) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend(1u32.to_be_bytes());
    message(b'E', &body)
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

impl Client {
    fn new() -> Client {
        let mut stream = TcpStream::connect(support::listen()).expect("it listens");
        let mut body = 196_608u32.to_be_bytes().to_vec();
        body.extend(b"user\0relix\0\0");
        stream.write_all(&((body.len() + 4) as u32).to_be_bytes()).expect("sent");
        stream.write_all(&body).expect("sent");
        let mut client = Client(stream);
        client.answer();
        client
    }

    /// Sends all of `messages`; the tags of what comes back, with values, completions and SQLSTATEs.
    fn asks(&mut self, messages: &[Vec<u8>]) -> String {
        self.0.write_all(&messages.concat()).expect("sent");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).expect("an answer");
            let len = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize - 4;
            let mut body = vec![0; len];
            self.0.read_exact(&mut body).expect("an answer");
            match head[0] {
                b'D' => answer.push(format!("row {}", String::from_utf8_lossy(&body[6..]))),
                b'C' => answer.push(String::from_utf8_lossy(&body[..len - 1]).into_owned()),
                b's' => answer.push("more".into()),
                b'E' => {
                    let fields = body.split(|byte| *byte == 0);
                    let state = fields.filter_map(|field| field.strip_prefix(b"C")).next();
                    answer.push(String::from_utf8_lossy(state.expect("a state")).into_owned());
                }
                b'Z' => return answer.join(", "),
                _ => {}
            }
        }
    }
}

const ROWS: &str = "SELECT g FROM generate_series(1, 3) g";

#[test]
fn a_portal_ends_with_its_transaction() {
    let mut client = Client::new();
    client.asks(&[query("CREATE TABLE t (n int)")]);
    // Within one pipeline.
    let asked = [
        bind("b", "BEGIN"),
        execute("b"),
        bind("p", ROWS),
        execute("p"),
        execute("p"),
        bind("c", "COMMIT"),
        execute("c"),
        execute("p"),
        sync(),
    ];
    assert_eq!(client.asks(&asked), "BEGIN, row 1, more, row 2, more, COMMIT, 34000");
    // One that has only been bound, and one whose statement ended the transaction.
    let asked = [bind("p", ROWS), bind("c", "COMMIT"), execute("c"), execute("p"), sync()];
    assert_eq!(client.asks(&asked), "COMMIT, 34000");
    let asked = [bind("c", "ROLLBACK"), execute("c"), execute("c"), sync()];
    assert_eq!(client.asks(&asked), "ROLLBACK, 34000");
    // A block that follows upon it is another.
    let asked = [query("BEGIN"), bind("p", ROWS), execute("p"), sync()];
    client.0.write_all(&asked.concat()).expect("sent");
    assert_eq!((client.answer().as_str(), client.answer().as_str()), ("BEGIN", "row 1, more"));
    assert_eq!(client.asks(&[execute("p"), sync()]), "row 2, more");
    assert_eq!(client.asks(&[query("COMMIT; BEGIN")]), "COMMIT, BEGIN");
    assert_eq!(client.asks(&[execute("p"), sync()]), "34000");
    assert_eq!(client.asks(&[query("ROLLBACK")]), "ROLLBACK");
}

#[test]
fn a_portal_lives_on_when_a_block_begins_or_a_statement_writes() {
    let mut client = Client::new();
    client.asks(&[query("CREATE TABLE t (n int)")]);
    let asked = [
        bind("p", ROWS),
        execute("p"),
        bind("b", "BEGIN"),
        execute("b"),
        bind("i", "INSERT INTO t VALUES (1)"),
        execute("i"),
        execute("p"),
        sync(),
    ];
    assert_eq!(client.asks(&asked), "row 1, more, BEGIN, INSERT 0 1, row 2, more");
    assert_eq!(client.asks(&[execute("p"), sync()]), "row 3, more");
    assert_eq!(client.asks(&[query("COMMIT")]), "COMMIT");
}

#[test]
fn a_portal_gives_what_was_there_when_it_was_begun() {
    let mut client = Client::new();
    client.asks(&[query("CREATE TABLE t (n int PRIMARY KEY)")]);
    client.asks(&[query("INSERT INTO t SELECT * FROM generate_series(1, 2000)")]);
    client.asks(&[query("BEGIN")]);
    let read = "SELECT n FROM t ORDER BY n DESC LIMIT 1999";
    let asked = [bind("p", "SELECT n FROM t"), bind("q", read), execute("p"), execute("q"), sync()];
    assert_eq!(client.asks(&asked), "row 1, more, row 2000, more");
    assert_eq!(client.asks(&[bind("d", "DELETE FROM t WHERE n > 1"), execute("d"), sync()]), "DELETE 1999");
    let mut seen = 1;
    while client.asks(&[execute("p"), sync()]).starts_with("row") {
        seen += 1;
    }
    assert_eq!(seen, 2000);
    assert_eq!(client.asks(&[execute("q"), query("ROLLBACK")]), "row 1999, more, ROLLBACK");
}

#[test]
fn a_cursor_with_hold_outlives_its_transaction() {
    let mut client = Client::new();
    let declare = format!("DECLARE h CURSOR WITH HOLD FOR {ROWS}");
    let asked = [
        bind("b", "BEGIN"),
        execute("b"),
        bind("d", &declare),
        execute("d"),
        bind("c", "COMMIT"),
        execute("c"),
        bind("f", "FETCH 2 FROM h"),
        execute("f"),
        execute("f"),
        sync(),
    ];
    let told = "BEGIN, DECLARE CURSOR, COMMIT, row 1, more, row 2, more";
    assert_eq!(client.asks(&asked), told);
    assert_eq!(client.asks(&[query("FETCH ALL FROM h")]), "row 3, FETCH 1");
}
