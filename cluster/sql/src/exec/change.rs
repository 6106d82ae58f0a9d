//! Inserting, updating, deleting. A statement reads all it will change before it changes any.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use cluster_format::{Commit, KeyRange};
use cluster_store::{Direction, Transaction};
use hashbrown::HashSet;

use super::foreign::References;
use super::insert::Inserting;
use super::store::{Replaced, check_row, remove_row, replace_rows};
use super::trigger::{before_row, changes_inserted};
use super::{Context, Cursor, Row};
use crate::catalog::{Event, StoredTable};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::key;
use crate::plan::{DeletePlan, InsertPlan, InsertRows, Rel, Related, Returning, TargetRows, UpdatePlan};
use crate::settings;
use crate::types::Datum;

/// What a statement changed.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) count: u64,
    /// For `RETURNING`.
    pub(crate) returned: Vec<Row>,
    /// What is still to be checked.
    pub(super) references: References,
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
pub(super) async fn run_insert<D: Database>(
    plan: &InsertPlan,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    let mut inserting = Inserting::new(plan);
    inserting.begin(context).await?;
    // What subqueries read must not be what has been inserted.
    let is_read = |exprs: &[Expr]| exprs.iter().any(Expr::has_subquery);
    // What changes something is called for rows that are there, once for each.
    let returns = plan.returning.as_ref().is_some_and(|returning| {
        is_read(&returning.outputs) && !returning.outputs.iter().any(Expr::is_volatile)
    });
    match &plan.rows {
        InsertRows::Values(rows) if !returns && !rows.iter().any(|row| is_read(row)) => {
            context.transaction.see_now();
            for (index, exprs) in rows.iter().enumerate() {
                context.breathe(index).await?;
                let row = context.eval_all(exprs, &[]).await?;
                inserting.insert(row, context).await?;
            }
        }
        InsertRows::Query(rel, exprs) if !returns => {
            let rows = collect(rel, context).await?;
            context.transaction.see_now();
            for (index, row) in rows.into_iter().enumerate() {
                context.breathe(index).await?;
                let row = context.eval_all(exprs, &row).await?;
                inserting.insert(row, context).await?;
            }
        }
        rows => {
            let mut whole = whole_rows(rows, context).await?;
            if returns && !changes_inserted(&plan.related, plan.table.descriptor.id) {
                inserting.return_ahead(&mut whole, context).await?;
            }
            context.transaction.see_now();
            for (index, row) in whole.into_iter().enumerate() {
                context.breathe(index).await?;
                inserting.insert(row, context).await?;
            }
        }
    }
    Ok(inserting.finish())
}

/// The rows that are to be inserted, before any is.
async fn whole_rows<D: Database>(rows: &InsertRows, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let mut whole = Vec::new();
    match rows {
        InsertRows::Values(rows) => {
            for exprs in rows {
                let row = context.eval_all(exprs, &[]).await?;
                context.budget.charge_row(&row)?;
                whole.push(row);
            }
        }
        InsertRows::Query(rel, exprs) => {
            for row in collect(rel, context).await? {
                let row = context.eval_all(exprs, &row).await?;
                context.budget.charge_row(&row)?;
                whole.push(row);
            }
        }
    }
    Ok(whole)
}

