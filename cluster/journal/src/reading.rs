//! Reading old entries back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Digest, Entry, Marks, Planted, Version};
use drivers_api::DiskError;

use crate::index::Index;
use crate::journal::{Journal, Purpose};
use crate::reader::Piece;
use crate::scanner::{Chain, Next, Scanner};
use crate::{JournalEvent, Mark};

/// A read under way.
pub(crate) struct Read {
    name: u64,
    /// The version of the next entry.
    due: Version,
    through: Version,
    len_left: usize,
    /// Goes through the segment where the next entry must be.
    scanner: Option<Scanner>,
    /// The version that was due when it entered the segment.
    entered: Version,
    /// The digest that the next entry must repeat.
    previous: Option<Digest>,
    entries: Vec<Arc<Entry>>,
}

/// How a read goes on.
enum Step {
    /// This must be read first.
    More(Piece),
    /// The next entry is in another segment.
    SegmentEnd,
    /// All that was asked for, or all there is.
    Done,
}

impl Read {
    pub(crate) fn new(name: u64, first: Version, through: Version, len_max: usize) -> Read {
        Read {
            name,
            due: first,
            through,
            len_left: len_max,
            scanner: None,
            entered: first,
            previous: None,
            entries: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.due > self.through || (self.len_left == 0 && !self.entries.is_empty())
    }

    /// Takes what the window of the segment's scanner holds.
    fn step(&mut self, index: &Index, marks: &mut Marks) -> Step {
        loop {
            let Some(scanner) = &mut self.scanner else { return Step::SegmentEnd };
            let entries = match scanner.next(marks) {
                Next::Record(found) => found.entries,
                Next::More(wanted) => return Step::More(wanted),
                Next::End => return Step::SegmentEnd,
            };
            for entry in entries {
                // Others come before the first, or were replaced later.
                if entry.version != self.due || !index.is_newest(&entry) {
                    continue;
                }
                let follows = self.previous.is_none_or(|previous| entry.previous == previous);
                if self.is_done() || !follows {
                    return Step::Done;
                }
                self.len_left = self.len_left.saturating_sub(entry.len_estimate());
                self.previous = Some(entry.digest());
                self.due = self.due.next();
                self.entries.push(entry);
            }
        }
    }
}

impl Journal {
    /// A piece was read for the oldest read, or could not be.
    pub(crate) fn read_arrived(&mut self, buffer: &[u8], result: Result<(), DiskError>) {
        let Some(Read { scanner: Some(scanner), .. }) = self.reads.front_mut() else { return };
        if scanner.reader.arrived(buffer, result, &mut self.marks).is_err() {
            // Far too much is unreadable: this is as far as it goes.
            self.finish_read();
        }
        self.continue_reads();
    }

    /// Goes on with the oldest read until it needs the disk, and with the next ones.
    pub(crate) fn continue_reads(&mut self) {
        while let Some(read) = self.reads.front_mut() {
            match read.step(&self.index, &mut self.marks) {
                Step::More(wanted) => return self.request(Purpose::Read, wanted.read()),
                Step::Done => self.finish_read(),
                Step::SegmentEnd => self.next_segment(),
            }
        }
    }

    /// Lets the oldest read go on in the segment where its next entry is.
    fn next_segment(&mut self) {
        let Some(read) = self.reads.front_mut() else { return };
        let places = self.index.find(read.due).filter(|_| !read.is_done());
        let Some(places) = places else { return self.finish_read() };
        if read.scanner.is_some() {
            if read.entered == read.due {
                self.marks.hit(Mark::ReadMetDamage as u32);
                return self.finish_read();
            }
            self.marks.hit(Mark::ReadChangedPlace as u32);
        }
        read.entered = read.due;
        // The segment begins with whatever record is there.
        let chain = Chain::of(self.chain.journal);
        let ring = self.superblock.ring();
        read.scanner = Some(Scanner::new(ring, places, chain, &self.geometry, Planted::NONE));
    }

    fn finish_read(&mut self) {
        if let Some(read) = self.reads.pop_front() {
            self.events.push(JournalEvent::Read(read.name, read.entries));
        }
    }
}
