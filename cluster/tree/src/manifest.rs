//! Which tables there are, on the disk: twice, so that no single bad sector matters.
//!
//! It is written whole, into free cells, whenever tables have come or gone; whoever owns the disk's superblock then
//! makes it name the new one. At some 150 bytes a table of up to 4 MiB, that is little beside the tables themselves.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use cluster_format::{Version, decode, encode, shared_bytes};
use drivers_api::{DiskError, SECTOR_SIZE};
use serde::{Deserialize, Serialize};

use crate::cells::CELL_SECTORS;
use crate::grid::Grid;
use crate::{CellRun, Frame, FrameKind, FrameRef, Levels, TableId, WriteError};

/// The name under which manifests are frames: no table has it.
const MANIFEST: TableId = TableId(0);

/// A state of the tree on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The tables.
    pub levels: Levels,
    /// The oldest version that the tables still show.
    pub horizon: Version,
    /// What the tree's owner has to know of the state in them.
    #[serde(with = "shared_bytes")]
    pub mark: Arc<[u8]>,
}

/// Where a manifest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its copies.
    pub(crate) copies: [CellRun; 2],
    /// What each must hold.
    pub(crate) frame: FrameRef,
}

impl Manifest {
    /// Writes it, twice, and makes it durable with all that was written before.
    pub(crate) async fn write(&self, grid: &Grid) -> Result<Root, WriteError> {
        let payload = encode(self);
        let is_too_long = payload.len() > FrameKind::Manifest.payload_len_max();
        if is_too_long || self.levels.tombstones.are_too_many() {
            return Err(WriteError::TooManyTables);
        }
        let frame = Frame::build(MANIFEST, 0, FrameKind::Manifest, &payload);
        let count = frame.reference.sectors.div_ceil(CELL_SECTORS);
        let take = || grid.with_cells(|cells| cells.take(count, count)).ok_or(WriteError::Full);
        let first = take()?;
        let second = take().inspect_err(|_| grid.with_cells(|cells| cells.give_back(first)))?;
        let copies = [first, second];
        for copy in copies {
            grid.write(copy, 0, frame.bytes.to_vec()).await?;
        }
        grid.flush().await?;
        Ok(Root { copies, frame: frame.reference })
    }

    /// Reads it, from either copy.
    pub(crate) async fn read(grid: &Grid, root: &Root) -> Result<Manifest, OpenError> {
        let mut failed = OpenError::Damaged;
        let sectors = root.frame.sectors;
        let is_short = sectors as usize * SECTOR_SIZE <= FrameKind::Manifest.payload_len_max() + SECTOR_SIZE;
        for copy in root.copies {
            let fits = copy.count.checked_mul(CELL_SECTORS).is_some_and(|cells| sectors <= cells);
            if !fits || !is_short || !grid.with_cells(|cells| cells.contain(copy)) {
                continue;
            }
            match grid.read_sectors(copy, 0, sectors).await {
                Ok(bytes) => {
                    let payload = Frame::parse(&bytes, MANIFEST, FrameKind::Manifest, &root.frame);
                    if let Some(manifest) = payload.ok().and_then(|payload| decode(&payload).ok()) {
                        return Ok(manifest);
                    }
                }
                Err(error) => failed = OpenError::Device(error),
            }
        }
        Err(failed)
    }

    /// Claims the cells of all tables and of `root`; none of them if they cannot be so.
    pub(crate) fn claim(&self, grid: &Grid, root: &Root) -> bool {
        if !self.levels.are_well_formed() {
            return false;
        }
        let runs: Vec<CellRun> = self.levels.tables().map(|table| table.cells).chain(root.copies).collect();
        grid.with_cells(|cells| {
            let claimed = runs.iter().take_while(|run| cells.claim(**run)).count();
            let is_all = claimed == runs.len();
            if !is_all {
                runs[..claimed].iter().for_each(|run| cells.give_back(*run));
            }
            is_all
        })
    }
}

/// Why a tree cannot be opened: everything in it has to be had anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Both copies of the manifest are damaged, or do not fit the disk.
    Damaged,
    /// The device failed.
    Device(DiskError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Damaged => f.write_str("both copies of the list of tables are damaged"),
            OpenError::Device(error) => write!(f, "the list of tables cannot be read: {error}"),
        }
    }
}
