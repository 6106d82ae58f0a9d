//! Tasks: how many a cluster runs in a second, and how long one waits for it, by policy and number of queues.
//!
//! Every task runs the program "statement", whose statement tells the bench that it has run, in the transaction that ends the
//! task. A burst is inserted while its queues are paused, and its clock runs from their release. What is *offered* comes one
//! task at a time, at a pace that does not heed how long they take.
//!
//! *Assigned/s* is of bursts that workers are given while they hold, so that they begin none of it: the scheduler alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tests_bench::report::shown;
use tests_bench::spread::Spread;
use tests_workloads::add_statement_program;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::session::{Session, ask, number, run};
use crate::subject::Subject;

/// The policies that DBOS measured.
const POLICIES: [&str; 3] = ["fifo", "least_loaded", "locality"];

/// What tasks tell when they run.
const CHANNEL: &str = "bench_ran";

/// Connections that offer tasks.
const OFFERING: usize = 4;

/// How much work a run is.
pub struct Effort {
    pub policies: usize,
    pub queues: &'static [i64],
    /// Bursts that are assigned and not run.
    pub bursts: u32,
    /// Tasks of a burst that is run.
    pub tasks: i64,
    /// How long tasks are offered.
    pub offered: Duration,
}

/// How a queue is set up: its name is a number.
struct Setting {
    policy: &'static str,
    queues: i64,
}

/// What came of it.
struct Figures {
    assigned_per_second: f64,
    ran_per_second: f64,
    offered_per_second: f64,
    /// From a task's insertion to its assignment, as its row says.
    assigned: Spread,
    /// From when it was sent to when the bench was told that it had run.
    ran: Spread,
    /// Attempts that failed, and were made again.
    failures: i64,
}

/// Measures and prints.
///
/// # Panics
/// If a task is not run, or more than once.
pub async fn measure(subject: &Subject, effort: &Effort) -> Result<(), Error> {
    run(subject.leader(), &add_statement_program()).await?;
    // A chore of the cluster would be one task more.
    run(subject.leader(), "DELETE FROM sys.schedules").await?;
    let heading = [
        "policy, queues",
        "assigned/s",
        "run/s",
        "offered/s",
        "p50 ms to assigned",
        "p99 ms to assigned",
        "p50 ms to told",
        "p99 ms to told",
        "failed",
    ];
    let mut table = vec![heading.map(String::from).to_vec()];
    for policy in &POLICIES[..effort.policies] {
        for queues in effort.queues {
            let setting = Setting { policy, queues: *queues };
            let figures = figures(subject, &setting, effort).await?;
            let mut line = vec![format!("{policy}, {queues}")];
            let numbers = [
                figures.assigned_per_second,
                figures.ran_per_second,
                figures.offered_per_second,
                figures.assigned.p50_ms(),
                figures.assigned.p99_ms(),
                figures.ran.p50_ms(),
                figures.ran.p99_ms(),
            ];
            line.extend(numbers.map(|number| shown(Some(number))));
            line.push(figures.failures.to_string());
            table.push(line);
        }
    }
    subject.print("Tasks", &table);
    Ok(())
}

async fn figures(subject: &Subject, setting: &Setting, effort: &Effort) -> Result<Figures, Error> {
    prepare(subject, setting).await?;
    let assigned_per_second = assign(subject, setting, effort.bursts).await?;
    // The first ones wait for the program to be made ready, once in each node.
    let (_, first_failures) = burst(subject, setting, effort.tasks / 10).await?;
    let (ran, failures) = burst(subject, setting, effort.tasks).await?;
    let ran_per_second = effort.tasks as f64 / ran.as_secs_f64();
    let offered_per_second = (ran_per_second / 4.0).max(1.0);
    let (assigned, ran, more) = offer(subject, setting, offered_per_second, effort.offered).await?;
    Ok(Figures {
        assigned_per_second,
        ran_per_second,
        offered_per_second,
        assigned,
        ran,
        failures: first_failures + failures + more,
    })
}

/// Makes the queues, and no others but the default one, which stays empty.
async fn prepare(subject: &Subject, Setting { policy, queues }: &Setting) -> Result<(), Error> {
    let sql = format!(
        "DELETE FROM sys.queues WHERE name ~ '^[0-9]'; \
         INSERT INTO sys.queues (name, policy) SELECT n::text, '{policy}' FROM generate_series(0, {queues} - 1) n"
    );
    run(subject.leader(), &sql).await
}

/// What makes the task `$1` of the queues, of which there are `$2`; each has a home, which one policy heeds.
fn insert(subject: &Subject, rows: &str) -> String {
    format!(
        "INSERT INTO sys.tasks (queue, program, arguments, home) \
         SELECT (n % $2)::text, 'statement', to_jsonb('SELECT pg_notify(''{CHANNEL}'', ''' || n || ''')'), \
         (1 + n % {})::integer FROM {rows}",
        subject.ports.len()
    )
}

/// Tasks that workers of three nodes have room for at once, if they hold.
const HELD: i64 = 700;

