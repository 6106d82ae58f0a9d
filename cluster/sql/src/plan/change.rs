//! Statements that change a table.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::from::{join, plan_from, scan};
use super::optimize::{optimize, optimize_exprs};
use super::rel::{JoinType, Rel};
use super::related::{Related, related};
use super::select::expand;
use super::{OutputColumn, Planner, Relation, plan_query};
use crate::ast::{
    ConflictTarget, ConflictUpdate, Delete, Expr as AstExpr, From, Insert, InsertSource, OnConflict,
    SelectItem, TableName, Update,
};
use crate::bind::{Binder, Scope, Typed, scope_of};
use crate::catalog::{Column, Deferral, Identity, Index, IndexConstraint, StoredTable};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::UniqueKey;
use crate::expr::Expr;
use crate::settings;
use crate::types::{DataType, Datum};

/// `INSERT`
#[derive(Debug)]
pub(crate) struct InsertPlan {
    pub(crate) table: Arc<StoredTable>,
    pub(crate) rows: InsertRows,
    pub(crate) on_conflict: Conflict,
    pub(crate) returning: Option<Returning>,
    pub(crate) related: Arc<Related>,
}

/// What is to be done with a row whose key is taken.
#[derive(Debug)]
pub(crate) enum Conflict {
    /// It is an error.
    Fails,
    /// If it has one of these in common with another.
    Ignored(Vec<UniqueKey>),
    /// Columns of the row that is there, and their new values, if it passes the filter. Both see the row that is there, and
    /// behind it the one that was to be inserted.
    Updates { key: UniqueKey, assignments: Vec<(usize, Expr)>, filter: Option<Expr> },
}

/// The rows of an `INSERT`.
#[derive(Debug)]
pub(crate) enum InsertRows {
    /// Whole rows of the table.
    Values(Vec<Vec<Expr>>),
    /// A query, and what becomes of its rows: whole rows of the table.
    Query(Rel, Vec<Expr>),
}

/// `UPDATE`
#[derive(Debug)]
pub(crate) struct UpdatePlan {
    /// None if it is `sys.settings`.
    pub(crate) table: Option<Arc<StoredTable>>,
    pub(crate) rows: TargetRows,
    /// Columns and their new values.
    pub(crate) assignments: Vec<(usize, Expr)>,
    pub(crate) returning: Option<Returning>,
    pub(crate) related: Arc<Related>,
}

/// `DELETE`
#[derive(Debug)]
pub(crate) struct DeletePlan {
    pub(crate) table: Arc<StoredTable>,
    pub(crate) rows: TargetRows,
    pub(crate) returning: Option<Returning>,
    pub(crate) related: Arc<Related>,
}

/// The rows of a table that are to be changed.
#[derive(Debug)]
pub(crate) struct TargetRows {
    /// The table's columns, the row's key, and the columns of what it is joined with.
    pub(crate) rel: Rel,
    /// How many columns the table has: where the key is.
    pub(crate) width: usize,
    /// Whether a row may come more than once.
    pub(crate) is_joined: bool,
}

/// `RETURNING`
#[derive(Debug)]
pub(crate) struct Returning {
    pub(crate) outputs: Vec<Expr>,
    pub(crate) columns: Vec<OutputColumn>,
}

/// The indexes of the columns called `names`; all if there are none.
pub(super) fn columns_named(table: &StoredTable, names: &[String]) -> SqlResult<Vec<usize>> {
    if names.is_empty() {
        return Ok(table.descriptor.live_columns().map(|(at, _)| at).collect());
    }
    let mut indexes = Vec::with_capacity(names.len());
    for name in names {
        let (index, _) = column_named(table, name)?;
        if indexes.contains(&index) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        indexes.push(index);
    }
    Ok(indexes)
}

/// The column called `name`, and its index.
fn column_named(table: &StoredTable, name: &str) -> SqlResult<(usize, Column)> {
    let found = table.descriptor.column(name);
    found.map(|(index, column)| (index, column.clone())).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.descriptor.name);
        SqlError::new(SqlState::UNDEFINED_COLUMN, message)
    })
}

