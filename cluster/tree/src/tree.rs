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

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use cluster_format::{KeyRange, Version};

use crate::grid::Grid;
use crate::manifest::OpenError;
use crate::writer::{TableIds, write_tables};
use crate::{
    Compaction, Direction, Levels, Manifest, MemTable, ReadError, Retention, Root, Row, Source, Table,
    WriteError, read,
};

/// How a tree is to be.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// Memory is frozen, and becomes a table, once it takes so many bytes.
    pub memory_len_max: usize,
    /// How long the first level may be, in sectors; the next is eight times as long.
    pub base_sectors_max: u64,
    /// A table takes so many cells at most, if no record is longer.
    pub table_cells_max: u32,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeEvent {
    /// It has been read from the disk, with this mark.
    Opened(Arc<[u8]>),
    /// It cannot be read from the disk.
    NotOpened(OpenError),
    /// This is to replace the root before it, durably: [`Tree::root_durable`] is to say when. What is marked with the
    /// version is then in tables.
    Root(Root),
    /// There was no room for a table.
    Full,
    /// The disk can no longer be used.
    Failed(WriteError),
}

type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type WriteJob = Job<Result<Vec<Arc<Table>>, WriteError>>;

/// What is becoming a table.
struct Frozen {
    memory: MemTable,
    mark: Arc<[u8]>,
}

/// A log-structured merge tree.
pub struct Tree {
    grid: Grid,
    options: TreeOptions,
    ids: TableIds,
    horizon: Version,
    memory: MemTable,
    frozen: Option<Arc<Frozen>>,
    levels: Arc<Levels>,
    /// The mark of the newest table.
    mark: Arc<[u8]>,
    /// For [`Levels::pick`].
    turns: Vec<Arc<[u8]>>,
    /// Tables that are no longer in the levels, but named on the disk, or still read.
    retired: Vec<(Arc<Table>, Retired)>,
    opening: Option<Job<Result<Manifest, OpenError>>>,
    flush: Option<WriteJob>,
    compaction: Option<(Compaction, WriteJob)>,
    rooting: Rooting,
    /// The root that is durable.
    root: Option<Root>,
    /// Whether the levels differ from those of the newest manifest.
    is_changed: bool,
    /// There was no room, and nothing has changed since.
    is_full: bool,
    events: Vec<TreeEvent>,
    woken: Arc<Woken>,
}

/// Which manifests name a table that is no longer in the levels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retired {
    /// The newest.
    Named,
    /// The durable one, and not the one that is being written.
    Leaving,
    /// None: its cells are free when nobody reads it any more.
    Unnamed,
}

/// Whether a job can go on.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How far the newest manifest has got.
enum Rooting {
    /// There is no other than that of the durable root.
    Idle,
    /// It is being written.
    Writing(Job<Result<Root, WriteError>>),
    /// The owner makes this root durable.
    Handed(Root),
}

impl Tree {
    /// The tree of `root`, or an empty one. `random` must be drawn anew each time: it tells this life's tables from
    /// others.
    pub fn open(grid: Grid, options: TreeOptions, root: Option<Root>, random: u64) -> Tree {
        let opening = root.clone().map(|root| -> Job<_> {
            let grid = grid.clone();
            Box::pin(async move { Manifest::read(&grid, &root).await })
        });
        let is_new = opening.is_none();
        Tree {
            grid,
            options,
            ids: TableIds(random),
            horizon: Version::ZERO,
            memory: MemTable::default(),
            frozen: None,
            levels: Arc::default(),
            mark: Arc::default(),
            turns: Vec::new(),
            retired: Vec::new(),
            opening,
            flush: None,
            compaction: None,
            rooting: Rooting::Idle,
            root,
            is_changed: false,
            is_full: false,
            events: is_new.then(|| TreeEvent::Opened(Arc::default())).into_iter().collect(),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<TreeEvent> {
        core::mem::take(&mut self.events)
    }

    /// `key` was set to `value`, or deleted, by `version`, which is no older than any before.
    pub fn add(&mut self, key: &Arc<[u8]>, version: Version, value: Option<Arc<[u8]>>) {
        self.memory.add(key, version, value);
    }

    /// Nobody reads at an older version any more.
    pub fn set_horizon(&mut self, horizon: Version) {
        self.horizon = self.horizon.max(horizon);
    }

    /// Whether memory holds so much that it is to be frozen. If it cannot be, what is added comes faster than the disk
    /// takes it.
    pub fn memory_is_full(&self) -> bool {
        self.memory.len_bytes() >= self.options.memory_len_max
    }

    /// Whether memory is full, and [`Tree::freeze`] possible.
    pub fn can_freeze(&self) -> bool {
        self.frozen.is_none() && self.memory_is_full()
    }

    /// Begins to make tables of what was added so far, which is all that `mark` stands for. Only if nothing is frozen.
    pub fn freeze(&mut self, mark: Arc<[u8]>) {
        assert!(self.frozen.is_none(), "one after the other");
        self.frozen = Some(Arc::new(Frozen { memory: core::mem::take(&mut self.memory), mark }));
        self.woken.0.store(true, Ordering::Relaxed);
    }

    /// The root that was handed out last is durable.
    pub fn root_durable(&mut self) {
        let Rooting::Handed(root) = core::mem::replace(&mut self.rooting, Rooting::Idle) else { return };
        let before = self.root.replace(root);
        self.grid.with_cells(|cells| {
            before.iter().flat_map(|root| root.copies).for_each(|copy| cells.give_back(copy));
        });
        for (_, retired) in &mut self.retired {
            if *retired == Retired::Leaving {
                *retired = Retired::Unnamed;
            }
        }
        self.is_full = false;
        self.woken.0.store(true, Ordering::Relaxed);
    }

    /// What it holds now. It takes constant time, and never changes.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            grid: self.grid.clone(),
            memory: self.memory.clone(),
            frozen: self.frozen.clone(),
            levels: self.levels.clone(),
        }
    }

