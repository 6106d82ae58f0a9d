//! A join with few rows on its left looks the matches of each up by key instead of reading all of the right.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::estimate::{cost, rows};
use crate::access::Access;
use crate::ast::BinaryOperator;
use crate::error::SqlResult;
use crate::expr::Expr;
use crate::plan::rel::{Apply, Join, JoinType, Rel, Scan};

/// What it costs to look something up, beside reading the rows it leads to.
const LOOKUP_COST: f64 = 8.0;

pub(super) fn lookup(rel: Rel) -> SqlResult<Rel> {
    let rel = rel.map_inputs(&mut lookup)?;
    let Rel::Join(node) = rel else { return Ok(rel) };
    match as_lookup(&node) {
        Some(apply) => Ok(Rel::Apply(Arc::new(apply))),
        None => Ok(Rel::Join(node)),
    }
}

fn as_lookup(join: &Join) -> Option<Apply> {
    let kept = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Semi | JoinType::Anti);
    let Rel::Scan(scan) = &join.right else { return None };
    let LookUp { outer, filter, access } = worthwhile(join).filter(|_| kept)?;
    let right = Rel::Scan(Arc::new(Scan { filter, access, ..Scan::clone(scan) }));
    Some(Apply {
        join_type: join.join_type,
        left: join.left.clone(),
        right,
        outer,
        condition: join.condition.clone(),
    })
}

/// A scan that gives the rows which match another.
struct LookUp {
    /// What it sees of that row, behind what it sees anyhow.
    outer: Vec<Expr>,
    filter: Option<Expr>,
    access: Access,
}

/// How the right's rows are looked up, if that takes no longer than to read them all.
fn worthwhile(join: &Join) -> Option<LookUp> {
    let (looked_up, each) = look_up(&join.right, &join.equal)?;
    (rows(&join.left) * each <= cost(&join.right)).then_some(looked_up)
}

/// Whether the right's rows are looked up if the join is one that can.
pub(super) fn is_worthwhile(join: &Join) -> bool {
    worthwhile(join).is_some()
}

/// What it costs to find the rows of `rel` that match another by key, rather than by reading all; none if that cannot be.
pub(super) fn lookup_cost(rel: &Rel, equal: &[(Expr, Expr)]) -> Option<f64> {
    look_up(rel, equal).map(|(_, cost)| cost)
}

/// How the rows of `rel` are found that match another, and what that costs; none if it has no key for that.
fn look_up(rel: &Rel, equal: &[(Expr, Expr)]) -> Option<(LookUp, f64)> {
    let Rel::Scan(scan) = rel else { return None };
    if equal.is_empty() {
        return None;
    }
    let mut outer: Vec<Expr> = (0..outer_columns(rel)).map(Expr::Outer).collect();
    let mut filter = scan.filter.clone().map_or_else(Vec::new, Expr::into_conjuncts);
    for (left, right) in equal {
        let seen = Expr::Outer(outer.len());
        outer.push(left.clone());
        filter.push(Expr::Compare(BinaryOperator::Eq, Box::new(right.clone()), Box::new(seen)));
    }
    let filter = Expr::all_of(filter);
    let access = Access::plan(&scan.table, filter.as_ref());
    let before = Access::plan(&scan.table, scan.filter.as_ref());
    let cost = LOOKUP_COST + access.cost(&scan.table);
    (access.fixed_columns() > before.fixed_columns()).then_some((LookUp { outer, filter, access }, cost))
}

/// How many columns from around the plan it may see: those that are looked up come behind them.
fn outer_columns(rel: &Rel) -> usize {
    let mut count = 0;
    let seen = rel.clone().walk_exprs(&mut |expr| {
        if let Expr::Outer(index) = expr {
            count = count.max(*index + 1);
        }
    });
    debug_assert!(seen.is_ok(), "visiting does not fail");
    count
}
