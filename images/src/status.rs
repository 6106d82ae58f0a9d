//! How the nodes are: the machines as the fabric knows them, the rest as each node says.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::cluster::{Cluster, hardware_address_of, hardware_address_text};
use crate::control::{self, MachineState, MachineStatus};
use crate::error::Failure;
use crate::layout::Layout;
use crate::table;

/// A node that takes longer to answer counts as silent.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct NodeAnswer {
    pub state: String,
    pub role: String,
    pub term: u64,
    pub applied: u64,
    /// Which node it is.
    pub node: u8,
    /// What keeps it from having an address.
    pub trouble: Option<String>,
}

impl NodeAnswer {
    /// Whether its tables can be asked: not while they are read from the disk or rebuilt, nor once it has
    /// stopped at an error.
    pub fn serves(&self) -> bool {
        self.state == "up" && !matches!(self.role.as_str(), "recovering" | "stopped")
    }
}

#[derive(Serialize)]
struct Status {
    leader: Option<u8>,
    nodes: Vec<NodeLine>,
}

#[derive(Serialize)]
struct NodeLine {
    id: u8,
    state: MachineState,
    role: Option<String>,
    term: Option<u64>,
    applied: Option<u64>,
    /// Which node the machine is, where machines find that out.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_node: Option<u8>,
    trouble: Option<String>,
    sql: String,
    http: String,
    pid: Option<u32>,
    accel: &'static str,
}

/// Prints it.
pub fn run(layout: &Layout, json: bool) -> Result<(), Failure> {
    let cluster = Cluster::expect(layout)?;
    let machines = control::machines(layout)?;
    let mut answers = ask_all(&cluster, &machines, ANSWER_WITHIN)?;
    ask_others(&cluster, &machines, &mut answers)?;
    let nodes: Vec<NodeLine> = machines
        .iter()
        .zip(&answers)
        .map(|(machine, answer)| line(&cluster, machine, answer.as_ref()))
        .collect();
    let status = Status { leader: leader(&machines, &answers), nodes };
    if json {
        let text = serde_json::to_string(&status).map_err(|error| Failure::Sql(error.to_string()))?;
        println!("{text}");
        return Ok(());
    }
    let mut header = ["node", "state", "role", "term", "applied", "sql", "http", "pid", "accel"]
        .map(String::from)
        .to_vec();
    let mut rows: Vec<Vec<Option<String>>> = status.nodes.iter().map(cells).collect();
    let one = if cluster.discovers { "machine" } else { "node" };
    if cluster.discovers {
        header[0] = one.into();
        header.insert(1, "is node".into());
        let numbers = status.nodes.iter().map(|node| node.is_node.map(|number| number.to_string()));
        rows.iter_mut().zip(numbers).for_each(|(row, number)| row.insert(1, number));
    }
    print!("{}", table::layout(&header, &rows));
    for node in &status.nodes {
        if let Some(trouble) = &node.trouble {
            println!("Node {}: {trouble}.", node.is_node.unwrap_or(node.id));
        }
    }
    match status.leader {
        Some(leader) => println!("The leader is {one} {leader}."),
        None => println!("There is no leader: is a majority of the nodes up?"),
    }
    Ok(())
}

fn line(cluster: &Cluster, machine: &MachineStatus, answer: Option<&NodeAnswer>) -> NodeLine {
    NodeLine {
        id: machine.id,
        state: machine.state,
        role: answer.map(|answer| answer.role.clone()),
        term: answer.map(|answer| answer.term),
        applied: answer.map(|answer| answer.applied),
        is_node: answer.map(|answer| answer.node).filter(|_| cluster.discovers),
        trouble: answer.and_then(|answer| answer.trouble.clone()),
        sql: format!("127.0.0.1:{}", cluster.sql_port(machine.id)),
        http: format!("127.0.0.1:{}", cluster.http_port(machine.id)),
        pid: machine.pid,
        accel: cluster.accel(),
    }
}

fn cells(node: &NodeLine) -> Vec<Option<String>> {
    let state = match node.state {
        MachineState::Up => "up",
        MachineState::Down => "down",
        MachineState::Paused => "paused",
    };
    vec![
        Some(node.id.to_string()),
        Some(state.into()),
        node.role.clone(),
        node.term.map(|term| term.to_string()),
        node.applied.map(|applied| applied.to_string()),
        Some(node.sql.clone()),
        Some(node.http.clone()),
        node.pid.map(|pid| pid.to_string()),
        Some(node.accel.into()),
    ]
}

