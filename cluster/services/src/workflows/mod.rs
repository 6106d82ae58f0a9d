//! Steps of tasks: `sys.steps`. Recorded and looked up by the [worker](crate::worker) for programs that ask for it.

use cluster_sql::database::Database;
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlResult};

/// Its table.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 6, name: "workflows", sql: include_str!("schema.sql") };

/// What a step of a task gave, if it was done.
pub(crate) async fn known<D: Database>(
    session: &mut Session<D>,
    task: i64,
    name: &str,
) -> SqlResult<Option<alloc::string::String>> {
    let sql = "SELECT result FROM sys.steps WHERE task = $1 AND name = $2";
    let answer = session.run(sql, [Datum::Int8(task), Datum::Text(name.into())].into()).await?;
    Ok(answer.rows.into_iter().next().and_then(|row| match row.into_iter().next() {
        Some(Datum::Text(result)) => Some(result),
        _ => None,
    }))
}

/// Records a step in the transaction that is open.
pub(crate) async fn record<D: Database>(
    session: &mut Session<D>,
    task: i64,
    name: &str,
    result: &str,
) -> SqlResult<()> {
    let sql = "INSERT INTO sys.steps (task, name, result) VALUES ($1, $2, $3)";
    let params = [Datum::Int8(task), Datum::Text(name.into()), Datum::Text(result.into())];
    session.run(sql, params.into()).await.map(drop)
}
