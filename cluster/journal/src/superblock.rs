//! Whose disk this is, and where what it holds begins: eight sectors of which there are four copies, so that one mishap
//! does not reach all. It is replaced two copies at a time, so that there is always a durable one; the newest counts.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::limits::COUNT_MAX;
use cluster_format::{ClusterId, NodeId, crc32c, decode_prefix, encode};
use drivers_api::{DiskError, SECTOR_SIZE};
use serde::{Deserialize, Serialize};

use crate::journal::RESERVE_SECTORS;
use crate::reader::Piece;
use crate::record::RecordState;
use crate::ring::Ring;
use crate::scanner::Chain;
use crate::{JournalError, LogEnd};

/// Where the copies are.
pub const COPIES: [u64; 4] = [0, 512, 8, 1024];

/// Bytes of a copy.
pub const SUPERBLOCK_LEN: usize = 4096;

/// The same in sectors.
const SUPERBLOCK_SECTORS: u64 = (SUPERBLOCK_LEN / SECTOR_SIZE) as u64;

/// The sector where the records begin.
pub const RECORDS_START: u64 = 2048;

/// The smallest disk that is of any use: 8 MiB, of which 2 for records.
pub(crate) const SECTORS_MIN: u64 = 8 * 2048;

/// Most bytes of [`Beginning::root`].
pub const ROOT_LEN_MAX: usize = 3 * 1024;

const MAGIC: [u8; 8] = *b"RELIXDSK";

/// The format of everything on the disk, records too.
pub(crate) const FORMAT: u16 = 6;

/// Magic, format, length of the body, checksum of the body.
const HEAD_LEN: usize = 8 + 2 + 2 + 4;

/// Who a disk belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's name.
    pub cluster_name: String,
    /// The member.
    pub node: NodeId,
    /// How many nodes it was to found the cluster with when the disk was formatted; 0: it joins one. None: an earlier
    /// release has formatted the disk. It stands behind all else, so that such disks are read as before.
    #[serde(skip)]
    pub founders: Option<u8>,
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
    /// How large the disk has been, at most: what the tables use lies within.
    pub(crate) sectors: u64,
    /// How long the ring is. It stays so when the disk grows, since the tables begin behind it.
    pub(crate) ring_sectors: u64,
    /// It counts how often it was replaced.
    pub(crate) sequence: u64,
    /// The place of the first record.
    pub(crate) start: u64,
    /// The chain of records before that.
    pub(crate) chain: Chain,
    /// What there was before that.
    pub(crate) beginning: Beginning,
}

/// What came before the first record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// What the tables are on the disk: the caller's, at most [`ROOT_LEN_MAX`] bytes; empty if there are none.
    pub root: Vec<u8>,
    /// The state, no older than that of the record before the first.
    pub state: RecordState,
    /// The log begins behind this.
    pub base: LogEnd,
}

/// The sectors of the copy that begins at `sector`.
pub(crate) fn copy_at(sector: u64) -> Piece {
    Piece { sector, sectors: SUPERBLOCK_SECTORS }
}

/// Whether a copy is to be in this sector.
pub(crate) fn is_of_copy(sector: u64) -> bool {
    COPIES.iter().any(|copy| (*copy..copy + SUPERBLOCK_SECTORS).contains(&sector))
}

