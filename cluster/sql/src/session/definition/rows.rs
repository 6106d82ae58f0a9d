//! Going through the rows of a table whose definition changes.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::KeyRange;
use cluster_store::Direction;

use crate::catalog::StoredTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, Replaced, Row, add_to_index, check_row, replace_rows};
use crate::key;
use crate::types::Datum;

/// All rows of `table` as they are stored, batch by batch.
pub(super) struct Rows {
    scan: cluster_store::Scan,
    needed: Vec<bool>,
}

impl Rows {
    pub(super) fn of<D>(table: &StoredTable, context: &mut Context<'_, D>) -> Rows {
        let range = KeyRange::prefix(&key::table_prefix(table.descriptor.id));
        Rows {
            scan: context.transaction.scan(range, Direction::Forward),
            needed: vec![true; table.types.len()],
        }
    }

    /// The next rows with their keys; none at the end.
    pub(super) async fn next_batch<D>(
        &mut self,
        table: &StoredTable,
        context: &mut Context<'_, D>,
    ) -> SqlResult<Vec<(Arc<[u8]>, Row)>> {
        context.check_cancel()?;
        let stored = self.scan.next_batch(context.transaction).await?;
        stored.into_iter().map(|(key, value)| Ok((key, table.read(&value, &self.needed)?))).collect()
    }
}

/// Puts all rows of `table` into its index at `at`.
pub(super) async fn fill_index<D>(
    table: &StoredTable,
    at: usize,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let mut rows = Rows::of(table, context);
    loop {
        let batch = rows.next_batch(table, context).await?;
        if batch.is_empty() {
            return Ok(());
        }
        for (key, row) in batch {
            let added = add_to_index(table, at, &key, &row, context.transaction, &context.env).await;
            added.map_err(|error| match error.state {
                SqlState::UNIQUE_VIOLATION => not_unique(table, at, error),
                SqlState::LIMIT_EXCEEDED => error.hint(
                    "The table is too large to be indexed in one transaction; create the index before its rows are loaded.",
                ),
                _ => error,
            })?;
        }
    }
}

pub(in crate::session) fn not_unique(table: &StoredTable, at: usize, error: SqlError) -> SqlError {
    let name = table.descriptor.indexes.get(at).map_or("", |index| &index.name);
    let message = format!("could not create unique index \"{name}\"");
    let detail = error.detail.map(|detail| detail.replace("already exists", "is duplicated"));
    SqlError { message, detail, ..error }
}

/// Whether all rows of `table` satisfy its definition.
pub(super) async fn check_rows<D>(
    table: &StoredTable,
    context: &mut Context<'_, D>,
    broken: impl Fn(SqlError) -> SqlError,
) -> SqlResult<()> {
    let mut rows = Rows::of(table, context);
    loop {
        let batch = rows.next_batch(table, context).await?;
        if batch.is_empty() {
            return Ok(());
        }
        for (_, mut row) in batch {
            check_row(table, &mut row, &context.env).map_err(&broken)?;
        }
    }
}

/// What becomes of a row.
pub(super) type Change<'a> = Box<dyn FnMut(&[Datum]) -> SqlResult<Row> + Send + 'a>;

/// Makes every row of `old` what `change` makes of it, as a row of `new`.
pub(super) async fn rewrite<D>(
    old: &StoredTable,
    new: &StoredTable,
    context: &mut Context<'_, D>,
    mut change: Change<'_>,
) -> SqlResult<()> {
    let mut rows = Rows::of(old, context);
    loop {
        let batch = rows.next_batch(old, context).await?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut replaced = Vec::with_capacity(batch.len());
        for (key, row) in batch {
            let mut changed = change(&row)?;
            check_row(new, &mut changed, &context.env)?;
            replaced.push(Replaced { key, old: row, new: changed });
        }
        replace_rows(new, &replaced, context.transaction, &context.env).await.map_err(too_many)?;
    }
}

fn too_many(error: SqlError) -> SqlError {
    match error.state {
        SqlState::LIMIT_EXCEEDED => {
            error.hint("The table has too many rows to be written anew in one transaction.")
        }
        _ => error,
    }
}