/// How many tasks a second are given to workers that hold them, in so many bursts.
async fn assign(subject: &Subject, setting: &Setting, bursts: u32) -> Result<f64, Error> {
    run(subject.leader(), "UPDATE sys.workers SET holding = true, capacity = 256").await?;
    let client = tests_bench::load::connect(subject.leader()).await?;
    let sql = insert(subject, "generate_series(1, $1) n");
    let statement = client.prepare_typed(&sql, &[Type::INT8, Type::INT8]).await?;
    let held =
        client.prepare("SELECT count(*) FROM sys.tasks WHERE state = 'running' AND worker > 0").await?;
    let mut taken = Duration::ZERO;
    for _ in 0..bursts {
        run(subject.leader(), "UPDATE sys.queues SET paused = true WHERE name ~ '^[0-9]'").await?;
        ask(&client, &statement, &[&HELD, &setting.queues]).await?;
        let started = Instant::now();
        run(subject.leader(), "UPDATE sys.queues SET paused = false WHERE name ~ '^[0-9]'").await?;
        while client.query_one(&held, &[]).await?.get::<_, i64>(0) < HELD {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        taken += started.elapsed();
        run(subject.leader(), "DELETE FROM sys.tasks").await?;
    }
    run(subject.leader(), "UPDATE sys.workers SET holding = false, capacity = 8").await?;
    Ok(HELD as f64 * f64::from(bursts) / taken.as_secs_f64())
}

/// How long a burst of so many tasks took, from the release of its queues until the bench is told that all have run; and
/// how many attempts failed.
async fn burst(subject: &Subject, setting: &Setting, tasks: i64) -> Result<(Duration, i64), Error> {
    let mut session = Session::listen(subject.leader(), CHANNEL).await?;
    run(subject.leader(), "UPDATE sys.queues SET paused = true WHERE name ~ '^[0-9]'").await?;
    let sql = insert(subject, "generate_series(1, $1) n");
    let statement = session.client.prepare_typed(&sql, &[Type::INT8, Type::INT8]).await?;
    ask(&session.client, &statement, &[&tasks, &setting.queues]).await?;
    let release =
        session.client.prepare("UPDATE sys.queues SET paused = false WHERE name ~ '^[0-9]'").await?;
    let started = Instant::now();
    ask(&session.client, &release, &[]).await?;
    told_of_all(&mut session, tasks).await;
    let ran = started.elapsed();
    let failures = clear(subject, tasks).await?;
    Ok((ran, failures))
}

/// When the bench was told of each of `tasks` tasks.
///
/// # Panics
/// If it is told of one twice, or of none.
async fn told_of_all(session: &mut Session, tasks: i64) -> BTreeMap<i64, Instant> {
    let mut told = BTreeMap::new();
    while (told.len() as i64) < tasks {
        let task = session.told().await.parse().expect("the number of a task");
        assert!(told.insert(task, Instant::now()).is_none(), "task {task} has run twice");
    }
    told
}

/// Deletes the tasks; how many attempts at them had failed before.
///
/// # Panics
/// If any was not run to its end.
async fn clear(subject: &Subject, tasks: i64) -> Result<i64, Error> {
    let done = "SELECT count(*) FROM sys.tasks WHERE state = 'done' AND ended_at IS NOT NULL";
    assert_eq!(number(subject.leader(), done).await?, tasks, "tasks that are done");
    assert_eq!(number(subject.leader(), "SELECT count(*) FROM sys.tasks").await?, tasks, "tasks");
    let failures = number(subject.leader(), "SELECT sum(failures)::bigint FROM sys.tasks").await?;
    run(subject.leader(), "DELETE FROM sys.tasks").await?;
    Ok(failures)
}

/// Offers so many tasks a second: how long each waited to be assigned, by its row, and to be told of, by the bench's clock.
/// They are inserted at the leader, whose clock then says both times of a row.
async fn offer(
    subject: &Subject,
    setting: &Setting,
    per_second: f64,
    duration: Duration,
) -> Result<(Spread, Spread, i64), Error> {
    let mut session = Session::listen(subject.leader(), CHANNEL).await?;
    let tasks = (per_second * duration.as_secs_f64()).max(1.0) as i64;
    let queues = setting.queues;
    let sent = tokio::spawn(send_at_pace(
        subject.leader(),
        insert(subject, "(SELECT $1 AS n) t"),
        tasks,
        queues,
        per_second,
    ));
    let told = told_of_all(&mut session, tasks).await;
    let sent = sent.await.expect("no client panics")?;
    let ran = sent.iter().map(|(task, at)| told[task] - *at).collect();
    let micros = "SELECT (EXTRACT(epoch FROM started_at - created_at) * 1000000)::bigint FROM sys.tasks";
    let rows = session.client.query(micros, &[]).await?;
    let assigned =
        rows.iter().map(|row| Duration::from_micros(row.get::<_, i64>(0).unsigned_abs())).collect();
    let failures = clear(subject, tasks).await?;
    Ok((assigned, ran, failures))
}

/// Inserts tasks at a pace: when each was sent.
async fn send_at_pace(
    port: u16,
    sql: String,
    tasks: i64,
    queues: i64,
    per_second: f64,
) -> Result<Vec<(i64, Instant)>, Error> {
    let mut clients = Vec::new();
    for _ in 0..OFFERING {
        let client = tests_bench::load::connect(port).await?;
        let statement = client.prepare_typed(&sql, &[Type::INT8, Type::INT8]).await?;
        clients.push(std::sync::Arc::new((client, statement)));
    }
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::new();
    let mut answers = Vec::new();
    for task in 1..=tasks {
        ticks.tick().await;
        sent.push((task, Instant::now()));
        let client = clients[task as usize % OFFERING].clone();
        answers
            .push(tokio::spawn(async move { ask(&client.0, &client.1, &[&task, &queues]).await.map(drop) }));
    }
    for answer in answers {
        answer.await.expect("no client panics")?;
    }
    Ok(sent)
}
