//! Goes through the records in order, and past damage.
//!
//! ```text
//!               the next record verifies
//!                    ┌───────┐
//!                    ▼       │      nothing that follows verifies      ┌───────────┐
//!                 ┌─────────────┐ ──────────────────────────────────►  │ searching │
//!   starts ─────► │  following  │                                      │ sector by │
//!                 └─────────────┘ ◄──────────────────────────────────  │  sector   │
//!                               a later record verifies: after_damage  └───────────┘
//!                                                                            │ nothing within
//!                                                                            ▼ the lookahead
//!                                                              the end, where the search began
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use cluster_format::{Entry, Marks, Mistake, Planted};
use drivers_api::{DiskGeometry, SECTOR_SIZE};
use serde::{Deserialize, Serialize};

use crate::Mark;
use crate::reader::{BLANK, Piece, Reader};
use crate::record::{HEADER_LEN, Header, sectors_max};
use crate::ring::Ring;

/// How far records are looked for behind the last sector that is not blank: 1 MiB, beyond what one request
/// may carry, since a whole request may be lost.
const LOOKAHEAD_SECTORS: u64 = 2048;

/// The chain of records so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) journal: u64,
    /// The newest record's sequence: its upper half counts the lives of the journal, from one opening to the
    /// next.
    pub(crate) sequence: u64,
    /// The newest record's header checksum.
    pub(crate) sum: u32,
    /// A random number that the records of one life have in common. What an earlier life wrote, a later one
    /// gave up as torn, and the medium shows again after all, is told by it from what came in its place.
    pub(crate) life: u64,
}

impl Chain {
    /// The chain before the first record.
    pub(crate) fn of(journal: u64) -> Chain {
        Chain { journal, sequence: 0, sum: 0, life: 0 }
    }

    /// The chain as the next life continues it.
    pub(crate) fn reopened(self, life: u64) -> Chain {
        Chain { sequence: (life_count(self.sequence) + 1) << 32, life, ..self }
    }

    /// The chain with a record's header at its end.
    pub(crate) fn through(self, header: &Header) -> Chain {
        Chain { sequence: header.sequence, sum: header.sum, life: header.life, ..self }
    }

    /// Whether a record with this header may come later in the chain.
    pub(crate) fn allows(&self, header: &Header) -> bool {
        let same_life = life_count(header.sequence) != life_count(self.sequence) || header.life == self.life;
        header.journal == self.journal && header.sequence > self.sequence && same_life
    }
}

fn life_count(sequence: u64) -> u64 {
    sequence >> 32
}

/// A record and where it was found.
pub(crate) struct Found {
    pub(crate) place: u64,
    /// The chain before it.
    pub(crate) chain: Chain,
    pub(crate) header: Header,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) after_damage: bool,
}

/// What comes next on the disk.
pub(crate) enum Next {
    /// A record.
    Record(Box<Found>),
    /// This must be read first.
    More(Piece),
    /// No record.
    End,
}

/// What the window begins with.
enum Candidate {
    /// An intact record of this journal, newer than those before.
    Record(Header, Vec<Arc<Entry>>),
    /// Perhaps one: more must be read to tell.
    Incomplete,
    /// None.
    Nothing,
}

/// The search for an intact record behind damage.
#[derive(Debug)]
struct Search {
    /// Where the damage begins.
    start: u64,
    /// Where to give up.
    until: u64,
}

/// Goes through the records in order.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) reader: Reader,
    chain: Chain,
    search: Option<Search>,
    /// The last intact header whose payload is not, if another record came before it than the chain's last:
    /// that one is lost, and was durable, since the next is written only then.
    proof: Option<Header>,
    /// A record was met whose place comes round only when earlier ones are no longer needed.
    is_outrun: bool,
    /// What lies behind damage does not count.
    stops_at_damage: bool,
    lookahead: u64,
}

impl Scanner {
    /// Starts at the first of `places` with the record that follows `chain`, and looks at nothing behind the last.
    pub(crate) fn new(
        ring: Ring,
        places: Range<u64>,
        chain: Chain,
        geometry: &DiskGeometry,
        planted: Planted,
    ) -> Scanner {
        let request_sectors = (geometry.transfer_len_max / SECTOR_SIZE) as u64;
        Scanner {
            reader: Reader::new(ring, places, geometry),
            chain,
            search: None,
            proof: None,
            is_outrun: false,
            stops_at_damage: planted.is(Mistake::DamageTakenForTornTail),
            lookahead: LOOKAHEAD_SECTORS + request_sectors,
        }
    }

