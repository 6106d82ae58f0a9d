//! Which task runs next, and where: `sys.tasks`, `sys.queues`, `sys.workers`, `sys.policies`.
//!
//! The leader gives ready tasks to workers in rounds, each a few statements on the tables: a node that is woken by what it
//! applies runs one, and nothing of the scheduler is kept anywhere else. Two leaders at a time, for a moment, do no harm:
//! what one gives out it gives out if it has seen all that was given out before.
//!
//! ```text
//! note who is up, and which queues are full ──► queues with ready tasks ──► ask their policies, in a block ──► give, in one transaction ──╮
//!                                                ▲   that is not committed                                     │
//!                                                ╰──────────────────── until all were asked ───────────────────╯
//! ```

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::pin;

use cluster_format::NodeId;
use cluster_sql::catalog::service_id;
use cluster_sql::database::{Database, Freshness};
use cluster_sql::types::{Array, Datum, Scalar};
use cluster_sql::{CancelFlag, CancelReason, ServiceSchema, Session, SqlError, SqlResult, SqlState, Status};

use self::rate::Rate;
use crate::{micros_of, reading};

mod capacity;
mod rate;

/// Its tables.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 2, name: "scheduler", sql: include_str!("schema.sql") };

/// `sys.policies`: ids are in the order of the schema.
pub const POLICIES: u32 = service_id(SCHEMA.number, 0);
/// `sys.queues`
pub const QUEUES: u32 = service_id(SCHEMA.number, 1);
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

/// Tasks that are given out in one transaction, but for what the queue has more that reaches that.
const GIVEN_MAX: usize = 512;

/// Tasks whose worker there is not.
const STRAYS: &str = "FROM sys.tasks t LEFT JOIN sys.workers w ON w.node = t.worker \
                      WHERE t.state = 'running' AND t.worker > 0 AND w.node IS NULL";

/// Turns that a policy may take: in each it reads a few hundred rows, or waits for the disk once. It is not stopped by a clock,
/// as disks may be slow.
const POLICY_TURNS_MAX: u32 = if cfg!(test) { 2_000 } else { 50_000 };

/// What a round has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Tasks that were given to workers.
    pub given: u64,
    /// When the next task is due that is not yet, in microseconds since the Unix epoch.
    pub next_micros: Option<i64>,
    /// Policies that have failed, a line each: tasks of their queues wait.
    pub problems: Vec<String>,
}

/// A queue in which tasks are ready.
struct Queue {
    name: String,
    /// The name of its policy, and what that is.
    policy: String,
    query: String,
    /// Whether it is asked although no worker has room.
    overcommits: bool,
    round: i64,
    tasks_max: i32,
    rate: Option<Rate>,
}

