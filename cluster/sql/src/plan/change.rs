//! Statements that change a table.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::select::plan_select;
use super::{CopyInPlan, Plan, Relation, SelectPlan, Source, plan_returning};
use crate::access::Access;
use crate::ast::{
    ConflictTarget, ConflictUpdate, Copy, CopySource, Delete, Expr as AstExpr, From, Insert, InsertSource,
    OnConflict, Select, SelectItem, Update,
};
use crate::bind::{Aggregates, Binder, Params, Scope, ScopeTable, Typed};
use crate::catalog::{Column, ColumnDefault, StoredTable};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::function::Function;
use crate::settings;

/// `INSERT`
#[derive(Debug)]
pub(crate) struct InsertPlan {
    pub(crate) table: Arc<StoredTable>,
    pub(crate) rows: InsertRows,
    pub(crate) on_conflict: Conflict,
    pub(crate) returning: Option<SelectPlan>,
}

/// What is to be done with a row whose key is taken.
#[derive(Debug)]
pub(crate) enum Conflict {
    /// It is an error.
    Fails,
    Ignored,
    /// Columns of the row that is there, and their new values, if it passes the filter. Both see the row that is there, and
    /// behind it the one that was to be inserted.
    Updates(Vec<(usize, Expr)>, Option<Expr>),
}

/// The rows of an `INSERT`.
#[derive(Debug)]
pub(crate) enum InsertRows {
    /// Whole rows of the table.
    Values(Vec<Vec<Expr>>),
    /// A query, and what becomes of its rows: whole rows of the table.
    Select(Box<SelectPlan>, Vec<Expr>),
}

/// `UPDATE`
#[derive(Debug)]
pub(crate) struct UpdatePlan {
    /// None if it is `sys.settings`.
    pub(crate) table: Option<Arc<StoredTable>>,
    /// The rows to change, whole.
    pub(crate) rows: SelectPlan,
    /// Columns and their new values.
    pub(crate) assignments: Vec<(usize, Expr)>,
    pub(crate) returning: Option<SelectPlan>,
}

/// `DELETE`
#[derive(Debug)]
pub(crate) struct DeletePlan {
    /// The rows to delete, whole.
    pub(crate) rows: SelectPlan,
    pub(crate) returning: Option<SelectPlan>,
    pub(crate) truncate: bool,
}

/// What a column gets if nothing is said.
pub(crate) fn default_of(column: &Column) -> Expr {
    match &column.default {
        ColumnDefault::Value(datum) => Expr::Const(datum.clone()),
        ColumnDefault::Now => Expr::Call(Function::Now, Vec::new()),
    }
}

/// The indexes of the columns called `names`; all if there are none.
fn columns_named(table: &StoredTable, names: &[String]) -> SqlResult<Vec<usize>> {
    if names.is_empty() {
        return Ok((0..table.descriptor.columns.len()).collect());
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
    let mut columns = table.descriptor.columns.iter().enumerate();
    let found = columns.find(|(_, column)| column.name == name);
    found.map(|(index, column)| (index, column.clone())).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.descriptor.name);
        SqlError::new(SqlState::UNDEFINED_COLUMN, message)
    })
}

