//! A Postgres client, small: simple queries, text results.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cluster_net::TcpConnection;
use tests_workloads::{Answer, Failure, Pace, Row, Workload, run_client};

use crate::cluster::Cluster;
use crate::host::Host;

/// protocol_violation: what a server says that does not fit together.
const PROTOCOL_VIOLATION: &str = "08P01";

/// One connection.
pub struct Client {
    connection: TcpConnection,
    received: Vec<u8>,
    /// What it was told beside answers.
    notified: VecDeque<String>,
    /// Remarks of the server, and the process id that it has given.
    noticed: Vec<String>,
    pid: i32,
}

impl Client {
    /// Connects to a node.
    pub async fn connect(host: &Host, node: u8) -> Result<Client, Failure> {
        let connection = host.open(node).ok_or(Failure::Lost)?;
        let (received, notified, noticed) = (Vec::new(), VecDeque::new(), Vec::new());
        let mut client = Client { connection, received, notified, noticed, pid: 0 };
        let mut startup = 196_608u32.to_be_bytes().to_vec();
        startup.extend_from_slice(b"user\0relix\0database\0relix\0\0");
        let mut message = (startup.len() as u32 + 4).to_be_bytes().to_vec();
        message.append(&mut startup);
        client.send(&message).await?;
        client.answer().await?;
        Ok(client)
    }

    /// The session's process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What the server has remarked since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.noticed)
    }

    /// Waits for the server's last words, which it says when it ends the session.
    pub async fn last_words(&mut self) -> Failure {
        loop {
            match self.message().await {
                Ok((b'E', body)) => return server_error(&body),
                Ok(_) => {}
                Err(lost) => return lost,
            }
        }
    }

    /// Runs statements.
    pub async fn query(&mut self, sql: &str) -> Result<Answer, Failure> {
        self.ask(sql).await?;
        self.answer().await
    }

    /// Runs a statement that copies out; what it copies.
    pub async fn copy_out(&mut self, sql: &str) -> Result<Vec<u8>, Failure> {
        self.ask(sql).await?;
        let (mut copied, mut error) = (Vec::new(), None);
        loop {
            match self.message().await? {
                (b'd', body) => copied.extend(body),
                (b'E', body) => error = Some(server_error(&body)),
                (b'Z', _) => return error.map_or(Ok(copied), Err),
                _ => {}
            }
        }
    }

    /// Runs a statement that copies in, and sends `data`.
    pub async fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<Answer, Failure> {
        const PIECE_LEN: usize = 16 * 1024;
        self.ask(sql).await?;
        let (kind, body) = self.message().await?;
        if kind != b'G' {
            let refused = server_error(&body);
            self.answer().await?;
            return Err(refused);
        }
        for piece in data.chunks(PIECE_LEN) {
            let mut message = vec![b'd'];
            message.extend_from_slice(&(piece.len() as u32 + 4).to_be_bytes());
            message.extend_from_slice(piece);
            self.send(&message).await?;
        }
        self.send(&[b'c', 0, 0, 0, 4]).await?;
        self.answer().await
    }

    /// Waits for the next payload of a channel that it listens to.
    pub async fn notification(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(payload) = self.notified.pop_front() {
                return Ok(payload);
            }
            match self.message().await? {
                (b'A', body) => self.note(&body),
                (b'E', body) => return Err(server_error(&body)),
                (kind, _) => {
                    let wrong = format!("a message of kind {kind} answers nothing");
                    return Err(Failure::Server(PROTOCOL_VIOLATION.into(), wrong));
                }
            }
        }
    }

    /// The body is a process id, a channel and a payload.
    fn note(&mut self, body: &[u8]) {
        let payload = body[4..].split(|byte| *byte == 0).nth(1).unwrap_or_default();
        self.notified.push_back(String::from_utf8_lossy(payload).into_owned());
    }

    /// Sends statements, and leaves it to others to wait for their answer.
    pub async fn ask(&mut self, sql: &str) -> Result<(), Failure> {
        let mut message = vec![b'Q'];
        message.extend_from_slice(&(sql.len() as u32 + 5).to_be_bytes());
        message.extend_from_slice(sql.as_bytes());
        message.push(0);
        self.send(&message).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.connection.write(bytes).await.map_err(|_| Failure::Lost)
    }

    /// Everything up to ReadyForQuery.
    async fn answer(&mut self) -> Result<Answer, Failure> {
        let mut result = Answer::default();
        let (mut error, mut described) = (None, 0);
        loop {
            let (kind, body) = self.message().await?;
            match kind {
                b'T' => described = fields(&body),
                b'D' if fields(&body) != described => {
                    let wrong = format!("a row has {} fields, not the {described} described", fields(&body));
                    error = Some(Failure::Server(PROTOCOL_VIOLATION.into(), wrong));
                }
                b'D' => result.rows.push(row(&body)),
                b'C' => result.affected = affected(&body),
                b'A' => self.note(&body),
                b'E' => error = Some(server_error(&body)),
                b'Z' => return error.map_or(Ok(result), Err),
                b'N' => self.noticed.extend(message_of(&body)),
                b'K' => self.pid = body.first_chunk().map_or(0, |pid| i32::from_be_bytes(*pid)),
                // Authentication, settings, an empty query.
                b'R' | b'S' | b'I' => {}
                other => {
                    let wrong = format!("a message of kind {other} answers a simple query");
                    error = Some(Failure::Server(PROTOCOL_VIOLATION.into(), wrong));
                }
            }
        }
    }

    async fn message(&mut self) -> Result<(u8, Vec<u8>), Failure> {
        loop {
            if let Some(head) = self.received.get(..5) {
                let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize + 1;
                if self.received.len() >= len {
                    let message: Vec<u8> = self.received.drain(..len).collect();
                    return Ok((message[0], message[5..].to_vec()));
                }
            }
            self.connection.read(&mut self.received).await.map_err(|_| Failure::Lost)?;
        }
    }
}

