//! Once faults end: first for a majority of the voters, then for everyone.

use std::time::Duration;

use super::patience::Patience;
use super::{LOOK_AGAIN, Simulation};

/// Every workload has committed something within this, once faults have ended. Clients may still wait for
/// answers that were lost, and links for their next attempt.
pub(super) const PROGRESS_WITHIN: Duration = Duration::from_secs(60);

/// The same, while nodes whose votes are needed are being brought what they lack.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(600);

/// Nodes that were started and lack nothing have read their disks within this, were each request to take the
/// 200 ms of the slowest disks.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Clients that were told to stop have ended within this.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

impl Simulation {
    /// Only a majority of the voters is well: it gets on, whatever the others do. Whether there was one.
    pub(super) fn liveness_of_majority(&mut self) -> Result<bool, String> {
        let Some(majority) = self.injector.mend_majority(&mut self.cluster) else { return Ok(false) };
        let ready = {
            let majority = majority.clone();
            self.cluster.run_until_so(READY_WITHIN, move |cluster| cluster.is_majority(&majority))
        };
        let well = majority.iter().all(|id| self.cluster.is_well(*id));
        if !ready && !well && !self.may_lose_members() {
            let health: Vec<_> = majority.iter().map(|id| self.cluster.health(*id)).collect();
            return Err(format!("nodes {majority:?} are not well within {READY_WITHIN:?}: {health:?}"));
        }
        // Removals that were asked for earlier may take place now, or whoever was asked who votes had been cut off
        // while members with new disks came back: the others' votes are needed.
        if !ready {
            return Ok(false);
        }
        match self.progress() {
            Ok(()) => Ok(true),
            Err(_) if !self.cluster.is_majority(&majority) && self.may_lose_members() => Ok(false),
            Err(stuck) => Err(format!("{stuck} with nodes {majority:?}, a majority of the voters, well")),
        }
    }

    /// All faults have ended: everyone gets on.
    pub(super) fn liveness(&mut self) -> Result<(), String> {
        self.injector.mend_all(&mut self.cluster);
        self.progress().map_err(|stuck| format!("{stuck} after the last fault"))?;
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

    /// Waits until every workload has committed something more.
    fn progress(&mut self) -> Result<(), String> {
        let before = self.committed();
        let mut patience = Patience::new(self.cluster.now(), PROGRESS_WITHIN, CAUGHT_UP_WITHIN);
        loop {
            let now = self.committed();
            let Some(stuck) = now.iter().zip(&before).position(|(now, before)| now <= before) else {
                return Ok(());
            };
            let name = self.running[stuck].workload.name();
            let told = patience.go_on(self.cluster.now(), self.applied_together());
            told.map_err(|waited| format!("{name} makes no progress within {waited:?}"))?;
            self.cluster.run(LOOK_AGAIN);
        }
    }

    fn committed(&self) -> Vec<u64> {
        self.running.iter().map(|one| one.pace.tally().committed).collect()
    }

    /// More was destroyed than a cluster can survive: what it still shows is true. False if it shows nothing.
    pub(super) fn truthfulness(&mut self) -> Result<bool, String> {
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
}
