//! `relix image`: disks that boot on any hypervisor, and what is on a disk.

mod boot_files;
mod build;
mod config;
mod file;
pub mod grub;
mod inspect;
mod qcow2;
mod sparse;

pub use build::run as build;
pub use config::run as config;
pub use file::DiskFile;
pub use inspect::run as inspect;

use cluster_node::NodeConfig;
use kernel_core::settings::{KERNEL_KEYS, SettingsError};

/// Bytes of a sector, as partition tables count them.
pub const SECTOR_LEN: u64 = drivers_api::SECTOR_SIZE as u64;

/// Settings in one line, if a node would take them, or why it would not: what is missing may be given elsewhere.
fn checked(line: Result<String, SettingsError>) -> Result<String, String> {
    let line = line.map_err(|error| error.to_string())?;
    if let Some(word) = line.split_whitespace().find(|word| word.contains(['\'', '\\', '"'])) {
        return Err(format!("{word} holds a quote or a backslash: remove it"));
    }
    NodeConfig::check_part(&line, KERNEL_KEYS).map_err(|error| error.to_string())?;
    Ok(line.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_as_a_node_does() {
        let said = |settings: &str| checked(kernel_core::settings::merge(settings.as_bytes(), ""));
        assert_eq!(said(" relix.node=1\n relix.panic=halt ").as_deref(), Ok("relix.node=1 relix.panic=halt"));
        assert_eq!(said("").as_deref(), Ok(""));
        let error = |settings: &str| said(settings).expect_err("it is wrong");
        assert_eq!(error("relix.nod=1"), "unknown setting 'relix.nod': remove it or correct its name");
        assert!(error("node=1").contains("'node=1' among the settings is no relix.KEY=VALUE"));
        assert!(error("relix.cluster='a'").contains("quote"));
        assert!(error("relix.size=9").contains("it should be a number from 1 to 7"));
    }
}
