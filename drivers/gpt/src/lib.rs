//! The GUID partition table (UEFI Specification 2.10, section 5), and one partition as a disk of its own.
//!
//! ```text
//!  sector 0        1        2         34                                         n - 33    n - 1
//!  ┌──────────────┬────────┬─────────┬───────────┬────────────────┬─────────────┬─────────┬────────┐
//!  │ boot code,   │ header │ entries │ partition │ partition      │ Relix data  │ entries │ header │
//!  │ protective   └────────┴─────────┤           │                │ (the last)  ├─────────┴────────┤
//!  │ MBR          │     primary      │           │                │             │      backup      │
//!  └──────────────┴──────────────────┴───────────┴────────────────┴─────────────┴──────────────────┘
//! ```
//!
//! 1. **Bytes in, bytes out.** [`Search`] says which sectors it wants and takes them; what is to be written is a list of
//!    [`Write`]s. Who reads and writes, and how, is the caller's.
//! 2. **One of two.** Each copy has checksums over all of it. The primary one counts; where it is damaged, the backup does.
//!    Writes are listed in an order such that a crash amid them leaves one copy that is valid.
//! 3. **Bounded.** Nothing is read, or allocated, by a length that has not been checked.
//! 4. **What is not understood stays.** Entries are kept as bytes: growing a partition changes the end of one.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod disk;
mod error;
mod guid;
mod header;
mod mbr;
mod search;
mod settle;
mod table;

pub use disk::PartitionDisk;
pub use error::GptError;
pub use guid::Guid;
pub use search::{Copy, Found, Search, Span};
pub use settle::Settled;
pub use table::{NewPartition, Partition, Table};

use alloc::vec::Vec;

/// The type of the partition that a node keeps its data in: Relix' own, drawn at random but for its last six bytes, which
/// read `relixd`.
pub const RELIX_DATA: Guid =
    Guid::new(0xb1f1_e7c4, 0x5d2a, 0x4d0e, [0x9c, 0x1b, 0x72, 0x65, 0x6c, 0x69, 0x78, 0x64]);
/// The type of an EFI system partition.
pub const EFI_SYSTEM: Guid =
    Guid::new(0xc12a_7328, 0xf81f, 0x11d2, [0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);
/// The type of the partition where GRUB has what the boot sector loads.
pub const BIOS_BOOT: Guid =
    Guid::new(0x2168_6148, 0x6449, 0x6e6f, [0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49]);

/// Bytes of the first sector that are code.
pub const BOOT_CODE_LEN: usize = 440;

/// Bytes that are to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The first sector.
    pub sector: u64,
    /// Whole sectors.
    pub bytes: Vec<u8>,
}

/// The checksum of headers and entries.
fn crc32(bytes: &[u8]) -> u32 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
