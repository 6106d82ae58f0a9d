//! QEMU's image format, version 3 (QEMU's docs/interop/qcow2): written with what a blank disk needs, read as far as images
//! of that kind go.
//!
//! ```text
//!  cluster 0  1            ...              ...                 ...         ...
//!  ┌────────┬────────────┬────────────────┬──────────────────┬───────────┬──────┐   clusters of 64 KiB; numbers are
//!  │ header │ L1 table   │ refcount table │ refcount blocks  │ L2 tables │ data │   big-endian
//!  └────────┴────────────┴────────────────┴──────────────────┴───────────┴──────┘
//! ```

use std::collections::BTreeSet;
use std::fmt;

use crate::image::sparse::{CLUSTER_LEN, SparseDisk};

const MAGIC: [u8; 4] = *b"QFI\xfb";
const VERSION: u32 = 3;
const CLUSTER_BITS: u32 = CLUSTER_LEN.trailing_zeros();
/// References are counted in 16 bits: two to the power of four.
const REFCOUNT_ORDER: u32 = 4;
const HEADER_LEN: usize = 104;
/// Entries of an L2 table, and of the table of refcount blocks.
const TABLE_ENTRIES: u64 = CLUSTER_LEN as u64 / 8;
const BLOCK_ENTRIES: u64 = CLUSTER_LEN as u64 / 2;
/// Set in an entry of L1 or L2 whose cluster belongs to nothing else.
const COPIED: u64 = 1 << 63;

/// Where everything will be, in clusters.
struct Plan {
    l1_entries: u64,
    l1: u64,
    refcount_table: u64,
    refcount_blocks: u64,
    l2: u64,
    data: u64,
    end: u64,
}

impl Plan {
    fn new(len: u64, l2_tables: u64, data: u64) -> Plan {
        let l1_entries = len.div_ceil(CLUSTER_LEN as u64).div_ceil(TABLE_ENTRIES);
        let l1 = 1;
        let refcount_table = l1 + l1_entries.div_ceil(TABLE_ENTRIES).max(1);
        let (mut tables, mut blocks) = (1, 1);
        loop {
            let refcount_blocks = refcount_table + tables;
            let l2 = refcount_blocks + blocks;
            let end = l2 + l2_tables + data;
            if end <= blocks * BLOCK_ENTRIES && blocks <= tables * TABLE_ENTRIES {
                return Plan {
                    l1_entries,
                    l1,
                    refcount_table,
                    refcount_blocks,
                    l2,
                    data: l2 + l2_tables,
                    end,
                };
            }
            blocks = end.div_ceil(BLOCK_ENTRIES).max(blocks);
            tables = blocks.div_ceil(TABLE_ENTRIES).max(tables);
        }
    }

    fn header(&self, len: u64) -> Vec<u8> {
        let place = |cluster: u64| (cluster * CLUSTER_LEN as u64).to_be_bytes();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 12]); // no backing file
        bytes.extend(CLUSTER_BITS.to_be_bytes());
        bytes.extend(len.to_be_bytes());
        bytes.extend([0; 4]); // no encryption
        bytes.extend((self.l1_entries as u32).to_be_bytes());
        bytes.extend(place(self.l1));
        bytes.extend(place(self.refcount_table));
        bytes.extend(((self.refcount_blocks - self.refcount_table) as u32).to_be_bytes());
        bytes.extend([0; 4 + 8]); // no snapshots
        bytes.extend([0; 3 * 8]); // no features
        bytes.extend(REFCOUNT_ORDER.to_be_bytes());
        bytes.extend((HEADER_LEN as u32).to_be_bytes());
        bytes
    }
}

/// Gives `disk` as a file, piece by piece, each of whole clusters.
pub fn write<E>(disk: &SparseDisk, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let tables: BTreeSet<u64> = disk.clusters().map(|(number, _)| number / TABLE_ENTRIES).collect();
    let plan = Plan::new(disk.len(), tables.len() as u64, disk.clusters().count() as u64);
    let mut take = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(CLUSTER_LEN).max(CLUSTER_LEN), 0);
        take(&bytes)
    };
    let entry = |cluster: u64, flag: u64| ((cluster * CLUSTER_LEN as u64) | flag).to_be_bytes();
    take(plan.header(disk.len()))?;
    let mut next = plan.l2;
    let l1 = (0..plan.l1_entries).flat_map(|table| match tables.contains(&table) {
        true => {
            next += 1;
            entry(next - 1, COPIED)
        }
        false => [0; 8],
    });
    take(l1.collect())?;
    take((plan.refcount_blocks..plan.l2).flat_map(|block| entry(block, 0)).collect())?;
    // Each cluster up to the end belongs to one thing.
    for block in 0..plan.l2 - plan.refcount_blocks {
        let used = plan.end.saturating_sub(block * BLOCK_ENTRIES).min(BLOCK_ENTRIES);
        take((0..used).flat_map(|_| 1_u16.to_be_bytes()).collect())?;
    }
    let mut next = plan.data;
    for table in tables {
        let mut bytes = vec![0; CLUSTER_LEN];
        for (number, _) in disk.clusters().filter(|(number, _)| number / TABLE_ENTRIES == table) {
            let at = (number % TABLE_ENTRIES) as usize * 8;
            bytes[at..at + 8].copy_from_slice(&entry(next, COPIED));
            next += 1;
        }
        take(bytes)?;
    }
    disk.clusters().try_for_each(|(_, bytes)| take(bytes.to_vec()))
}

