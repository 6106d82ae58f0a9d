//! Where the entries are that count, kept in memory.
//!
//! The log is a list of *runs*: contiguous entries of one history. Without damage there is one. A hole
//! between two runs, or behind the last, is what damage has taken:
//!
//! ```text
//!   start                                                      end
//!     │  run: versions 1..10  │ hole │  run: versions 21..30  │ hole │
//!        segments of the ring:             segments:
//!        1 → places 2048..2300             21 → 2600..2700
//!        8 → places 2300..2310
//! ```
//! A record's entries replace everything from the first of them on. But what lies behind a hole goes on to
//! count while entries that fill the hole can belong to its history: terms never fall along a log, and
//! each entry repeats the digest of the one before it (Raft's log matching, made visible).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use cluster_format::{Digest, Entry, LogPosition, Marks, Version};

use crate::Mark;
use crate::record::LogEnd;
use crate::scanner::Chain;

/// A segment takes no further record that would bring it beyond this many sectors.
const SEGMENT_SECTORS: u64 = 256;

/// Neighbouring records that hold contiguous entries, and perhaps others without entries between them.
#[derive(Clone, Debug)]
struct Segment {
    first: Version,
    /// The digest of the entry before the first; [`Digest::ZERO`] if it is not known.
    previous: Digest,
    places: Range<u64>,
    /// The chain of records before those places.
    chain: Chain,
}

/// Where records may begin, once what is before them is no longer needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// The place of the first record.
    pub(crate) place: u64,
    /// The chain before it.
    pub(crate) chain: Chain,
    /// What the log begins behind.
    pub(crate) base: LogEnd,
}

/// Contiguous entries.
#[derive(Clone, Debug)]
struct Run {
    first: Version,
    last: Version,
    /// The digest of the entry before the first.
    previous: Digest,
    /// By ascending version, never empty.
    segments: Vec<Segment>,
    /// Where each term begins, the first included. By log matching, an entry with another term at its
    /// version is of another history, and one with the same term is the same entry.
    terms: Vec<LogPosition>,
}

impl Run {
    fn term_at(&self, version: Version) -> Option<u64> {
        let behind = self.terms.partition_point(|start| start.version <= version);
        let term = behind.checked_sub(1).map(|index| self.terms[index].term);
        term.filter(|_| (self.first..=self.last).contains(&version))
    }

    /// Drops what is behind `last`, which must not be before the first.
    fn cut(&mut self, last: Version) {
        self.last = self.last.min(last);
        self.segments.retain(|segment| segment.first <= last);
        self.terms.retain(|start| start.version <= last);
    }

    /// Drops what is before `first`, which must not be behind the last; `previous` is the digest before.
    fn begin_at(&mut self, first: Version, previous: Digest) {
        let Some(term) = self.term_at(first) else { return };
        let segment = self.segments.partition_point(|segment| segment.first <= first).saturating_sub(1);
        self.segments.drain(..segment);
        if self.segments[0].first < first {
            (self.segments[0].first, self.segments[0].previous) = (first, previous);
        }
        self.terms.retain(|start| start.version > first);
        self.terms.insert(0, LogPosition { term, version: first });
        (self.first, self.previous) = (first, previous);
    }
}

/// The entries that count.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The log begins behind this version: 0, or a snapshot's last.
    start: Version,
    /// By ascending version.
    runs: Vec<Run>,
    /// What the log must end in.
    end: LogEnd,
    /// The entries before damage that may have been replaced by what was lost there, and the digest of the
    /// last of them. They are not read.
    doubtful: Option<(Run, Digest)>,
    /// The last entry of the record noted last: its segment is open to the next.
    newest: Option<Version>,
}

impl Index {
    /// What the log must end in.
    pub(crate) fn end(&self) -> LogEnd {
        self.end
    }

