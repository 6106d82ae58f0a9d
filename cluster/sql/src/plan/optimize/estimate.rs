//! How many rows an operator may give: by the statistics of `ANALYZE`, and by rules of thumb where there are none.

use crate::access::Access;
use crate::ast::BinaryOperator;
use crate::catalog::{ColumnStatistics, Returns, StoredTable, UNKNOWN_EQUAL};
use crate::exec::STATEMENT_MEMORY_MAX;
use crate::expr::Expr;
use crate::plan::rel::{Join, JoinType, Rel, Scan};
use crate::types::Datum;

/// The part of the rows that a condition lets through of which nothing is known.
const SELECTIVITY: f64 = 0.3;

/// The part of the rows whose values are different, of a column of which nothing is known.
const DISTINCT: f64 = 0.1;

/// What it costs to keep a row for others to find, or to be sorted, in rows that are read.
pub(super) const KEEP_COST: f64 = 2.0;

/// What it costs to let a row pass by those of another side.
const PASS_COST: f64 = 1.0;

/// About how many bytes of memory are taken by a row that is kept, and by each of its values.
const KEPT_ROW_LEN: f64 = 32.0;
const KEPT_VALUE_LEN: f64 = 16.0;

/// About how many rows `rel` gives.
pub(in crate::plan) fn rows(rel: &Rel) -> f64 {
    match rel {
        Rel::Row => 1.0,
        Rel::Empty(_) => 0.0,
        Rel::Values(values) => values.rows.len() as f64,
        Rel::Scan(scan) => scan_rows(scan),
        Rel::Live(_) | Rel::Settings => 20.0,
        Rel::System(_) => 200.0,
        Rel::Series(_) | Rel::Working(..) => 1_000.0,
        Rel::Called(called) if matches!(called.call.routine.descriptor.returns, Returns::Rows(_)) => 1_000.0,
        Rel::Called(_) => 1.0,
        Rel::Measured(measured) => rows(&measured.input),
        Rel::Unroll(unroll) => rows(&unroll.input) * 4.0,
        Rel::Shared(shared) => rows(&shared.input),
        Rel::Recursive(recursive) => rows(&recursive.base) * 10.0,
        Rel::Filter(filter) => {
            rows(&filter.input) * selectivity(&filter.predicate, &|at| column(&filter.input, at))
        }
        Rel::Project(project) => rows(&project.input),
        Rel::Join(join) => join_rows(join),
        Rel::Apply(apply) => match apply.join_type {
            JoinType::Semi | JoinType::Anti => rows(&apply.left) * 0.5,
            JoinType::Left => rows(&apply.left) * rows(&apply.right).max(1.0),
            _ => rows(&apply.left) * rows(&apply.right),
        },
        Rel::Aggregate(aggregate) => {
            let input = rows(&aggregate.input);
            let groups = aggregate.keys.iter().map(|key| distinct_of(&aggregate.input, input, key));
            groups.product::<f64>().min(input.max(1.0))
        }
        Rel::Window(window) => rows(&window.input),
        Rel::Sort(sort) => rows(&sort.input),
        Rel::Distinct(node) => {
            let input = rows(&node.input);
            let groups = node.columns.iter().map(|at| distinct_of(&node.input, input, &Expr::Column(*at)));
            groups.product::<f64>().min(input)
        }
        Rel::Limit(limit) => match &limit.limit {
            Some(Expr::Const(most)) => rows(&limit.input).min(most.as_f64().unwrap_or(100.0)),
            Some(_) => rows(&limit.input).min(100.0),
            None => rows(&limit.input),
        },
        Rel::Set(set) => rows(&set.left) + rows(&set.right),
    }
}

/// Whether another plan might have been chosen had the statistics of its tables been others.
pub(in crate::plan) fn weighs(rel: &Rel) -> bool {
    match rel {
        Rel::Join(_) | Rel::Apply(_) => true,
        Rel::Scan(scan) if !scan.access.is_point() && !scan.table.descriptor.indexes.is_empty() => true,
        other => other.inputs().into_iter().any(weighs),
    }
}

