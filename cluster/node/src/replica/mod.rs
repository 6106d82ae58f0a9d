//! The replicated state on this node: Raft decides, the journal keeps, the tables show.
//!
//! ```text
//!   ┌─────────┐ tables opened ┌────────────┐ everything recovered ┌─────────┐ the disk fails ┌─────────┐
//!   │ Opening │ ────────────► │ Recovering │ ───────────────────► │ Running │ ─────────────► │ Stopped │
//!   └─────────┘               └────────────┘                      └─────────┘                └─────────┘
//!        └────────────────────────── the disk cannot be used ─────────────────────────────────────▲
//! ```
//!
//! One file for each of its concerns: how it begins ([`opening`]), its tables on the disk ([`storing`]), tables that
//! arrive ([`arriving`]), what peers are given of tables and ledger ([`lending`]), whether all tables are equal
//! ([`agreeing`]), rows that a damaged table has lost ([`mending`]), what the disk is asked ([`requests`]), and what there is
//! to say ([`reporting`]). While it runs, its tables may turn out to differ from a quorum's, or to be beyond mending: then
//! it still keeps the ledger and votes, but does not serve until it has got the leader's in their place
//! ([`Replica::is_rebuilding`]).

mod agreeing;
mod arriving;
mod awaiting;
mod lending;
mod mending;
mod opening;
mod reporting;
mod requests;
mod storing;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_consensus::{Config, Message, Raft, Timing};
use cluster_format::{Entry, Incarnation, Marks, Membership, NodeId, Planted, Version};
use cluster_journal::{Beginning, Identity, Journal, JournalError, JournalEvent};
use cluster_sql::database::DatabaseError;
use cluster_store::{Tables, TablesOptions, Through};
use drivers_api::{DiskGeometry, Instant, Level, Now};

use crate::agreement::Agreement;
use crate::config::NodeConfig;
use crate::coordinator::Outbox;
use crate::marks::Mark;
use crate::message::Refused;
use crate::node::{LogLine, NodeOptions};
use crate::rebuilding::{Rebuilding, Restoring};
use crate::recovery::Recovery;
use crate::writing::{Writer, Written};
use agreeing::Summing;
use arriving::Arrival;
use awaiting::Awaiting;
use lending::{Lending, Lent};
use mending::{Mending, Patching};
use storing::{Checkpoint, Replacement};

/// Most bytes of entries applied in one turn.
const APPLY_LEN_MAX: usize = 1024 * 1024;

/// Most bytes of entries in one record of the journal, unless one entry alone is longer.
const WRITE_LEN_MAX: usize = 1024 * 1024;

/// The newest rows may take one in so many bytes of those that tables may take in memory, and as many again while they
/// are being written.
const MEMORY_SHARE: usize = 4;

/// Blocks that were read may take one in so many.
const CACHE_SHARE: usize = 2;

