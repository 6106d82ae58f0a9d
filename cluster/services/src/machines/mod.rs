//! `sys.machines`: which node a machine is that was not told so.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use cluster_format::NodeId;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlError, SqlResult, SqlState};

/// Its table.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 10, name: "machines", sql: include_str!("schema.sql") };

/// The node that the machine with this address is: the one that it was, or the next that is free, behind `taken`, the
/// greatest that any node has. `own` is the node that asks, which has its number from somewhere else, perhaps.
pub async fn place<D: Database>(
    session: &mut Session<D>,
    own: ([u8; 6], NodeId),
    machine: [u8; 6],
    taken: NodeId,
) -> SqlResult<NodeId> {
    let placed = place_once(session, own, machine, taken).await;
    if placed.is_err() {
        session.abandon_block();
    }
    placed.map_err(|error| match error.state == SqlState::CHECK_VIOLATION {
        true => SqlError::new(error.state, "there is no number left for another node")
            .hint("DELETE FROM sys.machines those that are gone for good."),
        false => error,
    })
}

async fn place_once<D: Database>(
    session: &mut Session<D>,
    (own, node): ([u8; 6], NodeId),
    machine: [u8; 6],
    taken: NodeId,
) -> SqlResult<NodeId> {
    let number = |node: NodeId| Datum::Int4(node.0.into());
    let address = |address| Datum::Text(text(address));
    session.begin_on(Freshness::Linearizable).await?;
    let sql = "SELECT node FROM sys.machines WHERE hardware_address = $1";
    let known = session.run(sql, vec![address(machine)]).await?;
    let found = match known.value() {
        Some(_) => known,
        None => {
            let sql =
                "INSERT INTO sys.machines (hardware_address, node) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            session.run(sql, vec![address(own), number(node)]).await?;
            let sql = "INSERT INTO sys.machines (hardware_address, node)
                       SELECT $1, greatest(max(node), $2) + 1 FROM sys.machines RETURNING node";
            session.run(sql, vec![address(machine), number(taken)]).await?
        }
    };
    let found = match found.value() {
        Some(Datum::Int4(node)) => u8::try_from(*node).ok().map(NodeId),
        _ => None,
    };
    session.end_block().await?;
    found.ok_or_else(|| SqlError::new(SqlState::DATA_CORRUPTED, "sys.machines has no number for the machine"))
}

/// As people write it: `52:54:00:00:00:01`.
fn text([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, block_on};

    fn machine(number: u8) -> [u8; 6] {
        [0x52, 0x54, 0, 0, 0, number]
    }

    #[test]
    fn each_machine_has_a_node_of_its_own_and_keeps_it() {
        let mut bench = Bench::new();
        let mut place = |number: u8, taken: u8| {
            let own = (machine(1), NodeId(1));
            block_on(place(&mut bench.session, own, machine(number), NodeId(taken)))
        };
        assert_eq!(place(3, 1), Ok(NodeId(2)));
        assert_eq!(place(2, 2), Ok(NodeId(3)));
        assert_eq!(place(3, 3), Ok(NodeId(2)), "it has come back");
        assert_eq!(place(1, 3), Ok(NodeId(1)), "who asked first is known, too");
        assert_eq!(place(7, 20), Ok(NodeId(21)), "others have their numbers from elsewhere");
        assert_eq!(
            bench.run("SELECT hardware_address, node FROM sys.machines ORDER BY node"),
            "52:54:00:00:00:01 1, 52:54:00:00:00:03 2, 52:54:00:00:00:02 3, 52:54:00:00:00:07 21"
        );
    }

    #[test]
    fn numbers_end() {
        let mut bench = Bench::new();
        let own = (machine(1), NodeId(1));
        let mut place =
            |number: u8, taken: u8| block_on(place(&mut bench.session, own, machine(number), NodeId(taken)));
        assert_eq!(place(2, 253), Ok(NodeId(254)));
        let error = place(3, 1).expect_err("none is left");
        assert_eq!(error.message, "there is no number left for another node");
        assert_eq!(place(2, 254), Ok(NodeId(254)), "whoever has one keeps it");
    }
}
