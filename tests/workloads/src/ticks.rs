//! A schedule of a tick each second: each is a task that is done once.

use std::time::Duration;

use crate::expected::WatchedConnection;
use crate::programs::{NEXT_DONE_WITHIN, add_statement_program, wait_until_done};
use crate::transaction::{Fate, single};
use crate::workload::{Step, Table, Task, Workload, number, numbers, query_anywhere, rows};
use crate::world::World;

/// How long a client looks for one more tick, and how often.
const LOOKS: u32 = 30;
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What the schedule's tasks do.
const COUNT: &str = "SELECT count(*) FROM ticks";

/// The workload.
#[derive(Debug, Default)]
pub struct Ticks {
    /// Whether no second is to be left out, as clocks do not jump by more than is made up for.
    pub every_second: bool,
}

impl Ticks {
    /// Ends the schedule; its last tick is a task by then.
    async fn end<W: World>(world: &W, connection: &mut W::Connection) -> Result<(), String> {
        rows(connection, "UPDATE sys.schedules SET paused = true WHERE name = 'tick'").await?;
        let since = world.now();
        let planned = "SELECT count(*) FROM sys.schedules WHERE name = 'tick' AND planned IS NOT NULL";
        while number(connection, planned).await? > 0 {
            if world.now() - since > NEXT_DONE_WITHIN {
                return Err("a schedule that is paused has still a next tick".into());
            }
            world.sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }
}

impl<W: World> Workload<W> for Ticks {
    fn name(&self) -> &'static str {
        "ticks"
    }

    fn tables(&self) -> &'static [Table] {
        &[Table { name: "ticks", order: "a" }, Table { name: "sys.schedules", order: "name" }]
    }

    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()> {
        Box::pin(async move {
            query_anywhere(world, &add_statement_program()).await;
            query_anywhere(world, "CREATE TABLE ticks (a integer)").await;
            // Those of the default queue that are due since ever would go first.
            query_anywhere(world, "INSERT INTO sys.queues (name) VALUES ('clock')").await;
            let schedule = "INSERT INTO sys.schedules (name, cron, queue, program, arguments, backfill) \
                            VALUES ('tick', '* * * * * *', 'clock', 'statement', '\"INSERT INTO ticks VALUES (1)\"', 1000)";
            query_anywhere(world, schedule).await;
        })
    }

    /// Waits for one more tick: whoever commits is not done with the schedule, but has seen it go on.
    fn step<'a>(&'a self, world: &'a W, connection: &'a mut WatchedConnection<W>, _: u64) -> Task<'a, Step> {
        Box::pin(async move {
            let mut before = None;
            for _ in 0..LOOKS {
                let count = match single(connection, COUNT).await {
                    Fate::Committed(answer) => answer.number(0, 0),
                    fate => return fate.done(),
                };
                if before.is_some_and(|before| count > before) {
                    break;
                }
                before = Some(count);
                world.sleep(LOOK_PAUSE).await;
            }
            Fate::Committed(())
        })
    }

    fn check<'a>(&'a self, world: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>> {
        Box::pin(async move {
            Ticks::end(world, connection).await?;
            if !self.every_second {
                // A tick that one leader's clock had reached may be a day away for the next one's.
                let due =
                    "UPDATE sys.tasks SET run_at = '-infinity' WHERE queue = 'clock' AND state = 'ready'";
                rows(connection, due).await?;
            }
            wait_until_done(world, connection, "statement").await?;
            let second = "split_part(deduplication_key, ' ', 3)::bigint / 1000000";
            let counts = format!(
                "SELECT count(*), count(DISTINCT {second}), ({COUNT}), max({second}) - min({second}) + 1 FROM sys.tasks \
                 WHERE deduplication_key LIKE 'schedule tick %'"
            );
            let counts = rows(connection, &counts).await?.first().and_then(numbers).unwrap_or_default();
            let [tasks, seconds, ticked, span] = counts[..] else { return Err("there was no tick".into()) };
            if tasks != seconds || tasks != ticked {
                return Err(format!("{tasks} ticks in {seconds} seconds were done {ticked} times"));
            }
            match self.every_second && span != seconds {
                true => Err(format!("of {span} seconds, {seconds} had their tick")),
                false => Ok(()),
            }
        })
    }
}
