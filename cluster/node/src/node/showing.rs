//! What a node shows of itself: lines on its console, and its health.

use cluster_consensus::{Raft, Role};
use cluster_format::{Digest, Version};
use drivers_api::{Level, Machine, Now};

use super::{LogLine, Node};
use crate::replica::Phase;

/// How a node is, for whoever looks on from outside, such as a simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it is a voter of the cluster, with the disk it has.
    pub is_member: bool,
    /// Whether it was removed from the cluster.
    pub is_removed: bool,
    /// Whether it has everything it ever promised to keep, and tables that nobody doubts.
    pub is_whole: bool,
    /// The newest version in its tables.
    pub applied: Version,
    /// The digest of the ledger up to there, if memory tells.
    pub ledger: Option<Digest>,
}

impl Health {
    /// Whether it is a voter that lacks nothing, as far as it knows: a member that was removed may never have been
    /// sent the entry that says so.
    pub fn is_well(&self) -> bool {
        self.is_member && self.is_whole
    }
}

impl Node {
    pub(super) fn role(&self) -> &'static str {
        match &self.replica.phase {
            Phase::Opening(_) | Phase::Recovering(_) => "recovering",
            Phase::Stopped(_) => "stopped",
            Phase::Running(raft) => match raft.role() {
                Role::Leader { .. } => "leader",
                _ if raft.is_removed() => "removed",
                Role::Follower { .. } if !raft.is_voter() => "learner",
                Role::Follower { .. } => "follower",
                Role::PreCandidate { .. } | Role::Candidate { .. } => "candidate",
            },
        }
    }

    pub(super) fn show(&mut self, now: Now, machine: &mut Machine<'_>) {
        let raft = self.replica.raft().map(|raft| (raft.term(), raft.leader()));
        let (term, leader) = raft.unwrap_or((0, None));
        let shown = (self.role(), term, leader);
        if self.shown_role != Some(shown) && !matches!(shown.0, "recovering" | "stopped") {
            self.shown_role = Some(shown);
            let (role, term, leader) = shown;
            let line = match leader {
                Some(leader) => alloc::format!("{role} in term {term}, the leader is node {leader}"),
                None if self.replica.is_founding() => {
                    let founders = self.config.founders;
                    alloc::format!(
                        "waits for all of the nodes 1 to {founders}, to found the cluster with them"
                    )
                }
                None => alloc::format!("{role} in term {term}, no leader yet"),
            };
            self.replica.log_lines.push(LogLine(Level::Info, line));
        }
        let mut said = self.said.lock();
        machine.console.said(&mut |at, level, line| said.note_at(at, now, level, line));
        for LogLine(level, line) in self.replica.log_lines.drain(..) {
            if level <= Level::Info {
                said.note(now, level, &line);
            }
            if level <= self.config.log_level {
                machine.console.log(level, format_args!("{line}"));
            }
        }
    }

    /// How it is; none while it does not take part.
    pub fn health(&self) -> Option<Health> {
        let (raft, tables) = (self.replica.raft()?, &self.replica.tables);
        Some(Health {
            is_member: raft.is_voter() && !raft.log().membership().is_founding(),
            is_removed: raft.is_removed(),
            is_whole: raft.missing().is_none() && self.replica.is_whole(),
            applied: tables.version(),
            ledger: raft.log().digest_at(tables.version()),
        })
    }

    /// Its consensus, for whoever looks on from outside; none while it does not take part.
    pub fn raft(&self) -> Option<&Raft> {
        self.replica.raft()
    }

    /// The rare branches this node took since it started, and those it did not, by name.
    pub fn marks(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let [raft, journal, replica] = self.replica.marks();
        let names = [cluster_consensus::Mark::NAMES, cluster_journal::Mark::NAMES, crate::marks::Mark::NAMES];
        [raft, journal, replica].into_iter().zip(names).flat_map(|(marks, names)| {
            (0..).zip(names).map(move |(number, name)| (*name, marks.contains(number)))
        })
    }
}
