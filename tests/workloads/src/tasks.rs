//! Tasks of users: each is done exactly once, whatever befalls the nodes that run it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use crate::expected::WatchedConnection;
use crate::jobs::Jobs;
use crate::transaction::single;
use crate::workload::{Step, Table, Task, Verdict, Workload, numbers, query_anywhere, rows};
use crate::world::{World, below};

/// Rows that all tasks change, so that they meet.
const TOTALS: i64 = 3;

/// If no task is done within this, on a cluster that is well, they are stuck. A disk that takes a sixth of a second for each
/// read, beside tables that have next to no memory, makes a round of the scheduler take minutes.
const NEXT_DONE_WITHIN: Duration = Duration::from_secs(1200);

/// Runs the statement that its arguments are.
const PROGRAM: &str = include_str!("../../../cluster/tasks/examples/statement.wat");

/// The workload.
#[derive(Debug, Default)]
pub struct Tasks {
    jobs: Mutex<Jobs>,
    verdict: Verdict,
}

/// The statement that adds the program "statement", which runs the statement that its arguments are.
///
/// # Panics
/// If the example is no module.
pub fn add_statement_program() -> String {
    add_program("statement", PROGRAM)
}

/// A statement that gives the cluster program "order", a workflow: see the example.
///
/// # Panics
/// If the example is no module.
pub fn add_order_program() -> String {
    add_program("order", include_str!("../../../cluster/tasks/examples/order.wat"))
}

fn add_program(name: &str, text: &str) -> String {
    let module = wat::parse_str(text).expect("the example is valid");
    let hex = module.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes all");
        hex
    });
    format!("INSERT INTO sys.programs (name, module) VALUES ('{name}', '\\x{hex}')")
}

impl Tasks {
    fn jobs(&self) -> std::sync::MutexGuard<'_, Jobs> {
        self.jobs.lock().expect("no client panics with it")
    }

    /// Whether each job was done once, and nothing else was.
    fn check_effects(&self, effects: &[Vec<i64>], totals: &[Vec<i64>]) -> Result<(), String> {
        let mut done = BTreeMap::new();
        for job in effects.iter().filter_map(|row| row.first()) {
            *done.entry(*job).or_insert(0_u32) += 1;
        }
        let jobs = self.jobs();
        if let Some((job, times)) = done.iter().find(|(_, times)| **times > 1) {
            return Err(format!("the task of job {job} was done {times} times"));
        }
        if let Some(job) = jobs.acknowledged.iter().find(|job| !done.contains_key(job)) {
            return Err(format!("the task of job {job} is gone, and was not done"));
        }
        if let Some(job) = jobs.refused.iter().find(|job| done.contains_key(job)) {
            return Err(format!("the task of job {job} was done, though it was refused"));
        }
        let counted: i64 = totals.iter().filter_map(|row| row.first()).sum();
        if counted != done.len() as i64 {
            return Err(format!("{} tasks were done, and {counted} counted", done.len()));
        }
        Ok(())
    }
}

/// Waits until all tasks are done; an error says which one is stuck, or was given up.
async fn wait_until_done<W: World>(world: &W, connection: &mut W::Connection) -> Result<(), String> {
    let (mut least, mut since) = (i64::MAX, world.now());
    loop {
        let left = "SELECT count(*) FROM sys.tasks WHERE state <> 'done'";
        let left = rows(connection, left).await?.first().and_then(|row| numbers(row)?.first().copied());
        let left = left.ok_or("a count is no number")?;
        if left == 0 {
            return Ok(());
        }
        if left < least {
            (least, since) = (left, world.now());
        }
        if world.now() - since > NEXT_DONE_WITHIN {
            let task = "SELECT id, state, worker, attempt, failures, error FROM sys.tasks WHERE state <> 'done' \
                        ORDER BY id LIMIT 1";
            let task = rows(connection, task).await?;
            return Err(format!("{left} tasks are not done, the first of them is {task:?}"));
        }
        world.sleep(Duration::from_millis(100)).await;
    }
}

impl<W: World> Workload<W> for Tasks {
    fn name(&self) -> &'static str {
        "tasks"
    }

    fn tables(&self) -> &'static [Table] {
        &[
            Table { name: "effects", order: "job" },
            Table { name: "totals", order: "id" },
            Table { name: "sys.tasks", order: "id" },
        ]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE effects (job bigint)").await;
            query_anywhere(world, "CREATE TABLE totals (id bigint PRIMARY KEY, done bigint NOT NULL)").await;
            let zeros = format!("INSERT INTO totals SELECT id, 0 FROM generate_series(1, {TOTALS}) id");
            query_anywhere(world, &zeros).await;
            query_anywhere(world, &add_statement_program()).await;
        })
    }

    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            let job = self.jobs().number();
            let total = below(world, TOTALS as u64) + 1;
            let statement = format!(
                "WITH effect AS (INSERT INTO effects VALUES ({job})) \
                 UPDATE totals SET done = done + 1 WHERE id = {total}"
            );
            let add = format!(
                "INSERT INTO sys.tasks (program, arguments, deduplication_key) \
                 VALUES ('statement', '\"{statement}\"', 'job {job}')"
            );
            let fate = single(connection, &add).await;
            self.jobs().note(job, fate)
        })
    }

    fn check<'a>(&'a self, world: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            wait_until_done(world, connection).await?;
            let number = |found: Vec<crate::world::Row>| -> Option<Vec<Vec<i64>>> {
                found.iter().map(numbers).collect()
            };
            let effects = number(rows(connection, "SELECT job FROM effects").await?);
            let totals = number(rows(connection, "SELECT done FROM totals").await?);
            self.check_effects(
                &effects.ok_or("an effect is no number")?,
                &totals.ok_or("a total is no number")?,
            )
        })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }
}
