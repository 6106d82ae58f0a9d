//! How a tree is to be.

use drivers_api::SECTOR_SIZE;

use crate::cells::CELL_SECTORS;

/// Memory is one in so many bytes of the disk at most.
const DISK_SHARE: u64 = 32;

/// The first level is so many times as long as memory.
const BASE_LENGTHS: u64 = 8;

/// Cells of a table at most: 4 MiB, and on small disks less, but 256 KiB.
const TABLE_CELLS_MAX: (u32, u32) = (4, 64);

/// Young runs are merged once there are so many, at least and at most: the more, the less often the first level is written
/// again, and the more places there are to look into.
const YOUNG_RUNS: (u64, u64) = (4, 12);

/// Beyond the least number, they may take one in so many bytes of the disk.
const YOUNG_SHARE: u64 = 16;

/// No more is frozen while there are so many more young runs than are merged.
const YOUNG_RUNS_MORE: u64 = 8;

/// A full disk has so many tables at least.
const TABLES_LEAST: u32 = 128;

/// How a tree is to be.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// Memory is full, and its owner is to freeze it, once it takes so many bytes.
    pub memory_len_max: usize,
    /// So many young runs are merged into the first level.
    pub young_runs: u64,
    /// How long the first level may be, in sectors; the next is eight times as long.
    pub base_sectors_max: u64,
    /// A table takes so many cells at most, if no record is longer.
    pub table_cells_max: u32,
}

impl TreeOptions {
    /// Usual ones, for so many bytes of memory and a disk of so many cells.
    pub fn usual(memory_len_max: usize, cells: u32) -> TreeOptions {
        let disk_len = u64::from(cells) * u64::from(CELL_SECTORS) * SECTOR_SIZE as u64;
        let memory_len_max =
            if cells > 0 { memory_len_max.min((disk_len / DISK_SHARE) as usize) } else { usize::MAX };
        let base_sectors_max = (memory_len_max / SECTOR_SIZE) as u64 * BASE_LENGTHS;
        let table_cells_max = (cells / TABLES_LEAST).clamp(TABLE_CELLS_MAX.0, TABLE_CELLS_MAX.1);
        let young_runs = disk_len / YOUNG_SHARE / memory_len_max.max(1) as u64;
        let young_runs = young_runs.clamp(YOUNG_RUNS.0, YOUNG_RUNS.1);
        TreeOptions { memory_len_max, young_runs, base_sectors_max, table_cells_max }
    }

    /// How many young runs there may be at most.
    pub(super) fn young_runs_max(&self) -> usize {
        (self.young_runs + YOUNG_RUNS_MORE) as usize
    }
}
