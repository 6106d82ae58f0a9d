//! `SELECT`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::from::plan_from;
use super::group::Groups;
use super::planner::Planner;
use super::query::{QueryPlan, finish};
use super::rel::{Aggregate, Distinct, Rel, SortKey, Window};
use super::unroll::unroll_items;
use super::{OutputColumn, name_of};
use crate::ast::{self, Query, Select, SelectItem};
use crate::bind::{Aggregates, Binder, Scope, Typed, WindowCall};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::types::DataType;

/// What a select list says: expressions with names, wildcards spelled out.
pub(super) fn expand(items: &[SelectItem], scope: &Scope) -> SqlResult<Vec<(Item, String)>> {
    let mut expanded = Vec::new();
    for item in items {
        match item {
            SelectItem::Expr { expr, alias } => {
                expanded.push((Item::Expr(expr.clone()), alias.clone().unwrap_or_else(|| name_of(expr))));
            }
            SelectItem::All(table) => {
                for column in scope.all(table.as_deref())? {
                    expanded.push((Item::Column(column.index, column.data_type), column.name.clone()));
                }
            }
        }
    }
    Ok(expanded)
}

/// An item of a select list.
pub(super) enum Item {
    Expr(ast::Expr),
    /// One that `*` stands for: where it is in the row.
    Column(usize, DataType),
}

impl Item {
    pub(super) fn bind(&self, binder: &mut Binder<'_>) -> SqlResult<Typed> {
        match self {
            Item::Expr(expr) => binder.bind(expr),
            Item::Column(index, data_type) => {
                Ok(Typed { expr: Expr::Column(*index), data_type: Some(*data_type) })
            }
        }
    }
}

/// A `SELECT` whose expressions are bound.
struct Bound {
    keys: Vec<Expr>,
    /// The select list, and behind it what is only sorted by, or told apart by.
    outputs: Vec<Expr>,
    columns: Vec<OutputColumn>,
    unknown: Vec<bool>,
    having: Option<Expr>,
    sort: Vec<SortKey>,
    /// Where the outputs are that `DISTINCT` looks at.
    distinct: Option<Vec<usize>>,
    calls: Vec<crate::bind::AggregateCall>,
    window_calls: Vec<WindowCall>,
}

/// Plans `select`, followed by what `query` says behind its body.
pub(super) fn plan_select(
    select: &Select,
    query: &Query,
    hints: &[Option<DataType>],
    planner: &mut Planner,
) -> SqlResult<QueryPlan> {
    let (rel, scope) = plan_from(&select.from, planner)?;
    let mut binder = Binder::new(&scope, planner, "WHERE");
    let filter = select.filter.as_ref().map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    let mut rel = rel.filter(filter);
    let unrolled = unroll_items(&select.items, rel.clone(), &scope, binder.planner)?;
    let (scope, select) = match unrolled {
        None => (scope.clone(), Cow::Borrowed(select)),
        Some((unrolled, scope, items)) => {
            rel = unrolled;
            (scope, Cow::Owned(Select { items, ..select.clone() }))
        }
    };
    let select = &*select;
    let mut binder = Binder::new(&scope, binder.planner, "WHERE");
    let Bound { keys, mut outputs, columns, unknown, mut having, sort, distinct, calls, mut window_calls } =
        bind(select, query, hints, &scope, &mut binder)?;
    let is_grouped = !keys.is_empty() || !select.group_by.is_empty() || !calls.is_empty() || having.is_some();
    if is_grouped {
        let mut groups = Groups::new(keys, &scope);
        outputs.iter_mut().chain(&mut having).try_for_each(|expr| groups.lift(expr))?;
        for call in &mut window_calls {
            groups.lift_window(call)?;
        }
        let (keys, at) = groups.finish();
        // Results stand behind the keys, whose number is known only now.
        let mut place = |expr: &mut Expr| place_results(expr, at);
        outputs.iter_mut().chain(&mut having).for_each(&mut place);
        for call in &mut window_calls {
            call.for_each_expr(&mut |expr| {
                place(expr);
                Ok(())
            })?;
            call.partition.iter_mut().for_each(&mut place);
            call.order.iter_mut().for_each(|key| place(&mut key.expr));
        }
        rel = Rel::Aggregate(Arc::new(Aggregate { input: rel, keys, calls })).filter(having);
    }
    let rel = plan_windows(rel, window_calls, &mut outputs);
    let width = columns.len();
    let mut rel = rel.project(outputs);
    if let Some(on) = distinct {
        let is_on = matches!(select.distinct, ast::Distinct::On(_));
        if is_on && !sort.is_empty() {
            // The first of each, in the order wanted.
            rel = Rel::Sort(Arc::new(super::rel::Sort { input: rel, keys: sort.clone(), top: None }));
        }
        rel = Rel::Distinct(Arc::new(Distinct { input: rel, columns: on }));
    }
    let rel = finish(rel, sort, query, width, planner)?;
    Ok(QueryPlan { rel, columns, unknown })
}

