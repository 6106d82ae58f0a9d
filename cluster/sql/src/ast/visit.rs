//! What a statement names, wherever.

use super::{
    Body, Call, ConflictUpdate, Copy, CopySource, Expr, FrameBound, From, InsertSource, JoinCondition,
    OrderBy, Over, Query, Select, SelectItem, Statement, TableName, Window, WithItem,
};

/// A name in a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name<'a> {
    /// Of a table, a view or a query of `WITH`.
    Table(&'a TableName),
    /// Of a function that is called: its schema, if given.
    Routine(Option<&'a str>, &'a str),
}

impl Name<'_> {
    /// Whether it may be that of the query that `WITH` calls `name`.
    pub(crate) fn may_be_query(self, name: &str) -> bool {
        matches!(self, Name::Table(table) if table.schema.is_none() && table.name == name)
    }
}

/// What is called with each name.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Name<'_>);

/// Calls `visit` with each name of a table or a view in `query`, which those of its `WITH` are not.
pub(crate) fn tables_of_query(query: &Query, visit: &mut dyn FnMut(&TableName)) {
    of_query(query, &mut |name| {
        let Name::Table(table) = name else { return };
        if table.schema.is_some() || query.with.iter().all(|with| with.name != table.name) {
            visit(table);
        }
    });
}

/// Calls `visit` with each name of a table, a view, a query of `WITH` or a function in `statement`.
pub(crate) fn names(statement: &Statement, visit: Visit<'_>) {
    match statement {
        Statement::Query(query) => of_query(query, visit),
        Statement::Insert(insert) => {
            visit(Name::Table(&insert.table));
            match &insert.source {
                InsertSource::Defaults => {}
                InsertSource::Values(rows) => of_exprs(rows.iter().flatten().flatten(), visit),
                InsertSource::Query(query) => of_query(query, visit),
            }
            if let Some(ConflictUpdate { assignments, filter }) =
                insert.on_conflict.as_ref().and_then(|on| on.update.as_ref())
            {
                of_exprs(assignments.iter().filter_map(|(_, expr)| expr.as_ref()).chain(filter), visit);
            }
            of_items(&insert.returning, visit);
        }
        Statement::Update(update) => {
            visit(Name::Table(&update.table));
            update.from.iter().for_each(|from| of_from(from, visit));
            let assigned = update.assignments.iter().filter_map(|(_, expr)| expr.as_ref());
            of_exprs(assigned.chain(&update.filter), visit);
            of_items(&update.returning, visit);
        }
        Statement::Delete(delete) => {
            visit(Name::Table(&delete.table));
            delete.using.iter().for_each(|from| of_from(from, visit));
            of_exprs(&delete.filter, visit);
            of_items(&delete.returning, visit);
        }
        Statement::With(with) => {
            with.items.iter().for_each(|item| of_with_item(item, visit));
            names(&with.statement, visit);
        }
        Statement::Copy(copy) => match &copy.source {
            CopySource::Table(name, _) => visit(Name::Table(name)),
            CopySource::Query(query) => of_query(query, visit),
        },
        Statement::Explain(explain) => names(&explain.statement, visit),
        Statement::Declare(declare) => of_query(&declare.query, visit),
        Statement::Call(call) => of_call(call, visit),
        _ => {}
    }
}

/// As [`names`], of what `WITH` names.
pub(crate) fn of_with_item(item: &WithItem, visit: Visit<'_>) {
    match item {
        WithItem::Query(cte) => of_query(&cte.query, visit),
        WithItem::Change { statement, .. } => names(statement, visit),
    }
}

/// Calls `visit` with each name of a table that `statement` changes.
pub(crate) fn changed_tables(statement: &Statement, visit: &mut dyn FnMut(&TableName)) {
    match statement {
        Statement::Insert(insert) => visit(&insert.table),
        Statement::Update(update) => visit(&update.table),
        Statement::Delete(delete) => visit(&delete.table),
        Statement::Copy(Copy { source: CopySource::Table(table, _), to: false, .. }) => visit(table),
        Statement::With(with) => {
            for item in &with.items {
                if let WithItem::Change { statement, .. } = item {
                    changed_tables(statement, visit);
                }
            }
            changed_tables(&with.statement, visit);
        }
        Statement::Explain(explain) => changed_tables(&explain.statement, visit),
        _ => {}
    }
}

/// As [`names`], of a query.
pub(crate) fn of_query(query: &Query, visit: Visit<'_>) {
    query.with.iter().for_each(|cte| of_query(&cte.query, visit));
    of_body(&query.body, visit);
    of_sort(&query.order_by, visit);
    of_exprs(query.limit.iter().chain(&query.offset), visit);
}

