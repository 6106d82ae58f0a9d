//! What simulations did, in numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use drivers_sim::{DiskFaultCounts, NetworkFaultCounts};
use tests_workloads::Tally;

use crate::simulation::Outcome;

/// How often each thing has happened, in the order in which they were first named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// Adds to one; a name is known from its first mention on, were it with 0.
    pub fn add(&mut self, name: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((name, count)),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Counts) {
        other.0.iter().for_each(|(name, count)| self.add(name, *count));
    }

    /// What has never happened.
    pub fn never(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect()
    }

    pub(crate) fn add_disk(&mut self, counts: &DiskFaultCounts) {
        let DiskFaultCounts {
            spikes,
            reordered,
            stuck,
            torn,
            lost,
            misdirected,
            late,
            withdrawn,
            rotten,
            unreadable,
            errors,
        } = *counts;
        self.add("disk requests slow", spikes);
        self.add("disk requests out of order", reordered);
        self.add("disk requests stuck", stuck);
        self.add("disk writes torn", torn);
        self.add("disk writes lost", lost);
        self.add("disk writes misdirected", misdirected);
        self.add("disk writes late", late);
        self.add("disk writes put right at a crash", withdrawn);
        self.add("disk sectors rotten", rotten);
        self.add("disk sectors unreadable", unreadable);
        self.add("disk requests failed", errors);
    }

    pub(crate) fn add_network(&mut self, counts: &NetworkFaultCounts) {
        let NetworkFaultCounts {
            cut,
            lost,
            duplicated,
            corrupted,
            reordered,
            queued,
            queue_overflowed,
            receive_overflowed,
            // No fault, but a mistake: see `Cluster::violation`.
            too_long: _,
        } = *counts;
        self.add("frames cut off", cut);
        self.add("frames lost", lost);
        self.add("frames duplicated", duplicated);
        self.add("frames corrupted", corrupted);
        self.add("frames reordered", reordered);
        self.add("frames queued at slow links", queued);
        self.add("frames dropped by slow links", queue_overflowed);
        self.add("frames dropped by paused nodes", receive_overflowed);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (index, (name, count)) in self.0.iter().enumerate() {
            let end = if index + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "  {name:width$}  {count:>12}{end}")?;
        }
        Ok(())
    }
}

/// Many simulations together.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many.
    pub seeds: u64,
    /// Their simulated time.
    pub simulated: Duration,
    /// Their events.
    pub events: u64,
    /// Their transactions.
    pub tally: Tally,
    /// Of those committed, those that were looked for in the end.
    pub checked: u64,
    /// In how many a majority had to get on alone.
    pub majority_alone: u64,
    /// How many were run a second time, and were the same.
    pub repeated: u64,
    /// Their faults.
    pub counts: Counts,
    /// Rare branches, and whether any node has reached them.
    pub marks: BTreeMap<&'static str, bool>,
}

impl Summary {
    /// Adds one.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.events += outcome.trace.events;
        self.tally.committed += outcome.tally.committed;
        self.checked += if outcome.is_checked { outcome.tally.committed } else { 0 };
        self.majority_alone += u64::from(outcome.majority_alone);
        self.tally.refused += outcome.tally.refused;
        self.tally.unknown += outcome.tally.unknown;
        self.counts.merge(&outcome.counts);
        for (mark, reached) in &outcome.marks {
            *self.marks.entry(mark).or_default() |= reached;
        }
    }

    /// Simulated hours.
    pub fn hours(&self) -> f64 {
        self.simulated.as_secs_f64() / 3600.0
    }

    /// The whole report, of a run that took `wall`.
    pub fn report(&self, wall: Duration) -> String {
        let Tally { committed, refused, unknown } = self.tally;
        let wall = wall.as_secs_f64();
        let seconds_each = wall / self.seeds.max(1) as f64;
        let reached: Vec<&str> = self.marks.iter().filter(|(_, hit)| !**hit).map(|(mark, _)| *mark).collect();
        let never = [self.counts.never(), reached].concat();
        let never = if never.is_empty() { "nothing".to_string() } else { never.join(", ") };
        format!(
            "seeds          {} in {wall:.1} s, {seconds_each:.2} s each; {} repeated, with the same traces\n\
             simulated      {:.2} hours, {:.3} hours per second ({:.0} times real time)\n\
             events         {}\n\
             transactions   {committed} committed, {} of them checked, {refused} refused, {unknown} of unknown fate\n\
             majority alone got on in {} seeds, skipped in {}\n\
             faults\n{}\n\
             never reached  {never}",
            self.seeds,
            self.repeated,
            self.hours(),
            self.hours() / wall,
            self.simulated.as_secs_f64() / wall,
            self.events,
            self.checked,
            self.majority_alone,
            self.seeds - self.majority_alone,
            self.counts,
        )
    }
}
