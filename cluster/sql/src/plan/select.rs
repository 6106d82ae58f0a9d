//! Queries.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::{OutputColumn, Relation};
use crate::access::Access;
use crate::ast::{self, From, Select, SelectItem};
use crate::bind::{AggregateCall, Aggregates, Binder, Params, Scope};
use crate::catalog::StoredTable;
use crate::database::LiveTable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::types::{DataType, Datum};

/// Where rows come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// One row without columns.
    Nothing,
    Table {
        table: Arc<StoredTable>,
        access: Access,
        /// Which columns are looked at.
        needed: Vec<bool>,
        /// By descending key.
        backward: bool,
    },
    Live(&'static LiveTable),
    /// `sys.settings`
    Settings,
    /// `generate_series`: start, stop, step.
    Series([Expr; 3], DataType),
    Values(Vec<Vec<Expr>>),
}

/// `GROUP BY` and aggregates. What follows sees the keys, then the results.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) keys: Vec<Expr>,
    pub(crate) calls: Vec<AggregateCall>,
    pub(crate) having: Option<Expr>,
}

/// A key to sort by: an output, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) output: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A query. Rows pass through its fields from top to bottom.
#[derive(Debug)]
pub(crate) struct SelectPlan {
    pub(crate) source: Source,
    pub(crate) filter: Option<Expr>,
    pub(crate) aggregation: Option<Aggregation>,
    /// The select list, and behind it what is only sorted by.
    pub(crate) outputs: Vec<Expr>,
    pub(crate) distinct: bool,
    pub(crate) sort: Vec<SortKey>,
    pub(crate) offset: Option<Expr>,
    pub(crate) limit: Option<Expr>,
    /// The outputs that are seen.
    pub(crate) columns: Vec<OutputColumn>,
}

