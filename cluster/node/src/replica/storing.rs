//! The tables on the disk: reading them at the start, checkpoints, and looking after them.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::time::Duration;

use cluster_format::{Membership, SnapshotHead};
use cluster_journal::{Beginning, JournalError, LogEnd};
use cluster_store::{Tables, TablesEvent, Through, WriteError};
use drivers_api::{Level, Now};

use super::{Phase, Replica};
use crate::marks::Mark;
use crate::rebuilding::Rebuilding;
use crate::recovery::Recovery;

/// Between two tables that are read to see whether they are intact.
const SCRUB_PAUSE: Duration = Duration::from_secs(10);

/// A root that is to be made durable.
pub(super) struct Checkpoint {
    root: Vec<u8>,
    through: Through,
    is_replacement: bool,
    /// Whether the tables wait for it.
    is_news: bool,
}

/// Tables that have arrived, until they are durably in place of those that were there.
pub(super) struct Replacement {
    pub(super) head: Arc<SnapshotHead>,
    /// Whether Raft waits for them; else they are for tables that nobody could rely on.
    pub(super) is_rafts: bool,
    /// Whether this node's own log goes on behind them.
    pub(super) keeps_log: bool,
}

fn end_of(through: &Through) -> LogEnd {
    LogEnd { position: through.last, digest: through.digest }
}

