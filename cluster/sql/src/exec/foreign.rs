//! Foreign keys: what rows refer to must be there when the statement ends.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::change::{check_unchanged, collect};
use super::distinct::same_form;
use super::store::{Replaced, check_row, printed, remove_row, replace_rows};
use super::trigger::{Fired, before_row};
use super::{Context, Row, row_len};
use crate::catalog::{Event as Fires, ForeignKey, ReferentialAction, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::plan::{Child, Related, RelatedTable};
use crate::types::Datum;

/// What has to be there, or gone, when the statement ends.
#[derive(Default)]
pub(crate) struct References {
    /// Tables, their foreign keys, and values that rows refer to.
    wanted: Vec<(u32, usize, Row)>,
    known: HashSet<Vec<u8>>,
    /// Tables, their children, and values that nothing must refer to any more.
    gone: Vec<(u32, usize, Row)>,
    /// The triggers that are to be called then.
    pub(crate) fired: Fired,
}

/// What became of the rows of a table.
enum Event {
    Deleted(Vec<(Arc<[u8]>, Row)>),
    Replaced(Vec<Replaced>),
}

/// Values that are gone, and what has taken their place if their rows are still there.
type Changes = Vec<(Row, Option<Row>)>;

impl Event {
    fn is_empty(&self) -> bool {
        match self {
            Event::Deleted(rows) => rows.is_empty(),
            Event::Replaced(rows) => rows.is_empty(),
        }
    }

    /// What has become of the values in `columns`, where that is something else.
    fn changes(&self, columns: &[u16]) -> Changes {
        let mut changes: Changes = match self {
            Event::Deleted(rows) => rows.iter().map(|(_, row)| (values_of(row, columns), None)).collect(),
            Event::Replaced(rows) => rows
                .iter()
                .map(|row| (values_of(&row.old, columns), Some(values_of(&row.new, columns))))
                .filter(|(old, new)| new.as_ref().is_none_or(|new| same_form(old) != same_form(new)))
                .collect(),
        };
        changes.retain(|(old, _)| !old.iter().any(Datum::is_null));
        changes
    }
}

/// What follows for the rows that refer to what has changed.
struct Consequence<'a> {
    child: &'a Child,
    action: ReferentialAction,
    changes: Changes,
}

impl References {
    /// A row of `table` is there: what it refers to must be, too.
    pub(crate) fn want<D>(
        &mut self,
        related: &Related,
        table: u32,
        row: &[Datum],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let Some(known) = related.tables.get(&table) else { return Ok(()) };
        for (at, key) in known.table.descriptor.foreign_keys.iter().enumerate() {
            let values = values_of(row, &key.columns);
            if values.iter().any(Datum::is_null) {
                continue;
            }
            let mut form = same_form(&values);
            form.extend_from_slice(&table.to_be_bytes());
            form.extend_from_slice(&at.to_be_bytes());
            let len = form.len() + 64 + row_len(&values);
            if self.known.insert(form) {
                context.budget.charge(len)?;
                self.wanted.push((table, at, values));
            }
        }
        Ok(())
    }

    /// Deletes rows of `table`, and does to those that refer to them what their keys say.
    pub(crate) async fn delete<D: Database>(
        &mut self,
        related: &Related,
        table: u32,
        rows: Vec<(Arc<[u8]>, Row)>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        self.follow(related, table, Event::Deleted(rows), &[], context).await
    }

    /// As [`References::delete`], for rows that have been replaced.
    pub(crate) async fn replace<D: Database>(
        &mut self,
        related: &Related,
        table: u32,
        rows: Vec<Replaced>,
        assigned: &[usize],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        self.follow(related, table, Event::Replaced(rows), assigned, context).await
    }

    /// Does `event` to a table, and to those that refer to it what their keys say, and so on. The rows that refer to what has
    /// changed are looked for when their turn has come: another key of theirs may have changed them, too, or deleted them.
    async fn follow<D: Database>(
        &mut self,
        related: &Related,
        table: u32,
        event: Event,
        assigned: &[usize],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let mut left = VecDeque::new();
        self.apply(related, table, event, assigned, &mut left, context).await?;
        while let Some(Consequence { child, action, changes }) = left.pop_front() {
            let Some(referring) = related.tables.get(&child.table) else { continue };
            let (mut deleted, mut replaced) = (Vec::new(), Vec::new());
            for (old, new) in changes {
                let rows = keyed(referring, collect(&child.rows, &mut context.within(&old)).await?);
                match (action, new) {
                    (ReferentialAction::Cascade, None) => deleted.extend(rows),
                    (action, new) => {
                        let key = &child.foreign_key;
                        replaced
                            .extend(referring_elsewhere(referring, key, action, rows, new, context).await?);
                    }
                }
            }
            let assigned: Vec<usize> =
                child.foreign_key.columns.iter().map(|column| usize::from(*column)).collect();
            before_rows(related, child.table, &deleted, &mut replaced, &assigned, context).await?;
            for event in [Event::Deleted(deleted), Event::Replaced(replaced)] {
                if !event.is_empty() {
                    self.apply(related, child.table, event, &assigned, &mut left, context).await?;
                }
            }
        }
        Ok(())
    }

