//! Schedules: `sys.schedules`, whose ticks become tasks.
//!
//! The leader makes tasks of the ticks that are due, and is told when the next one is. Nothing of it is kept anywhere else:
//! another leader finds the same rows, and whoever is second meets a conflict, or a tick that has been.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cluster_calendar::{Cron, Timestamptz, Zone};
use cluster_sql::catalog::service_id;
use cluster_sql::database::Database;
use cluster_sql::types::{Array, Datum, Scalar};
use cluster_sql::{ServiceSchema, Session, SqlResult, SqlState};
use cluster_store::yield_now;

use crate::{micros_of, reading};

/// Its table.
pub const SCHEMA: ServiceSchema =
    ServiceSchema { number: 3, name: "schedules", sql: include_str!("schema.sql") };

/// `sys.schedules`
pub const SCHEDULES: u32 = service_id(SCHEMA.number, 0);

/// Ticks that are gone through between two pauses, in which others run.
const TICKS_PER_TURN: usize = 100;

/// How far ticks are looked for in the past, in hours: as far as it takes to find enough of them, a year at most.
const PAST_HOURS: [i64; 4] = [1, 24, 7 * 24, 366 * 24];

const HOUR_MICROS: i64 = 3600 * 1_000_000;

/// A schedule that is to be looked at.
struct Schedule {
    name: String,
    cron: String,
    timezone: String,
    backfill: usize,
    /// None if it is to be planned from now on.
    next: Option<Timestamptz>,
}

/// Makes tasks of the ticks that are due. Returns when the next one is, in microseconds since the Unix epoch, if any is to be.
pub async fn tick<D: Database>(session: &mut Session<D>) -> SqlResult<Option<i64>> {
    if reading(session, any_paused).await? {
        // Ticks that go by in a pause are not made up for.
        let sql =
            "UPDATE sys.schedules SET planned = NULL, next_at = NULL WHERE paused AND planned IS NOT NULL";
        session.run(sql, Vec::new()).await?;
    }
    let due = reading(session, due).await?;
    for schedule in &due {
        match ticks(schedule, session.transaction_micros()).await {
            Ok((ticks, next)) => match plan(session, schedule, ticks, Some(next), None).await {
                // Its queue does not take the task, or is full: whoever has made it so is to mend it. The next may be taken.
                Err(error)
                    if error.state == SqlState::LIMIT_REACHED
                        || error.is_of_statement() && error.state != SqlState::OUT_OF_MEMORY =>
                {
                    plan(session, schedule, VecDeque::new(), Some(next), Some(error.to_string())).await?;
                }
                planned => planned?,
            },
            Err(problem) => plan(session, schedule, VecDeque::new(), None, Some(problem)).await?,
        }
    }
    reading(session, next).await
}

/// Whether schedules are paused that were not.
async fn any_paused<D: Database>(session: &mut Session<D>) -> SqlResult<bool> {
    let sql = "SELECT FROM sys.schedules WHERE paused AND planned IS NOT NULL LIMIT 1";
    Ok(!session.run(sql, Vec::new()).await?.rows.is_empty())
}

/// The schedules that have ticks that are due, or are not planned as they are now.
async fn due<D: Database>(session: &mut Session<D>) -> SqlResult<Vec<Schedule>> {
    let answer = session
        .run(
            "SELECT name, cron, timezone, backfill, \
             CASE WHEN planned = cron || ' ' || timezone THEN next_at END \
             FROM sys.schedules WHERE NOT paused AND (next_at <= now() OR planned IS DISTINCT FROM cron || ' ' || timezone)",
            Vec::new(),
        )
        .await?;
    let schedule = |row: &Vec<Datum>| match &row[..] {
        [Datum::Text(name), Datum::Text(cron), Datum::Text(timezone), Datum::Int4(backfill), next] => {
            Some(Schedule {
                name: name.clone(),
                cron: cron.clone(),
                timezone: timezone.clone(),
                backfill: usize::try_from(*backfill).unwrap_or(1),
                next: if let Datum::Timestamptz(next) = next { Some(*next) } else { None },
            })
        }
        _ => None,
    };
    Ok(answer.rows.iter().filter_map(schedule).collect())
}

