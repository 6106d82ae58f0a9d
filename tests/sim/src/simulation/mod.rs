//! One seed, from blank disks to the last check.

mod alarms;
mod final_checks;
mod liveness;
mod patience;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tests_workloads::{Pace, Tally, Workload, World, run_client};

use crate::cluster::Cluster;
use crate::faults::{FaultKind, Injector};
use crate::host::Host;
use crate::options::Options;
use crate::report::Counts;
use crate::trace::Trace;

/// A healthy cluster has set up its tables within this.
const SETUP_WITHIN: Duration = Duration::from_secs(60);

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
    /// Whether a majority of the voters had to get on alone. Not beyond the bound, nor if there was none that
    /// could.
    pub majority_alone: bool,
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
    /// How many lines of each node's console were looked at.
    lines_seen: Vec<usize>,
}

impl Simulation {
    /// Runs what the options say. A panic, wherever it is, is a finding.
    pub fn run(options: &Options) -> Result<Outcome, Failed> {
        let mut simulation = None;
        let result =
            catch_unwind(AssertUnwindSafe(|| simulation.insert(Simulation::new(options.clone())).phases()));
        let result = result.unwrap_or_else(|panic| Err(format!("a panic: {}", panic_message(&*panic))));
        let describe = |what: &str| match &simulation {
            Some(simulation) => simulation.describe(what),
            None => format!("before it began: {what}"),
        };
        result.map_err(|what| Failed { options: Box::new(options.clone()), what: describe(&what) })
    }

    /// Runs it twice: it must be the same simulation.
    pub fn run_twice(options: &Options) -> Result<Outcome, Failed> {
        let outcome = Simulation::run(options)?;
        let again = Simulation::run(options)?;
        if again.trace == outcome.trace {
            return Ok(outcome);
        }
        let (first, second) = (outcome.trace.hash, again.trace.hash);
        let what = format!(
            "run again, the trace was {second:016x} instead of {first:016x}: the simulator is not deterministic"
        );
        Err(Failed { options: Box::new(options.clone()), what })
    }

    fn new(options: Options) -> Simulation {
        let founders = options.nodes - options.joiners;
        let (seed, joiners) = (options.seed, options.joiners.into());
        let mut cluster =
            Cluster::switched_off(founders.into(), joiners, seed, options.disk_sectors, options.mtus);
        (1..options.fabrics).for_each(|_| cluster.add_fabric());
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
        let lines_seen = vec![0; options.nodes.into()];
        Simulation { options, cluster, injector, running, ended: Rc::default(), lines_seen }
    }

    fn phases(&mut self) -> Result<Outcome, String> {
        self.set_up()?;
        self.safety()?;
        let mut majority_alone = false;
        let is_checked = match self.options.beyond_bound {
            true => self.truthfulness()?,
            false => {
                majority_alone = self.liveness_of_majority()?;
                self.liveness()?;
                self.agreement()?;
                self.checks()?;
                self.writes(0)?;
                // What the disks hold is what the tables showed.
                (1..=self.options.nodes).for_each(|id| self.cluster.crash(id));
                (1..=self.options.nodes).for_each(|id| self.cluster.start(id));
                self.agreement()?;
                self.checks()?;
                self.writes(1)?;
                true
            }
        };
        self.alarms()?;
        Ok(Outcome {
            simulated: self.cluster.host().now(),
            trace: self.cluster.trace(),
            tally: self.tally(),
            is_checked,
            majority_alone,
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

    /// Whether somebody was asked to remove members.
    fn may_lose_members(&self) -> bool {
        let removals = [FaultKind::RemovedNode, FaultKind::RivalRemovals];
        removals.iter().any(|kind| self.options.faults.contains(kind))
    }

    fn verdicts(&self) -> Result<(), String> {
        let wrong = |one: &Running, wrong| format!("{}: {wrong}", one.workload.name());
        self.running.iter().try_for_each(|one| {
            let verdict = one.workload.verdict().and_then(|()| one.pace.verdict());
            verdict.map_err(|what| wrong(one, what))
        })
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
            if let Some(consensus) = self.cluster.describe(id) {
                text += &format!("  {consensus}\n");
            }
        }
        text
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".into())
}