    /// Does `event` to the table called `id`; what follows from it is put behind what is left to be done.
    async fn apply<'a, D: Database>(
        &mut self,
        related: &'a Related,
        id: u32,
        event: Event,
        assigned: &[usize],
        left: &mut VecDeque<Consequence<'a>>,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        let Some(known) = related.tables.get(&id) else { return Ok(()) };
        match &event {
            Event::Deleted(rows) => {
                for (at, (key, row)) in rows.iter().enumerate() {
                    context.breathe(at).await?;
                    remove_row(&known.table, key, row, context.transaction, &context.env).await?;
                    self.fired.note(related, id, Fires::Delete, (row, &Row::new()), &[], context)?;
                }
            }
            Event::Replaced(rows) => {
                replace_rows(&known.table, rows, context.transaction, &context.env).await?;
                for row in rows {
                    self.want(related, id, &row.new, context)?;
                    self.fired.note(related, id, Fires::Update, (&row.old, &row.new), assigned, context)?;
                }
            }
        }
        for (at, child) in known.children.iter().enumerate() {
            let changes = event.changes(&child.foreign_key.referenced);
            let key = &child.foreign_key;
            let is_update = matches!(event, Event::Replaced(_));
            let action = if is_update { key.on_update } else { key.on_delete };
            for (old, new) in &changes {
                context.budget.charge(row_len(old) + new.as_ref().map_or(0, row_len) + 32)?;
            }
            match action {
                ReferentialAction::NoAction => {
                    self.gone.extend(changes.into_iter().map(|(old, _)| (id, at, old)));
                }
                ReferentialAction::Restrict => {
                    // Before anything follows by which the rows that refer to it would go, too.
                    for (old, _) in &changes {
                        if !collect(&child.rows, &mut context.within(old)).await?.is_empty()
                            && let Some(referring) = related.tables.get(&child.table)
                        {
                            return Err(still_referenced(known, child, &referring.table.descriptor, old));
                        }
                    }
                }
                _ if changes.is_empty() => {}
                _ => left.push_back(Consequence { child, action, changes }),
            }
        }
        Ok(())
    }

    /// Keeps what rows refer to by the key at `at` alone.
    pub(crate) fn keep_only(&mut self, at: usize) {
        self.wanted.retain(|(_, key, _)| *key == at);
    }

    /// Whether all is there that rows refer to, and nothing refers to what is gone; if it `may_wait`, that is noted of
    /// constraints that wait.
    pub(crate) async fn check<D: Database>(
        self,
        may_wait: bool,
        related: &Related,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        for (index, (id, at, values)) in self.wanted.iter().enumerate() {
            context.breathe(index).await?;
            let Some(known) = related.tables.get(id) else { continue };
            let (Some(parent), Some(key)) =
                (known.parents.get(*at), known.table.descriptor.foreign_keys.get(*at))
            else {
                continue;
            };
            let name = name_of(&known.table.descriptor);
            let mut deferred = context.env.session.deferred.lock();
            if may_wait && deferred.waits(key.deferral, &name.0, &key.name) {
                deferred.note_wanted(name, &key.name, values)?;
                continue;
            }
            drop(deferred);
            if collect(parent, &mut context.within(values)).await?.is_empty()
                && is_referred_to(related, *id, key, values, context).await?
            {
                return Err(not_present(&known.table.descriptor, key, values));
            }
        }
        for (index, (id, at, values)) in self.gone.iter().enumerate() {
            context.breathe(index).await?;
            let Some(known) = related.tables.get(id) else { continue };
            let Some(child) = known.children.get(*at) else { continue };
            if let Some(referring) = related.tables.get(&child.table) {
                let name = name_of(&referring.table.descriptor);
                let key = &child.foreign_key;
                let mut deferred = context.env.session.deferred.lock();
                if may_wait && deferred.waits(key.deferral, &name.0, &key.name) {
                    deferred.note_gone(name_of(&known.table.descriptor), name, &key.name, values)?;
                    continue;
                }
            }
            if collect(&child.rows, &mut context.within(values)).await?.is_empty() {
                continue;
            }
            // Another row may have taken the place of the one that is gone.
            let Some(referring) = related.tables.get(&child.table) else { continue };
            let same = |key: &ForeignKey| *key == child.foreign_key;
            let keys = &referring.table.descriptor.foreign_keys;
            let parent = keys.iter().position(same).and_then(|at| referring.parents.get(at));
            let is_there = match parent {
                Some(parent) => !collect(parent, &mut context.within(values)).await?.is_empty(),
                None => false,
            };
            if !is_there {
                return Err(still_referenced(known, child, &referring.table.descriptor, values));
            }
        }
        Ok(())
    }
}

