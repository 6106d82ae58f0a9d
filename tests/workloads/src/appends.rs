//! Transactions append to several lists and read them; the history they leave is checked for strict
//! serializability.

use std::sync::Mutex;

use tests_checkers::{History, Operation, Outcome, Step as Did};

use crate::expected::WatchedConnection;
use crate::transaction::{Fate, single, transaction};
use crate::workload::{Step, Table, Task, Verdict, Workload, query_anywhere, rows};
use crate::world::{Answer, Connection, Failure, Row, World, below};

/// Lists there are. Those in use move on, so that none grows long.
const LISTS: u64 = 1024;

/// Lists in use at a time.
const IN_USE: u64 = 4;

/// After this many values the oldest list in use gives way to a new one.
const VALUES_PER_LIST: u64 = 16;

/// Steps of a transaction, at most.
const STEPS_MAX: u64 = 4;

/// Which of every four clients only reads.
const READER: u64 = 1;

/// The client under which checks read.
const AUDITOR: u64 = u64::MAX;

/// The workload.
#[derive(Debug, Default)]
pub struct Appends {
    recorded: Mutex<Recorded>,
    verdict: Verdict,
}

#[derive(Debug, Default)]
struct Recorded {
    history: History,
    values: u64,
}

impl Appends {
    fn recorded(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.recorded.lock().expect("no client panics with it")
    }

    /// A read of a list in use.
    fn read<W: World>(&self, world: &W) -> Did {
        let list = self.recorded().values / VALUES_PER_LIST + below(world, IN_USE);
        Did::Read(list.min(LISTS - 1), Vec::new())
    }

    /// A random step on a list in use.
    fn plan<W: World>(&self, world: &W) -> Did {
        let mut recorded = self.recorded();
        let list = recorded.values / VALUES_PER_LIST + below(world, IN_USE);
        if below(world, 2) == 0 && list < LISTS {
            recorded.values += 1;
            return Did::Append(list, recorded.values);
        }
        Did::Read(list.min(LISTS - 1), Vec::new())
    }

    fn list(&self, key: u64, rows: &[Row]) -> Vec<u64> {
        let text = rows.first().and_then(|row| row.first()?.as_deref());
        let parsed = text.and_then(|text| text.split_whitespace().map(|word| word.parse().ok()).collect());
        parsed.unwrap_or_else(|| {
            self.verdict.wrong(format!("list {key} reads as {rows:?}"));
            Vec::new()
        })
    }

    /// What a step turned out to be.
    fn done(&self, step: Did, answer: &Answer) -> Did {
        match step {
            Did::Read(key, _) => Did::Read(key, self.list(key, &answer.rows)),
            Did::Append(key, value) => {
                if answer.affected != 1 {
                    self.verdict.wrong(format!("an append to list {key} found {} rows", answer.affected));
                }
                Did::Append(key, value)
            }
        }
    }

    fn record(&self, client: u64, invoked: u64, completed: u64, steps: Vec<Did>, outcome: Outcome) {
        let operation = Operation { client, invoked, completed, outcome, steps };
        self.recorded().history.operations.push(operation);
    }

    /// The steps that were sent; those of them that were not answered as they were planned.
    async fn perform<W: World>(
        &self,
        connection: &mut WatchedConnection<W>,
        plan: Vec<Did>,
        steps: &mut Vec<Did>,
    ) -> Step {
        if let [step] = plan.as_slice() {
            steps.push(step.clone());
            return match single(connection, &sql(step)).await {
                Fate::Committed(answer) => {
                    steps[0] = self.done(step.clone(), &answer);
                    Fate::Committed(())
                }
                Fate::Refused(failure) => Fate::Refused(failure),
                Fate::Unknown(failure) => Fate::Unknown(failure),
            };
        }
        transaction(connection, async |connection: &mut WatchedConnection<W>| {
            for step in plan {
                steps.push(step.clone());
                let answer = connection.query(&sql(&step)).await?;
                let done = self.done(step, &answer);
                steps.pop();
                steps.push(done);
            }
            Ok::<(), Failure>(())
        })
        .await
    }
}

fn sql(step: &Did) -> String {
    match step {
        Did::Append(key, value) => format!("UPDATE lists SET list = list || ' {value}' WHERE id = {key}"),
        Did::Read(key, _) => format!("SELECT list FROM lists WHERE id = {key}"),
    }
}

fn nanos<W: World>(world: &W) -> u64 {
    world.now().as_nanos() as u64
}

impl<W: World> Workload<W> for Appends {
    fn name(&self) -> &'static str {
        "appends"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "lists", order: "id" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, "CREATE TABLE lists (id bigint PRIMARY KEY, list text NOT NULL)").await;
            let values: Vec<String> = (0..LISTS).map(|id| format!("({id}, '')")).collect();
            query_anywhere(world, &format!("INSERT INTO lists VALUES {}", values.join(","))).await;
        })
    }

    fn step<'a>(
        &'a self,
        world: &'a W,
        connection: &'a mut WatchedConnection<W>,
        client: u64,
    ) -> Task<'a, Step> {
        Box::pin(async move {
            let plan = match client % 4 {
                // Nothing that it waits for keeps it from seeing what is stale.
                READER => vec![self.read(world)],
                _ => (0..=below(world, STEPS_MAX)).map(|_| self.plan(world)).collect(),
            };
            let (mut steps, invoked) = (Vec::new(), nanos(world));
            let fate = self.perform::<W>(connection, plan, &mut steps).await;
            let outcome = match &fate {
                Fate::Committed(()) => Outcome::Committed,
                Fate::Refused(_) => Outcome::Aborted,
                Fate::Unknown(_) => Outcome::Unknown,
            };
            self.record(client, invoked, nanos(world), steps, outcome);
            fate
        })
    }

    fn check<'a>(&'a self, world: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            let invoked = nanos(world);
            let rows = rows(connection, "SELECT id, list FROM lists ORDER BY id").await?;
            let used = self.recorded().values / VALUES_PER_LIST + IN_USE;
            let lists = (0..used.min(LISTS)).zip(&rows);
            let steps = lists.map(|(key, row)| Did::Read(key, self.list(key, &[row[1..].to_vec()])));
            let steps = steps.collect();
            self.record(AUDITOR, invoked, nanos(world), steps, Outcome::Committed);
            Ok(())
        })
    }

    fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }

    fn final_verdict(&self) -> Result<(), String> {
        self.verdict.get()?;
        tests_checkers::check(&self.recorded().history).map_err(|anomaly| anomaly.to_string())
    }
}
