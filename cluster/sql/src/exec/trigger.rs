//! Calling triggers.
//!
//! ```text
//! before the statement ─► for each row: before it is changed ─► changed ─► all are changed, keys are checked
//!                                                                               │
//!                              after the statement ◄─ for each row: after it ◄──┘
//! ```
//! A trigger's function sees the row as it was as `old.column`, and as it becomes as `new.column`. Where it is called before a
//! row is changed, its last statement says what is to become of it, if that is a query: its columns take the places of the
//! row's of the same names, and if it gives no row, the row is left alone. The result of a program does the same: see
//! [`super::program`].

use alloc::format;
use alloc::vec::Vec;

use super::program::check_program;
use super::routine::{Body, Given, become_type, plan_body};
use super::{Context, Row, row_len};
use crate::catalog::{Event, Language, Returns, Stored, StoredTable, Timing, Trigger, find, routine_name};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::plan::{BoundTrigger, Related, bind_trigger};
use crate::types::Datum;

/// What triggers are still to be called for, when a statement has changed its rows.
#[derive(Default)]
pub(crate) struct Fired {
    rows: Vec<RowChange>,
    /// Tables, what happens to them, and the columns that are assigned.
    statements: Vec<(u32, Event, Vec<usize>)>,
}

/// What has become of a row.
struct RowChange {
    table: u32,
    event: Event,
    old: Row,
    new: Row,
    assigned: Vec<usize>,
}

impl BoundTrigger {
    /// Whether it is called for this; `assigned` are the columns that an update names.
    fn is_for(&self, timing: Timing, for_each_row: bool, event: Event, assigned: &[usize]) -> bool {
        let Trigger { timing: own, events, for_each_row: rows, .. } = &self.trigger;
        let is_named = event != Event::Update
            || self.columns.is_empty()
            || self.columns.iter().any(|column| assigned.contains(column));
        *own == timing && *rows == for_each_row && events.has(event) && is_named
    }
}

fn any(
    related: &Related,
    table: u32,
    (timing, for_each_row): (Timing, bool),
    event: Event,
    assigned: &[usize],
) -> bool {
    let triggers = related.triggers.get(&table);
    triggers.is_some_and(|triggers| {
        triggers.all.iter().any(|trigger| trigger.is_for(timing, for_each_row, event, assigned))
    })
}

/// Whether rows of `table` may become others before they are inserted, or not be at all.
pub(super) fn changes_inserted(related: &Related, table: u32) -> bool {
    any(related, table, (Timing::Before, true), Event::Insert, &[])
}

impl Fired {
    /// A row of `table` has been changed; where it was not or is no more, it is empty.
    pub(crate) fn note<D>(
        &mut self,
        related: &Related,
        table: u32,
        event: Event,
        (old, new): (&Row, &Row),
        assigned: &[usize],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        if !any(related, table, (Timing::After, true), event, assigned) {
            return Ok(());
        }
        context.budget.charge(row_len(old) + row_len(new) + size_of::<RowChange>())?;
        let (old, new, assigned) = (old.clone(), new.clone(), assigned.into());
        self.rows.push(RowChange { table, event, old, new, assigned });
        Ok(())
    }

    /// A statement begins to change `table`: what is called before that is called.
    pub(crate) async fn begin<D: Database>(
        &mut self,
        related: &Related,
        table: u32,
        event: Event,
        assigned: &[usize],
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        if any(related, table, (Timing::After, false), event, assigned) {
            self.statements.push((table, event, assigned.into()));
        }
        let Some(triggers) = related.triggers.get(&table) else { return Ok(()) };
        for trigger in &triggers.all {
            if trigger.is_for(Timing::Before, false, event, assigned) {
                call(trigger, &triggers.table, event, None, context).await?;
            }
        }
        Ok(())
    }

    /// The statement has changed its rows: what is called after that is called.
    pub(crate) async fn end<D: Database>(
        self,
        related: &Related,
        context: &mut Context<'_, D>,
    ) -> SqlResult<()> {
        for RowChange { table, event, old, new, assigned } in self.rows {
            let Some(triggers) = related.triggers.get(&table) else { continue };
            for trigger in &triggers.all {
                if trigger.is_for(Timing::After, true, event, &assigned) {
                    call(trigger, &triggers.table, event, Some((&old, &new)), context).await?;
                }
            }
        }
        for (table, event, assigned) in self.statements {
            let Some(triggers) = related.triggers.get(&table) else { continue };
            for trigger in &triggers.all {
                if trigger.is_for(Timing::After, false, event, &assigned) {
                    call(trigger, &triggers.table, event, None, context).await?;
                }
            }
        }
        Ok(())
    }
}

