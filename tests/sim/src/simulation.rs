//! One seed, from blank disks to the last check.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cluster_node::Health;
use drivers_api::Level;
use tests_workloads::{Connection, Pace, Tally, Workload, World, query_anywhere, run_client};

use crate::cluster::Cluster;
use crate::faults::{DISK_SECTORS, Injector, give_blank_disk};
use crate::host::Host;
use crate::options::Options;
use crate::report::Counts;
use crate::trace::Trace;

/// A healthy cluster has set up its tables within this.
const SETUP_WITHIN: Duration = Duration::from_secs(60);

/// Every workload has committed something within this, once all faults have ended. Clients may still wait
/// for answers that were lost, and links for their next attempt.
const PROGRESS_WITHIN: Duration = Duration::from_secs(60);

/// Clients that were told to stop have ended within this.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// All nodes have applied the same within this.
const AGREED_WITHIN: Duration = Duration::from_secs(20);

/// How often the nodes are asked how far they are.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A simulation that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its length.
    pub simulated: Duration,
    /// What happened: equal for equal seeds.
    pub trace: Trace,
    /// Transactions.
    pub tally: Tally,
    /// Whether what was committed was looked for in the end. Beyond the bound there may be no one to ask.
    pub is_checked: bool,
    /// Faults.
    pub counts: Counts,
    /// Rare branches, and whether a node has reached them.
    pub marks: BTreeMap<&'static str, bool>,
}

/// A simulation that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its options.
    pub options: Box<Options>,
    /// What was found, and when.
    pub what: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\nFAILED: {}", self.options, self.what)
    }
}

struct Running {
    workload: Arc<dyn Workload<Host>>,
    pace: Arc<Pace>,
    clients: u64,
}

/// A simulation under way.
pub struct Simulation {
    options: Options,
    cluster: Cluster,
    injector: Injector,
    running: Vec<Running>,
    ended: Rc<Cell<u64>>,
}

impl Simulation {
    /// Runs what the options say. A panic, wherever it is, is a finding.
    pub fn run(options: &Options) -> Result<Outcome, Failed> {
        let mut simulation = Simulation::new(options.clone());
        let result = catch_unwind(AssertUnwindSafe(|| simulation.phases()));
        let result = result.unwrap_or_else(|panic| Err(format!("a panic: {}", panic_message(&*panic))));
        let options = Box::new(options.clone());
        result.map_err(|what| Failed { options, what: simulation.describe(&what) })
    }

    fn new(options: Options) -> Simulation {
        let founders = options.nodes - options.joiners;
        let (seed, joiners) = (options.seed, options.joiners.into());
        let mut cluster = Cluster::switched_off(founders.into(), joiners, seed, DISK_SECTORS);
        cluster.network.latency = options.wire_latency;
        for id in 1..=options.nodes {
            cluster.disk(id).latency = options.disk_latency;
            let limits = cluster.options(id);
            (limits.tables_len_max, limits.log_len_max) = (options.tables_len_max, options.log_len_max);
            limits.append_len_max = options.append_len_max;
            limits.planted = options.planted;
            let lease = if options.lease { "on" } else { "off" };
            let priority = u8::from(options.preferred == Some(id));
            cluster.set_settings(id, &format!("relix.lease={lease} relix.priority={priority}"));
        }
        (1..=founders).for_each(|id| cluster.start(id));
        let injector = Injector::new(&options);
        let running = options.workloads.iter().map(|(kind, clients)| Running {
            workload: kind.make(),
            pace: Arc::new(Pace::new(options.think)),
            clients: *clients,
        });
        let running = running.collect();
        Simulation { options, cluster, injector, running, ended: Rc::default() }
    }

    fn phases(&mut self) -> Result<Outcome, String> {
        self.set_up()?;
        self.safety()?;
        let is_checked = match self.options.beyond_bound {
            true => self.truthfulness()?,
            false => {
                self.liveness()?;
                self.agreement()?;
                self.checks()?;
                // What the disks hold is what the tables showed.
                (1..=self.options.nodes).for_each(|id| self.cluster.crash(id));
                (1..=self.options.nodes).for_each(|id| self.cluster.start(id));
                self.agreement()?;
                self.checks()?;
                self.writes()?;
                true
            }
        };
        self.alarms()?;
        Ok(Outcome {
            simulated: self.cluster.host().now(),
            trace: self.cluster.trace(),
            tally: self.tally(),
            is_checked,
            counts: self.injector.counts(&self.cluster),
            marks: self.cluster.marks(),
        })
    }

    fn set_up(&mut self) -> Result<(), String> {
        for Running { workload, .. } in &self.running {
            let (host, workload) = (self.cluster.host(), workload.clone());
            let name = workload.name();
            let done = self.cluster.run_until(SETUP_WITHIN, async move { workload.setup(&host).await });
            done.ok_or_else(|| format!("{name} is not set up within {SETUP_WITHIN:?}"))?;
        }
        for Running { workload, pace, clients } in &self.running {
            for client in 0..*clients {
                let (host, workload, pace) = (self.cluster.host(), workload.clone(), pace.clone());
                let ended = self.ended.clone();
                self.cluster.spawn(async move {
                    run_client(&*workload, &host, client, &pace).await;
                    ended.set(ended.get() + 1);
                });
            }
        }
        Ok(())
    }

