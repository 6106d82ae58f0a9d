//! `FROM`: where rows come from, and what names mean over them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::planner::Planner;
use super::query::{plan_query, rename};
use super::rel::{Join, JoinMethod, JoinType, Rel, RowSet, RowSetKind, Scan, Series, Unroll, Values};
use super::routine::plan_rows;
use super::unroll::{gives_rows, row_set};
use super::{OutputColumn, Relation};
use crate::access::Access;
use crate::ast::{self, Alias, From, JoinCondition, JoinKind, TableName};
use crate::bind::{Binder, Scope, ScopeColumn, Typed, is_built_in};
use crate::catalog::StoredTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, SequenceCall, SequenceFunction};
use crate::parse;
use crate::types::{DataType, Datum};

/// All of `from`, crossed.
pub(super) fn plan_from(from: &[From], planner: &mut Planner) -> SqlResult<(Rel, Scope)> {
    let mut all = (Rel::Row, Scope::default());
    for (at, item) in from.iter().enumerate() {
        if let From::Function { name, arguments, ordinality, alias } = item {
            all = plan_function(name, arguments, *ordinality, alias.as_ref(), all, planner)
                .map_err(|error| error.at(name.position))?;
            continue;
        }
        let (rel, scope) = plan_item(item, planner)?;
        if at == 0 {
            all = (rel, scope);
            continue;
        }
        all.0 = join(JoinType::Inner, all.0, rel, None);
        all.1.append(scope)?;
    }
    Ok(all)
}

pub(super) fn join(join_type: JoinType, left: Rel, right: Rel, condition: Option<Expr>) -> Rel {
    let (equal, method) = (Vec::new(), JoinMethod::Hash);
    Rel::Join(Arc::new(Join { join_type, left, right, equal, condition, method }))
}

fn plan_item(item: &From, planner: &mut Planner) -> SqlResult<(Rel, Scope)> {
    match item {
        From::Table { name, alias } => plan_table(name, alias.as_ref(), planner),
        From::Function { name, arguments, ordinality, alias } => {
            let nothing = (Rel::Row, Scope::default());
            plan_function(name, arguments, *ordinality, alias.as_ref(), nothing, planner)
                .map_err(|error| error.at(name.position))
        }
        From::Query { query, alias } => {
            let plan = plan_query(query, &[], planner)?;
            let Some(alias) = alias else {
                let message = "subquery in FROM must have an alias";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                    .hint("For example, FROM (SELECT ...) [AS] foo."));
            };
            let columns = rename(&alias.name, plan.columns, &alias.columns)?;
            Ok((plan.rel, Scope::of(alias.name.clone(), columns)))
        }
        From::Join(join) => plan_join(join, planner),
    }
}

pub(super) fn outputs(columns: Vec<(String, DataType)>) -> Vec<OutputColumn> {
    columns.into_iter().map(|(name, data_type)| OutputColumn { name, data_type }).collect()
}

fn plan_table(name: &TableName, alias: Option<&Alias>, planner: &mut Planner) -> SqlResult<(Rel, Scope)> {
    let named = match name.schema {
        None => planner.read_named(&name.name)?,
        Some(_) => None,
    };
    let called = alias.map_or_else(|| name.name.clone(), |alias| alias.name.clone());
    let names = alias.map_or(&[][..], |alias| &alias.columns);
    if let Some((rel, columns)) = named {
        let columns = rename(&called, outputs(columns), names)?;
        return Ok((rel, Scope::of(called, columns)));
    }
    let relation = planner.relations.find(name)?;
    match relation {
        Relation::View(view) => {
            let (query, columns) = (&view.descriptor.query, Some(view.descriptor.columns.clone()));
            return plan_view(query, columns, called, names, planner);
        }
        Relation::SystemView(view) => return plan_view(view.query, None, called, names, planner),
        _ => {}
    }
    let mut scope = relation.scope(called.clone());
    if names.len() > scope.columns.len() {
        // For the message.
        rename(&called, Vec::new(), names)?;
    }
    for (column, renamed) in scope.columns.iter_mut().zip(names) {
        column.name.clone_from(renamed);
    }
    let rel = match relation {
        Relation::Stored(table) => scan(table, false),
        Relation::Live(table) => Rel::Live(table),
        Relation::Settings => {
            // Each row's key, which has no name.
            scope.width += 1;
            Rel::Settings
        }
        Relation::System(table) => Rel::System(table),
        Relation::Sequence(name) => {
            // The number that comes next: nobody has got it yet.
            let call = SequenceCall {
                function: SequenceFunction::Peek,
                name: Some(Expr::Const(Datum::Text(name))),
                arguments: Vec::new(),
            };
            let row = vec![
                Expr::Sequence(Box::new(call)),
                Expr::Const(Datum::Int8(0)),
                Expr::Const(Datum::Bool(false)),
            ];
            Rel::Values(Arc::new(Values { rows: vec![row], width: 3 }))
        }
        Relation::View(_) | Relation::SystemView(_) => Rel::Row,
    };
    Ok((rel, scope))
}

