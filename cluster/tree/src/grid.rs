//! The disk as cells and frames: reads go through the cache, and whoever waits for the same frame shares the request.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use drivers_api::{DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};
use futures_channel::oneshot;
use hashbrown::HashMap;
use spin::Mutex;

use crate::cells::CELL_SECTORS;
use crate::{
    CacheCounts, CellRun, Cells, Frame, FrameCache, FrameId, FrameKind, FrameRef, Frames, ReadError, Table,
    TableId,
};

/// The low bits of the ids of all requests: whoever has other requests for the same disk uses others.
pub const REQUEST_TAG: u64 = (1 << REQUEST_TAG_BITS) - 1;

/// How many bits those are.
pub const REQUEST_TAG_BITS: u32 = 3;

/// Bytes of a cell.
const CELL_LEN: u64 = CELL_SECTORS as u64 * SECTOR_SIZE as u64;

/// A part of a disk, in cells. Clones are the same one.
#[derive(Clone)]
pub struct Grid {
    shared: Arc<Mutex<Shared>>,
    /// Who is told what this clone, and those made of it, read.
    reads: Option<Arc<BlockReads>>,
}

/// What was read of tables, in blocks.
#[derive(Debug, Default)]
pub struct BlockReads {
    all: AtomicU64,
    from_disk: AtomicU64,
}

impl BlockReads {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Those that were not in memory, or were not yet.
    pub fn from_disk(&self) -> u64 {
        self.from_disk.load(Ordering::Relaxed)
    }
}

type FrameReader = oneshot::Sender<Result<Arc<[u8]>, ReadError>>;

/// The cache and the requests, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridStatus {
    /// What the cache has been good for.
    pub counts: CacheCounts,
    /// Frames in it.
    pub frames: usize,
    /// Their bytes.
    pub len: usize,
    /// How many these may be.
    pub len_max: usize,
    /// Requests that were made.
    pub requests: u64,
    /// Those that the disk has not done yet.
    pub waiting: usize,
}

struct Shared {
    /// The sector that the first cell begins with.
    start: u64,
    transfer_len_max: usize,
    cells: Cells,
    cache: FrameCache,
    requests: VecDeque<DiskRequest>,
    requests_made: u64,
    /// What each request is for.
    waiting: HashMap<u64, Waiting>,
    /// Damage that a reader has met.
    damaged: Option<ReadError>,
    /// Tables whose cells were given away though somebody may still read them.
    revoked: Vec<(TableId, Weak<Table>)>,
    /// Who waits for a frame that is being read.
    readers: HashMap<FrameId, Vec<FrameReader>>,
}

/// What a request is for.
enum Waiting {
    /// Somebody waits for it.
    Caller(oneshot::Sender<Completed>),
    /// These frames lie in it, one behind the other.
    Frames(TableId, Vec<(FrameKind, FrameRef)>),
}

type Completed = (DiskOperation, Result<(), DiskError>);

impl Grid {
    /// The cells of a disk from sector `start` on, all free, with a cache of so many bytes.
    pub fn new(geometry: &DiskGeometry, start: u64, cache_len_max: usize) -> Grid {
        let shared = Shared {
            start,
            transfer_len_max: (geometry.transfer_len_max / SECTOR_SIZE).max(1) * SECTOR_SIZE,
            cells: Cells::new(cells_between(start, geometry.sectors)),
            cache: FrameCache::new(cache_len_max),
            requests: VecDeque::new(),
            requests_made: 0,
            waiting: HashMap::new(),
            damaged: None,
            revoked: Vec::new(),
            readers: HashMap::new(),
        };
        Grid { shared: Arc::new(Mutex::new(shared)), reads: None }
    }

    /// The same, where what is read counts for `reads`.
    pub(crate) fn counted(self, reads: Arc<BlockReads>) -> Grid {
        Grid { reads: Some(reads), ..self }
    }

    /// The disk has become larger, and has so many sectors now: the cells of what is new are free.
    pub fn grow(&self, sectors: u64) {
        let mut shared = self.shared.lock();
        let count = cells_between(shared.start, sectors);
        shared.cells.grow(count);
    }