/// What a select list says: expressions with names, wildcards spelled out.
fn expand(items: &[SelectItem], scope: &Scope) -> SqlResult<Vec<(ast::Expr, String)>> {
    let mut expanded = Vec::new();
    for item in items {
        match item {
            SelectItem::Expr { expr, alias } => {
                expanded.push((expr.clone(), alias.clone().unwrap_or_else(|| name_of(expr))));
            }
            SelectItem::All(table) => {
                if let Some(table) = table {
                    scope.table(table)?;
                } else if scope.tables.is_empty() {
                    let message = "SELECT * with no tables specified is not valid";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                let columns = scope
                    .columns()
                    .filter(|(known, _)| table.as_ref().is_none_or(|table| known.name == *table));
                for (known, name) in columns {
                    let (table, name) = (Some(known.name.clone()), String::from(name));
                    let column = ast::Expr::Column { table, name: name.clone(), position: None };
                    expanded.push((column, name));
                }
            }
        }
    }
    Ok(expanded)
}

/// The name Postgres gives an output that has none.
fn name_of(expr: &ast::Expr) -> String {
    match expr {
        ast::Expr::Column { name, .. } => name.clone(),
        ast::Expr::Call(call) => call.name.clone(),
        ast::Expr::Cast(inner, data_type) => match name_of(inner) {
            name if name == "?column?" => match data_type {
                DataType::Bool => "bool".into(),
                DataType::Int4 => "int4".into(),
                DataType::Int8 => "int8".into(),
                DataType::Float8 => "float8".into(),
                DataType::Text => "text".into(),
                DataType::Timestamp => "timestamp".into(),
            },
            name => name,
        },
        ast::Expr::Case { otherwise, .. } => match otherwise.as_deref().map(name_of) {
            Some(name) if name != "?column?" => name,
            _ => "case".into(),
        },
        ast::Expr::Bool(_) => "bool".into(),
        _ => "?column?".into(),
    }
}

/// Plans `RETURNING` as a query without a source: its rows are handed to it.
pub(crate) fn plan_returning(
    items: &[SelectItem],
    scope: &Scope,
    params: &mut Params,
) -> SqlResult<Option<SelectPlan>> {
    if items.is_empty() {
        return Ok(None);
    }
    let mut binder =
        Binder { scope, params, aggregates: Aggregates::Forbidden("RETURNING"), calls: Vec::new() };
    let (mut outputs, mut columns) = (Vec::new(), Vec::new());
    for (expr, name) in expand(items, scope)? {
        let (expr, data_type) = binder.output(&expr)?;
        outputs.push(expr);
        columns.push(OutputColumn { name, data_type });
    }
    Ok(Some(SelectPlan {
        source: Source::Nothing,
        filter: None,
        aggregation: None,
        outputs,
        distinct: false,
        sort: Vec::new(),
        offset: None,
        limit: None,
        columns,
    }))
}

/// Plans a query over `relation`.
pub(crate) fn plan_select(select: &Select, relation: Relation, params: &mut Params) -> SqlResult<SelectPlan> {
    let (scope, mut source) = plan_from(&select.from, relation, params)?;
    let mut binder =
        Binder { scope: &scope, params, aggregates: Aggregates::Forbidden("WHERE"), calls: Vec::new() };
    let filter = select.filter.as_ref().map(|filter| binder.condition(filter, "WHERE")).transpose()?;
    let items = expand(&select.items, &scope)?;
    binder.aggregates = Aggregates::Forbidden("GROUP BY");
    let mut keys = Vec::new();
    for key in &select.group_by {
        keys.push(binder.value(group_key(key, &items, &scope)?)?);
    }
    binder.aggregates = Aggregates::Allowed;
    let (mut outputs, mut columns) = (Vec::new(), Vec::new());
    for (expr, name) in &items {
        let (expr, data_type) = binder.output(expr)?;
        outputs.push(expr);
        columns.push(OutputColumn { name: name.clone(), data_type });
    }
    let having = select.having.as_ref().map(|having| binder.condition(having, "HAVING")).transpose()?;
    let sort = plan_sort(select, &mut binder, &mut outputs, &columns)?;
    binder.aggregates = Aggregates::Forbidden("LIMIT");
    let limit = select.limit.as_ref().map(|limit| binder.count(limit, "LIMIT")).transpose()?;
    let offset = select.offset.as_ref().map(|offset| binder.count(offset, "OFFSET")).transpose()?;
    for bound in [&limit, &offset].into_iter().flatten() {
        if !bound.is_row_free() {
            let message = "argument of LIMIT must not contain variables";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
    }
    let calls = core::mem::take(&mut binder.calls);
    let mut plan = SelectPlan {
        source: Source::Nothing,
        filter,
        aggregation: None,
        outputs,
        distinct: select.distinct,
        sort,
        offset,
        limit,
        columns,
    };
    if !keys.is_empty() || !calls.is_empty() || having.is_some() {
        aggregate(&mut plan, Aggregation { keys, calls, having }, &scope)?;
    }
    plan_access(&mut plan, &mut source);
    plan.source = source;
    Ok(plan)
}

fn plan_from(from: &From, relation: Relation, params: &mut Params) -> SqlResult<(Scope, Source)> {
    match from {
        From::Nothing => Ok((Scope::default(), Source::Nothing)),
        From::Table { name, alias, columns } => {
            let mut scope = relation.scope(alias.clone().unwrap_or_else(|| name.name.clone()));
            let known = scope.tables.iter_mut().flat_map(|table| &mut table.columns);
            for ((known, _), renamed) in known.zip(columns) {
                known.clone_from(renamed);
            }
            let source = match relation {
                Relation::Stored(table) => {
                    let needed = vec![true; table.types.len()];
                    Source::Table { table, access: Access::default(), needed, backward: false }
                }
                Relation::Live(table) => Source::Live(table),
                Relation::Settings => Source::Settings,
                Relation::Nothing => Source::Nothing,
            };
            Ok((scope, source))
        }
        From::Series { arguments, alias, column } => plan_series(arguments, alias, column, params),
        From::Values(rows) => plan_values(rows, params),
    }
}

fn plan_series(
    arguments: &[ast::Expr],
    alias: &Option<String>,
    column: &Option<String>,
    params: &mut Params,
) -> SqlResult<(Scope, Source)> {
    let aggregates = Aggregates::Forbidden("functions in FROM");
    let mut binder = Binder { scope: &Scope::default(), params, aggregates, calls: Vec::new() };
    let mut exprs = Vec::new();
    let mut data_type = DataType::Int4;
    for argument in arguments {
        let bound = binder.bind(argument)?;
        match bound.data_type {
            Some(DataType::Int8) => data_type = DataType::Int8,
            None | Some(DataType::Int4) => {}
            _ => return Err(SqlError::not_supported("generate_series of anything but integers")),
        }
        exprs.push(binder.coerce_unknown(bound, DataType::Int4)?);
    }
    if exprs.len() == 2 {
        exprs.push(Expr::Const(Datum::Int4(1)));
    }
    let exprs: [Expr; 3] = exprs.try_into().map_err(|_| {
        SqlError::new(SqlState::UNDEFINED_FUNCTION, "generate_series takes two or three arguments")
    })?;
    let table = alias.clone().unwrap_or_else(|| "generate_series".into());
    let column = column.clone().unwrap_or_else(|| table.clone());
    Ok((Scope::of(table, vec![(column, data_type)]), Source::Series(exprs, data_type)))
}

fn plan_values(rows: &[Vec<ast::Expr>], params: &mut Params) -> SqlResult<(Scope, Source)> {
    let mut binder = Binder {
        scope: &Scope::default(),
        params,
        aggregates: Aggregates::Forbidden("VALUES"),
        calls: Vec::new(),
    };
    let width = rows.first().map_or(0, Vec::len);
    let mut columns = vec![Vec::new(); width];
    for row in rows {
        if row.len() != width {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
        }
        for (column, expr) in columns.iter_mut().zip(row) {
            column.push(expr);
        }
    }
    let mut named = Vec::new();
    let mut bound_rows: Vec<Vec<Expr>> = rows.iter().map(|_| Vec::with_capacity(width)).collect();
    for (index, column) in columns.into_iter().enumerate() {
        let bound = column.into_iter().map(|expr| binder.bind(expr)).collect::<SqlResult<Vec<_>>>()?;
        let (exprs, data_type) = binder.unify(bound, "VALUES")?;
        named.push((format!("column{}", index + 1), data_type));
        for (row, expr) in bound_rows.iter_mut().zip(exprs) {
            row.push(expr);
        }
    }
    Ok((Scope::of("*VALUES*".into(), named), Source::Values(bound_rows)))
}

/// A `GROUP BY` key may be a position, or an output's name that is no column's.
fn group_key<'a>(
    key: &'a ast::Expr,
    items: &'a [(ast::Expr, String)],
    scope: &Scope,
) -> SqlResult<&'a ast::Expr> {
    match key {
        ast::Expr::Number(digits) => position(digits, items.len(), "GROUP BY").and_then(|at| {
            items.get(at).map(|(expr, _)| expr).ok_or_else(|| SqlError::not_supported("this GROUP BY"))
        }),
        ast::Expr::Column { table: None, name, .. } if scope.columns().all(|(_, column)| column != name) => {
            Ok(items.iter().find(|(_, output)| output == name).map_or(key, |(expr, _)| expr))
        }
        _ => Ok(key),
    }
}

