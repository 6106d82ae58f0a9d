//! The journal: opens a disk, appends records, reads old entries. A state machine: requests for the disk
//! come out of [`Journal::take_requests`], completions go into [`Journal::completed`].

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::limits::ENTRY_LEN_MAX;
use cluster_format::{Entry, Incarnation, Marks, Mistake, Planted, Version};
use drivers_api::{DiskCompletion, DiskGeometry, DiskOperation, DiskRequest, SECTOR_SIZE};

use crate::checkpoint::Update;
use crate::index::Index;
use crate::opening::Opening;
use crate::reading::Read;
use crate::record::{PAYLOAD_LEN_MAX, Payload, Record, RecordState, Standing, build};
use crate::scanner::Chain;
use crate::superblock::{
    CLUSTER_NAME_LEN_MAX, Identity, RECORDS_START, SECTORS_MIN, SUPERBLOCK_LEN, Superblock,
};
use crate::{Beginning, JournalError, LogEnd, Mark};

/// Kept free for votes when entries no longer fit: 1 MiB.
pub(crate) const RESERVE_SECTORS: u64 = 2048;

/// A record of this many sectors at most counts as small: 4 KiB.
const SMALL_SECTORS: u64 = 8;

/// What has happened.
#[derive(Debug, PartialEq)]
pub enum JournalEvent {
    /// What came before the first record. [`Journal::recover`] is to be called from now on until it is open.
    Begins(Beginning),
    /// Opening found a record; records come in order.
    Recovered(Record),
    /// Everything was recovered: the journal takes appends.
    Opened {
        /// Whether the disk was blank and has been formatted.
        formatted: bool,
        /// The number drawn when the disk was formatted; never [`Incarnation::UNKNOWN`].
        incarnation: Incarnation,
        /// How many records were reported with [`Record::after_damage`].
        damaged_regions: u64,
    },
    /// The append with this name is durable.
    Appended(u64),
    /// What [`Journal::checkpoint`] or [`Journal::start_anew`] was told is durable.
    Checkpointed,
    /// The read with this name is done; entries may be fewer than asked for, or none.
    Read(u64, Vec<Arc<Entry>>),
}

pub(crate) enum State {
    /// Reads what is there.
    Opening(Box<Opening>),
    /// Takes appends.
    Open,
}

struct Append {
    name: u64,
    requests_left: usize,
    /// What the record says.
    says: (RecordState, LogEnd),
}

/// What a request for the disk belongs to, in its id's low bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Opening = 0,
    Append = 1,
    Read = 2,
    Checkpoint = 3,
}

/// How many low bits those are.
const PURPOSE_BITS: u32 = 3;

/// The journal of one member.
pub struct Journal {
    pub(crate) geometry: DiskGeometry,
    /// As it is on the disk.
    pub(crate) superblock: Superblock,
    /// The one that is to replace it.
    pub(crate) update: Option<Update>,
    pub(crate) planted: Planted,
    pub(crate) state: State,
    pub(crate) chain: Chain,
    pub(crate) life: u64,
    /// The place of the first record.
    pub(crate) start: u64,
    /// Where the next record goes.
    pub(crate) head: u64,
    pub(crate) index: Index,
    /// What the newest durable record says.
    pub(crate) durable: (RecordState, LogEnd),
    append: Option<Append>,
    pub(crate) reads: VecDeque<Read>,
    requests: Vec<DiskRequest>,
    requests_made: u64,
    pub(crate) events: Vec<JournalEvent>,
    pub(crate) marks: Marks,
}