impl Replica {
    /// The superblock is known: reads the tables.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        let Some(journal) = &self.journal else { return };
        let (start, options) = (journal.sectors_end(), self.tables_options);
        // What the disk says counts, whatever the node is told since: one that was to join never founds.
        if let Some(founders) = journal.founders() {
            self.founding = Membership::founding(founders);
        }
        let founding = self.founding.clone();
        self.tables = Tables::open(&self.geometry, start, options, &beginning.root, self.life, founding);
        self.phase = Phase::Opening(Some(beginning));
    }

    /// The disk has so many sectors now. What is new of it is the tables' at once; that it has shrunk is not accepted.
    pub(super) fn measure_disk(&mut self, sectors: u64) {
        let is_news = core::mem::replace(&mut self.disk_sectors, sectors) != sectors;
        let Some(journal) = self.journal.as_mut().filter(|_| is_news) else { return };
        let (has, had) = (sectors / 2, self.geometry.sectors / 2);
        match sectors.cmp(&self.geometry.sectors) {
            Ordering::Greater => {
                self.geometry.sectors = sectors;
                journal.grow(sectors);
                // Before that, the tables are not on the disk yet: they will begin with all of it.
                if !matches!(self.phase, Phase::Opening(None)) {
                    self.tables.grow(sectors);
                }
                self.hit(Mark::DiskGrown);
                self.say(Level::Info, alloc::format!("the data disk has grown from {had} to {has} KiB"));
            }
            // The whole disk was given back.
            Ordering::Equal => {}
            // What lies behind its end can be neither read nor written, as the disk itself says; all else goes on.
            Ordering::Less => {
                let line = alloc::format!(
                    "the data disk has shrunk from {had} to {has} KiB: give the whole disk back"
                );
                self.say(Level::Error, line);
            }
        }
    }

    /// Lets the tables work.
    pub(super) fn advance_tables(&mut self, now: Now) {
        if self.journal.is_none() {
            return;
        }
        self.make_room();
        self.tables_are_busy = self.tables.advance();
        for event in self.tables.take_events() {
            self.tables_event(now, event);
        }
        self.make_durable();
        if let (Phase::Recovering(_), Some(journal), true) =
            (&self.phase, &mut self.journal, self.tables.has_room())
        {
            journal.recover();
        }
        self.scrub(now);
    }

    /// If the journal wants it, lets tables take what is only there, or tells it again what they hold.
    fn make_room(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        if !journal.wants_checkpoint() {
            return;
        }
        self.tables.freeze();
        let (root, through) = &self.durable_root;
        let is_idle = self.due_checkpoint.is_none() && self.checkpoint.is_none();
        if is_idle && !root.is_empty() && journal.can_make_room(&end_of(through)) {
            let (root, through) = (root.clone(), *through);
            journal.checkpoint(&root, &end_of(&through));
            self.checkpoint = Some(Checkpoint { root, through, is_replacement: false, is_news: false });
        }
    }

    fn tables_event(&mut self, now: Now, event: TablesEvent) {
        match event {
            TablesEvent::Opened => self.tables_opened(),
            TablesEvent::Lost(error) => {
                self.hit(Mark::TablesLost);
                let line = alloc::format!("the tables cannot be read: {error}: getting them from the leader");
                self.say(Level::Warn, line);
                self.tables_opened();
                self.rebuild_from_leader();
            }
            TablesEvent::NotOpened => self.stop(JournalError::Foreign),
            TablesEvent::Damaged(scrubbed) => self.table_damaged(now, &scrubbed),
            TablesEvent::Intact(table) => self.table_intact(table),
            TablesEvent::Mended(table) => self.table_mended(now, table),
            TablesEvent::NotMended(error) => self.not_mended(now, &error),
            TablesEvent::Replaced => self.replaced = true,
            TablesEvent::Root { root, through, is_replacement } => {
                self.due_checkpoint = Some(Checkpoint { root, through, is_replacement, is_news: true });
            }
            TablesEvent::Full => {
                self.hit(Mark::DiskFull);
                self.say(
                    Level::Warn,
                    "the data disk is full: what was written last stays in the ledger".to_string(),
                );
            }
            TablesEvent::Failed(WriteError::Device(error)) => self.stop(JournalError::Device(error)),
            TablesEvent::Failed(error) => {
                let line = alloc::format!("the tables can no longer be written: {error}");
                self.say(Level::Error, line);
                self.rebuild_from_leader();
            }
        }
    }

    /// The tables are read, or known to be lost: the journal is next.
    fn tables_opened(&mut self) {
        if let Phase::Opening(Some(beginning)) = &mut self.phase {
            let beginning = core::mem::take(beginning);
            self.durable_root = (beginning.root.clone(), *self.tables.through());
            let recovery = Recovery::new(self.founding.clone(), beginning, &self.tables);
            self.phase = Phase::Recovering(Box::new(recovery));
        }
    }

    /// Hands the tables' root to the journal, when it can take one.
    fn make_durable(&mut self) {
        let (Some(checkpoint), Some(journal)) = (&self.due_checkpoint, &mut self.journal) else { return };
        if !journal.can_checkpoint() {
            return;
        }
        let Checkpoint { root, through, is_replacement, .. } = checkpoint;
        let end = end_of(through);
        match (&self.phase, &mut self.replacement) {
            (Phase::Running(raft), Some(replacement)) if *is_replacement => {
                let Replacement { head, is_rafts, keeps_log } = replacement;
                *keeps_log = !*is_rafts && raft.can_resume_behind(head);
                if *keeps_log {
                    journal.checkpoint(root, &end);
                } else if self.writer.is_busy() {
                    return;
                } else {
                    let promised = if *is_rafts { Default::default() } else { raft.kept_through() };
                    journal.start_anew(root, end, promised.max(raft.promised()));
                }
            }
            _ => journal.checkpoint(root, &end),
        }
        self.checkpoint = self.due_checkpoint.take();
    }

    /// A root is durable.
    pub(super) fn checkpointed(&mut self, now: Now) {
        let Some(Checkpoint { root, through, is_replacement, is_news, .. }) = self.checkpoint.take() else {
            return;
        };
        self.durable_root = (root, through);
        if is_news {
            self.tables.root_durable();
        }
        if is_replacement {
            self.installed(now);
        }
    }

    /// Stops serving until the leader's tables are here.
    pub(super) fn rebuild_from_leader(&mut self) {
        if self.rebuilding.is_none() {
            self.rebuilding = Some(Rebuilding::default());
            self.lent.clear();
            self.lending.clear();
            (self.summing, self.mending) = (None, None);
            self.patching.clear();
        }
    }

    /// Reads the next table from end to end, if it is time.
    fn scrub(&mut self, now: Now) {
        if !matches!(self.phase, Phase::Running(_)) || self.tables.are_in_memory() {
            self.scrub_at = None;
            return;
        }
        let at = *self.scrub_at.get_or_insert(now.monotonic + SCRUB_PAUSE);
        if now.monotonic >= at {
            self.tables.scrub_next();
            self.scrub_at = Some(now.monotonic + SCRUB_PAUSE);
        }
    }
}
