//! A frame: what is written, read and verified as a whole.
//!
//! ```text
//!   0  checksum of all that follows but the padding: its XXH3 hash of 128 bits
//!  16  table            24  offset in the table, in sectors    28  length of the payload as it is stored
//!  32  length of the payload                36  kind           37  coding           38  zero
//!  40  payload, then zeros to the end of the sector
//! ```
//! Numbers are little-endian. Coding 0 is the payload itself, 1 an LZ4 block of it. The checksum is to find what devices and
//! memory get wrong; whoever wants to deceive a member can do worse than that.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use cluster_format::limits::ROW_LEN_MAX;
use drivers_api::SECTOR_SIZE;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

const SUM_LEN: usize = 16;
const HEADER_LEN: usize = 40;

/// The longest payload of a frame of a table: the longest value there may be, and then some.
const PAYLOAD_LEN_MAX: usize = 17 << 20;

/// The longest payload of a manifest: some 400,000 tables.
const MANIFEST_LEN_MAX: usize = 64 << 20;

const _: () = assert!(ROW_LEN_MAX < PAYLOAD_LEN_MAX);

const CODING_NONE: u8 = 0;
const CODING_LZ4: u8 = 1;

/// A table's name. They are counted from a number that is drawn at random in each life of a node, so that no two
/// tables of a cluster have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u64);

/// A frame's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sum(pub [u8; SUM_LEN]);

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// Records.
    Rows = 1,
    /// One long value.
    Value = 2,
    /// A [`crate::Filter`] of the table's keys.
    Filter = 3,
    /// The last position of each frame of records, and where it is.
    Index = 4,
    /// Which tables there are.
    Manifest = 5,
}

impl FrameKind {
    /// How long a payload may be, in bytes.
    pub(crate) fn payload_len_max(self) -> usize {
        match self {
            FrameKind::Manifest => MANIFEST_LEN_MAX,
            _ => PAYLOAD_LEN_MAX,
        }
    }
}

/// Which frame of a table, and what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRef {
    /// Where it begins, in sectors from the beginning of the table.
    pub offset: u32,
    /// How many sectors it takes.
    pub sectors: u32,
    /// Its checksum.
    pub sum: Sum,
}

/// The checksum is a hash as it is.
impl Hash for FrameRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.sum.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Bytes of a reference in a block: offset and sectors, little-endian, and the checksum.
const REFERENCE_LEN: usize = 8 + SUM_LEN;

impl FrameRef {
    /// As it is written into a block, where it is looked up often.
    pub fn to_bytes(self) -> [u8; REFERENCE_LEN] {
        let mut bytes = [0; REFERENCE_LEN];
        bytes[..4].copy_from_slice(&self.offset.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.sectors.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sum.0);
        bytes
    }

    /// What [`FrameRef::to_bytes`] made these bytes of.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<FrameRef> {
        let bytes: &[u8; REFERENCE_LEN] = bytes.try_into().ok()?;
        let (numbers, sum) = bytes.split_at(8);
        let sum = Sum(sum.try_into().ok()?);
        Some(FrameRef { offset: u32_at(numbers, 0), sectors: u32_at(numbers, 4), sum })
    }

    /// Whether a frame of a table can be so long.
    pub(crate) fn is_bounded(&self) -> bool {
        self.sectors > 0 && self.sectors as usize * SECTOR_SIZE <= PAYLOAD_LEN_MAX + 2 * SECTOR_SIZE
    }
}

/// Why bytes are not the frame that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// They are no frame: something has damaged them.
    Damaged,
    /// They are an intact frame, but another one: a write was lost, or went to the wrong place.
    Another {
        /// The table it belongs to.
        table: TableId,
        /// Its offset there, in sectors.
        offset: u32,
    },
    /// It is the frame that was written, and does not decode.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Damaged => f.write_str("a frame is damaged"),
            FrameError::Another { table: TableId(table), offset } => {
                write!(f, "in a frame's place is another, of table {table:016x} at sector {offset}")
            }
            FrameError::Malformed => f.write_str("a frame is malformed"),
        }
    }
}