impl Journal {
    /// Starts to open the disk. `random` must be drawn anew each time: it becomes the incarnation of a disk
    /// that is blank and will be formatted (0 is taken for 1), and tells this life's records from others.
    pub fn open(
        geometry: DiskGeometry,
        identity: Identity,
        random: u64,
        planted: Planted,
    ) -> Result<Journal, JournalError> {
        if identity.cluster_name.len() > CLUSTER_NAME_LEN_MAX {
            return Err(JournalError::NameTooLong);
        }
        if geometry.sectors < SECTORS_MIN {
            return Err(JournalError::TooSmall { sectors: geometry.sectors, needed: SECTORS_MIN });
        }
        if geometry.transfer_len_max < SUPERBLOCK_LEN {
            return Err(JournalError::ShortTransfers { len: geometry.transfer_len_max });
        }
        let journal = random.max(1);
        let mut opening = Journal {
            geometry,
            superblock: Superblock::new(identity, journal, geometry.sectors),
            update: None,
            planted,
            state: State::Opening(Box::new(Opening::new())),
            chain: Chain::of(journal),
            life: random,
            start: RECORDS_START,
            head: RECORDS_START,
            index: Index::default(),
            durable: Default::default(),
            append: None,
            reads: VecDeque::new(),
            requests: Vec::new(),
            requests_made: 0,
            events: Vec::new(),
            marks: Marks::NONE,
        };
        opening.read_superblocks();
        Ok(opening)
    }

    /// The disk has become larger, and has so many sectors now. The next superblock says so: until then, no durable root leads
    /// to what is new of it, and a disk that is as small as before would do. The ring stays.
    pub fn grow(&mut self, sectors: u64) {
        self.geometry.sectors = self.geometry.sectors.max(sectors);
    }

    /// Requests for the disk. They may complete in any order.
    pub fn take_requests(&mut self) -> Vec<DiskRequest> {
        core::mem::take(&mut self.requests)
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<JournalEvent> {
        core::mem::take(&mut self.events)
    }

    /// Which rare branches were taken: numbers of [`Mark`].
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// What the log must end in, as the newest record says.
    pub fn log_end(&self) -> LogEnd {
        self.index.end()
    }

    /// Bytes that entries may still take.
    pub fn free_len(&self) -> u64 {
        (self.ring_end() - self.head).saturating_sub(RESERVE_SECTORS) * SECTOR_SIZE as u64
    }

    /// Bytes of the ring that records take, and how many there are.
    pub fn space(&self) -> (u64, u64) {
        let sectors = (self.head - self.start, self.superblock.ring_sectors);
        (sectors.0 * SECTOR_SIZE as u64, sectors.1 * SECTOR_SIZE as u64)
    }

    /// The place behind the last that a record may have.
    fn ring_end(&self) -> u64 {
        self.start + self.superblock.ring_sectors
    }

    /// Bytes of a record's entries at most, so that there is room for the next one while tables take them in.
    pub fn entries_len_max(&self) -> u64 {
        let half = (self.entry_sectors() / 2).saturating_sub(SMALL_SECTORS) * SECTOR_SIZE as u64;
        half.min(ENTRY_LEN_MAX as u64)
    }

    /// With how many the disk's node was to found the cluster when it was formatted, once the superblock is known.
    pub fn founders(&self) -> Option<u8> {
        self.superblock.identity.founders
    }

    /// The first sector behind the ring: the rest of the disk is the caller's. Once it [begins](JournalEvent::Begins).
    pub fn sectors_end(&self) -> u64 {
        self.superblock.ring().end()
    }

    /// Whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.head == RECORDS_START
    }

    /// Whether a record of `entries` fits. Votes may use all of the reserve; the few entries that open a
    /// leader's term, half of it.
    pub fn has_room_for(&self, entries: &[Arc<Entry>]) -> bool {
        let len: usize = entries.iter().map(|entry| entry.len_estimate() + 16).sum();
        let reserve = match sectors_at_most(len) {
            _ if entries.is_empty() => 0,
            0..=SMALL_SECTORS => RESERVE_SECTORS / 2,
            _ => RESERVE_SECTORS,
        };
        self.has_room(len, reserve)
    }

    fn has_room(&self, len: usize, reserve: u64) -> bool {
        len <= PAYLOAD_LEN_MAX && self.head + sectors_at_most(len) + reserve <= self.ring_end()
    }

    /// Appends a record of `entries`, durably; [`JournalEvent::Appended`] says when. One at a time, after
    /// [`JournalEvent::Opened`], and only if [`Journal::has_room_for`] it.
    pub fn append(&mut self, name: u64, state: RecordState, entries: &[Arc<Entry>]) {
        let payload = Payload::of_entries(entries);
        let end = match (entries.first(), payload.last) {
            (Some(first), Some(last)) => self.index.end_after(first.version, last),
            _ => self.index.end(),
        };
        let (places, chain) = (self.head..self.head + payload.sectors(), self.chain);
        self.write(name, state, &end, &payload);
        self.index.note(entries, places, chain, end, &mut self.marks);
    }