/// When the next tick of any is.
async fn next<D: Database>(session: &mut Session<D>) -> SqlResult<Option<i64>> {
    let sql = "SELECT min(next_at) FROM sys.schedules WHERE NOT paused AND next_at < 'infinity'";
    let answer = session.run(sql, Vec::new()).await?;
    Ok(micros_of(answer.value()))
}

/// The ticks that are due at `now`, as many as are made up for, and the one after them; or why there is none.
async fn ticks(schedule: &Schedule, now: i64) -> Result<(VecDeque<Timestamptz>, Timestamptz), String> {
    let cron = Cron::parse(&schedule.cron).map_err(|error| error.to_string())?;
    let zone = Zone::named(&schedule.timezone)
        .ok_or_else(|| format!("time zone \"{}\" is not known", schedule.timezone))?;
    let at = |micros| Timestamptz::from_unix_micros(micros).map_err(|error| error.to_string());
    let after = |moment| {
        cron.next_after(moment, &zone)
            .ok_or_else(|| format!("\"{}\" names no time there will be", schedule.cron))
    };
    let now = at(now)?;
    let planned = match schedule.next {
        // A change of the schedule counts from when it is seen.
        None => return Ok((VecDeque::new(), after(now)?)),
        Some(next) => next,
    };
    let mut found = (VecDeque::new(), planned);
    for hours in PAST_HOURS {
        let oldest = at(now.unix_micros().saturating_sub(hours * HOUR_MICROS))?;
        let (ticks, next) = &mut found;
        *next = if planned < oldest { after(oldest)? } else { planned };
        ticks.clear();
        let mut count = 0;
        while *next <= now {
            if ticks.len() >= schedule.backfill {
                ticks.pop_front();
            }
            ticks.push_back(*next);
            *next = after(*next)?;
            count += 1;
            if count % TICKS_PER_TURN == 0 {
                yield_now().await;
            }
        }
        if planned >= oldest || ticks.len() >= schedule.backfill {
            break;
        }
    }
    Ok(found)
}

/// Puts a task for each of the ticks into the queue, and writes when the next tick is, or why there is none; unless the
/// schedule has been changed, or another leader was here.
async fn plan<D: Database>(
    session: &mut Session<D>,
    schedule: &Schedule,
    ticks: VecDeque<Timestamptz>,
    next: Option<Timestamptz>,
    problem: Option<String>,
) -> SqlResult<()> {
    let ticks: Vec<Datum> = ticks.into_iter().map(Datum::Timestamptz).collect();
    let params = [
        Datum::Text(schedule.name.clone()),
        Datum::Text(format!("{} {}", schedule.cron, schedule.timezone)),
        schedule.next.map_or(Datum::Null, Datum::Timestamptz),
        Datum::Timestamptz(next.unwrap_or(Timestamptz::INFINITY)),
        problem.map_or(Datum::Null, Datum::Text),
        Datum::Array(Box::new(Array::new(Scalar::Timestamptz, ticks))),
    ];
    session
        .run(
            "WITH mine AS (UPDATE sys.schedules SET planned = $2, next_at = $4, error = $5, \
             last_at = coalesce((SELECT max(t) FROM unnest($6::timestamptz[]) t), last_at) \
             WHERE name = $1 AND cron || ' ' || timezone = $2 AND NOT paused \
             AND (planned IS DISTINCT FROM $2 OR next_at IS NOT DISTINCT FROM $3::timestamptz) RETURNING *) \
             INSERT INTO sys.tasks (queue, program, version, entry, arguments, priority, run_at, deduplication_key) \
             SELECT m.queue, m.program, m.version, m.entry, m.arguments, m.priority, t, \
             'schedule ' || m.name || ' ' || (EXTRACT(epoch FROM t) * 1000000)::bigint \
             FROM mine m, unnest($6::timestamptz[]) t ON CONFLICT DO NOTHING",
            params.into(),
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
