//! The power of a node alone fails wherever it can: exhaustively, for one small workload.
//!
//! A node that is a cluster by itself works through the transactions of two clients once. Whenever what a power
//! failure would leave of its disk is about to change, because a write or a flush is submitted or done, that disk is
//! taken aside, with how much each client had been told by then. Each is then booted as the failure may have left it,
//! and has to show what was told, and nothing that was not asked for. So one run is enough for all boundaries.

mod history;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cluster_node::Planted;
use drivers_api::{Level, Mtu};
use drivers_sim::{Arrived, DiskFaults, SimDisk};
use tests_workloads::{Failure, Row, World, below};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::host::Host;
use history::{CLIENTS, History, Shown, TABLES};

/// The smallest disk: its ring has 2 MiB, less than what the transactions write.
const DISK_SECTORS: u64 = 8 * 2048;

/// It grows while the node is at work.
const DISK_SECTORS_LATER: u64 = DISK_SECTORS + 3000;

/// A quarter of it is for rows that are in no table yet.
const TABLES_LEN_MAX: usize = 384 << 10;

/// Longer than answers take, so that a client that is told too early knows before the disk has done its work.
const DISK_LATENCY: Duration = Duration::from_millis(4);

const MINUTE: Duration = Duration::from_secs(60);

/// One request in ten takes up to so much longer.
const DISK_SPIKE: Duration = Duration::from_millis(60);

/// Clients rest for less than so long after each transaction: now the disk has time to merge tables, now it lags behind.
const PAUSE_MICROS: u64 = 60_000;

/// One table is read every ten seconds.
const SCRUBBING_MINUTES: u32 = 10;

/// The node goes on for so long after the last transaction: what is only in memory then stays there.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// The power fails again once recovery has made fewer than so many requests, if it makes as many.
const RECOVERY_REQUESTS: u64 = 40;

/// Marks that only damage explains: what a failure of the power leaves must not be taken for it.
const DAMAGE: [&str; 5] = [
    "a damaged region with intact records behind it was passed",
    "a record whose header alone is intact proved that damage precedes it",
    "consensus: a member that lost entries did not stand",
    "node: none of the tables could be read any more",
    "node: something of the tables could not be read any more",
];

/// One failure of the power. Its [`fmt::Display`] is what [`Cut::parse`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    boundary: u64,
    arrived: Arrived,
}

impl Cut {
    /// What is written as `BOUNDARY:ARRIVED`.
    pub fn parse(text: &str) -> Option<Cut> {
        let (boundary, name) = text.split_once(':')?;
        let boundary = boundary.parse().ok()?;
        let arrived = Cut::kinds(boundary).into_iter().find(|kind| format!("{kind:?}") == name)?;
        Some(Cut { boundary, arrived })
    }

    /// What may have arrived, of which one is a matter of chance.
    fn kinds(boundary: u64) -> [Arrived; 5] {
        let drawn = if boundary.is_multiple_of(2) { Arrived::Writes } else { Arrived::Sectors };
        [Arrived::Nothing, Arrived::Everything, Arrived::Newest, Arrived::Oldest, drawn]
    }

    fn seed(self) -> u64 {
        self.boundary << 8 | self.arrived as u64
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.boundary, self.arrived)
    }
}

/// What a run has covered.
#[derive(Debug)]
pub struct Covered {
    /// How often what a failure leaves was about to change.
    pub boundaries: u64,
    /// How many failures that amounts to.
    pub cuts: u64,
    /// Bytes of SQL, nearly all of them values, that the clients sent: so much went through the ring.
    pub sent_len: u64,
    /// What the node reached while the power was on.
    pub marks: BTreeMap<&'static str, bool>,
    /// What `sys.storage` said in the end, by column.
    pub storage: BTreeMap<&'static str, u64>,
}

/// What a failure led to.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The first that was found.
    pub cut: Cut,
    /// What was wrong then.
    pub what: String,
}

/// A disk as it is while the power is on.
struct Boundary {
    number: u64,
    /// How many transactions each client was told of; it has asked for one more, unless these are all.
    told: [usize; CLIENTS],
    disk: SimDisk,
}

/// What the threads share that boot disks.
struct Search {
    planted: Planted,
    only: Option<Cut>,
    histories: [History; CLIENTS],
    lost: Mutex<Option<Lost>>,
    cuts: AtomicU64,
}

