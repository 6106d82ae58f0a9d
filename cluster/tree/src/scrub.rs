//! Reads what nobody may have read for long, before both copies of it are gone.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::grid::Grid;
use crate::{Block, BlockCursor, FrameKind, FrameRef, ReadError, Table, TableId, Value};

/// What became of reading all of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// The table.
    pub table: TableId,
    /// How many sectors were read.
    pub sectors: u64,
    /// What cannot be had. Of a damaged index, what it names was not looked at; of damaged rows, neither were the long
    /// values that belong to them.
    pub damaged: Vec<ReadError>,
}

/// Reads every frame of `table` from the disk, past the cache.
pub(crate) async fn scrub(grid: &Grid, table: &Arc<Table>) -> Scrubbed {
    let mut scrub = Scrub { grid, table, sectors: 0, damaged: Vec::new() };
    scrub.read(FrameKind::Filter, &table.head.filter).await;
    let index = scrub.read(FrameKind::Index, &table.head.index).await;
    for rows in scrub.named(index, &table.head.index, |value| matches!(value, Value::Inline(_))) {
        let payload = scrub.read(FrameKind::Rows, &rows).await;
        for value in scrub.named(payload, &rows, |value| matches!(value, Value::Far(_))) {
            scrub.read(FrameKind::Value, &value).await;
        }
    }
    let Scrub { sectors, damaged, .. } = scrub;
    Scrubbed { table: table.head.id, sectors, damaged }
}

struct Scrub<'a> {
    grid: &'a Grid,
    table: &'a Arc<Table>,
    sectors: u64,
    damaged: Vec<ReadError>,
}

impl Scrub<'_> {
    async fn read(&mut self, kind: FrameKind, frame: &FrameRef) -> Option<Arc<[u8]>> {
        self.sectors += u64::from(frame.sectors);
        match self.grid.read_past_cache(self.table, kind, frame).await {
            Ok(payload) => Some(payload),
            Err(error) => {
                self.damaged.push(error);
                None
            }
        }
    }

    /// The frames that the block in `payload`, which is that of `frame`, refers to by those of its values.
    fn named(
        &mut self,
        payload: Option<Arc<[u8]>>,
        frame: &FrameRef,
        is_reference: impl Fn(&Value<'_>) -> bool,
    ) -> Vec<FrameRef> {
        let Some(payload) = payload else { return Vec::new() };
        self.references(payload, frame, is_reference).unwrap_or_else(|error| {
            self.damaged.push(error);
            Vec::new()
        })
    }

    fn references(
        &self,
        payload: Arc<[u8]>,
        frame: &FrameRef,
        is_reference: impl Fn(&Value<'_>) -> bool,
    ) -> Result<Vec<FrameRef>, ReadError> {
        let malformed = |error| self.table.malformed(frame, error);
        let mut cursor = BlockCursor::new(Block::parse(payload).map_err(malformed)?);
        let mut references = Vec::new();
        let mut more = cursor.first().map_err(malformed)?;
        while more {
            let value = cursor.record().map(|record| record.value).filter(|value| is_reference(value));
            if let Some(Value::Inline(bytes) | Value::Far(bytes)) = value {
                references.push(self.table.reference(bytes, frame)?);
            }
            more = cursor.advance().map_err(malformed)?;
        }
        Ok(references)
    }
}