/// How many fields a row, or its description, has.
fn fields(body: &[u8]) -> u16 {
    body.first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
}

fn row(body: &[u8]) -> Row {
    let mut values = Vec::new();
    let mut rest = &body[2..];
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        match i32::from_be_bytes(*len) {
            -1 => {
                values.push(None);
                rest = behind;
            }
            len => {
                let (value, behind) = behind.split_at(len as usize);
                values.push(Some(String::from_utf8_lossy(value).into_owned()));
                rest = behind;
            }
        }
    }
    values
}

/// The count at the end of a command's tag.
fn affected(body: &[u8]) -> u64 {
    let tag = String::from_utf8_lossy(body);
    tag.trim_end_matches('\0').rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The text of a remark.
fn message_of(body: &[u8]) -> Option<String> {
    match server_error(body) {
        Failure::Server(_, message) => Some(message),
        _ => None,
    }
}

fn server_error(body: &[u8]) -> Failure {
    let fields: Vec<String> =
        body.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into()).collect();
    let field = |code: char| {
        let found = fields.iter().find_map(|field| field.strip_prefix(code));
        found.unwrap_or_default().to_string()
    };
    Failure::Server(field('C'), field('M'))
}

/// The answer of one node to one query, within a simulated minute.
pub fn ask(cluster: &mut Cluster, node: u8, sql: &str) -> Result<Vec<Row>, Failure> {
    let (host, sql) = (cluster.host(), sql.to_string());
    let asked = cluster.run_until(Duration::from_secs(60), async move {
        let mut client = Client::connect(&host, node).await?;
        client.query(&sql).await.map(|result| result.rows)
    });
    asked.unwrap_or_else(|| panic!("node {node} does not answer"))
}

/// Sets a workload up, on a cluster that is well, and starts its clients, which wait up to `think` between transactions.
///
/// # Panics
/// If its tables are not there within a simulated minute.
pub fn start_load(
    cluster: &mut Cluster,
    workload: Arc<dyn Workload<Host>>,
    clients: u64,
    think: Duration,
) -> Arc<Pace> {
    let (host, one) = (cluster.host(), workload.clone());
    let set_up = async move { one.setup(&host).await };
    cluster.run_until(Duration::from_secs(60), set_up).expect("the tables are made");
    let pace = Arc::new(Pace::new(think));
    for client in 0..clients {
        let (host, workload, pace) = (cluster.host(), workload.clone(), pace.clone());
        cluster.spawn(async move { run_client(&*workload, &host, client, &pace).await });
    }
    pace
}

/// The number that an answer is; none if it is anything else.
pub fn number(rows: Vec<Row>) -> Option<i64> {
    rows.first()?.first()?.as_ref()?.parse().ok()
}

/// Lets time pass until `done` says so.
///
/// # Panics
/// If it does not within so many simulated minutes.
pub fn until<T>(cluster: &mut Cluster, minutes: u64, mut done: impl FnMut(&mut Cluster) -> Option<T>) -> T {
    let end = cluster.now() + Duration::from_secs(60 * minutes);
    while cluster.now() < end {
        if let Some(done) = done(cluster) {
            return done;
        }
        cluster.run(Duration::from_millis(20));
    }
    panic!("nothing has come of it");
}
