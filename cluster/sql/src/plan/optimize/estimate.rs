//! How many rows an operator may give, by rules of thumb.

use crate::plan::rel::{JoinType, Rel};

/// Rows of a table of which nothing is known.
const TABLE_ROWS: f64 = 10_000.0;

/// The part of the rows that a condition lets through of which nothing is known.
const SELECTIVITY: f64 = 0.3;

/// About how many rows `rel` gives.
pub(super) fn rows(rel: &Rel) -> f64 {
    match rel {
        Rel::Row => 1.0,
        Rel::Empty(_) => 0.0,
        Rel::Values(values) => values.rows.len() as f64,
        Rel::Scan(scan) => {
            let access = crate::access::Access::plan(&scan.table, scan.filter.as_ref());
            match () {
                _ if access.is_point() => 1.0,
                _ if !access.is_full() => TABLE_ROWS * 0.01,
                _ if scan.filter.is_some() => TABLE_ROWS * SELECTIVITY,
                _ => TABLE_ROWS,
            }
        }
        Rel::Live(_) | Rel::Settings => 20.0,
        Rel::System(_) => 200.0,
        Rel::Series(_) | Rel::Working(..) => 1_000.0,
        Rel::Unroll(unroll) => rows(&unroll.input) * 4.0,
        Rel::Shared(shared) => rows(&shared.input),
        Rel::Recursive(recursive) => rows(&recursive.base) * 10.0,
        Rel::Filter(filter) => rows(&filter.input) * SELECTIVITY,
        Rel::Project(project) => rows(&project.input),
        Rel::Join(join) => match join.join_type {
            JoinType::Semi | JoinType::Anti => rows(&join.left) * 0.5,
            _ if join.equal.is_empty() => rows(&join.left) * rows(&join.right),
            _ => rows(&join.left).max(rows(&join.right)),
        },
        Rel::Apply(apply) => match apply.join_type {
            JoinType::Semi | JoinType::Anti => rows(&apply.left) * 0.5,
            _ => rows(&apply.left) * rows(&apply.right).max(1.0),
        },
        Rel::Aggregate(aggregate) if aggregate.keys.is_empty() => 1.0,
        Rel::Aggregate(aggregate) => rows(&aggregate.input) * 0.1,
        Rel::Window(window) => rows(&window.input),
        Rel::Sort(sort) => rows(&sort.input),
        Rel::Distinct(distinct) => rows(&distinct.input) * 0.5,
        Rel::Limit(limit) => match &limit.limit {
            Some(crate::expr::Expr::Const(limit)) => limit.as_f64().unwrap_or(100.0),
            _ => 100.0,
        },
        Rel::Set(set) => rows(&set.left) + rows(&set.right),
    }
}
