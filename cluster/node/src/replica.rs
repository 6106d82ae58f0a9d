//! The replicated state on this node: Raft decides, the journal keeps, the tables show.
//!
//! ```text
//!   ┌────────────┐  everything recovered   ┌─────────┐   the disk fails    ┌─────────┐
//!   │ Recovering │ ──────────────────────► │ Running │ ──────────────────► │ Stopped │
//!   └────────────┘                         └─────────┘                     └─────────┘
//!         └──────────── the disk cannot be used ─────────────────────────────────▲
//! ```

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::{Config, Log, LogWrite, Message, Raft, Recovered, Timing, Vote, WriteMark};
use cluster_format::{Entry, NodeId, Planted, Version};
use cluster_journal::{Journal, JournalError, JournalEvent, Record, RecordBody, RecordState};
use cluster_store::Tables;
use drivers_api::{Disk, DiskGeometry, Instant, Level, Now};

use crate::config::NodeConfig;
use crate::message::Refused;
use crate::node::LogLine;

/// Most bytes of entries applied in one turn.
const APPLY_LEN_MAX: usize = 1024 * 1024;

/// Bytes of recovered entries kept in memory for followers.
const RECOVERED_LEN_MAX: usize = 1024 * 1024;

/// Where this node stands.
pub(crate) enum Phase {
    /// Reads its journal.
    Recovering(Recovery),
    /// Takes part.
    Running(Box<Raft>),
    /// Cannot go on; the message says why.
    Stopped(JournalError),
}

/// What was recovered so far.
#[derive(Default)]
pub(crate) struct Recovery {
    vote: Vote,
    log: Log,
    commit: Version,
}

/// What the journal is writing.
#[derive(Clone, Copy)]
enum Writing {
    /// What Raft gave.
    Entries,
    /// A vote, past entries that do not fit.
    VoteAlone,
}

/// The replicated state of one node.
pub(crate) struct Replica {
    pub(crate) phase: Phase,
    pub(crate) journal: Option<Journal>,
    pub(crate) tables: Tables,
    raft_config: Option<Config>,
    writing: Option<(Writing, WriteMark)>,
    /// A write that the disk has no room for.
    stalled: Option<LogWrite>,
    /// That has been said.
    is_full: bool,
    /// Why the last commit was refused, for want of room.
    refused: Option<Refused>,
    fetching: VecDeque<NodeId>,
    pub(crate) log_lines: Vec<LogLine>,
}

impl Replica {
    /// Starts to recover what the disk holds. `seed` is for election timeouts, `journal` names a blank
    /// disk.
    pub(crate) fn new(
        config: &NodeConfig,
        geometry: DiskGeometry,
        log_len_max: usize,
        seed: [u8; 32],
        journal: u64,
    ) -> Replica {
        let identity =
            cluster_journal::Identity { cluster_name: config.cluster_name.clone(), node: config.node };
        let (journal, phase) = match Journal::open(geometry, identity, journal, Planted::NONE) {
            Ok(journal) => (Some(journal), Phase::Recovering(Recovery::default())),
            Err(error) => (None, Phase::Stopped(error)),
        };
        let voters = config.voters.clone();
        let mut replica = Replica {
            phase,
            journal,
            tables: Tables::new(),
            raft_config: Some(Config {
                id: config.node,
                voters,
                timing: Timing::default(),
                seed,
                log_len_max,
            }),
            writing: None,
            stalled: None,
            is_full: false,
            refused: None,
            fetching: VecDeque::new(),
            log_lines: Vec::new(),
        };
        replica.report_stop();
        replica
    }

    /// Consensus, while it runs.
    pub(crate) fn raft(&self) -> Option<&Raft> {
        match &self.phase {
            Phase::Running(raft) => Some(raft),
            _ => None,
        }
    }

    /// Consensus, while it runs.
    pub(crate) fn raft_mut(&mut self) -> Option<&mut Raft> {
        match &mut self.phase {
            Phase::Running(raft) => Some(raft),
            _ => None,
        }
    }

