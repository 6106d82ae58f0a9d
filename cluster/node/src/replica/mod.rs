//! The replicated state on this node: Raft decides, the journal keeps, the tables show.
//!
//! ```text
//!   ┌────────────┐  everything recovered   ┌─────────┐   the disk fails    ┌─────────┐
//!   │ Recovering │ ──────────────────────► │ Running │ ──────────────────► │ Stopped │
//!   └────────────┘                         └─────────┘                     └─────────┘
//!         └──────────── the disk cannot be used ─────────────────────────────────▲
//! ```
//!
//! One file for each of its concerns: what goes to and comes from peers' logs and tables ([`lending`]), and
//! whether all tables are equal ([`agreeing`]). While it runs, its tables may turn out to differ from a quorum's: then it still keeps the ledger and
//! votes, but does not serve until it has rebuilt them ([`Replica::is_rebuilding`]).

mod agreeing;
mod lending;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::{Config, Message, Raft, Refused as HistoryRefused, Timing};
use cluster_format::{
    Entry, Incarnation, Marks, Membership, Mistake, NodeId, Planted, SnapshotChunk, SnapshotHead,
};
use cluster_journal::{Journal, JournalError, JournalEvent};
use cluster_sql::database::DatabaseError;
use cluster_store::{Incoming, Tables};
use drivers_api::{Disk, DiskGeometry, Instant, Level, Now};

use crate::agreement::Agreement;
use crate::config::NodeConfig;
use crate::coordinator::Outbox;
use crate::marks::Mark;
use crate::message::Refused;
use crate::node::{LogLine, NodeOptions};
use crate::rebuilding::{Rebuilding, Restoring};
use crate::recovery::Recovery;
use crate::writing::{Writer, Written};
use lending::Lent;

/// Most bytes of entries applied in one turn.
const APPLY_LEN_MAX: usize = 1024 * 1024;

/// Where this node stands.
pub(crate) enum Phase {
    /// Reads its journal.
    Recovering(Box<Recovery>),
    /// Takes part.
    Running(Box<Raft>),
    /// Cannot go on; the message says why.
    Stopped(JournalError),
}

/// For whom the journal is being read.
#[derive(Clone, Copy)]
enum Reader {
    /// A follower, on behalf of Raft.
    Follower(NodeId),
    /// A peer that has lost entries.
    Peer(NodeId),
    /// This node: what lies intact behind its own damage.
    Own,
}

/// The replicated state of one node.
pub(crate) struct Replica {
    pub(crate) phase: Phase,
    pub(crate) journal: Option<Journal>,
    pub(crate) tables: Tables,
    pub(crate) log_lines: Vec<LogLine>,
    pub(crate) outbox: Outbox,
    raft_config: Option<Config>,
    writer: Writer,
    readers: VecDeque<Reader>,
    /// A snapshot that arrives through Raft.
    incoming: Option<Incoming>,
    /// Tables that are being sent.
    lent: BTreeMap<NodeId, Lent>,
    agreement: Agreement,
    restoring: Restoring,
    rebuilding: Option<Rebuilding>,
    /// The tables were replaced as a whole since [`Replica::take_replaced`].
    replaced: bool,
    /// Why the last commit was refused, for want of room.
    refused: Option<Refused>,
    said_removed: bool,
    planted: Planted,
    marks: Marks,
}

