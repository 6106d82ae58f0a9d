//! Records that a damaged table has lost, as another node has them.
//!
//! Trees of equal content differ in their tables, since each merges when it comes to it. So what a peer is asked for is not a
//! frame but the whole history of a range of keys, from the peer's horizon on. With that, the damaged table is
//! written anew: what of it is intact, and all of the history that it may have had. What is somewhere else in this tree as
//! well does no harm, since equal records are one. What must not come back is a row whose deletion was in the damaged
//! part, and which the peer, for whom nobody can see either of them any more, has forgotten: where this tree has a key
//! of which the peer knows nothing as of its horizon, the table is to say that it was deleted. Nor must one come back
//! that the peer still has, and whose deletion this tree has forgotten: so the history goes on to this tree's horizon.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use cluster_format::limits::KEY_LEN_MAX;
use cluster_format::{KeyRange, Version, shared_bytes};
use serde::{Deserialize, Serialize};

use crate::memtable::Records;
use crate::writer::VALUE_LEN_MAX;
use crate::{
    Direction, Gap, Gaps, MemTable, Merge, Position, ReadError, Scrubbed, Snapshot, Source, TableId,
    WriteError, yield_now,
};

/// Bytes of memory that a patch takes at most: beyond, it is better to get all tables anew.
pub const PATCH_LEN_MAX: usize = 8 << 20;

/// Records between two pauses, in which others run.
const RECORDS_PER_TURN: usize = 256;

/// What a peer is asked for: records in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchQuestion {
    /// The first may have this key,
    #[serde(with = "shared_bytes")]
    pub first: Arc<[u8]>,
    /// and this version; of later keys, all versions,
    pub version: Version,
    /// but none newer than this, to which the peer has to have come.
    pub newest: Version,
    /// The last may have this key.
    #[serde(with = "shared_bytes")]
    pub last: Arc<[u8]>,
}

/// A record of a [`PatchPiece`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchRecord {
    #[serde(with = "shared_bytes")]
    key: Arc<[u8]>,
    version: Version,
    /// None if it deletes.
    #[serde(with = "shared_bytes::optional")]
    value: Option<Arc<[u8]>>,
}

/// What the peer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchPiece {
    records: Vec<PatchRecord>,
    /// Whether nothing is left of what was asked for.
    is_last: bool,
    /// They tell all that can be seen from this version on.
    horizon: Version,
}

/// Why what a peer has said is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFilled {
    /// It is not what was asked for.
    Different,
    /// It is too much.
    TooLong,
}

impl fmt::Display for NotFilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotFilled::Different => "what a peer sent in place of lost rows is not what was asked for",
            NotFilled::TooLong => "too many rows are lost to get them one by one",
        })
    }
}

/// What is to take the place of the gaps of one table.
#[derive(Clone)]
pub struct Patch {
    table: TableId,
    newest: Version,
    gaps: Arc<[Gap]>,
    records: Records,
    horizon: Version,
    /// How many of the gaps are filled, and from where on the next one is not.
    filled: usize,
    next: Option<(Arc<[u8]>, Version)>,
}

impl Patch {
    /// One for a table that was read from end to end, with nothing in it yet.
    pub fn new(scrubbed: &Scrubbed) -> Patch {
        Patch {
            table: scrubbed.table,
            newest: scrubbed.needed,
            gaps: scrubbed.gaps.clone().into(),
            records: Records::default(),
            horizon: Version::ZERO,
            filled: 0,
            next: None,
        }
    }

    /// The table that it is for.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// A tree must have come to this version before it can take it, and shows none that is older any more.
    pub fn horizon(&self) -> Version {
        self.horizon
    }

    /// Whether it is for just these gaps, as it is.
    pub fn is_for(&self, scrubbed: &Scrubbed) -> bool {
        self.table == scrubbed.table && *self.gaps == *scrubbed.gaps
    }

    /// Bytes of memory that it takes.
    pub fn len_bytes(&self) -> usize {
        self.records.len_bytes()
    }

    /// What to ask a peer next; none once it is whole.
    pub fn question(&self) -> Option<PatchQuestion> {
        let gap = self.gaps.get(self.filled)?;
        let (first, version) = self.next.clone().unwrap_or((gap.first.clone(), self.newest));
        Some(PatchQuestion { first, version, newest: self.newest, last: gap.last.clone() })
    }

