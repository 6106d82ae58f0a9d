//! Relix's journal and tree on files, without a node around them.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use cluster_format::{
    Commit, Entry, KeyRange, LogPosition, NodeId, Origin, Payload, Planted, RequestId, Write, decode, encode,
};
use cluster_journal::{Identity, Journal, JournalEvent, LogEnd, RecordState};
use cluster_tree::{CELL_SECTORS, Direction, Grid, Most, RangeRead, Root, Tree, TreeEvent, TreeOptions};
use drivers_api::{Disk, DiskOperation, DiskRequest, SECTOR_SIZE};
use drivers_host::HostDisk;

use super::{CACHE_LEN, Engine, Row};

const DISK_LEN: u64 = 16 << 30;

/// Rows of a scan at a time, as the store's sessions read them.
const SCAN_ROWS: usize = 256;

const OPTIONS: TreeOptions = TreeOptions {
    memory_len_max: 32 << 20,
    young_runs: 12,
    base_sectors_max: (256 << 20) / 512,
    table_cells_max: 64,
};

/// Wakes the thread that waits for its disks.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A disk, and requests that it had no room for.
struct Queue {
    disk: HostDisk,
    waiting: VecDeque<DiskRequest>,
}

impl Queue {
    fn open(path: &Path) -> Queue {
        let file = File::options().create(true).append(true).open(path);
        file.and_then(|file| file.set_len(DISK_LEN)).expect("a file");
        Queue { disk: HostDisk::open(path).expect("a disk"), waiting: VecDeque::new() }
    }

    fn submit(&mut self, requests: impl IntoIterator<Item = DiskRequest>) {
        self.waiting.extend(requests);
        while let Some(request) = self.waiting.pop_front() {
            if let Err(request) = self.disk.submit(request) {
                self.waiting.push_front(request);
                break;
            }
        }
        self.disk.kick();
    }
}

pub(crate) struct Relix {
    directory: PathBuf,
    waker: Waker,
    journal_disk: Queue,
    journal: Journal,
    tree_disk: Queue,
    grid: Grid,
    tree: Tree,
    /// The root that is durable, one that is being made so, and one that is to be, each with what its tables hold.
    root: Option<(Root, LogEnd)>,
    checkpoint: Option<(Root, LogEnd)>,
    due: Option<(Root, LogEnd)>,
    /// What the tree holds of the log.
    end: LogEnd,
    appended: bool,
    opened: bool,
    written: u64,
}

impl Relix {
    pub(crate) fn new(directory: &Path) -> Relix {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let (journal_disk, journal) = open_journal(directory);
        let (tree_disk, grid, tree) = open_tree(directory, None);
        let mut relix = Relix {
            directory: directory.into(),
            waker,
            journal_disk,
            journal,
            tree_disk,
            grid,
            tree,
            root: None,
            checkpoint: None,
            due: None,
            end: LogEnd::default(),
            appended: false,
            opened: false,
            written: 0,
        };
        relix.run_until(|relix| relix.opened);
        relix
    }

    fn run_until(&mut self, is_so: impl Fn(&Relix) -> bool) {
        while !is_so(self) {
            if !self.turn() && !is_so(self) {
                thread::park();
            }
        }
    }

    /// What can be done now; whether anything was.
    fn turn(&mut self) -> bool {
        let mut more = self.tree.advance();
        for event in self.tree.take_events() {
            more = true;
            match event {
                TreeEvent::Root { root, mark, .. } => {
                    let through = decode(&mark).expect("it is what was given to it");
                    self.due = Some((root, through));
                }
                TreeEvent::Opened(_) => {}
                other => panic!("{other:?}"),
            }
        }
        self.make_durable();
        let requests = self.grid.take_requests();
        let len = |request: &DiskRequest| match &request.operation {
            DiskOperation::Write { buffer, .. } => buffer.len() as u64,
            _ => 0,
        };
        self.written += requests.iter().map(len).sum::<u64>();
        self.tree_disk.submit(requests);
        self.journal.recover();
        let requests = self.journal.take_requests();
        self.written += requests.iter().map(len).sum::<u64>();
        self.journal_disk.submit(requests);
        let context = &mut Context::from_waker(&self.waker);
        while let Poll::Ready(completion) = self.tree_disk.disk.poll_completion(context) {
            more = true;
            self.grid.completed(completion);
        }
        while let Poll::Ready(completion) = self.journal_disk.disk.poll_completion(context) {
            more = true;
            self.journal.completed(completion).expect("the journal's disk works");
        }
        for event in self.journal.take_events() {
            match event {
                JournalEvent::Opened { .. } => self.opened = true,
                JournalEvent::Appended(_) => self.appended = true,
                JournalEvent::Begins(_) | JournalEvent::Recovered(_) | JournalEvent::Read(..) => {}
                JournalEvent::Checkpointed => {
                    let is_news = self.root != self.checkpoint;
                    self.root = self.checkpoint.take();
                    if is_news {
                        self.tree.root_durable();
                    }
                }
            }
        }
        more
    }

