//! The disk that the node gets: all of it, or the data partition of a disk that has a partition table.

use alloc::boxed::Box;
use core::fmt;

use drivers_api::{Disk, DiskError, Level};
use drivers_gpt::{GptError, PartitionDisk, RELIX_DATA, Search, Settled};
use drivers_virtio::BlockDevice;
use kernel_arch::console;

use crate::sectors::{read, write};

/// Why there is none.
pub enum DataDiskError {
    /// Its partition table does not give one.
    Table(GptError),
    /// Its partition table cannot be written.
    Device(DiskError),
}

impl fmt::Display for DataDiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataDiskError::Table(error) => write!(f, "{error}"),
            DataDiskError::Device(error) => {
                write!(f, "the disk's partition table cannot be written: {error}")
            }
        }
    }
}

/// What the node may use of `disk`. A data partition that is the last one reaches to the disk's end by then.
pub async fn of(mut disk: BlockDevice) -> Result<Box<dyn Disk>, DataDiskError> {
    let sectors = disk.geometry().sectors;
    let mut search = Search::new(sectors);
    while let Some(span) = search.wanted() {
        let bytes = read(&mut disk, span.sector..span.sector + span.sectors).await;
        search.arrived(bytes.as_deref());
    }
    let Some(found) = search.finish().map_err(DataDiskError::Table)? else { return Ok(Box::new(disk)) };
    let earlier = found.table.find(RELIX_DATA).map_err(DataDiskError::Table)?;
    let Settled { table, writes } = found.settle(sectors, RELIX_DATA);
    let is_mended = !writes.is_empty();
    for part in writes {
        write(&mut disk, part.sector, &part.bytes).await.map_err(DataDiskError::Device)?;
    }
    let partition = table.find(RELIX_DATA).map_err(DataDiskError::Table)?;
    let mebibytes = partition.sectors() >> 11;
    if let Some(copy) = found.damaged {
        let what = match is_mended {
            true => "was damaged or late: it is written anew",
            false => "cannot be read: it stays as it is",
        };
        console::log(Level::Warn, format_args!("the {copy} copy of the partition table {what}"));
    }
    if partition.last > earlier.last {
        let before = earlier.sectors() >> 11;
        console::log(Level::Info, format_args!("the data partition grows from {before} to {mebibytes} MiB"));
    }
    console::log(
        Level::Info,
        format_args!("the node's disk is the partition at sector {}, {mebibytes} MiB", partition.first),
    );
    Ok(Box::new(PartitionDisk::new(disk, partition.first, partition.sectors())))
}