/// Calls what is to be called before rows that refer to others share their lot: they cannot be left alone.
async fn before_rows<D: Database>(
    related: &Related,
    table: u32,
    deleted: &[(Arc<[u8]>, Row)],
    replaced: &mut [Replaced],
    assigned: &[usize],
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let Some(triggers) = related.triggers.get(&table) else { return Ok(()) };
    let left_alone = || {
        let name = &triggers.table.descriptor.name;
        let message =
            format!("a trigger of \"{name}\" keeps a row as it is that refers to one which is changed");
        SqlError::new(SqlState("27000"), message)
    };
    for (_, row) in deleted {
        let kept = before_row(related, table, Fires::Delete, (row, Row::new()), &[], context).await?;
        kept.ok_or_else(left_alone)?;
    }
    for row in replaced.iter_mut() {
        let new = core::mem::take(&mut row.new);
        let new = before_row(related, table, Fires::Update, (&row.old, new), assigned, context).await?;
        row.new = new.ok_or_else(left_alone)?;
        check_row(&triggers.table, &mut row.new, &context.env)?;
    }
    for (key, row) in deleted {
        check_unchanged(&triggers.table, key, row, context).await?;
    }
    for Replaced { key, old, .. } in replaced {
        check_unchanged(&triggers.table, key, old, context).await?;
    }
    Ok(())
}

/// Whether rows of the table called `id` still refer to `values`, as far as that can be told: what was stored may have been
/// changed since by what follows from the statement.
async fn is_referred_to<D: Database>(
    related: &Related,
    id: u32,
    key: &ForeignKey,
    values: &Row,
    context: &mut Context<'_, D>,
) -> SqlResult<bool> {
    let mut children = related.tables.values().flat_map(|known| &known.children);
    match children.find(|child| child.table == id && child.foreign_key == *key) {
        Some(child) => Ok(!collect(&child.rows, &mut context.within(values)).await?.is_empty()),
        None => Ok(true),
    }
}

fn name_of(table: &TableDescriptor) -> (String, String) {
    (table.schema.clone(), table.name.clone())
}

fn values_of(row: &[Datum], columns: &[u16]) -> Row {
    let value = |column: &u16| row.get(usize::from(*column)).cloned().unwrap_or(Datum::Null);
    columns.iter().map(value).collect()
}

fn keyed(table: &RelatedTable, rows: Vec<Row>) -> Vec<(Arc<[u8]>, Row)> {
    let width = table.table.types.len();
    let keyed = |mut row: Row| match row.get(width) {
        Some(Datum::Bytea(key)) => {
            let key = key.clone();
            row.truncate(width);
            Some((key, row))
        }
        _ => None,
    };
    rows.into_iter().filter_map(keyed).collect()
}

/// Rows that refer to what has changed, as they are to be.
async fn referring_elsewhere<D: Database>(
    table: &RelatedTable,
    key: &ForeignKey,
    action: ReferentialAction,
    rows: Vec<(Arc<[u8]>, Row)>,
    new: Option<Row>,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Replaced>> {
    let mut replaced = Vec::with_capacity(rows.len());
    for (row_key, old) in rows {
        let mut row = old.clone();
        for (at, column) in key.columns.iter().map(|column| usize::from(*column)).enumerate() {
            let value = match (action, &new) {
                (ReferentialAction::Cascade, Some(new)) => new.get(at).cloned(),
                (ReferentialAction::SetDefault, _) => match table.table.bound.defaults.get(column) {
                    Some(default) => Some(context.eval(default, &[]).await?),
                    None => None,
                },
                _ => None,
            };
            if let Some(slot) = row.get_mut(column) {
                *slot = value.unwrap_or(Datum::Null);
            }
        }
        check_row(&table.table, &mut row, &context.env)?;
        context.budget.charge_row(&row)?;
        replaced.push(Replaced { key: row_key, old, new: row });
    }
    Ok(replaced)
}

fn named(table: &TableDescriptor, columns: &[u16]) -> String {
    let name = |column: &u16| table.columns.get(usize::from(*column)).map(|column| column.name.clone());
    columns.iter().filter_map(name).collect::<Vec<String>>().join(", ")
}

fn listed(values: &[Datum]) -> String {
    values.iter().map(printed).collect::<Vec<String>>().join(", ")
}

/// 23503
pub(super) fn not_present(table: &TableDescriptor, key: &ForeignKey, values: &[Datum]) -> SqlError {
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        table.name, key.name
    );
    SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message).detail(format!(
        "Key ({})=({}) is not present in table \"{}\".",
        named(table, &key.columns),
        listed(values),
        key.table.1
    ))
}

/// 23503
pub(super) fn still_referenced(
    known: &RelatedTable,
    child: &Child,
    referring: &TableDescriptor,
    values: &[Datum],
) -> SqlError {
    let table = &known.table.descriptor;
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        table.name, child.foreign_key.name, referring.name
    );
    SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message).detail(format!(
        "Key ({})=({}) is still referenced from table \"{}\".",
        named(table, &child.foreign_key.referenced),
        listed(values),
        referring.name
    ))
}
