//! Reads what nobody may have read for long, before both copies of it are gone.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::Version;

use crate::grid::Grid;
use crate::{Block, BlockCursor, FrameKind, FrameRef, ReadError, Table, TableId, Value};

/// Records of a table that cannot be had any more: of all those with keys from `first` to `last`, some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first key that may be among theirs.
    pub first: Arc<[u8]>,
    /// The last.
    pub last: Arc<[u8]>,
    /// The frame of records that is damaged, or has a value that is; none if they are all of the table's.
    pub(crate) rows: Option<FrameRef>,
}

/// What became of reading all of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// The table.
    pub table: TableId,
    /// What brings back its lost records has to be known up to here: the newest version in any table, since a gap may span
    /// keys that only deeper tables have, in newer versions than this one's; and the tree's horizon, since what has hidden
    /// older records may no longer be there.
    pub needed: Version,
    /// How many sectors were read.
    pub sectors: u64,
    /// What cannot be had. Of a damaged index, what it names was not looked at; of damaged rows, neither were the long
    /// values that belong to them.
    pub damaged: Vec<ReadError>,
    /// The records that are lost with it, by ascending keys.
    pub gaps: Vec<Gap>,
}

/// Reads every frame of `table` from the disk, past the cache.
pub(crate) async fn scrub(grid: &Grid, table: &Arc<Table>) -> Scrubbed {
    let mut scrub = Scrub { grid, table, sectors: 0, damaged: Vec::new(), gaps: Vec::new() };
    scrub.read(FrameKind::Filter, &table.head.filter).await;
    if scrub.read_rows().await.is_none() {
        let (first, last) = (table.head.first.clone(), table.head.last.clone());
        scrub.gaps = [Gap { first, last, rows: None }].into();
    }
    let Scrub { sectors, damaged, gaps, .. } = scrub;
    Scrubbed { table: table.head.id, needed: table.head.newest, sectors, damaged, gaps }
}

struct Scrub<'a> {
    grid: &'a Grid,
    table: &'a Arc<Table>,
    sectors: u64,
    damaged: Vec<ReadError>,
    gaps: Vec<Gap>,
}

impl Scrub<'_> {
    async fn read(&mut self, kind: FrameKind, frame: &FrameRef) -> Option<Arc<[u8]>> {
        self.sectors += u64::from(frame.sectors);
        let read = self.grid.read_past_cache(self.table, kind, frame).await;
        self.noting(read)
    }

    fn noting<T>(&mut self, result: Result<T, ReadError>) -> Option<T> {
        result.inspect_err(|error| self.damaged.push(*error)).ok()
    }

    /// All frames of records, and the long values; none if the index does not tell where they are.
    async fn read_rows(&mut self) -> Option<()> {
        let head = &self.table.head;
        let payload = self.read(FrameKind::Index, &head.index).await?;
        let named = self.table.references(payload, &head.index, |value| matches!(value, Value::Inline(_)));
        let named = self.noting(named)?;
        let mut first = head.first.clone();
        for (last, rows) in named {
            if self.read_frame(&rows).await.is_none() {
                self.gaps.push(Gap { first, last: last.clone(), rows: Some(rows) });
            }
            // Its older versions may be in the next frame.
            first = last;
        }
        Some(())
    }

    /// A frame of records, and the long values that belong to it; none unless all of them can be had.
    async fn read_frame(&mut self, rows: &FrameRef) -> Option<()> {
        let payload = self.read(FrameKind::Rows, rows).await?;
        let named = self.table.references(payload, rows, |value| matches!(value, Value::Far(_)));
        let mut all = Some(());
        for (_, value) in self.noting(named)? {
            all = all.and(self.read(FrameKind::Value, &value).await.map(|_| ()));
        }
        all
    }
}

/// A frame, and the key under which a block refers to it.
type Named = (Arc<[u8]>, FrameRef);

impl Table {
    /// The frames that the block in `payload`, which is that of `frame`, refers to by those of its values, and the keys of
    /// these.
    fn references(
        &self,
        payload: Arc<[u8]>,
        frame: &FrameRef,
        is_reference: impl Fn(&Value<'_>) -> bool,
    ) -> Result<Vec<Named>, ReadError> {
        let malformed = |error| self.malformed(frame, error);
        let mut cursor = BlockCursor::new(Block::parse(payload).map_err(malformed)?);
        let mut references = Vec::new();
        let mut more = cursor.first().map_err(malformed)?;
        while more {
            let record = cursor.record().filter(|record| is_reference(&record.value));
            if let Some(record) = record
                && let Value::Inline(bytes) | Value::Far(bytes) = record.value
            {
                references.push((record.position.key.into(), self.reference(bytes, frame)?));
            }
            more = cursor.advance().map_err(malformed)?;
        }
        Ok(references)
    }
}