fn bind<'a>(
    select: &'a Select,
    query: &Query,
    hints: &[Option<DataType>],
    scope: &Scope,
    binder: &mut Binder<'a>,
) -> SqlResult<Bound> {
    let items = expand(&select.items, scope)?;
    binder.aggregates = Aggregates::Forbidden("GROUP BY");
    let mut keys = Vec::new();
    for key in &select.group_by {
        let bound = match group_key(key, &items, scope)? {
            Ok(key) => binder.value(key)?,
            Err(index) => Expr::Column(index),
        };
        if !keys.contains(&bound) {
            keys.push(bound);
        }
    }
    binder.aggregates = Aggregates::Allowed;
    binder.windows = Some(windows_of(select));
    let (mut outputs, mut columns, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (item, name)) in items.iter().enumerate() {
        let bound = item.bind(binder)?;
        unknown.push(bound.data_type.is_none());
        let hint = hints.get(index).copied().flatten();
        let data_type = bound.data_type.or(hint).unwrap_or(DataType::Text);
        outputs.push(binder.coerce_unknown(bound, data_type)?);
        columns.push(OutputColumn { name: name.clone(), data_type });
    }
    binder.windows = None;
    let having = select.having.as_ref().map(|having| binder.condition(having, "HAVING")).transpose()?;
    binder.windows = Some(windows_of(select));
    let sort = plan_sort(select, query, binder, &mut outputs, &columns)?;
    let distinct = plan_distinct(select, &sort, binder, &mut outputs, &columns)?;
    let calls = core::mem::take(&mut binder.calls);
    let window_calls = core::mem::take(&mut binder.window_calls);
    Ok(Bound { keys, outputs, columns, unknown, having, sort, distinct, calls, window_calls })
}

fn windows_of(select: &Select) -> &[(String, ast::Window)] {
    &select.windows
}

/// A `GROUP BY` key may be a position, or an output's name that is no column's. An output that `*` stands for is
/// where it is in the row.
fn group_key<'a>(
    key: &'a ast::Expr,
    items: &'a [(Item, String)],
    scope: &Scope,
) -> SqlResult<Result<&'a ast::Expr, usize>> {
    let item = match key {
        ast::Expr::Number(digits) => items.get(position(digits, items.len(), "GROUP BY")?),
        ast::Expr::Column { table: None, name, .. } if scope.find(None, name)?.is_none() => {
            items.iter().find(|(_, output)| output == name)
        }
        _ => None,
    };
    Ok(match item {
        None => Ok(key),
        Some((Item::Expr(expr), _)) => Ok(expr),
        Some((Item::Column(index, _), _)) => Err(*index),
    })
}

/// The index of the output at a position from 1.
pub(super) fn position(digits: &str, count: usize, clause: &str) -> SqlResult<usize> {
    match digits.parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Ok(number - 1),
        _ if digits.parse::<i64>().is_err() => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("non-integer constant in {clause}")))
        }
        _ => {
            let message = format!("{clause} position {digits} is not in select list");
            Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message))
        }
    }
}

