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
    if !kept || join.equal.is_empty() {
        return None;
    }
    let each = lookup_cost(&join.right, &join.equal)?;
    if rows(&join.left) * each > cost(&join.right) {
        return None;
    }
    let (outer, filter, access) = looked_up(scan, &join.equal)?;
    let right = Rel::Scan(Arc::new(Scan { filter, access, ..Scan::clone(scan) }));
    Some(Apply {
        join_type: join.join_type,
        left: join.left.clone(),
        right,
        outer,
        condition: join.condition.clone(),
    })
}

/// What it costs to find the rows of `rel` that match another by key, rather than by reading all; none if that cannot be.
pub(super) fn lookup_cost(rel: &Rel, equal: &[(Expr, Expr)]) -> Option<f64> {
    let Rel::Scan(scan) = rel else { return None };
    let (_, _, access) = looked_up(scan, equal).filter(|_| !equal.is_empty())?;
    Some(LOOKUP_COST + access.cost(&scan.table))
}

/// What a scan sees of the row whose matches it looks up, its filter, and its access; none if it has no key for that.
fn looked_up(scan: &Arc<Scan>, equal: &[(Expr, Expr)]) -> Option<(Vec<Expr>, Option<Expr>, Access)> {
    let first_outer = outer_columns(&Rel::Scan(scan.clone()));
    let mut outer: Vec<Expr> = (0..first_outer).map(Expr::Outer).collect();
    let mut filter = scan.filter.clone().map_or_else(Vec::new, Expr::into_conjuncts);
    for (left, right) in equal {
        let seen = Expr::Outer(outer.len());
        outer.push(left.clone());
        filter.push(Expr::Compare(BinaryOperator::Eq, Box::new(right.clone()), Box::new(seen)));
    }
    let filter = Expr::all_of(filter);
    let access = Access::plan(&scan.table, filter.as_ref());
    let before = Access::plan(&scan.table, scan.filter.as_ref());
    (access.fixed_columns() > before.fixed_columns()).then_some((outer, filter, access))
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
