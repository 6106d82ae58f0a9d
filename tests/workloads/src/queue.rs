//! A queue of jobs: producers put each in once, consumers take each out exactly once.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::expected::WatchedConnection;
use crate::jobs::Jobs;
use crate::transaction::{Fate, single, transaction};
use crate::workload::{Step, Table, Task, Verdict, Workload, column, query_anywhere};
use crate::world::{Connection, World};

/// The workload.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: Mutex<Given>,
    verdict: Verdict,
}

#[derive(Debug, Default)]
struct Given {
    /// Put in, or not.
    put_in: Jobs,
    /// Taken out, as the consumer was told.
    taken: BTreeSet<i64>,
    /// A consumer does not know.
    perhaps_taken: BTreeSet<i64>,
}

impl Queue {
    fn jobs(&self) -> std::sync::MutexGuard<'_, Given> {
        self.jobs.lock().expect("no client panics with it")
    }

    async fn produce<W: World>(&self, connection: &mut WatchedConnection<W>) -> Step {
        let job = self.jobs().put_in.number();
        let fate = single(connection, &format!("INSERT INTO jobs VALUES ({job}, 'job {job}')")).await;
        self.jobs().put_in.note(job, fate)
    }

    async fn consume<W: World>(&self, connection: &mut WatchedConnection<W>) -> Step {
        // What the transaction wanted to take is known even when its fate is not.
        let mut wanted = None;
        let fate = transaction(connection, async |connection: &mut WatchedConnection<W>| {
            let oldest = connection.query("SELECT id FROM jobs ORDER BY id LIMIT 1").await?;
            wanted = oldest.number(0, 0);
            let Some(job) = wanted else { return Ok(()) };
            let deleted = connection.query(&format!("DELETE FROM jobs WHERE id = {job}")).await?;
            if deleted.affected != 1 {
                self.verdict.wrong(format!("DELETE of job {job} found {} rows", deleted.affected));
            }
            Ok(())
        })
        .await;
        let Some(job) = wanted else { return fate };
        let mut jobs = self.jobs();
        match &fate {
            Fate::Committed(()) if !jobs.taken.insert(job) => {
                self.verdict.wrong(format!("job {job} was taken twice"));
            }
            Fate::Committed(()) if jobs.put_in.refused.contains(&job) => {
                self.verdict.wrong(format!("job {job} was taken, though its insert was refused"));
            }
            Fate::Unknown(_) => drop(jobs.perhaps_taken.insert(job)),
            _ => {}
        }
        drop(jobs);
        fate
    }
}

impl<W: World> Workload<W> for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "jobs", order: "id" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE jobs (id bigint PRIMARY KEY, what text)").await;
        })
    }

    fn step<'a>(&'a self, _: &'a W, connection: &'a mut WatchedConnection<W>, client: u64) -> Task<'a, Step> {
        Box::pin(async move {
            match client % 2 {
                0 => self.produce::<W>(connection).await,
                _ => self.consume::<W>(connection).await,
            }
        })
    }

    fn check<'a>(&'a self, _: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            let left = BTreeSet::from_iter(column(connection, "SELECT id FROM jobs ORDER BY id").await?);
            let jobs = self.jobs();
            if let Some(job) = left.intersection(&jobs.taken).next() {
                return Err(format!("job {job} was taken and is still there"));
            }
            if let Some(job) = left.intersection(&jobs.put_in.refused).next() {
                return Err(format!("job {job} is there, though its insert was refused"));
            }
            let gone = |job: &&i64| {
                !left.contains(job) && !jobs.taken.contains(job) && !jobs.perhaps_taken.contains(job)
            };
            match jobs.put_in.acknowledged.iter().find(gone) {
                Some(job) => Err(format!("job {job} was put in, never taken, and is lost")),
                None => Ok(()),
            }
        })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }
}
