//! What must hold in the end: at every node, and again when all have lost their power.

use std::time::Duration;

use cluster_format::Version;
use cluster_node::Health;
use tests_workloads::{Connection, Row, World, query_anywhere};

use super::liveness::PROGRESS_WITHIN;
use super::patience::Patience;
use super::{LOOK_AGAIN, Running, SETUP_WITHIN, Simulation};
use crate::faults::give_blank_disk;

/// Nodes that are behind apply something within this.
const APPLIED_WITHIN: Duration = Duration::from_secs(60);

/// A workload is checked within this. Some wait for what the cluster has still to do, and may have to for long where disks
/// are slow.
const CHECKED_WITHIN: Duration = Duration::from_secs(4 * 3600);

/// Nodes that are behind have caught up within this.
const AGREED_WITHIN: Duration = Duration::from_secs(3600);

/// What a node says whose tables turn out to be damaged only now that they are read, and soon no longer.
const HEALING: [&str; 3] = ["57P03", "58030", "XX001"];

impl Simulation {
    /// All nodes are members, have applied the same, and show the same.
    pub(super) fn agreement(&mut self) -> Result<(), String> {
        loop {
            self.same_state()?;
            let before = self.applied();
            let shown = self.same_rows();
            // A node may still be at work for a client that has given up: then they were asked about different
            // versions.
            if self.applied() == before {
                return shown;
            }
        }
    }

    /// How far the nodes are.
    pub(super) fn applied(&self) -> Vec<Option<Version>> {
        (1..=self.options.nodes).map(|id| self.cluster.health(id).map(|health| health.applied)).collect()
    }

    /// How far they are together.
    pub(super) fn applied_together(&self) -> u64 {
        self.applied().into_iter().flatten().map(|version| version.0).sum()
    }

    fn same_state(&mut self) -> Result<(), String> {
        let mut patience = Patience::new(self.cluster.now(), APPLIED_WITHIN, AGREED_WITHIN);
        loop {
            let health: Vec<_> = (1..=self.options.nodes).map(|id| self.cluster.health(id)).collect();
            if agree(&health)? {
                return Ok(());
            }
            let told = patience.go_on(self.cluster.now(), self.applied_together());
            told.map_err(|_| format!("the nodes do not agree: {health:?}"))?;
            let removed = |one: &Option<Health>| one.is_some_and(|one| one.is_removed);
            let well = |one: &Option<Health>| one.is_some_and(|one| one.is_well());
            let Some(index) = health.iter().position(removed) else {
                self.cluster.run(LOOK_AGAIN);
                continue;
            };
            if !self.may_lose_members() {
                return Err(format!("node {} was removed, and nobody asked for that", index + 1));
            }
            // Removals that were asked for took place late. One at a time comes back: were all founders blank at
            // once, they would found a new cluster.
            if health.iter().all(|one| removed(one) || well(one)) {
                give_blank_disk(&mut self.cluster, index as u8 + 1);
            }
            self.cluster.run(LOOK_AGAIN);
        }
    }

    fn same_rows(&mut self) -> Result<(), String> {
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

    /// Every node takes a write, which every node then shows, together with those of earlier rounds.
    pub(super) fn writes(&mut self, round: u64) -> Result<(), String> {
        let host = self.cluster.host();
        let table = async move { query_anywhere(&host, "CREATE TABLE probes (id bigint PRIMARY KEY)").await };
        self.cluster.run_until(SETUP_WITHIN, table).ok_or("no table can be made")?;
        let id = |round: u64, node: u8| 100 * round + u64::from(node);
        for node in 1..=self.options.nodes {
            let host = self.cluster.host();
            let insert = format!("INSERT INTO probes VALUES ({})", id(round, node));
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
        let probes = (0..=round).flat_map(|round| (1..=self.options.nodes).map(move |node| id(round, node)));
        let written: Vec<_> = probes.map(|id| vec![Some(id.to_string())]).collect();
        for node in 1..=self.options.nodes {
            let shown = self.ask(node, "SELECT id FROM probes ORDER BY id".into())?;
            if shown != written {
                return Err(format!("node {node} shows {shown:?} where {written:?} was written"));
            }
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, node: u8, sql: String) -> Result<Vec<Row>, String> {
        let host = self.cluster.host();
        let asked = self.cluster.run_until(SETUP_WITHIN, async move {
            loop {
                let answer = async { host.connect(node).await?.query(&sql).await }.await;
                if answer.as_ref().is_err_and(|failure| HEALING.iter().any(|state| failure.is(state))) {
                    host.sleep(LOOK_AGAIN).await;
                    continue;
                }
                break answer
                    .map(|answer| answer.rows)
                    .map_err(|failure| format!("node {node}: {sql}: {failure}"));
            }
        });
        asked.unwrap_or_else(|| Err(format!("node {node} does not answer")))
    }

    pub(super) fn checks(&mut self) -> Result<(), String> {
        let nodes: Vec<u8> = (1..=self.options.nodes).collect();
        self.check_at(&nodes)
    }

    pub(super) fn check_at(&mut self, nodes: &[u8]) -> Result<(), String> {
        for index in 0..self.running.len() {
            for &node in nodes {
                let (host, workload) = (self.cluster.host(), self.running[index].workload.clone());
                let name = workload.name();
                let checked = self.cluster.run_until(CHECKED_WITHIN, async move {
                    loop {
                        let mut connection =
                            host.connect(node).await.map_err(|failure| failure.to_string())?;
                        let checked = workload.check(&host, &mut connection).await;
                        let is_healing = |wrong: &String| HEALING.iter().any(|state| wrong.contains(state));
                        if !checked.as_ref().is_err_and(is_healing) {
                            break checked;
                        }
                        host.sleep(LOOK_AGAIN).await;
                    }
                });
                let checked = checked.unwrap_or_else(|| Err("no answer".into()));
                checked.map_err(|wrong| format!("{name}, checked at node {node}: {wrong}"))?;
            }
        }
        self.verdicts()?;
        let wrong = |one: &Running, wrong| format!("{}: {wrong}", one.workload.name());
        self.running.iter().try_for_each(|one| one.workload.final_verdict().map_err(|what| wrong(one, what)))
    }
}

/// Whether all are members and whole and have applied the same, which must then be the same ledger.
fn agree(health: &[Option<Health>]) -> Result<bool, String> {
    let Some(Some(first)) = health.first() else { return Ok(false) };
    let ready = |one: &Option<Health>| one.is_some_and(|one| one.is_well() && one.applied == first.applied);
    if !health.iter().all(ready) {
        return Ok(false);
    }
    let differs = |one: &Health| one.ledger.zip(first.ledger).is_some_and(|(own, others)| own != others);
    match health.iter().flatten().any(differs) {
        false => Ok(true),
        true => Err(format!("ledgers differ at the same version: {health:?}")),
    }
}