/// What the sectors that should hold a superblock hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Only zeros.
    Blank,
    /// A superblock.
    Valid(Box<Superblock>),
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
    /// That of a disk that is to be formatted.
    pub(crate) fn new(identity: Identity, journal: u64, sectors: u64) -> Superblock {
        Superblock {
            identity,
            journal,
            sectors,
            ring_sectors: Ring::sectors_for(sectors),
            sequence: 1,
            start: RECORDS_START,
            chain: Chain::of(journal),
            beginning: Beginning::default(),
        }
    }

    /// Where the records are.
    pub(crate) fn ring(&self) -> Ring {
        Ring::of_records(self.ring_sectors)
    }

    /// Whether a disk may look like this.
    fn is_possible(&self) -> bool {
        let end = self.ring_sectors.checked_add(RECORDS_START);
        let fits =
            end.is_some_and(|end| end <= self.sectors) && self.ring_sectors >= Ring::sectors_for(SECTORS_MIN);
        let Beginning { root, state, base } = &self.beginning;
        let numbers = self.sequence < COUNT_MAX
            && self.chain.sequence < COUNT_MAX
            && state.is_plausible()
            && base.position.is_plausible();
        let places = (RECORDS_START..u64::MAX / 2).contains(&self.start) && self.sectors < u64::MAX / 2;
        fits && places && numbers && self.journal != 0 && root.len() <= ROOT_LEN_MAX
    }

    /// Its [`SUPERBLOCK_LEN`] bytes.
    pub(crate) fn to_bytes(&self) -> Box<[u8]> {
        let mut body = encode(self);
        body.extend(self.identity.founders);
        let mut bytes = vec![0; SUPERBLOCK_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[10..12].copy_from_slice(&(body.len() as u16).to_le_bytes());
        bytes[12..16].copy_from_slice(&crc32c(&body).to_le_bytes());
        bytes[HEAD_LEN..HEAD_LEN + body.len()].copy_from_slice(&body);
        bytes.into()
    }

    /// What the [`SUPERBLOCK_LEN`] bytes hold that were read where a copy should be.
    pub(crate) fn parse(bytes: &[u8]) -> Found {
        if bytes.iter().all(|byte| *byte == 0) {
            return Found::Blank;
        }
        if bytes.len() < HEAD_LEN || bytes[..8] != MAGIC {
            return Found::Foreign;
        }
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        if format != FORMAT {
            return Found::OtherFormat(format);
        }
        let len = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
        let sum = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        let Some(body) = bytes.get(HEAD_LEN..HEAD_LEN + len).filter(|body| crc32c(body) == sum) else {
            return Found::Damaged;
        };
        let Ok((mut superblock, behind)) = decode_prefix::<Superblock>(body) else { return Found::Damaged };
        superblock.identity.founders = behind.first().copied();
        match superblock.is_possible() && behind.len() <= 1 {
            true => Found::Valid(Box::new(superblock)),
            false => Found::Damaged,
        }
    }
}

/// What a disk says of itself, without being opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Whose it is.
    pub identity: Identity,
    /// The format of everything on it.
    pub format: u16,
    /// How many sectors it has had at most, when that was written.
    pub sectors: u64,
}

/// What the disk says of itself whose copies of the superblock `read` gives: it is asked for each of [`COPIES`], a sector
/// where [`SUPERBLOCK_LEN`] bytes are, and says `None` where they cannot be read. `None` if nothing says that the disk is in
/// use, an error if it is, or may be, and not by this release.
pub fn heading(mut read: impl FnMut(u64) -> Option<Box<[u8]>>) -> Result<Option<Heading>, JournalError> {
    let found =
        COPIES.map(|sector| read(sector).map_or(Found::Unreadable, |bytes| Superblock::parse(&bytes)));
    match choose(&found) {
        Some(Superblock { identity, sectors, .. }) => {
            Ok(Some(Heading { identity: identity.clone(), format: FORMAT, sectors: *sectors }))
        }
        None => check_may_be_blank(&found).map(|()| None),
    }
}

/// Without a superblock: a disk is blank, or its first format was cut short; everything else is not ours to write to.
pub(crate) fn check_may_be_blank(found: &[Found]) -> Result<(), JournalError> {
    for found in found {
        match found {
            Found::OtherFormat(format) => return Err(JournalError::OtherFormat { format: *format }),
            Found::Foreign => return Err(JournalError::Foreign),
            Found::Blank | Found::Valid(_) | Found::Damaged | Found::Unreadable => {}
        }
    }
    match found.iter().all(|found| *found == Found::Unreadable) {
        true => Err(DiskError::Device.into()),
        false => Ok(()),
    }
}

/// The newest superblock; of several that are as new, as a disk that was put together of two may have, the one that
/// most copies hold.
pub(crate) fn choose(found: &[Found]) -> Option<&Superblock> {
    let valid = found.iter().filter_map(|copy| match copy {
        Found::Valid(superblock) => Some((found.iter().filter(|other| *other == copy).count(), superblock)),
        _ => None,
    });
    valid
        .max_by_key(|(copies, superblock)| (superblock.sequence, *copies))
        .map(|(_, superblock)| &**superblock)
}

/// The longest name a cluster may have, so that the superblock fits its sectors.
pub(crate) const CLUSTER_NAME_LEN_MAX: usize = 64;
const _: () = assert!(HEAD_LEN + CLUSTER_NAME_LEN_MAX + ROOT_LEN_MAX + 256 < SUPERBLOCK_LEN);
const _: () = assert!(COPIES[0] + SUPERBLOCK_SECTORS <= COPIES[2], "copies do not overlap");
const _: () = assert!(RESERVE_SECTORS < SECTORS_MIN / 4, "the shortest ring has room for entries");
const _: () = assert!(COPIES[COPIES.len() - 1] < RECORDS_START && RECORDS_START < SECTORS_MIN);