/// Where this node stands.
pub(crate) enum Phase {
    /// Reads its superblock, and then its tables.
    Opening(Option<Beginning>),
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
    /// A follower, on behalf of Raft, from this version on.
    Follower(NodeId, Version),
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
    /// As large as the disk has been at most.
    geometry: DiskGeometry,
    /// How many sectors the disk had when it was looked at last.
    disk_sectors: u64,
    /// Bytes of entries kept in memory for tables that are on their way.
    recent_len_max: usize,
    founding: Membership,
    tables_options: TablesOptions,
    /// Tells this life's tables from others.
    life: u64,
    writer: Writer,
    readers: VecDeque<Reader>,
    /// The tables have more to do at once.
    tables_are_busy: bool,
    /// A root that is to be made durable.
    due_checkpoint: Option<Checkpoint>,
    /// One that is being made durable.
    checkpoint: Option<Checkpoint>,
    /// The root that is durable, and what its tables hold.
    durable_root: (Vec<u8>, Through),
    /// When the next table is read to see whether it is still intact.
    scrub_at: Option<Instant>,
    /// Tables that arrive.
    arrival: Option<Arrival>,
    /// Tables that have arrived, until they are durably in place of those that were there.
    replacement: Option<Replacement>,
    /// Tables that are being sent.
    lent: BTreeMap<NodeId, Lent>,
    /// Pieces of them that were asked for.
    lending: Vec<Lending>,
    agreement: Agreement,
    /// Rows that are being compared with others'.
    summing: Option<Summing>,
    restoring: Restoring,
    /// Tables that have lost something, and how many there were since the start, and were mended.
    mending: Option<Mending>,
    pub(crate) damaged_tables: u64,
    pub(crate) mended_tables: u64,
    /// Reads that need what is lost.
    awaiting: Vec<Awaiting>,
    /// Rows that peers have lost.
    patching: Vec<Patching>,
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
        let identity = Identity {
            cluster_name: config.cluster_name.clone(),
            node: config.node,
            founders: Some(config.founders),
        };
        let life = journal;
        let (journal, phase) = match Journal::open(geometry, identity, journal, options.planted) {
            Ok(journal) => (Some(journal), Phase::Opening(None)),
            Err(error) => (None, Phase::Stopped(error)),
        };
        let raft_config = Config {
            id: config.node,
            incarnation: Incarnation::UNKNOWN,
            timing: Timing { lease: config.lease, ..Timing::default() },
            seed,
            log_len_max: options.log_len_max,
            append_len_max: options.append_len_max,
            write_len_max: WRITE_LEN_MAX,
            priority: config.priority,
            planted: options.planted,
        };
        let mut replica = Replica {
            phase,
            journal,
            tables: Tables::in_memory(),
            log_lines: Vec::new(),
            outbox: Vec::new(),
            raft_config: Some(raft_config),
            geometry,
            disk_sectors: geometry.sectors,
            recent_len_max: options.log_len_max / 2,
            founding: Membership::founding(config.founders),
            tables_options: TablesOptions {
                memory_len_max: options.tables_len_max / MEMORY_SHARE,
                cache_len_max: options.tables_len_max / CACHE_SHARE,
            },
            life,
            writer: Writer::default(),
            readers: VecDeque::new(),
            tables_are_busy: false,
            due_checkpoint: None,
            checkpoint: None,
            durable_root: Default::default(),
            scrub_at: None,
            arrival: None,
            replacement: None,
            lent: BTreeMap::new(),
            lending: Vec::new(),
            agreement: Agreement::default(),
            summing: None,
            restoring: Restoring::default(),
            mending: None,
            damaged_tables: 0,
            mended_tables: 0,
            awaiting: Vec::new(),
            patching: Vec::new(),
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

    /// Whether its tables are not to be read: they differ from a quorum's, are lost, or have lost too much to be mended.
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.rebuilding.is_some()
    }

