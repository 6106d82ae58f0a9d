//! Whose disk this is: a sector of which there are four copies, far enough from each other that one
//! mishap does not reach two.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

use cluster_format::{ClusterId, NodeId, crc32c, decode, encode};
use drivers_api::SECTOR_SIZE;
use serde::{Deserialize, Serialize};

use crate::reader::BLANK;

/// Where the copies are.
pub(crate) const COPIES: [u64; 4] = [0, 8, 512, 1024];

/// The sector where the records begin.
pub const RECORDS_START: u64 = 2048;

/// The smallest disk that is of any use: the head and 7 MiB of records.
pub(crate) const SECTORS_MIN: u64 = 8 * 2048;

const MAGIC: [u8; 8] = *b"RELIXDSK";

/// The format of everything on the disk, records too.
pub(crate) const FORMAT: u16 = 2;

/// Magic, format, length of the body, checksum of the body.
const HEAD_LEN: usize = 8 + 2 + 2 + 4;

/// Who a disk belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's name.
    pub cluster_name: String,
    /// The member.
    pub node: NodeId,
}

impl Identity {
    /// The cluster's id.
    pub fn cluster(&self) -> ClusterId {
        ClusterId::of_name(&self.cluster_name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Superblock {
    pub(crate) identity: Identity,
    /// Drawn when the disk was formatted, never 0: every record repeats it.
    pub(crate) journal: u64,
    /// The disk's size when it was formatted.
    pub(crate) sectors: u64,
}

/// What a sector that should hold a superblock holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Only zeros.
    Blank,
    /// A superblock.
    Valid(Superblock),
    /// One of another format.
    OtherFormat(u16),
    /// One that is damaged.
    Damaged,
    /// Nothing: the device reports an error.
    Unreadable,
    /// Something else.
    Foreign,
}

impl Superblock {
    /// The sector that holds it.
    pub(crate) fn to_sector(&self) -> Box<[u8]> {
        let body = encode(self);
        let mut sector = vec![0; SECTOR_SIZE];
        sector[..8].copy_from_slice(&MAGIC);
        sector[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        sector[10..12].copy_from_slice(&(body.len() as u16).to_le_bytes());
        sector[12..16].copy_from_slice(&crc32c(&body).to_le_bytes());
        sector[HEAD_LEN..HEAD_LEN + body.len()].copy_from_slice(&body);
        sector.into()
    }

    /// What `sector` holds.
    pub(crate) fn parse(sector: &[u8]) -> Found {
        if sector == BLANK {
            return Found::Blank;
        }
        if sector.len() < SECTOR_SIZE || sector[..8] != MAGIC {
            return Found::Foreign;
        }
        let format = u16::from_le_bytes([sector[8], sector[9]]);
        if format != FORMAT {
            return Found::OtherFormat(format);
        }
        let len = usize::from(u16::from_le_bytes([sector[10], sector[11]]));
        let sum = u32::from_le_bytes([sector[12], sector[13], sector[14], sector[15]]);
        let Some(body) = sector.get(HEAD_LEN..HEAD_LEN + len).filter(|body| crc32c(body) == sum) else {
            return Found::Damaged;
        };
        match decode::<Superblock>(body) {
            Ok(superblock) if superblock.journal != 0 => Found::Valid(superblock),
            _ => Found::Damaged,
        }
    }
}

/// The longest name a cluster may have, so that the superblock fits its sector.
pub(crate) const CLUSTER_NAME_LEN_MAX: usize = 64;
const _: () = assert!(HEAD_LEN + CLUSTER_NAME_LEN_MAX + 40 < SECTOR_SIZE);
const _: () = assert!(COPIES[COPIES.len() - 1] < RECORDS_START && RECORDS_START < SECTORS_MIN);
