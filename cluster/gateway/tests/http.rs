//! What HTTP clients are answered, byte by byte, over the tables of the services in memory.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use cluster_gateway::{Closed, Connection, Registry, serve_http};
use cluster_services::SCHEMAS;
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::sessions::Signal;
use cluster_sql::types::Datum;
use cluster_sql::wire::{Style, text_of};
use cluster_sql::{CancelFlag, Session};

/// A client that says what it was told to in pieces, and then leaves or waits.
#[derive(Clone)]
struct Script {
    input: Arc<Mutex<VecDeque<Vec<u8>>>>,
    output: Arc<Mutex<Vec<u8>>>,
    leaves: bool,
}

impl Connection for Script {
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Closed> {
        std::future::poll_fn(|_| match self.input.lock().unwrap().pop_front() {
            Some(piece) => {
                into.extend_from_slice(&piece);
                Poll::Ready(Ok(()))
            }
            None if self.leaves => Poll::Ready(Err(Closed)),
            None => Poll::Pending,
        })
        .await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.output.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

struct Server {
    database: MemoryDatabase,
    session: Session<MemoryDatabase>,
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

impl Server {
    fn new() -> Server {
        let database = MemoryDatabase::new(1_000_000_000_000_000);
        let mut session = Session::new(database.clone(), "relix", "relix", 0, Arc::<CancelFlag>::default());
        block_on(session.install(SCHEMAS)).expect("the tables of the services");
        Server { database, session }
    }

    fn sql(&mut self, sql: &str) -> String {
        let ran = block_on(async {
            let answer = self.session.run(sql, Vec::new()).await?;
            self.session.sync().await.map(|()| answer)
        });
        match ran {
            Ok(answer) => {
                let style = Style::default();
                let text = |value: &Datum| if value.is_null() { "-".into() } else { text_of(value, &style) };
                let row = |row: &Vec<Datum>| row.iter().map(text).collect::<Vec<_>>().join(" ");
                answer.rows.iter().map(row).collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        }
    }

    /// All that is answered to a client that says this, and leaves.
    fn talk_in_pieces(&self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
        let input = Arc::new(Mutex::new(pieces.into_iter().collect()));
        let script = Script { input, output: Arc::default(), leaves: true };
        block_on(serve_http(script.clone(), self.database.clone(), Arc::new(Registry::new()), 1, 2));
        let output = script.output.lock().unwrap();
        output.clone()
    }

    fn talk(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        self.talk_in_pieces([request.as_ref().to_vec()])
    }

    /// The status and the body of the answer to one request.
    fn ask(&self, line: &str, fields: &str, body: &[u8]) -> String {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n",
            fields.replace('\n', "\r\n"),
            body.len()
        );
        let answer = self.talk([head.as_bytes(), body].concat());
        let (head, body) = parts(&answer);
        let status = head.lines().next().expect("a status").trim_start_matches("HTTP/1.1 ");
        let status = status.split(' ').next().expect("a number");
        format!("{status} {}", String::from_utf8_lossy(body).trim_end()).trim_end().into()
    }

    /// A field of the answer.
    fn field(&self, line: &str, name: &str) -> String {
        let answer = self.talk(format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let (head, _) = parts(&answer);
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| *known == name).map_or("-".into(), |(_, value)| value.into())
    }
}

fn parts(answer: &[u8]) -> (&str, &[u8]) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    (std::str::from_utf8(&answer[..end]).expect("text"), &answer[end + 4..])
}

#[test]
fn files_are_put_read_moved_and_removed() {
    let mut server = Server::new();
    assert_eq!(server.ask("PUT /files/a.txt", "", b"hello there"), "201");
    assert_eq!(server.ask("GET /files/a.txt", "", b""), "200 hello there");
    assert_eq!(server.field("HEAD /files/a.txt", "Content-Length"), "11");
    assert_eq!(server.field("GET /files/a.txt", "Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(server.ask("GET /files/a.txt", "Range: bytes=6-\n", b""), "206 there");
    assert_eq!(
        server.ask("GET /files/a.txt", "Range: bytes=11-\n", b""),
        "416 {\"error\": \"the file has 11 bytes\"}"
    );
    assert_eq!(server.ask("PUT /files/a.txt", "Content-Range: bytes 6-10/*\n", b"world"), "204");
    assert_eq!(server.ask("GET /files/a.txt", "", b""), "200 hello world");
    assert_eq!(server.ask("PUT /files/a.txt?mode=600&owner=ann", "", b"new"), "204");
    assert_eq!(server.ask("PUT /files/a.txt", "", b"newer"), "204");
    assert_eq!(server.sql("SELECT mode, owner, size FROM sys.files WHERE path = '/a.txt'"), "0600 ann 5");
    assert_eq!(server.ask("MKCOL /files/d", "", b""), "201");
    assert_eq!(server.ask("MOVE /files/a.txt", "Destination: http://localhost/files/d/b%20c\n", b""), "201");
    assert_eq!(server.ask("PUT /files/x", "", b""), "201");
    assert_eq!(
        server.ask("MOVE /files/x", "Destination: /files/d/b%20c\nOverwrite: F\n", b""),
        "412 {\"error\": \"/d/b c: file exists\"}"
    );
    assert_eq!(server.ask("MOVE /files/x", "Destination: /files/d/b%20c\n", b""), "204");
    assert!(server.ask("GET /files/d", "", b"").contains("\"name\": \"b c\", \"size\": 0"));
    assert_eq!(server.ask("DELETE /files/d", "", b""), "409 {\"error\": \"/d: directory not empty\"}");
    assert_eq!(server.ask("DELETE /files/d?recursive", "", b""), "204");
    assert_eq!(server.sql("SELECT count(*) FROM sys.files"), "1");
    assert_eq!(server.sql("SELECT count(*) FROM sys.blocks"), "0");
}

#[test]
fn what_cannot_be_done_with_a_file_says_so() {
    let server = Server::new();
    for (line, fields, answer) in [
        ("GET /files/a", "", "404 {\"error\": \"/a: no such file or directory\"}"),
        ("DELETE /files/a", "", "404 {\"error\": \"/a: no such file or directory\"}"),
        ("MOVE /files/a", "Destination: /files/b\n", "404 {\"error\": \"/a: no such file or directory\"}"),
        (
            "MOVE /files/a",
            "Destination: /tasks/1\n",
            "400 {\"error\": \"the field Destination says where to, as '/files/PATH' does\"}",
        ),
        (
            "PUT /files/d/a",
            "",
            "409 {\"hint\": \"Make the directory above it first.\", \
             \"error\": \"/d/: no such file or directory\"}",
        ),
        ("PUT /files", "", "409 {\"error\": \"/: is a directory\"}"),
        ("MKCOL /files/", "", "409 {\"error\": \"/: file exists\"}"),
        ("PUT /files/a?mode=9", "", "400 {\"error\": \"a mode is octal, as 644 is\"}"),
        ("PUT /files/a?mode=77777", "", "400 {\"error\": \"/a: invalid argument\"}"),
        ("PUT /files/a", "If-Match: *\n", "412 {\"error\": \"the file is not as it is expected to be\"}"),
        (
            "PUT /files/a",
            "Content-Range: bytes 1-2/*\n",
            "400 {\"error\": \"Content-Range promises 2 bytes, and the body has 0\"}",
        ),
        ("POST /files/a", "", "405 {\"error\": \"the methods are GET, HEAD, PUT, DELETE, MKCOL, MOVE\"}"),
        (
            "GET /filesystem",
            "",
            "404 {\"hint\": \"GET / lists what there is.\", \"error\": \"there is nothing at /filesystem\"}",
        ),
    ] {
        assert_eq!(server.ask(line, fields, b""), answer, "{line}");
    }
    let long =
        format!("PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", (1u64 << 30) + 1);
    assert!(
        server.talk(long).is_empty(),
        "it has left before it was told: the rest of its body is waited for"
    );
}

#[test]
fn conditions_keep_clients_from_writing_over_each_other() {
    let server = Server::new();
    assert_eq!(server.ask("PUT /files/a", "If-None-Match: *\n", b"1"), "201");
    assert!(server.ask("PUT /files/a", "If-None-Match: *\n", b"2").starts_with("412"));
    let tag = server.field("GET /files/a", "ETag");
    assert_eq!(server.ask("GET /files/a", &format!("If-None-Match: W/{tag}\n"), b""), "304");
    assert_eq!(server.ask("PUT /files/a", &format!("If-Match: \"x\", {tag}\n"), b"3"), "204");
    assert!(server.ask("PUT /files/a", &format!("If-Match: {tag}\n"), b"4").starts_with("412"));
    assert!(server.ask("DELETE /files/a", &format!("If-Match: {tag}\n"), b"").starts_with("412"));
    // A part of what was there before is no part of what is there.
    let old = format!("Range: bytes=0-0\nIf-Range: {tag}\n");
    assert_eq!(server.ask("GET /files/a", &old, b""), "200 3");
}

/// Bytes that are nowhere the same.
fn long(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
}

#[test]
fn a_long_file_is_there_when_all_of_it_has_come() {
    let mut server = Server::new();
    assert_eq!(server.ask("PUT /files/a?mode=640", "", b"old"), "201");
    let bytes = long(3_500_000);
    assert_eq!(server.ask("PUT /files/a", "", &bytes), "204");
    let answer = server.talk("GET /files/a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(parts(&answer).1 == bytes);
    assert_eq!(server.sql("SELECT path, mode, size FROM sys.files WHERE kind = 'file'"), "/a 0640 3500000");
    // In chunks, nobody knows how long it will be.
    let head = b"PUT /files/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let chunks = bytes.chunks(70_001).map(chunk);
    let pieces = std::iter::once(head.clone()).chain(chunks.clone()).chain([b"0\r\n\r\n".to_vec()]);
    assert!(server.talk_in_pieces(pieces).starts_with(b"HTTP/1.1 204 "));
    let answer =
        server.talk("GET /files/a HTTP/1.1\r\nHost: localhost\r\nRange: bytes=2999999-3000000\r\n\r\n");
    assert_eq!(parts(&answer).1, &bytes[2_999_999..3_000_001]);
    // A client that leaves has changed nothing, and left nothing.
    let before = server.field("GET /files/a", "ETag");
    let pieces = std::iter::once(head).chain(chunks.take(40));
    assert!(server.talk_in_pieces(pieces).is_empty());
    assert_eq!(server.field("GET /files/a", "ETag"), before);
    assert_eq!(server.sql("SELECT path, size FROM sys.files WHERE kind = 'file'"), "/a 3500000");
}

#[test]
fn directories_are_listed_page_by_page() {
    let mut server = Server::new();
    for name in ["a", "b", "c"] {
        server.ask(&format!("PUT /files/{name}"), "", name.as_bytes());
    }
    server.sql("UPDATE sys.inodes SET modified_at = '2026-01-02 03:04:05Z'");
    assert_eq!(
        server.ask("GET /files/?limit=1&after=a", "", b""),
        "200 {\"next\": \"b\", \"entries\": [{\"kind\": \"file\", \"mode\": \"0644\", \"name\": \"b\", \"size\": 1, \
         \"owner\": \"relix\", \"modified_at\": \"2026-01-02 03:04:05+00\"}]}"
    );
    assert!(server.ask("GET /files?after=b", "", b"").starts_with("200 {\"next\": null, "));
}

#[test]
fn a_hook_makes_a_task_once_for_each_key() {
    let mut server = Server::new();
    assert!(server.ask("POST /hooks/order", "", b"1").starts_with("404"));
    server.sql("INSERT INTO sys.hooks (name, program) VALUES ('order', 'p')");
    let first = server.ask("POST /hooks/order", "Idempotency-Key: k\n", b"{\"item\": 7}");
    assert!(first.starts_with("202 {\"task\": "), "{first}");
    let task = first.trim_start_matches("202 {\"task\": ").trim_end_matches('}');
    assert_eq!(
        server.ask("POST /hooks/order", "Idempotency-Key: k\n", b"2"),
        format!("200 {{\"task\": {task}}}")
    );
    assert_eq!(server.sql("SELECT program, arguments FROM sys.tasks"), "p {\"item\": 7}");
    let shown = server.ask(&format!("GET /tasks/{task}"), "", b"");
    assert!(shown.starts_with("200 ") && shown.contains("\"state\": \"ready\""), "{shown}");
    for (line, body, status) in [
        ("POST /hooks/order", &b"{"[..], "400"),
        ("POST /hooks/order", b"\xff", "400"),
        ("GET /hooks/order", b"", "405"),
        ("GET /tasks/x", b"", "404"),
        ("GET /tasks/0", b"", "404"),
    ] {
        assert!(server.ask(line, "", body).starts_with(status), "{line}");
    }
    assert!(server.ask("POST /hooks/order", "", &vec![b' '; 983_041]).starts_with("413"));
    assert_eq!(server.sql("SELECT count(*) FROM sys.tasks"), "1");
}

#[test]
fn a_program_is_checked_before_it_is_there() {
    let mut server = Server::new();
    let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\x07\x10\x02\x06memory\x02\0\x03run\0\0\x0a\x04\x01\x02\0\x0b";
    assert_eq!(server.ask("PUT /programs/p", "", module), "201 {\"program\": \"p\", \"version\": 1}");
    assert_eq!(
        server.ask("PUT /programs/p?privileges=log&memory_max=65536", "", module),
        "201 {\"program\": \"p\", \"version\": 2}"
    );
    assert_eq!(
        server.sql("SELECT privileges, memory_max FROM sys.programs WHERE name = 'p' ORDER BY version"),
        "sql,log,time,random,sleep,files 16777216, log 65536"
    );
    assert_eq!(parts(&server.talk("GET /programs/p HTTP/1.1\r\nHost: localhost\r\n\r\n")).1, module);
    assert!(server.ask("PUT /programs/p", "", b"garbage").starts_with("422 "));
    assert!(server.ask("PUT /programs/p?privileges=root", "", module).starts_with("422 "));
    assert!(server.ask("PUT /programs/p?memory_max=1", "", module).starts_with("400 "));
    assert!(server.ask("PUT /programs/p?fuel_max=x", "", module).starts_with("400 "));
    assert!(server.ask("GET /programs/q", "", b"").starts_with("404 "));
    assert_eq!(server.sql("SELECT count(*) FROM sys.programs WHERE name = 'p'"), "2");
}

#[test]
fn events_come_as_they_are_notified() {
    let mut server = Server::new();
    let script = Script { input: Arc::default(), output: Arc::default(), leaves: false };
    let request = b"GET /events?channel=a&channel=B%22c HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    script.input.lock().unwrap().push_back(request);
    let registry = Arc::new(Registry::new());
    let mut serving = pin!(serve_http(script.clone(), server.database.clone(), registry.clone(), 1, 2));
    let mut turn = || serving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let said = || String::from_utf8(std::mem::take(&mut *script.output.lock().unwrap())).expect("text");
    while script.output.lock().unwrap().is_empty() {
        assert!(turn().is_pending());
    }
    let _ = turn();
    let begun = said();
    assert!(
        begun.contains("Content-Type: text/event-stream") && begun.ends_with("\r\n\r\n: listening\n\n"),
        "{begun}"
    );
    server.sql("NOTIFY a, 'one'");
    server.sql("NOTIFY \"B\"\"c\", 'two'");
    server.sql("NOTIFY other, 'three'");
    assert!(turn().is_pending());
    assert_eq!(said(), "event: a\ndata: one\n\nevent: B\"c\ndata: two\n\n");
    // When nothing is said for long, that is said.
    registry.advance(registry.deadline().expect("a time"));
    assert!(turn().is_pending());
    assert_eq!(said(), ":\n\n");
    // It leaves.
    script.input.lock().unwrap().push_back(b"x".to_vec());
    assert!(turn().is_ready());
    assert!(registry.is_empty());
    assert!(server.ask("GET /events", "", b"").starts_with("400 "));
}

#[test]
fn requests_follow_each_other_on_a_connection() {
    let server = Server::new();
    let requests = "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx\
                    GET /files/a HTTP/1.1\r\nHost: localhost\r\n\r\n\
                    POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc\
                    GET /files/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n\
                    GET /files/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let whole = server.talk(requests);
    let statuses = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).into_owned();
        text.match_indices("HTTP/1.1 ").map(|(at, _)| text[at + 9..at + 12].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&whole), ["201", "200", "404", "200"]);
    let pieces = requests.as_bytes().iter().map(|byte| vec![*byte]);
    assert_eq!(statuses(&server.talk_in_pieces(pieces)), ["204", "200", "404", "200"]);
    let waiting =
        "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let answer = server.talk_in_pieces([waiting.as_bytes().to_vec(), b"y".to_vec()]);
    assert_eq!(statuses(&answer), ["100", "204"]);
    // Whoever is told "no" before the body is asked for does not send it.
    let unwanted = waiting.replace("/files/a", "/nothing");
    assert_eq!(statuses(&server.talk(&unwanted)), ["404"]);
}

#[test]
fn what_is_not_understood_ends_the_connection() {
    let server = Server::new();
    for (request, status) in [
        ("hello\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/3.0\r\n\r\n", "505"),
        (
            "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("PUT /files/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("GET /files/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n\r\n", "403"),
    ] {
        let answer = server.talk(format!("{request}{request}"));
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{request}");
        if status != "403" {
            let text = String::from_utf8(answer).expect("text");
            assert!(text.contains("Connection: close") && text.matches("Date: ").count() == 1, "{text}");
        }
    }
    assert!(server.talk("GET / HT").is_empty());
}

#[test]
fn a_client_is_a_session_that_can_be_seen_and_ended() {
    let server = Server::new();
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let input = Arc::new(Mutex::new(VecDeque::from([request])));
    let script = Script { input, output: Arc::default(), leaves: false };
    let registry = Arc::new(Registry::new());
    let mut serving = pin!(serve_http(script, server.database.clone(), registry.clone(), 7, 2));
    let mut is_over = || serving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    (0..50).for_each(|_| assert!(!is_over()));
    let session = registry.sessions().remove(0);
    let shown = (session.pid, session.kind, session.activity.name(), &*session.statement);
    assert_eq!(shown, (7, "http", "idle", "GET /health"));
    assert!(registry.signal(Signal { pid: 7, ends: true }));
    assert!(is_over() && registry.is_empty());
}