/// As [`names`], of a query's body.
pub(crate) fn of_body(body: &Body, visit: Visit<'_>) {
    match body {
        Body::Select(select) => of_select(select, visit),
        Body::Values(rows) => of_exprs(rows.iter().flatten(), visit),
        Body::Set(set) => {
            of_body(&set.left, visit);
            of_body(&set.right, visit);
        }
        Body::Query(query) => of_query(query, visit),
    }
}

fn of_select(select: &Select, visit: Visit<'_>) {
    select.from.iter().for_each(|from| of_from(from, visit));
    of_items(&select.items, visit);
    if let super::Distinct::On(exprs) = &select.distinct {
        of_exprs(exprs, visit);
    }
    of_exprs(select.filter.iter().chain(&select.group_by).chain(&select.having), visit);
    select.windows.iter().for_each(|(_, window)| of_window(window, visit));
}

fn of_from(from: &From, visit: Visit<'_>) {
    match from {
        From::Table { name, .. } => visit(Name::Table(name)),
        From::Function { name, arguments, .. } => {
            visit(Name::Routine(name.schema.as_deref(), &name.name));
            of_exprs(arguments, visit);
        }
        From::Query { query, .. } => of_query(query, visit),
        From::Join(join) => {
            of_from(&join.left, visit);
            of_from(&join.right, visit);
            if let JoinCondition::On(condition) = &join.condition {
                of_expr(condition, visit);
            }
        }
    }
}

fn of_items(items: &[SelectItem], visit: Visit<'_>) {
    for item in items {
        if let SelectItem::Expr { expr, .. } = item {
            of_expr(expr, visit);
        }
    }
}

fn of_sort(keys: &[OrderBy], visit: Visit<'_>) {
    keys.iter().for_each(|key| of_expr(&key.expr, visit));
}

fn of_window(window: &Window, visit: Visit<'_>) {
    of_exprs(&window.partition_by, visit);
    of_sort(&window.order_by, visit);
    let frame = window.frame.iter();
    for bound in frame.flat_map(|frame| [&frame.start, &frame.end]) {
        if let FrameBound::Preceding(expr) | FrameBound::Following(expr) = bound {
            of_expr(expr, visit);
        }
    }
}

fn of_exprs<'a>(exprs: impl IntoIterator<Item = &'a Expr>, visit: Visit<'_>) {
    exprs.into_iter().for_each(|expr| of_expr(expr, visit));
}

fn of_expr(expr: &Expr, visit: Visit<'_>) {
    match expr {
        Expr::Null | Expr::Bool(_) | Expr::Number(_) | Expr::Text(_) | Expr::Param(_) => {}
        Expr::Column { .. } => {}
        Expr::Unary(_, a) | Expr::IsNull(a, _) | Expr::IsBool(a, ..) | Expr::Cast(a, _) => of_expr(a, visit),
        Expr::Binary(_, a, b, _) | Expr::IsDistinct(a, b, _) => of_exprs([&**a, &**b], visit),
        Expr::And(all) | Expr::Or(all) | Expr::Row(all) => of_exprs(all, visit),
        Expr::In(a, list, _) => of_exprs(list.iter().chain([&**a]), visit),
        Expr::Between { expr, low, high, .. } => of_exprs([&**expr, &**low, &**high], visit),
        Expr::Like { expr, pattern, escape, .. } => {
            of_exprs([&**expr, &**pattern].into_iter().chain(escape.as_deref()), visit);
        }
        Expr::Case { operand, arms, otherwise } => {
            let arms = arms.iter().flat_map(|(condition, result)| [condition, result]);
            of_exprs(arms.chain(operand.as_deref()).chain(otherwise.as_deref()), visit);
        }
        Expr::Call(call) => of_call(call, visit),
        Expr::Subquery(query) | Expr::Exists(query) => of_query(query, visit),
        Expr::Array(all) => of_exprs(all, visit),
        Expr::Quantified(_, a, b, _) => of_exprs([&**a, &**b], visit),
        Expr::QuantifiedQuery(_, operand, query, _) => {
            of_expr(operand, visit);
            of_query(query, visit);
        }
    }
}

fn of_call(call: &Call, visit: Visit<'_>) {
    visit(Name::Routine(call.schema.as_deref(), &call.name));
    of_exprs(call.arguments.iter().chain(&call.filter), visit);
    of_sort(&call.order_by, visit);
    if let Some(Over::Window(window)) = &call.over {
        of_window(window, visit);
    }
}
