//! Queries: `WITH`, set operations, lists of rows, and what is done with the rows of either.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::planner::{Named, NamedOrigin, Planner};
use super::rel::{Distinct, Limit, Recursive, Rel, RunId, Set, Sort, SortKey, Values};
use super::{OutputColumn, select};
use crate::ast::visit;
use crate::ast::{Body, Cte, Expr as AstExpr, Query, SetOperation, SetOperator};
use crate::bind::{Binder, Scope, Typed};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::types::DataType;

/// A planned query.
#[derive(Debug)]
pub(crate) struct QueryPlan {
    pub(crate) rel: Rel,
    pub(crate) columns: Vec<OutputColumn>,
    /// Which of the columns are text for want of anything that says otherwise.
    pub(crate) unknown: Vec<bool>,
}

impl QueryPlan {
    fn scope(&self) -> Scope {
        let columns = self.columns.iter().map(|column| (column.name.clone(), column.data_type)).collect();
        Scope::of(String::new(), columns)
    }
}

/// Plans `query`. `hints` are the types that columns should have of which nothing else says what they are.
pub(crate) fn plan_query(
    query: &Query,
    hints: &[Option<DataType>],
    planner: &mut Planner,
) -> SqlResult<QueryPlan> {
    let named = planner.named.len();
    let mut plan = || {
        for cte in &query.with {
            plan_cte(cte, query.recursive, named, planner)?;
        }
        match &query.body {
            Body::Select(select) => select::plan_select(select, query, hints, planner),
            body => {
                let plan = plan_body(body, hints, planner)?;
                let sort = sort_outputs(query, &plan, planner)?;
                let width = plan.columns.len();
                Ok(QueryPlan { rel: finish(plan.rel, sort, query, width, planner)?, ..plan })
            }
        }
    };
    let plan = plan();
    planner.named.truncate(named);
    plan
}

/// Sorts, cuts and narrows the rows of `rel` to `width` columns.
pub(super) fn finish(
    mut rel: Rel,
    sort: Vec<SortKey>,
    query: &Query,
    width: usize,
    planner: &mut Planner,
) -> SqlResult<Rel> {
    let limit = row_count(query.limit.as_ref(), "LIMIT", planner)?;
    let offset = row_count(query.offset.as_ref(), "OFFSET", planner)?;
    if !sort.is_empty() {
        let top = limit.is_some().then(|| (limit.clone(), offset.clone()));
        rel = Rel::Sort(Arc::new(Sort { input: rel, keys: sort, top }));
    }
    if limit.is_some() || offset.is_some() {
        rel = Rel::Limit(Arc::new(Limit { input: rel, limit, offset }));
    }
    Ok(rel.truncate(width))
}

fn row_count(expr: Option<&AstExpr>, clause: &'static str, planner: &mut Planner) -> SqlResult<Option<Expr>> {
    let Some(expr) = expr else { return Ok(None) };
    let scope = Scope::default();
    let refused = |error: SqlError| match error.state {
        SqlState::UNDEFINED_COLUMN => {
            let message = format!("argument of {clause} must not contain variables");
            SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
        }
        _ => error,
    };
    Binder::new(&scope, planner, clause).count(expr, clause).map(Some).map_err(refused)
}

/// `ORDER BY` of what is no `SELECT`: by its columns only.
fn sort_outputs(query: &Query, plan: &QueryPlan, planner: &mut Planner) -> SqlResult<Vec<SortKey>> {
    let scope = plan.scope();
    let mut keys = Vec::with_capacity(query.order_by.len());
    for key in &query.order_by {
        let column = match &key.expr {
            AstExpr::Number(digits) => select::position(digits, plan.columns.len(), "ORDER BY")?,
            expr => match Binder::new(&scope, planner, "ORDER BY").value(expr)? {
                Expr::Column(column) => column,
                _ => {
                    let message = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
                    return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                        .detail("Only result column names can be used, not expressions or functions."));
                }
            },
        };
        keys.push(SortKey { column, descending: key.descending, nulls_first: key.nulls_first });
    }
    Ok(keys)
}

fn plan_body(body: &Body, hints: &[Option<DataType>], planner: &mut Planner) -> SqlResult<QueryPlan> {
    match body {
        Body::Select(select) => {
            // What would follow a SELECT of its own is the whole query's.
            let bare = Query::of(Body::Values(Vec::new()));
            select::plan_select(select, &bare, hints, planner)
        }
        Body::Values(rows) => plan_values(rows, hints, planner),
        Body::Query(query) => plan_query(query, hints, planner),
        Body::Set(set) => plan_set(set, hints, planner),
    }
}