    /// When [`Replica::advance`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.raft().map(Raft::deadline)
    }

    /// A message from a peer.
    pub(crate) fn receive(&mut self, now: Now, from: NodeId, message: Message) {
        if let Some(raft) = self.raft_mut() {
            raft.receive(now, from, message);
        }
    }

    /// A part of a message has come from a peer.
    pub(crate) fn heard(&mut self, now: Now, from: NodeId) {
        if let Some(raft) = self.raft_mut() {
            raft.heard(now, from);
        }
    }

    /// Exchanges requests and completions with the disk; whether anything was completed.
    pub(crate) fn exchange(
        &mut self,
        now: Now,
        disk: &mut dyn Disk,
        context: &mut core::task::Context<'_>,
    ) -> bool {
        let mut any = false;
        while let core::task::Poll::Ready(completion) = disk.poll_completion(context) {
            any = true;
            let Some(journal) = &mut self.journal else { continue };
            if let Err(error) = journal.completed(completion) {
                self.stop(error);
                continue;
            }
            self.take_events(now);
        }
        any
    }

    /// Hands requests to the disk; those it has no room for are given back to be tried later.
    pub(crate) fn submit(&mut self, disk: &mut dyn Disk, waiting: &mut VecDeque<drivers_api::DiskRequest>) {
        if let Some(journal) = &mut self.journal {
            waiting.extend(journal.take_requests());
        }
        let mut any = false;
        while let Some(request) = waiting.pop_front() {
            match disk.submit(request) {
                Ok(()) => any = true,
                Err(request) => {
                    waiting.push_front(request);
                    break;
                }
            }
        }
        if any {
            disk.kick();
        }
    }

    fn take_events(&mut self, now: Now) {
        let events = self.journal.as_mut().map(Journal::take_events).unwrap_or_default();
        for event in events {
            match event {
                // Peers could repair it, once nodes ask them to.
                JournalEvent::Recovered(Record { after_damage: true, .. }) => {
                    return self.stop(JournalError::Damaged { sector: 0 });
                }
                JournalEvent::Recovered(record) => self.recovered(record),
                JournalEvent::Opened { formatted, .. } => self.opened(now, formatted),
                JournalEvent::Appended(_) => {
                    if let (Some((writing, mark)), Phase::Running(raft)) =
                        (self.writing.take(), &mut self.phase)
                    {
                        match writing {
                            Writing::Entries => raft.written(now, mark),
                            Writing::VoteAlone => raft.vote_written(now, mark),
                        }
                    }
                }
                JournalEvent::Read(_, entries) => {
                    if let (Some(peer), Phase::Running(raft)) = (self.fetching.pop_front(), &mut self.phase) {
                        raft.fetched(peer, entries);
                    }
                }
            }
        }
    }

    fn recovered(&mut self, record: Record) {
        let Phase::Recovering(recovery) = &mut self.phase else { return };
        let RecordState { term, voted_for, commit } = record.state;
        recovery.vote = Vote { term, voted_for };
        recovery.commit = recovery.commit.max(commit);
        let RecordBody::Entries(entries) = record.body else { return };
        if let Some(first) = entries.first() {
            recovery.log.truncate(first.version);
        }
        for entry in entries {
            recovery.log.push(entry);
        }
        // What is known to be committed needs no memory but the tables'.
        let committed = recovery.log.entries(self.tables.version().next(), recovery.commit, usize::MAX);
        for entry in committed {
            apply(&mut self.tables, &entry, &mut self.log_lines);
        }
        recovery.log.forget(self.tables.version(), RECOVERED_LEN_MAX);
    }

    fn opened(&mut self, now: Now, formatted: bool) {
        let Phase::Recovering(recovery) = &mut self.phase else { return };
        let Some(config) = self.raft_config.take() else { return };
        let Recovery { vote, log, commit } = core::mem::take(recovery);
        let applied = self.tables.version();
        let line = match formatted {
            true => LogLine(Level::Info, "the data disk was blank and has been formatted".to_string()),
            false => {
                let last = log.last();
                let line = alloc::format!(
                    "recovered the ledger up to version {} (term {}), applied {applied}",
                    last.version,
                    last.term
                );
                LogLine(Level::Info, line)
            }
        };
        self.log_lines.push(line);
        let commit = commit.min(log.last().version);
        let recovered = Recovered { vote, log, commit, applied };
        self.phase = Phase::Running(Box::new(Raft::new(config, recovered, now)));
    }

    fn stop(&mut self, error: JournalError) {
        self.phase = Phase::Stopped(error);
        self.journal = None;
        self.report_stop();
    }

    fn report_stop(&mut self) {
        if let Phase::Stopped(error) = &self.phase {
            self.log_lines
                .push(LogLine(Level::Error, alloc::format!("this node does not take part: {error}")));
        }
    }

    /// Lets time pass and moves entries along: committed ones into the tables, new ones to the journal,
    /// wanted ones out of it. Returns what was applied.
    pub(crate) fn advance(&mut self, now: Now) -> Vec<Arc<Entry>> {
        let Phase::Running(raft) = &mut self.phase else { return Vec::new() };
        raft.tick(now);
        let applied = raft.take_committed(APPLY_LEN_MAX);
        for entry in &applied {
            apply(&mut self.tables, entry, &mut self.log_lines);
        }
        let Some(journal) = &mut self.journal else { return applied };
        for wanted in raft.take_wanted() {
            self.fetching.push_back(wanted.peer);
            journal.read(0, wanted.first, wanted.through, wanted.len_max);
        }
        if self.writing.is_none()
            && let Some(write) = self.stalled.take().or_else(|| raft.take_write())
        {
            self.write(write);
        }
        self.take_events(now);
        applied
    }

    fn write(&mut self, mut write: LogWrite) {
        let (Some(journal), Phase::Running(raft)) = (&mut self.journal, &self.phase) else { return };
        let mut writing = Writing::Entries;
        if !journal.has_room_for(&write.entries) {
            if !core::mem::replace(&mut self.is_full, true) {
                let line = "the data disk is full: this node no longer takes writes".to_string();
                self.log_lines.push(LogLine(Level::Error, line));
            }
            // Elections go on, so that reads do: votes have a place of their own.
            let vote = raft.take_vote_write().filter(|_| journal.has_room_for(&[]));
            self.stalled = Some(write);
            let Some(vote) = vote else { return };
            (write, writing) = (vote, Writing::VoteAlone);
        }
        let Vote { term, voted_for } = write.vote;
        journal.append(0, RecordState { term, voted_for, commit: write.commit }, &write.entries);
        self.writing = Some((writing, write.mark));
    }

    /// The leader has admitted or refused a commit: says so when room has run out.
    pub(crate) fn note_admission(&mut self, refused: Option<Refused>) {
        let line = match refused {
            Some(Refused::DiskFull) => "the data disk is full: commits are refused, reads go on",
            Some(Refused::MemoryFull) => "the tables have reached their limit: delete rows to make room",
            Some(_) => return,
            None => "",
        };
        if self.refused != refused {
            self.refused = refused;
            if !line.is_empty() {
                self.log_lines.push(LogLine(Level::Warn, line.to_string()));
            }
        }
    }

    /// Whether entries that are committed wait for a turn.
    pub(crate) fn has_more(&self) -> bool {
        self.raft().is_some_and(|raft| raft.commit() > self.tables.version())
    }
}

fn apply(tables: &mut Tables, entry: &Entry, log_lines: &mut Vec<LogLine>) {
    // Entries come in order from a log that has no gaps, so this cannot fail while Raft keeps its word.
    if let Err(error) = tables.apply(entry) {
        log_lines.push(LogLine(Level::Error, error.to_string()));
    }
}
