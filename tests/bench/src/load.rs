//! Clients that do one thing over and over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::spread::Spread;
use tokio::sync::Barrier;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Statement};

/// How many clients at once.
pub const CLIENTS: [usize; 4] = [1, 8, 64, 256];

/// Rows that reads choose from.
pub const READ_ROWS: i64 = 1000;

/// Rounds before the clock runs, by each client.
const WARM_UP: i64 = 3;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One new row a statement, each its own transaction.
    Insert,
    /// One row by its key.
    Read,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Statements a second.
    pub per_second: f64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// Statements that failed.
    pub failed: usize,
}

/// How to connect to a port of 127.0.0.1.
pub fn config(port: u16) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("relix").dbname("relix");
    config
}

/// Connects to a port of 127.0.0.1.
pub async fn connect(port: u16) -> Result<Client, Error> {
    let (client, connection) = config(port).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Makes the table and the rows to be read.
pub async fn prepare(port: u16) -> Result<(), Error> {
    let client = connect(port).await?;
    client.batch_execute("CREATE TABLE bench (id bigint PRIMARY KEY, client int, body text)").await?;
    let rows: Vec<String> = (0..READ_ROWS).map(|id| format!("({id}, 0, '{}')", body(id))).collect();
    client.batch_execute(&format!("INSERT INTO bench VALUES {}", rows.join(","))).await
}

/// One client of some system.
pub trait Session: Sized + Send + 'static {
    /// Connects to a port of 127.0.0.1, to do nothing but `work`.
    fn open(port: u16, work: Work) -> impl Future<Output = Result<Self, String>> + Send;
    /// Does it once: inserts the row `id`, or reads it.
    fn perform(&mut self, id: i64) -> impl Future<Output = Result<(), String>> + Send;
}

/// A client of Relix or PostgreSQL, with a prepared statement.
pub struct SqlSession {
    client: Client,
    statement: Statement,
    work: Work,
}

impl Session for SqlSession {
    async fn open(port: u16, work: Work) -> Result<SqlSession, String> {
        let client = connect(port).await.map_err(|error| error.to_string())?;
        let sql = match work {
            Work::Insert => "INSERT INTO bench VALUES ($1, $2, $3)",
            Work::Read => "SELECT body FROM bench WHERE id = $1",
        };
        let statement = client.prepare(sql).await.map_err(|error| error.to_string())?;
        Ok(SqlSession { client, statement, work })
    }

    async fn perform(&mut self, id: i64) -> Result<(), String> {
        let text = body(id);
        let insert: [&(dyn ToSql + Sync); 3] = [&id, &1i32, &text];
        let done = match self.work {
            Work::Insert => self.client.execute(&self.statement, &insert).await.map(drop),
            Work::Read => self.client.query_one(&self.statement, &[&id]).await.map(drop),
        };
        done.map_err(|error| error.to_string())
    }
}

/// Runs `clients` clients, spread over `ports`, for `duration`. `run` tells this run's rows from others'.
pub async fn measure<S: Session>(
    ports: &[u16],
    clients: usize,
    work: Work,
    duration: Duration,
    run: i64,
) -> Result<Load, String> {
    let mut sessions = Vec::new();
    for number in 0..clients {
        sessions.push(S::open(ports[number % ports.len()], work).await?);
    }
    let warm = Arc::new(Barrier::new(clients + 1));
    let mut tasks = Vec::new();
    for (mut session, number) in sessions.into_iter().zip(1..) {
        let (warm, first_id) = (warm.clone(), (run << 40) | (number << 28));
        tasks.push(tokio::spawn(async move {
            for round in 0..WARM_UP {
                // What fails here fails below, and is counted there.
                let _ = session.perform(id_of(work, first_id + round)).await;
            }
            warm.wait().await;
            repeat(session, work, duration, first_id + WARM_UP).await
        }));
    }
    warm.wait().await;
    let started = Instant::now();
    let (mut latencies, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (more, failures) = task.await.map_err(|error| format!("a client ended: {error}"))?;
        latencies.extend(more);
        failed += failures;
    }
    let elapsed = started.elapsed();
    let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
    let spread: Spread = latencies.into_iter().collect();
    Ok(Load { per_second, p50_ms: spread.p50_ms(), p99_ms: spread.p99_ms(), failed })
}

/// One client, which asks again as soon as it is answered: how long each answer took, and how many failed.
async fn repeat<S: Session>(
    mut session: S,
    work: Work,
    duration: Duration,
    first_id: i64,
) -> (Vec<Duration>, usize) {
    let mut latencies = Vec::new();
    let mut failed = 0;
    let ends_at = Instant::now() + duration;
    for number in first_id.. {
        let started = Instant::now();
        if started >= ends_at {
            break;
        }
        match session.perform(id_of(work, number)).await {
            Ok(()) => latencies.push(started.elapsed()),
            Err(error) => {
                failed += 1;
                if failed == 1 {
                    eprintln!("a request failed: {error}");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    (latencies, failed)
}

/// The row that a client's request of this number is about.
fn id_of(work: Work, number: i64) -> i64 {
    match work {
        Work::Insert => number,
        Work::Read => (number.wrapping_mul(7_919) >> 3).rem_euclid(READ_ROWS),
    }
}

/// About 100 bytes that are not those of any other id.
pub fn body(id: i64) -> String {
    format!("{:016x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)).repeat(6)
}
