//! Clients of Relix that are told of what happens, instead of asking for it over and over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tests_bench::load::{config, connect};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Row, Statement};

/// How long anything may take before the bench gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Statements that the cluster refused because of a conflict (40001) and that were sent again.
static CONFLICTS: AtomicU64 = AtomicU64::new(0);

/// How many there were since the last call.
pub fn take_conflicts() -> u64 {
    CONFLICTS.swap(0, Ordering::Relaxed)
}

/// A connection to a node: what it is asked, and what it has been told on the channels that it listens to.
pub struct Session {
    pub client: Client,
    told: UnboundedReceiver<String>,
}

impl Session {
    /// Connects to a port of 127.0.0.1 and listens to `channel`.
    pub async fn listen(port: u16, channel: &str) -> Result<Session, Error> {
        let (client, mut connection) = config(port).connect(NoTls).await?;
        let (tell, told) = unbounded_channel();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message {
                    // Fails when nobody waits for any of them any more.
                    let _ = tell.send(notification.payload().to_string());
                }
            }
        });
        client.batch_execute(&format!("LISTEN \"{channel}\"")).await?;
        Ok(Session { client, told })
    }

    /// What it is told next.
    ///
    /// # Panics
    /// If that does not come, ever.
    pub async fn told(&mut self) -> String {
        let told = timeout(PATIENCE, self.told.recv()).await.expect("what was to happen happens");
        told.expect("the connection stays")
    }

    /// How often it was told something, once it was: all of that is over.
    pub async fn times_told(&mut self) -> i64 {
        self.told().await;
        let mut times = 1;
        while self.told.try_recv().is_ok() {
            times += 1;
        }
        times
    }
}

/// Asks, again if it was refused because of a conflict.
pub async fn ask(
    client: &Client,
    statement: &Statement,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    loop {
        match client.query(statement, params).await {
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                CONFLICTS.fetch_add(1, Ordering::Relaxed);
            }
            answer => return answer,
        }
    }
}

/// Runs a few statements that take no parameters, on a connection of their own.
pub async fn run(port: u16, sql: &str) -> Result<(), Error> {
    let client = connect(port).await?;
    loop {
        match client.batch_execute(sql).await {
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                CONFLICTS.fetch_add(1, Ordering::Relaxed);
            }
            answer => return answer,
        }
    }
}

/// The number that a query gives.
pub async fn number(port: u16, sql: &str) -> Result<i64, Error> {
    connect(port).await?.query_one(sql, &[]).await?.try_get(0)
}