/// The rows of a view: what is around it means nothing to it. Its columns are those of its query, unless they are given.
fn plan_view(
    query: &str,
    columns: Option<Vec<(String, DataType)>>,
    called: String,
    names: &[String],
    planner: &mut Planner,
) -> SqlResult<(Rel, Scope)> {
    let query = parse::query(query)?;
    let (levels, named) = (core::mem::take(&mut planner.levels), core::mem::take(&mut planner.named));
    let hints: Vec<Option<DataType>> =
        columns.iter().flatten().map(|(_, data_type)| Some(*data_type)).collect();
    let plan = plan_query(&query, &hints, planner);
    (planner.levels, planner.named) = (levels, named);
    let plan = plan?;
    let columns = rename(&called, columns.map_or(plan.columns, outputs), names)?;
    Ok((plan.rel, Scope::of(called, columns)))
}

/// All of `table`.
pub(super) fn scan(table: Arc<StoredTable>, with_key: bool) -> Rel {
    let needed = vec![true; table.types.len()];
    Rel::Scan(Arc::new(Scan {
        table,
        filter: None,
        access: Access::default(),
        needed,
        backward: false,
        with_key,
    }))
}

/// A function, for each row of what stands before it.
fn plan_function(
    name: &TableName,
    arguments: &[ast::Expr],
    ordinality: bool,
    alias: Option<&Alias>,
    (left, before): (Rel, Scope),
    planner: &mut Planner,
) -> SqlResult<(Rel, Scope)> {
    if let Some(routine) = planner.relations.routine(name.schema.as_deref(), &name.name) {
        if ordinality {
            return Err(SqlError::not_supported("WITH ORDINALITY of a function of users"));
        }
        return plan_rows(routine, arguments, alias, (left, before), planner);
    }
    let name = &name.name;
    if !gives_rows(name) {
        if !is_built_in(name) {
            let scope = Scope::default();
            let mut binder = Binder::new(&scope, planner, "functions in FROM");
            return Err(binder.undefined_routine(name, arguments));
        }
        let message = format!("function {name} does not give rows");
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
    }
    let mut binder = Binder::new(&before, planner, "functions in FROM");
    let set = row_set(name, arguments, &mut binder)?;
    let called = alias.map_or_else(|| name.clone(), |alias| alias.name.clone());
    let mut columns = vec![(called.clone(), set.data_type)];
    if name == "pg_options_to_table" {
        columns = vec![("option_name".into(), DataType::Text), ("option_value".into(), DataType::Text)];
    }
    if ordinality {
        columns.push(("ordinality".into(), DataType::Int8));
    }
    let columns = rename(&called, outputs(columns), alias.map_or(&[][..], |alias| &alias.columns))?;
    let mut scope = before;
    scope.append(Scope::of(called, columns))?;
    let rel = match set {
        RowSet { kind: RowSetKind::Series(arguments), data_type }
            if !ordinality && matches!(left, Rel::Row) =>
        {
            Rel::Series(Arc::new(Series { arguments: *arguments, data_type }))
        }
        set => {
            let second = (name == "pg_options_to_table").then(|| set.clone());
            let sets = [set].into_iter().chain(second).collect();
            Rel::Unroll(Arc::new(Unroll { input: left, sets, ordinality }))
        }
    };
    Ok((rel, scope))
}

