//! Transactions and what became of them.

use crate::world::{Answer, Connection, Failure};

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<T> {
    /// It took place, and gave this.
    Committed(T),
    /// Nothing was changed.
    Refused(Failure),
    /// It may have taken place.
    Unknown(Failure),
}

impl<T> Fate<T> {
    /// Without what it gave.
    pub(crate) fn done(self) -> Fate<()> {
        match self {
            Fate::Committed(_) => Fate::Committed(()),
            Fate::Refused(failure) => Fate::Refused(failure),
            Fate::Unknown(failure) => Fate::Unknown(failure),
        }
    }
}

/// Runs one statement as a transaction of its own.
pub async fn single<C: Connection>(connection: &mut C, sql: &str) -> Fate<Answer> {
    match connection.query(sql).await {
        Ok(answer) => Fate::Committed(answer),
        Err(failure) if failure.is_unknown() => Fate::Unknown(failure),
        Err(failure) => Fate::Refused(failure),
    }
}

/// Runs `body` between BEGIN and COMMIT.
pub async fn transaction<C: Connection, T>(
    connection: &mut C,
    body: impl AsyncFnOnce(&mut C) -> Result<T, Failure>,
) -> Fate<T> {
    if let Err(failure) = connection.query("BEGIN").await {
        return Fate::Refused(failure);
    }
    let value = match body(connection).await {
        Ok(value) => value,
        Err(failure) => {
            // Without COMMIT nothing takes place, and a broken connection is found out by whoever uses it next.
            let _ = connection.query("ROLLBACK").await;
            return Fate::Refused(failure);
        }
    };
    match single(connection, "COMMIT").await {
        Fate::Committed(_) => Fate::Committed(value),
        Fate::Refused(failure) => Fate::Refused(failure),
        Fate::Unknown(failure) => Fate::Unknown(failure),
    }
}