    fn write(&mut self, name: u64, state: RecordState, end: &LogEnd, payload: &Payload) {
        assert!(self.append.is_none() && matches!(self.state, State::Open), "one append at a time");
        assert!(!self.is_starting_anew(), "what follows a snapshot waits until that is durable");
        let place = self.head;
        let Chain { journal, sequence, sum, life } = self.chain;
        let standing = Standing { journal, sequence: sequence + 1, life, previous: sum, place };
        let (bytes, sum) = build(&standing, state, end, payload);
        self.chain = Chain { journal, sequence: standing.sequence, sum, life };
        self.head += payload.sectors();
        assert!(self.head <= self.ring_end(), "what still counts would be written over");
        let ring = self.superblock.ring();
        let transfer_sectors = (self.geometry.transfer_len_max / SECTOR_SIZE).max(1) as u64;
        let pieces = ring.pieces(place..self.head, transfer_sectors);
        self.append = Some(Append { name, requests_left: pieces.len(), says: (state, *end) });
        let durable = !self.planted.is(Mistake::WriteNotFlushed);
        if pieces.len() == 1 {
            let write = DiskOperation::Write { sector: ring.sector(place), buffer: bytes, durable };
            return self.request(Purpose::Append, write);
        }
        self.marks.hit(Mark::MultiPieceAppend as u32);
        for piece in pieces {
            let at = |end: u64| (end - place) as usize * SECTOR_SIZE;
            let buffer = bytes[at(piece.start)..at(piece.end)].into();
            let sector = ring.sector(piece.start);
            self.request(Purpose::Append, DiskOperation::Write { sector, buffer, durable });
        }
    }

    /// Whether something is being appended.
    pub(crate) fn is_appending(&self) -> bool {
        self.append.is_some()
    }

    /// Reads entries from `first` on, up to `through` and about `len_max` bytes: those that count, without
    /// a gap, and none that does not verify. [`JournalEvent::Read`] brings them; reads are served one after
    /// the other. Where something is missing or damaged, the entries end: to get what lies behind a hole,
    /// read from there.
    pub fn read(&mut self, name: u64, first: Version, through: Version, len_max: usize) {
        self.reads.push_back(Read::new(name, first, through, len_max));
        if self.reads.len() == 1 {
            self.continue_reads();
        }
    }

    /// A request has finished. An error means that the disk can no longer be used; a sector that cannot be
    /// read is no error.
    pub fn completed(&mut self, completion: DiskCompletion) -> Result<(), JournalError> {
        let DiskCompletion { id, operation, result } = completion;
        match (id & ((1 << PURPOSE_BITS) - 1), operation) {
            (id, DiskOperation::Read { sector, buffer }) if id == Purpose::Opening as u64 => {
                self.opening_read(sector, &buffer, result)
            }
            (id, DiskOperation::Read { buffer, .. }) if id == Purpose::Read as u64 => {
                self.read_arrived(&buffer, result);
                Ok(())
            }
            (id, _) => {
                result?;
                match id {
                    id if id == Purpose::Append as u64 => self.append_completed(),
                    id if id == Purpose::Checkpoint as u64 => self.update_written(),
                    _ => self.superblock_written(),
                }
                Ok(())
            }
        }
    }

    pub(crate) fn request(&mut self, purpose: Purpose, operation: DiskOperation) {
        self.requests_made += 1;
        self.requests
            .push(DiskRequest { id: self.requests_made << PURPOSE_BITS | purpose as u64, operation });
    }

    fn append_completed(&mut self) {
        let Some(append) = &mut self.append else { return };
        append.requests_left -= 1;
        if append.requests_left == 0 {
            self.events.push(JournalEvent::Appended(append.name));
            self.durable = append.says;
            self.append = None;
        }
    }
}

/// More sectors than a record with a payload of `len` bytes takes.
fn sectors_at_most(len: usize) -> u64 {
    (len / SECTOR_SIZE) as u64 + 2
}
