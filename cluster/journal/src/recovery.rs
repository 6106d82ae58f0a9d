//! Opening: superblock, then every record in order, then the decision about the end.

use alloc::vec::Vec;
use drivers_api::SECTOR_SIZE;

use crate::reader::Reader;
use crate::record::{HEADER_LEN, Header, Record, sectors_max};

/// How far behind a blank end records are looked for: 1 MiB.
const LOOKAHEAD_SECTORS: u64 = 2048;

/// The chain of records so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    pub(crate) journal: u64,
    /// The newest record's sequence and checksum.
    pub(crate) sequence: u64,
    pub(crate) sum: u32,
}

/// What comes next on the disk.
pub(crate) enum Next {
    /// A record at this sector.
    Record(u64, Record),
    /// More of the disk must be read first.
    More,
    /// No record: the chain ends here, or is damaged.
    End,
}

/// Takes the next record of the chain from the window.
pub(crate) fn next_record(reader: &mut Reader, chain: &mut Chain, at_end_of_disk: bool) -> Next {
    let more = if at_end_of_disk { Next::End } else { Next::More };
    let bytes = reader.bytes();
    if bytes.len() < SECTOR_SIZE {
        return more;
    }
    let Some(header) = Header::parse(bytes, chain.journal) else { return Next::End };
    if header.sequence != chain.sequence + 1 || header.previous != chain.sum {
        return Next::End;
    }
    let Some(payload) = bytes.get(HEADER_LEN..HEADER_LEN + header.payload_len) else { return more };
    let Some(entries) = header.entries(payload) else { return Next::End };
    let sector = reader.position();
    reader.advance(header.sectors());
    chain.sequence = header.sequence;
    chain.sum = header.sum;
    Next::Record(sector, Record { state: header.state, entries })
}

/// Decides whether the chain really ends where it seems to.
pub(crate) struct EndCheck {
    /// Sectors still to look at.
    left: u64,
}

/// What the check has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EndVerdict {
    /// A record of this journal lies behind: what precedes it was acknowledged and is damaged.
    Damaged,
    /// Nothing of this journal lies behind.
    End,
    /// More of the disk must be read first.
    More,
}

impl EndCheck {
    /// A check of what lies behind the first sector of `reader`'s window.
    pub(crate) fn new(reader: &Reader) -> EndCheck {
        let first = reader.bytes().get(..SECTOR_SIZE).unwrap_or(&[]);
        // A torn record leaves something here; then the next may be as far as the longest record reaches.
        let blank = first.iter().all(|byte| *byte == 0);
        EndCheck { left: if blank { LOOKAHEAD_SECTORS } else { LOOKAHEAD_SECTORS + sectors_max() } }
    }

    /// Looks through what the window holds.
    pub(crate) fn check(&mut self, reader: &mut Reader, chain: &Chain, at_end_of_disk: bool) -> EndVerdict {
        let sectors: Vec<&[u8]> = reader.bytes().chunks_exact(SECTOR_SIZE).take(self.left as usize).collect();
        // The sector after the chain may hold the torn record's own header; what is behind may not.
        let newer = |sector: &&[u8]| {
            Header::parse(sector, chain.journal).is_some_and(|header| header.sequence > chain.sequence + 1)
        };
        if sectors.iter().any(newer) {
            return EndVerdict::Damaged;
        }
        let seen = sectors.len() as u64;
        self.left -= seen;
        reader.advance(seen);
        if self.left == 0 || at_end_of_disk { EndVerdict::End } else { EndVerdict::More }
    }
}
