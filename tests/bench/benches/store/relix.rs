//! Relix's journal and tree on files, without a node around them.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use cluster_format::{
    Commit, Digest, Entry, KeyRange, LogPosition, NodeId, Origin, Payload, Planted, RequestId, Version,
    Write, encode,
};
use cluster_journal::{Identity, Journal, JournalEvent, RecordState};
use cluster_tree::{CELL_SECTORS, Direction, Grid, Most, Root, Tree, TreeEvent, TreeOptions};
use drivers_api::{Disk, DiskOperation, DiskRequest, SECTOR_SIZE};
use drivers_host::HostDisk;

use super::{CACHE_LEN, Engine, Row};

const DISK_LEN: u64 = 16 << 30;

/// The tree's cells begin behind its root's sector.
const START: u64 = 8;

/// The id of the request that writes the root: the tree's own have other low bits.
const ROOT_REQUEST: u64 = 4;

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
    root: Option<Root>,
    /// A root that is being written.
    writing: Option<Root>,
    version: Version,
    digest: Digest,
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
            writing: None,
            version: Version::ZERO,
            digest: Digest::ZERO,
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
                TreeEvent::Root { root, .. } => self.write_root(root),
                TreeEvent::Opened(_) => {}
                other => panic!("{other:?}"),
            }
        }
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
            match completion.id {
                ROOT_REQUEST => {
                    completion.result.expect("the tree's disk works");
                    self.root = self.writing.take();
                    self.tree.root_durable();
                }
                _ => self.grid.completed(completion),
            }
        }
        while let Poll::Ready(completion) = self.journal_disk.disk.poll_completion(context) {
            more = true;
            self.journal.completed(completion).expect("the journal's disk works");
        }
        for event in self.journal.take_events() {
            match event {
                JournalEvent::Opened { .. } => self.opened = true,
                JournalEvent::Appended(_) => self.appended = true,
                JournalEvent::Begins(_)
                | JournalEvent::Recovered(_)
                | JournalEvent::Read(..)
                | JournalEvent::Checkpointed => {}
            }
        }
        more
    }

    fn write_root(&mut self, root: Root) {
        let mut sector = encode(&root);
        sector.resize(SECTOR_SIZE, 0);
        self.writing = Some(root);
        let operation = DiskOperation::Write { sector: 0, buffer: sector.into(), durable: true };
        self.tree_disk.submit([DiskRequest { id: ROOT_REQUEST, operation }]);
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
    let identity = Identity { cluster_name: "bench".into(), node: NodeId(1) };
    let journal = Journal::open(queue.disk.geometry(), identity, 7, Planted::NONE).expect("a journal");
    (queue, journal)
}

fn open_tree(directory: &Path, root: Option<Root>) -> (Queue, Grid, Tree) {
    let queue = Queue::open(&directory.join("tree"));
    let grid = Grid::new(&queue.disk.geometry(), START, CACHE_LEN);
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
        self.version = self.version.next();
        let commit = Commit {
            request: RequestId { session: 1, sequence: self.version.0 },
            origin: Origin { node: NodeId(1) },
            read_version: self.version,
            reads: Vec::new(),
            deletes: Vec::new(),
            writes: rows.iter().map(write).collect(),
        };
        let commit = Arc::new(commit);
        let position = LogPosition { term: 1, version: self.version };
        let entry = Entry::new(position, 0, self.digest, Payload::Commit(commit.clone()));
        self.digest = entry.digest();
        self.appended = false;
        let state = RecordState { term: 1, commit: self.version, ..RecordState::default() };
        self.journal.append(0, state, &[Arc::new(entry)]);
        self.run_until(|relix| relix.appended);
        for Write { key, value, .. } in &commit.writes {
            self.tree.add(key, self.version, value.clone());
        }
        self.run_until(|relix| !relix.tree.memory_is_full() || relix.tree.can_freeze());
        if self.tree.memory_is_full() && self.tree.can_freeze() {
            self.tree.freeze(self.version.0.to_be_bytes()[..].into());
        }
    }

    fn settle(&mut self) {
        self.run_until(|relix| relix.tree.is_settled());
        self.tree.freeze(self.version.0.to_be_bytes()[..].into());
        self.run_until(|relix| relix.tree.is_settled());
    }

    fn reopen(&mut self) {
        (self.tree_disk, self.grid, self.tree) = open_tree(&self.directory, self.root.clone());
        self.run_until(|relix| relix.tree.is_settled());
    }

    fn get(&mut self, key: &[u8; 8]) -> Option<usize> {
        let snapshot = self.tree.snapshot();
        self.run(snapshot.get(key, self.version)).expect("a read").map(|value| value.len())
    }

    fn scan(&mut self) -> (u64, u64) {
        let snapshot = self.tree.snapshot();
        let mut counted = (0, 0);
        let mut range = KeyRange { start: [][..].into(), end: [0xff; 9][..].into() };
        loop {
            let rows =
                self.run(snapshot.read(&range, self.version, Direction::Forward, Most::rows(SCAN_ROWS)));
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
