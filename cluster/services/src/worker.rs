//! Running tasks: each attempt is a transaction, in which the program's statements and the end of the task's row are one.
//!
//! ```text
//! begin ──► read the task's row ──► run the program ──► write how it ended ──► commit
//!   ▲                                     │                                      │ conflict
//!   ├─────────────────────────────────────┴── fails ──► write that, on its own   │
//!   └────────────────────────────────────────────────────────────────────────────┘
//! ```
//! The attempt reads that the row says "running, here". Whoever takes the task away, because this node seemed lost or
//! somebody has cancelled it, changes the row; then the commit meets a conflict, and the next attempt finds the task gone.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{NodeId, Version};
use cluster_sql::database::{Database, Freshness};
use cluster_sql::types::Datum;
use cluster_sql::{CancelFlag, Session, SqlError, SqlResult, SqlState};
use cluster_store::yield_now;
use cluster_tasks::{Facts, LogLevel, Trap};
use drivers_api::Instant;
use spin::Mutex;

use crate::attempts::Attempts;
use crate::drive::{Drive, TOOK_TOO_LONG};
use crate::programs;
use crate::reading;

/// How often an attempt is repeated because of conflicts before that counts as a failure.
const CONFLICTS_MAX: usize = 100;

/// How often a task is given to a worker, beside its failures, before it counts as a failure that others have left it too little
/// memory: at the pace of [`UNTIL_THERE_IS_MEMORY`], after some four minutes. One that has slept or waited so often is lent no patience.
const ATTEMPTS_SHORT_MAX: i32 = 50;

/// Sessions that are kept.
const IDLE_MAX: usize = 16;

/// Bytes of a failure's text that are kept.
const ERROR_LEN_MAX: usize = 4096;

/// What runs the tasks of a node. All of its clones are the same worker.
pub struct Worker<D: Database> {
    database: D,
    node: NodeId,
    attempts: Attempts,
    /// Sessions that nobody uses: they know the statements that attempts run.
    idle: Mutex<Vec<Slot<D>>>,
    /// Lines that programs have logged, once what they did has taken place.
    lines: Mutex<Vec<(LogLevel, String)>>,
}

/// A session, and how it is stopped.
struct Slot<D: Database> {
    session: Session<D>,
    cancel: Arc<CancelFlag>,
}

/// An attempt at a task that is to be run.
pub struct Begun<D: Database> {
    task: i64,
    slot: Slot<D>,
}

/// A task, as its row says.
pub(crate) struct Task {
    program: String,
    version: Option<i32>,
    entry: String,
    arguments: String,
    /// How often it was given to a worker.
    pub(crate) attempt: i32,
    failures: i32,
    timeout: Duration,
}

/// Which attempt at a task it is.
#[derive(Clone, Copy)]
struct Given {
    attempt: i32,
    failures: i32,
}

/// How an attempt ended that did not take place.
pub(crate) enum Stop {
    /// The task is not this node's any more.
    Gone,
    /// The program, or a statement of it, has failed.
    Failed(String),
    /// This node, or the cluster, is not able to right now.
    Sql(SqlError),
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Stop {
        Stop::Sql(error)
    }
}

impl<D: Database> Worker<D> {
    /// A worker of `node`.
    pub fn new(database: D, node: NodeId) -> Worker<D> {
        let attempts = Attempts::default();
        Worker { database, node, attempts, idle: Mutex::default(), lines: Mutex::default() }
    }

    /// The entry at this version, which was just applied, has changed programs: those that are ready may be others.
    pub fn programs_changed(&self, version: Version) {
        self.database.programs().note_changed(version);
    }

    /// The lines that programs have logged since the last call.
    pub fn take_lines(&self) -> Vec<(LogLevel, String)> {
        core::mem::take(&mut *self.lines.lock())
    }

    /// It is `now`: attempts whose time is over are stopped. Returns when the next one's is.
    pub fn advance(&self, now: Instant) -> Option<Instant> {
        self.attempts.advance(now)
    }

    fn slot(&self) -> Slot<D> {
        if let Some(slot) = self.idle.lock().pop() {
            slot.cancel.clear();
            return slot;
        }
        let cancel = Arc::<CancelFlag>::default();
        let mut session = Session::of_system(self.database.clone(), cancel.clone());
        session.repeats_at_once();
        Slot { session, cancel }
    }