/// Why an image cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qcow2Error {
    /// It is of a version that is not known.
    Version(u32),
    /// It has something that is not read: what.
    Unsupported(&'static str),
    /// Something in it cannot be.
    Damaged,
    /// It ends too early.
    Truncated,
}

impl fmt::Display for Qcow2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qcow2Error::Version(version) => {
                write!(f, "it is a qcow2 image of version {version}, and 2 and 3 are read: convert it to raw")
            }
            Qcow2Error::Unsupported(what) => write!(f, "it is a qcow2 image with {what}: convert it to raw"),
            Qcow2Error::Damaged => f.write_str("it is a damaged qcow2 image: copy it again"),
            Qcow2Error::Truncated => f.write_str("it is a qcow2 image that was cut short: copy it again"),
        }
    }
}

/// Where the clusters of an image are. Its bytes are read by whoever asks.
pub struct Qcow2 {
    cluster_bits: u32,
    len: u64,
    l1_entries: u64,
    l1: u64,
    knows_zeros: bool,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Zeros.
    Zero,
    /// What is in the file here.
    At(u64),
}

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZEROS: u64 = 1;
/// The features that change how an image is read: a mark that refcounts may be wrong; and that it is corrupt, that its data is
/// elsewhere, how it is compressed, and entries of L2 that are twice as long.
const DIRTY: u64 = 1;
/// The longest L1 table, as QEMU has it: 32 MiB.
const L1_ENTRIES_MAX: u64 = 4 << 20;

impl Qcow2 {
    /// Bytes of a header that are looked at.
    pub const HEAD_LEN: usize = HEADER_LEN;

    /// Whether `head`, a file's beginning, is that of an image.
    pub fn is_it(head: &[u8]) -> bool {
        head.starts_with(&MAGIC)
    }

    /// By its first [`Qcow2::HEAD_LEN`] bytes.
    pub fn new(head: &[u8]) -> Result<Qcow2, Qcow2Error> {
        let head: &[u8; HEADER_LEN] = head.first_chunk().ok_or(Qcow2Error::Truncated)?;
        let u32_at = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        let version = u32_at(4);
        let features = match version {
            2 => 0,
            3 => u64_at(72),
            _ => return Err(Qcow2Error::Version(version)),
        };
        if u64_at(8) != 0 {
            return Err(Qcow2Error::Unsupported("a backing file"));
        }
        if u32_at(32) != 0 {
            return Err(Qcow2Error::Unsupported("encryption"));
        }
        if features & !DIRTY != 0 {
            return Err(Qcow2Error::Unsupported("features that are not known here, or marked as corrupt"));
        }
        let image = Qcow2 {
            cluster_bits: u32_at(20),
            len: u64_at(24),
            l1_entries: u32_at(36).into(),
            l1: u64_at(40),
            knows_zeros: version > 2,
        };
        if !(9..=21).contains(&image.cluster_bits) || image.l1_entries > L1_ENTRIES_MAX {
            return Err(Qcow2Error::Damaged);
        }
        let covered = u128::from(image.l1_entries) << (2 * image.cluster_bits - 3);
        if covered < u128::from(image.len) || image.len > i64::MAX as u64 {
            return Err(Qcow2Error::Damaged);
        }
        Ok(image)
    }

    /// How many bytes the disk has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// How many bytes from `at` on are in the same cluster.
    pub fn run(&self, at: u64) -> u64 {
        let cluster = 1 << self.cluster_bits;
        (cluster - at % cluster).min(self.len.saturating_sub(at))
    }

    /// Where the byte `at` is. `read` gives the eight bytes of the file at a place, if it has them.
    pub fn place(&self, at: u64, mut read: impl FnMut(u64) -> Option<[u8; 8]>) -> Result<Place, Qcow2Error> {
        let table_bits = self.cluster_bits - 3;
        let cluster = at >> self.cluster_bits;
        let mut entry = |table: u64, index: u64| {
            let place = table.checked_add(index * 8).ok_or(Qcow2Error::Damaged)?;
            read(place).map(u64::from_be_bytes).ok_or(Qcow2Error::Truncated)
        };
        let index = cluster >> table_bits;
        if index >= self.l1_entries {
            return Err(Qcow2Error::Damaged);
        }
        let table = entry(self.l1, index)? & OFFSET;
        if table == 0 {
            return Ok(Place::Zero);
        }
        let found = entry(table, cluster & ((1 << table_bits) - 1))?;
        if found & COMPRESSED != 0 {
            return Err(Qcow2Error::Unsupported("compressed clusters"));
        }
        let is_zero = self.knows_zeros && found & READS_AS_ZEROS != 0;
        match found & OFFSET {
            0 => Ok(Place::Zero),
            _ if is_zero => Ok(Place::Zero),
            place => Ok(Place::At(place + at % (1 << self.cluster_bits))),
        }
    }
}
