//! Inserting, updating, deleting. A statement reads all it will change before it changes any.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cluster_format::{Commit, KeyRange};
use cluster_store::{Direction, Transaction};
use hashbrown::HashSet;

use super::insert::Inserting;
use super::{Context, Cursor, Row};
use crate::catalog::{StoredTable, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::key;
use crate::plan::{DeletePlan, InsertPlan, InsertRows, Rel, Returning, TargetRows, UpdatePlan};
use crate::row;
use crate::settings;
use crate::types::Datum;
use crate::wire;

/// What a statement changed.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) count: u64,
    /// For `RETURNING`.
    pub(crate) returned: Vec<Row>,
}

/// Hidden row ids: wall time, session, counter. No two inserts meet, so none conflict.
#[derive(Debug)]
pub(crate) struct RowIds {
    session: u32,
    next: u32,
}

impl RowIds {
    pub(crate) fn new(session: u64) -> RowIds {
        // The low half is as random as the whole.
        RowIds { session: session as u32, next: 0 }
    }

    fn write_next(&mut self, wall_micros: i64, out: &mut Vec<u8>) {
        self.next = self.next.wrapping_add(1);
        out.extend_from_slice(&wall_micros.max(0).to_be_bytes());
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.next.to_be_bytes());
    }
}

/// What became of a row that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Yes,
    /// Its key is taken, and that was to be ignored.
    Duplicate,
}

/// Stores a new row.
pub(crate) async fn store_row(
    table: &StoredTable,
    row: &mut Row,
    ignore_duplicates: bool,
    transaction: &mut Transaction,
    row_ids: &mut RowIds,
    wall_micros: i64,
) -> SqlResult<Stored> {
    let descriptor = &table.descriptor;
    check_row(descriptor, row)?;
    if descriptor.primary_key.is_empty() {
        let mut key = key::table_prefix(descriptor.id);
        row_ids.write_next(wall_micros, &mut key);
        put(&key, row, transaction)?;
        return Ok(Stored::Yes);
    }
    match transaction.insert(&descriptor.row_key(row).into(), row::encode(row).into()).await? {
        true => Ok(Stored::Yes),
        false if ignore_duplicates => Ok(Stored::Duplicate),
        false => Err(duplicate_key(descriptor, row)),
    }
}

/// Stores a row under a key that has become its own.
pub(super) async fn move_row(
    descriptor: &TableDescriptor,
    key: Vec<u8>,
    row: &Row,
    transaction: &mut Transaction,
) -> SqlResult<()> {
    match transaction.insert(&key.into(), row::encode(row).into()).await? {
        true => Ok(()),
        false => Err(duplicate_key(descriptor, row)),
    }
}

pub(super) fn put(key: &[u8], row: &Row, transaction: &mut Transaction) -> SqlResult<()> {
    Ok(transaction.put(key, &row::encode(row))?)
}

/// Whether `row` may stand in the table.
pub(super) fn check_row(table: &TableDescriptor, row: &mut Row) -> SqlResult<()> {
    let mut missing = None;
    for (column, datum) in table.columns.iter().zip(row.iter_mut()) {
        match (column.chars_max, datum) {
            (_, Datum::Null) if column.not_null => {
                missing.get_or_insert(column);
            }
            (Some(chars_max), Datum::Text(text)) => fit(text, chars_max)?,
            _ => {}
        }
    }
    let Some(column) = missing else { return Ok(()) };
    let message = format!(
        "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
        column.name, table.name
    );
    let values: Vec<String> = row.iter().map(printed).collect();
    Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message)
        .detail(format!("Failing row contains ({}).", values.join(", "))))
}

/// Cuts blanks off a text that is too long; anything else is an error.
fn fit(text: &mut String, chars_max: u32) -> SqlResult<()> {
    let chars_max = chars_max as usize;
    if text.len() <= chars_max {
        return Ok(());
    }
    let Some((end, _)) = text.char_indices().nth(chars_max) else { return Ok(()) };
    if text.get(end..).is_some_and(|rest| rest.bytes().all(|byte| byte == b' ')) {
        text.truncate(end);
        return Ok(());
    }
    let message = format!("value too long for type character varying({chars_max})");
    Err(SqlError::new(SqlState::TEXT_TOO_LONG, message))
}