fn plan_values(
    rows: &[Vec<AstExpr>],
    hints: &[Option<DataType>],
    planner: &mut Planner,
) -> SqlResult<QueryPlan> {
    let scope = Scope::default();
    let mut binder = Binder::new(&scope, planner, "VALUES");
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != width) {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
    }
    let mut columns = Vec::with_capacity(width);
    let mut unknown = Vec::with_capacity(width);
    let mut bound_rows: Vec<Vec<Expr>> = rows.iter().map(|_| Vec::with_capacity(width)).collect();
    for index in 0..width {
        let column = rows.iter().filter_map(|row| row.get(index));
        let mut bound = column.map(|expr| binder.bind(expr)).collect::<SqlResult<Vec<_>>>()?;
        let is_unknown = bound.iter().all(|item| item.data_type.is_none());
        if let (true, Some(Some(hint))) = (is_unknown, hints.get(index)) {
            bound.push(Typed { expr: Expr::Const(crate::types::Datum::Null), data_type: Some(*hint) });
        }
        let (exprs, data_type) = binder.unify(bound, "VALUES")?;
        columns.push(OutputColumn { name: format!("column{}", index + 1), data_type });
        unknown.push(is_unknown);
        for (row, expr) in bound_rows.iter_mut().zip(exprs) {
            row.push(expr);
        }
    }
    let rel = Rel::Values(Arc::new(Values { rows: bound_rows, width }));
    Ok(QueryPlan { rel, columns, unknown })
}

fn plan_set(set: &SetOperation, hints: &[Option<DataType>], planner: &mut Planner) -> SqlResult<QueryPlan> {
    let SetOperation { operator, all, left, right } = set;
    let name = operator.name();
    let mut first = plan_body(left, hints, planner)?;
    let mut second = plan_body(right, hints, planner)?;
    if first.columns.len() != second.columns.len() {
        let message = format!("each {name} query must have the same number of columns");
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    // A side that leaves a type open takes the other's.
    let known = |plan: &QueryPlan| -> Vec<Option<DataType>> {
        let types = plan.columns.iter().zip(&plan.unknown);
        types.map(|(column, unknown)| (!unknown).then_some(column.data_type)).collect()
    };
    let opens = |plan: &QueryPlan, other: &QueryPlan| {
        plan.unknown.iter().zip(&other.unknown).any(|(open, other)| *open && !other)
    };
    if opens(&first, &second) {
        first = plan_body(left, &known(&second), planner)?;
    }
    if opens(&second, &first) {
        second = plan_body(right, &known(&first), planner)?;
    }
    let (columns, left, right) = unify(first, second, name, planner)?;
    let width = columns.len();
    let rel = Rel::Set(Arc::new(Set { operator: *operator, all: *all, left, right }));
    // The rows of both, each once: what is the same is seen behind them.
    let rel = match (operator, all) {
        (SetOperator::Union, false) => {
            Rel::Distinct(Arc::new(Distinct { input: rel, columns: (0..width).collect() }))
        }
        _ => rel,
    };
    Ok(QueryPlan { rel, columns, unknown: vec![false; width] })
}

/// Casts the columns of both to types that they have in common.
fn unify(
    first: QueryPlan,
    second: QueryPlan,
    name: &'static str,
    planner: &mut Planner,
) -> SqlResult<(Vec<OutputColumn>, Rel, Rel)> {
    let scope = Scope::default();
    let mut binder = Binder::new(&scope, planner, name);
    let (mut columns, mut lefts, mut rights) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (left, right)) in first.columns.into_iter().zip(&second.columns).enumerate() {
        let side =
            |column: &OutputColumn| Typed { expr: Expr::Column(index), data_type: Some(column.data_type) };
        let (exprs, data_type) = binder.unify(vec![side(&left), side(right)], name)?;
        let mut exprs = exprs.into_iter();
        lefts.extend(exprs.next());
        rights.extend(exprs.next());
        columns.push(OutputColumn { data_type, ..left });
    }
    let cast = |rel: Rel, outputs: Vec<Expr>| {
        let is_plain = outputs.iter().enumerate().all(|(at, output)| *output == Expr::Column(at));
        if is_plain { rel } else { rel.project(outputs) }
    };
    Ok((columns, cast(first.rel, lefts), cast(second.rel, rights)))
}

