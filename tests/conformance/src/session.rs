//! A client's session: any statement, and what came of it.

use std::fmt;

use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// A connection, by the simple protocol: values come as text.
pub struct Session {
    client: Client,
}

/// What a statement has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Names and types of the columns.
    pub columns: Vec<(String, String)>,
    /// NULL is none.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows were changed, or returned.
    pub count: u64,
}

/// Why a statement failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The SQLSTATE; empty if the server has said nothing.
    pub state: String,
    /// What it says.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.as_db_error() {
            Some(said) => Failure { state: said.code().code().into(), message: said.message().into() },
            None => Failure { state: String::new(), message: error.to_string() },
        }
    }
}

impl Session {
    /// Connects to 127.0.0.1, as the user `relix` to the database `relix`.
    pub async fn connect(port: u16) -> Result<Session, Failure> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user("relix").dbname("relix");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(Session { client })
    }

    /// Runs one statement.
    pub async fn run(&self, sql: &str) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let column =
                        |column: &tokio_postgres::SimpleColumn| (column.name().into(), String::new());
                    answer.columns = columns.iter().map(column).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    answer.rows.push((0..row.len()).map(|at| row.get(at).map(Into::into)).collect());
                }
                SimpleQueryMessage::CommandComplete(count) => answer.count = count,
                _ => {}
            }
        }
        if !answer.columns.is_empty() {
            // Types are only told by the other protocol. What cannot be prepared now may be gone already.
            if let Ok(prepared) = self.client.prepare(sql).await {
                for (column, known) in prepared.columns().iter().zip(&mut answer.columns) {
                    known.1 = column.type_().name().into();
                }
            }
        }
        Ok(answer)
    }
}