fn printed(datum: &Datum) -> String {
    let mut text = String::new();
    match datum {
        Datum::Null => text.push_str("null"),
        datum => wire::write_text(datum, &mut text),
    }
    text
}

fn duplicate_key(table: &TableDescriptor, row: &Row) -> SqlError {
    let message = format!("duplicate key value violates unique constraint \"{}\"", table.primary_key_name);
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in table.primary_key.iter().map(|column| usize::from(*column)) {
        names.extend(table.columns.get(column).map(|column| column.name.as_str()));
        values.extend(row.get(column).map(printed));
    }
    let detail = format!("Key ({})=({}) already exists.", names.join(", "), values.join(", "));
    SqlError::new(SqlState::UNIQUE_VIOLATION, message).detail(detail)
}

impl Changed {
    /// Counts `row`, and keeps what `RETURNING` makes of it.
    pub(super) async fn note<D: Database>(
        &mut self,
        row: &Row,
        returning: Option<&Returning>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        self.count += 1;
        if let Some(returning) = returning {
            let row = context.eval_all(&returning.outputs, row).await?;
            context.budget.charge_row(&row)?;
            self.returned.push(row);
        }
        Ok(())
    }
}

/// `INSERT`
pub(crate) async fn run_insert<D: Database>(
    plan: &InsertPlan,
    row_ids: &mut RowIds,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    let mut inserting = Inserting::new(plan, row_ids);
    match &plan.rows {
        // What subqueries read must not be what has been inserted.
        InsertRows::Values(rows) if rows.iter().flatten().any(Expr::has_subquery) => {
            let mut whole = Vec::with_capacity(rows.len());
            for exprs in rows {
                let row = context.eval_all(exprs, &[]).await?;
                context.budget.charge_row(&row)?;
                whole.push(row);
            }
            for (index, row) in whole.into_iter().enumerate() {
                context.breathe(index).await?;
                inserting.insert(row, context).await?;
            }
        }
        InsertRows::Values(rows) => {
            for (index, exprs) in rows.iter().enumerate() {
                context.breathe(index).await?;
                let row = context.eval_all(exprs, &[]).await?;
                inserting.insert(row, context).await?;
            }
        }
        InsertRows::Query(rel, exprs) => {
            for (index, row) in collect(rel, context).await?.into_iter().enumerate() {
                context.breathe(index).await?;
                let row = context.eval_all(exprs, &row).await?;
                inserting.insert(row, context).await?;
            }
        }
    }
    Ok(inserting.changed)
}

