//! Filters go down to where their columns come from.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ast::BinaryOperator;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Aggregate, Distinct, Filter, Join, JoinType, Project, Rel, Scan, Set, Sort};

pub(super) fn push_down(rel: Rel) -> SqlResult<Rel> {
    push(rel, Vec::new())
}

/// `rel` filtered by all of `conjuncts`, which see its columns.
fn push(rel: Rel, mut conjuncts: Vec<Expr>) -> SqlResult<Rel> {
    match rel {
        Rel::Filter(node) => {
            let Filter { input, predicate } = Arc::unwrap_or_clone(node);
            conjuncts.extend(predicate.into_conjuncts());
            push(input, conjuncts)
        }
        Rel::Project(node) => push_through_project(Arc::unwrap_or_clone(node), conjuncts),
        Rel::Join(node) => push_into_join(Arc::unwrap_or_clone(node), conjuncts),
        Rel::Aggregate(node) => push_through_groups(Arc::unwrap_or_clone(node), conjuncts),
        Rel::Scan(node) => {
            let mut scan: Scan = Arc::unwrap_or_clone(node);
            conjuncts.extend(scan.filter.take().map_or_else(Vec::new, Expr::into_conjuncts));
            scan.filter = Expr::all_of(conjuncts);
            Ok(Rel::Scan(Arc::new(scan)))
        }
        Rel::Sort(node) if node.top.is_none() => {
            let Sort { input, keys, top } = Arc::unwrap_or_clone(node);
            Ok(Rel::Sort(Arc::new(Sort { input: push(input, conjuncts)?, keys, top })))
        }
        Rel::Distinct(node) => {
            let Distinct { input, columns } = Arc::unwrap_or_clone(node);
            let (below, above) =
                split(conjuncts, |expr| expr.sees_only(|at| columns.contains(&at)) && !expr.is_volatile());
            let input = push(input, below)?;
            Ok(filtered(Rel::Distinct(Arc::new(Distinct { input, columns })), above))
        }
        Rel::Set(node) if node.all || !conjuncts.iter().any(Expr::is_volatile) => {
            let Set { operator, all, left, right } = Arc::unwrap_or_clone(node);
            let left = push(left, conjuncts.clone())?;
            let right = push(right, conjuncts)?;
            Ok(Rel::Set(Arc::new(Set { operator, all, left, right })))
        }
        other => Ok(filtered(other.map_inputs(&mut |input| push(input, Vec::new()))?, conjuncts)),
    }
}

fn filtered(rel: Rel, conjuncts: Vec<Expr>) -> Rel {
    rel.filter(Expr::all_of(conjuncts))
}

fn split(exprs: Vec<Expr>, is_first: impl FnMut(&Expr) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    exprs.into_iter().partition(is_first)
}

fn push_through_project(node: Project, conjuncts: Vec<Expr>) -> SqlResult<Rel> {
    let Project { input, outputs } = node;
    // What a filter would compute a second time is not pushed if that may be long, or not the same.
    let is_cheap =
        |at: usize| outputs.get(at).is_some_and(|output| !output.has_subquery() && !output.is_volatile());
    let (below, above) = split(conjuncts, |expr| expr.sees_only(is_cheap));
    let below = below.into_iter().map(|expr| expr.over_inputs(&outputs)).collect();
    let input = push(input, below)?;
    Ok(filtered(input.project(outputs), above))
}

fn push_through_groups(node: Aggregate, conjuncts: Vec<Expr>) -> SqlResult<Rel> {
    let Aggregate { input, keys, calls } = node;
    // Without keys there is one group whatever the rows are.
    let is_stable = !keys.iter().any(Expr::is_volatile);
    let (below, above) = split(conjuncts, |expr| {
        is_stable
            && !keys.is_empty()
            && !expr.is_row_free()
            && expr.sees_only(|at| at < keys.len())
            && !expr.has_subquery()
            && !expr.is_volatile()
    });
    let below = below.into_iter().map(|expr| expr.over_inputs(&keys)).collect();
    let input = push(input, below)?;
    Ok(filtered(Rel::Aggregate(Arc::new(Aggregate { input, keys, calls })), above))
}

