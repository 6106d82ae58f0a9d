//! `sys.machines`: which node a machine is that was not told so.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;

use cluster_format::NodeId;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::types::Datum;
use cluster_sql::{ServiceSchema, Session, SqlError, SqlResult, SqlState};

/// The greatest number that a node may have.
const NODES_MAX: u8 = 254;

/// Its table.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 10, name: "machines", sql: include_str!("schema.sql") };

/// The address of a machine's first network card.
type Address = [u8; 6];

/// The node that the machine with this address is: the one that it was, unless another machine is that now, or the first
/// that is free. `own` is the node that asks, which has its number from somewhere else, perhaps; `taken` are the numbers of
/// other nodes, and what machines these are, as far as they can be reached.
pub async fn place<D: Database>(
    session: &mut Session<D>,
    own: (Address, NodeId),
    machine: Address,
    mut taken: BTreeMap<NodeId, Option<Address>>,
) -> SqlResult<NodeId> {
    taken.insert(own.1, Some(own.0));
    let placed = place_once(session, own, machine, &taken).await;
    if placed.is_err() {
        session.abandon_block();
    }
    placed
}

async fn place_once<D: Database>(
    session: &mut Session<D>,
    own: (Address, NodeId),
    machine: Address,
    taken: &BTreeMap<NodeId, Option<Address>>,
) -> SqlResult<NodeId> {
    let row =
        |(address, node): (Address, NodeId)| vec![Datum::Text(text(address)), Datum::Int4(node.0.into())];
    session.begin_on(Freshness::Linearizable).await?;
    let known = session.run("SELECT hardware_address, node FROM sys.machines", vec![]).await?;
    let known: BTreeMap<NodeId, String> = known.rows.iter().filter_map(|row| known_row(row)).collect();
    let is_another = |node: &NodeId| taken.get(node).is_some_and(|it| it.is_some_and(|it| it != machine));
    let was = known.iter().find(|(_, address)| **address == text(machine)).map(|(node, _)| *node);
    if let Some(node) = was.filter(|node| !is_another(node)) {
        session.end_block().await?;
        return Ok(node);
    }
    let is_free = |node: &NodeId| !taken.contains_key(node) && !known.contains_key(node);
    let node = (1..=NODES_MAX).map(NodeId).find(is_free).ok_or_else(|| {
        SqlError::new(SqlState::CHECK_VIOLATION, "there is no number left for another node")
            .hint("DELETE FROM sys.machines those that are gone for good.")
    })?;
    if was.is_some() {
        let sql = "DELETE FROM sys.machines WHERE hardware_address = $1";
        session.run(sql, vec![Datum::Text(text(machine))]).await?;
    }
    let sql = "INSERT INTO sys.machines (hardware_address, node) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    session.run(sql, row(own)).await?;
    session
        .run("INSERT INTO sys.machines (hardware_address, node) VALUES ($1, $2)", row((machine, node)))
        .await?;
    session.end_block().await?;
    Ok(node)
}

fn known_row(row: &[Datum]) -> Option<(NodeId, String)> {
    match row {
        [Datum::Text(address), Datum::Int4(node)] => {
            Some((NodeId(u8::try_from(*node).ok()?), address.clone()))
        }
        _ => None,
    }
}

/// As people write it: `52:54:00:00:00:01`.
fn text([a, b, c, d, e, f]: Address) -> String {
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
        let mut place = |number: u8, taken: &[(u8, Option<u8>)]| {
            let taken = taken.iter().map(|(node, at)| (NodeId(*node), at.map(machine)));
            block_on(place(&mut bench.session, (machine(1), NodeId(1)), machine(number), taken.collect()))
        };
        assert_eq!(place(3, &[]), Ok(NodeId(2)));
        assert_eq!(place(2, &[(2, Some(3))]), Ok(NodeId(3)));
        assert_eq!(place(3, &[(2, None), (3, Some(2))]), Ok(NodeId(2)), "it has come back");
        assert_eq!(place(1, &[]), Ok(NodeId(1)), "who asked first is known, too");
        assert_eq!(place(7, &[(4, None), (5, Some(9))]), Ok(NodeId(6)), "others have theirs from elsewhere");
        assert_eq!(place(3, &[(2, Some(8))]), Ok(NodeId(4)), "its disk is in another machine");
        assert_eq!(
            bench.run("SELECT hardware_address, node FROM sys.machines ORDER BY node"),
            "52:54:00:00:00:01 1, 52:54:00:00:00:02 3, 52:54:00:00:00:03 4, 52:54:00:00:00:07 6"
        );
    }

    #[test]
    fn numbers_end() {
        let mut bench = Bench::new();
        let mut place = |number: u8, taken: core::ops::Range<u8>| {
            let taken = taken.map(|node| (NodeId(node), None)).collect();
            block_on(place(&mut bench.session, (machine(1), NodeId(1)), machine(number), taken))
        };
        assert_eq!(place(2, 2..254), Ok(NodeId(254)));
        let error = place(3, 2..254).expect_err("none is left");
        assert_eq!(error.message, "there is no number left for another node");
        assert_eq!(place(2, 2..255), Ok(NodeId(254)), "whoever has one keeps it");
    }
}
