//! `sys.log`: the lines that nodes have written on their consoles, and their kernels.
//!
//! Each node adds what it has said, many lines at a time, and takes away as many of the oldest in the same transaction. A line
//! may be there twice, if its node has not learned that it was written.

use alloc::string::String;
use alloc::vec;

use cluster_format::NodeId;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::sessions::moment;
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlResult, SqlState};
use drivers_api::Level;

/// Its table.
pub const SCHEMA: ServiceSchema = ServiceSchema { number: 8, name: "log", sql: include_str!("schema.sql") };

/// So many lines are kept.
pub const KEPT_MAX: i64 = 10_000;

/// Bytes of a line that are kept.
pub const LINE_LEN_MAX: usize = 2048;

/// How often a conflict is met before the lines wait for the next time.
const ATTEMPTS_MAX: usize = 10;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was said, in microseconds since the Unix epoch.
    pub at_micros: i64,
    /// How severe that is.
    pub level: Level,
    /// What was said.
    pub text: String,
}

/// Adds lines of `node`, and takes away as many of the oldest.
pub async fn write<D: Database>(session: &mut Session<D>, node: NodeId, lines: &[Line]) -> SqlResult<()> {
    let mut freshness = Freshness::Local;
    let mut attempt = 1;
    loop {
        let written = write_once(session, node, lines, freshness).await;
        let Err(error) = written else { return Ok(()) };
        session.abandon_block();
        // Another node has added some.
        if error.state != SqlState::SERIALIZATION_FAILURE || attempt == ATTEMPTS_MAX {
            return Err(error);
        }
        (freshness, attempt) = (Freshness::Linearizable, attempt + 1);
    }
}

async fn write_once<D: Database>(
    session: &mut Session<D>,
    node: NodeId,
    lines: &[Line],
    freshness: Freshness,
) -> SqlResult<()> {
    session.begin_on(freshness).await?;
    let last = session.run("SELECT id FROM sys.log ORDER BY id DESC LIMIT 1", vec![]).await?;
    let last = match last.value() {
        Some(Datum::Int8(id)) => *id,
        _ => 0,
    };
    let mut id = last;
    for line in lines {
        id += 1;
        let row = vec![
            Datum::Int8(id),
            moment(Some(line.at_micros)),
            Datum::Int4(node.0.into()),
            Datum::Text(level(line.level).into()),
            Datum::Text(line.text.clone()),
        ];
        session
            .run("INSERT INTO sys.log (id, at, node, level, text) VALUES ($1, $2, $3, $4, $5)", row)
            .await?;
    }
    let gone = vec![Datum::Int8(last - KEPT_MAX), Datum::Int8(id - KEPT_MAX)];
    session.run("DELETE FROM sys.log WHERE id > $1 AND id <= $2", gone).await?;
    session.end_block().await
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info | Level::Debug => "info",
    }
}

#[cfg(test)]
mod tests;