fn scan_rows(scan: &Scan) -> f64 {
    let all = scan.table.rows();
    let Some(filter) = &scan.filter else { return all };
    let some = all * selectivity(filter, &|at| scan.table.column_statistics(at));
    if Access::plan(&scan.table, Some(filter)).is_point() { some.min(1.0) } else { some }
}

fn join_rows(join: &Join) -> f64 {
    let (left, right) = (rows(&join.left), rows(&join.right));
    let equal = join
        .equal
        .iter()
        .map(|(a, b)| equality(distinct_of(&join.left, left, a), distinct_of(&join.right, right, b)));
    let width = join.left.width();
    let of_column = |at: usize| match at.checked_sub(width) {
        None => column(&join.left, at),
        Some(at) => column(&join.right, at),
    };
    let condition = join.condition.as_ref().map_or(1.0, |condition| selectivity(condition, &of_column));
    let inner = left * right * equal.product::<f64>() * condition;
    match join.join_type {
        JoinType::Inner => inner,
        JoinType::Left => inner.max(left),
        JoinType::Right => inner.max(right),
        JoinType::Full => inner.max(left).max(right),
        JoinType::Semi | JoinType::Anti => left * 0.5,
    }
}

/// The part of the pairs in which two columns are equal that have so many different values.
pub(super) fn equality(left: f64, right: f64) -> f64 {
    1.0 / left.max(right).max(1.0)
}

/// How many different values `expr` has in the rows of `rel`.
pub(super) fn distinct(rel: &Rel, expr: &Expr) -> f64 {
    distinct_of(rel, rows(rel), expr)
}

/// The same, of so many rows: to estimate them again for each expression would take twice as long with each join.
fn distinct_of(rel: &Rel, rows: f64, expr: &Expr) -> f64 {
    if expr.is_row_free() {
        return 1.0;
    }
    let known = match expr {
        Expr::Column(at) => origin(rel, *at).map(|(table, at)| match table.column_statistics(at) {
            Some(column) => column.distinct,
            None if is_key(table, at) => table.rows(),
            None => table.rows() * DISTINCT,
        }),
        _ => None,
    };
    known.unwrap_or(rows * DISTINCT).min(rows).max(1.0)
}

/// Whether no two rows of `table` have the same value in this column.
fn is_key(table: &StoredTable, at: usize) -> bool {
    matches!(table.descriptor.primary_key[..], [column] if usize::from(column) == at)
}

/// The column of a stored table that column `at` of `rel` shows, if it is one.
pub(in crate::plan) fn origin(rel: &Rel, at: usize) -> Option<(&StoredTable, usize)> {
    match rel {
        Rel::Scan(scan) => Some((&scan.table, at)),
        Rel::Filter(filter) => origin(&filter.input, at),
        Rel::Sort(sort) => origin(&sort.input, at),
        Rel::Limit(limit) => origin(&limit.input, at),
        Rel::Distinct(distinct) => origin(&distinct.input, at),
        Rel::Window(window) => origin(&window.input, at),
        Rel::Shared(shared) => origin(&shared.input, at),
        Rel::Measured(measured) => origin(&measured.input, at),
        Rel::Project(project) => match project.outputs.get(at) {
            Some(Expr::Column(at)) => origin(&project.input, *at),
            _ => None,
        },
        Rel::Aggregate(aggregate) => match aggregate.keys.get(at) {
            Some(Expr::Column(at)) => origin(&aggregate.input, *at),
            _ => None,
        },
        Rel::Join(join) => match at.checked_sub(join.left.width()) {
            None => origin(&join.left, at),
            Some(at) => origin(&join.right, at),
        },
        Rel::Apply(apply) => match at.checked_sub(apply.left.width()) {
            None => origin(&apply.left, at),
            Some(at) => origin(&apply.right, at),
        },
        _ => None,
    }
}

fn column(rel: &Rel, at: usize) -> Option<&ColumnStatistics> {
    let (table, at) = origin(rel, at)?;
    table.column_statistics(at)
}

