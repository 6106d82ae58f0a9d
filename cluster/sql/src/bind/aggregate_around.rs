//! Aggregates that stand in a subquery but are of a query around it: those that see columns, and none of the subquery's.

use alloc::vec::Vec;

use super::aggregate::index_of;
use super::{AggregateCall, Aggregates};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
use crate::plan::Planner;

impl Aggregates {
    /// 42803 if aggregates may not be called.
    pub(super) fn check(self) -> SqlResult<()> {
        let message = match self {
            Aggregates::Allowed => return Ok(()),
            Aggregates::Forbidden(clause) => {
                alloc::format!("aggregate functions are not allowed in {clause}")
            }
            Aggregates::Inside => "aggregate function calls cannot be nested".into(),
        };
        Err(SqlError::new(SqlState::GROUPING_ERROR, message))
    }
}

impl Planner {
    /// The result of `aggregate`, bound in the present query, if it is one of a query around: the innermost whose columns it
    /// sees. `known` says what each query was asked for before the aggregate was bound.
    pub(super) fn aggregate_around(
        &mut self,
        aggregate: &mut AggregateCall,
        known: &[usize],
    ) -> SqlResult<Option<Expr>> {
        let mut at = self.levels.len();
        // Subqueries may have columns of their own.
        while let (Some(true), Some(next)) = (is_around(aggregate)?, at.checked_sub(1)) {
            let outer: Vec<Expr> = self.levels.get(next).map_or_else(Vec::new, |level| level.outer.clone());
            aggregate.for_each_expr(&mut |expr| {
                expr.replace(&mut |expr| match expr {
                    Expr::Outer(index) => outer.get(*index).cloned(),
                    _ => None,
                });
                Ok(())
            })?;
            at = next;
        }
        if at == self.levels.len() {
            return Ok(None);
        }
        // What it sees, it does not see from within.
        for (level, known) in self.levels.iter_mut().zip(known).skip(at) {
            level.outer.truncate(*known);
        }
        let Some(level) = self.levels.get_mut(at) else { return Ok(None) };
        level.aggregates.check()?;
        let index = index_of(&mut level.calls, aggregate.clone());
        Ok(Some(self.hand_down(at, Expr::Aggregate(index))))
    }
}

/// Whether it sees columns, and none of the query it is bound in; none if that cannot be said.
fn is_around(aggregate: &mut AggregateCall) -> SqlResult<Option<bool>> {
    let (mut own, mut outer, mut subquery) = (false, false, false);
    aggregate.for_each_expr(&mut |expr| {
        expr.walk(&mut |expr| match expr {
            Expr::Column(_) => own = true,
            Expr::Outer(_) => outer = true,
            Expr::Subquery(_) => subquery = true,
            _ => {}
        });
        Ok(())
    })?;
    Ok((!subquery).then_some(outer && !own))
}
