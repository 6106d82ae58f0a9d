//! What a statement gives, while a client takes it.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::Tag;
use crate::ast::CopyFormat;
use crate::copy;
use crate::eval::SessionFacts;
use crate::exec::{self, Budget, Row};
use crate::memo::Memo;
use crate::plan::OutputColumn;
use crate::types::Datum;
use crate::wire::Style;

/// A result in progress.
pub struct Cursor {
    pub(super) rows: CursorRows,
    pub(super) columns: Vec<OutputColumn>,
    pub(super) tag: fn(u64) -> Tag,
    /// For `RETURNING`: the rows changed. Otherwise the rows fetched so far.
    pub(super) count: u64,
    /// Whether some of the format of `COPY` was written.
    pub(super) started: bool,
}

pub(super) enum CursorRows {
    /// All of it, and the memory it takes.
    Ready(vec::IntoIter<Row>, Budget),
    Query(Box<Query>),
}

/// A query in progress, with what it works on.
pub(super) struct Query {
    pub(super) rows: exec::Cursor,
    pub(super) params: Vec<Datum>,
    pub(super) facts: SessionFacts,
    /// The transaction, if the query is alone in it.
    pub(super) own: Option<Transaction>,
    pub(super) budget: Budget,
    pub(super) memo: Memo,
    /// Its number in the history of the transaction block that it is in.
    pub(super) step: Option<usize>,
}

impl Cursor {
    pub(super) fn ready(
        rows: Vec<Row>,
        columns: Vec<OutputColumn>,
        tag: fn(u64) -> Tag,
        count: u64,
        budget: Budget,
    ) -> Box<Cursor> {
        let rows = CursorRows::Ready(rows.into_iter(), budget);
        Box::new(Cursor { rows, columns, tag, count, started: false })
    }

    /// The rows of a result that has been made whole.
    pub(super) fn ready_rows(&self) -> &[Row] {
        match &self.rows {
            CursorRows::Ready(rows, _) => rows.as_slice(),
            CursorRows::Query(_) => &[],
        }
    }

    /// The columns.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// What the statement says it did, at its end.
    pub fn tag(&self) -> Tag {
        (self.tag)(self.count)
    }

    /// Appends `rows` in the format of `COPY`, behind what comes first if these are.
    pub fn write_copy(&mut self, rows: &[Row], format: &CopyFormat, out: &mut Vec<u8>) {
        if !core::mem::replace(&mut self.started, true) {
            copy::write_start(&self.columns, format, out);
        }
        let plain = Style::default();
        let style = match &self.rows {
            CursorRows::Query(query) => &query.facts.style,
            CursorRows::Ready(..) => &plain,
        };
        rows.iter().for_each(|row| copy::write_row(row, format, style, out));
    }

    /// Appends what comes behind all rows in the format of `COPY`.
    pub fn write_copy_end(&self, format: &CopyFormat, out: &mut Vec<u8>) {
        copy::write_end(format, out);
    }
}