    /// Whether nothing of its tables is known to be lost.
    pub(crate) fn is_whole(&self) -> bool {
        self.rebuilding.is_none() && self.mending.is_none()
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
        let rebuilding = self.rebuilding.as_ref().filter(|_| self.may_ask_for_tables());
        let rebuilding = rebuilding.and_then(Rebuilding::deadline);
        let agreement = self.agreement.deadline().filter(|_| raft.is_leader() && self.rebuilding.is_none());
        let seal = self.writer.seal_at().filter(|_| self.replacement.is_none());
        let mending = [self.mending_due(), self.awaiting_due()].into_iter().flatten().min();
        let others = [rebuilding, self.restoring.deadline(), seal, agreement, self.scrub_at, mending];
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

    fn take_events(&mut self, now: Now) {
        let events = self.journal.as_mut().map(Journal::take_events).unwrap_or_default();
        for event in events {
            match event {
                JournalEvent::Begins(beginning) => self.begin(beginning),
                JournalEvent::Recovered(record) => {
                    let Phase::Recovering(recovery) = &mut self.phase else { continue };
                    if let Err(error) = recovery.take(record, &mut self.tables) {
                        self.log_lines.push(LogLine(Level::Error, error.to_string()));
                    }
                }
                JournalEvent::Opened { formatted, incarnation, damaged_regions } => {
                    self.opened(now, formatted, incarnation, damaged_regions);
                }
                JournalEvent::Appended(_) => self.appended(now),
                JournalEvent::Checkpointed => self.checkpointed(now),
                JournalEvent::Read(_, entries) => self.have_read(now, entries),
            }
        }
    }

    fn stop(&mut self, error: JournalError) {
        self.phase = Phase::Stopped(error);
        (self.journal, self.arrival, self.summing, self.mending) = (None, None, None, None);
        (self.tables_are_busy, self.scrub_at) = (false, None);
        self.lending.clear();
        self.patching.clear();
        self.fail_awaiting();
        self.report_stop();
    }

    /// What was written last is durable.
    fn appended(&mut self, now: Now) {
        let Phase::Running(raft) = &mut self.phase else { return };
        match self.writer.written(now) {
            Some(Written::Log(mark)) => raft.written(now, mark),
            Some(Written::VoteAlone(mark)) => raft.vote_written(now, mark),
            Some(Written::Seal) | None => {}
        }
    }

    /// Lets time pass and moves entries along: committed ones into the tables, new ones to the journal,
    /// wanted ones out of it. Returns what was applied.
    pub(crate) fn advance(&mut self, now: Now) -> Vec<Arc<Entry>> {
        let Phase::Running(raft) = &mut self.phase else { return Vec::new() };
        raft.tick(now);
        let mut applied = Vec::new();
        if self.rebuilding.is_some() {
            self.pass_over();
        } else if self.replacement.is_none() && self.tables.has_room() {
            applied = raft.take_committed(APPLY_LEN_MAX);
        }
        self.apply(&applied);
        self.read_for_followers();
        self.lend(now);
        self.arrive(now);
        self.write(now);
        self.take_events(now);
        self.agree(now);
        self.restore(now);
        self.mend(now);
        self.answer_awaiting(now);
        self.rebuild(now);
        self.report();
        applied
    }

    /// Tables are on their way: what they hold need not be kept in memory, and, if it is too much, neither what they lack,
    /// which will then be brought again behind them.
    fn pass_over(&mut self) {
        let Phase::Running(raft) = &mut self.phase else { return };
        let keeps_log = self.replacement.as_ref().is_some_and(|replacement| replacement.keeps_log);
        if raft.log().recent_len() > self.recent_len_max && !keeps_log {
            return raft.pass_over(raft.commit());
        }
        let replacing = self.replacement.as_ref().map(|replacement| replacement.head.last.version);
        let arriving = self.arrival.as_ref().map(Arrival::version);
        raft.pass_over(replacing.or(arriving).unwrap_or_default());
    }

    fn apply(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries {
            // Entries come in order from a log that has no gaps, so this cannot fail while Raft keeps its
            // word.
            if let Err(error) = self.tables.apply(entry) {
                self.say(Level::Error, error.to_string());
            }
            #[cfg(feature = "mistakes")]
            if self.planted.is(cluster_format::Mistake::RowLost) && entry.version.0 == 40 {
                self.tables.lose_row();
            }
            self.agreement.note(self.tables.version(), self.tables.requests_hash());
        }
    }

    fn write(&mut self, now: Now) {
        let (Phase::Running(raft), Some(journal)) = (&mut self.phase, &mut self.journal) else { return };
        // What would be written now belongs to the log that is being replaced.
        if self.writer.is_busy() || self.replacement.is_some() {
            return;
        }
        if let Some(line) = self.writer.write(now, raft, journal, self.tables.is_full()) {
            self.log_lines.push(line);
        }
    }

    /// Whether entries that are committed wait for a turn.
    pub(crate) fn has_more(&self) -> bool {
        let behind = self.raft().is_some_and(|raft| raft.commit() > self.tables.version());
        let can_apply = self.rebuilding.is_none() && self.replacement.is_none() && self.tables.has_room();
        behind && can_apply || self.tables_are_busy || self.has_woken_job()
    }
}