    /// Whether everything is done that can be done, and durable.
    pub fn is_settled(&self) -> bool {
        let is_idle = self.opening.is_none() && self.flush.is_none() && self.compaction.is_none();
        let is_woken = self.woken.0.load(Ordering::Relaxed);
        is_idle && !is_woken && !self.is_changed && matches!(self.rooting, Rooting::Idle)
    }

    /// The tables.
    pub fn levels(&self) -> &Arc<Levels> {
        &self.levels
    }

    /// Does what can be done; whether more can be done at once.
    pub fn advance(&mut self) -> bool {
        if self.woken.0.swap(false, Ordering::Relaxed) {
            let waker = Waker::from(self.woken.clone());
            let context = &mut Context::from_waker(&waker);
            self.continue_opening(context);
            self.continue_flush(context);
            self.continue_compaction(context);
            self.continue_root(context);
        }
        self.free_retired();
        self.woken.0.load(Ordering::Relaxed)
    }

    fn continue_opening(&mut self, context: &mut Context<'_>) {
        let Some(Poll::Ready(read)) = self.opening.as_mut().map(|job| job.as_mut().poll(context)) else {
            return;
        };
        self.opening = None;
        let taken = |grid: &Grid, manifest: &Manifest, root: &Root| {
            let tables = manifest.levels.tables().map(|table| table.cells);
            let mut runs = tables.chain(root.copies);
            grid.with_cells(|cells| runs.all(|run| cells.claim(run)))
        };
        let event = match (read, &self.root) {
            (Ok(manifest), Some(root)) if taken(&self.grid, &manifest, root) => {
                let Manifest { levels, mark } = manifest;
                (self.levels, self.mark) = (Arc::new(levels), mark.clone());
                self.woken.0.store(true, Ordering::Relaxed);
                TreeEvent::Opened(mark)
            }
            (Err(error), _) => TreeEvent::NotOpened(error),
            _ => TreeEvent::NotOpened(OpenError::Damaged),
        };
        self.events.push(event);
    }

    fn continue_flush(&mut self, context: &mut Context<'_>) {
        let Some(frozen) = self.frozen.clone().filter(|_| !self.is_full) else { return };
        let job = self.flush.get_or_insert_with(|| {
            let (grid, ids, frozen) = (self.grid.clone(), self.ids.for_job(), frozen.clone());
            let cells_max = self.options.table_cells_max;
            // Whatever lies deeper may be older.
            let retention = Retention::new(self.horizon, false);
            Box::pin(async move {
                write_tables(&grid, [Source::memory(&frozen.memory)].into(), retention, ids, cells_max).await
            })
        });
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        self.flush = None;
        match written {
            Ok(tables) => {
                let levels = Arc::make_mut(&mut self.levels);
                // Two of them may have a key in common: the first has its newer versions.
                tables.into_iter().rev().for_each(|table| levels.add_young(table));
                self.mark = frozen.mark.clone();
                self.frozen = None;
                self.is_changed = true;
                self.woken.0.store(true, Ordering::Relaxed);
            }
            Err(error) => self.failed(error),
        }
    }

