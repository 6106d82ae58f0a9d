//! A tree on its way to another node: the list of its tables, and the tables as they lie on the disk, in pieces.
//!
//! ```text
//!  piece 0 .. m: the manifest │ the first table │ the second table │ ...      none of two parts
//! ```
//! The manifest names the sums of what the tables begin with, and so those of everything in them: whoever knows the
//! digest of the manifest knows whether all has arrived as it was.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use cluster_format::limits::CHUNK_LEN_MAX;
use cluster_format::{Digest, Version, decode, encode};
use drivers_api::{DiskError, SECTOR_SIZE};

use crate::cells::CELL_SECTORS;
use crate::grid::Grid;
use crate::scrub::scrub;
use crate::{CellRun, FrameKind, Levels, Manifest, ReadError, Table, WriteError};

const PIECE_LEN: usize = CHUNK_LEN_MAX;

/// Sectors of a piece at most.
const PIECE_SECTORS: u32 = (PIECE_LEN / SECTOR_SIZE) as u32;

/// What is sent: how its pieces follow from the list of tables.
struct Pieces {
    /// The first piece of each table, and the table.
    tables: Vec<(u64, Arc<Table>)>,
    end: u64,
}

impl Pieces {
    fn of(manifest_len: usize, levels: &Levels) -> Pieces {
        let mut end = manifest_len.div_ceil(PIECE_LEN) as u64;
        let tables = levels.tables().map(|table| {
            let first = end;
            end += u64::from(table.head.sectors.div_ceil(PIECE_SECTORS));
            (first, table.clone())
        });
        Pieces { tables: tables.collect(), end }
    }

    /// The table that piece `index` is of, where in it the piece begins, and how many sectors it has.
    fn find(&self, index: u64) -> Option<(&Arc<Table>, u32, u32)> {
        let behind = self.tables.partition_point(|(first, _)| *first <= index);
        let (first, table) = self.tables.get(behind.checked_sub(1)?)?;
        let offset = u32::try_from(index - first).ok()?.checked_mul(PIECE_SECTORS)?;
        let sectors = table.head.sectors.checked_sub(offset)?.min(PIECE_SECTORS);
        (sectors > 0).then_some((table, offset, sectors))
    }
}

/// The tables of a tree as they were at one time. They keep their place on the disk as long as this lives.
#[derive(Clone)]
pub struct Outgoing {
    grid: Grid,
    manifest: Arc<[u8]>,
    pieces: Arc<Pieces>,
}

impl Outgoing {
    pub(crate) fn new(grid: Grid, manifest: &Manifest) -> Outgoing {
        let bytes: Arc<[u8]> = encode(manifest).into();
        let pieces = Arc::new(Pieces::of(bytes.len(), &manifest.levels));
        Outgoing { grid, manifest: bytes, pieces }
    }

    /// The digest of the list of tables, and how many bytes that has: what [`Incoming::new`] is to be told.
    pub fn content(&self) -> (Digest, u64) {
        (Digest::of(&self.manifest), self.manifest.len() as u64)
    }

    /// Whether the piece with this number is the last.
    pub fn is_last(&self, index: u64) -> bool {
        index.checked_add(1) == Some(self.pieces.end)
    }

    /// The piece with this number; none if there is no such piece. Before the first piece of a table, all of it is
    /// verified: what is damaged is not sent.
    pub async fn piece(&self, index: u64) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(piece) =
            usize::try_from(index).ok().and_then(|index| self.manifest.chunks(PIECE_LEN).nth(index))
        {
            return Ok(Some(piece.to_vec()));
        }
        let Some((table, offset, sectors)) = self.pieces.find(index) else { return Ok(None) };
        if offset == 0
            && let Some(damaged) = scrub(&self.grid, table).await.damaged.first()
        {
            return Err(*damaged);
        }
        let bytes = self.grid.read_sectors(table.cells, offset, sectors).await;
        bytes.map(Some).map_err(|_| ReadError::Device(table.head.id, table.head.index))
    }
}

/// Why a piece cannot be taken. Whoever sent it is to be asked again, from the first piece on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// It is not the one that is due.
    OutOfOrder,
    /// What has come is not what was announced.
    Different,
    /// What came, or what was written of it, is damaged.
    Damaged(ReadError),
    /// The disk has no room for the tables.
    Full,
    /// The device failed.
    Device(DiskError),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::OutOfOrder => f.write_str("a piece of the tables is missing"),
            TransferError::Different => f.write_str("the tables that came are not those that were announced"),
            TransferError::Damaged(error) => write!(f, "the tables that came are damaged: {error}"),
            TransferError::Full => f.write_str("the disk has no room for the tables: give a larger one"),
            TransferError::Device(error) => write!(f, "{error}"),
        }
    }
}

impl From<DiskError> for TransferError {
    fn from(error: DiskError) -> TransferError {
        TransferError::Device(error)
    }
}

impl From<WriteError> for TransferError {
    fn from(error: WriteError) -> TransferError {
        match error {
            WriteError::Device(error) => TransferError::Device(error),
            _ => TransferError::Full,
        }
    }
}

/// Tables of another node that arrive, in cells of their own.
pub struct Incoming {
    grid: Grid,
    content: (Digest, u64),
    /// Cells that stay free, for the manifests that will name the tables.
    spare: u32,
    manifest: Vec<u8>,
    next: u64,
    arriving: Option<Arc<Arriving>>,
}

