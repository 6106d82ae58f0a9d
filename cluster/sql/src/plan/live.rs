//! Changes of live tables, where these stand for something else.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use super::from::{join, plan_from};
use super::optimize::optimize;
use super::rel::{JoinType, Rel};
use super::{Planner, Relation};
use crate::ast::{
    Alias, BinaryOperator, Body, Delete, Expr as AstExpr, From, Query, Select, SelectItem, TableName, Update,
};
use crate::bind::Binder;
use crate::catalog::SYS;
use crate::database::LiveTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::sessions;

/// `DELETE FROM sys.sessions`: the process ids of the sessions that are to end; none if it is of another table.
pub(super) fn plan_end(delete: &Delete, planner: &mut Planner) -> SqlResult<Option<Rel>> {
    let relation = planner.relations.find(&delete.table)?;
    let table = match relation {
        Relation::Live(table) if table.name == sessions::TABLE.name => table,
        _ => return Ok(None),
    };
    if !delete.returning.is_empty() {
        let message = format!("DELETE FROM {SYS}.{} cannot return rows", table.name);
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint(
            "SELECT pg_terminate_backend(pid), ... FROM sys.sessions does the same, and returns some.",
        ));
    }
    let mut scope = relation.scope(delete.alias.as_ref().unwrap_or(&delete.table.name).clone());
    let mut rel = Rel::Live(table);
    if !delete.using.is_empty() {
        let (others, other_scope) = plan_from(&delete.using, planner)?;
        rel = join(JoinType::Inner, rel, others, None);
        scope.append(other_scope)?;
    }
    let mut binder = Binder::new(&scope, planner, "WHERE");
    let filter = delete.filter.as_ref().map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    let pids = rel.filter(filter).project([Expr::Column(sessions::PID)].into());
    optimize(pids, planner).map(Some)
}

/// `UPDATE` of what is configuration in a live table: of the stored table that has it; none if it is no such update.
pub(super) fn of_configuration(update: &Update, planner: &Planner) -> SqlResult<Option<Update>> {
    let table = match planner.relations.find(&update.table)? {
        Relation::Live(table) => table,
        _ => return Ok(None),
    };
    let Some(configured) = table.configured else { return Ok(None) };
    let is_fixed = |(name, _): &&(String, _)| !configured.columns.contains(&name.as_str());
    if let Some((name, _)) = update.assignments.iter().find(is_fixed) {
        return Err(fixed(table, name));
    }
    if !update.from.is_empty() || !update.returning.is_empty() {
        return Err(SqlError::not_supported("FROM or RETURNING in an UPDATE of a live table"));
    }
    let called = update.alias.as_ref().unwrap_or(&update.table.name).clone();
    let (own_key, key) = configured.key;
    let alias = Some(Alias { name: called.clone(), columns: [].into() });
    let from = From::Table { name: update.table.clone(), alias };
    let item = SelectItem::Expr { expr: column(&called, own_key), alias: None };
    let chosen = Select { filter: update.filter.clone(), ..Select::of([item].into(), from) };
    let chosen = Query::of(Body::Select(Box::new(chosen)));
    let is_chosen =
        AstExpr::QuantifiedQuery(BinaryOperator::Eq, Box::new(column(&called, key)), Box::new(chosen), false);
    Ok(Some(Update {
        table: TableName { schema: Some(SYS.into()), name: configured.table.into(), position: None },
        alias: Some(called),
        assignments: update.assignments.clone(),
        from: [].into(),
        filter: Some(is_chosen),
        returning: [].into(),
    }))
}

fn column(table: &str, name: &str) -> AstExpr {
    AstExpr::Column { table: Some(table.into()), name: name.into(), position: None }
}

/// 42809, or 42703 if there is no such column.
fn fixed(table: &LiveTable, name: &str) -> SqlError {
    let table_name = table.name;
    if !table.columns.iter().any(|(known, _)| *known == name) {
        let message = format!("column \"{name}\" of relation \"{table_name}\" does not exist");
        return SqlError::new(SqlState::UNDEFINED_COLUMN, message);
    }
    let message = format!("column \"{name}\" of live table \"{table_name}\" cannot be changed");
    let columns = table.configured.map_or(&[][..], |configured| configured.columns).join(", ");
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint(format!("Those that can: {columns}."))
}
