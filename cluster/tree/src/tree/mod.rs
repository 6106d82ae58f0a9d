//! The tree: what is written goes to memory, from there to young tables, and sinks through the levels.
//!
//! ```text
//!  add ──► memory ──freeze──► frozen ──flush──► young ──compact──► level 1 ──compact──► level 2 ...
//!                                │                 │
//!                                └─ mark ──────────┴──► manifest ──► root ──► the owner's superblock
//! ```
//!
//! A state machine: requests for the disk come out of its [`Grid`], completions go into it, and [`Tree::advance`] does
//! what has become possible. A crash goes back to the last root that was made durable, whose mark says what the tree
//! holds then; the owner adds again what came after.
//!
//! Several [jobs] may be under way at once, one of each kind: a flush, a compaction, a manifest, a scrub. One that fails
//! for want of room has changed nothing, and is begun again when there is more.

mod event;
mod jobs;
mod memory;
mod options;
mod upkeep;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};

use cluster_format::{Digest, KeyRange, Version};
use drivers_api::SECTOR_SIZE;

pub use event::TreeEvent;
pub use options::TreeOptions;

use self::memory::Memory;
use crate::cells::CELL_SECTORS;
use crate::grid::Grid;
use crate::levels::{Compaction, Run};
use crate::patch::Patches;
use crate::retired::Retired;
use crate::writer::TableIds;
use crate::{
    Arrived, Incoming, Levels, Manifest, OpenError, Outgoing, Root, Scrubbed, Snapshot, TableId, WriteError,
    WrittenSince,
};

type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type WriteJob = Job<Result<Run, WriteError>>;

enum Phase {
    /// Reads the manifest.
    Opening(Job<Result<Manifest, OpenError>>),
    Open,
    /// The disk failed, or holds no tree.
    Broken,
}

/// How far the newest manifest has got.
enum Rooting {
    /// There is no other than that of the durable root.
    Idle,
    /// It is being written, with this mark.
    Writing(Arc<[u8]>, Job<Result<Root, WriteError>>),
    /// The owner makes this root durable.
    Handed(Root),
}

/// How many cells were free when a job of each kind found no room: it begins again when there are more.
#[derive(Default)]
struct Full {
    flush: Option<u32>,
    compaction: Option<u32>,
    manifest: Option<u32>,
}

impl Full {
    /// So many cells are free now; whether that is more than any of them had.
    fn lift(&mut self, free: u32) -> bool {
        let kinds = [&mut self.flush, &mut self.compaction, &mut self.manifest];
        kinds.into_iter().filter_map(|full_at| full_at.take_if(|full_at| free > *full_at)).count() > 0
    }
}

/// Whether a job can go on.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A log-structured merge tree.
pub struct Tree {
    grid: Grid,
    options: TreeOptions,
    ids: TableIds,
    phase: Phase,
    horizon: Version,
    memory: Memory,
    levels: Arc<Levels>,
    /// The mark of the newest table.
    mark: Arc<[u8]>,
    /// For [`Levels::pick`].
    turns: Vec<Arc<[u8]>>,
    retired: Retired,
    /// With the mark of what is being written.
    flush: Option<(Arc<[u8]>, WriteJob)>,
    compaction: Option<(Compaction, WriteJob)>,
    /// What is to replace everything when other jobs have ended.
    replacement: Option<Arrived>,
    /// Whether no manifest names yet what has replaced everything.
    is_replaced: bool,
    /// Tables in which damage was met: they are merged with others when it is mended.
    damaged: BTreeSet<TableId>,
    scrub: Option<Job<Scrubbed>>,
    /// Tables that are to be scrubbed before others.
    suspects: BTreeSet<TableId>,
    /// What is to be filled in, and, while that is done, into which table.
    patches: Option<Arc<Patches>>,
    mending: Option<TableId>,
    /// The cell from which on the next table is scrubbed.
    scrub_from: u32,
    rooting: Rooting,
    /// The root that is durable.
    root: Option<Root>,
    /// Whether the levels differ from those of the newest manifest.
    is_changed: bool,
    /// Whether the levels or the horizon may have made a compaction due.
    may_compact: bool,
    /// Whether either may have made range tombstones needless, or tables that they hide.
    may_settle: bool,
    /// When they were looked through last, the oldest behind the horizon.
    settle_at: Option<Version>,
    /// The newest version at the last [`Tree::rest`], and whether nothing had been written since the one before.
    rested_at: Version,
    is_idle: bool,
    /// Jobs that have found no room.
    full: Full,
    events: Vec<TreeEvent>,
    woken: Arc<Woken>,
}

