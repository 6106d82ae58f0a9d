//! Clients that do one thing over and over.

use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Statement};

/// How many clients at once.
pub const CLIENTS: [usize; 4] = [1, 8, 64, 256];

/// Rows that reads choose from.
pub const READ_ROWS: i64 = 1000;

/// Rounds before the clock runs, by each client.
const WARM_UP: usize = 3;

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

/// Connects to a port of 127.0.0.1.
pub async fn connect(port: u16) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("relix").dbname("relix");
    let (client, connection) = config.connect(NoTls).await?;
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
    let started = Instant::now();
    let tasks: Vec<_> = sessions
        .into_iter()
        .zip(1..)
        .map(|(session, number)| tokio::spawn(repeat(session, work, duration, (run << 40) | (number << 28))))
        .collect();
    let (mut latencies, mut failed) = (Vec::new(), 0);
    let mut elapsed = duration;
    for task in tasks {
        let Ok((more, failures)) = task.await else { continue };
        latencies.extend(more);
        failed += failures;
        elapsed = elapsed.max(started.elapsed());
    }
    latencies.sort();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied();
    let ms = |latency: Option<Duration>| latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3);
    let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
    Ok(Load { per_second, p50_ms: ms(at(0.5)), p99_ms: ms(at(0.99)), failed })
}

/// One client, which asks again as soon as it is answered: how long each answer took, and how many failed.
async fn repeat<S: Session>(
    mut session: S,
    work: Work,
    duration: Duration,
    first_id: i64,
) -> (Vec<Duration>, usize) {
    let mut latencies = Vec::new();
    let (mut failed, mut rounds) = (0, 0);
    let mut ends_at = Instant::now() + duration;
    while Instant::now() < ends_at {
        let new_id = first_id + rounds as i64;
        let id = match work {
            Work::Insert => new_id,
            Work::Read => (new_id.wrapping_mul(7_919) >> 3).rem_euclid(READ_ROWS),
        };
        let started = Instant::now();
        let result = session.perform(id).await;
        rounds += 1;
        if rounds <= WARM_UP {
            ends_at = Instant::now() + duration;
        } else if result.is_ok() {
            latencies.push(started.elapsed());
        }
        if let Err(error) = result {
            failed += 1;
            if failed == 1 {
                eprintln!("a request failed: {error}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    (latencies, failed)
}

/// About 100 bytes that are not those of any other id.
pub fn body(id: i64) -> String {
    format!("{:016x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)).repeat(6)
}
