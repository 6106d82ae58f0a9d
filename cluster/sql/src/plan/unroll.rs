//! Functions that give several rows: `unnest`, `generate_subscripts` and `generate_series`, where a row of others is
//! there to give them arguments, in a select list or behind other items of `FROM`.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::name_of;
use super::planner::Planner;
use super::rel::{Rel, RowSet, RowSetKind, Unroll};
use crate::ast::{self, SelectItem};
use crate::bind::{Binder, Scope, ScopeColumn};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::types::{DataType, Datum, Scalar};

/// What columns that functions give in a select list are qualified with: no name that can be written.
const SETS: &str = "\0sets";

/// Whether a function of this name gives rows.
pub(crate) fn gives_rows(name: &str) -> bool {
    matches!(name, "unnest" | "generate_subscripts" | "generate_series" | "pg_options_to_table")
        || name == "pg_partition_ancestors"
}

/// The rows that `name` gives of its arguments.
pub(super) fn row_set(name: &str, arguments: &[ast::Expr], binder: &mut Binder<'_>) -> SqlResult<RowSet> {
    let wrong = || {
        let message = format!("function {name} does not take these arguments");
        SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
    };
    let mut bound = Vec::with_capacity(arguments.len());
    for argument in arguments {
        bound.push(binder.bind(argument)?);
    }
    let mut bound = bound.into_iter();
    let first = bound.next().ok_or_else(wrong)?;
    let base = first.data_type.map(DataType::base);
    Ok(match (name, base, bound.len()) {
        ("unnest", Some(DataType::Array(element)), 0) => {
            RowSet { kind: RowSetKind::Elements(first.expr), data_type: element.data_type() }
        }
        ("generate_subscripts", Some(DataType::Array(_)), 1..=2) => {
            RowSet { kind: RowSetKind::Subscripts(first.expr), data_type: DataType::Int4 }
        }
        // No table is a partition.
        ("pg_partition_ancestors", _, 0) => {
            let none = Expr::Const(Datum::Null);
            RowSet { kind: RowSetKind::Elements(none), data_type: DataType::Regclass }
        }
        // Nothing has options.
        ("pg_options_to_table", _, 0) => {
            let none = Expr::Const(Datum::Null);
            RowSet { kind: RowSetKind::Elements(none), data_type: Scalar::Text.data_type() }
        }
        ("generate_series", None | Some(DataType::Int2 | DataType::Int4 | DataType::Int8), 1..=2) => {
            let mut items = Vec::from([first]);
            items.extend(bound);
            if items.len() == 2 {
                items.push(binder.bind(&ast::Expr::Number("1".into()))?);
            }
            let is_long = items.iter().any(|item| item.data_type == Some(DataType::Int8));
            let data_type = if is_long { DataType::Int8 } else { DataType::Int4 };
            let (exprs, _) = binder.unify(items, "generate_series")?;
            let arguments: [Expr; 3] = exprs.try_into().map_err(|_| wrong())?;
            RowSet { kind: RowSetKind::Series(Box::new(arguments)), data_type }
        }
        _ => return Err(wrong()),
    })
}

/// Takes the functions that give rows out of a select list: its items are over the rows that come of them.
pub(super) fn unroll_items(
    items: &[SelectItem],
    rel: Rel,
    scope: &Scope,
    planner: &mut Planner,
) -> SqlResult<Option<(Rel, Scope, Vec<SelectItem>)>> {
    let mut calls: Vec<ast::Call> = Vec::new();
    let mut changed = Vec::with_capacity(items.len());
    for item in items {
        changed.push(match item {
            SelectItem::Expr { expr, alias } => {
                let mut replaced = expr.clone();
                take_calls(&mut replaced, &mut calls);
                let alias = if replaced == *expr {
                    alias.clone()
                } else {
                    alias.clone().or_else(|| Some(name_of(expr)))
                };
                SelectItem::Expr { expr: replaced, alias }
            }
            other => other.clone(),
        });
    }
    if calls.is_empty() {
        return Ok(None);
    }
    let mut sets = Vec::with_capacity(calls.len());
    let mut scope = scope.clone();
    let mut binder = Binder::new(&scope, planner, "functions that give rows");
    for call in &calls {
        sets.push(row_set(&call.name, &call.arguments, &mut binder)?);
    }
    for (at, set) in sets.iter().enumerate() {
        scope.columns.push(ScopeColumn {
            table: Some(SETS.into()),
            name: format!("{at}"),
            data_type: set.data_type,
            index: scope.width + at,
            merged: true,
            hidden: true,
        });
    }
    scope.width += sets.len();
    Ok(Some((Rel::Unroll(Arc::new(Unroll { input: rel, sets, ordinality: false })), scope, changed)))
}

/// Puts columns in the place of calls that give rows.
fn take_calls(expr: &mut ast::Expr, calls: &mut Vec<ast::Call>) {
    match expr {
        ast::Expr::Call(call) if gives_rows(&call.name) => {
            let column = ast::Expr::Column {
                table: Some(SETS.into()),
                name: format!("{}", calls.len()),
                position: call.position,
            };
            calls.push((**call).clone());
            *expr = column;
        }
        ast::Expr::Call(call) => call.arguments.iter_mut().for_each(|argument| take_calls(argument, calls)),
        ast::Expr::Cast(inner, _) | ast::Expr::Unary(_, inner) | ast::Expr::IsNull(inner, _) => {
            take_calls(inner, calls);
        }
        ast::Expr::Binary(_, left, right, _) => {
            take_calls(left, calls);
            take_calls(right, calls);
        }
        _ => {}
    }
}