/// A frame to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whole sectors.
    pub bytes: Box<[u8]>,
    /// What to remember of it.
    pub reference: FrameRef,
}

impl Frame {
    /// The frame of `table` at `offset` that holds `payload`, compressed if that saves an eighth at least.
    pub fn build(table: TableId, offset: u32, kind: FrameKind, payload: &[u8]) -> Frame {
        assert!(payload.len() <= kind.payload_len_max(), "frames are bounded");
        let mut bytes = vec![0; HEADER_LEN + lz4_flex::block::get_maximum_output_size(payload.len())];
        // That much is always enough; if it were not, the payload would stay as it is.
        let compressed = lz4_flex::block::compress_into(payload, &mut bytes[HEADER_LEN..]);
        let (coding, stored_len) = match compressed {
            Ok(len) if !payload.is_empty() && len <= payload.len() - payload.len() / 8 => (CODING_LZ4, len),
            _ => {
                bytes[HEADER_LEN..HEADER_LEN + payload.len()].copy_from_slice(payload);
                (CODING_NONE, payload.len())
            }
        };
        let len = HEADER_LEN + stored_len;
        bytes.truncate(len);
        bytes.resize(len.next_multiple_of(SECTOR_SIZE), 0);
        bytes[16..24].copy_from_slice(&table.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&offset.to_le_bytes());
        bytes[28..32].copy_from_slice(&(stored_len as u32).to_le_bytes());
        bytes[32..36].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes[36] = kind as u8;
        bytes[37] = coding;
        let sum = sum_of(&bytes[SUM_LEN..len]);
        bytes[..SUM_LEN].copy_from_slice(&sum.0);
        let sectors = (bytes.len() / SECTOR_SIZE) as u32;
        Frame { bytes: bytes.into(), reference: FrameRef { offset, sectors, sum } }
    }

    /// The payload of the frame of `table` that `reference` stands for, from what was read in its place.
    pub fn parse(
        bytes: &[u8],
        table: TableId,
        kind: FrameKind,
        reference: &FrameRef,
    ) -> Result<Arc<[u8]>, FrameError> {
        let header = bytes.get(..HEADER_LEN).ok_or(FrameError::Damaged)?;
        let stored_len = u32_at(header, 28) as usize;
        let end = HEADER_LEN.saturating_add(stored_len);
        let covered = bytes.get(SUM_LEN..end).ok_or(FrameError::Damaged)?;
        let sum = sum_of(covered);
        if sum.0 != header[..SUM_LEN] {
            return Err(FrameError::Damaged);
        }
        if sum != reference.sum {
            let table = TableId(u64::from(u32_at(header, 16)) | u64::from(u32_at(header, 20)) << 32);
            return Err(FrameError::Another { table, offset: u32_at(header, 24) });
        }
        // From here on it is what the reference was made for, unless that is not to be trusted either.
        let is_own = header[16..24] == table.0.to_le_bytes() && header[36] == kind as u8;
        let len = u32_at(header, 32) as usize;
        let stored = &bytes[HEADER_LEN..end];
        match header[37] {
            _ if !is_own || len > kind.payload_len_max() => Err(FrameError::Malformed),
            CODING_NONE if len == stored.len() => Ok(stored.into()),
            CODING_LZ4 => decompress(stored, len).ok_or(FrameError::Malformed),
            _ => Err(FrameError::Malformed),
        }
    }
}

fn decompress(stored: &[u8], len: usize) -> Option<Arc<[u8]>> {
    // LZ4 makes at most 255 bytes of one: whoever says more does not get the memory.
    if len > stored.len().saturating_mul(255) {
        return None;
    }
    // Where it will stay: an `Arc` of a `Vec` would be a copy.
    let mut payload: Arc<[u8]> = core::iter::repeat_n(0, len).collect();
    let written = lz4_flex::block::decompress_into(stored, Arc::get_mut(&mut payload)?).ok()?;
    (written == len).then_some(payload)
}

fn sum_of(bytes: &[u8]) -> Sum {
    Sum(XxHash3_128::oneshot(bytes).to_le_bytes())
}

/// The little-endian number at `at`.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}
