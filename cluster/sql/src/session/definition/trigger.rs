//! `CREATE TRIGGER` and `DROP TRIGGER`: a table's triggers are part of its descriptor.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::drop::depended_on;
use super::{put_table, skipping, table_called};
use crate::ast::{CreateTrigger, DropTrigger, TableName};
use crate::catalog::{self, Returns, Stored, StoredTable, TableDescriptor, Trigger, routine_name};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, check_trigger};
use crate::plan::bind_trigger;
use crate::session::Notice;

pub(super) async fn create<D: Database>(
    create: &CreateTrigger,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let table = table_called(&create.table, context).await?;
    let mut trigger = create.trigger.clone();
    trigger.routine = routine_called(&trigger.routine, context).await?;
    let mut descriptor = table.descriptor.clone();
    match descriptor.triggers.iter().position(|known| known.name == trigger.name) {
        Some(at) if create.or_replace => _ = descriptor.triggers.remove(at),
        Some(_) => {
            let (name, table) = (&trigger.name, &descriptor.name);
            let message = format!("trigger \"{name}\" for relation \"{table}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        None => {}
    }
    let at = descriptor.triggers.partition_point(|known| known.name < trigger.name);
    descriptor.triggers.insert(at, trigger.clone());
    let (schema, name) = (descriptor.schema.clone(), descriptor.name.clone());
    put_table(descriptor, context).await?;
    if let Some(table) = catalog::find_table(context.transaction, &schema, &name).await? {
        check(&table, &trigger, context).await?;
    }
    Ok(Vec::new())
}

/// A trigger's function and its condition must mean something with the rows of its table.
async fn check<D: Database>(
    table: &Arc<StoredTable>,
    trigger: &Trigger,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    if trigger.condition.is_some() && !trigger.for_each_row {
        let message = "statement trigger's WHEN condition cannot reference column values";
        return Err(SqlError::new(SqlState::INVALID_OBJECT, message));
    }
    check_trigger(table, trigger, context).await
}

/// A column of `table` is no more: triggers that say something of it go with it, if they may.
pub(super) async fn forget_column<D: Database>(
    table: &mut TableDescriptor,
    column: u16,
    cascade: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<()> {
    let mut without = table.clone();
    let Some(dropped) = without.columns.get_mut(usize::from(column)) else { return Ok(()) };
    dropped.dropped = true;
    let mut kept = Vec::with_capacity(table.triggers.len());
    for trigger in &table.triggers {
        let (schema, name) = &trigger.routine;
        let routine = catalog::find(context.transaction, schema, &routine_name(name)).await?;
        let Some(Stored::Routine(routine)) = routine else { continue };
        match bind_trigger(&without, trigger, routine) {
            Ok(_) => kept.push(trigger.clone()),
            Err(_) if cascade => {}
            Err(_) => {
                let name = table.columns.get(usize::from(column)).map_or("", |column| column.name.as_str());
                return Err(depended_on(&format!("column {name} of table"), &table.name));
            }
        }
    }
    table.triggers = kept;
    Ok(())
}

/// The schema and the name of a function that triggers can call.
async fn routine_called<D: Database>(
    (schema, name): &(String, String),
    context: &mut Context<'_, D>,
) -> SqlResult<(String, String)> {
    let schema = (!schema.is_empty()).then(|| schema.clone());
    let path = context.env.session.path.clone();
    for schema in path.candidates(&schema) {
        if let Some(Stored::Routine(routine)) =
            catalog::find(context.transaction, schema, &routine_name(name)).await?
        {
            if routine.descriptor.returns != Returns::Trigger {
                let message = format!("function {name} must return type trigger");
                return Err(SqlError::new(SqlState::INVALID_OBJECT, message));
            }
            return Ok((schema.clone(), name.clone()));
        }
    }
    Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}() does not exist")))
}

pub(super) async fn drop<D: Database>(
    drop: &DropTrigger,
    context: &mut Context<'_, D>,
) -> SqlResult<Vec<Notice>> {
    let TableName { name: table, .. } = &drop.table;
    let missing = match table_called(&drop.table, context).await {
        Ok(found) => {
            let mut descriptor = found.descriptor.clone();
            if let Some(at) = descriptor.triggers.iter().position(|known| known.name == drop.name) {
                descriptor.triggers.remove(at);
                put_table(descriptor, context).await?;
                return Ok(Vec::new());
            }
            format!("trigger \"{}\" for table \"{table}\" does not exist", drop.name)
        }
        Err(error) if drop.if_exists && error.state == SqlState::UNDEFINED_TABLE => error.message,
        Err(error) => return Err(error),
    };
    if drop.if_exists {
        return Ok([skipping(SqlState("00000"), format!("{missing}, skipping"))].into());
    }
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, missing))
}
