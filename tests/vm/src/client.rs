//! A Postgres client that never waits for ever.

use std::fmt;
use std::time::Duration;

use tests_workloads::Answer;
use tokio::runtime::Runtime;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// How long a statement may take: longer than the system's own time limits.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Why a statement gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlFailure {
    /// The node refused it, with this SQLSTATE and message.
    Refused(String, String),
    /// There was no connection to begin with: nothing was asked.
    NotConnected(String),
    /// The connection ended, or the time was up, while it ran.
    Lost(String),
}

impl SqlFailure {
    /// The SQLSTATE, if the node gave one.
    pub fn state(&self) -> Option<&str> {
        match self {
            SqlFailure::Refused(state, _) => Some(state),
            _ => None,
        }
    }

    /// Whether the statement may have taken effect all the same.
    pub fn may_have_happened(&self) -> bool {
        match self {
            // transaction_resolution_unknown
            SqlFailure::Refused(state, _) => state == "08007",
            SqlFailure::NotConnected(_) => false,
            SqlFailure::Lost(_) => true,
        }
    }
}

impl fmt::Display for SqlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlFailure::Refused(state, message) => write!(f, "{message} ({state})"),
            SqlFailure::NotConnected(why) => write!(f, "not connected: {why}"),
            SqlFailure::Lost(why) => write!(f, "lost: {why}"),
        }
    }
}

/// A session with one node.
pub struct Client {
    runtime: Runtime,
    client: tokio_postgres::Client,
    answer_within: Duration,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    pub fn connect(port: u16, within: Duration) -> Result<Client, SqlFailure> {
        let failed = |why: String| SqlFailure::NotConnected(why);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user("relix").dbname("relix");
        let connected = runtime.block_on(async { tokio::time::timeout(within, config.connect(NoTls)).await });
        match connected {
            Ok(Ok((client, connection))) => {
                runtime.spawn(connection);
                Ok(Client { runtime, client, answer_within: ANSWER_WITHIN })
            }
            Ok(Err(error)) => match failure_of(&error) {
                SqlFailure::Lost(why) => Err(failed(why)),
                refused => Err(refused),
            },
            Err(_) => Err(failed(format!("no answer within {within:?}"))),
        }
    }

    /// The same client, which waits no longer than this for an answer.
    pub fn with_patience(self, answer_within: Duration) -> Client {
        Client { answer_within, ..self }
    }

    /// Runs statements; the rows of all, as text.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlFailure> {
        self.answer(sql).map(|answer| answer.rows)
    }

    /// Runs statements; the rows of all, as text, and how many the last returned or changed.
    pub fn answer(&self, sql: &str) -> Result<Answer, SqlFailure> {
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(self.answer_within, self.client.simple_query(sql)).await
        });
        let messages = match answer {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => return Err(failure_of(&error)),
            Err(_) => return Err(SqlFailure::Lost(format!("no answer within {:?}", self.answer_within))),
        };
        let (mut rows, mut affected) = (Vec::new(), 0);
        for message in messages {
            match message {
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|column| row.get(column).map(String::from)).collect());
                }
                SimpleQueryMessage::CommandComplete(count) => affected = count,
                _ => {}
            }
        }
        Ok(Answer { rows, affected })
    }

    /// The one row a query gives, its columns joined by a bar.
    pub fn row(&self, sql: &str) -> Result<String, SqlFailure> {
        let rows = self.query(sql)?;
        assert_eq!(rows.len(), 1, "{sql}: one row");
        let cells = rows[0].iter().map(|cell| cell.as_deref().unwrap_or("NULL"));
        Ok(cells.collect::<Vec<_>>().join("|"))
    }

    /// Sends `data` by `COPY ... FROM STDIN`; how many rows it was.
    pub fn copy_in(&self, sql: &str, data: &[u8]) -> Result<u64, SqlFailure> {
        let copied = self.runtime.block_on(async {
            let sink = self.client.copy_in(sql).await?;
            futures_util::pin_mut!(sink);
            for piece in data.chunks(16 * 1024) {
                futures_util::SinkExt::send(&mut sink, bytes::Bytes::copy_from_slice(piece)).await?;
            }
            sink.finish().await
        });
        copied.map_err(|error: tokio_postgres::Error| failure_of(&error))
    }
}

/// What went wrong, in this module's words.
fn failure_of(error: &tokio_postgres::Error) -> SqlFailure {
    match error.as_db_error() {
        Some(refusal) => SqlFailure::Refused(refusal.code().code().into(), refusal.message().into()),
        None => SqlFailure::Lost(error.to_string()),
    }
}