/// Lets the power fail wherever it can, or only there; the first failure after which something is wrong.
pub fn cut_power_everywhere(planted: Planted, only: Option<Cut>) -> Result<Covered, Lost> {
    let histories = std::array::from_fn(History::of);
    let search = Search { planted, only, histories, lost: Mutex::default(), cuts: AtomicU64::new(0) };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    // As few disks as keep all threads busy.
    let (sender, receiver) = sync_channel(threads);
    let receiver = Mutex::new(receiver);
    let mut covered = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| search.run(&receiver));
        }
        work(planted, &search.histories, sender)
    });
    covered.cuts = search.cuts.into_inner();
    match search.lost.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(lost) => Err(lost),
        None => Ok(covered),
    }
}

/// Runs the workload, and hands over a disk at each boundary.
fn work(planted: Planted, histories: &[History], sender: SyncSender<Boundary>) -> Covered {
    let mut disk = SimDisk::new(DISK_SECTORS, 1);
    // Whatever does not wait for another may be done long before it.
    disk.faults = DiskFaults { reorder: true, spikes_per_million: 100_000, spike: DISK_SPIKE, ..disk.faults };
    let mut cluster = machine(planted, disk, 1);
    let told = Rc::new(Cell::new([0; CLIENTS]));
    let boundaries = Rc::new(Cell::new(0));
    let (seen, number) = (told.clone(), boundaries.clone());
    cluster.observe_disk(1, move |disk| {
        number.set(number.get() + 1);
        let boundary = Boundary { number: number.get(), told: seen.get(), disk: disk.clone() };
        // Nobody listens any more once something was found.
        let _ = sender.send(boundary);
    });
    cluster.start(1);
    for (client, history) in histories.iter().enumerate() {
        let (host, told) = (cluster.host(), told.clone());
        cluster.spawn(run_client(host, client, history.statements.clone(), told));
    }
    let all = histories.iter().map(|history| history.statements.len());
    let all: Vec<usize> = all.collect();
    let half = |_: &Cluster| told.get().iter().zip(&all).all(|(told, all)| 2 * told > *all);
    assert!(cluster.run_until_so(MINUTE, half), "a minute is enough for half of the transactions");
    cluster.resize_disk(1, DISK_SECTORS_LATER);
    assert!(
        cluster.run_until_so(MINUTE, |_| told.get()[..] == all),
        "a minute is enough for all transactions"
    );
    cluster.run(AFTERWARDS);
    let storage = storage(&mut cluster).expect("the node answers");
    let statements = histories.iter().flat_map(|history| &history.statements);
    let sent_len = statements.map(|sql| sql.len() as u64).sum();
    Covered { boundaries: boundaries.get(), cuts: 0, sent_len, marks: cluster.marks(), storage }
}

async fn run_client(host: Host, client: usize, statements: Vec<String>, told: Rc<Cell<[usize; CLIENTS]>>) {
    let mut connection = Client::connect(&host, 1).await.expect("there is room");
    for sql in statements {
        // One that was refused, because the other client's came first, has changed nothing.
        while let Err(failure) = connection.query(&sql).await {
            assert!(failure.is("40001"), "{failure}");
        }
        let mut all = told.get();
        all[client] += 1;
        told.set(all);
        host.sleep(Duration::from_micros(below(&host, PAUSE_MICROS))).await;
    }
}

/// A machine with this disk, switched off.
fn machine(planted: Planted, mut disk: SimDisk, seed: u64) -> Cluster {
    disk.latency = DISK_LATENCY;
    let mut cluster = Cluster::switched_off(1, 0, seed, 0, &[Mtu::JUMBO]);
    let options = cluster.options(1);
    (options.tables_len_max, options.planted) = (TABLES_LEN_MAX, planted);
    cluster.put_disk(1, disk);
    cluster
}

impl Search {
    /// Boots disks until there are no more, or one has lost something.
    fn run(&self, boundaries: &Mutex<Receiver<Boundary>>) {
        loop {
            let next = boundaries.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(boundary) = next else { return };
            for arrived in Cut::kinds(boundary.number) {
                let cut = Cut { boundary: boundary.number, arrived };
                if self.only.is_some_and(|only| only != cut) || self.is_found_before(cut) {
                    continue;
                }
                self.cuts.fetch_add(1, Ordering::Relaxed);
                let tried = catch_unwind(AssertUnwindSafe(|| self.try_cut(&boundary, cut)));
                if let Err(what) = tried.unwrap_or_else(|_| Err("a panic, see above".into())) {
                    self.note(Lost { cut, what });
                }
            }
        }
    }

