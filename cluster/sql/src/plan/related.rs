//! The tables that have to do with those a statement writes, by foreign keys.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::add_related;
use super::from::scan;
use super::optimize::optimize;
use super::planner::{Planner, Relations};
use super::rel::Rel;
use crate::ast::BinaryOperator;
use crate::catalog::{ForeignKey, StoredTable};
use crate::database::Database;
use crate::error::{SqlError, SqlResult};
use crate::exec::Context;
use crate::expr::Expr;

/// The tables that have to do with those a statement writes, by id; empty if there are none.
#[derive(Debug, Default)]
pub(crate) struct Related {
    pub(crate) tables: BTreeMap<u32, RelatedTable>,
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
        related.tables.insert(id, RelatedTable { table, parents, children });
    }
    Ok(Arc::new(related))
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
