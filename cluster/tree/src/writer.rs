//! Writes tables: frames into cells, a large piece at a time.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use cluster_format::Version;
use cluster_format::limits::KEY_LEN_MAX;
use drivers_api::{DiskError, SECTOR_SIZE};

use crate::cells::CELL_SECTORS;
use crate::grid::Grid;
use crate::levels::Run;
use crate::{
    CellRun, Direction, Frame, Merge, Position, ReadError, Retention, Source, SourceValue, Table,
    TableBuilder, TableId, yield_now,
};

/// A piece of free space is worth a table if it has one in so many of the cells that one may take.
const WORTH_SHARE: u32 = 16;

/// The longest value: 16 MiB.
pub(crate) const VALUE_LEN_MAX: usize = 16 << 20;

/// Bytes written at a time.
const WRITE_LEN: usize = 256 << 10;

/// Records between two pauses, in which others run.
const RECORDS_PER_TURN: usize = 64;

/// Why tables were not written. Nothing refers to what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// There is no room.
    Full,
    /// The device failed.
    Device(DiskError),
    /// A frame to be merged cannot be had.
    Read(ReadError),
    /// There are more tables than a manifest can name.
    TooManyTables,
    /// What a table has lost is too much to be filled in.
    PatchTooLong,
    /// Records do not come in order, or one is too long: whoever they are from is at fault.
    Disorder,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Full => f.write_str("the disk is full"),
            WriteError::Device(error) => write!(f, "{error}"),
            WriteError::Read(error) => write!(f, "{error}"),
            WriteError::Disorder => f.write_str("records are not in order, or too long"),
            WriteError::PatchTooLong => f.write_str("too much of a table is lost to fill it in"),
            WriteError::TooManyTables => f.write_str("the list of tables is too long"),
        }
    }
}

impl From<DiskError> for WriteError {
    fn from(error: DiskError) -> Self {
        WriteError::Device(error)
    }
}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        WriteError::Read(error)
    }
}

/// Draws names of tables: counted from a number drawn at random.
#[derive(Clone, Debug)]
pub(crate) struct TableIds(pub(crate) u64);

impl TableIds {
    fn next(&mut self) -> TableId {
        self.0 = self.0.wrapping_add(1);
        TableId(self.0)
    }

    /// Names for one job, of which there will not be more than these.
    pub(crate) fn for_job(&mut self) -> TableIds {
        let ids = self.clone();
        self.0 = self.0.wrapping_add(1 << 24);
        ids
    }
}

/// What a job may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Cells of a table at most, if no record is longer.
    pub(crate) table_cells_max: u32,
    /// Cells that are left free.
    pub(crate) left: u32,
}

/// What `retention` keeps of `sources`, as tables of `grid`.
pub(crate) async fn write_tables(
    grid: &Grid,
    sources: Vec<Source<'_>>,
    mut retention: Retention,
    ids: TableIds,
    room: Room,
) -> Result<Run, WriteError> {
    let start = Position::first_of(&[]);
    let mut merge = Merge::new(grid, sources, start, Direction::Forward).await?;
    let mut writer = Writer::new(grid, ids, room, retention.cleared());
    let mut records = 0;
    while let (Some(position), Some(value)) = (merge.position(), merge.value()) {
        let Position { key, version } = position;
        if retention.keeps(position, matches!(value, SourceValue::Deleted)) {
            match value {
                SourceValue::Deleted => writer.add(key, version, None).await?,
                SourceValue::Shared(bytes) => writer.add(key, version, Some(bytes)).await?,
                SourceValue::Borrowed(bytes) => writer.add(key, version, Some(bytes)).await?,
                SourceValue::Far(..) => {
                    let value = value.hold().get(grid).await?;
                    writer.add(key, version, value.as_deref()).await?;
                }
            }
        }
        merge.advance(grid).await?;
        records += 1;
        if records % RECORDS_PER_TURN == 0 {
            yield_now().await;
        }
    }
    writer.finish().await
}