    /// Takes what a peer has answered to [`Patch::question`].
    pub fn fill(&mut self, piece: &PatchPiece) -> Result<(), NotFilled> {
        let Some(PatchQuestion { first, version, newest, last }) = self.question() else { return Ok(()) };
        // Nothing is taken of an answer that turns out to be wrong.
        let mut len = self.records.len_bytes();
        let mut least = Position { key: &first, version };
        for PatchRecord { key, version, value } in &piece.records {
            let position = Position { key, version: *version };
            let is_wanted = position >= least && *key <= last && (Version(1)..=newest).contains(version);
            let is_long =
                key.len() > KEY_LEN_MAX || value.as_ref().is_some_and(|value| value.len() > VALUE_LEN_MAX);
            if !is_wanted || is_long {
                return Err(NotFilled::Different);
            }
            len += Records::len_of(key, value);
            least = Position { key, version: Version(version.0 - 1) };
        }
        if len > PATCH_LEN_MAX {
            return Err(NotFilled::TooLong);
        }
        if !piece.is_last && piece.records.is_empty() {
            return Err(NotFilled::Different);
        }
        for PatchRecord { key, version, value } in &piece.records {
            self.records.add(key, *version, value.clone());
        }
        self.horizon = self.horizon.max(piece.horizon);
        if piece.is_last {
            (self.filled, self.next) = (self.filled + 1, None);
        } else {
            self.next = Some((least.key.into(), least.version));
        }
        Ok(())
    }

    /// All that the table may have lost, beside what `snapshot` has but for `gaps`.
    pub(crate) async fn complete(&self, snapshot: &Snapshot, gaps: &Gaps) -> Result<MemTable, WriteError> {
        let mut records = self.records.clone();
        let deleted = self.horizon.min(self.newest);
        for gap in self.gaps.iter() {
            let sources = snapshot.levels.runs().map(|run| Source::run_but(run, gaps)).collect();
            let first = Position::first_of(&gap.first);
            let mut merge = Merge::new(&snapshot.grid, sources, first, Direction::Forward).await?;
            let mut met = 0;
            while let Some(Position { key, version }) = merge.position().filter(|at| *at.key <= *gap.last) {
                let is_forgotten = version <= self.horizon && self.records.get(key, self.horizon).is_none();
                if is_forgotten && records.get(key, deleted).is_none() {
                    records.add(&key.into(), deleted, None);
                    if records.len_bytes() > 2 * PATCH_LEN_MAX {
                        return Err(WriteError::PatchTooLong);
                    }
                }
                merge.advance(&snapshot.grid).await?;
                met += 1;
                if met % RECORDS_PER_TURN == 0 {
                    yield_now().await;
                }
            }
        }
        Ok(records.into())
    }
}

/// Patches by their tables, and the gaps of all of them.
#[derive(Default)]
pub(crate) struct Patches {
    by_table: BTreeMap<TableId, Patch>,
    gaps: Gaps,
}

impl Patches {
    pub(crate) fn new(patches: Vec<Patch>) -> Patches {
        let gaps = patches.iter().map(|patch| (patch.table, patch.gaps.clone())).collect();
        let by_table = patches.into_iter().map(|patch| (patch.table, patch)).collect();
        Patches { by_table, gaps }
    }

    /// The first one's table.
    pub(crate) fn first(&self) -> Option<TableId> {
        self.by_table.keys().next().copied()
    }

    pub(crate) fn get(&self, table: TableId) -> Option<&Patch> {
        self.by_table.get(&table)
    }

    pub(crate) fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// The oldest version that the tree can show when it has taken them.
    pub(crate) fn horizon(&self) -> Version {
        self.by_table.values().map(Patch::horizon).max().unwrap_or_default()
    }
}

impl Snapshot {
    /// What a peer asks for, about `len_max` bytes of it, or one record that is longer.
    pub async fn patch(&self, question: &PatchQuestion, len_max: usize) -> Result<PatchPiece, ReadError> {
        let PatchQuestion { first, version, newest, last } = question;
        let first = Position { key: first, version: *version };
        // What was deleted as a range is told key by key: whoever asks may have forgotten that it was.
        let range = KeyRange { start: first.key.into(), end: KeyRange::single(last).end };
        let tombstones = self.tombstones(&range);
        let mut merge = Merge::new(&self.grid, self.sources(None), first, Direction::Forward).await?;
        let mut piece = PatchPiece { records: Vec::new(), is_last: true, horizon: self.horizon };
        let (mut len, mut met) = (0, 0);
        while let Some(Position { key, version }) = merge.position().filter(|at| *at.key <= **last) {
            let is_same = |record: &PatchRecord| *record.key == *key && record.version == version;
            if version <= *newest && !piece.records.last().is_some_and(is_same) {
                if len >= len_max {
                    piece.is_last = false;
                    break;
                }
                let latest = match piece.records.last() {
                    Some(before) if *before.key == *key => Version(before.version.0.saturating_sub(1)),
                    _ if key == first.key => first.version,
                    _ => *newest,
                };
                let deleted =
                    tombstones.first_over(Position { key, version }).filter(|deleted| *deleted <= latest);
                let key: Arc<[u8]> = key.into();
                if let Some(version) = deleted {
                    piece.records.push(PatchRecord { key: key.clone(), version, value: None });
                }
                let held = merge.value().map(|value| value.hold());
                let value = match held {
                    Some(held) => held.get(&self.grid).await?,
                    None => None,
                };
                len += key.len() + value.as_ref().map_or(0, |value| value.len());
                piece.records.push(PatchRecord { key, version, value });
            }
            merge.advance(&self.grid).await?;
            met += 1;
            if met % RECORDS_PER_TURN == 0 {
                yield_now().await;
            }
        }
        Ok(piece)
    }
}