/// A row of `table` is to be changed: what it is to become, or none if it is to be left alone. Of one that is deleted, it does
/// not matter what that is.
pub(crate) async fn before_row<D: Database>(
    related: &Related,
    table: u32,
    event: Event,
    (old, mut new): (&Row, Row),
    assigned: &[usize],
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Row>> {
    let Some(triggers) = related.triggers.get(&table) else { return Ok(Some(new)) };
    for trigger in &triggers.all {
        if !trigger.is_for(Timing::Before, true, event, assigned) {
            continue;
        }
        let called = call(trigger, &triggers.table, event, Some((old, &new)), context).await?;
        let Some(Given { rows, columns }) = called else { continue };
        let Some(names) = columns.names() else { continue };
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        if event != Event::Delete {
            take_over(&triggers.table, &names, row, &mut new, context)?;
        }
    }
    Ok(Some(new))
}

/// Puts the values of `row` in the places of those in `new` whose columns have their names.
fn take_over<D>(
    table: &StoredTable,
    names: &[&str],
    row: Row,
    new: &mut Row,
    context: &Context<'_, D>,
) -> SqlResult<()> {
    for (mut value, name) in row.into_iter().zip(names) {
        let Some((at, column)) = table.descriptor.column(name) else { continue };
        become_type(&mut value, column.data_type, context)?;
        if let Some(slot) = new.get_mut(at) {
            *slot = value;
        }
    }
    Ok(())
}

/// Calls a trigger; none if its condition does not hold.
async fn call<D: Database>(
    trigger: &BoundTrigger,
    table: &StoredTable,
    event: Event,
    rows: Option<(&Row, &Row)>,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Given>> {
    let descriptor = &table.descriptor;
    let width = descriptor.columns.len();
    let mut arguments = Vec::new();
    if let Some((old, new)) = rows {
        arguments.reserve(2 * width + 3);
        for row in [old, new] {
            arguments.extend(row.iter().take(width).cloned());
            let missing = width.saturating_sub(row.len());
            arguments.extend(core::iter::repeat_n(Datum::Null, missing));
        }
        if !context.passes(trigger.condition.as_ref(), &arguments).await? {
            return Ok(None);
        }
    }
    let facts = [event.name(), &trigger.trigger.name, &descriptor.name];
    arguments.extend(facts.map(|fact| Datum::Text(fact.into())));
    let body = Body {
        routine: &trigger.routine,
        statements: &trigger.body,
        row_of: trigger.trigger.for_each_row.then_some(descriptor),
    };
    context.run_body(&body, &arguments).await.map(Some)
}

/// Whether the function of a new trigger means something with the rows of its table, and gives columns that there are.
pub(crate) async fn check_trigger<D: Database>(
    table: &StoredTable,
    trigger: &Trigger,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let (schema, name) = &trigger.routine;
    let Some(Stored::Routine(routine)) = find(context.transaction, schema, &routine_name(name)).await? else {
        return Err(SqlError::corrupted("trigger"));
    };
    if routine.descriptor.returns != Returns::Trigger {
        let message = format!("function {name} must return type trigger");
        return Err(SqlError::new(SqlState::INVALID_OBJECT, message));
    }
    if let Language::Wasm { entry } = &routine.descriptor.language {
        bind_trigger(&table.descriptor, trigger, routine.clone())?;
        return check_program(&routine, entry, context).await;
    }
    let bound = bind_trigger(&table.descriptor, trigger, routine)?;
    let body = Body {
        routine: &bound.routine,
        statements: &bound.body,
        row_of: trigger.for_each_row.then_some(&table.descriptor),
    };
    let last = plan_body(&body, context).await?.pop();
    if trigger.timing == Timing::Before
        && trigger.for_each_row
        && let Some(columns) = last.and_then(|planned| planned.columns)
        && let Some(column) = columns.iter().find(|column| table.descriptor.column(&column.name).is_none())
    {
        let (column, table) = (&column.name, &table.descriptor.name);
        let message = format!("function {name} gives a column \"{column}\", and \"{table}\" has none");
        return Err(SqlError::new(SqlState::INVALID_OBJECT, message)
            .hint("What its last statement gives takes the places of the row's columns of the same names."));
    }
    Ok(())
}
