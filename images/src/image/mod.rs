//! `relix image`: disks that boot on any hypervisor, and what is on a disk.

mod boot_files;
mod build;
mod file;
pub mod grub;
mod inspect;
mod qcow2;
mod sparse;

pub use build::run as build;
pub use file::DiskFile;
pub use inspect::run as inspect;

/// Bytes of a sector, as partition tables count them.
pub const SECTOR_LEN: u64 = drivers_api::SECTOR_SIZE as u64;