impl Tree {
    /// The tree of `root`, or an empty one. `random` must be drawn anew each time: it tells this life's tables from
    /// others.
    pub fn open(grid: Grid, options: TreeOptions, root: Option<Root>, random: u64) -> Tree {
        let phase = match root.clone() {
            Some(root) => {
                let grid = grid.clone();
                Phase::Opening(Box::pin(async move { Manifest::read(&grid, &root).await }))
            }
            None => Phase::Open,
        };
        let is_new = root.is_none();
        // Lives may be short: each begins somewhere else.
        let scrub_from = (random >> 32) as u32 % grid.cells().max(1);
        Tree {
            grid,
            options,
            ids: TableIds(random),
            phase,
            horizon: Version::ZERO,
            memory: Memory::default(),
            levels: Arc::default(),
            mark: Arc::default(),
            turns: Vec::new(),
            retired: Retired::default(),
            flush: None,
            compaction: None,
            replacement: None,
            is_replaced: false,
            damaged: BTreeSet::new(),
            scrub: None,
            suspects: BTreeSet::new(),
            patches: None,
            mending: None,
            scrub_from,
            rooting: Rooting::Idle,
            root,
            is_changed: false,
            may_compact: true,
            may_settle: false,
            settle_at: None,
            rested_at: Version::ZERO,
            is_idle: false,
            full: Full::default(),
            events: is_new.then(|| TreeEvent::Opened(Arc::default())).into_iter().collect(),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    /// Goes on by other options, as suit a disk that has [grown](Grid::grow): from the next job on. Those that found no room
    /// begin again by themselves, since there is more.
    pub fn set_options(&mut self, options: TreeOptions) {
        (self.options, self.may_compact) = (options, true);
        self.wake();
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<TreeEvent> {
        core::mem::take(&mut self.events)
    }

    /// `key` was set to `value`, or deleted, by `version`, which is no older than any before.
    pub fn add(&mut self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        self.memory.add(key, version, value);
    }

    /// What was in `range` was deleted by `version`, which is no older than any before. What that version writes itself is to be
    /// [added](Tree::add) afterwards.
    pub fn delete_range(&mut self, range: &KeyRange, version: Version) {
        self.memory.delete_range(range, version);
    }

    /// The first version that `look` finds in what was written since, as far as that is [known](Tree::remembered).
    pub fn written_since(
        &self,
        since: Version,
        look: impl Fn(&WrittenSince<'_>) -> Option<Version>,
    ) -> Option<Version> {
        self.memory.written_since(since, look)
    }

    /// What was added behind this version is remembered key by key, in memory: as much as memory may be full of, beside what
    /// was added last.
    pub fn remembered(&self) -> Version {
        self.memory.remembered()
    }

    /// Nobody reads at an older version any more.
    pub fn set_horizon(&mut self, horizon: Version) {
        if horizon > self.horizon {
            self.may_settle |= self.settle_at.is_some_and(|version| version <= horizon);
            (self.horizon, self.may_compact) = (horizon, true);
            self.wake();
        }
    }

    /// The last key in memory that is not deleted there.
    pub fn last_in_memory(&self) -> Option<Arc<[u8]>> {
        self.memory.added().last_key()
    }

    /// Bytes that memory takes.
    pub fn memory_len(&self) -> usize {
        self.memory.len_bytes()
    }

    /// Whether so few cells are free that, beside what memory may hold and `len` bytes more, only what makes room should be
    /// added. A tree without a disk never is.
    pub fn is_nearly_full(&self, len: usize) -> bool {
        if self.grid.is_empty() {
            return false;
        }
        let bytes = self.options.memory_len_max.saturating_mul(2).saturating_add(len);
        let flushes = (bytes / SECTOR_SIZE / CELL_SECTORS as usize).min(u32::MAX as usize / 2) as u32 + 2;
        self.grid.free_cells() < self.room(self.compaction_cells()).left + flushes
    }

    /// Whether memory holds so much that it is to be frozen. If it cannot be, what is added comes faster than the disk
    /// takes it, or there is no room.
    pub fn memory_is_full(&self) -> bool {
        self.memory.added().len_bytes() >= self.options.memory_len_max
    }

    /// Whether [`Tree::freeze`] is possible.
    pub fn can_freeze(&self) -> bool {
        self.is_open()
            && self.memory.frozen().is_none()
            && self.levels.young.len() < self.options.young_runs_max()
    }

    /// Begins to make tables of what was added so far, which is all that `mark` stands for. Only if it
    /// [can](Tree::can_freeze).
    pub fn freeze(&mut self, mark: Arc<[u8]>) {
        assert!(self.can_freeze(), "one after the other, in an open tree");
        self.memory.freeze(mark, self.options.memory_len_max);
        self.wake();
    }

    /// The root that was handed out last is durable.
    pub fn root_durable(&mut self) {
        match core::mem::replace(&mut self.rooting, Rooting::Idle) {
            Rooting::Handed(root) => {
                let before = self.root.replace(root);
                self.give_back(before.as_ref());
                self.retired.root_durable();
                self.wake();
            }
            other => self.rooting = other,
        }
    }

    /// What its tables stand for; empty if there was never one.
    pub fn mark(&self) -> &Arc<[u8]> {
        &self.mark
    }

    /// Its tables as they are now, to be sent to another node. What is in memory is not in them.
    pub fn outgoing(&self) -> Outgoing {
        let (levels, mark) = ((*self.levels).clone(), self.mark.clone());
        Outgoing::new(self.grid.clone(), &Manifest { levels, horizon: self.horizon, mark })
    }

    /// Tables of another node, of which so much is known, begin to arrive beside those that are here.
    pub fn incoming(&self, content: (Digest, u64)) -> Incoming {
        let manifest = content.1 / u64::from(CELL_SECTORS) / SECTOR_SIZE as u64;
        let manifests = 2 * (manifest.min(u64::from(u32::MAX / 4)) as u32 + 2);
        Incoming::new(self.grid.clone(), content, self.room(manifests).left)
    }

    /// Replaces everything there is, memory included, by what has arrived, as soon as other jobs have ended. Until its
    /// root is durable, or if the power fails before, everything on the disk stays as it is; but what could not be opened may be written over.
    pub fn replace(&mut self, arrived: Arrived) {
        self.replacement = Some(arrived);
        self.wake();
    }

    /// What it holds now. It takes constant time, and never changes.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            grid: self.grid.clone(),
            memory: self.memory.added().clone(),
            frozen: self.memory.frozen().map(|frozen| frozen.records.clone()),
            newest: self.memory.newest(),
            levels: self.levels.clone(),
            horizon: self.horizon,
        }
    }

    /// Whether this table is one of it.
    pub fn has(&self, table: TableId) -> bool {
        self.levels.tables().any(|known| known.head.id == table)
    }

    /// Replaces the levels, for a test that needs just these.
    #[cfg(test)]
    pub(crate) fn set_levels(&mut self, levels: Levels) {
        self.levels = Arc::new(levels);
    }

    /// The oldest version that can be read.
    pub fn horizon(&self) -> Version {
        self.horizon
    }

    /// The tables.
    pub fn levels(&self) -> &Arc<Levels> {
        &self.levels
    }

    /// Whether a table has lost something.
    pub fn is_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// Whether nothing is under way but perhaps a scrub, and whatever has become a table is named by a durable root.
    pub fn is_settled(&self) -> bool {
        let is_idle = self.flush.is_none()
            && self.compaction.is_none()
            && self.replacement.is_none()
            && !self.is_woken();
        let is_named =
            (!self.is_changed || self.full.manifest.is_some()) && matches!(self.rooting, Rooting::Idle);
        is_idle && is_named && !matches!(self.phase, Phase::Opening(_))
    }

    /// Does what can be done; whether more can be done at once. To be called when requests have completed, when something
    /// was asked of the tree, and when snapshots were dropped, if there was no room.
    pub fn advance(&mut self) -> bool {
        self.grid.with_cells(|cells| self.retired.take_unused().for_each(|run| cells.give_back(run)));
        if self.is_open() && self.retired.keeps_any() && self.is_nearly_full(0) {
            // Who has read for long must not keep everyone from writing.
            self.grid.revoke(self.retired.revoke());
        }
        if let Some(error) = self.grid.take_damaged() {
            self.suspect(&error);
        }
        if self.full.lift(self.grid.free_cells()) {
            self.may_compact = true;
            self.wake();
        }
        if self.woken.0.swap(false, Ordering::Relaxed) {
            let waker = Waker::from(self.woken.clone());
            let context = &mut Context::from_waker(&waker);
            self.continue_opening(context);
            self.continue_flush(context);
            self.continue_compaction(context);
            self.continue_replacement();
            self.continue_root(context);
            self.continue_scrub(context);
        }
        self.is_woken()
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        self.woken.0.store(true, Ordering::Relaxed);
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }
}