/// Plans what `WITH` names, so that it is known from here on. The list it is in begins at `first` of what is named.
pub(super) fn plan_cte(cte: &Cte, recursive: bool, first: usize, planner: &mut Planner) -> SqlResult<()> {
    check_unnamed(&cte.name, first, planner)?;
    let plan = match &cte.query.body {
        Body::Set(set) if recursive && reads_itself(cte) => plan_recursive(cte, set, planner)?,
        _ => plan_query(&cte.query, &[], planner)?,
    };
    let columns = rename(&cte.name, plan.columns, &cte.columns)?;
    let mut depends = false;
    plan.rel.clone().walk_exprs(&mut |expr| depends |= matches!(expr, Expr::Outer(_)))?;
    planner.uses.push(0);
    let origin = NamedOrigin::Query(planner.uses.len() - 1);
    let (name, rel, depth) = (cte.name.clone(), plan.rel, planner.levels.len());
    planner.named.push(Named { name, rel, columns, depth, depends, origin });
    Ok(())
}

/// 42712 if the list of `WITH` that begins at `first` has the name.
pub(super) fn check_unnamed(name: &str, first: usize, planner: &Planner) -> SqlResult<()> {
    if planner.named.iter().skip(first).any(|named| named.name == name) {
        let message = format!("WITH query name \"{name}\" specified more than once");
        return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
    }
    Ok(())
}

fn reads_itself(cte: &Cte) -> bool {
    let mut reads = false;
    visit::of_body(&cte.query.body, &mut |name| reads |= name.may_be_query(&cte.name));
    reads
}

/// The columns of `table` with new names for the first of them.
pub(super) fn rename(
    table: &str,
    columns: Vec<OutputColumn>,
    names: &[String],
) -> SqlResult<Vec<(String, DataType)>> {
    if names.len() > columns.len() {
        let (has, given) = (columns.len(), names.len());
        let message = format!("table \"{table}\" has {has} columns available but {given} columns specified");
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    let name = |(at, column): (usize, OutputColumn)| {
        (names.get(at).cloned().unwrap_or(column.name), column.data_type)
    };
    Ok(columns.into_iter().enumerate().map(name).collect())
}

fn plan_recursive(cte: &Cte, set: &SetOperation, planner: &mut Planner) -> SqlResult<QueryPlan> {
    let name = &cte.name;
    let not_recursive = |what: &str| {
        let message = format!("recursive query \"{name}\" {what}");
        Err(SqlError::new(SqlState::INVALID_RECURSION, message))
    };
    if set.operator != SetOperator::Union {
        return not_recursive("does not have the form non-recursive-term UNION [ALL] recursive-term");
    }
    if !cte.query.order_by.is_empty() || cte.query.limit.is_some() || cte.query.offset.is_some() {
        return Err(SqlError::not_supported("ORDER BY or LIMIT in a recursive query"));
    }
    let base = plan_body(&set.left, &[], planner)?;
    let id = planner.next_id();
    let width = base.columns.len();
    let columns = rename(name, base.columns.clone(), &cte.columns)?;
    let hints: Vec<Option<DataType>> = columns.iter().map(|(_, data_type)| Some(*data_type)).collect();
    planner.named.push(Named {
        name: name.clone(),
        rel: Rel::Working(RunId(id), width),
        columns,
        depth: planner.levels.len(),
        depends: false,
        origin: NamedOrigin::Recursion,
    });
    let step = plan_body(&set.right, &hints, planner);
    planner.named.pop();
    let step = step?;
    if step.columns.len() != width {
        let message = "each UNION query must have the same number of columns";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    for (at, (first, other)) in base.columns.iter().zip(&step.columns).enumerate() {
        if first.data_type != other.data_type {
            let message = format!(
                "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                at + 1,
                first.data_type.name(),
                other.data_type.name()
            );
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("Cast the output of the non-recursive term to the correct type."));
        }
    }
    let rel =
        Rel::Recursive(Arc::new(Recursive { id: RunId(id), base: base.rel, step: step.rel, all: set.all }));
    Ok(QueryPlan { rel, columns: base.columns, unknown: vec![false; width] })
}
