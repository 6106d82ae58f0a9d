//! A client's session: any statement, and what came of it.

use std::fmt;

use futures_util::{StreamExt, pin_mut};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Column, Config, Error, NoTls, SimpleQueryMessage};

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

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs one statement by the extended protocol: values are the bytes of their binary form, in hexadecimal digits.
    pub async fn binary(&self, sql: &str) -> Result<Answer, Failure> {
        let rows = self.client.query_typed_raw(sql, std::iter::empty::<(i32, Type)>()).await?;
        pin_mut!(rows);
        let mut answer = Answer::default();
        while let Some(row) = rows.next().await {
            let row = row?;
            let value = |at| row.get::<_, Option<Binary>>(at).map(|value| value.0);
            answer.rows.push((0..row.len()).map(value).collect());
            if answer.columns.is_empty() {
                answer.columns = columns_of(row.columns());
            }
        }
        answer.count = rows.rows_affected().unwrap_or(0);
        Ok(answer)
    }

    /// Runs one statement; types of columns are told, too.
    pub async fn run(&self, sql: &str) -> Result<Answer, Failure> {
        let mut answer = self.text(sql).await?;
        if !answer.columns.is_empty() {
            // Types are only told by the other protocol. What cannot be prepared now may be gone already.
            if let Ok(prepared) = self.client.prepare(sql).await {
                for (known, told) in answer.columns.iter_mut().zip(columns_of(prepared.columns())) {
                    known.1 = told.1;
                }
            }
        }
        Ok(answer)
    }

    /// Runs one statement by the simple protocol: values are text, and types are not told.
    pub async fn text(&self, sql: &str) -> Result<Answer, Failure> {
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
        Ok(answer)
    }
}

fn columns_of(columns: &[Column]) -> Vec<(String, String)> {
    columns.iter().map(|column| (column.name().into(), column.type_().name().into())).collect()
}

/// A value of any type, as the bytes that were sent.
struct Binary(String);

impl<'a> FromSql<'a> for Binary {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Binary, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Binary(raw.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