    /// What the log must end in once entries from `first` to `last` have been appended.
    pub(crate) fn end_after(&self, first: Version, last: LogEnd) -> LogEnd {
        let (term, version) = (last.position.term, last.position.version);
        let behind = self.runs.partition_point(|run| run.last <= version);
        let covered = self.runs[..behind].last().map_or(self.start, |run| run.last);
        let goes_on = match self.runs.get(behind) {
            // Nothing is known of what was lost, but that its terms are not lower.
            None => self.end.position.version > version.max(covered) && self.end.position.term >= term,
            Some(run) if covered.next() >= run.first || first > run.first => false,
            Some(run) if run.first <= version => run.term_at(version) == Some(term),
            Some(run) if run.first == version.next() => run.previous == last.digest,
            Some(run) => run.terms.first().is_some_and(|start| start.term >= term),
        };
        if goes_on { self.end } else { last }
    }

    /// A record with `entries` takes `places` behind `chain`, and the log must end in `end` after it.
    pub(crate) fn note(
        &mut self,
        entries: &[Arc<Entry>],
        places: Range<u64>,
        chain: Chain,
        end: LogEnd,
        marks: &mut Marks,
    ) {
        let whole = self.is_whole();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            self.end = end;
            return;
        };
        if first.version <= self.end.position.version && whole {
            marks.hit(Mark::LogReplaced as u32);
        }
        let behind = self.take_behind(last, end);
        self.settle_doubt(first, marks);
        self.cut(Version(first.version.0 - 1));
        let continues = self.newest == Some(Version(first.version.0 - 1));
        let segment = Segment { first: first.version, previous: first.previous, places, chain };
        let terms = entries.chunk_by(|a, b| a.term == b.term).map(|same| same[0].position());
        match self.runs.last_mut().filter(|run| run.last.next() == first.version) {
            Some(run) => {
                run.last = last.version;
                let open = |open: &&mut Segment| {
                    continues && segment.places.end - open.places.start <= SEGMENT_SECTORS
                };
                match run.segments.last_mut().filter(open) {
                    Some(open) => open.places.end = segment.places.end,
                    None => run.segments.push(segment),
                }
                let same = run.terms.last().map(|start| start.term);
                run.terms.extend(terms.skip_while(|start| Some(start.term) == same));
            }
            None => self.runs.push(Run {
                first: first.version,
                last: last.version,
                previous: first.previous,
                segments: [segment].into(),
                terms: terms.collect(),
            }),
        }
        self.newest = Some(last.version);
        match (whole, behind.is_empty()) {
            (false, false) => marks.hit(Mark::HoleFilled as u32),
            (false, true) if end.position.version < self.end.position.version => {
                marks.hit(Mark::SuffixDropped as u32);
            }
            _ => {}
        }
        self.runs.extend(behind);
        self.end = end;
    }

    /// The log is a snapshot that ends in `end`.
    pub(crate) fn start_anew(&mut self, end: LogEnd) {
        *self = Index { start: end.position.version, end, ..Index::default() };
    }

    /// Where records may begin if all entries up to `through`, which is committed, are no longer needed: from what keeps
    /// the most to what keeps the least, but for keeping nothing.
    pub(crate) fn cuts(&self, through: &LogEnd) -> Vec<Cut> {
        let mut cuts: Vec<Cut> = Vec::new();
        let doubtful = self.doubtful.iter().filter(|(run, _)| run.last > through.position.version);
        let doubtful = doubtful.flat_map(|(run, _)| &run.segments);
        let mut first_place =
            doubtful.map(|segment| (segment.places.start, segment.chain)).min_by_key(|first| first.0);
        for run in self.runs.iter().rev() {
            for segment in run.segments.iter().rev() {
                let own = (segment.places.start, segment.chain);
                let (place, chain) = first_place.filter(|first| first.0 < own.0).unwrap_or(own);
                first_place = Some((place, chain));
                let before = Version(segment.first.0 - 1);
                let base = match run.term_at(before) {
                    _ if before == through.position.version => Some(*through),
                    Some(term) if before < through.position.version && segment.previous != Digest::ZERO => {
                        let position = LogPosition { term, version: before };
                        Some(LogEnd { position, digest: segment.previous })
                    }
                    _ => None,
                };
                cuts.extend(base.map(|base| Cut { place, chain, base }));
            }
        }
        cuts.reverse();
        cuts
    }

    /// Whether the log has nothing behind `through`.
    pub(crate) fn ends_in(&self, through: &LogEnd) -> bool {
        let last = self.runs.last().map_or(self.start, |run| run.last);
        let is_doubtful = self.doubtful.as_ref().is_some_and(|(run, _)| run.last > through.position.version);
        self.end == *through && last <= through.position.version && !is_doubtful
    }

    /// Entries up to `base` are no longer there.
    pub(crate) fn begin_behind(&mut self, base: &LogEnd) {
        let LogEnd { position: LogPosition { version, .. }, digest } = *base;
        self.doubtful.take_if(|(run, _)| run.last <= version);
        self.runs.retain(|run| run.last > version);
        if let Some(run) = self.runs.first_mut().filter(|run| run.first <= version) {
            run.begin_at(version.next(), digest);
        }
        self.start = version;
    }

    /// Records were lost before the one that holds `entries` and says that the log ends in `end`. Entries
    /// up to `commit` cannot have been replaced by what was lost.
    pub(crate) fn lost(&mut self, commit: Version, entries: &[Arc<Entry>], end: &LogEnd, marks: &mut Marks) {
        self.newest = None;
        let known = self.end;
        let (goes_on, behind) = match entries.first() {
            Some(first) => {
                let follows = first.version == known.position.version.next();
                (follows && first.previous == known.digest, first.version > known.position.version)
            }
            None => (*end == known, end.position.version > known.position.version),
        };
        if goes_on {
            return;
        }
        let last = self.runs.last().filter(|run| run.last == known.position.version && run.last > commit);
        self.doubtful = last.cloned().filter(|_| behind).map(|mut run| {
            let first = commit.next().max(run.first);
            let previous = if first == run.first { run.previous } else { Digest::ZERO };
            run.begin_at(first, previous);
            (run, known.digest)
        });
        if self.doubtful.is_some() {
            marks.hit(Mark::EntriesInDoubt as u32);
        }
        self.cut(commit);
    }

    /// Where to look for the entry at `version`: these places.
    pub(crate) fn find(&self, version: Version) -> Option<Range<u64>> {
        let run = self.run_at(version)?;
        let behind = run.segments.partition_point(|segment| segment.first <= version);
        Some(run.segments.get(behind.checked_sub(1)?)?.places.clone())
    }

    /// Whether `entry` is the one that counts at its version.
    pub(crate) fn is_newest(&self, entry: &Entry) -> bool {
        self.run_at(entry.version).and_then(|run| run.term_at(entry.version)) == Some(entry.term)
    }

    fn run_at(&self, version: Version) -> Option<&Run> {
        let run = self.runs.get(self.runs.partition_point(|run| run.last < version))?;
        (run.first <= version).then_some(run)
    }

    /// Whether the log has no hole.
    fn is_whole(&self) -> bool {
        let mut last = self.start;
        for run in &self.runs {
            if run.first != last.next() {
                return false;
            }
            last = run.last;
        }
        last == self.end.position.version
    }

    /// Drops what is behind `last`.
    fn cut(&mut self, last: Version) {
        self.runs.retain(|run| run.first <= last);
        if let Some(run) = self.runs.last_mut() {
            run.cut(last);
        }
    }

    /// Takes what goes on to count behind a record whose last entry is `last`, as `end` says.
    fn take_behind(&mut self, last: &Entry, end: LogEnd) -> Vec<Run> {
        if end.position.version <= last.version {
            return Vec::new();
        }
        let mut behind = self.runs.split_off(self.runs.partition_point(|run| run.last <= last.version));
        if let Some(run) = behind.first_mut().filter(|run| run.first <= last.version) {
            run.begin_at(last.version.next(), last.digest());
        }
        behind
    }

    /// Entries in doubt count again if `first` repeats the digest of the last of them.
    fn settle_doubt(&mut self, first: &Entry, marks: &mut Marks) {
        let Some((run, digest)) = self.doubtful.take() else { return };
        if first.version > run.last.next() {
            self.doubtful = Some((run, digest));
        } else if first.version == run.last.next() && first.previous == digest {
            marks.hit(Mark::DoubtSettled as u32);
            self.runs.push(run);
        }
    }
}
