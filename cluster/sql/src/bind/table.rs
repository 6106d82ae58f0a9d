//! The expressions that a table's definition keeps as text, bound to its rows.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Binder, Scope};
use crate::catalog::{
    Column, ColumnDefault, Deferral, Index, IndexConstraint, IndexKey, IndexValue, TableDescriptor,
};
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::function;
use crate::parse;
use crate::plan::{Planner, Relations};
use crate::types::Datum;

/// The expressions of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct BoundTable {
    /// For each of its indexes.
    pub(crate) indexes: Vec<BoundIndex>,
    /// What must not be false.
    pub(crate) checks: Vec<Expr>,
    /// For each column, what it holds if nothing is said.
    pub(crate) defaults: Vec<Expr>,
}

/// The expressions of an index.
#[derive(Clone, Debug)]
pub(crate) struct BoundIndex {
    pub(crate) keys: Vec<Expr>,
    pub(crate) predicate: Option<Expr>,
}

/// What names mean over the rows of `table`.
pub(crate) fn scope_of(table: &TableDescriptor, called: String) -> Scope {
    let mut scope = Scope::of(called, Vec::new());
    scope.add_columns(table.live_columns().map(|(at, column)| (at, column.name.clone(), column.data_type)));
    scope.width = table.columns.len();
    if let Some(known) = scope.tables.first_mut() {
        known.row = 0..scope.width;
        // Rows that have the same key for a while are not the same.
        let waits =
            |index: &Index| index.constraint == IndexConstraint::PrimaryKey && index.deferral != Deferral::No;
        if !table.indexes.iter().any(waits) {
            known.key = table.declared_key().into_iter().map(usize::from).collect();
        }
    }
    scope
}

/// Binds what `table` keeps as text.
pub(crate) fn bind_table(table: &TableDescriptor) -> SqlResult<BoundTable> {
    let scope = scope_of(table, table.name.clone());
    let mut planner = Planner::new(Relations::default(), &[]);
    let mut bound = BoundTable::default();
    for index in &table.indexes {
        bound.indexes.push(bind_index(index, &scope, &mut planner)?);
    }
    for check in &table.checks {
        let expr = parse::expression(&check.expression)?;
        bound.checks.push(Binder::new(&scope, &mut planner, "check constraints").condition(&expr, "CHECK")?);
    }
    for column in &table.columns {
        bound.defaults.push(default_of(column, &mut planner)?);
    }
    Ok(bound)
}

fn bind_index(index: &Index, scope: &Scope, planner: &mut Planner) -> SqlResult<BoundIndex> {
    let mut binder = Binder::new(scope, planner, "index expressions");
    let key = |key: &IndexKey| match &key.value {
        IndexValue::Column(column) => Ok(Expr::Column(usize::from(*column))),
        IndexValue::Expression(text) => binder.value(&parse::expression(text)?),
    };
    let keys = index.keys.iter().map(key).collect::<SqlResult<Vec<Expr>>>()?;
    let mut binder = Binder::new(scope, planner, "index predicates");
    let predicate = match &index.predicate {
        None => None,
        Some(text) => Some(binder.condition(&parse::expression(text)?, "WHERE")?),
    };
    Ok(BoundIndex { keys, predicate })
}

/// What `column` holds if nothing is said.
pub(crate) fn default_of(column: &Column, planner: &mut Planner) -> SqlResult<Expr> {
    Ok(match &column.default {
        ColumnDefault::Value(datum) => Expr::Const(datum.clone()),
        ColumnDefault::Now => match function::now() {
            Some(now) => Expr::Cast(Box::new(Expr::Call(now, Vec::new())), column.data_type),
            None => Expr::Const(Datum::Null),
        },
        ColumnDefault::Expression(text) => {
            let scope = Scope::default();
            Binder::new(&scope, planner, "DEFAULT expressions").assign(&parse::expression(text)?, column)?
        }
    })
}