/// The node that leads in the highest term.
pub fn leader(machines: &[MachineStatus], answers: &[Option<NodeAnswer>]) -> Option<u8> {
    let known =
        machines.iter().zip(answers).filter_map(|(machine, answer)| Some((machine.id, answer.as_ref()?)));
    let leaders = known.filter(|(_, answer)| answer.role == "leader");
    leaders.max_by_key(|(_, answer)| answer.term).map(|(id, _)| id)
}

/// Asks every machine that is up, all at once; one that takes longer than `within` counts as silent.
pub fn ask_all(
    cluster: &Cluster,
    machines: &[MachineStatus],
    within: Duration,
) -> Result<Vec<Option<NodeAnswer>>, Failure> {
    let answers = runtime()?.block_on(async {
        let mut asked = Vec::new();
        for machine in machines {
            let up = machine.state == MachineState::Up;
            let question = ask(cluster.sql_port(machine.id), OWN);
            asked.push(up.then(|| tokio::spawn(tokio::time::timeout(within, question))));
        }
        let mut answers = Vec::new();
        for asked in asked {
            let answer = match asked {
                Some(asked) => asked.await.ok().and_then(Result::ok).flatten(),
                None => None,
            };
            answers.push(answer);
        }
        answers
    });
    Ok(answers)
}

/// Asks another node about each machine that is up and has not answered: one without an address cannot be reached, but its
/// peers hear what it says.
fn ask_others(
    cluster: &Cluster,
    machines: &[MachineStatus],
    answers: &mut [Option<NodeAnswer>],
) -> Result<(), Failure> {
    let Some(other) = machines.iter().zip(&*answers).find(|(_, answer)| answer.is_some()) else {
        return Ok(());
    };
    let port = cluster.sql_port(other.0.id);
    let runtime = runtime()?;
    for (machine, answer) in machines.iter().zip(answers) {
        if machine.state == MachineState::Up && answer.is_none() {
            let row = row_of(cluster, machine.id);
            let question = async { tokio::time::timeout(ANSWER_WITHIN, ask(port, &row)).await };
            *answer = runtime.block_on(question).ok().flatten();
        }
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Sql(error.to_string()))
}

/// The row of `sys.nodes` that is the node's which is asked itself: a session's number begins with that of its node.
const OWN: &str = "id = pg_backend_pid() >> 23";

/// The row of a machine's node.
fn row_of(cluster: &Cluster, machine: u8) -> String {
    if !cluster.discovers {
        return format!("id = {machine}");
    }
    let address = hardware_address_text(hardware_address_of(machine));
    format!("id = (SELECT node FROM sys.machines WHERE hardware_address = '{address}')")
}

/// Asks the node at a port about one, itself or another.
async fn ask(port: u16, row: &str) -> Option<NodeAnswer> {
    let (client, connection) = config(port).connect(NoTls).await.ok()?;
    let driver = tokio::spawn(connection);
    let query = format!("SELECT state, role, term, applied, trouble, id FROM sys.nodes WHERE {row}");
    let messages = client.simple_query(&query).await;
    drop(client);
    let _ = driver.await;
    let row = messages.ok()?.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })?;
    let text = |index: usize| row.get(index).map(String::from);
    let number = |index: usize| row.get(index)?.parse().ok();
    Some(NodeAnswer {
        state: text(0)?,
        role: text(1)?,
        term: number(2)?,
        applied: number(3)?,
        trouble: text(4),
        node: number(5)?.try_into().ok()?,
    })
}

/// Whether the tables of the services are there, as the node at this port sees it. The first leader makes them, all in one
/// transaction, as soon as it leads.
pub fn services_are_there(port: u16, within: Duration) -> bool {
    does(port, "SELECT FROM sys.hooks LIMIT 0", within)
}

/// Whether the node at this port does what it is asked within that time.
pub fn does(port: u16, sql: &str, within: Duration) -> bool {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return false;
    };
    runtime.block_on(async {
        let ask = async {
            let (client, connection) = config(port).connect(NoTls).await.ok()?;
            let driver = tokio::spawn(connection);
            let done = client.simple_query(sql).await.ok();
            drop(client);
            let _ = driver.await;
            done.map(drop)
        };
        tokio::time::timeout(within, ask).await.is_ok_and(|done| done.is_some())
    })
}

/// How to connect to a node's SQL port.
pub fn config(port: u16) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("relix").dbname("relix").connect_timeout(ANSWER_WITHIN);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_reads_its_disk_does_not_serve_yet() {
        let serves = |state: &str, role: &str| {
            let (state, role) = (state.into(), role.into());
            NodeAnswer { state, role, term: 1, applied: 0, node: 1, trouble: None }.serves()
        };
        assert!(serves("up", "leader") && serves("up", "learner"));
        assert!(!serves("up", "recovering") && !serves("up", "stopped") && !serves("rebuilding", "follower"));
    }
}