    /// What there is to say of the cache and the requests.
    pub fn status(&self) -> GridStatus {
        let shared = self.shared.lock();
        GridStatus {
            counts: shared.cache.counts(),
            frames: shared.cache.frames(),
            len: shared.cache.len_bytes(),
            len_max: shared.cache.len_max(),
            requests: shared.requests_made,
            waiting: shared.waiting.len(),
        }
    }

    /// Requests for the disk. They may complete in any order.
    pub fn take_requests(&self) -> VecDeque<DiskRequest> {
        core::mem::take(&mut self.shared.lock().requests)
    }

    /// A request has finished.
    pub fn completed(&self, completion: DiskCompletion) {
        let DiskCompletion { id, operation, result } = completion;
        let waiting = self.shared.lock().waiting.remove(&id);
        match (waiting, operation) {
            // Whoever has given up waiting does not want to know.
            (Some(Waiting::Caller(caller)), operation) => _ = caller.send((operation, result)),
            // What cannot be read of it is only known when each is read alone.
            (Some(Waiting::Frames(table, frames)), DiskOperation::Read { sector, .. })
                if result.is_err() && frames.len() > 1 =>
            {
                let mut shared = self.shared.lock();
                let mut sector = sector;
                for (kind, frame) in frames {
                    shared.read_frames_at(sector, table, vec![(kind, frame)]);
                    sector += u64::from(frame.sectors);
                }
            }
            (Some(Waiting::Frames(table, frames)), DiskOperation::Read { buffer, .. }) => {
                self.frames_arrived(table, &frames, &buffer, result);
            }
            _ => {}
        }
    }

    fn frames_arrived(
        &self,
        table: TableId,
        frames: &[(FrameKind, FrameRef)],
        bytes: &[u8],
        result: Result<(), DiskError>,
    ) {
        let mut rest = bytes;
        for (kind, frame) in frames {
            let (own, behind) = rest.split_at(rest.len().min(frame.sectors as usize * SECTOR_SIZE));
            rest = behind;
            let parsed = match result {
                Ok(()) => Frame::parse(own, table, *kind, frame)
                    .map_err(|error| ReadError::Frame(table, *frame, error)),
                Err(_) => Err(ReadError::Device(table, *frame)),
            };
            self.tell((table, *frame), parsed);
        }
    }

    /// A frame was read, or could not be.
    fn tell(&self, id: FrameId, parsed: Result<Arc<[u8]>, ReadError>) {
        let readers = {
            let mut shared = self.shared.lock();
            match &parsed {
                Ok(payload) => shared.cache.insert(id, payload.clone()),
                Err(error) => shared.note_damage(*error),
            }
            shared.readers.remove(&id)
        };
        for reader in readers.into_iter().flatten() {
            let _ = reader.send(parsed.clone());
        }
    }

    /// Damage that a reader of frames has met since the last call.
    pub(crate) fn take_damaged(&self) -> Option<ReadError> {
        self.shared.lock().damaged.take()
    }

    /// Gives the cells of `tables` away, though somebody may still read them: what is then there is told by its checksum
    /// from what they look for, as [`Grid::is_revoked`] explains.
    pub(crate) fn revoke(&self, tables: Vec<Arc<Table>>) {
        let mut shared = self.shared.lock();
        shared.revoked.retain(|(_, table)| table.strong_count() > 0);
        for table in tables {
            shared.cells.give_back(table.cells);
            shared.revoked.push((table.head.id, Arc::downgrade(&table)));
        }
    }

    /// Whether a table's frames cannot be had because its cells were given away.
    pub(crate) fn is_revoked(&self, table: TableId) -> bool {
        self.shared.lock().revoked.iter().any(|(revoked, _)| *revoked == table)
    }

    /// How many cells there are.
    pub fn cells(&self) -> u32 {
        self.shared.lock().cells.count()
    }