    fn safety(&mut self) -> Result<(), String> {
        let end = self.cluster.now() + self.options.safety;
        while self.cluster.now() < end {
            self.injector.disturb(&mut self.cluster);
            self.verdicts()?;
            self.alarms()?;
        }
        Ok(())
    }

    /// All faults have ended: everyone gets on.
    fn liveness(&mut self) -> Result<(), String> {
        self.injector.mend_all(&mut self.cluster);
        let before: Vec<u64> = self.running.iter().map(|one| one.pace.tally().committed).collect();
        let end = self.cluster.now() + PROGRESS_WITHIN;
        loop {
            let now: Vec<u64> = self.running.iter().map(|one| one.pace.tally().committed).collect();
            let Some(stuck) = now.iter().zip(&before).position(|(now, before)| now <= before) else { break };
            if self.cluster.now() >= end {
                let name = self.running[stuck].workload.name();
                return Err(format!(
                    "{name} makes no progress within {PROGRESS_WITHIN:?} after the last fault"
                ));
            }
            self.cluster.run(LOOK_AGAIN);
        }
        self.running.iter().for_each(|one| one.pace.stop());
        let clients: u64 = self.running.iter().map(|one| one.clients).sum();
        let end = self.cluster.now() + ENDED_WITHIN;
        // Whoever was asked to leave the cluster has left it or will not.
        while self.ended.get() < clients || self.injector.calls() > 0 {
            if self.cluster.now() >= end {
                let waiting = clients - self.ended.get() + self.injector.calls();
                return Err(format!("{waiting} clients do not end within {ENDED_WITHIN:?}"));
            }
            self.cluster.run(LOOK_AGAIN);
        }
        Ok(())
    }

    /// More was destroyed than a cluster can survive: what it still shows is true. False if it shows nothing.
    fn truthfulness(&mut self) -> Result<bool, String> {
        self.injector.mend_all(&mut self.cluster);
        self.cluster.run(PROGRESS_WITHIN);
        self.verdicts()?;
        self.running.iter().for_each(|one| one.pace.stop());
        self.cluster.run(ENDED_WITHIN);
        let Some(table) = self.running.iter().flat_map(|one| one.workload.tables()).next() else {
            return Ok(false);
        };
        let sql = format!("SELECT count(*) FROM {}", table.name);
        let answers: Vec<u8> =
            (1..=self.options.nodes).filter(|node| self.ask(*node, sql.clone()).is_ok()).collect();
        self.check_at(&answers)?;
        Ok(!answers.is_empty())
    }

    /// Consensus has kept its promises, and no node has found that its tables, or its ledger, differ from the
    /// others'.
    fn alarms(&self) -> Result<(), String> {
        if let Some(what) = self.cluster.violation() {
            return Err(what.into());
        }
        for id in 1..=self.options.nodes {
            let alarm = |line: &&(Level, String)| {
                line.0 == Level::Error
                    && (line.1.contains("differ") || line.1.contains("refused the history"))
            };
            if let Some((_, line)) = self.cluster.console(id).iter().find(alarm) {
                return Err(format!("node {id} says: {line}"));
            }
        }
        Ok(())
    }

    /// All nodes are members, have applied the same, and show the same.
    fn agreement(&mut self) -> Result<(), String> {
        let end = self.cluster.now() + AGREED_WITHIN;
        loop {
            let health: Vec<_> = (1..=self.options.nodes).map(|id| self.cluster.health(id)).collect();
            if agree(&health)? {
                break;
            }
            if self.cluster.now() >= end {
                return Err(format!("the nodes do not agree within {AGREED_WITHIN:?}: {health:?}"));
            }
            // Removals that were asked for took place late. One at a time comes back: were all founders blank at
            // once, they would found a new cluster.
            let removed = |one: &Option<Health>| one.is_some_and(|one| one.is_removed);
            let well = |one: &Option<Health>| one.is_some_and(|one| one.is_member && one.is_whole);
            if let Some(index) = health.iter().position(removed)
                && health.iter().all(|one| removed(one) || well(one))
            {
                give_blank_disk(&mut self.cluster, index as u8 + 1);
            }
            self.cluster.run(LOOK_AGAIN);
        }
        let tables: Vec<_> = self.running.iter().flat_map(|one| one.workload.tables()).copied().collect();
        for table in tables {
            let sql = format!("SELECT * FROM {} ORDER BY {}", table.name, table.order);
            let shown = (1..=self.options.nodes).map(|node| self.ask(node, sql.clone()));
            let shown: Vec<_> = shown.collect::<Result<_, _>>()?;
            if let Some(other) = shown.iter().position(|rows| *rows != shown[0]) {
                let node = other + 1;
                return Err(format!("nodes 1 and {node} do not show the same rows of {}", table.name));
            }
        }
        Ok(())
    }

