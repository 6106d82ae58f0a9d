//! What a statement gives, while a client takes it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_store::Transaction;

use super::{Prepared, Session, Tag, definition};
use crate::ast::{CopyFormat, Statement};
use crate::copy;
use crate::database::Database;
use crate::error::SqlResult;
use crate::eval::SessionFacts;
use crate::exec::{self, Budget, Row};
use crate::memo::Memo;
use crate::plan::{OutputColumn, Plan, Planned};
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
    /// What it was planned for.
    pub(super) planned: Arc<Planned>,
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

impl Prepared {
    /// Whether it may change what `read` has been planned to read.
    fn disturbs(&self, read: &Planned) -> bool {
        match &self.planned.plan {
            Plan::Query(_) | Plan::CopyOut(..) => false,
            Plan::Direct => {
                let statement = self.statement();
                definition::is_definition(statement) || matches!(statement, Statement::Execute(..))
            }
            _ => {
                let latest = self.latest();
                if latest.calls || read.calls {
                    return true;
                }
                let is_read = |key: &Vec<u8>| read.made_for.iter().any(|(known, _)| known == key);
                latest.made_for.iter().any(|(key, _)| is_read(key))
            }
        }
    }
}

impl<D: Database> Session<D> {
    /// Before a statement is run: takes what is left of `cursor` if the statement may change it. A query gives what was there
    /// when it was begun, whatever its transaction does before the client has seen it all.
    pub async fn keep_still(&mut self, cursor: &mut Cursor, prepared: &Prepared) -> SqlResult<()> {
        match &cursor.rows {
            CursorRows::Query(query) if query.own.is_none() && prepared.disturbs(&query.planned) => {}
            _ => return Ok(()),
        }
        let mut budget = Budget::new(self.database.memory());
        let mut left = Vec::new();
        while let Some(rows) = self.fetch(cursor).await? {
            for row in rows {
                budget.charge_row(&row)?;
                left.push(row);
            }
        }
        cursor.rows = CursorRows::Ready(left.into_iter(), budget);
        Ok(())
    }
}
