//! `EXISTS` and `IN` in a filter become joins that keep the left's rows: semi-joins, and anti-joins for `NOT EXISTS`.
//!
//! What of the subquery's filter depends on the rows around it becomes the join's condition. A subquery that depends
//! on them in any other way stays what it is. `NOT IN` stays too: one NULL makes all of it unknown.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ast::BinaryOperator;
use crate::error::SqlResult;
use crate::expr::{Expr, Subquery, SubqueryKind};
use crate::plan::rel::{Filter, Join, JoinMethod, JoinType, Rel};

pub(super) fn unnest(rel: Rel) -> SqlResult<Rel> {
    let rel = rel.map_inputs(&mut unnest)?;
    let Rel::Filter(node) = rel else { return Ok(rel) };
    let Filter { mut input, predicate } = Arc::unwrap_or_clone(node);
    let mut rest = Vec::new();
    for conjunct in predicate.into_conjuncts() {
        match as_join(input, conjunct)? {
            (joined, None) => input = joined,
            (same, Some(conjunct)) => {
                rest.push(conjunct);
                input = same;
            }
        }
    }
    Ok(input.filter(Expr::all_of(rest)))
}

/// The join that filters `left` as `conjunct` does; both as they were if there is none.
fn as_join(left: Rel, conjunct: Expr) -> SqlResult<(Rel, Option<Expr>)> {
    let (subquery, join_type) = match &conjunct {
        Expr::Subquery(subquery) => (subquery, JoinType::Semi),
        Expr::Not(inner) => match &**inner {
            Expr::Subquery(subquery) if subquery.kind == SubqueryKind::Exists => (subquery, JoinType::Anti),
            _ => return Ok((left, Some(conjunct))),
        },
        _ => return Ok((left, Some(conjunct))),
    };
    let width = left.width();
    match unnested(subquery, width)? {
        Some((right, condition)) => {
            let right = unnest(right)?;
            let (equal, condition, method) = (Vec::new(), Expr::all_of(condition), JoinMethod::Hash);
            let node = Join { join_type, left, right, equal, condition, method };
            Ok((Rel::Join(Arc::new(node)), None))
        }
        None => Ok((left, Some(conjunct))),
    }
}

/// A plan that does not depend on the rows around it, and what must hold for its rows behind theirs.
fn unnested(subquery: &Subquery, width: usize) -> SqlResult<Option<(Rel, Vec<Expr>)>> {
    let operands = match subquery.kind {
        SubqueryKind::Exists => &[][..],
        SubqueryKind::Quantified(BinaryOperator::Eq, false) => &subquery.operands,
        _ => return Ok(None),
    };
    if operands.iter().any(|operand| operand.has_subquery() || operand.varies()) {
        return Ok(None);
    }
    // What depends on the row is run for each, and so is what it leaves to chance.
    if subquery.varies() {
        return Ok(None);
    }
    let (right, outputs, own) = opened(&subquery.rel, operands.len());
    let mut conditions: Vec<Expr> = operands
        .iter()
        .zip(outputs)
        .map(|(operand, output)| {
            let output = over_left(output, subquery, width);
            Expr::Compare(BinaryOperator::Eq, operand.clone().into(), output.into())
        })
        .collect();
    let (depends, free): (Vec<Expr>, Vec<Expr>) = own.into_iter().partition(depends);
    for conjunct in depends {
        conditions.push(over_left(conjunct, subquery, width));
    }
    let mut right = right.filter(Expr::all_of(free));
    let mut is_free = true;
    right.walk_exprs(&mut |expr| is_free &= !matches!(expr, Expr::Outer(_)))?;
    Ok(is_free.then_some((right, conditions)))
}

/// What is over the subquery's rows, and sees the row around it, as an expression over both rows: that one first.
fn over_left(expr: Expr, subquery: &Subquery, width: usize) -> Expr {
    let mut expr = expr.shifted_up(width);
    expr.replace(&mut |expr| match expr {
        Expr::Outer(index) => subquery.outer.get(*index).cloned(),
        _ => None,
    });
    expr
}

fn depends(expr: &Expr) -> bool {
    expr.any(&mut |expr| matches!(expr, Expr::Outer(_)))
}

/// The rows that `rel` is made of, its first columns over these, and what must hold for them; `rel` itself if it does
/// more than project and filter. Without columns, only whether there are rows matters.
fn opened(rel: &Rel, columns: usize) -> (Rel, Vec<Expr>, Vec<Expr>) {
    let mut outputs: Vec<Expr> = (0..columns).map(Expr::Column).collect();
    let mut inner = rel;
    loop {
        match inner {
            Rel::Project(project) => {
                outputs = outputs.into_iter().map(|output| output.over_inputs(&project.outputs)).collect();
                inner = &project.input;
            }
            Rel::Sort(sort) if sort.top.is_none() => inner = &sort.input,
            Rel::Distinct(distinct) if columns == 0 => inner = &distinct.input,
            _ => break,
        }
    }
    let volatile = outputs.iter().any(|output| output.has_subquery() || output.is_volatile());
    match inner {
        _ if volatile => (rel.clone(), (0..columns).map(Expr::Column).collect(), Vec::new()),
        Rel::Filter(filter) => (filter.input.clone(), outputs, filter.predicate.clone().into_conjuncts()),
        other => (other.clone(), outputs, Vec::new()),
    }
}