/// Writes records, which must come in order, as tables.
pub(crate) struct Writer<'a> {
    grid: &'a Grid,
    ids: TableIds,
    room: Room,
    cleared: Version,
    open: Option<Open>,
    written: Run,
    /// The position of the record before; no version if there was none.
    last_key: Vec<u8>,
    last: Option<Version>,
}

/// A table being written.
struct Open {
    builder: TableBuilder,
    cells: CellRun,
    /// What is not written yet, and where it goes, in sectors from the table's beginning.
    pending: Vec<u8>,
    offset: u32,
}

impl<'a> Writer<'a> {
    /// No record will come that a range tombstone up to version `cleared` hides.
    pub(crate) fn new(grid: &'a Grid, ids: TableIds, room: Room, cleared: Version) -> Writer<'a> {
        Writer { grid, ids, room, cleared, open: None, written: Vec::new(), last_key: Vec::new(), last: None }
    }

    /// `key` was set to `value`, or deleted, by `version`.
    pub(crate) async fn add(
        &mut self,
        key: &[u8],
        version: Version,
        value: Option<&[u8]>,
    ) -> Result<(), WriteError> {
        let follows = self.last.is_none_or(|last| {
            let order = self.last_key[..].cmp(key).then(version.cmp(&last));
            order == Ordering::Less
        });
        if !follows || key.len() > KEY_LEN_MAX || value.is_some_and(|value| value.len() > VALUE_LEN_MAX) {
            return Err(WriteError::Disorder);
        }
        self.last = Some(version);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        if let Some(open) = &self.open
            && open.builder.sectors_at_most(key, value) > open.cells.count * CELL_SECTORS
        {
            self.close().await?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let builder = TableBuilder::new(self.ids.next());
                let least = builder.sectors_at_most(key, value).div_ceil(CELL_SECTORS);
                let Room { table_cells_max, left } = self.room;
                let (worth, most) = (table_cells_max / WORTH_SHARE, table_cells_max.max(least));
                let cells = self.grid.with_cells(|cells| cells.take_leaving(left, least.max(worth), most));
                let cells = cells.ok_or(WriteError::Full)?;
                none.insert(Open { builder, cells, pending: Vec::new(), offset: 0 })
            }
        };
        open.builder.add(key, version, value);
        let frames = open.builder.take_frames();
        open.write(self.grid, frames, WRITE_LEN).await
    }

    async fn close(&mut self) -> Result<(), WriteError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let (mut head, frames) =
            core::mem::replace(&mut open.builder, TableBuilder::new(TableId(0))).finish();
        head.cleared = self.cleared;
        let used = head.sectors.div_ceil(CELL_SECTORS);
        let CellRun { first, count } = open.cells;
        self.grid.with_cells(|cells| cells.give_back(CellRun { first: first + used, count: count - used }));
        open.cells.count = used;
        let result = open.write(self.grid, frames, 0).await;
        self.written.push(Arc::new(Table { head, cells: open.cells }));
        result
    }

    /// The tables.
    pub(crate) async fn finish(mut self) -> Result<Run, WriteError> {
        self.close().await?;
        Ok(core::mem::take(&mut self.written))
    }
}

impl Open {
    /// Writes `frames`, once there are more than `len_max` bytes to write.
    async fn write(&mut self, grid: &Grid, frames: Vec<Frame>, len_max: usize) -> Result<(), WriteError> {
        frames.iter().for_each(|frame| self.pending.extend_from_slice(&frame.bytes));
        if self.pending.len() > len_max {
            let bytes = core::mem::take(&mut self.pending);
            let sectors = (bytes.len() / SECTOR_SIZE) as u32;
            grid.write(self.cells, self.offset, bytes).await?;
            self.offset += sectors;
        }
        Ok(())
    }
}

/// What was written by whoever did not finish is free again.
impl Drop for Writer<'_> {
    fn drop(&mut self) {
        let open = self.open.iter().map(|open| open.cells);
        let runs: Vec<CellRun> = open.chain(self.written.iter().map(|table| table.cells)).collect();
        self.grid.with_cells(|cells| runs.into_iter().for_each(|run| cells.give_back(run)));
    }
}
