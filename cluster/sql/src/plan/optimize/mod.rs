//! Passes that make a plan better. Each takes a plan and gives one with the same rows.
//!
//! ```text
//! fold          constants are computed; what can give no rows is not run
//! inline        what WITH names and one place reads is planned in that place
//! unnest        EXISTS and IN in a filter become joins
//! push_down     filters go down to where their columns come from; joins learn what must be equal
//! order         inner joins come in the cheapest order; the smaller side of a join is kept
//! lookup        joins with few rows on the left look their matches up by key
//! access        filters of tables become ranges of keys
//! merge         joins whose sides come in the order of what must be equal are merged
//! sorts         the order in which rows come saves sorting
//! prune         columns that nobody looks at are neither decoded nor computed
//! ```

mod access;
mod estimate;
mod fold;
mod inline;
mod lookup;
mod merge;
mod order;
mod ordering;
mod prune;
mod push_down;
mod unnest;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use estimate::selectivity;
pub(super) use estimate::{origin, rows, weighs};

use super::explain::explain_rel;
use super::planner::Planner;
use super::rel::Rel;
use crate::error::SqlResult;
use crate::expr::Expr;

/// A better plan than `rel`, with the same rows.
pub(super) fn optimize(rel: Rel, planner: &Planner) -> SqlResult<Rel> {
    let mut before = Vec::new();
    optimize_watched(rel, planner, &mut |pass, rel| {
        let Some(passes) = &planner.passes else { return };
        let lines = explain_rel(rel);
        let mut passes = passes.borrow_mut();
        if lines == before {
            passes.push(format!("-- {pass}: as before"));
        } else {
            passes.push(format!("-- {pass}"));
            passes.extend(lines.iter().cloned());
        }
        before = lines;
    })
}

/// As [`optimize`]; `watch` is shown the plan after each pass.
fn optimize_watched(rel: Rel, planner: &Planner, watch: &mut dyn FnMut(&str, &Rel)) -> SqlResult<Rel> {
    watch("as written", &rel);
    let rel = fold::fold(rel)?;
    watch("fold", &rel);
    let rel = inline::inline(rel, &planner.uses)?;
    watch("inline", &rel);
    let rel = unnest::unnest(rel)?;
    watch("unnest", &rel);
    let rel = push_down::push_down(rel)?;
    watch("push_down", &rel);
    let rel = order::order_joins(rel)?;
    watch("order", &rel);
    let rel = lookup::lookup(rel)?;
    watch("lookup", &rel);
    let mut rel = access::plan_access(rel)?;
    watch("access", &rel);
    // Twice: what a join would keep is weighed by the columns that are needed, and what is no longer sorted needs fewer.
    let all = alloc::vec![true; rel.width()];
    prune::prune(&mut rel, &all);
    let rel = merge::merge(rel)?;
    watch("merge", &rel);
    let mut rel = access::save_sorting(rel)?;
    watch("sorts", &rel);
    prune::prune(&mut rel, &all);
    optimize_subqueries(&mut rel, planner)?;
    Ok(rel)
}

/// Optimizes the subqueries of expressions that stand outside of any plan.
pub(super) fn optimize_exprs(exprs: &mut [Expr], planner: &Planner) -> SqlResult<()> {
    exprs.iter_mut().try_for_each(|expr| optimize_expr(expr, planner))
}

fn optimize_expr(expr: &mut Expr, planner: &Planner) -> SqlResult<()> {
    if !expr.has_subquery() {
        return Ok(());
    }
    if let Expr::Subquery(subquery) = expr {
        let subquery = Arc::make_mut(subquery);
        let rel = core::mem::replace(&mut subquery.rel, Rel::Row);
        subquery.rel = optimize_watched(rel, planner, &mut |_, _| ())?;
    }
    expr.for_each_child(|child| optimize_expr(child, planner))
}

fn optimize_subqueries(rel: &mut Rel, planner: &Planner) -> SqlResult<()> {
    rel.for_each_expr(&mut |expr| optimize_expr(expr, planner))?;
    let inner = core::mem::replace(rel, Rel::Row);
    *rel = inner.map_inputs(&mut |mut input| {
        optimize_subqueries(&mut input, planner)?;
        Ok(input)
    })?;
    Ok(())
}
