//! One record: a header and the entries that were made durable with it.
//!
//! ```text
//!   0  magic "RLXJ"           4  format      6  zero       7  voted for (0: nobody)
//!   8  journal               16  sequence                 24  place, this record's own
//!  32  previous record's header checksum                  36  payload length
//!  40  term                  48  commit                   56  entry count
//!  60  payload checksum      64  end of the log: term     72  end of the log: version
//!  80  end of the log: digest, 32 bytes                  112  life
//! 120  promised: term       128  promised: version        136  zero
//! 140  checksum of bytes 0..140
//! ```
//! Numbers are little-endian; checksums are CRC-32C; the payload is postcard: entries one after the other. It
//! follows the header at once, and the record is padded to sectors with zeros.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::limits::{COUNT_MAX, ENTRY_LEN_MAX};
use cluster_format::{Digest, Entry, LogPosition, NodeId, Version, crc32c, decode_prefix, encode_behind};
use drivers_api::SECTOR_SIZE;
use serde::{Deserialize, Serialize};

use crate::superblock::FORMAT;

const MAGIC: u32 = u32::from_le_bytes(*b"RLXJ");
pub(crate) const HEADER_LEN: usize = 144;

/// Longest payload: what one write may carry, or one entry.
pub(crate) const PAYLOAD_LEN_MAX: usize = ENTRY_LEN_MAX + 4096;

/// What every record carries beside its body: the newest is what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordState {
    /// The member's term.
    pub term: u64,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
    /// An index known to be committed.
    pub commit: Version,
    /// Where the log must end at least, if it does not because something of it was lost; else zeros.
    pub promised: LogPosition,
}

impl RecordState {
    /// Whether its numbers can be real.
    pub(crate) fn is_plausible(&self) -> bool {
        let newest = LogPosition { term: self.term, version: self.commit };
        newest.is_plausible() && self.promised.is_plausible()
    }

    /// This state, read behind an `earlier` one. The superblock's is earlier in place, and may be later in time.
    pub(crate) fn behind(self, earlier: &RecordState) -> RecordState {
        let is_newer = self.term > earlier.term || self.term == earlier.term && self.voted_for.is_some();
        let (term, voted_for) =
            if is_newer { (self.term, self.voted_for) } else { (earlier.term, earlier.voted_for) };
        RecordState { term, voted_for, promised: self.promised.max(earlier.promised), ..self }
    }
}

/// What a log ends in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// The last entry's place; zeros if there was never one.
    pub position: LogPosition,
    /// Its digest.
    pub digest: Digest,
}

impl LogEnd {
    /// The end of a log whose last entry is `entry`.
    pub fn of(entry: &Entry) -> LogEnd {
        LogEnd { position: entry.position(), digest: entry.digest() }
    }
}

/// One record, verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The state as of this record.
    pub state: RecordState,
    /// Contiguous entries, or none. They replace everything from the first of them on; only while the log
    /// has a hole may it go on behind them, as [`Record::end`] says.
    pub entries: Vec<Arc<Entry>>,
    /// What the log must end in as of this record. If what came before does not lead there, entries were
    /// lost.
    pub end: LogEnd,
    /// Whether records that came before this one, and after the one reported before it, are lost. They may
    /// have held votes, entries, and entries in place of earlier ones: up to the commit index known before,
    /// what precedes is certain; behind it, only if its chain of digests leads to what follows.
    pub after_damage: bool,
}