pub(super) fn plan_insert(
    insert: &Insert,
    first: Relation,
    second: Relation,
    params: &mut Params,
) -> SqlResult<InsertPlan> {
    let scope = first.scope(insert.table.name.clone());
    let table = first.writable(&insert.table)?;
    let columns = columns_named(&table, &insert.columns)?;
    let rows = match &insert.source {
        InsertSource::Defaults => {
            InsertRows::Values(vec![table.descriptor.columns.iter().map(default_of).collect()])
        }
        InsertSource::Values(rows) => {
            let aggregates = Aggregates::Forbidden("VALUES");
            let mut binder = Binder { scope: &Scope::default(), params, aggregates, calls: Vec::new() };
            let mut bound = Vec::with_capacity(rows.len());
            for row in rows {
                check_width(row.len(), &columns, !insert.columns.is_empty())?;
                bound.push(whole_row(&table, &columns, row, &mut binder)?);
            }
            InsertRows::Values(bound)
        }
        InsertSource::Select(select) => {
            let select = plan_select(select, second, params)?;
            check_width(select.columns.len(), &columns, !insert.columns.is_empty())?;
            let mut binder = Binder {
                scope: &Scope::default(),
                params,
                aggregates: Aggregates::Inside,
                calls: Vec::new(),
            };
            let mut row: Vec<Expr> = table.descriptor.columns.iter().map(default_of).collect();
            for (index, (output, column)) in select.columns.iter().zip(&columns).enumerate() {
                let typed = Typed { expr: Expr::Column(index), data_type: Some(output.data_type) };
                if let (Some(slot), Some(column)) =
                    (row.get_mut(*column), table.descriptor.columns.get(*column))
                {
                    *slot = binder.assign_typed(typed, column)?;
                }
            }
            InsertRows::Select(Box::new(select), row)
        }
    };
    let on_conflict = match &insert.on_conflict {
        None => Conflict::Fails,
        Some(on_conflict) => plan_conflict(on_conflict, &table, &scope, params)?,
    };
    let returning = plan_returning(&insert.returning, &scope, params)?;
    Ok(InsertPlan { table, rows, on_conflict, returning })
}