    /// The chain up to the last record returned.
    pub(crate) fn chain(&self) -> Chain {
        self.chain
    }

    /// Whether records were met that the chain cannot lead to, because what was before them has been written over: the
    /// superblock that says where the chain begins is older than they are.
    pub(crate) fn is_outrun(&self) -> bool {
        self.is_outrun
    }

    /// After [`Next::End`]: the place behind the last record, where the next one goes.
    pub(crate) fn end(&self) -> u64 {
        self.search.as_ref().map_or(self.reader.position(), |search| search.start)
    }

    /// After [`Next::End`]: whether something other than zeros lies behind the last record.
    pub(crate) fn tail_is_torn(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.until > search.start + self.lookahead)
    }

    /// The next record.
    pub(crate) fn next(&mut self, marks: &mut Marks) -> Next {
        loop {
            if self.search.as_ref().is_some_and(|search| self.reader.position() >= search.until) {
                return self.give_up(marks);
            }
            let wanted = self.reader.wanted();
            if self.reader.bytes().is_empty() {
                return wanted.map_or_else(|| self.give_up(marks), Next::More);
            }
            match (self.candidate(marks), wanted) {
                (Candidate::Record(header, entries), _) => {
                    // What an opening has told of it once, every later one tells: the repair built on that.
                    if let Some(proof) = self.proof.take_if(|proof| proof.sum == header.previous) {
                        return self.take_header(proof, marks);
                    }
                    return Next::Record(Box::new(self.take(header, entries, marks)));
                }
                (Candidate::Incomplete, Some(wanted)) => return Next::More(wanted),
                _ => self.pass_sector(),
            }
        }
    }

    fn candidate(&mut self, marks: &mut Marks) -> Candidate {
        let bytes = self.reader.bytes();
        let header = Header::parse(bytes).filter(|header| self.chain.allows(header));
        let Some(header) = header else { return Candidate::Nothing };
        let position = self.reader.position();
        if header.place != position {
            let is_later =
                header.place > position && self.reader.ring().is_same_sector(header.place, position);
            self.is_outrun |= is_later;
            marks.hit(Mark::MisdirectedRecord as u32);
            return Candidate::Nothing;
        }
        if position + header.sectors() > self.reader.end() {
            return Candidate::Nothing;
        }
        let Some(payload) = bytes.get(HEADER_LEN..HEADER_LEN + header.payload_len) else {
            return Candidate::Incomplete;
        };
        if let Some(entries) = header.entries(payload) {
            return Candidate::Record(header, entries);
        }
        if header.previous != self.chain.sum {
            self.proof = Some(header);
        }
        Candidate::Nothing
    }

    fn take(&mut self, header: Header, entries: Vec<Arc<Entry>>, marks: &mut Marks) -> Found {
        let follows = header.previous == self.chain.sum;
        if self.search.take().is_some() {
            marks.hit(Mark::DamagedRegion as u32);
        } else if !follows {
            marks.hit(Mark::SequenceBroken as u32);
        }
        // Whatever is between two records that follow each other, nothing is lost there.
        let after_damage = !follows;
        self.proof = None;
        self.reader.advance(header.sectors());
        let chain = self.chain;
        self.chain = chain.through(&header);
        Found { place: header.place, chain, header, entries, after_damage }
    }

    fn pass_sector(&mut self) {
        let position = self.reader.position();
        let first = self.reader.bytes().get(..SECTOR_SIZE).unwrap_or(&[]);
        let blank = first == BLANK;
        let lookahead = if self.stops_at_damage { 0 } else { self.lookahead };
        let search = self.search.get_or_insert(Search { start: position, until: position + lookahead });
        if !blank && !self.stops_at_damage {
            // A piece of a record: the next one may be as far as the longest reaches.
            search.until = position + sectors_max() + self.lookahead;
        }
        self.reader.advance(1);
    }

    /// Nothing intact lies behind the damage.
    fn give_up(&mut self, marks: &mut Marks) -> Next {
        let Some(header) = self.proof.take().filter(|_| !self.stops_at_damage) else { return Next::End };
        self.reader.move_to(header.place + header.sectors());
        self.take_header(header, marks)
    }

    /// Of a record that came behind others that are lost, the header is left. What its payload was is lost too, so it
    /// counts as a record without entries.
    fn take_header(&mut self, header: Header, marks: &mut Marks) -> Next {
        marks.hit(Mark::HeaderOnly as u32);
        self.search = None;
        let chain = self.chain;
        self.chain = chain.through(&header);
        let entries = Vec::new();
        Next::Record(Box::new(Found { place: header.place, chain, header, entries, after_damage: true }))
    }
}