fn plan_join(item: &ast::Join, planner: &mut Planner) -> SqlResult<(Rel, Scope)> {
    let (left, mut scope) = plan_item(&item.left, planner)?;
    let (right, right_scope) = plan_item(&item.right, planner)?;
    let join_type = match item.kind {
        JoinKind::Inner => JoinType::Inner,
        JoinKind::Left => JoinType::Left,
        JoinKind::Right => JoinType::Right,
        JoinKind::Full => JoinType::Full,
    };
    let names = match &item.condition {
        JoinCondition::Using(names) => names.clone(),
        JoinCondition::Natural => common_names(&scope, &right_scope),
        _ => Vec::new(),
    };
    let sides = (scope.clone(), right_scope.clone());
    scope.append(right_scope)?;
    let condition = match &item.condition {
        JoinCondition::On(condition) => {
            Some(Binder::new(&scope, planner, "JOIN conditions").condition(condition, "JOIN/ON")?)
        }
        _ => None,
    };
    let mut rel = join(join_type, left, right, condition);
    if !names.is_empty() {
        rel = merge_columns(rel, join_type, &names, sides, &mut scope, planner)?;
    }
    if let Some(alias) = &item.alias {
        scope = aliased(scope, alias)?;
    }
    Ok((rel, scope))
}

fn common_names(left: &Scope, right: &Scope) -> Vec<String> {
    let visible =
        |scope: &Scope, name: &str| scope.columns.iter().any(|column| !column.merged && column.name == name);
    let names =
        left.columns.iter().filter(|column| !column.merged && !column.hidden).map(|column| &column.name);
    let mut common: Vec<String> = Vec::new();
    for name in names {
        if visible(right, name) && !common.contains(name) {
            common.push(name.clone());
        }
    }
    common
}

/// `USING`: the columns of these names are equal on both sides, and become one.
fn merge_columns(
    rel: Rel,
    join_type: JoinType,
    names: &[String],
    (left, right): (Scope, Scope),
    scope: &mut Scope,
    planner: &mut Planner,
) -> SqlResult<Rel> {
    let Rel::Join(node) = rel else { return Ok(rel) };
    let mut node = Arc::unwrap_or_clone(node);
    let (mut equal, mut merged, mut computed) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let side = |scope: &Scope, side: &str| {
            scope.find(None, name)?.cloned().ok_or_else(|| {
                let message =
                    format!("column \"{name}\" specified in USING clause does not exist in {side} table");
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })
        };
        let (first, mut second) = (side(&left, "left")?, side(&right, "right")?);
        second.index += left.width;
        let typed = |column: &ScopeColumn| Typed {
            expr: Expr::Column(column.index),
            data_type: Some(column.data_type),
        };
        let empty = Scope::default();
        let mut binder = Binder::new(&empty, planner, "JOIN conditions");
        let bound = binder.operator(ast::BinaryOperator::Eq, typed(&first), typed(&second))?;
        equal.push(bound.expr);
        let (mut exprs, data_type) = binder.unify(vec![typed(&first), typed(&second)], "JOIN/USING")?;
        let expr = match join_type {
            JoinType::Full => Expr::Coalesce(exprs),
            JoinType::Right => exprs.pop().unwrap_or(Expr::Column(second.index)),
            _ => exprs.swap_remove(0),
        };
        let index = match expr {
            Expr::Column(index) => index,
            expr => {
                computed.push(expr);
                scope.width + computed.len() - 1
            }
        };
        for column in &mut scope.columns {
            column.merged |= column.index == first.index && column.name == *name && !column.merged
                || column.index == second.index && column.name == *name;
        }
        merged.push(ScopeColumn {
            table: None,
            name: name.clone(),
            data_type,
            index,
            merged: false,
            hidden: false,
        });
    }
    node.condition = Expr::all_of(equal);
    let mut rel = Rel::Join(Arc::new(node));
    if !computed.is_empty() {
        let mut all: Vec<Expr> = (0..scope.width).map(Expr::Column).collect();
        scope.width += computed.len();
        all.extend(computed);
        rel = rel.project(all);
    }
    merged.append(&mut scope.columns);
    scope.columns = merged;
    Ok(rel)
}

/// All columns of `scope` as those of one table.
fn aliased(scope: Scope, alias: &Alias) -> SqlResult<Scope> {
    let visible: Vec<ScopeColumn> =
        scope.columns.into_iter().filter(|column| !column.merged && !column.hidden).collect();
    let described = visible
        .iter()
        .map(|column| OutputColumn { name: column.name.clone(), data_type: column.data_type })
        .collect();
    let renamed = rename(&alias.name, described, &alias.columns)?;
    let mut one = Scope::of(alias.name.clone(), renamed);
    for (column, old) in one.columns.iter_mut().zip(&visible) {
        column.index = old.index;
    }
    one.width = scope.width;
    if let Some(table) = one.tables.first_mut() {
        table.row = 0..scope.width;
    }
    Ok(one)
}
