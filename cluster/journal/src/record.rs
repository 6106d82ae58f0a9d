//! One record: a header and the entries that were made durable together.
//!
//! ```text
//!   0  magic "RLXJ"        4  format      6  zero     8  journal      16  sequence
//!  24  previous record's header checksum             28  voted for (0: nobody), 3 zeros
//!  32  term               40  commit                 48  payload length
//!  52  entry count        56  payload checksum       60  checksum of bytes 0..60
//! ```
//! Numbers are little-endian; checksums are CRC-32C; entries are postcard, one after the other.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::limits::ENTRY_LEN_MAX;
use cluster_format::{Entry, NodeId, Version, crc32c, encode};
use drivers_api::SECTOR_SIZE;

const MAGIC: u32 = u32::from_le_bytes(*b"RLXJ");
const FORMAT: u16 = 1;
pub(crate) const HEADER_LEN: usize = 64;

/// Longest payload: what one write may carry, or one entry.
const PAYLOAD_LEN_MAX: usize = ENTRY_LEN_MAX + 64;

/// What every record carries beside its entries: the newest is what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordState {
    /// The member's term.
    pub term: u64,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
    /// An index known to be committed.
    pub commit: Version,
}

/// One record, verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The state as of this record.
    pub state: RecordState,
    /// Contiguous entries; they replace everything from the first of them on.
    pub entries: Vec<Arc<Entry>>,
}

/// A record's header, verified by its own checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    pub(crate) previous: u32,
    pub(crate) state: RecordState,
    pub(crate) payload_len: usize,
    entry_count: u32,
    payload_sum: u32,
    /// This header's own checksum, which the next one repeats.
    pub(crate) sum: u32,
}

impl Header {
    /// How many sectors the record takes.
    pub(crate) fn sectors(&self) -> u64 {
        sectors_of(self.payload_len)
    }

    /// Reads the header of a record of `journal`; none if these bytes hold none.
    pub(crate) fn parse(bytes: &[u8], journal: u64) -> Option<Header> {
        let bytes: &[u8; HEADER_LEN] = bytes.get(..HEADER_LEN)?.try_into().ok()?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let format = u16::from_le_bytes([bytes[4], bytes[5]]);
        if u32_at(0) != MAGIC || format != FORMAT || u64_at(8) != journal {
            return None;
        }
        let sum = u32_at(60);
        let payload_len = u32_at(48) as usize;
        if crc32c(&bytes[..60]) != sum || payload_len > PAYLOAD_LEN_MAX {
            return None;
        }
        let voted_for = (bytes[28] != 0).then_some(NodeId(bytes[28]));
        let state = RecordState { term: u64_at(32), voted_for, commit: Version(u64_at(40)) };
        let (entry_count, payload_sum) = (u32_at(52), u32_at(56));
        Some(Header {
            sequence: u64_at(16),
            previous: u32_at(24),
            state,
            payload_len,
            entry_count,
            payload_sum,
            sum,
        })
    }

    /// Reads the entries from `payload`, which must be all of them; none if it does not verify.
    pub(crate) fn entries(&self, payload: &[u8]) -> Option<Vec<Arc<Entry>>> {
        if payload.len() != self.payload_len || crc32c(payload) != self.payload_sum {
            return None;
        }
        let mut rest = payload;
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        for _ in 0..self.entry_count {
            let (entry, behind) = cluster_format::decode_prefix::<Entry>(rest).ok()?;
            let follows = entries.last().is_none_or(|last| entry.version == last.version.next());
            if !follows || entry.version == Version::ZERO {
                return None;
            }
            entries.push(Arc::new(entry));
            rest = behind;
        }
        rest.is_empty().then_some(entries)
    }
}

/// Builds the sectors of a record, and its header's checksum.
pub(crate) fn build(
    journal: u64,
    sequence: u64,
    previous: u32,
    state: RecordState,
    entries: &[Arc<Entry>],
) -> (Box<[u8]>, u32) {
    let mut payload = Vec::new();
    entries.iter().for_each(|entry| payload.extend_from_slice(&encode(&**entry)));
    let mut bytes = vec![0; sectors_of(payload.len()) as usize * SECTOR_SIZE];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &MAGIC.to_le_bytes());
    put(4, &FORMAT.to_le_bytes());
    put(8, &journal.to_le_bytes());
    put(16, &sequence.to_le_bytes());
    put(24, &previous.to_le_bytes());
    put(28, &[state.voted_for.map_or(0, |node| node.0)]);
    put(32, &state.term.to_le_bytes());
    put(40, &state.commit.0.to_le_bytes());
    put(48, &(payload.len() as u32).to_le_bytes());
    put(52, &(entries.len() as u32).to_le_bytes());
    put(56, &crc32c(&payload).to_le_bytes());
    put(HEADER_LEN, &payload);
    let sum = crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    (bytes.into(), sum)
}

fn sectors_of(payload_len: usize) -> u64 {
    (HEADER_LEN + payload_len).div_ceil(SECTOR_SIZE) as u64
}

/// Most sectors a record takes.
pub(crate) fn sectors_max() -> u64 {
    sectors_of(PAYLOAD_LEN_MAX)
}