    /// As a node does: what the tables hold makes room in the journal.
    fn make_durable(&mut self) {
        if !self.opened || self.checkpoint.is_some() {
            return;
        }
        if self.journal.wants_checkpoint() && self.tree.memory_len() > 0 {
            self.freeze();
        }
        let again = self
            .root
            .clone()
            .filter(|(_, through)| self.journal.wants_checkpoint() && self.journal.can_make_room(through));
        if self.journal.can_checkpoint()
            && let Some((root, through)) = self.due.take().or(again)
        {
            self.journal.checkpoint(&encode(&root), &through);
            self.checkpoint = Some((root, through));
        }
    }

    fn freeze(&mut self) {
        if self.tree.can_freeze() {
            self.tree.freeze(encode(&self.end).into());
        }
    }

    fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                return value;
            }
            if !self.turn() {
                thread::park();
            }
        }
    }
}

fn open_journal(directory: &Path) -> (Queue, Journal) {
    let queue = Queue::open(&directory.join("journal"));
    let identity = Identity { cluster_name: "bench".into(), node: NodeId(1), founders: Some(1) };
    let journal = Journal::open(queue.disk.geometry(), identity, 7, Planted::NONE).expect("a journal");
    (queue, journal)
}

fn open_tree(directory: &Path, root: Option<Root>) -> (Queue, Grid, Tree) {
    let queue = Queue::open(&directory.join("tree"));
    let grid = Grid::new(&queue.disk.geometry(), 0, CACHE_LEN);
    let life = if root.is_some() { 2 } else { 1 };
    let tree = Tree::open(grid.clone(), OPTIONS, root, life << 48);
    (queue, grid, tree)
}

impl Engine for Relix {
    fn name(&self) -> &'static str {
        "relix"
    }

    fn load(&mut self, rows: &[Row]) {
        let write = |(key, value): &Row| Write { key: key[..].into(), value: Some(value[..].into()) };
        let version = self.end.position.version.next();
        let commit = Commit {
            request: RequestId { session: 1, sequence: version.0 },
            origin: Origin { node: NodeId(1) },
            read_version: version,
            reads: Vec::new(),
            deletes: Vec::new(),
            writes: rows.iter().map(write).collect(),
        };
        let commit = Arc::new(commit);
        let position = LogPosition { term: 1, version };
        let entry = Entry::new(position, 0, self.end.digest, Payload::Commit(commit.clone()));
        let entries = [Arc::new(entry)];
        self.run_until(|relix| relix.journal.has_room_for(&entries));
        self.appended = false;
        let state = RecordState { term: 1, commit: version, ..RecordState::default() };
        self.journal.append(0, state, &entries);
        self.run_until(|relix| relix.appended);
        for Write { key, value, .. } in &commit.writes {
            self.tree.add(key, version, value.clone());
        }
        self.end = LogEnd::of(&entries[0]);
        self.run_until(|relix| !relix.tree.memory_is_full() || relix.tree.can_freeze());
        if self.tree.memory_is_full() {
            self.freeze();
        }
    }

    fn settle(&mut self) {
        self.run_until(|relix| relix.tree.is_settled());
        self.freeze();
        self.run_until(|relix| relix.tree.is_settled());
    }

    fn reopen(&mut self) {
        (self.tree_disk, self.grid, self.tree) =
            open_tree(&self.directory, self.root.clone().map(|(root, _)| root));
        self.run_until(|relix| relix.tree.is_settled());
    }

    fn get(&mut self, key: &[u8; 8]) -> Option<usize> {
        let snapshot = self.tree.snapshot();
        self.run(snapshot.get(key, self.end.position.version)).expect("a read").map(|value| value.len())
    }

    fn scan(&mut self) -> (u64, u64) {
        let snapshot = self.tree.snapshot();
        let mut counted = (0, 0);
        let mut range = KeyRange { start: [][..].into(), end: [0xff; 9][..].into() };
        loop {
            let (version, direction) = (self.end.position.version, Direction::Forward);
            let asked = RangeRead { range: &range, version, direction, most: Most::rows(SCAN_ROWS) };
            let rows = self.run(snapshot.read(asked));
            let rows = rows.expect("a read");
            let Some((last, _)) = rows.last() else { return counted };
            range.start = KeyRange::single(last).end;
            counted.0 += rows.len() as u64;
            counted.1 += rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        }
    }

    fn written(&self) -> Option<u64> {
        Some(self.written)
    }

    fn size(&self) -> u64 {
        let cells: u32 = self.tree.levels().tables().map(|table| table.cells.count).sum();
        u64::from(cells * CELL_SECTORS) * SECTOR_SIZE as u64
    }
}