    /// Every node takes a write, which every node then shows.
    fn writes(&mut self) -> Result<(), String> {
        let host = self.cluster.host();
        let table =
            async move { query_anywhere(&host, "CREATE TABLE probes (node bigint PRIMARY KEY)").await };
        self.cluster.run_until(SETUP_WITHIN, table).ok_or("no table can be made")?;
        for node in 1..=self.options.nodes {
            let host = self.cluster.host();
            let insert = format!("INSERT INTO probes VALUES ({node})");
            let written = self.cluster.run_until(PROGRESS_WITHIN, async move {
                loop {
                    let attempt = async { host.connect(node).await?.query(&insert).await };
                    match attempt.await {
                        // What was of unknown fate took place.
                        Ok(_) => return,
                        Err(failure) if failure.is("23505") => return,
                        Err(_) => host.sleep(LOOK_AGAIN).await,
                    }
                }
            });
            written.ok_or_else(|| format!("node {node} takes no write within {PROGRESS_WITHIN:?}"))?;
        }
        let written: Vec<_> = (1..=self.options.nodes).map(|node| vec![Some(node.to_string())]).collect();
        for node in 1..=self.options.nodes {
            let shown = self.ask(node, "SELECT node FROM probes ORDER BY node".into())?;
            if shown != written {
                return Err(format!("node {node} shows {shown:?} where {written:?} was written"));
            }
        }
        Ok(())
    }

    fn ask(&mut self, node: u8, sql: String) -> Result<Vec<tests_workloads::Row>, String> {
        let host = self.cluster.host();
        let asked = self.cluster.run_until(SETUP_WITHIN, async move {
            let answer = async { host.connect(node).await?.query(&sql).await }.await;
            answer.map(|answer| answer.rows).map_err(|failure| format!("node {node}: {sql}: {failure}"))
        });
        asked.unwrap_or_else(|| Err(format!("node {node} does not answer")))
    }

    fn checks(&mut self) -> Result<(), String> {
        let nodes: Vec<u8> = (1..=self.options.nodes).collect();
        self.check_at(&nodes)
    }

    fn check_at(&mut self, nodes: &[u8]) -> Result<(), String> {
        for index in 0..self.running.len() {
            for &node in nodes {
                let (host, workload) = (self.cluster.host(), self.running[index].workload.clone());
                let name = workload.name();
                let checked = self.cluster.run_until(SETUP_WITHIN, async move {
                    let mut connection = host.connect(node).await.map_err(|failure| failure.to_string())?;
                    workload.check(&host, &mut connection).await
                });
                let checked = checked.unwrap_or_else(|| Err("no answer".into()));
                checked.map_err(|wrong| format!("{name}, checked at node {node}: {wrong}"))?;
            }
        }
        self.verdicts()?;
        let wrong = |one: &Running, wrong| format!("{}: {wrong}", one.workload.name());
        self.running.iter().try_for_each(|one| one.workload.final_verdict().map_err(|what| wrong(one, what)))
    }

    fn verdicts(&self) -> Result<(), String> {
        let wrong = |one: &Running, wrong| format!("{}: {wrong}", one.workload.name());
        self.running.iter().try_for_each(|one| one.workload.verdict().map_err(|what| wrong(one, what)))
    }

    fn tally(&self) -> Tally {
        self.running.iter().map(|one| one.pace.tally()).fold(Tally::default(), |sum, one| Tally {
            committed: sum.committed + one.committed,
            refused: sum.refused + one.refused,
            unknown: sum.unknown + one.unknown,
        })
    }

    /// What went wrong, when, and what the nodes said last.
    fn describe(&self, what: &str) -> String {
        let seconds = self.cluster.now().as_micros() as f64 / 1e6;
        let mut text = format!("at {seconds:.6} s: {what}\n");
        for id in 1..=self.options.nodes {
            let lines = self.cluster.console(id);
            for (level, line) in &lines[lines.len().saturating_sub(4)..] {
                text += &format!("  node {id} {} {line}\n", level.label());
            }
        }
        text
    }
}

/// Whether all are members and whole and have applied the same, which must then amount to the same.
fn agree(health: &[Option<Health>]) -> Result<bool, String> {
    let Some(Some(first)) = health.first() else { return Ok(false) };
    let ready = |one: &Option<Health>| {
        one.is_some_and(|one| one.is_member && one.is_whole && one.applied == first.applied)
    };
    if !health.iter().all(ready) {
        return Ok(false);
    }
    let differs = |one: &Health| {
        let ledgers = one.ledger.zip(first.ledger);
        one.state != first.state || ledgers.is_some_and(|(own, others)| own != others)
    };
    match health.iter().flatten().any(differs) {
        false => Ok(true),
        true => Err(format!("tables or ledgers differ at the same version: {health:?}")),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".into())
}