/// Tables whose list has come. Their cells are free again when nobody needs this any more, unless a tree has taken them.
struct Arriving {
    grid: Grid,
    pieces: Pieces,
    levels: Levels,
    horizon: Version,
    mark: Arc<[u8]>,
    is_taken: AtomicBool,
}

/// All of them have arrived, are durable, and are what was announced.
pub struct Arrived {
    arriving: Arc<Arriving>,
}

impl Incoming {
    pub(crate) fn new(grid: Grid, content: (Digest, u64), spare: u32) -> Incoming {
        Incoming { grid, content, spare, manifest: Vec::new(), next: 0, arriving: None }
    }

    /// How many pieces have been taken.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next piece. What it returns is to be run until it is done, even if the tables are not wanted any more:
    /// it says when the piece is on the disk, if not durably.
    pub fn add(
        &mut self,
        index: u64,
        bytes: &[u8],
    ) -> Result<impl Future<Output = Result<(), TransferError>> + Send + 'static, TransferError> {
        if index != self.next {
            return Err(TransferError::OutOfOrder);
        }
        let write = match &self.arriving {
            Some(arriving) => {
                let (table, offset, sectors) =
                    arriving.pieces.find(index).ok_or(TransferError::OutOfOrder)?;
                if bytes.len() != sectors as usize * SECTOR_SIZE {
                    return Err(TransferError::Different);
                }
                Some((arriving.clone(), table.cells, offset, bytes.to_vec()))
            }
            None => {
                self.add_to_manifest(bytes)?;
                None
            }
        };
        self.next += 1;
        Ok(async move {
            match write {
                Some((arriving, cells, offset, bytes)) => {
                    Ok(arriving.grid.write(cells, offset, bytes).await?)
                }
                None => Ok(()),
            }
        })
    }

    fn add_to_manifest(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let (digest, len) = self.content;
        self.manifest.extend_from_slice(bytes);
        if self.manifest.len() as u64 > len || self.manifest.len() > FrameKind::Manifest.payload_len_max() {
            return Err(TransferError::Different);
        }
        if (self.manifest.len() as u64) < len {
            return Ok(());
        }
        let manifest = core::mem::take(&mut self.manifest);
        let parsed = decode::<Manifest>(&manifest).ok().filter(|_| Digest::of(&manifest) == digest);
        let Manifest { levels, horizon, mark } = parsed.ok_or(TransferError::Different)?;
        if !levels.are_well_formed() {
            return Err(TransferError::Different);
        }
        let levels = place(&self.grid, &levels, self.spare)?;
        let pieces = Pieces::of(manifest.len(), &levels);
        let is_taken = AtomicBool::new(false);
        let grid = self.grid.clone();
        self.arriving = Some(Arc::new(Arriving { grid, pieces, levels, horizon, mark, is_taken }));
        Ok(())
    }

    /// The last piece has been taken, and is on the disk: verifies all of them. To be run as what [`Incoming::add`] returns.
    pub async fn finish(self) -> Result<Arrived, TransferError> {
        let Incoming { arriving, next, .. } = self;
        let arriving =
            arriving.filter(|arriving| arriving.pieces.end == next).ok_or(TransferError::OutOfOrder)?;
        arriving.grid.flush().await?;
        for table in arriving.levels.tables() {
            if let Some(damaged) = scrub(&arriving.grid, table).await.damaged.first() {
                return Err(TransferError::Damaged(*damaged));
            }
        }
        Ok(Arrived { arriving })
    }
}

impl Arrived {
    /// What the tables stand for.
    pub fn mark(&self) -> &Arc<[u8]> {
        &self.arriving.mark
    }

    /// The tables, the oldest version in them, and what they stand for. Their cells are the tree's from now on.
    pub(crate) fn take(self) -> (Levels, Version, Arc<[u8]>) {
        self.arriving.is_taken.store(true, Ordering::Relaxed);
        (self.arriving.levels.clone(), self.arriving.horizon, self.arriving.mark.clone())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.is_taken.load(Ordering::Relaxed) {
            let runs = self.levels.tables().map(|table| table.cells);
            self.grid.with_cells(|cells| runs.for_each(|run| cells.give_back(run)));
        }
    }
}

/// The same tables, in free cells of this disk.
fn place(grid: &Grid, levels: &Levels, spare: u32) -> Result<Levels, TransferError> {
    let Levels { young, levels, tombstones, flushed } = levels;
    grid.with_cells(|cells| {
        let mut taken: Vec<CellRun> = Vec::new();
        let mut place_run = |run: &Vec<Arc<Table>>| {
            let tables = run.iter().map(|table| {
                let count = table.head.sectors.div_ceil(CELL_SECTORS);
                let run = cells.take_leaving(spare, count, count)?;
                taken.push(run);
                Some(Arc::new(Table { head: table.head.clone(), cells: run }))
            });
            tables.collect::<Option<Vec<_>>>()
        };
        let young = young.iter().map(&mut place_run).collect::<Option<Vec<_>>>();
        let placed = young.and_then(|young| {
            let levels = levels.iter().map(&mut place_run).collect::<Option<Vec<_>>>()?;
            Some(Levels { young, levels, tombstones: tombstones.clone(), flushed: *flushed })
        });
        if placed.is_none() {
            taken.iter().for_each(|run| cells.give_back(*run));
        }
        placed.ok_or(TransferError::Full)
    })
}