/// The index of the output at a position from 1.
fn position(digits: &str, count: usize, clause: &str) -> SqlResult<usize> {
    match digits.parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Ok(number - 1),
        _ => {
            let message = format!("{clause} position {digits} is not in select list");
            Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message))
        }
    }
}

fn plan_sort(
    select: &Select,
    binder: &mut Binder<'_>,
    outputs: &mut Vec<Expr>,
    columns: &[OutputColumn],
) -> SqlResult<Vec<SortKey>> {
    let mut sort = Vec::new();
    for key in &select.order_by {
        let output = match &key.expr {
            ast::Expr::Number(digits) => position(digits, columns.len(), "ORDER BY")?,
            expr => match sort_output(expr, columns)? {
                Some(output) => output,
                None => {
                    let expr = binder.value(expr)?;
                    outputs.iter().position(|output| *output == expr).unwrap_or_else(|| {
                        outputs.push(expr);
                        outputs.len() - 1
                    })
                }
            },
        };
        if select.distinct && output >= columns.len() {
            let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        sort.push(SortKey { output, descending: key.descending, nulls_first: key.nulls_first });
    }
    Ok(sort)
}

/// The output that a bare name means, which goes before any column of that name.
fn sort_output(expr: &ast::Expr, columns: &[OutputColumn]) -> SqlResult<Option<usize>> {
    let ast::Expr::Column { table: None, name, .. } = expr else { return Ok(None) };
    Ok(columns.iter().position(|column| column.name == *name))
}

/// Makes what follows the aggregation see its rows: keys, then results.
fn aggregate(plan: &mut SelectPlan, mut aggregation: Aggregation, scope: &Scope) -> SqlResult<()> {
    let keys = core::mem::take(&mut aggregation.keys);
    for expr in plan.outputs.iter_mut().chain(aggregation.having.iter_mut()) {
        above_groups(expr, &keys, scope)?;
    }
    aggregation.keys = keys;
    plan.aggregation = Some(aggregation);
    Ok(())
}

fn above_groups(expr: &mut Expr, keys: &[Expr], scope: &Scope) -> SqlResult<()> {
    if let Some(key) = keys.iter().position(|key| key == expr) {
        *expr = Expr::Column(key);
        return Ok(());
    }
    match expr {
        Expr::Aggregate(index) => {
            *expr = Expr::Column(keys.len() + *index);
            Ok(())
        }
        Expr::Column(index) => {
            let name = scope.name_of(*index);
            let message = format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            );
            Err(SqlError::new(SqlState::GROUPING_ERROR, message))
        }
        other => other.for_each_child(|child| above_groups(child, keys, scope)),
    }
}

