//! Settings on a disk: a config drive, which is only read, and is never the node's disk, wherever it comes among the others.
//!
//! What a node keeps is not taken for one: where a volume would say what it is, a node's disk has nothing, and one with
//! partitions what came with its image.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use cluster_node::{ConfigError, NodeConfig};
use drivers_api::{Disk, Level};
use drivers_cidata::{CidataError, Search};
use drivers_virtio::BlockDevice;
use kernel_arch::console;
use kernel_core::settings::{self, SettingsError};

use crate::sectors::read;

/// A config drive.
pub struct ConfigDrive {
    /// Which of the disks it is.
    pub number: usize,
    /// What it says: settings that a node or a kernel takes.
    pub words: String,
}

/// Why none can be gone by. Nothing was written.
pub enum ConfigDriveError {
    /// It cannot be read.
    Drive(usize, CidataError),
    /// It holds something else than settings.
    Settings(usize, SettingsError),
    /// It holds settings that no node takes.
    Config(usize, ConfigError),
    /// There are two.
    Two(usize, usize),
}

impl fmt::Display for ConfigDriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigDriveError::Drive(number, error) => write!(f, "config drive disk{number}: {error}"),
            ConfigDriveError::Settings(number, error) => write!(f, "config drive disk{number}: {error}"),
            ConfigDriveError::Config(number, error) => write!(f, "config drive disk{number}: {error}"),
            ConfigDriveError::Two(one, other) => {
                write!(f, "disk{one} and disk{other} are config drives both: remove one of them")
            }
        }
    }
}

/// Looks for it on all `disks`.
pub async fn find(disks: &mut [BlockDevice]) -> Result<Option<ConfigDrive>, ConfigDriveError> {
    let mut found = None;
    for (number, disk) in disks.iter_mut().enumerate() {
        let file = user_data(number, disk).await.map_err(|error| ConfigDriveError::Drive(number, error))?;
        let Some(file) = file else { continue };
        if let Some(ConfigDrive { number: other, .. }) = found {
            return Err(ConfigDriveError::Two(other, number));
        }
        found = Some(ConfigDrive { number, words: words(number, &file)? });
    }
    Ok(found)
}

/// What the disk says, if it is a config drive. Where not even that can be read, it is taken for none: a node's disk goes on
/// with sectors that are lost, and the journal writes to no disk that it does not know.
async fn user_data(number: usize, disk: &mut BlockDevice) -> Result<Option<Vec<u8>>, CidataError> {
    let mut search = Search::new(disk.geometry().sectors, settings::LEN_MAX);
    let mut unreadable = None;
    while let Some(sectors) = search.wanted() {
        let bytes = read(disk, sectors.clone()).await;
        if bytes.is_none() {
            unreadable = Some(sectors.start);
        }
        search.arrived(bytes.as_deref());
    }
    let found = search.finish()?;
    if let (Some(sector), None) = (unreadable, &found) {
        console::log(
            Level::Warn,
            format_args!("disk{number} cannot be read at sector {sector}: it is taken for no config drive"),
        );
    }
    Ok(found)
}

/// What is wrong is said here, where it is known who says it. What is missing, others may say.
fn words(number: usize, file: &[u8]) -> Result<String, ConfigDriveError> {
    let words = settings::late(file).map_err(|error| ConfigDriveError::Settings(number, error))?;
    NodeConfig::check_part(&words, settings::KERNEL_KEYS)
        .map_err(|error| ConfigDriveError::Config(number, error))?;
    Ok(words)
}