pub(super) fn plan_insert(insert: &Insert, planner: &mut Planner) -> SqlResult<InsertPlan> {
    let relation = planner.relations.find(&insert.table)?;
    let scope = relation.scope(insert.alias.as_ref().unwrap_or(&insert.table.name).clone());
    let table = relation.writable(&insert.table)?;
    let columns = columns_named(&table, &insert.columns)?;
    let rows = match &insert.source {
        InsertSource::Defaults => InsertRows::Values(vec![table.bound.defaults.clone()]),
        InsertSource::Values(rows) => {
            let scope = Scope::default();
            let mut binder = Binder::new(&scope, planner, "VALUES");
            let width = rows.first().map_or(0, Vec::len);
            if rows.iter().any(|row| row.len() != width) {
                let message = "VALUES lists must all be the same length";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            let mut bound = Vec::with_capacity(rows.len());
            for row in rows {
                check_width(row.len(), &columns, !insert.columns.is_empty())?;
                bound.push(whole_row(&table, &columns, row, &mut binder)?);
            }
            InsertRows::Values(bound)
        }
        InsertSource::Query(query) => {
            let column = |column: &usize| table.descriptor.columns.get(*column);
            let hints: Vec<_> = columns.iter().map(|at| column(at).map(|column| column.data_type)).collect();
            let select = plan_query(query, &hints, planner)?;
            check_width(select.columns.len(), &columns, !insert.columns.is_empty())?;
            let scope = Scope::default();
            let mut binder = Binder::new(&scope, planner, "INSERT");
            let mut row = table.bound.defaults.clone();
            for (index, (output, column)) in select.columns.iter().zip(&columns).enumerate() {
                let typed = Typed { expr: Expr::Column(index), data_type: Some(output.data_type) };
                if let (Some(slot), Some(column)) =
                    (row.get_mut(*column), table.descriptor.columns.get(*column))
                {
                    check_given(column)?;
                    *slot = binder.assign_typed(typed, column)?;
                }
            }
            InsertRows::Query(optimize(select.rel, planner)?, row)
        }
    };
    let on_conflict = match &insert.on_conflict {
        None => Conflict::Fails,
        Some(on_conflict) => plan_conflict(on_conflict, &table, &scope, planner)?,
    };
    let returning = plan_returning(&insert.returning, &scope, planner)?;
    let related = related(&table, planner)?;
    Ok(InsertPlan { table, rows, on_conflict, returning, related })
}

/// `ON CONFLICT`
fn plan_conflict(
    on_conflict: &OnConflict,
    table: &StoredTable,
    scope: &Scope,
    planner: &mut Planner,
) -> SqlResult<Conflict> {
    let keys = conflict_keys(on_conflict, table, scope)?;
    let (Some(ConflictUpdate { assignments, filter }), Some(key)) = (&on_conflict.update, keys.first())
    else {
        return Ok(Conflict::Ignored(keys));
    };
    let mut both = scope.clone();
    both.append(scope_of(&table.descriptor, "excluded".into()))?;
    let mut binder = Binder::new(&both, planner, "ON CONFLICT DO UPDATE");
    let column = |name: &str| assignable(table, name);
    let assignments = plan_assignments(assignments, column, &mut binder)?;
    let filter = filter.as_ref().map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    Ok(Conflict::Updates { key: *key, assignments, filter })
}

/// The keys that `ON CONFLICT` speaks of.
fn conflict_keys(on_conflict: &OnConflict, table: &StoredTable, scope: &Scope) -> SqlResult<Vec<UniqueKey>> {
    let descriptor = &table.descriptor;
    let primary = (!descriptor.primary_key.is_empty()).then_some(UniqueKey::Primary);
    let unique = descriptor.indexes.iter().enumerate().filter(|(_, index)| index.unique && index.is_ready());
    let may_wait = |index: &&Index| index.deferral != Deferral::No;
    match &on_conflict.target {
        None if on_conflict.update.is_some() => {
            let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .hint("For example, ON CONFLICT (column_name)."))
        }
        None if descriptor.indexes.iter().any(|index| may_wait(&index)) => Err(arbiter_waits()),
        None => Ok(primary.into_iter().chain(unique.map(|(at, _)| UniqueKey::Index(at))).collect()),
        Some(ConflictTarget::Columns(names)) => {
            let mut columns: Vec<u16> = Vec::new();
            for name in names {
                columns.push(u16::try_from(scope.column(None, name)?.0).unwrap_or(u16::MAX));
            }
            columns.sort_unstable();
            columns.dedup();
            let is_key = |mut key: Vec<u16>| {
                key.sort_unstable();
                key == columns
            };
            let is_index = |index: &Index| {
                index.predicate.is_none()
                    && index.columns().len() == index.keys.len()
                    && is_key(index.columns())
            };
            if primary.is_some() && is_key(descriptor.primary_key.clone()) {
                return Ok([UniqueKey::Primary].into());
            }
            let mut unique = unique;
            match unique.find(|(_, index)| is_index(index)) {
                Some((at, _)) => Ok([UniqueKey::Index(at)].into()),
                None if descriptor.indexes.iter().filter(may_wait).any(is_index) => Err(arbiter_waits()),
                None => {
                    let message =
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                    Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message))
                }
            }
        }
        Some(ConflictTarget::Constraint(name)) => {
            if primary.is_some() && *name == descriptor.primary_key_name {
                return Ok([UniqueKey::Primary].into());
            }
            let mut unique = unique;
            match unique.find(|(_, index)| index.name == *name && index.constraint != IndexConstraint::None) {
                Some((at, _)) => Ok([UniqueKey::Index(at)].into()),
                None if descriptor.indexes.iter().filter(may_wait).any(|index| index.name == *name) => {
                    Err(arbiter_waits())
                }
                None => {
                    let message =
                        format!("constraint \"{name}\" for table \"{}\" does not exist", descriptor.name);
                    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
                }
            }
        }
    }
}