impl Replica {
    /// Starts to recover what the disk holds. `seed` is for election timeouts, `journal` names a blank
    /// disk.
    pub(crate) fn new(
        config: &NodeConfig,
        geometry: DiskGeometry,
        options: &NodeOptions,
        seed: [u8; 32],
        journal: u64,
    ) -> Replica {
        let identity =
            cluster_journal::Identity { cluster_name: config.cluster_name.clone(), node: config.node };
        let founding = Membership::founding(config.founders);
        let (journal, phase) = match Journal::open(geometry, identity, journal, options.planted) {
            Ok(journal) => (Some(journal), Phase::Recovering(Box::new(Recovery::new(founding)))),
            Err(error) => (None, Phase::Stopped(error)),
        };
        let raft_config = Config {
            id: config.node,
            incarnation: Incarnation::UNKNOWN,
            timing: Timing { lease: config.lease, ..Timing::default() },
            seed,
            log_len_max: options.log_len_max,
            append_len_max: options.append_len_max,
            priority: config.priority,
            planted: options.planted,
        };
        let mut replica = Replica {
            phase,
            journal,
            tables: Tables::new(),
            log_lines: Vec::new(),
            outbox: Vec::new(),
            raft_config: Some(raft_config),
            writer: Writer::default(),
            readers: VecDeque::new(),
            incoming: None,
            lent: BTreeMap::new(),
            agreement: Agreement::default(),
            restoring: Restoring::default(),
            rebuilding: None,
            replaced: false,
            refused: None,
            said_removed: false,
            planted: options.planted,
            marks: Marks::NONE,
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

    /// Whether the cluster was not founded yet, as far as this node knows, and it is one of the founders.
    pub(crate) fn is_founding(&self) -> bool {
        self.raft().is_some_and(|raft| raft.is_voter() && raft.log().membership().is_founding())
    }

    /// Why no stored table is to be read or written here, if so.
    pub(crate) fn out_of_service(&self) -> Option<DatabaseError> {
        let is_removed = self.raft().is_some_and(Raft::is_removed);
        match (is_removed, self.is_rebuilding()) {
            (true, _) => Some(DatabaseError::Removed),
            (false, true) => Some(DatabaseError::Rebuilding),
            (false, false) => None,
        }
    }

    /// Whether its tables are not to be read, because they differ from a quorum's.
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.rebuilding.is_some()
    }

    /// The rare branches that consensus, the journal and this module took.
    pub(crate) fn marks(&self) -> [Marks; 3] {
        let raft = self.raft().map_or(Marks::NONE, Raft::marks);
        let journal = self.journal.as_ref().map_or(Marks::NONE, Journal::marks);
        [raft, journal, self.marks]
    }

    pub(crate) fn hit(&mut self, mark: Mark) {
        self.marks.hit(mark as u32);
    }

    /// When [`Replica::advance`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let raft = self.raft()?;
        let rebuilding = self.rebuilding.as_ref().and_then(Rebuilding::deadline);
        let agreement = self.agreement.deadline().filter(|_| raft.is_leader());
        let others = [rebuilding, self.restoring.deadline(), self.writer.seal_at(), agreement];
        Some(others.into_iter().flatten().fold(raft.deadline(), Instant::min))
    }