    fn is_found_before(&self, cut: Cut) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.as_ref().is_some_and(|lost| lost.cut.boundary <= cut.boundary)
    }

    fn note(&self, found: Lost) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.as_ref().is_none_or(|lost| found.cut.boundary < lost.cut.boundary) {
            *lost = Some(found);
        }
    }

    /// The power fails, again while the node recovers, and once more when it has shown what it has.
    fn try_cut(&self, boundary: &Boundary, cut: Cut) -> Result<(), String> {
        let disk = boundary.disk.crashed(cut.arrived, cut.seed());
        let mut cluster = machine(self.planted, disk, cut.seed());
        let requests = cluster.below(RECOVERY_REQUESTS);
        cluster.start(1);
        cluster.crash_after_requests(1, requests as u32);
        if !cluster.run_until_so(MINUTE, |cluster| !cluster.is_up(1) || cluster.is_well(1)) {
            return Err("the node does not recover".into());
        }
        if cluster.is_up(1) {
            cluster.crash(1);
        }
        cluster.start(1);
        let shown = show(&mut cluster)?;
        for (client, history) in self.histories.iter().enumerate() {
            history.compare(&shown[client], boundary.told[client])?;
        }
        ask(&mut cluster, "CREATE TABLE afterwards (id bigint PRIMARY KEY)")?;
        ask(&mut cluster, "INSERT INTO afterwards VALUES (1)")?;
        cluster.crash(1);
        cluster.start(1);
        if show(&mut cluster)? != shown
            || ask(&mut cluster, "SELECT id FROM afterwards")? != [[Some("1".into())]]
        {
            return Err("another power failure has lost what was acknowledged".into());
        }
        if cut.arrived == Arrived::Newest {
            scrub(&mut cluster)?;
        }
        complaint(&cluster).map_or(Ok(()), Err)
    }
}

/// What the node, or whoever watches it, says that no failure of the power explains.
fn complaint(cluster: &Cluster) -> Option<String> {
    let marks = cluster.marks();
    let mark = DAMAGE.iter().find(|name| marks[**name]).map(|name| name.to_string());
    let error = cluster.console(1).iter().find(|(level, _)| *level == Level::Error);
    mark.or(error.map(|(_, line)| line.clone())).or(cluster.violation().map(str::to_string))
}

/// Everything that the node shows.
fn show(cluster: &mut Cluster) -> Result<[Shown; CLIENTS], String> {
    let mut shown = [const { Shown::new() }; CLIENTS];
    for (client, table) in
        (0..).zip(TABLES).flat_map(|(client, tables)| tables.iter().map(move |table| (client, *table)))
    {
        match query(cluster, &format!("SELECT id, v FROM {table} ORDER BY id"))? {
            Ok(rows) => {
                let row = |row: &Row| {
                    let id = row.first()?.as_ref()?.parse().ok()?;
                    Some((id, row.get(1)?.clone()?))
                };
                let rows: Option<_> = rows.iter().map(row).collect();
                shown[client].insert(table, rows.ok_or("a row that is none")?);
            }
            Err(Failure::Server(state, _)) if state == "42P01" => {}
            Err(failure) => return Err(format!("{table}: {failure}")),
        }
    }
    Ok(shown)
}

/// Lets the node read its tables from end to end, also what nobody asks for any more.
fn scrub(cluster: &mut Cluster) -> Result<(), String> {
    for _ in 0..SCRUBBING_MINUTES {
        let storage = storage(cluster)?;
        if storage["scrubbed_bytes"] >= storage["file_bytes"] {
            return Ok(());
        }
        cluster.run(MINUTE);
    }
    Err("the tables are not read through".into())
}

/// Numbers of `sys.storage`.
fn storage(cluster: &mut Cluster) -> Result<BTreeMap<&'static str, u64>, String> {
    const COLUMNS: [&str; 4] = ["journal_total", "files", "file_bytes", "scrubbed_bytes"];
    let rows = ask(cluster, &format!("SELECT {} FROM sys.storage", COLUMNS.join(", ")))?;
    let number = |cell: &Option<String>| cell.as_ref().and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(COLUMNS.into_iter().zip(rows.iter().flatten().map(number)).collect())
}

fn ask(cluster: &mut Cluster, sql: &str) -> Result<Vec<Row>, String> {
    query(cluster, sql)?.map_err(|failure| format!("{sql}: {failure}"))
}

/// As [`crate::ask`], for a node that need not answer. On a disk as small as this one, what a statement reads may be
/// forgotten beneath it, so that others can write: it is asked again.
fn query(cluster: &mut Cluster, sql: &str) -> Result<Result<Vec<Row>, Failure>, String> {
    let (host, statement) = (cluster.host(), sql.to_string());
    let asked = cluster.run_until(MINUTE, async move {
        let mut client = Client::connect(&host, 1).await?;
        loop {
            match client.query(&statement).await {
                Err(failure) if failure.is("72000") => {}
                answered => return answered.map(|answer| answer.rows),
            }
        }
    });
    asked.ok_or_else(|| format!("{sql}: no answer"))
}