/// 55000
fn arbiter_waits() -> SqlError {
    let message =
        "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters";
    SqlError::new(SqlState::OBJECT_NOT_IN_STATE, message)
}

/// The column called `name`, its place, and what it holds if nothing is said.
fn assignable(table: &StoredTable, name: &str) -> SqlResult<(usize, Column, Expr)> {
    let (at, column) = column_named(table, name)?;
    let default = table.bound.defaults.get(at).cloned().unwrap_or(Expr::Const(Datum::Null));
    Ok((at, column, default))
}

/// `SET`: columns and their new values.
fn plan_assignments(
    assignments: &[(String, Option<AstExpr>)],
    column_named: impl Fn(&str) -> SqlResult<(usize, Column, Expr)>,
    binder: &mut Binder<'_>,
) -> SqlResult<Vec<(usize, Expr)>> {
    let mut planned: Vec<(usize, Expr)> = Vec::new();
    for (name, expr) in assignments {
        let (index, column, default) = column_named(name)?;
        if planned.iter().any(|(known, _)| *known == index) {
            let message = format!("multiple assignments to same column \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        if column.identity == Identity::Always && expr.is_some() {
            let message = format!("column \"{name}\" can only be updated to DEFAULT");
            return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
                .detail(format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS.")));
        }
        let value = expr.as_ref().map_or(Ok(default), |expr| binder.assign(expr, &column))?;
        planned.push((index, value));
    }
    Ok(planned)
}

fn check_width(given: usize, columns: &[usize], named: bool) -> SqlResult<()> {
    let message = match () {
        _ if given > columns.len() => "INSERT has more expressions than target columns",
        _ if given < columns.len() && named => "INSERT has more target columns than expressions",
        _ => return Ok(()),
    };
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
}

fn whole_row(
    table: &StoredTable,
    columns: &[usize],
    row: &[Option<AstExpr>],
    binder: &mut Binder<'_>,
) -> SqlResult<Vec<Expr>> {
    let mut whole = table.bound.defaults.clone();
    for (index, expr) in columns.iter().zip(row) {
        if let (Some(slot), Some(column), Some(expr)) =
            (whole.get_mut(*index), table.descriptor.columns.get(*index), expr)
        {
            check_given(column)?;
            *slot = binder.assign(expr, column)?;
        }
    }
    Ok(whole)
}

/// 428C9 if nothing may be given for `column`.
fn check_given(column: &Column) -> SqlResult<()> {
    if column.identity != Identity::Always {
        return Ok(());
    }
    let name = &column.name;
    let message = format!("cannot insert a non-DEFAULT value into column \"{name}\"");
    Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
        .detail(format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS.")))
}

/// Plans `RETURNING`.
fn plan_returning(
    items: &[SelectItem],
    scope: &Scope,
    planner: &mut Planner,
) -> SqlResult<Option<Returning>> {
    if items.is_empty() {
        return Ok(None);
    }
    let mut binder = Binder::new(scope, planner, "RETURNING");
    let (mut outputs, mut columns) = (Vec::new(), Vec::new());
    for (item, name) in expand(items, scope)? {
        let bound = item.bind(&mut binder)?;
        let data_type = bound.data_type.unwrap_or(DataType::Text);
        outputs.push(binder.coerce_unknown(bound, data_type)?);
        columns.push(OutputColumn { name, data_type });
    }
    optimize_exprs(&mut outputs, planner)?;
    Ok(Some(Returning { outputs, columns }))
}

/// The rows of a table that a statement changes, and what names mean over them.
fn plan_target(
    name: &TableName,
    alias: Option<&String>,
    others: &[From],
    planner: &mut Planner,
) -> SqlResult<(Option<Arc<StoredTable>>, TargetRows, Scope)> {
    let relation = planner.relations.find(name)?;
    let called = alias.cloned().unwrap_or_else(|| name.name.clone());
    let mut scope = relation.scope(called);
    let width = relation.width();
    // The key, which has no name.
    scope.width = width + 1;
    let (table, mut rel) = match relation {
        Relation::Settings => (None, Rel::Settings),
        other => {
            let table = other.writable(name)?;
            (Some(table.clone()), scan(table, true))
        }
    };
    let is_joined = !others.is_empty();
    if is_joined {
        let (others, other_scope) = plan_from(others, planner)?;
        rel = join(JoinType::Inner, rel, others, None);
        scope.append(other_scope)?;
    }
    Ok((table, TargetRows { rel, width, is_joined }, scope))
}

/// `rows` for which `filter` holds.
fn filtered(
    mut rows: TargetRows,
    filter: Option<&AstExpr>,
    scope: &Scope,
    planner: &mut Planner,
) -> SqlResult<TargetRows> {
    let mut binder = Binder::new(scope, planner, "WHERE");
    let filter = filter.map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    rows.rel = optimize(rows.rel.filter(filter), planner)?;
    Ok(rows)
}

pub(super) fn plan_update(update: &Update, planner: &mut Planner) -> SqlResult<UpdatePlan> {
    let (table, rows, scope) = plan_target(&update.table, update.alias.as_ref(), &update.from, planner)?;
    let column = |name: &str| match &table {
        Some(table) => assignable(table, name),
        None => settings::assignable(name).map(|(at, column)| (at, column, Expr::Const(Datum::Null))),
    };
    let mut binder = Binder::new(&scope, planner, "UPDATE");
    let mut assignments = plan_assignments(&update.assignments, column, &mut binder)?;
    for (_, expr) in &mut assignments {
        optimize_exprs(core::slice::from_mut(expr), planner)?;
    }
    let rows = filtered(rows, update.filter.as_ref(), &scope, planner)?;
    let returning = plan_returning(&update.returning, &scope, planner)?;
    let related = match &table {
        Some(table) => related(table, planner)?,
        None => Arc::default(),
    };
    Ok(UpdatePlan { table, rows, assignments, returning, related })
}

pub(super) fn plan_delete(delete: &Delete, planner: &mut Planner) -> SqlResult<DeletePlan> {
    let (table, rows, scope) = plan_target(&delete.table, delete.alias.as_ref(), &delete.using, planner)?;
    let Some(table) = table else { return Err(settings::rows_are_fixed()) };
    let rows = filtered(rows, delete.filter.as_ref(), &scope, planner)?;
    let returning = plan_returning(&delete.returning, &scope, planner)?;
    let related = related(&table, planner)?;
    Ok(DeletePlan { table, rows, returning, related })
}