    fn continue_compaction(&mut self, context: &mut Context<'_>) {
        if self.compaction.is_none() && !self.is_full && self.opening.is_none() {
            let picked = self.levels.pick(self.options.base_sectors_max, &mut self.turns);
            self.compaction = picked.map(|compaction| self.start(compaction));
        }
        let Some((_, job)) = &mut self.compaction else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        let Some((compaction, _)) = self.compaction.take() else { return };
        match written {
            Ok(tables) => {
                Arc::make_mut(&mut self.levels).replace(&compaction, tables);
                if !compaction.is_move() {
                    let retired = compaction.tables().map(|table| (table.clone(), Retired::Named));
                    self.retired.extend(retired);
                }
                self.is_changed = true;
                self.woken.0.store(true, Ordering::Relaxed);
            }
            Err(error) => self.failed(error),
        }
    }

    fn start(&mut self, compaction: Compaction) -> (Compaction, WriteJob) {
        let (grid, ids) = (self.grid.clone(), self.ids.for_job());
        let retention = Retention::new(self.horizon, compaction.is_oldest);
        let (tables, cells_max) = (compaction.clone(), self.options.table_cells_max);
        let job = async move {
            if tables.is_move() {
                return Ok(tables.upper);
            }
            let young = tables.young.chunks(1).map(Source::run);
            let sources = young.chain([Source::run(&tables.upper), Source::run(&tables.lower)]).collect();
            write_tables(&grid, sources, retention, ids, cells_max).await
        };
        (compaction, Box::pin(job))
    }

    fn continue_root(&mut self, context: &mut Context<'_>) {
        if let Rooting::Idle = self.rooting
            && self.is_changed
        {
            self.is_changed = false;
            for (_, retired) in &mut self.retired {
                if *retired == Retired::Named {
                    *retired = Retired::Leaving;
                }
            }
            let manifest = Manifest { levels: (*self.levels).clone(), mark: self.mark.clone() };
            let grid = self.grid.clone();
            self.rooting = Rooting::Writing(Box::pin(async move { manifest.write(&grid).await }));
        }
        let Rooting::Writing(job) = &mut self.rooting else { return };
        let Poll::Ready(written) = job.as_mut().poll(context) else { return };
        match written {
            Ok(root) => {
                self.events.push(TreeEvent::Root(root.clone()));
                self.rooting = Rooting::Handed(root);
            }
            Err(error) => {
                self.rooting = Rooting::Idle;
                self.failed(error);
            }
        }
    }

    fn failed(&mut self, error: WriteError) {
        match error {
            WriteError::Full => {
                self.is_full = true;
                self.events.push(TreeEvent::Full);
            }
            error => self.events.push(TreeEvent::Failed(error)),
        }
    }

    /// Frees the cells of tables that nobody names or reads any more.
    fn free_retired(&mut self) {
        let is_gone = |(table, retired): &mut (Arc<Table>, Retired)| {
            *retired == Retired::Unnamed && Arc::strong_count(table) == 1
        };
        let gone: Vec<_> = self.retired.extract_if(.., is_gone).collect();
        self.grid.with_cells(|cells| gone.iter().for_each(|(table, _)| cells.give_back(table.cells)));
    }
}

/// One state of a tree, as a value.
#[derive(Clone)]
pub struct Snapshot {
    grid: Grid,
    memory: MemTable,
    frozen: Option<Arc<Frozen>>,
    levels: Arc<Levels>,
}

impl Snapshot {
    /// The value of `key` as of `version`.
    pub async fn get(&self, key: &[u8], version: Version) -> Result<Option<Arc<[u8]>>, ReadError> {
        let memories = [&self.memory].into_iter().chain(self.frozen.as_deref().map(|frozen| &frozen.memory));
        for memory in memories {
            if let Some((_, value)) = memory.get(key, version) {
                return Ok(value);
            }
        }
        for table in self.levels.candidates(key) {
            if let Some((_, value)) = table.get(&self.grid, key, version).await? {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// The first `rows_max` rows of `range` as of `version`, by `direction`.
    pub async fn read(
        &self,
        range: &KeyRange,
        version: Version,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, ReadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut sources = Vec::from([Source::memory(&self.memory)]);
        sources.extend(self.frozen.as_deref().map(|frozen| Source::memory(&frozen.memory)));
        sources.extend(self.levels.young.chunks(1).map(Source::run));
        sources.extend(self.levels.levels.iter().map(|level| Source::run(level)));
        read(&self.grid, sources, range, version, direction, rows_max).await
    }
}
