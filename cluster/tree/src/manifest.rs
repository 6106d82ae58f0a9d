//! Which tables there are, on the disk: twice, so that no single bad sector matters.
//!
//! It is written whole, into free cells, whenever tables have come or gone; whoever owns the disk's superblock then
//! makes it name the new one. At 150 bytes a table of up to 4 MiB, that is little beside the tables themselves.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{decode, encode, shared_bytes};
use drivers_api::DiskError;
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

impl Root {
    /// The root in `bytes`, or none if they are not one.
    pub fn parse(bytes: &[u8]) -> Option<Root> {
        decode(bytes).ok()
    }

    /// Its bytes: fewer than 64.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

impl Manifest {
    /// Writes it, twice, and makes it durable with all that was written before.
    pub(crate) async fn write(&self, grid: &Grid) -> Result<Root, WriteError> {
        let frame = Frame::build(MANIFEST, 0, FrameKind::Manifest, &encode(self));
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
        for copy in root.copies {
            if copy.count.checked_mul(CELL_SECTORS).is_none_or(|sectors| root.frame.sectors > sectors) {
                return Err(OpenError::Damaged);
            }
            match grid.read_sectors(copy, 0, root.frame.sectors).await {
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
}

/// Why a tree cannot be opened: its node has to get everything from its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Both copies of the manifest are damaged, or do not fit the disk.
    Damaged,
    /// The device failed.
    Device(DiskError),
}