/// The part of the rows for which `expr` holds, over columns of which this is known.
pub(crate) fn selectivity<'a>(expr: &Expr, known: &dyn Fn(usize) -> Option<&'a ColumnStatistics>) -> f64 {
    let of = |column: &Expr| match column {
        Expr::Column(at) => known(*at),
        _ => None,
    };
    match expr {
        Expr::And(all) => all.iter().map(|expr| selectivity(expr, known)).product(),
        Expr::Or(any) => 1.0 - any.iter().map(|expr| 1.0 - selectivity(expr, known)).product::<f64>(),
        Expr::Not(inner) => 1.0 - selectivity(inner, known),
        Expr::Const(Datum::Bool(true)) => 1.0,
        Expr::Const(_) => 0.0,
        Expr::IsNull(inner, negated) => match of(inner).map(|column| column.nulls) {
            Some(nulls) if *negated => 1.0 - nulls,
            Some(nulls) => nulls,
            None if *negated => 1.0 - UNKNOWN_EQUAL,
            None => UNKNOWN_EQUAL,
        },
        Expr::Compare(operator, left, right) => compare(*operator, left, right, &of),
        Expr::In(value, list, negated) => {
            let each = list.iter().map(|one| compare(BinaryOperator::Eq, value, one, &of));
            let part = each.sum::<f64>().min(1.0);
            if *negated { 1.0 - part } else { part }
        }
        Expr::Between(between, negated) => {
            let part = match (of(&between.expr), between.low.as_constant(), between.high.as_constant()) {
                (Some(column), Some(low), Some(high)) => column.between(Some(low), Some(high)),
                _ => UNKNOWN_EQUAL,
            };
            if *negated { 1.0 - part } else { part }
        }
        _ => SELECTIVITY,
    }
}

fn compare<'a>(
    operator: BinaryOperator,
    left: &Expr,
    right: &Expr,
    of: &dyn Fn(&Expr) -> Option<&'a ColumnStatistics>,
) -> f64 {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let (column, value, is_turned) = match (of(left), of(right)) {
        (Some(column), None) => (Some(column), right, false),
        (None, Some(column)) => (Some(column), left, true),
        _ => (None, right, false),
    };
    let value = value.as_constant();
    match (operator, column) {
        (Eq, Some(column)) => column.equal(value),
        (NotEq, Some(column)) => 1.0 - column.nulls - column.equal(value),
        (Eq, None) => UNKNOWN_EQUAL,
        (NotEq, None) => 1.0 - UNKNOWN_EQUAL,
        (Lt | LtEq | Gt | GtEq, Some(column)) if value.is_some() => {
            match matches!(operator, Lt | LtEq) != is_turned {
                true => column.between(None, value),
                false => column.between(value, None),
            }
        }
        _ => SELECTIVITY,
    }
}

/// About how long it takes to read what `rel` gives, in rows of a table that are read one after the other.
pub(super) fn cost(rel: &Rel) -> f64 {
    match rel {
        Rel::Scan(scan) if scan.access == Access::default() => {
            Access::plan(&scan.table, scan.filter.as_ref()).cost(&scan.table)
        }
        Rel::Scan(scan) => scan.access.cost(&scan.table),
        other => other.inputs().into_iter().map(cost).sum::<f64>() + rows(other),
    }
}

/// What it costs to keep the right of `join` and look the rows of the left up in it, if this part of them is looked at.
pub(super) fn hash_cost(join: &Join, share: f64) -> f64 {
    let kept = rows(&join.right);
    if kept * row_len(&join.right) > STATEMENT_MEMORY_MAX as f64 {
        return f64::INFINITY;
    }
    cost(&join.right) + kept * KEEP_COST + share * (cost(&join.left) + rows(&join.left))
}

/// What it costs to let both sides pass by each other, if this part of them is looked at.
pub(super) fn merge_cost(left: &Rel, right: &Rel, share: f64) -> f64 {
    share * (cost(left) + cost(right) + (rows(left) + rows(right)) * PASS_COST)
}

/// What it costs to sort what `rel` gives.
pub(super) fn sort_cost(rel: &Rel) -> f64 {
    rows(rel) * KEEP_COST
}

/// About how many bytes of memory a row of `rel` takes where it is kept for others to find.
fn row_len(rel: &Rel) -> f64 {
    let columns = match rel {
        Rel::Scan(scan) => scan.needed.iter().filter(|needed| **needed).count(),
        other => other.width(),
    };
    KEPT_ROW_LEN + columns as f64 * KEPT_VALUE_LEN
}
