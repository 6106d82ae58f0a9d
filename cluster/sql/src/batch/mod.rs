//! Rows on their way from one operator to the next.
//!
//! Few rows go as rows; many go as columns, each of one kind of values side by side, so that what is done to all of them
//! is a loop over a stretch of memory, and none of them takes memory of its own (after Boncz, Zukowski and Nes,
//! "MonetDB/X100: hyper-pipelining query execution", CIDR 2005).

mod column;
mod select;
#[cfg(test)]
mod tests;
mod word;

use alloc::vec::Vec;
use core::ops::Range;

pub(crate) use self::column::{Column, ColumnBuilder, NO_ROW, Texts, Words, put_form};
pub(crate) use self::select::{narrow, values_of};
pub(crate) use self::word::{WordKind, word_of};
use crate::exec::Row;
use crate::types::Datum;

/// Rows that go together as columns from one operator to the next, about: so few that what is looked at of them stays near.
pub(crate) const COLUMNS_ROWS: usize = 1024;

/// Once its values have so many bytes, no rows are added to a batch: of long ones, few go together.
pub(crate) const BATCH_LEN_MAX: usize = 1024 * 1024;

/// The number of the row at `at`, as columns have it.
pub(crate) fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NO_ROW)
}

/// The numbers of these rows.
pub(crate) fn numbers(rows: Range<usize>) -> Range<u32> {
    number(rows.start)..number(rows.end)
}

/// Some rows.
#[derive(Debug)]
pub(crate) enum Batch {
    Rows(Vec<Row>),
    Columns(Columns),
}

/// Rows as columns, all of which have as many values as there are rows.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) len: usize,
    pub(crate) columns: Vec<Column>,
}

impl Batch {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Batch::Rows(rows) => rows.len(),
            Batch::Columns(columns) => columns.len,
        }
    }

    /// Drops the first `skip` rows, and what lies behind the next `most`.
    pub(crate) fn cut(&mut self, skip: usize, most: usize) {
        let end = skip.saturating_add(most).min(self.len());
        if skip == 0 && end == self.len() {
            return;
        }
        match self {
            Batch::Rows(rows) => {
                rows.truncate(end);
                rows.drain(..skip.min(end));
            }
            Batch::Columns(columns) => {
                let kept: Vec<u32> = numbers(skip..end).collect();
                columns.keep(&kept);
            }
        }
    }

    /// One by one.
    pub(crate) fn into_rows(self) -> Vec<Row> {
        match self {
            Batch::Rows(rows) => rows,
            Batch::Columns(columns) => columns.into_rows(),
        }
    }

    /// As `width` columns.
    pub(crate) fn into_columns(self, width: usize) -> Columns {
        match self {
            Batch::Rows(rows) => Columns::of_rows(rows, width),
            Batch::Columns(columns) => columns,
        }
    }
}

impl Columns {
    /// `rows`, of `width` values each.
    pub(crate) fn of_rows(rows: Vec<Row>, width: usize) -> Columns {
        let len = rows.len();
        let mut builders: Vec<ColumnBuilder> = (0..width).map(|_| ColumnBuilder::new()).collect();
        for row in rows {
            let mut values = row.into_iter();
            builders.iter_mut().for_each(|builder| builder.push(values.next().unwrap_or(Datum::Null)));
        }
        Columns { len, columns: builders.into_iter().map(ColumnBuilder::finish).collect() }
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        let mut rows: Vec<Row> = (0..self.len).map(|_| Row::with_capacity(self.columns.len())).collect();
        for column in self.columns {
            match column {
                Column::Any(values) => {
                    rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
                }
                other => rows.iter_mut().enumerate().for_each(|(at, row)| row.push(other.get(at))),
            }
        }
        rows
    }

    /// Those of `rows`; [`NO_ROW`] has NULL everywhere.
    pub(crate) fn gather(&self, rows: &[u32]) -> Columns {
        Columns { len: rows.len(), columns: self.columns.iter().map(|column| column.gather(rows)).collect() }
    }

    /// The next of `rows`, as many as a batch has; none at the end.
    pub(crate) fn gather_next(&self, rows: &mut impl Iterator<Item = u32>) -> Option<Columns> {
        let (mut some, mut len) = (Vec::new(), 0);
        while some.len() < COLUMNS_ROWS
            && len < BATCH_LEN_MAX
            && let Some(row) = rows.next()
        {
            len += self.row_len(row as usize);
            some.push(row);
        }
        (!some.is_empty()).then(|| self.gather(&some))
    }

    /// Keeps those of `rows`, which ascend.
    pub(crate) fn keep(&mut self, rows: &[u32]) {
        if rows.len() < self.len {
            self.columns.iter_mut().for_each(|column| column.keep(rows));
            self.len = rows.len();
        }
    }

    /// The row at `at`.
    pub(crate) fn row(&self, at: usize) -> Row {
        self.columns.iter().map(|column| column.get(at)).collect()
    }

    /// Puts into `row`, which has as many values as there are columns, those at `at` of `columns`.
    pub(crate) fn fill(&self, at: usize, columns: &[usize], row: &mut Row) {
        for index in columns {
            if let (Some(slot), Some(column)) = (row.get_mut(*index), self.columns.get(*index)) {
                *slot = column.get(at);
            }
        }
    }

    /// About how many bytes of memory the row at `at` takes by itself.
    pub(crate) fn row_len(&self, at: usize) -> usize {
        self.columns.iter().map(|column| column.value_len(at)).sum()
    }

    /// No row takes more than so many bytes by itself.
    pub(crate) fn row_len_max(&self) -> usize {
        self.columns.iter().map(|column| column.value_len_max(self.len)).sum()
    }

    /// About how many bytes of memory they take among others, where a value that is the same in all of these is not.
    pub(crate) fn len_gathered(&self) -> usize {
        let len = |column: &Column| match column {
            Column::Same(value) if !value.is_null() => self.len * value.len_memory(),
            other => other.len_memory(),
        };
        self.columns.iter().map(len).sum()
    }
}

/// Batches that are made one.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    len: usize,
    builders: Vec<ColumnBuilder>,
}

impl Gathered {
    pub(crate) fn new(width: usize) -> Gathered {
        Gathered { len: 0, builders: (0..width).map(|_| ColumnBuilder::new()).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `columns` come next.
    pub(crate) fn append(&mut self, columns: Columns) {
        for (builder, column) in self.builders.iter_mut().zip(columns.columns) {
            builder.append(column, columns.len);
        }
        self.len += columns.len;
    }

    pub(crate) fn finish(self) -> Columns {
        Columns { len: self.len, columns: self.builders.into_iter().map(ColumnBuilder::finish).collect() }
    }
}
