//! Replacing the superblock: what the tables hold is no longer needed here.
//!
//! Two copies are written, then the other two, so that at any time either the new superblock or the old one is durable;
//! what the old one needs is written over only once no copy of it is left.

use cluster_format::LogPosition;
use drivers_api::DiskOperation;

use crate::index::Cut;
use crate::journal::{Journal, Purpose, RESERVE_SECTORS, State};
use crate::superblock::{COPIES, Superblock};
use crate::{Beginning, JournalEvent, LogEnd, Mark, ROOT_LEN_MAX};

/// How many copies are written at a time.
const COPIES_AT_ONCE: usize = 2;

/// A superblock on its way to the disk.
pub(crate) struct Update {
    superblock: Superblock,
    /// Copies that are written, or being written.
    begun: usize,
    /// Copies that are being written.
    requests_left: usize,
    /// Whether the log begins anew with it.
    is_anew: bool,
}

impl Journal {
    /// Whether [`Journal::checkpoint`] may be called: once it [begins](JournalEvent::Begins), one at a time. While records
    /// are read, it keeps all of them.
    pub fn can_checkpoint(&self) -> bool {
        let is_known = match &self.state {
            State::Opening(opening) => opening.is_scanning(),
            State::Open => true,
        };
        self.update.is_none() && is_known
    }

    /// Whether the tables should take what is only here, so that there is room again.
    pub fn wants_checkpoint(&self) -> bool {
        self.head - self.start > self.entry_sectors() / 2
    }

    /// Whether [`Journal::checkpoint`] would make room, if it were told that the tables hold the ledger up to `through`.
    pub fn can_make_room(&self, through: &LogEnd) -> bool {
        self.can_checkpoint() && self.cut(through).place > self.superblock.start
    }

    /// How many sectors of the ring entries may take.
    pub(crate) fn entry_sectors(&self) -> u64 {
        self.superblock.ring_sectors - RESERVE_SECTORS
    }

    /// Makes durable, by [`JournalEvent::Checkpointed`], that the tables are in `root`, and hold what the ledger says up to
    /// `through`, which is committed. Once half of the room is taken, as much of what is before that stays here as takes a quarter.
    /// Only if it [can](Journal::can_checkpoint).
    pub fn checkpoint(&mut self, root: &[u8], through: &LogEnd) {
        let cut = self.cut(through);
        self.update_superblock(root, cut, None);
    }

    /// Where the ring may begin, if the tables hold the ledger up to `through`.
    fn cut(&self, through: &LogEnd) -> Cut {
        let now = Cut {
            place: self.superblock.start,
            chain: self.superblock.chain,
            base: self.superblock.beginning.base,
        };
        if !self.wants_checkpoint() || !matches!(self.state, State::Open) {
            return now;
        }
        // Less than what makes it want the next one, or that would be due at once.
        let is_enough = |cut: &Cut| self.head - cut.place <= self.entry_sectors() / 4;
        let mut cuts = self.index.cuts(through);
        // Not past what is being appended: nobody else knows what that says.
        if !self.is_appending() && self.index.ends_in(through) {
            cuts.push(Cut { place: self.head, chain: self.chain, base: *through });
        }
        let least = cuts.last().copied();
        cuts.into_iter().find(is_enough).or(least).filter(|cut| cut.place > now.place).unwrap_or(now)
    }

    /// Makes durable, as [`Journal::checkpoint`] does, that the tables are in `root`, and that the log begins behind
    /// `base`: nothing of what is here counts any more, but that the member had promised to keep a log up to `promised`.
    /// Not while something is being appended, and nothing may be appended until it is durable.
    pub fn start_anew(&mut self, root: &[u8], base: LogEnd, promised: LogPosition) {
        assert!(!self.is_appending(), "what is being appended belongs to the log of before");
        self.marks.hit(Mark::LogStartedAnew as u32);
        self.index.start_anew(base);
        let cut = Cut { place: self.head, chain: self.chain, base };
        self.update_superblock(root, cut, Some(promised));
    }

    /// Whether a log that begins anew is not durable yet.
    pub fn is_starting_anew(&self) -> bool {
        self.update.as_ref().is_some_and(|update| update.is_anew)
    }

    /// The log begins anew if there is a place that it must reach.
    fn update_superblock(&mut self, root: &[u8], cut: Cut, anew: Option<LogPosition>) {
        assert!(self.can_checkpoint() && root.len() <= ROOT_LEN_MAX, "one after the other, and not too long");
        let (mut state, end) = match self.state {
            State::Open => self.durable,
            // Not all records are known yet.
            State::Opening(_) => (self.superblock.beginning.state, self.superblock.beginning.base),
        };
        // Should all records be lost, this is what tells.
        state.promised = anew.unwrap_or(state.promised.max(end.position));
        state.commit = state.commit.max(cut.base.position.version);
        let superblock = Superblock {
            sectors: self.superblock.sectors.max(self.geometry.sectors),
            sequence: self.superblock.sequence + 1,
            start: cut.place,
            chain: cut.chain,
            beginning: Beginning { root: root.into(), state, base: cut.base },
            ..self.superblock.clone()
        };
        self.update = Some(Update { superblock, begun: 0, requests_left: 0, is_anew: anew.is_some() });
        self.write_next_copies();
    }

    fn write_next_copies(&mut self) {
        let Some(update) = &mut self.update else { return };
        let copies = COPIES.iter().skip(update.begun).take(COPIES_AT_ONCE);
        let buffer = update.superblock.to_bytes();
        update.requests_left = copies.len();
        update.begun += copies.len();
        for sector in copies {
            let write = DiskOperation::Write { sector: *sector, buffer: buffer.clone(), durable: true };
            self.request(Purpose::Checkpoint, write);
        }
    }

    pub(crate) fn update_written(&mut self) {
        let Some(update) = &mut self.update else { return };
        update.requests_left -= 1;
        if update.requests_left > 0 {
            return;
        }
        if update.begun < COPIES.len() {
            return self.write_next_copies();
        }
        if let Some(Update { superblock, is_anew, .. }) = self.update.take() {
            if !is_anew {
                if superblock.start > self.start {
                    self.marks.hit(Mark::RingAdvanced as u32);
                }
                self.index.begin_behind(&superblock.beginning.base);
            }
            self.start = superblock.start;
            self.superblock = superblock;
            self.events.push(JournalEvent::Checkpointed);
        }
    }
}