    /// A message of Raft from a peer.
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
                JournalEvent::Recovered(record) => {
                    let Phase::Recovering(recovery) = &mut self.phase else { continue };
                    if let Err(error) = recovery.take(record) {
                        self.log_lines.push(LogLine(Level::Error, error.to_string()));
                    }
                }
                JournalEvent::Opened { formatted, incarnation, damaged_regions } => {
                    self.opened(now, formatted, incarnation, damaged_regions);
                }
                JournalEvent::Appended(_) => self.appended(now),
                JournalEvent::Read(_, entries) => self.have_read(now, entries),
            }
        }
    }

    fn opened(&mut self, now: Now, formatted: bool, incarnation: Incarnation, damaged_regions: u64) {
        let running_without_raft = Phase::Stopped(JournalError::Foreign);
        let (Phase::Recovering(recovery), Some(config)) =
            (core::mem::replace(&mut self.phase, running_without_raft), self.raft_config.take())
        else {
            return;
        };
        let (recovered, tables, incoming) = recovery.finish();
        let (last, applied, promised) = (recovered.log.last(), recovered.applied, recovered.promised);
        self.say(
            Level::Info,
            match formatted {
                true => "the data disk was blank and has been formatted".to_string(),
                false => alloc::format!(
                    "recovered the ledger up to version {} (term {}), applied {applied}",
                    last.version,
                    last.term
                ),
            },
        );
        if damaged_regions > 0 {
            let lost = match last < promised {
                true => {
                    alloc::format!("versions {} to {} are missing", last.version.next(), promised.version)
                }
                false => "nothing that counts was lost".to_string(),
            };
            self.say(
                Level::Warn,
                alloc::format!("the data disk is damaged in {damaged_regions} places: {lost}"),
            );
        }
        (self.tables, self.incoming) = (tables, incoming);
        #[cfg(feature = "mistakes")]
        if self.planted.is(Mistake::RequestsForgottenOnRestart) {
            self.tables.forget_requests();
        }
        self.agreement.restart(self.tables.version(), self.tables.state());
        self.phase = Phase::Running(Box::new(Raft::new(Config { incarnation, ..config }, recovered, now)));
    }

    fn say(&mut self, level: Level, line: String) {
        self.log_lines.push(LogLine(level, line));
    }

    fn stop(&mut self, error: JournalError) {
        self.phase = Phase::Stopped(error);
        self.journal = None;
        self.report_stop();
    }

    fn report_stop(&mut self) {
        if let Phase::Stopped(error) = &self.phase {
            let line = alloc::format!("this node does not take part: {error}");
            self.say(Level::Error, line);
        }
    }

    /// What was written last is durable.
    fn appended(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        match self.writer.written(now) {
            Some(Written::Log(mark)) => raft.written(now, mark),
            Some(Written::VoteAlone(mark)) => raft.vote_written(now, mark),
            Some(Written::Chunk { is_last: false, .. }) => raft.chunk_written(),
            Some(Written::Chunk { head, is_last: true }) => self.install(&head),
            Some(Written::Seal) | None => {}
        }
    }

    /// A snapshot has arrived whole, and is durable.
    fn install(&mut self, head: &Arc<SnapshotHead>) {
        let (Some(incoming), Phase::Running(raft)) = (self.incoming.take(), &mut self.phase) else { return };
        match incoming.finish() {
            Ok(tables) => {
                raft.installed(head);
                self.replace_tables(tables);
                let line = alloc::format!("installed a snapshot of version {}", head.last.version);
                self.say(Level::Info, line);
            }
            Err(error) => {
                raft.snapshot_refused();
                self.say(Level::Error, error.to_string());
            }
        }
    }

    fn replace_tables(&mut self, tables: Tables) {
        self.agreement.restart(tables.version(), tables.state());
        self.tables = tables;
        self.replaced = true;
    }

    /// Whether the tables were replaced as a whole since the last call.
    pub(crate) fn take_replaced(&mut self) -> bool {
        core::mem::take(&mut self.replaced)
    }

    /// Lets time pass and moves entries along: committed ones into the tables, new ones to the journal,
    /// wanted ones out of it. Returns what was applied.
    pub(crate) fn advance(&mut self, now: Now) -> Vec<Arc<Entry>> {
        let Phase::Running(raft) = &mut self.phase else { return Vec::new() };
        raft.tick(now);
        let applied = match &self.rebuilding {
            None => raft.take_committed(APPLY_LEN_MAX),
            Some(rebuilding) => {
                raft.pass_over(rebuilding.reaches());
                Vec::new()
            }
        };
        self.apply(&applied);
        self.read_for_followers();
        self.send_snapshots(now);
        self.write(now);
        self.take_events(now);
        self.agree(now);
        self.restore(now);
        self.rebuild(now);
        self.report();
        applied
    }

    fn apply(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries {
            // Entries come in order from a log that has no gaps, so this cannot fail while Raft keeps its
            // word.
            if let Err(error) = self.tables.apply(entry) {
                self.say(Level::Error, error.to_string());
            }
            #[cfg(feature = "mistakes")]
            if self.planted.is(Mistake::RowLost) && entry.version.0 == 40 {
                self.tables.lose_row();
            }
            self.agreement.note(self.tables.version(), self.tables.state());
        }
    }

    fn write(&mut self, now: Now) {
        let (Phase::Running(raft), Some(journal)) = (&mut self.phase, &mut self.journal) else { return };
        if self.writer.is_busy() {
            return;
        }
        if let Some(chunk) = raft.take_chunk_write(now) {
            return self.write_chunk(chunk);
        }
        if let Some(line) = self.writer.write(now, raft, journal) {
            self.log_lines.push(line);
        }
    }

    fn write_chunk(&mut self, chunk: SnapshotChunk) {
        let (Phase::Running(raft), Some(journal)) = (&mut self.phase, &mut self.journal) else { return };
        if chunk.index == 0 {
            self.incoming = Some(Incoming::new(chunk.head.clone()));
        }
        let taken =
            self.incoming.as_mut().map(|incoming| match self.planted.is(Mistake::SnapshotLosesTail) {
                true if chunk.is_last => Ok(()),
                _ => incoming.add(&chunk),
            });
        if !matches!(taken, Some(Ok(()))) || !journal.has_room_for_chunk(&chunk) {
            self.incoming = None;
            raft.snapshot_refused();
            return self.say(Level::Error, "a piece of a snapshot cannot be taken".to_string());
        }
        self.writer.write_chunk(raft, journal, &chunk);
    }

    fn report(&mut self) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let (removed, refused) = (raft.is_removed(), raft.take_refused());
        if removed && !core::mem::replace(&mut self.said_removed, removed) {
            let line = "this node was removed from the cluster: give it a blank disk to join again";
            self.say(Level::Warn, line.to_string());
        }
        if let Some(HistoryRefused { from, version }) = refused {
            let line = alloc::format!(
                "refused the history of node {from}: its entry {version} does not follow from this node's ledger"
            );
            self.say(Level::Error, line);
        }
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
                self.say(Level::Warn, line.to_string());
            }
        }
    }

    /// Whether entries that are committed wait for a turn.
    pub(crate) fn has_more(&self) -> bool {
        let behind = self.raft().is_some_and(|raft| raft.commit() > self.tables.version());
        behind && self.rebuilding.is_none()
    }
}
