//! What the cluster does of itself, as far as that is tables: who is to lead, and what is thrown away when it is old.
//!
//! What is thrown away, schedules say, and tasks do, as those of users: see the schema. Who is to lead is a query.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::catalog::service_id;
use cluster_sql::database::Database;
use cluster_sql::types::Datum;
use cluster_sql::{CancelFlag, ServiceSchema, Session, SqlResult, SqlState};

use crate::reading;
use crate::scheduler::in_its_turns;

/// Its tables.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 9, name: "upkeep", sql: include_str!("schema.sql") };

/// `sys.placements`
pub const PLACEMENTS: u32 = service_id(SCHEMA.number, 0);

/// Most rows of a placement's query that are looked at: there are no more members.
const NODES_MAX: usize = 64;

/// Where leadership is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The nodes that drain.
    pub draining: Vec<NodeId>,
    /// Those that are not to lead as long as others can.
    pub avoided: Vec<NodeId>,
    /// Why the query says nothing, if it does not; the nodes that drain are avoided then.
    pub problem: Option<String>,
}

/// Where leadership is to be, as the tables say that this node has applied.
/// `cancel` is what stops the session.
pub async fn placement<D: Database>(session: &mut Session<D>, cancel: &CancelFlag) -> SqlResult<Placement> {
    let draining = reading(session, async |session| {
        nodes(session, "SELECT node FROM sys.workers WHERE draining ORDER BY node").await
    });
    let draining = draining.await?;
    let query = reading(session, async |session| {
        let sql = "SELECT query FROM sys.placements WHERE role = 'leader'";
        session.run(sql, Vec::new()).await
    });
    let query = match query.await {
        Ok(query) => query,
        // Who leads does not know of that yet.
        Err(error) if error.state == SqlState::UNDEFINED_TABLE => {
            return Ok(Placement { avoided: draining.clone(), draining, problem: None });
        }
        Err(error) => return Err(error),
    };
    let Some(Datum::Text(query)) = query.value() else {
        return Ok(Placement { draining, ..Placement::default() });
    };
    match in_its_turns(cancel, reading(session, async |session| nodes(session, query).await)).await {
        Ok(avoided) => Ok(Placement { draining, avoided, problem: None }),
        Err(error) if error.is_of_statement() => {
            let problem = Some(format!("placement \"leader\": {error}"));
            Ok(Placement { avoided: draining.clone(), draining, problem })
        }
        Err(error) => Err(error),
    }
}

/// The nodes that a query gives; what is no node is left out.
async fn nodes<D: Database>(session: &mut Session<D>, query: &str) -> SqlResult<Vec<NodeId>> {
    let answer = session.run_until(query, Vec::new(), NODES_MAX).await?;
    let node = |row: &Vec<Datum>| match row.first() {
        Some(Datum::Int4(node)) => u8::try_from(*node).ok().map(NodeId),
        Some(Datum::Int8(node)) => u8::try_from(*node).ok().map(NodeId),
        _ => None,
    };
    Ok(answer.rows.iter().filter_map(node).collect())
}

#[cfg(test)]
mod tests;
