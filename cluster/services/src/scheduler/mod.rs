//! Which task runs next, and where: `sys.tasks`, `sys.queues`, `sys.workers`, `sys.policies`.
//!
//! The leader gives ready tasks to workers in rounds, each a few statements on the tables: a node that is woken by what it
//! applies runs one, and nothing of the scheduler is kept anywhere else. Two leaders at a time, for a moment, do no harm:
//! what one gives out it gives out if it has seen all that was given out before.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use cluster_format::NodeId;
use cluster_sql::catalog::service_id;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::types::{Array, Datum, Scalar};
use cluster_sql::{ServiceSchema, Session, SqlResult};

/// Its tables.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 2, name: "scheduler", sql: include_str!("schema.sql") };

/// The ids of its tables and indexes, in the order of its schema.
pub const QUEUES: u32 = service_id(SCHEMA.number, 1);
/// `sys.policies`
pub const POLICIES: u32 = service_id(SCHEMA.number, 0);
/// `sys.workers`
pub const WORKERS: u32 = service_id(SCHEMA.number, 2);
/// `sys.tasks`
pub const TASKS: u32 = service_id(SCHEMA.number, 3);
/// The index of ready tasks.
pub const TASKS_READY: u32 = service_id(SCHEMA.number, 5);
/// The index of running tasks.
pub const TASKS_RUNNING: u32 = service_id(SCHEMA.number, 6);

/// Most tasks of a queue that are given out at a time.
const ROUND_TASKS_MAX: i32 = 256;

/// What a round has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Tasks that were given to workers.
    pub given: u64,
    /// When the next task is due that is not yet, in microseconds since the Unix epoch.
    pub next_micros: Option<i64>,
}

/// A queue in which tasks are ready.
struct Queue {
    name: String,
    policy: String,
    round: i64,
    tasks_max: i32,
}

/// Gives ready tasks to workers. `members` are the nodes of the cluster, and whether each is up.
pub async fn round<D: Database>(session: &mut Session<D>, members: &[(NodeId, bool)]) -> SqlResult<Round> {
    note_members(session, members).await?;
    // What this node has applied is enough: who gives out tasks makes sure that nobody else has meanwhile.
    session.begin_on(Freshness::Local).await?;
    let found = plan(session).await;
    session.abandon_block();
    let (given, next_micros) = found?;
    let mut round = Round { given: 0, next_micros };
    for (queue, tasks, nodes) in given {
        round.given += give(session, &queue, tasks, nodes).await?;
    }
    Ok(round)
}

type Given = (Queue, Vec<Datum>, Vec<Datum>);

/// What the policies of all queues say, and when the next task is due.
async fn plan<D: Database>(session: &mut Session<D>) -> SqlResult<(Vec<Given>, Option<i64>)> {
    let mut given = Vec::new();
    let (queues, next_micros) = queues(session).await?;
    for queue in queues {
        let params = [Datum::Text(queue.name.clone()), Datum::Int4(queue.tasks_max)].into();
        let wanted = session.run(&queue.policy, params).await?;
        let column = |at: usize| wanted.rows.iter().filter_map(move |row| row.get(at)).cloned();
        let (tasks, nodes): (Vec<Datum>, Vec<Datum>) = (column(0).collect(), column(1).collect());
        if !tasks.is_empty() {
            given.push((queue, tasks, nodes));
        }
    }
    Ok((given, next_micros))
}

