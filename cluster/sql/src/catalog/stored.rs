//! What names stand for, as it was read.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::{SequenceDescriptor, StoredRoutine, TableDescriptor, TableStatistics, ViewDescriptor, is_same};
use crate::batch::ColumnBuilder;
use crate::bind::{BoundTable, bind_table};
use crate::error::SqlResult;
use crate::row;
use crate::types::{DataType, Datum};

/// A table's descriptor with the bytes it was read from: equal bytes, equal table.
#[derive(Clone, Debug)]
pub(crate) struct StoredTable {
    pub(crate) key: Vec<u8>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) descriptor: TableDescriptor,
    pub(crate) types: Vec<DataType>,
    /// What rows hold in columns that were not there when they were written; empty if that is NULL for all.
    pub(crate) missing: Vec<Datum>,
    /// Columns that are filled up with blanks, and to how many characters: rows are stored without these.
    pub(super) padded: Vec<(usize, usize)>,
    pub(crate) bound: BoundTable,
    /// What is known of its rows, where that was asked for.
    pub(crate) statistics: Option<Arc<StoredStatistics>>,
}

/// The statistics of a table, with the bytes they were read from.
#[derive(Clone, Debug)]
pub(crate) struct StoredStatistics {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) table: TableStatistics,
}

impl StoredStatistics {
    /// Those in `bytes`; none if they cannot be read, as nothing but speed depends on them.
    pub(super) fn read(bytes: Arc<[u8]>) -> Option<Arc<StoredStatistics>> {
        let table = TableStatistics::read(&bytes)?;
        Some(Arc::new(StoredStatistics { bytes, table }))
    }
}

/// What a name stands for, with the bytes it was read from.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    Table(Arc<StoredTable>),
    View(Arc<StoredView>),
    Sequence(SequenceDescriptor),
    /// Its table's name.
    Index(String),
    Routine(Arc<StoredRoutine>),
}

/// A view, with the bytes it was read from.
#[derive(Clone, Debug)]
pub(crate) struct StoredView {
    pub(crate) key: Vec<u8>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) descriptor: ViewDescriptor,
}

impl Stored {
    /// What it is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Stored::Table(_) => "table",
            Stored::View(_) => "view",
            Stored::Sequence(_) => "sequence",
            Stored::Index(_) => "index",
            Stored::Routine(routine) => routine.descriptor.kind(),
        }
    }
}

impl PartialEq for StoredTable {
    fn eq(&self, other: &StoredTable) -> bool {
        self.key == other.key && self.bytes == other.bytes
    }
}

impl StoredTable {
    pub(super) fn new(key: Vec<u8>, bytes: Arc<[u8]>, descriptor: TableDescriptor) -> SqlResult<StoredTable> {
        let types = descriptor.columns.iter().map(|column| column.data_type).collect();
        let mut missing: Vec<Datum> = Vec::new();
        if descriptor.columns.iter().any(|column| !column.missing.is_null()) {
            missing.extend(descriptor.columns.iter().map(|column| column.missing.clone()));
        }
        let bound = bind_table(&descriptor)?;
        let padded = descriptor.columns.iter().enumerate().filter_map(|(at, column)| {
            let len = column.modifier.filter(|_| column.data_type == DataType::Bpchar)?;
            Some((at, usize::try_from(len).ok()?))
        });
        let padded = padded.collect();
        Ok(StoredTable { key, bytes, descriptor, types, missing, padded, bound, statistics: None })
    }

    /// The row in `value`, of whose columns those are wanted that `needed` marks.
    pub(crate) fn read(&self, value: &[u8], needed: &[bool]) -> SqlResult<Vec<Datum>> {
        let mut row = row::read(value, &self.types, needed, &self.missing)?;
        for (at, len) in &self.padded {
            if let Some(Datum::Bpchar(text)) = row.get_mut(*at) {
                let chars = text.chars().count();
                text.extend(core::iter::repeat_n(' ', len.saturating_sub(chars)));
            }
        }
        Ok(row)
    }

    /// Reads the row in `value` to the ends of `columns`: the columns that `needed` marks, the others get nothing.
    pub(crate) fn read_columns(
        &self,
        value: &[u8],
        needed: &[bool],
        columns: &mut [ColumnBuilder],
    ) -> SqlResult<()> {
        row::read_columns(value, &self.types, needed, &self.missing, columns)?;
        for (at, len) in &self.padded {
            let is_needed = needed.get(*at).copied().unwrap_or(false);
            if let Some(column) = columns.get_mut(*at).filter(|_| is_needed) {
                column.pad(*len);
            }
        }
        Ok(())
    }

    /// `row` as it is stored.
    pub(crate) fn encode(&self, row: &[Datum]) -> Vec<u8> {
        if self.padded.is_empty() {
            return row::encode(row);
        }
        let mut row = row.to_vec();
        for (at, _) in &self.padded {
            if let Some(Datum::Bpchar(text)) = row.get_mut(*at) {
                text.truncate(text.trim_end_matches(' ').len());
            }
        }
        row::encode(&row)
    }

    /// Whether the table is in `transaction` what it is here.
    pub(crate) async fn is_current(&self, transaction: &mut Transaction) -> SqlResult<bool> {
        is_same(&self.key, Some(&self.bytes), transaction).await
    }
}
