//! Connections to nodes, for commands that speak SQL.

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::cluster::Cluster;
use crate::control::{self, MachineState};
use crate::error::Failure;
use crate::layout::Layout;
use crate::status;

/// A connection to one node.
pub struct Session {
    pub runtime: Runtime,
    pub client: Client,
    pub node: u8,
}

/// Connects to `node`; else to the first that answers.
pub fn connect(layout: &Layout, cluster: &Cluster, node: Option<u8>) -> Result<Session, Failure> {
    if let Some(node) = node {
        cluster.check_node(node)?;
    }
    let machines = control::machines(layout)?;
    let up = machines.iter().filter(|machine| machine.state == MachineState::Up);
    let candidates: Vec<u8> = match node {
        Some(node) => vec![node],
        None => up.map(|machine| machine.id).collect(),
    };
    let mut problem = "no node is up: start one with 'relix fault restart K'".to_string();
    for node in candidates {
        match connect_to(cluster, node) {
            Ok(session) => return Ok(session),
            Err(Failure::Sql(why)) => problem = format!("node {node} does not answer: {why}"),
            Err(other) => return Err(other),
        }
    }
    Err(Failure::Sql(problem))
}

fn connect_to(cluster: &Cluster, node: u8) -> Result<Session, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Sql(error.to_string()))?;
    let connected = runtime.block_on(status::config(cluster.sql_port(node)).connect(NoTls));
    let (client, connection) = connected.map_err(|error| Failure::Sql(error.to_string()))?;
    runtime.spawn(connection);
    Ok(Session { runtime, client, node })
}