    /// How many of them are free.
    pub fn free_cells(&self) -> u32 {
        self.shared.lock().cells.free()
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        u64::from(self.cells()) * CELL_LEN
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.cells() == 0
    }

    /// How many bytes of it are free.
    pub fn free_len(&self) -> u64 {
        u64::from(self.free_cells()) * CELL_LEN
    }

    /// Does something with the cells.
    pub(crate) fn with_cells<T>(&self, change: impl FnOnce(&mut Cells) -> T) -> T {
        change(&mut self.shared.lock().cells)
    }

    /// Writes `bytes`, whole sectors, into cells, `offset` sectors from their beginning. They may be lost until
    /// [`Grid::flush`] is done.
    pub(crate) async fn write(&self, cells: CellRun, offset: u32, bytes: Vec<u8>) -> Result<(), DiskError> {
        let end = offset as usize + bytes.len() / SECTOR_SIZE;
        assert!(end <= (cells.count * CELL_SECTORS) as usize, "what is written lies in its cells");
        let mut waiting = Vec::new();
        {
            let mut shared = self.shared.lock();
            let (mut sector, max) = (shared.sector_of(cells, offset), shared.transfer_len_max);
            let pieces = match bytes.len() <= max {
                true => vec![bytes.into_boxed_slice()],
                false => bytes.chunks(max).map(Into::into).collect(),
            };
            for buffer in pieces {
                let sectors = (buffer.len() / SECTOR_SIZE) as u64;
                waiting.push(shared.call(DiskOperation::Write { sector, buffer, durable: false }));
                sector += sectors;
            }
        }
        // All of them: what is still on its way when one has failed must not meet what comes later.
        let mut result = Ok(());
        for one in waiting {
            result = result.and(done(one).await.1);
        }
        result
    }

    /// Makes durable what was written before.
    pub(crate) async fn flush(&self) -> Result<(), DiskError> {
        let waiting = self.shared.lock().call(DiskOperation::Flush);
        done(waiting).await.1
    }

    /// Reads sectors of cells, however many.
    pub(crate) async fn read_sectors(
        &self,
        cells: CellRun,
        offset: u32,
        sectors: u32,
    ) -> Result<Vec<u8>, DiskError> {
        let mut waiting = Vec::new();
        {
            let mut shared = self.shared.lock();
            let (mut sector, max) = (shared.sector_of(cells, offset), shared.transfer_len_max);
            let mut left = sectors as usize * SECTOR_SIZE;
            while left > 0 {
                let piece = left.min(max);
                let buffer = vec![0; piece].into();
                waiting.push(shared.call(DiskOperation::Read { sector, buffer }));
                sector += (piece / SECTOR_SIZE) as u64;
                left -= piece;
            }
        }
        let mut bytes = Vec::with_capacity(sectors as usize * SECTOR_SIZE);
        for one in waiting {
            let (operation, result) = done(one).await;
            result?;
            if let DiskOperation::Read { buffer, .. } = operation {
                bytes.extend_from_slice(&buffer);
            }
        }
        Ok(bytes)
    }

    /// Reads a frame from the disk, however long it is, and leaves the cache as it is.
    pub(crate) async fn read_past_cache(
        &self,
        table: &Table,
        kind: FrameKind,
        frame: &FrameRef,
    ) -> Result<Arc<[u8]>, ReadError> {
        let id = table.head.id;
        let bytes = self.read_sectors(table.cells, frame.offset, frame.sectors).await;
        let bytes = bytes.map_err(|_| ReadError::Device(id, *frame))?;
        Frame::parse(&bytes, id, kind, frame).map_err(|error| ReadError::Frame(id, *frame, error))
    }
}

