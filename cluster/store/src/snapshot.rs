//! One state of the tables, as a value.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::limits::{BATCH_ROWS, KEY_LEN_MAX};
use cluster_format::{KeyRange, StateHash, Version};
use cluster_tree::{Most, RANGE_TOMBSTONES_MAX, RangeRead, RowSink};

use crate::system::{SystemRows, is_system_key};
use crate::{BlockReads, Direction, Mending, PatchPiece, PatchQuestion, ReadError, Row, yield_now};

/// A read waits no more often than this for damage to be mended: each time it may meet some more.
const MENDED_MAX: usize = 8;

/// The tables as they were after one ledger entry. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Snapshot {
    version: Version,
    tree: cluster_tree::Snapshot,
    /// What is known of the system's rows, if it is of this version.
    system: Option<Arc<SystemRows>>,
    /// Reads that meet damage wait for them; they fail if there is nobody.
    mending: Option<Arc<dyn Mending>>,
}

/// What some neighbouring rows amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The last of their keys; none if no row follows.
    pub last: Option<Arc<[u8]>>,
    /// The sum of their hashes.
    pub hash: StateHash,
}

impl Snapshot {
    pub(crate) fn new(version: Version, tree: cluster_tree::Snapshot, system: Arc<SystemRows>) -> Snapshot {
        Snapshot { version, tree, system: Some(system), mending: None }
    }

    /// The version of this state.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The state at an earlier version; reads fail if that is no longer kept.
    pub fn as_of(&self, version: Version) -> Snapshot {
        let version = version.min(self.version);
        let system = self.system.clone().filter(|system| system.are_of(version));
        Snapshot { version, system, ..self.clone() }
    }

    /// The same state, whose reads wait for `mending` when they meet damage.
    pub fn mended_by(self, mending: Arc<dyn Mending>) -> Snapshot {
        Snapshot { mending: Some(mending), ..self }
    }

    /// The same state, where what is read of its tables counts for `reads`.
    pub fn counted(self, reads: Arc<BlockReads>) -> Snapshot {
        Snapshot { tree: self.tree.counted(reads), ..self }
    }

    /// Whether so many ranges are deleted that no more should be.
    pub(crate) fn has_many_range_deletes(&self) -> bool {
        self.tree.range_tombstones() >= RANGE_TOMBSTONES_MAX
    }

    /// The value of `key`.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, ReadError> {
        let Some(system) = self.system.as_ref().filter(|_| is_system_key(key)) else {
            return self.find(key).await;
        };
        if let Some(known) = system.get(key) {
            return Ok(known);
        }
        let found = self.find(key).await?;
        system.note(key, found.as_ref());
        Ok(found)
    }

    async fn find(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, ReadError> {
        let mut found = self.tree.get(key, self.version).await;
        for _ in 0..MENDED_MAX {
            let Err(error) = found else { break };
            let newer = self.mended(error).await?;
            found = Box::pin(newer.tree.get(key, self.version)).await;
        }
        found
    }

    /// The first `rows_max` rows of `range`, by `direction`.
    pub async fn read(
        &self,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, ReadError> {
        self.read_most(range, direction, Most::rows(rows_max)).await
    }

    /// The first rows of `range`, `rows_max` at most, and no more once they have `len_max` bytes; none at the end.
    pub async fn read_within(
        &self,
        range: &KeyRange,
        rows_max: usize,
        len_max: usize,
    ) -> Result<Vec<Row>, ReadError> {
        self.read_most(range, Direction::Forward, Most { rows: rows_max, len: len_max }).await
    }

    async fn read_most(
        &self,
        range: &KeyRange,
        direction: Direction,
        most: Most,
    ) -> Result<Vec<Row>, ReadError> {
        let mut rows = Vec::new();
        self.read_into(range, direction, most, &mut rows).await?;
        Ok(rows)
    }

    /// Gives `sink` the first rows of `range`, by `direction`. Returns the last key, unless the range is at its end: what
    /// remains lies behind it.
    pub async fn read_into<S: RowSink>(
        &self,
        range: &KeyRange,
        direction: Direction,
        most: Most,
        sink: &mut S,
    ) -> Result<Option<Arc<[u8]>>, ReadError> {
        let asked = RangeRead { range, version: self.version, direction, most };
        let mut found = self.tree.read_into(asked, sink).await;
        for _ in 0..MENDED_MAX {
            let Err(error) = found else { break };
            let newer = self.mended(error).await?;
            sink.begin_again();
            found = Box::pin(newer.tree.read_into(asked, sink)).await;
        }
        found
    }

    /// The newest tables, once the damage that a read has met is mended: what they were at a version stays what it is. Those
    /// of another node, if it came to that, may not have come so far.
    async fn mended(&self, error: ReadError) -> Result<Snapshot, ReadError> {
        match (&self.mending, error) {
            (None, _) | (_, ReadError::Forgotten(_)) => Err(error),
            (Some(mending), _) => {
                let newer = mending.mended(error).await;
                newer.filter(|newer| newer.version >= self.version).ok_or(error)
            }
        }
    }

    /// About how many bytes of the disk rows in `range` take, with all versions that are kept: whole blocks, compressed as
    /// they are. What is in memory only takes none.
    pub async fn disk_len(&self, range: &KeyRange) -> Result<u64, ReadError> {
        self.tree.disk_len(range).await
    }

    /// What a peer has lost of its tables, as these have it: about `len_max` bytes. They must have come to the newest version
    /// that it asks for.
    pub async fn patch(&self, question: &PatchQuestion, len_max: usize) -> Result<PatchPiece, ReadError> {
        self.tree.patch(question, len_max).await
    }

    /// What the rows behind the key `after`, or from the first on, amount to: so many of them that they take `len_max`
    /// bytes, one at least.
    pub async fn slice(&self, after: Option<&[u8]>, len_max: usize) -> Result<Slice, ReadError> {
        let start = after.map_or(Arc::default(), |after| KeyRange::single(after).end);
        let mut range = KeyRange { start, end: [u8::MAX; KEY_LEN_MAX + 1][..].into() };
        let (mut hash, mut len) = (StateHash::default(), 0);
        loop {
            let rows = self.read(&range, Direction::Forward, BATCH_ROWS).await?;
            for (key, value) in &rows {
                hash = hash.with(StateHash::of(&[key, value]));
                len += key.len() + value.len();
                if len >= len_max {
                    return Ok(Slice { last: Some(key.clone()), hash });
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() == BATCH_ROWS => range.start = KeyRange::single(last).end,
                _ => return Ok(Slice { last: None, hash }),
            }
            yield_now().await;
        }
    }
}