/// Gives ready tasks to workers. `members` are the nodes of the cluster, and whether each is up. `cancel` is what
/// stops the session.
pub async fn round<D: Database>(
    session: &mut Session<D>,
    cancel: &CancelFlag,
    members: &[(NodeId, bool)],
) -> SqlResult<Round> {
    note_members(session, members).await?;
    capacity::note_full(session).await?;
    let (queues, next_micros) = reading(session, queues).await?;
    let mut round = Round { next_micros, ..Round::default() };
    let mut queues = VecDeque::from(queues);
    while !queues.is_empty() {
        session.begin_trial(Freshness::Local).await?;
        let asked = ask(session, cancel, &mut queues, &mut round).await;
        session.abandon_block();
        let gifts = asked?;
        match give(session, &gifts).await {
            Ok(given) => round.given += given,
            // Each for itself, to see whose it is.
            Err(error) if error.is_of_statement() => {
                for gift in gifts {
                    match give(session, core::slice::from_ref(&gift)).await {
                        Ok(given) => round.given += given,
                        Err(error) if error.is_of_statement() => {
                            round.problems.push(gift.queue.problem(&error))
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(round)
}

/// Tasks of a queue that workers are given.
struct Gift {
    queue: Queue,
    tasks: Vec<Datum>,
    nodes: Vec<Datum>,
}

impl Queue {
    /// Whoever has written its policy is to mend it; other queues go on.
    fn problem(&self, error: &SqlError) -> String {
        format!("queue \"{}\": policy \"{}\": {error}", self.name, self.policy)
    }
}

/// Asks the policies of queues what is to be given, one after the other, until there is enough for a transaction. Once no worker
/// has room, only those are asked that overcommit. Each of them sees what those before it have given (and written), as the block
/// that is open is a trial: it waits for nobody, and goes.
async fn ask<D: Database>(
    session: &mut Session<D>,
    cancel: &CancelFlag,
    queues: &mut VecDeque<Queue>,
    round: &mut Round,
) -> SqlResult<Vec<Gift>> {
    let (mut gifts, mut count) = (Vec::new(), 0);
    let mut has_room = workers_have_room(session).await?;
    while count < GIVEN_MAX
        && let Some(queue) = queues.pop_front()
    {
        if !has_room && !queue.overcommits {
            continue;
        }
        let (tasks, nodes) = match in_its_turns(cancel, wanted(session, &queue)).await {
            Ok(_) if session.status() != Status::Transaction => {
                let message = "it ends the transaction in which it is asked";
                round.problems.push(queue.problem(&SqlError::new(SqlState::NOT_SUPPORTED, message)));
                break;
            }
            Ok((tasks, _)) if tasks.is_empty() => {
                // What is ready stays, and may do so for long: what is due meanwhile would be looked for by nobody.
                let due_at = due_behind(session, &queue.name).await?;
                round.next_micros = [round.next_micros, due_at].into_iter().flatten().min();
                continue;
            }
            Ok(wanted) => wanted,
            Err(error) if error.is_of_statement() => {
                round.problems.push(queue.problem(&error));
                break;
            }
            Err(error) => return Err(error),
        };
        count += tasks.len();
        let gift = Gift { queue, tasks, nodes };
        // What nobody sees need not be written.
        let is_last = count >= GIVEN_MAX || queues.is_empty();
        let given = if is_last { Ok(0) } else { give(session, core::slice::from_ref(&gift)).await };
        gifts.push(gift);
        match given {
            Ok(given) if given > 0 => has_room = workers_have_room(session).await?,
            Ok(_) => {}
            // It is met again where it counts.
            Err(error) if error.is_of_statement() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(gifts)
}

/// When the next task of a queue is due that is not yet, in microseconds since the Unix epoch.
async fn due_behind<D: Database>(session: &mut Session<D>, queue: &str) -> SqlResult<Option<i64>> {
    let sql = "SELECT run_at FROM sys.tasks WHERE state = 'ready' AND queue = $1 AND run_at > now() \
               ORDER BY run_at LIMIT 1";
    let answer = session.run(sql, [Datum::Text(queue.into())].into()).await?;
    Ok(micros_of(answer.value()))
}

/// Whether a worker has room for a task.
async fn workers_have_room<D: Database>(session: &mut Session<D>) -> SqlResult<bool> {
    let answer = session.run("SELECT EXISTS (SELECT FROM sys.slots)", Vec::new()).await?;
    Ok(answer.value() == Some(&Datum::Bool(true)))
}

/// What `asked` says, which is cancelled if it takes too many turns.
pub(crate) async fn in_its_turns<T>(cancel: &CancelFlag, asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    let mut turns = 0;
    let said = poll_fn(|context| {
        turns += 1;
        if turns == POLICY_TURNS_MAX {
            cancel.set(CancelReason::Timeout);
        }
        asked.as_mut().poll(context)
    });
    let said = said.await;
    // The next one has turns of its own.
    cancel.clear();
    said
}

/// The tasks that a queue's policy wants to be run, and by whom. What is no task or no node is left out.
async fn wanted<D: Database>(session: &mut Session<D>, queue: &Queue) -> SqlResult<(Vec<Datum>, Vec<Datum>)> {
    let params = [Datum::Text(queue.name.clone()), Datum::Int4(queue.tasks_max)].into();
    let most = usize::try_from(queue.tasks_max).unwrap_or(0);
    let answer = session.run_until(&queue.query, params, most).await?;
    let pair = |row: &Vec<Datum>| {
        let number = |value: Option<&Datum>| match value {
            Some(Datum::Int4(number)) => Some(i64::from(*number)),
            Some(Datum::Int8(number)) => Some(*number),
            _ => None,
        };
        let (task, node) = (number(row.first())?, number(row.get(1))?);
        Some((Datum::Int8(task), Datum::Int4(i32::try_from(node).ok()?)))
    };
    Ok(answer.rows.iter().filter_map(pair).unzip())
}

/// The queues in which tasks are ready, first those that were given none for the longest time, and when the next task of any is
/// due.
async fn queues<D: Database>(session: &mut Session<D>) -> SqlResult<(Vec<Queue>, Option<i64>)> {
    // Said in this way, those that run are counted in the index of running tasks.
    let answer = session
        .run(
            "SELECT q.name, p.name, p.query, p.overcommits, q.round, \
             CASE WHEN q.concurrency IS NOT NULL THEN q.concurrency - (SELECT count(*) FROM sys.tasks t \
             WHERE t.state = 'running' AND t.worker > 0 AND (t.queue = q.name) IS TRUE) END, \
             (SELECT t.run_at FROM sys.tasks t WHERE t.state = 'ready' AND t.queue = q.name \
              ORDER BY t.run_at LIMIT 1), \
             q.rate_limit, q.rate_period, q.rate_taken_until \
             FROM sys.queues q JOIN sys.policies p ON p.name = q.policy WHERE NOT q.paused \
             ORDER BY q.given_at, q.name",
            Vec::new(),
        )
        .await?;
    let now = session.transaction_micros();
    let mut queues = Vec::new();
    let mut next_micros: Option<i64> = None;
    for row in answer.rows {
        let [
            Datum::Text(name),
            Datum::Text(policy),
            Datum::Text(query),
            Datum::Bool(overcommits),
            Datum::Int8(round),
            room,
            first_at,
            limit,
            Datum::Interval(period),
            Datum::Timestamptz(taken_until),
        ] = &row[..]
        else {
            continue;
        };
        let rate = match limit {
            Datum::Int4(limit) => Some(Rate::new(*limit, *period, *taken_until, now)),
            _ => None,
        };
        let first_at = micros_of(Some(first_at));
        let is_ready = first_at.is_some_and(|at| at <= now);
        // Once what is ready has gone there is another round, which sees what is due next; or else see ask.
        let due_at = first_at.filter(|_| !is_ready);
        let room_at = rate.filter(|rate| is_ready && rate.room() < 1).map(|rate| rate.next());
        next_micros = [next_micros, due_at, room_at].into_iter().flatten().min();
        let tasks_max = match room {
            Datum::Int8(room) => i32::try_from(*room).unwrap_or(0).min(ROUND_TASKS_MAX),
            _ => ROUND_TASKS_MAX,
        };
        let tasks_max = rate.map_or(tasks_max, |rate| tasks_max.min(rate.room()));
        if is_ready && tasks_max > 0 {
            queues.push(Queue {
                name: name.clone(),
                policy: policy.clone(),
                query: query.clone(),
                overcommits: *overcommits,
                round: *round,
                tasks_max,
                rate,
            });
        }
    }
    Ok((queues, next_micros))
}

/// Gives tasks to workers, but those of queues of which somebody else has given out any since; how many.
async fn give<D: Database>(session: &mut Session<D>, gifts: &[Gift]) -> SqlResult<u64> {
    if gifts.is_empty() {
        return Ok(0);
    }
    let array = |scalar, items| Datum::Array(Box::new(Array::new(scalar, items)));
    let of_queues = |value: fn(&Gift) -> Datum| gifts.iter().map(value).collect::<Vec<Datum>>();
    let taken = |gift: &Gift| match gift.queue.rate {
        Some(rate) => Datum::Timestamptz(rate.taken_by(gift.tasks.len())),
        None => Datum::Null,
    };
    let of_tasks = |gift: &Gift| core::iter::repeat_n(Datum::Text(gift.queue.name.clone()), gift.tasks.len());
    let params = [
        array(Scalar::Text, of_queues(|gift| Datum::Text(gift.queue.name.clone()))),
        array(Scalar::Int8, of_queues(|gift| Datum::Int8(gift.queue.round))),
        array(Scalar::Timestamptz, of_queues(taken)),
        array(Scalar::Text, gifts.iter().flat_map(of_tasks).collect()),
        array(Scalar::Int8, gifts.iter().flat_map(|gift| gift.tasks.clone()).collect()),
        array(Scalar::Int4, gifts.iter().flat_map(|gift| gift.nodes.clone()).collect()),
    ];
    // IS TRUE keeps each task from being looked for among all that are ready: its id says where it is.
    let answer = session
        .run(
            "WITH mine AS (UPDATE sys.queues q SET round = q.round + 1, given_at = now(), \
             rate_taken_until = coalesce(g.taken, q.rate_taken_until) \
             FROM (SELECT unnest($1::text[]) AS name, unnest($2::bigint[]) AS round, unnest($3::timestamptz[]) AS taken) g \
             WHERE q.name = g.name AND q.round = g.round AND NOT paused RETURNING q.name) \
             UPDATE sys.tasks t SET state = 'running', worker = g.node, attempt = attempt + 1, started_at = now(), \
             waits_for = NULL \
             FROM (SELECT unnest($4::text[]) AS queue, unnest($5::bigint[]) AS id, \
             unnest($6::integer[]) AS node) g \
             WHERE t.id = g.id AND (t.state = 'ready' AND t.queue = g.queue AND t.run_at <= now()) IS TRUE \
             AND g.queue IN (SELECT name FROM mine) \
             AND EXISTS (SELECT FROM sys.workers w WHERE w.node = g.node AND w.state = 'up')",
            params.into(),
        )
        .await?;
    Ok(answer.count)
}

/// Writes down which nodes are up. What a lost one was to run is ready again, and what it does about it from now on
/// meets a conflict with that.
async fn note_members<D: Database>(session: &mut Session<D>, members: &[(NodeId, bool)]) -> SqlResult<()> {
    let sql = format!("SELECT node, state = 'up', EXISTS (SELECT {STRAYS}) FROM sys.workers");
    let known = reading(session, async |session| session.run(&sql, Vec::new()).await).await?;
    if known.rows.first().is_some_and(|row| row.get(2) == Some(&Datum::Bool(true))) {
        // Somebody has deleted their worker, or written another.
        let sql =
            format!("UPDATE sys.tasks SET state = 'ready', worker = NULL WHERE id IN (SELECT t.id {STRAYS})");
        session.run(&sql, Vec::new()).await?;
    }
    let known: BTreeMap<i32, bool> = known
        .rows
        .iter()
        .filter_map(|row| match row[..] {
            [Datum::Int4(node), Datum::Bool(is_up), _] => Some((node, is_up)),
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