fn plan_sort(
    select: &Select,
    query: &Query,
    binder: &mut Binder<'_>,
    outputs: &mut Vec<Expr>,
    columns: &[OutputColumn],
) -> SqlResult<Vec<SortKey>> {
    let mut sort: Vec<SortKey> = Vec::new();
    for key in &query.order_by {
        let column = output_for(&key.expr, "ORDER BY", binder, outputs, columns)?;
        if select.distinct == ast::Distinct::Yes && column >= columns.len() {
            let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        if sort.iter().all(|known| known.column != column) {
            sort.push(SortKey { column, descending: key.descending, nulls_first: key.nulls_first });
        }
    }
    Ok(sort)
}

/// Where the output is that `expr` means; it is added if there is none.
fn output_for(
    expr: &ast::Expr,
    clause: &str,
    binder: &mut Binder<'_>,
    outputs: &mut Vec<Expr>,
    columns: &[OutputColumn],
) -> SqlResult<usize> {
    if let ast::Expr::Number(digits) = expr {
        return position(digits, columns.len(), clause);
    }
    // A bare name is an output's before it is a column's.
    if let ast::Expr::Column { table: None, name, .. } = expr {
        let mut named = columns.iter().enumerate().filter(|(_, column)| column.name == *name);
        if let Some((first, _)) = named.next() {
            let is_ambiguous = named.any(|(other, _)| outputs.get(other) != outputs.get(first));
            if is_ambiguous {
                let message = format!("{clause} \"{name}\" is ambiguous");
                return Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message));
            }
            return Ok(first);
        }
    }
    let expr = binder.value(expr)?;
    Ok(outputs.iter().position(|output| *output == expr).unwrap_or_else(|| {
        outputs.push(expr);
        outputs.len() - 1
    }))
}

fn plan_distinct(
    select: &Select,
    sort: &[SortKey],
    binder: &mut Binder<'_>,
    outputs: &mut Vec<Expr>,
    columns: &[OutputColumn],
) -> SqlResult<Option<Vec<usize>>> {
    let exprs = match &select.distinct {
        ast::Distinct::No => return Ok(None),
        ast::Distinct::Yes => return Ok(Some((0..columns.len()).collect())),
        ast::Distinct::On(exprs) => exprs,
    };
    let mut on = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let column = output_for(expr, "DISTINCT ON", binder, outputs, columns)?;
        if !on.contains(&column) {
            on.push(column);
        }
    }
    if sort.iter().take(on.len()).any(|key| !on.contains(&key.column)) {
        let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    Ok(Some(on))
}

/// Puts the results of aggregates behind `keys` columns.
fn place_results(expr: &mut Expr, keys: usize) {
    expr.walk(&mut |expr| {
        if let Expr::Aggregate(index) = expr {
            *expr = Expr::Column(keys + *index);
        }
    });
}

/// Adds the window functions' results behind the columns of `rel`, and makes `outputs` see them.
fn plan_windows(mut rel: Rel, calls: Vec<WindowCall>, outputs: &mut [Expr]) -> Rel {
    let mut places = vec![0; calls.len()];
    let mut rest: Vec<(usize, WindowCall)> = calls.into_iter().enumerate().collect();
    while let Some((_, first)) = rest.first() {
        let (partition, order) = (first.partition.clone(), first.order.clone());
        let is_same = |(_, call): &(usize, WindowCall)| call.partition == partition && call.order == order;
        let (these, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_same);
        rest = others;
        let width = rel.width();
        let mut calls = Vec::with_capacity(these.len());
        for (at, (index, call)) in these.into_iter().enumerate() {
            if let Some(place) = places.get_mut(index) {
                *place = width + at;
            }
            calls.push(call);
        }
        rel = Rel::Window(Arc::new(Window { input: rel, partition, order, calls }));
    }
    for output in outputs {
        output.walk(&mut |expr| {
            if let Expr::Window(index) = expr {
                *expr = Expr::Column(places.get(*index).copied().unwrap_or(0));
            }
        });
    }
    rel
}