fn push_into_join(mut node: Join, conjuncts: Vec<Expr>) -> SqlResult<Rel> {
    let width = node.left.width();
    node.join_type = simplified(node.join_type, &conjuncts, width);
    let on = node.condition.take().map_or_else(Vec::new, Expr::into_conjuncts);
    // What is left to chance is so for each pair of rows.
    let of_left = |expr: &Expr| expr.sees_only(|at| at < width) && !(expr.is_row_free() && expr.varies());
    let of_right = |expr: &Expr| !expr.is_row_free() && expr.sees_only(|at| at >= width);
    let (mut left, mut right, mut above, mut matching) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    match node.join_type {
        JoinType::Inner => {
            for expr in conjuncts.into_iter().chain(on) {
                match () {
                    _ if of_left(&expr) => left.push(expr),
                    _ if of_right(&expr) => right.push(expr),
                    _ => matching.push(expr),
                }
            }
        }
        JoinType::Left | JoinType::Semi | JoinType::Anti => {
            (left, above) = split(conjuncts, of_left);
            (right, matching) = split(on, of_right);
        }
        JoinType::Right => {
            (right, above) = split(conjuncts, of_right);
            (left, matching) = split(on, |expr| !expr.is_row_free() && of_left(expr));
        }
        JoinType::Full => (above, matching) = (conjuncts, on),
    }
    let mut rest = Vec::new();
    for expr in matching {
        match equality(expr, width) {
            Ok(pair) => node.equal.push(pair),
            Err(expr) => rest.push(expr),
        }
    }
    node.condition = Expr::all_of(rest);
    node.left = push(node.left, left)?;
    node.right = push(node.right, right.into_iter().map(|expr| expr.shifted_down(width)).collect())?;
    Ok(filtered(Rel::Join(Arc::new(node)), above))
}

/// What must be equal on both sides for `expr` to hold, if it says no more.
pub(super) fn equality(expr: Expr, width: usize) -> Result<(Expr, Expr), Expr> {
    let Expr::Compare(BinaryOperator::Eq, first, second) = expr else { return Err(expr) };
    let is_left = |expr: &Expr| !expr.is_row_free() && expr.sees_only(|at| at < width);
    let is_right = |expr: &Expr| !expr.is_row_free() && expr.sees_only(|at| at >= width);
    let is_plain = |expr: &Expr| !expr.has_subquery() && !expr.varies();
    match () {
        _ if !is_plain(&first) || !is_plain(&second) => {}
        _ if is_left(&first) && is_right(&second) => return Ok((*first, second.shifted_down(width))),
        _ if is_right(&first) && is_left(&second) => return Ok((*second, first.shifted_down(width))),
        _ => {}
    }
    Err(Expr::Compare(BinaryOperator::Eq, first, second))
}

/// A join whose rows without a match no filter above lets through need not keep them.
fn simplified(join_type: JoinType, conjuncts: &[Expr], width: usize) -> JoinType {
    let drops_left_nulls = conjuncts.iter().any(|expr| rejects_nulls(expr, &|at| at < width));
    let drops_right_nulls = conjuncts.iter().any(|expr| rejects_nulls(expr, &|at| at >= width));
    match join_type {
        JoinType::Left if drops_right_nulls => JoinType::Inner,
        JoinType::Right if drops_left_nulls => JoinType::Inner,
        JoinType::Full => match (drops_left_nulls, drops_right_nulls) {
            (true, true) => JoinType::Inner,
            (true, false) => JoinType::Left,
            (false, true) => JoinType::Right,
            (false, false) => JoinType::Full,
        },
        other => other,
    }
}

/// Whether `expr` does not hold if the columns that are `within` are all NULL.
fn rejects_nulls(expr: &Expr, within: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::And(all) => all.iter().any(|expr| rejects_nulls(expr, within)),
        Expr::Or(any) => any.iter().all(|expr| rejects_nulls(expr, within)),
        Expr::Compare(_, a, b) => is_null_of(a, within) || is_null_of(b, within),
        Expr::IsNull(inner, true) => is_null_of(inner, within),
        Expr::In(inner, ..) => is_null_of(inner, within),
        Expr::Between(between, _) => is_null_of(&between.expr, within),
        Expr::Like(like) => is_null_of(&like.expr, within),
        Expr::Column(_) => is_null_of(expr, within),
        _ => false,
    }
}

/// Whether `expr` is NULL if the columns that are `within` are all NULL.
fn is_null_of(expr: &Expr, within: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::Column(index) => within(*index),
        Expr::Call(function, arguments) if function.is_strict() => {
            arguments.iter().any(|argument| is_null_of(argument, within))
        }
        Expr::Cast(inner, _) | Expr::Resize(inner, ..) => is_null_of(inner, within),
        _ => false,
    }
}
