//! Whether queues are full: `sys.full_queues` has those that take no more tasks.
//!
//! Whoever puts a task into a queue looks there, and not into the queue's own row, which changes whenever tasks are given out. It is
//! written down in rounds, which are whenever tasks have become ready, are not any more, or have ended: so a queue may hold some
//! more than it should, and what is put there at once by one transaction is bounded by that alone.

use alloc::string::String;
use alloc::vec::Vec;

use cluster_sql::database::Database;
use cluster_sql::types::Datum;
use cluster_sql::{Session, SqlResult};

use crate::reading;

/// A queue that has a capacity, or had one.
struct Bounded {
    name: String,
    /// None if it takes whatever comes.
    capacity: Option<i64>,
    is_full: bool,
}

impl Bounded {
    /// How many tasks it is to hold so that it is noted to be full, or no more.
    fn limit(&self) -> Option<i64> {
        let capacity = self.capacity?;
        // It is full until there is some room, or it would be written down for each task.
        Some(if self.is_full { (capacity - (capacity / 8).max(1)).max(1) } else { capacity })
    }
}

/// Writes down which queues are full.
pub(super) async fn note_full<D: Database>(session: &mut Session<D>) -> SqlResult<()> {
    for queue in reading(session, bounded).await? {
        let is_full = match queue.limit() {
            Some(limit) => reading(session, async |session| holds(session, &queue.name, limit).await).await?,
            None => false,
        };
        let sql = match (queue.is_full, is_full) {
            (false, true) => "INSERT INTO sys.full_queues (queue) VALUES ($1) ON CONFLICT DO NOTHING",
            (true, false) => "DELETE FROM sys.full_queues WHERE queue = $1",
            _ => continue,
        };
        session.run(sql, [Datum::Text(queue.name)].into()).await?;
    }
    Ok(())
}

async fn bounded<D: Database>(session: &mut Session<D>) -> SqlResult<Vec<Bounded>> {
    let sql = "SELECT coalesce(q.name, f.queue), q.capacity, f.queue IS NOT NULL \
               FROM (SELECT name, capacity FROM sys.queues WHERE capacity IS NOT NULL) q \
               FULL JOIN sys.full_queues f ON f.queue = q.name";
    let answer = session.run(sql, Vec::new()).await?;
    let bounded = |row: Vec<Datum>| match &row[..] {
        [Datum::Text(name), capacity, Datum::Bool(is_full)] => Some(Bounded {
            name: name.clone(),
            capacity: if let Datum::Int4(capacity) = capacity { Some(i64::from(*capacity)) } else { None },
            is_full: *is_full,
        }),
        _ => None,
    };
    Ok(answer.rows.into_iter().filter_map(bounded).collect())
}

/// Whether a queue holds so many tasks that have not ended.
async fn holds<D: Database>(session: &mut Session<D>, queue: &str, limit: i64) -> SqlResult<bool> {
    let name = || Datum::Text(queue.into());
    let sql =
        "SELECT count(*) FROM sys.tasks WHERE state = 'running' AND worker > 0 AND (queue = $1) IS TRUE";
    let Some(Datum::Int8(running)) = session.run(sql, [name()].into()).await?.value().cloned() else {
        return Ok(false);
    };
    // No more are counted than matter.
    let sql = "SELECT count(*) FROM (SELECT FROM sys.tasks WHERE state = 'ready' AND queue = $1 LIMIT $2) r";
    let wanted = Datum::Int8((limit - running).max(0));
    let ready = session.run(sql, [name(), wanted].into()).await?;
    Ok(matches!(ready.value(), Some(Datum::Int8(ready)) if running + ready >= limit))
}
