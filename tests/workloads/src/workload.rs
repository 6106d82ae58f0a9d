//! What every workload is: set up, then steps of many clients at once, then checks.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::expected::{Watched, WatchedConnection};
use crate::transaction::Fate;
use crate::world::{Connection, Failure, Row, World, below};

/// A client's future. It stays on its thread.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A pause before an unreachable node's successor is tried.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// A client that was refused this often in a row turns to another node.
const REFUSALS_MAX: u32 = 3;

/// A table of a workload: every node must show the same rows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What orders its rows.
    pub order: &'static str,
}

/// What became of one step.
pub type Step = Fate<()>;

/// What clients do, and what must hold.
pub trait Workload<W: World>: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Its tables.
    fn tables(&self) -> &'static [Table];

    /// Makes the tables, on a cluster that is well.
    fn setup<'a>(&'a self, world: &'a W) -> Task<'a, ()>;

    /// One transaction of one client.
    fn step<'a>(
        &'a self,
        world: &'a W,
        connection: &'a mut WatchedConnection<W>,
        client: u64,
    ) -> Task<'a, Step>;

    /// Whether what a node shows is right, when all clients have ended.
    fn check<'a>(&'a self, world: &'a W, connection: &'a mut W::Connection) -> Task<'a, Result<(), String>>;

    /// What clients have found wrong so far.
    fn verdict(&self) -> Result<(), String> {
        Ok(())
    }

    /// What can only be said in the end, when every node was checked.
    fn final_verdict(&self) -> Result<(), String> {
        self.verdict()
    }
}

/// How many transactions there were of each fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They took place.
    pub committed: u64,
    /// They did not.
    pub refused: u64,
    /// Nobody knows.
    pub unknown: u64,
}

/// How fast the clients of a workload go, how far they have come, and when they end.
#[derive(Debug, Default)]
pub struct Pace {
    /// The most a client waits between two transactions.
    pub think: Duration,
    stop: AtomicBool,
    committed: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    verdict: Verdict,
}

impl Pace {
    /// Clients that wait up to `think` between transactions.
    pub fn new(think: Duration) -> Pace {
        Pace { think, ..Pace::default() }
    }

    /// Lets the clients end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// How far they have come.
    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally { committed: read(&self.committed), refused: read(&self.refused), unknown: read(&self.unknown) }
    }

    /// The first failure that a client met and should not have.
    pub fn verdict(&self) -> Result<(), String> {
        self.verdict.get()
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, step: &Step) {
        let counter = match step {
            Fate::Committed(()) => &self.committed,
            Fate::Refused(_) => &self.refused,
            Fate::Unknown(_) => &self.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client: step after step until it is told to stop, at another node whenever one fails it.
pub async fn run_client<W: World>(workload: &dyn Workload<W>, world: &W, client: u64, pace: &Pace) {
    let mut node = (client % u64::from(world.nodes())) as u8;
    while pace.goes_on() {
        node = node % world.nodes() + 1;
        let connection = world.connect(node).await;
        if let Err(failure) = &connection
            && !failure.is_expected()
        {
            pace.verdict.wrong(format!("connecting to node {node}: {failure}"));
        }
        let Ok(connection) = connection else {
            world.sleep(RECONNECT_PAUSE).await;
            continue;
        };
        let (mut connection, mut refusals) = (Watched::new(connection), 0);
        while pace.goes_on() && refusals < REFUSALS_MAX {
            let step = workload.step(world, &mut connection, client).await;
            pace.note(&step);
            if let Some(strange) = connection.take_strange() {
                pace.verdict.wrong(strange);
            }
            match step {
                Fate::Committed(()) => refusals = 0,
                // cannot_connect_now, admin_shutdown: there is no use in asking this node again.
                Fate::Refused(failure)
                    if failure == Failure::Lost || failure.is("57P03") || failure.is("57P01") =>
                {
                    break;
                }
                Fate::Refused(_) => refusals += 1,
                _ => break,
            }
            world.sleep(think(world, pace.think)).await;
        }
        world.sleep(RECONNECT_PAUSE).await;
    }
}

fn think<W: World>(world: &W, most: Duration) -> Duration {
    Duration::from_micros(below(world, most.as_micros() as u64 + 1))
}

/// Runs one statement on any node that answers, turning to the next when one does not. For set-up and
/// checks: the statement may be run more than once.
pub async fn query_anywhere<W: World>(world: &W, sql: &str) -> Vec<Row> {
    loop {
        for node in 1..=world.nodes() {
            let attempt = async { world.connect(node).await?.query(sql).await };
            match attempt.await {
                Ok(answer) => return answer.rows,
                // Done by an earlier attempt: the table, or the rows, are there.
                Err(failure) if failure.is("42P07") || failure.is("23505") => return Vec::new(),
                Err(_) => world.sleep(RECONNECT_PAUSE).await,
            }
        }
    }
}

/// The first thing that clients found wrong.
#[derive(Debug, Default)]
pub(crate) struct Verdict(Mutex<Option<String>>);

impl Verdict {
    pub(crate) fn wrong(&self, what: String) {
        self.0.lock().expect("no client panics with it").get_or_insert(what);
    }

    pub(crate) fn get(&self) -> Result<(), String> {
        self.0.lock().expect("no client panics with it").clone().map_or(Ok(()), Err)
    }
}

/// The rows of a query of a check; a check's own failure is one, too.
pub(crate) async fn rows<C: Connection>(connection: &mut C, sql: &str) -> Result<Vec<Row>, String> {
    let answer = connection.query(sql).await;
    answer.map(|answer| answer.rows).map_err(|failure| format!("{sql}: {failure}"))
}

/// The numbers that a query of a check gives, one a row.
pub(crate) async fn column<C: Connection>(connection: &mut C, sql: &str) -> Result<Vec<i64>, String> {
    let found = rows(connection, sql).await?;
    let column: Option<_> = found.iter().map(|row| numbers(row)?.first().copied()).collect();
    column.ok_or_else(|| format!("{sql}: a row holds no number"))
}

/// The number that a query of a check gives.
pub(crate) async fn number<C: Connection>(connection: &mut C, sql: &str) -> Result<i64, String> {
    column(connection, sql).await?.first().copied().ok_or_else(|| format!("{sql}: there is no row"))
}

/// The numbers in a row; none if it holds anything else.
pub(crate) fn numbers(row: &Row) -> Option<Vec<i64>> {
    row.iter().map(|cell| cell.as_ref()?.parse().ok()).collect()
}