    fn put_back(&self, mut slot: Slot<D>) {
        slot.session.forget();
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(slot);
        }
    }

    /// Looks which tasks the node is to run: those that run and are not among these are stopped, and returned are those that
    /// are to be begun.
    pub async fn look(&self) -> SqlResult<Vec<Begun<D>>> {
        let mut slot = self.slot();
        let assigned = assigned(&mut slot.session, self.node).await;
        self.put_back(slot);
        let mut begun = Vec::new();
        let Assigned { tasks, is_holding } = assigned?;
        if is_holding {
            // It goes on with what it has begun.
            self.attempts.keep(&tasks);
            return Ok(begun);
        }
        self.attempts.begin(&tasks, |task| {
            let slot = self.slot();
            let cancel = slot.cancel.clone();
            begun.push(Begun { task, slot });
            cancel
        });
        Ok(begun)
    }

    /// Runs a task, to its end if nothing is in the way; whether to look again. An error says what was in the way, and that
    /// the task is to be begun again later.
    pub async fn run(&self, begun: Begun<D>) -> SqlResult<bool> {
        let Begun { task, mut slot } = begun;
        let ran = self.attempts_at(task, &mut slot).await;
        slot.session.abandon_block();
        let again = self.attempts.end(task);
        self.put_back(slot);
        ran.map(|()| again)
    }

    /// Attempts until one has taken place, has failed, or the task is not this node's any more.
    async fn attempts_at(&self, task: i64, slot: &mut Slot<D>) -> SqlResult<()> {
        // What has failed on tables that may be out of date is not believed.
        let mut freshness = Freshness::Local;
        let mut conflicts = 0;
        let mut given = None;
        let failure = loop {
            let Err(stop) = self.attempt(slot, task, freshness, &mut given).await else { return Ok(()) };
            match &stop {
                Stop::Sql(error) if error.state == SqlState::SERIALIZATION_FAILURE => {
                    slot.session.abandon_to_repeat();
                }
                _ => slot.session.abandon_block(),
            }
            match stop {
                Stop::Gone if freshness == Freshness::Linearizable => return Ok(()),
                Stop::Failed(failure) if freshness == Freshness::Linearizable || slot.cancel.is_set() => {
                    break failure;
                }
                Stop::Gone | Stop::Failed(_) => freshness = Freshness::Linearizable,
                Stop::Sql(error) if error.state == SqlState::SERIALIZATION_FAILURE => {
                    conflicts += 1;
                    if conflicts >= CONFLICTS_MAX {
                        break error.to_string();
                    }
                }
                Stop::Sql(error) if error.state == SqlState::QUERY_CANCELED && slot.cancel.is_set() => {
                    break TOOK_TOO_LONG.into();
                }
                // Others are to make room first.
                Stop::Sql(error) if error.state == SqlState::LIMIT_REACHED => {
                    let session = &mut slot.session;
                    return put_off(session, self.node, task, given, &error, UNTIL_THERE_IS_ROOM).await;
                }
                Stop::Sql(error) if error.state == SqlState::INSUFFICIENT_RESOURCES => {
                    // What it had itself is given back by now: if others have next to nothing, it was that.
                    let memory = self.database.memory();
                    let is_alone = memory.left() >= memory.hopeful_len();
                    let tries = given.map_or(0, |given| given.attempt - given.failures);
                    if is_alone || tries > ATTEMPTS_SHORT_MAX {
                        break error.to_string();
                    }
                    let session = &mut slot.session;
                    return put_off(session, self.node, task, given, &error, UNTIL_THERE_IS_MEMORY).await;
                }
                // It may have taken place: the row tells.
                Stop::Sql(error) if error.state == SqlState::OUTCOME_UNKNOWN => {
                    freshness = Freshness::Linearizable;
                }
                Stop::Sql(error) => return Err(error),
            }
            yield_now().await;
        };
        slot.session.abandon_block();
        slot.cancel.clear();
        note_failure(&mut slot.session, self.node, task, given, &failure).await
    }

    /// One attempt, to its commit.
    async fn attempt(
        &self,
        Slot { session, cancel }: &mut Slot<D>,
        id: i64,
        freshness: Freshness,
        given: &mut Option<Given>,
    ) -> Result<(), Stop> {
        session.begin_on(freshness).await?;
        let task = task(session, self.node, id).await.map_err(of_program)?.ok_or(Stop::Gone)?;
        *given = Some(Given { attempt: task.attempt, failures: task.failures });
        self.attempts.set_timeout(id, task.timeout);
        let programs = self.database.programs();
        let loaded = programs::load(session, programs, &task.program, task.version).await;
        let ready = loaded.map_err(of_program)?.map_err(Stop::Failed)?;
        let facts = Facts {
            arguments: task.arguments,
            time_micros: session.transaction_micros(),
            seed: id.cast_unsigned(),
        };
        let run = ready.run(&task.entry, facts, self.database.memory());
        let mut run = run.map_err(of_trap)?;
        Drive::new(session, cancel, self.node, (id, task.attempt), &self.lines).run(&mut run).await
    }
}

/// What a statement has failed with: because of the program, or else of this node or the cluster as they are now.
pub(crate) fn of_program(error: SqlError) -> Stop {
    if error.is_of_statement() { Stop::Failed(error.to_string()) } else { Stop::Sql(error) }
}

/// What a run has ended badly with.
pub(crate) fn of_trap(trap: Trap) -> Stop {
    match trap {
        // Others will give back what they hold.
        Trap::MemoryRefused => SqlError::new(SqlState::INSUFFICIENT_RESOURCES, trap.to_string()).into(),
        trap => Stop::Failed(trap.to_string()),
    }
}