/// A record's header, verified by its own checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) journal: u64,
    pub(crate) sequence: u64,
    pub(crate) life: u64,
    /// Where the record was meant to be.
    pub(crate) place: u64,
    pub(crate) previous: u32,
    pub(crate) state: RecordState,
    pub(crate) end: LogEnd,
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

    /// Reads a header of any journal; none if these bytes hold none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER_LEN] = bytes.get(..HEADER_LEN)?.try_into().ok()?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let format = u16::from_le_bytes([bytes[4], bytes[5]]);
        if u32_at(0) != MAGIC || format != FORMAT || crc32c(&bytes[..140]) != u32_at(140) {
            return None;
        }
        let mut digest = Digest::ZERO;
        digest.0.copy_from_slice(&bytes[80..112]);
        let position = LogPosition { term: u64_at(64), version: Version(u64_at(72)) };
        let promised = LogPosition { term: u64_at(120), version: Version(u64_at(128)) };
        let voted_for = (bytes[7] != 0).then_some(NodeId(bytes[7]));
        let header = Header {
            journal: u64_at(8),
            sequence: u64_at(16),
            life: u64_at(112),
            place: u64_at(24),
            previous: u32_at(32),
            state: RecordState { term: u64_at(40), voted_for, commit: Version(u64_at(48)), promised },
            end: LogEnd { position, digest },
            payload_len: u32_at(36) as usize,
            entry_count: u32_at(56),
            payload_sum: u32_at(60),
            sum: u32_at(140),
        };
        (header.payload_len <= PAYLOAD_LEN_MAX && header.is_plausible()).then_some(header)
    }

    /// Whether its numbers can be real.
    fn is_plausible(&self) -> bool {
        self.sequence < COUNT_MAX && self.state.is_plausible() && self.end.position.is_plausible()
    }

    /// Reads the entries from `payload`, which must be all of it; none if it does not verify.
    pub(crate) fn entries(&self, payload: &[u8]) -> Option<Vec<Arc<Entry>>> {
        if payload.len() != self.payload_len || crc32c(payload) != self.payload_sum {
            return None;
        }
        let mut rest = payload;
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        for _ in 0..self.entry_count {
            let (entry, behind) = decode_prefix::<Entry>(rest).ok()?;
            let follows = entries.last().is_none_or(|last| entry.version == last.version.next());
            if !follows || entry.version == Version::ZERO || !entry.position().is_plausible() {
                return None;
            }
            entries.push(Arc::new(entry));
            rest = behind;
        }
        rest.is_empty().then_some(entries)
    }
}

/// What a record will hold, encoded.
pub(crate) struct Payload {
    entry_count: u32,
    bytes: Vec<u8>,
    /// The last entry.
    pub(crate) last: Option<LogEnd>,
}

impl Payload {
    pub(crate) fn of_entries(entries: &[Arc<Entry>]) -> Payload {
        let len = entries.iter().map(|entry| entry.len_estimate()).sum();
        let bytes =
            entries.iter().fold(Vec::with_capacity(len), |bytes, entry| encode_behind(bytes, &**entry));
        let last = entries.last().map(|entry| LogEnd::of(entry));
        Payload { entry_count: entries.len() as u32, bytes, last }
    }

    /// How many sectors the record takes.
    pub(crate) fn sectors(&self) -> u64 {
        sectors_of(self.bytes.len())
    }
}

/// Where a record stands.
pub(crate) struct Standing {
    pub(crate) journal: u64,
    pub(crate) sequence: u64,
    pub(crate) life: u64,
    pub(crate) previous: u32,
    pub(crate) place: u64,
}

/// Builds the sectors of a record, and its header's checksum.
pub(crate) fn build(
    standing: &Standing,
    state: RecordState,
    end: &LogEnd,
    payload: &Payload,
) -> (Box<[u8]>, u32) {
    let mut bytes = vec![0; payload.sectors() as usize * SECTOR_SIZE];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &MAGIC.to_le_bytes());
    put(4, &FORMAT.to_le_bytes());
    put(7, &[state.voted_for.map_or(0, |node| node.0)]);
    put(8, &standing.journal.to_le_bytes());
    put(16, &standing.sequence.to_le_bytes());
    put(24, &standing.place.to_le_bytes());
    put(32, &standing.previous.to_le_bytes());
    put(36, &(payload.bytes.len() as u32).to_le_bytes());
    put(40, &state.term.to_le_bytes());
    put(48, &state.commit.0.to_le_bytes());
    put(56, &payload.entry_count.to_le_bytes());
    put(60, &crc32c(&payload.bytes).to_le_bytes());
    put(64, &end.position.term.to_le_bytes());
    put(72, &end.position.version.0.to_le_bytes());
    put(80, &end.digest.0);
    put(112, &standing.life.to_le_bytes());
    put(HEADER_LEN, &payload.bytes);
    put(120, &state.promised.term.to_le_bytes());
    put(128, &state.promised.version.0.to_le_bytes());
    let sum = crc32c(&bytes[..140]);
    bytes[140..144].copy_from_slice(&sum.to_le_bytes());
    (bytes.into(), sum)
}

fn sectors_of(payload_len: usize) -> u64 {
    (HEADER_LEN + payload_len).div_ceil(SECTOR_SIZE) as u64
}

/// Most sectors a record takes.
pub(crate) fn sectors_max() -> u64 {
    sectors_of(PAYLOAD_LEN_MAX)
}