/// All rows of `rel`.
async fn collect<D: Database>(rel: &Rel, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let mut cursor = Cursor::open(rel);
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next_batch(context).await? {
        for row in batch {
            context.budget.charge_row(&row)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The rows that a statement changes, each once, with their keys.
async fn targets<D: Database>(
    target: &TargetRows,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<(Arc<[u8]>, Row)>> {
    let mut seen: HashSet<Arc<[u8]>> = HashSet::new();
    let mut rows = Vec::new();
    for row in collect(&target.rel, context).await? {
        let Some(Datum::Bytea(key)) = row.get(target.width) else { continue };
        let key = key.clone();
        context.budget.charge(key.len() + 16)?;
        // Of several rows that it is joined with, the first counts.
        if !target.is_joined || seen.insert(key.clone()) {
            rows.push((key, row));
        }
    }
    Ok(rows)
}

/// A row as it is to be.
struct Replaced {
    key: Arc<[u8]>,
    new: Row,
}

/// `UPDATE`
pub(crate) async fn run_update<D: Database>(
    plan: &UpdatePlan,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    let mut changed = Changed::default();
    let mut replaced = Vec::new();
    // Nothing is written before all is computed: what subqueries read is as it was.
    for (index, (key, mut row)) in targets(&plan.rows, context).await?.into_iter().enumerate() {
        context.breathe(index).await?;
        let old: Row = row.get(..plan.rows.width).unwrap_or_default().into();
        let mut new = assigned(&plan.assignments, old, &row, context).await?;
        match &plan.table {
            Some(table) => check_row(&table.descriptor, &mut new)?,
            None => settings::store(&key, &mut new, context.transaction)?,
        }
        row.splice(..plan.rows.width, new.iter().cloned());
        changed.note(&row, plan.returning.as_ref(), context).await?;
        context.budget.charge_row(&new)?;
        replaced.push(Replaced { key, new });
    }
    if let Some(table) = &plan.table {
        replace(&table.descriptor, &plan.assignments, replaced, context).await?;
    }
    Ok(changed)
}

async fn replace<D>(
    descriptor: &TableDescriptor,
    assignments: &[(usize, Expr)],
    rows: Vec<Replaced>,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let is_key = |column: usize| descriptor.primary_key.iter().any(|key| usize::from(*key) == column);
    let moves = assignments.iter().any(|(column, _)| is_key(*column));
    let mut moved = Vec::new();
    for (index, Replaced { key, new }) in rows.into_iter().enumerate() {
        context.breathe(index).await?;
        if moves {
            context.transaction.delete(&key)?;
            moved.push((descriptor.row_key(&new), new));
        } else {
            put(&key, &new, context.transaction)?;
        }
    }
    // Every old key is free by now: keys may change places.
    for (key, row) in moved {
        move_row(descriptor, key, &row, context.transaction).await?;
    }
    Ok(())
}

/// `row` with what is assigned to it; expressions see `from`.
pub(super) async fn assigned<D: Database>(
    assignments: &[(usize, Expr)],
    mut row: Row,
    from: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<Row> {
    for (column, expr) in assignments {
        let value = context.eval(expr, from).await?;
        if let Some(slot) = row.get_mut(*column) {
            *slot = value;
        }
    }
    Ok(row)
}

/// So many rows are deleted one by one: a deleted range is remembered until nothing of it is left on the disk.
const FEW_ROWS: usize = 64;

/// Deletes the rows of a table, as a whole if they are many. If there are too many deleted ranges, each row counts against the
/// transaction's length.
pub(crate) async fn delete_all<D>(id: u32, context: &mut Context<'_, D>) -> SqlResult<()> {
    let range = KeyRange::prefix(&key::table_prefix(id));
    let mut scan = context.transaction.scan(range.clone(), Direction::Forward);
    loop {
        context.check_cancel()?;
        let rows = scan.next_batch(context.transaction).await?;
        if rows.is_empty() || rows.len() > FEW_ROWS && context.transaction.delete_range(&range)? {
            return Ok(());
        }
        for (key, _) in rows {
            context.transaction.delete(&key)?;
        }
    }
}

/// `DELETE`
pub(crate) async fn run_delete<D: Database>(
    plan: &DeletePlan,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    let mut changed = Changed::default();
    if plan.truncate {
        delete_all(plan.table.descriptor.id, context).await?;
        return Ok(changed);
    }
    let rows = targets(&plan.rows, context).await?;
    for (_, row) in &rows {
        changed.note(row, plan.returning.as_ref(), context).await?;
    }
    for (index, (key, _)) in rows.into_iter().enumerate() {
        context.breathe(index).await?;
        context.transaction.delete(&key)?;
    }
    Ok(changed)
}

/// Does again, on another snapshot, a commit that only inserted into `table`: as long as the table is the
/// same and no key is taken, the outcome is what running the statement again would give.
pub(crate) async fn replay_inserts(
    commit: &Commit,
    table: &StoredTable,
    transaction: &mut Transaction,
) -> SqlResult<()> {
    if !table.is_current(transaction).await? {
        let message =
            format!("table \"{}\" was changed while rows were copied into it", table.descriptor.name);
        return Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
            .hint("The transaction might succeed if retried."));
    }
    for write in &commit.writes {
        let Some(value) = &write.value else { continue };
        if table.descriptor.primary_key.is_empty() {
            transaction.put(&write.key, value)?;
        } else if !transaction.insert(&write.key, value.clone()).await? {
            return Err(duplicate_key(&table.descriptor, &row::read(value, &table.types, &[])?));
        }
    }
    Ok(())
}