/// All rows of `rel`.
pub(crate) async fn collect<D: Database>(rel: &Rel, context: &mut Context<'_, D>) -> SqlResult<Vec<Row>> {
    let mut cursor = Cursor::open(rel);
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next_rows(context).await? {
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
    // What a statement beside this one has changed is left as that has made it.
    rows.retain(|(key, _)| !context.transaction.has_changed(key));
    Ok(rows)
}

/// `UPDATE`
pub(super) async fn run_update<D: Database>(
    plan: &UpdatePlan,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    let mut changed = Changed::default();
    let mut replaced = Vec::new();
    let targets = targets(&plan.rows, context).await?;
    if plan.table.is_none() {
        context.transaction.see_now();
    }
    let (related, id) = (&plan.related, plan.table.as_ref().map_or(0, |table| table.descriptor.id));
    let columns = assigned_columns(&plan.assignments);
    changed.references.fired.begin(related, id, Event::Update, &columns, context).await?;
    // Nothing is written before all is computed: what subqueries read is as it was.
    let mut computed = Vec::with_capacity(targets.len());
    for (index, (key, row)) in targets.into_iter().enumerate() {
        context.breathe(index).await?;
        let old: Row = row.get(..plan.rows.width).unwrap_or_default().into();
        let new = assigned(&plan.assignments, old, &row, context).await?;
        context.budget.charge_row(&new)?;
        computed.push((key, row, new));
    }
    for (index, (key, mut row, new)) in computed.into_iter().enumerate() {
        context.breathe(index).await?;
        let old: Row = row.get(..plan.rows.width).unwrap_or_default().into();
        let becomes = before_row(related, id, Event::Update, (&old, new), &columns, context).await?;
        let Some(mut new) = becomes else { continue };
        match &plan.table {
            Some(table) => check_row(table, &mut new, &context.env)?,
            None => settings::store(&key, &mut new, context.transaction)?,
        }
        row.splice(..plan.rows.width, new.iter().cloned());
        changed.note(&row, plan.returning.as_ref(), context).await?;
        replaced.push(Replaced { key, old, new });
    }
    context.transaction.see_now();
    let Some(table) = &plan.table else { return Ok(changed) };
    if calls_any(related, id, plan.assignments.iter().map(|(_, expr)| expr), plan.returning.as_ref()) {
        for Replaced { key, old, .. } in &replaced {
            check_unchanged(table, key, old, context).await?;
        }
    }
    if related.tables.is_empty() {
        replace_rows(table, &replaced, context.transaction, &context.env).await?;
        for Replaced { old, new, .. } in &replaced {
            changed.references.fired.note(related, id, Event::Update, (old, new), &columns, context)?;
        }
        return Ok(changed);
    }
    changed.references.replace(related, id, replaced, &columns, context).await?;
    Ok(changed)
}

/// Whether routines are called that may have changed rows of `table` since these were read: by triggers, in what is assigned,
/// or for `RETURNING`.
pub(super) fn calls_any<'a>(
    related: &Related,
    table: u32,
    assigned: impl IntoIterator<Item = &'a Expr>,
    returning: Option<&'a Returning>,
) -> bool {
    let outputs = returning.into_iter().flat_map(|returning| &returning.outputs);
    let is_call = |expr: &Expr| expr.any(&mut |expr| matches!(expr, Expr::Routine(_)));
    related.triggers.contains_key(&table) || assigned.into_iter().chain(outputs).any(is_call)
}

/// 27000 if the row at `key` is another by now than the one that is to be changed.
pub(super) async fn check_unchanged<D>(
    table: &StoredTable,
    key: &[u8],
    row: &[Datum],
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let width = table.types.len();
    if let Some(value) = context.transaction.get(key).await? {
        // As bytes, in which what is not a number is the same as itself.
        let stored = table.encode(&table.read(&value, &vec![true; width])?);
        if row.get(..width).is_some_and(|row| table.encode(row) == stored) {
            return Ok(());
        }
    }
    let message = "a row that is to be changed was changed by what the statement has called";
    Err(SqlError::new(SqlState("27000"), message)
        .hint("Call it AFTER the row is changed, so that it sees what that has become."))
}

/// The columns that are assigned.
pub(super) fn assigned_columns(assignments: &[(usize, Expr)]) -> Vec<usize> {
    assignments.iter().map(|(column, _)| *column).collect()
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
pub(super) async fn run_delete<D: Database>(
    plan: &DeletePlan,
    context: &mut Context<'_, D>,
) -> SqlResult<Changed> {
    let mut changed = Changed::default();
    let mut rows = targets(&plan.rows, context).await?;
    let (related, id) = (&plan.related, plan.table.descriptor.id);
    changed.references.fired.begin(related, id, Event::Delete, &[], context).await?;
    if related.triggers.contains_key(&id) {
        let mut gone = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            if before_row(related, id, Event::Delete, (&row, Row::new()), &[], context).await?.is_some() {
                gone.push((key, row));
            }
        }
        rows = gone;
    }
    for (_, row) in &rows {
        changed.note(row, plan.returning.as_ref(), context).await?;
    }
    context.transaction.see_now();
    if calls_any(related, id, core::iter::empty(), plan.returning.as_ref()) {
        for (key, row) in &rows {
            check_unchanged(&plan.table, key, row, context).await?;
        }
    }
    if related.tables.is_empty() {
        for (index, (key, row)) in rows.into_iter().enumerate() {
            context.breathe(index).await?;
            remove_row(&plan.table, &key, &row, context.transaction, &context.env).await?;
            changed.references.fired.note(related, id, Event::Delete, (&row, &Row::new()), &[], context)?;
        }
        return Ok(changed);
    }
    rows.iter_mut().for_each(|(_, row)| row.truncate(plan.rows.width));
    changed.references.delete(related, id, rows, context).await?;
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
        if !transaction.insert(&write.key, value.clone()).await? {
            let message = "a key of the rows that were copied has been taken meanwhile";
            return Err(SqlError::new(SqlState::UNIQUE_VIOLATION, message));
        }
    }
    Ok(())
}
