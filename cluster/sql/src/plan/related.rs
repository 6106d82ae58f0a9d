//! What has to do with the tables that a statement writes: others, by foreign keys, and triggers.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::add_related;
use super::from::scan;
use super::optimize::optimize;
use super::planner::{Planner, Relations};
use super::rel::Rel;
use crate::ast::BinaryOperator;
use crate::bind::{Binder, scope_of};
use crate::catalog::{BodyStatement, ForeignKey, StoredRoutine, StoredTable, TableDescriptor, Trigger};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::{Context, NEW, OLD};
use crate::expr::Expr;
use crate::parse;

/// What has to do with the tables that a statement writes.
#[derive(Debug, Default)]
pub(crate) struct Related {
    /// The tables, by id; empty if neither refers to others or others to them.
    pub(crate) tables: BTreeMap<u32, RelatedTable>,
    /// The triggers of those that may change, by id; those that have none are not there.
    pub(crate) triggers: BTreeMap<u32, Triggers>,
}

/// The triggers of a table.
#[derive(Debug)]
pub(crate) struct Triggers {
    pub(crate) table: Arc<StoredTable>,
    /// In the order of their names.
    pub(crate) all: Vec<BoundTrigger>,
}

/// A trigger with what it calls.
#[derive(Debug)]
pub(crate) struct BoundTrigger {
    pub(crate) trigger: Trigger,
    pub(crate) routine: Arc<StoredRoutine>,
    /// The routine's statements, for rows of this table.
    pub(crate) body: Vec<BodyStatement>,
    /// `WHEN`: of the row as it was, and behind its columns as it becomes.
    pub(crate) condition: Option<Expr>,
    /// The columns that an `UPDATE` must name; any if none.
    pub(crate) columns: Vec<usize>,
}

/// A table, with what its rows refer to and what refers to them.
#[derive(Debug)]
pub(crate) struct RelatedTable {
    pub(crate) table: Arc<StoredTable>,
    /// For each of its foreign keys, the rows that have given values in the columns that are referred to.
    pub(crate) parents: Vec<Rel>,
    pub(crate) children: Vec<Child>,
}

/// A table whose rows refer to those of another.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its id.
    pub(crate) table: u32,
    /// By which of its foreign keys.
    pub(crate) foreign_key: ForeignKey,
    /// The rows that refer to given values, with their keys.
    pub(crate) rows: Rel,
}

/// What has to do with `table`, if its rows refer to others or others to them.
pub(crate) fn related(table: &Arc<StoredTable>, planner: &Planner) -> SqlResult<Arc<Related>> {
    let mut related = Related::default();
    add_triggers(table, &mut related, planner)?;
    let descriptor = &table.descriptor;
    if descriptor.foreign_keys.is_empty() && descriptor.referenced_by.is_empty() {
        return Ok(Arc::new(related));
    }
    let mut waiting = Vec::from([table.clone()]);
    while let Some(table) = waiting.pop() {
        let id = table.descriptor.id;
        if related.tables.contains_key(&id) {
            continue;
        }
        let (mut parents, mut children) = (Vec::new(), Vec::new());
        for key in &table.descriptor.foreign_keys {
            let parent = find(&key.table, planner)?;
            parents.push(rows_with(&parent, &key.referenced, false, planner)?);
        }
        for name in &table.descriptor.referenced_by {
            let child = find(name, planner)?;
            for key in &child.descriptor.foreign_keys {
                if key.table == (table.descriptor.schema.clone(), table.descriptor.name.clone()) {
                    let rows = rows_with(&child, &key.columns, true, planner)?;
                    children.push(Child { table: child.descriptor.id, foreign_key: key.clone(), rows });
                }
            }
            waiting.push(child);
        }
        add_triggers(&table, &mut related, planner)?;
        related.tables.insert(id, RelatedTable { table, parents, children });
    }
    Ok(Arc::new(related))
}

fn add_triggers(table: &Arc<StoredTable>, related: &mut Related, planner: &Planner) -> SqlResult<()> {
    let descriptor = &table.descriptor;
    if descriptor.triggers.is_empty() || related.triggers.contains_key(&descriptor.id) {
        return Ok(());
    }
    let mut all = Vec::with_capacity(descriptor.triggers.len());
    for trigger in &descriptor.triggers {
        let (schema, name) = &trigger.routine;
        let routine = planner.relations.routine(Some(schema), name);
        let routine = routine.ok_or_else(|| SqlError::corrupted("trigger"))?;
        all.push(bind_trigger(descriptor, trigger, routine)?);
    }
    related.triggers.insert(descriptor.id, Triggers { table: table.clone(), all });
    Ok(())
}

/// A trigger of `table` with the routine that it calls.
pub(crate) fn bind_trigger(
    table: &TableDescriptor,
    trigger: &Trigger,
    routine: Arc<StoredRoutine>,
) -> SqlResult<BoundTrigger> {
    let condition = match &trigger.condition {
        None => None,
        Some(text) => {
            let mut scope = scope_of(table, OLD.into());
            scope.append(scope_of(table, NEW.into()))?;
            let mut planner = Planner::new(Relations::default(), &[]);
            let mut binder = Binder::new(&scope, &mut planner, "trigger WHEN conditions");
            Some(binder.condition(&parse::expression(text)?, "WHEN")?)
        }
    };
    let column = |name: &String| match table.column(name) {
        Some((at, _)) => Ok(at),
        None => {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
    };
    let columns = trigger.columns.iter().map(column).collect::<SqlResult<_>>()?;
    let body = routine.body.iter().map(|statement| BodyStatement::new(statement.statement.clone()));
    Ok(BoundTrigger { trigger: trigger.clone(), body: body.collect(), routine, condition, columns })
}

/// As [`related`], for a table whose definition changes.
pub(crate) async fn related_to<D: Database>(
    table: &Arc<StoredTable>,
    context: &mut Context<'_, D>,
) -> SqlResult<Arc<Related>> {
    let name = (table.descriptor.schema.clone(), table.descriptor.name.clone());
    let mut relations = Relations::default();
    add_related(name, &mut relations, context.transaction, context.database).await?;
    related(table, &Planner::new(relations, &[]))
}

fn find(name: &(String, String), planner: &Planner) -> SqlResult<Arc<StoredTable>> {
    planner.relations.stored(name).ok_or_else(|| SqlError::corrupted("foreign key"))
}

/// The rows of `table` whose `columns` are equal to the outer values.
fn rows_with(table: &Arc<StoredTable>, columns: &[u16], with_key: bool, planner: &Planner) -> SqlResult<Rel> {
    let equal = |(at, column): (usize, &u16)| {
        let column = Expr::Column(usize::from(*column));
        Expr::Compare(BinaryOperator::Eq, Box::new(column), Box::new(Expr::Outer(at)))
    };
    let filter = Expr::all_of(columns.iter().enumerate().map(equal).collect());
    optimize(scan(table.clone(), with_key).filter(filter), planner)
}