/// What a worker is given.
struct Assigned {
    /// Tasks, sorted; no more than a worker may be given at once.
    tasks: Vec<i64>,
    /// Whether it is to begin none of them.
    is_holding: bool,
}

async fn assigned<D: Database>(session: &mut Session<D>, node: NodeId) -> SqlResult<Assigned> {
    let node = || vec![Datum::Int4(node.0.into())];
    reading(session, async |session| {
        let sql = "SELECT id FROM sys.tasks WHERE state = 'running' AND worker = $1 ORDER BY id LIMIT 256";
        let answer = session.run(sql, node()).await?;
        let id = |row: &Vec<Datum>| if let Some(Datum::Int8(id)) = row.first() { Some(*id) } else { None };
        let tasks = answer.rows.iter().filter_map(id).collect();
        let sql = "SELECT FROM sys.workers WHERE node = $1 AND holding";
        let is_holding = match session.run(sql, node()).await {
            Ok(answer) => !answer.rows.is_empty(),
            // Who leads does not know of that yet.
            Err(error) if error.state == SqlState::UNDEFINED_COLUMN => false,
            Err(error) => return Err(error),
        };
        Ok(Assigned { tasks, is_holding })
    })
    .await
}

/// The task `id`, if `node` is to run it.
pub(crate) async fn task<D: Database>(
    session: &mut Session<D>,
    node: NodeId,
    id: i64,
) -> SqlResult<Option<Task>> {
    let answer = session
        .run(
            "SELECT program, version, entry, arguments::text, \
             (EXTRACT(epoch FROM timeout) * 1000000)::bigint, attempt, failures FROM sys.tasks \
             WHERE id = $1 AND state = 'running' AND worker = $2",
            vec![Datum::Int8(id), Datum::Int4(node.0.into())],
        )
        .await?;
    Ok(answer.rows.first().and_then(|row| match &row[..] {
        [
            Datum::Text(program),
            version,
            Datum::Text(entry),
            arguments,
            Datum::Int8(timeout),
            Datum::Int4(attempt),
            Datum::Int4(failures),
        ] => Some(Task {
            attempt: *attempt,
            failures: *failures,
            program: program.clone(),
            version: if let Datum::Int4(version) = version { Some(*version) } else { None },
            entry: entry.clone(),
            arguments: if let Datum::Text(text) = arguments { text.clone() } else { "null".into() },
            timeout: Duration::from_micros(timeout.unsigned_abs()),
        }),
        _ => None,
    }))
}

/// Writes that an attempt has failed, unless the task was given to a worker again since: it is tried again later, unless it
/// was the last.
async fn note_failure<D: Database>(
    session: &mut Session<D>,
    node: NodeId,
    id: i64,
    given: Option<Given>,
    message: &str,
) -> SqlResult<()> {
    let set = "failures = failures + 1, \
               state = CASE WHEN failures + 1 >= attempts_max THEN 'failed' ELSE 'ready' END, \
               ended_at = CASE WHEN failures + 1 >= attempts_max THEN now() END, \
               run_at = now() + backoff * power(2, least(failures, 20))";
    give_up(session, node, id, given, message, set).await
}

/// How long a task is put off whose attempt has found something full.
const UNTIL_THERE_IS_ROOM: &str = "'200 ms'::interval";

/// The same where others had left it too little memory: each time a little longer than the last time.
const UNTIL_THERE_IS_MEMORY: &str = "'200 ms'::interval * least(attempt - failures, 50)";

/// Writes that an attempt has found too little of something: the task is run again later, wherever there is room for it, which
/// does not count as a failure.
async fn put_off<D: Database>(
    session: &mut Session<D>,
    node: NodeId,
    id: i64,
    given: Option<Given>,
    error: &SqlError,
    pause: &str,
) -> SqlResult<()> {
    let set = format!("state = 'ready', run_at = now() + {pause}");
    give_up(session, node, id, given, &error.to_string(), &set).await
}

/// Writes why an attempt has come to nothing, and what else is to be `set`, unless the task was given to a worker again since.
async fn give_up<D: Database>(
    session: &mut Session<D>,
    node: NodeId,
    id: i64,
    given: Option<Given>,
    message: &str,
    set: &str,
) -> SqlResult<()> {
    let message = &message[..message.floor_char_boundary(ERROR_LEN_MAX)];
    let attempt = given.map_or(Datum::Null, |given| Datum::Int4(given.attempt));
    let params = vec![Datum::Int8(id), Datum::Int4(node.0.into()), attempt, Datum::Text(message.into())];
    let sql = format!(
        "UPDATE sys.tasks SET error = $4, worker = NULL, {set} \
         WHERE id = $1 AND state = 'running' AND worker = $2 AND attempt = coalesce($3::integer, attempt)"
    );
    session.run(&sql, params).await.map(drop)
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod steps;
#[cfg(test)]
pub(crate) mod tests;