/// The queues in which tasks are ready, and when the next task of any is due.
async fn queues<D: Database>(session: &mut Session<D>) -> SqlResult<(Vec<Queue>, Option<i64>)> {
    let answer = session
        .run(
            "SELECT q.name, p.query, q.round, \
             CASE WHEN q.concurrency IS NOT NULL THEN q.concurrency - (SELECT count(*) FROM sys.tasks t \
             WHERE t.state = 'running' AND t.queue = q.name) END, \
             EXISTS (SELECT FROM sys.tasks t WHERE t.state = 'ready' AND t.queue = q.name AND t.run_at <= now()), \
             (SELECT t.run_at FROM sys.tasks t WHERE t.state = 'ready' AND t.queue = q.name AND t.run_at > now() \
              ORDER BY t.run_at LIMIT 1) \
             FROM sys.queues q JOIN sys.policies p ON p.name = q.policy WHERE NOT q.paused ORDER BY q.name",
            Vec::new(),
        )
        .await?;
    let mut queues = Vec::new();
    let mut next_micros: Option<i64> = None;
    for row in answer.rows {
        let [Datum::Text(name), Datum::Text(policy), Datum::Int8(round), room, Datum::Bool(is_ready), next] =
            &row[..]
        else {
            continue;
        };
        if let Datum::Timestamptz(next) = next {
            next_micros = Some(next_micros.map_or(next.unix_micros(), |known| known.min(next.unix_micros())));
        }
        let tasks_max = match room {
            Datum::Int8(room) => i32::try_from(*room).unwrap_or(0).min(ROUND_TASKS_MAX),
            _ => ROUND_TASKS_MAX,
        };
        if *is_ready && tasks_max > 0 {
            queues.push(Queue { name: name.clone(), policy: policy.clone(), round: *round, tasks_max });
        }
    }
    Ok((queues, next_micros))
}

/// Gives tasks to workers, unless somebody else has given out any of that queue since; how many.
async fn give<D: Database>(
    session: &mut Session<D>,
    queue: &Queue,
    tasks: Vec<Datum>,
    nodes: Vec<Datum>,
) -> SqlResult<u64> {
    let array = |scalar, items| Datum::Array(Box::new(Array::new(scalar, items)));
    let params = [
        Datum::Text(queue.name.clone()),
        Datum::Int8(queue.round),
        array(Scalar::Int8, tasks),
        array(Scalar::Int4, nodes),
    ];
    let answer = session
        .run(
            "WITH mine AS (UPDATE sys.queues SET round = round + 1 WHERE name = $1 AND round = $2 RETURNING name) \
             UPDATE sys.tasks t SET state = 'running', worker = g.node, attempt = attempt + 1, started_at = now() \
             FROM (SELECT unnest($3::bigint[]) AS id, unnest($4::integer[]) AS node) g \
             WHERE t.id = g.id AND t.state = 'ready' AND EXISTS (SELECT FROM mine)",
            params.into(),
        )
        .await?;
    Ok(answer.count)
}

/// Writes down which nodes are up. What a lost one was to run is ready again, and what it does about it from now on
/// meets a conflict with that.
async fn note_members<D: Database>(session: &mut Session<D>, members: &[(NodeId, bool)]) -> SqlResult<()> {
    session.begin_on(Freshness::Local).await?;
    let known = session.run("SELECT node, state = 'up' FROM sys.workers", Vec::new()).await;
    session.abandon_block();
    let known: BTreeMap<i32, bool> = known?
        .rows
        .iter()
        .filter_map(|row| match row[..] {
            [Datum::Int4(node), Datum::Bool(is_up)] => Some((node, is_up)),
            _ => None,
        })
        .collect();
    let up = |node: i32| members.iter().any(|(member, is_up)| i32::from(member.0) == node && *is_up);
    for (member, _) in members.iter().filter(|(_, is_up)| *is_up) {
        let node = i32::from(member.0);
        let sql = match known.get(&node) {
            Some(true) => continue,
            Some(false) => "UPDATE sys.workers SET state = 'up' WHERE node = $1",
            None => "INSERT INTO sys.workers (node) VALUES ($1) ON CONFLICT DO NOTHING",
        };
        session.run(sql, [Datum::Int4(node)].into()).await?;
    }
    for (node, _) in known.into_iter().filter(|(node, was_up)| *was_up && !up(*node)) {
        lose(session, Datum::Int4(node)).await?;
    }
    Ok(())
}

/// A worker is lost.
async fn lose<D: Database>(session: &mut Session<D>, node: Datum) -> SqlResult<()> {
    session
        .run(
            "WITH lost AS (UPDATE sys.workers SET state = 'lost' WHERE node = $1 RETURNING node) \
             UPDATE sys.tasks SET state = 'ready', worker = NULL \
             WHERE state = 'running' AND worker = $1 AND EXISTS (SELECT FROM lost)",
            [node].into(),
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
