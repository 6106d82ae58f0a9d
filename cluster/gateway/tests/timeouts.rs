//! What may take too long, by a clock that only the test moves.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cluster_gateway::{ARRIVED_WITHIN, Closed, Connection, Registry, serve};
use cluster_sql::memory::MemoryDatabase;
use cluster_sql::sessions::Signal;
use drivers_api::Instant;

/// Both directions of a connection.
#[derive(Default)]
struct Wire {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    reader: Option<Waker>,
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Wire>>);

impl Connection for Pipe {
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Closed> {
        std::future::poll_fn(|context| {
            let mut wire = self.0.lock().expect("no panic");
            if wire.to_server.is_empty() {
                wire.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            into.append(&mut wire.to_server);
            Poll::Ready(Ok(()))
        })
        .await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.0.lock().expect("no panic").to_client.extend_from_slice(bytes);
        Ok(())
    }
}

/// Whether it was woken.
#[derive(Default)]
struct Woken(Mutex<bool>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("no panic") = true;
    }
}

/// A client and its server, both on this thread.
struct Client<'a> {
    wire: Pipe,
    registry: Arc<Registry>,
    serving: Pin<&'a mut dyn Future<Output = ()>>,
    woken: Arc<Woken>,
    now: Duration,
    ended: bool,
}

impl Client<'_> {
    fn send(&mut self, tag: u8, body: &[u8]) {
        let mut wire = self.wire.0.lock().expect("no panic");
        wire.to_server.push(tag);
        wire.to_server.extend(((body.len() + 4) as u32).to_be_bytes());
        wire.to_server.extend_from_slice(body);
        if let Some(reader) = wire.reader.take() {
            reader.wake();
        }
    }

    fn query(&mut self, sql: &str) -> String {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        self.turns(20);
        self.answer()
    }

    /// So many turns of the server, if it has that much to do.
    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            if self.ended || !std::mem::take(&mut *self.woken.0.lock().expect("no panic")) {
                return;
            }
            let waker = Waker::from(self.woken.clone());
            self.ended = self.serving.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.registry.advance(Instant::ZERO + self.now);
        self.turns(20);
    }

    /// What it was sent since the last call: completions, errors and what the state is.
    fn answer(&mut self) -> String {
        let bytes = std::mem::take(&mut self.wire.0.lock().expect("no panic").to_client);
        let (mut rest, mut shown) = (&bytes[..], Vec::new());
        while let [tag, a, b, c, d, after @ ..] = rest {
            let (body, next) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4);
            let fields = || body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            let field = |name: char| fields().find_map(|field| field.strip_prefix(name).map(String::from));
            match tag {
                b'C' => shown.extend(fields().next().map(String::from)),
                b'E' => shown.extend(['S', 'C', 'M'].map(|name| field(name).unwrap_or_default())),
                b'Z' => shown.push(char::from(body[0]).into()),
                _ => {}
            }
            rest = next;
        }
        shown.join(" | ")
    }
}