/// `ON CONFLICT`: the primary key is the only one there is.
fn plan_conflict(
    on_conflict: &OnConflict,
    table: &StoredTable,
    scope: &Scope,
    params: &mut Params,
) -> SqlResult<Conflict> {
    let descriptor = &table.descriptor;
    match &on_conflict.target {
        None if on_conflict.update.is_some() => {
            let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .hint("For example, ON CONFLICT (column_name)."));
        }
        None => {}
        Some(ConflictTarget::Columns(names)) => {
            let mut columns: Vec<usize> = Vec::new();
            for name in names {
                columns.push(scope.column(None, name)?.0);
            }
            let mut key: Vec<usize> =
                descriptor.primary_key.iter().map(|column| usize::from(*column)).collect();
            key.sort_unstable();
            columns.sort_unstable();
            columns.dedup();
            if columns != key {
                let message =
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
            }
        }
        Some(ConflictTarget::Constraint(name))
            if !descriptor.primary_key.is_empty() && *name == descriptor.primary_key_name => {}
        Some(ConflictTarget::Constraint(name)) => {
            let message = format!("constraint \"{name}\" for table \"{}\" does not exist", descriptor.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
    }
    let Some(ConflictUpdate { assignments, filter }) = &on_conflict.update else {
        return Ok(Conflict::Ignored);
    };
    let mut both = scope.clone();
    let columns = both.tables.iter().flat_map(|table| table.columns.clone()).collect();
    both.tables.push(ScopeTable { name: "excluded".into(), columns });
    let aggregates = Aggregates::Forbidden("ON CONFLICT DO UPDATE");
    let mut binder = Binder { scope: &both, params, aggregates, calls: Vec::new() };
    let assignments = plan_assignments(assignments, |name| column_named(table, name), &mut binder)?;
    let filter = filter.as_ref().map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    Ok(Conflict::Updates(assignments, filter))
}

/// `SET`: columns and their new values.
fn plan_assignments(
    assignments: &[(String, Option<AstExpr>)],
    column_named: impl Fn(&str) -> SqlResult<(usize, Column)>,
    binder: &mut Binder<'_>,
) -> SqlResult<Vec<(usize, Expr)>> {
    let mut planned: Vec<(usize, Expr)> = Vec::new();
    for (name, expr) in assignments {
        let (index, column) = column_named(name)?;
        if planned.iter().any(|(known, _)| *known == index) {
            let message = format!("multiple assignments to same column \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let value =
            expr.as_ref().map_or_else(|| Ok(default_of(&column)), |expr| binder.assign(expr, &column))?;
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
    let mut whole: Vec<Option<Expr>> = vec![None; table.descriptor.columns.len()];
    for (index, expr) in columns.iter().zip(row) {
        if let (Some(slot), Some(column), Some(expr)) =
            (whole.get_mut(*index), table.descriptor.columns.get(*index), expr)
        {
            *slot = Some(binder.assign(expr, column)?);
        }
    }
    let or_default = |(expr, column): (Option<Expr>, &Column)| expr.unwrap_or_else(|| default_of(column));
    Ok(whole.into_iter().zip(&table.descriptor.columns).map(or_default).collect())
}

/// A plan that reads the rows of `table` under `filter`, whole; of `sys.settings` if there is none.
fn rows_of(
    table: Option<&Arc<StoredTable>>,
    scope: &Scope,
    filter: Option<&AstExpr>,
    params: &mut Params,
) -> SqlResult<SelectPlan> {
    let mut binder = Binder { scope, params, aggregates: Aggregates::Forbidden("WHERE"), calls: Vec::new() };
    let filter = filter.map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    let source = match table {
        Some(table) => {
            let access = Access::plan(&table.descriptor, filter.as_ref());
            let needed = vec![true; table.types.len()];
            Source::Table { table: table.clone(), access, needed, backward: false }
        }
        None => Source::Settings,
    };
    Ok(SelectPlan {
        source,
        filter,
        aggregation: None,
        outputs: Vec::new(),
        distinct: false,
        sort: Vec::new(),
        offset: None,
        limit: None,
        columns: Vec::new(),
    })
}

pub(super) fn plan_update(update: &Update, first: Relation, params: &mut Params) -> SqlResult<UpdatePlan> {
    let scope = first.scope(update.alias.clone().unwrap_or_else(|| update.table.name.clone()));
    let table = match first {
        Relation::Settings => None,
        other => Some(other.writable(&update.table)?),
    };
    let mut binder =
        Binder { scope: &scope, params, aggregates: Aggregates::Forbidden("UPDATE"), calls: Vec::new() };
    let column = |name: &str| match &table {
        Some(table) => column_named(table, name),
        None => settings::assignable(name),
    };
    let assignments = plan_assignments(&update.assignments, column, &mut binder)?;
    let rows = rows_of(table.as_ref(), &scope, update.filter.as_ref(), params)?;
    let returning = plan_returning(&update.returning, &scope, params)?;
    Ok(UpdatePlan { table, rows, assignments, returning })
}

pub(super) fn plan_delete(delete: &Delete, first: Relation, params: &mut Params) -> SqlResult<DeletePlan> {
    let scope = first.scope(delete.alias.clone().unwrap_or_else(|| delete.table.name.clone()));
    let table = first.writable(&delete.table)?;
    let rows = rows_of(Some(&table), &scope, delete.filter.as_ref(), params)?;
    let returning = plan_returning(&delete.returning, &scope, params)?;
    Ok(DeletePlan { rows, returning, truncate: delete.truncate })
}

pub(super) fn plan_copy(copy: &Copy, first: Relation, params: &mut Params) -> SqlResult<Plan> {
    let select = match (&copy.source, copy.to) {
        (CopySource::Table(name, columns), false) => {
            let table = first.writable(name)?;
            let columns = columns_named(&table, columns)?;
            return Ok(Plan::CopyIn(CopyInPlan { table, columns, format: copy.format.clone() }));
        }
        (CopySource::Select(_), false) => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "COPY of a query goes TO, not FROM"));
        }
        (CopySource::Table(name, columns), true) => &all_rows(name.clone(), columns),
        (CopySource::Select(select), true) => &**select,
    };
    Ok(Plan::CopyOut(plan_select(select, first, params)?, copy.format.clone()))
}

/// `SELECT columns FROM table`
fn all_rows(name: crate::ast::TableName, columns: &[String]) -> Select {
    let column = |name: &String| SelectItem::Expr {
        expr: AstExpr::Column { table: None, name: name.clone(), position: None },
        alias: None,
    };
    let items =
        if columns.is_empty() { vec![SelectItem::All(None)] } else { columns.iter().map(column).collect() };
    Select::of(items, From::Table { name, alias: None, columns: Vec::new() })
}
