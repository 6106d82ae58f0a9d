//! Tasks of users: each is done exactly once, whatever befalls the nodes that run it.

use std::sync::Mutex;

use crate::expected::WatchedConnection;
use crate::jobs::Jobs;
use crate::programs::{add_statement_program, wait_until_done};
use crate::transaction::single;
use crate::workload::{Step, Table, Task, Verdict, Workload, column, query_anywhere};
use crate::world::{World, below};

/// Rows that all tasks change, so that they meet.
const TOTALS: i64 = 3;

/// The workload.
#[derive(Debug, Default)]
pub struct Tasks {
    jobs: Mutex<Jobs>,
    verdict: Verdict,
}

impl Tasks {
    fn jobs(&self) -> std::sync::MutexGuard<'_, Jobs> {
        self.jobs.lock().expect("no client panics with it")
    }

    /// Whether each job was done once, and nothing else was.
    fn check_effects(&self, done: &[i64], totals: &[i64]) -> Result<(), String> {
        self.jobs().check_done(done, "task")?;
        let counted: i64 = totals.iter().sum();
        if counted != done.len() as i64 {
            return Err(format!("{} tasks were done, and {counted} counted", done.len()));
        }
        Ok(())
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
            wait_until_done(world, connection, "statement").await?;
            let effects = column(connection, "SELECT job FROM effects").await?;
            let totals = column(connection, "SELECT done FROM totals").await?;
            self.check_effects(&effects, &totals)
        })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }
}