fn startup() -> Vec<u8> {
    let startup = b"\0\x03\0\0user\0relix\0\0";
    let mut bytes = ((startup.len() + 4) as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(startup);
    bytes
}

fn with_client(scenario: impl FnOnce(&mut Client<'_>)) {
    with_client_that_says(&startup(), |client| {
        assert_eq!(client.answer(), "I");
        scenario(client);
    });
}

fn with_client_that_says(first: &[u8], scenario: impl FnOnce(&mut Client<'_>)) {
    let (wire, registry) = (Pipe::default(), Arc::new(Registry::new()));
    let database = MemoryDatabase::new(1_700_000_000_000_000);
    wire.0.lock().expect("no panic").to_server = first.to_vec();
    let serving = pin!(serve(wire.clone(), database, registry.clone(), 1, 2));
    let woken = Arc::new(Woken(Mutex::new(true)));
    let mut client = Client { wire, registry, serving, woken, now: Duration::ZERO, ended: false };
    client.turns(20);
    scenario(&mut client);
}

#[test]
fn a_client_has_a_time_to_say_who_it_is_and_nothing_to_do_with_it_later() {
    for said in 0..startup().len() {
        with_client_that_says(&startup()[..said], |client| {
            client.pass(ARRIVED_WITHIN.as_millis() as u64 - 1);
            assert!(!client.ended);
            client.pass(1);
            assert!(client.ended && client.registry.deadline().is_none());
            assert_eq!(client.answer(), "", "PostgreSQL says nothing either");
        });
    }
    with_client(|client| {
        assert_eq!(client.registry.deadline(), None);
        client.pass(1_000_000);
        assert!(!client.ended);
    });
}

const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 10000000000) AS n";

const CANCELLED: &str = "ERROR | 57014 | canceling statement due to statement timeout";

#[test]
fn a_statement_has_its_time_and_no_more() {
    with_client(|client| {
        assert_eq!(client.query("SET statement_timeout = '2s'"), "SET | I");
        assert_eq!(client.query(ENDLESS), "", "it runs");
        assert_eq!(client.registry.deadline(), Some(Instant::ZERO + Duration::from_secs(2)));
        client.pass(1999);
        assert_eq!(client.answer(), "");
        client.pass(1);
        assert_eq!(client.answer(), format!("{CANCELLED} | I"));
        assert_eq!(client.registry.deadline(), None);
        // Each statement has a time of its own, and pauses cost nothing.
        client.pass(10_000);
        assert_eq!(client.query("SELECT 1; SELECT 2"), "SELECT 1 | SELECT 1 | I");
        assert_eq!(client.query("BEGIN; SET LOCAL statement_timeout = 5"), "BEGIN | SET | T");
        assert_eq!(client.query(ENDLESS), "");
        client.pass(5);
        assert_eq!(client.answer(), format!("{CANCELLED} | E"));
        assert_eq!(client.query("ROLLBACK; SHOW statement_timeout"), "ROLLBACK | SHOW | I");
        assert_eq!(client.query("RESET statement_timeout"), "RESET | I");
        assert_eq!(client.query(ENDLESS), "");
        client.pass(1_000_000);
        assert_eq!(client.answer(), "");
    });
}

#[test]
fn a_prepared_statement_has_its_time_from_the_first_message_on() {
    with_client(|client| {
        assert_eq!(client.query("SET statement_timeout = 100"), "SET | I");
        client.send(b'P', format!("\0{ENDLESS}\0\0\0").as_bytes());
        client.send(b'B', b"\0\0\0\0\0\0\0\0");
        client.turns(20);
        client.pass(60);
        client.send(b'E', b"\0\0\0\0\0");
        client.send(b'S', b"");
        client.turns(20);
        assert_eq!(client.answer(), "");
        client.pass(40);
        assert_eq!(client.answer(), format!("{CANCELLED} | I"));
    });
}

#[test]
fn a_session_may_pause_for_its_time_and_no_longer() {
    with_client(|client| {
        assert_eq!(client.query("SET idle_session_timeout = '1min'"), "SET | I");
        client.pass(59_999);
        assert_eq!(client.query("SELECT 1"), "SELECT 1 | I", "the pause is over");
        // In a transaction another time counts.
        assert_eq!(client.query("BEGIN"), "BEGIN | T");
        client.pass(100_000);
        assert_eq!((client.answer().as_str(), client.ended), ("", false));
        assert_eq!(client.query("COMMIT"), "COMMIT | I");
        client.pass(59_999);
        assert_eq!((client.answer().as_str(), client.ended), ("", false));
        client.pass(1);
        assert_eq!(client.answer(), "FATAL | 57P05 | terminating connection due to idle-session timeout");
        assert!(client.ended && client.registry.is_empty());
    });
}

#[test]
fn a_transaction_may_pause_for_its_time_and_no_longer() {
    with_client(|client| {
        assert_eq!(client.query("SET idle_in_transaction_session_timeout = 500"), "SET | I");
        client.pass(100_000);
        assert_eq!(client.query("BEGIN; SELECT 1 / 0"), "BEGIN | ERROR | 22012 | division by zero | E");
        client.pass(499);
        assert_eq!((client.answer().as_str(), client.ended), ("", false));
        client.pass(1);
        let expected = "FATAL | 25P03 | terminating connection due to idle-in-transaction timeout";
        assert_eq!(client.answer(), expected);
        assert!(client.ended && client.registry.deadline().is_none());
    });
}

/// What is shown of the only session.
fn shown(client: &Client<'_>) -> (&'static str, String, bool, bool) {
    let session = client.registry.sessions().remove(0);
    let (activity, statement) = (session.activity.name(), session.statement.to_string());
    (activity, statement, session.transaction_started.is_some(), session.block.is_some())
}

#[test]
fn a_session_shows_what_it_does_and_ends_when_somebody_wants_it_to() {
    with_client(|client| {
        assert_eq!(shown(client), ("idle", "".into(), false, false));
        client.query("BEGIN");
        assert_eq!(shown(client), ("idle in transaction", "BEGIN".into(), true, true));
        client.query("SELECT 1 / 0");
        assert_eq!(shown(client), ("idle in transaction (aborted)", "SELECT 1 / 0".into(), true, true));
        client.query("ROLLBACK");
        assert_eq!(shown(client), ("idle", "ROLLBACK".into(), false, false));
        client.query(&format!("SELECT '{}'", "ä".repeat(1000)));
        assert_eq!(shown(client).1, format!("SELECT '{}", "ä".repeat(508)));
        client.query("SET application_name = 'me'");
        assert_eq!(client.registry.sessions()[0].application_name, "me");

        assert!(!client.registry.signal(Signal { pid: 2, ends: true }), "there is no such session");
        assert!(client.registry.signal(Signal { pid: 1, ends: false }));
        client.turns(20);
        assert_eq!(client.answer(), "", "nothing runs that could be stopped");
        assert_eq!(client.query("SELECT 1"), "SELECT 1 | I");
        assert!(client.registry.signal(Signal { pid: 1, ends: true }));
        client.turns(20);
        assert_eq!(client.answer(), "FATAL | 57P01 | terminating connection due to administrator command");
        assert!(client.ended && client.registry.is_empty());
    });
}

#[test]
fn a_pipelined_statement_that_is_stopped_by_the_end_of_its_session_does_not_look_done() {
    with_client(|client| {
        client.send(b'P', b"\0SELECT count(*) FROM generate_series(1, 1000000)\0\0\0");
        client.send(b'B', b"\0\0\0\0\0\0\0\0");
        client.send(b'E', b"\0\0\0\0\0");
        client.send(b'S', b"");
        assert!(client.registry.signal(Signal { pid: 1, ends: true }));
        client.turns(2000);
        // No word of a next command before it, as the Sync would have.
        assert_eq!(client.answer(), "FATAL | 57P01 | terminating connection due to administrator command");
        assert!(client.ended);
    });
}