impl Frames for Grid {
    async fn read(&self, table: &Table, kind: FrameKind, frame: &FrameRef) -> Result<Arc<[u8]>, ReadError> {
        let waiting = {
            let mut shared = self.shared.lock();
            let id = (table.head.id, *frame);
            if let Some(reads) = &self.reads {
                reads.all.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(payload) = shared.cache.get(id) {
                return Ok(payload);
            }
            if let Some(reads) = &self.reads {
                reads.from_disk.fetch_add(1, Ordering::Relaxed);
            }
            let (sender, receiver) = oneshot::channel();
            let is_long = frame.sectors as usize * SECTOR_SIZE > shared.transfer_len_max;
            match shared.readers.get_mut(&id) {
                Some(readers) => readers.push(sender),
                None if is_long => {
                    drop(shared);
                    // Seldom: it does not make all reads larger.
                    let read = Box::pin(self.read_past_cache(table, kind, frame)).await;
                    return read.inspect_err(|error| self.shared.lock().note_damage(*error));
                }
                None => {
                    shared.readers.insert(id, [sender].into());
                    shared.read_frames(table, vec![(kind, *frame)]);
                }
            }
            receiver
        };
        match waiting.await {
            Ok(result) => result,
            Err(oneshot::Canceled) => Err(ReadError::Device(table.head.id, *frame)),
        }
    }

    fn expect(&self, table: &Table, kind: FrameKind, frames: &[FrameRef]) {
        let mut shared = self.shared.lock();
        let mut batch: Vec<(FrameKind, FrameRef)> = Vec::new();
        let mut sectors = 0;
        for frame in frames {
            let id = (table.head.id, *frame);
            let is_there = shared.cache.contains(id) || shared.readers.contains_key(&id);
            if is_there && batch.is_empty() {
                continue;
            }
            let fits = (sectors + frame.sectors) as usize * SECTOR_SIZE <= shared.transfer_len_max;
            if is_there || !fits {
                break;
            }
            shared.readers.insert(id, Vec::new());
            sectors += frame.sectors;
            batch.push((kind, *frame));
        }
        if !batch.is_empty() {
            shared.read_frames(table, batch);
        }
    }
}

impl Shared {
    fn note_damage(&mut self, error: ReadError) {
        self.damaged.get_or_insert(error);
    }

    fn sector_of(&self, cells: CellRun, offset: u32) -> u64 {
        self.start + u64::from(cells.first) * u64::from(CELL_SECTORS) + u64::from(offset)
    }

    fn request(&mut self, operation: DiskOperation, waiting: Waiting) {
        self.requests_made += 1;
        let id = self.requests_made << REQUEST_TAG_BITS | REQUEST_TAG;
        self.waiting.insert(id, waiting);
        self.requests.push_back(DiskRequest { id, operation });
    }

    fn call(&mut self, operation: DiskOperation) -> oneshot::Receiver<Completed> {
        let (sender, receiver) = oneshot::channel();
        self.request(operation, Waiting::Caller(sender));
        receiver
    }

    /// Reads frames that lie one behind the other with one request.
    fn read_frames(&mut self, table: &Table, frames: Vec<(FrameKind, FrameRef)>) {
        let Some((_, first)) = frames.first() else { return };
        let sector = self.sector_of(table.cells, first.offset);
        self.read_frames_at(sector, table.head.id, frames);
    }

    fn read_frames_at(&mut self, sector: u64, table: TableId, frames: Vec<(FrameKind, FrameRef)>) {
        let sectors: u32 = frames.iter().map(|(_, frame)| frame.sectors).sum();
        let buffer = vec![0; sectors as usize * SECTOR_SIZE].into();
        self.request(DiskOperation::Read { sector, buffer }, Waiting::Frames(table, frames));
    }
}

/// How many cells lie from sector `start` on, on a disk of so many sectors.
fn cells_between(start: u64, sectors: u64) -> u32 {
    let cells = sectors.saturating_sub(start) / u64::from(CELL_SECTORS);
    u32::try_from(cells).unwrap_or(u32::MAX)
}

/// What became of a request. The grid forgets none, and outlives whoever waits.
async fn done(waiting: oneshot::Receiver<Completed>) -> Completed {
    match waiting.await {
        Ok(completed) => completed,
        Err(oneshot::Canceled) => (DiskOperation::Flush, Err(DiskError::Device)),
    }
}