/// Decides how the table is read: which keys, which columns, and which way, if that saves the sort.
fn plan_access(plan: &mut SelectPlan, source: &mut Source) {
    let Source::Table { table, access, needed, backward } = source else { return };
    *access = Access::plan(&table.descriptor, plan.filter.as_ref());
    needed.fill(false);
    let mut mark = |expr: &Expr| {
        expr.clone().walk(&mut |expr| {
            if let Expr::Column(index) = expr
                && let Some(needed) = needed.get_mut(*index)
            {
                *needed = true;
            }
        });
    };
    plan.filter.iter().for_each(&mut mark);
    match &plan.aggregation {
        None => plan.outputs.iter().for_each(&mut mark),
        Some(aggregation) => {
            aggregation.keys.iter().for_each(&mut mark);
            aggregation.calls.iter().flat_map(|call| &call.arguments).for_each(&mut mark);
        }
    }
    if plan.aggregation.is_none()
        && !plan.distinct
        && let Some(descending) = sorted_by_key(plan, table, access)
    {
        *backward = descending;
        plan.sort.clear();
        // What was only sorted by is no longer wanted.
        plan.outputs.truncate(plan.columns.len());
    }
}

/// Whether the keys' order is the one wanted: forwards or, if true, backwards.
fn sorted_by_key(plan: &SelectPlan, table: &StoredTable, access: &Access) -> Option<bool> {
    let descending = plan.sort.first()?.descending;
    let fixed = access.fixed_columns();
    let mut key =
        table.descriptor.primary_key.iter().map(|column| usize::from(*column)).enumerate().peekable();
    for sort in &plan.sort {
        let Expr::Column(column) = plan.outputs.get(sort.output)? else { return None };
        // Columns fixed by the filter are in any order.
        while key.next_if(|(index, next)| *index < fixed && next != column).is_some() {}
        let (_, next) = key.next()?;
        if next != *column || sort.descending != descending {
            return None;
        }
    }
    Some(descending)
}
