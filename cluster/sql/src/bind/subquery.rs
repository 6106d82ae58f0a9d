//! Queries within expressions.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Binder, Typed, boolean, typed};
use crate::ast::{self, BinaryOperator};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, Subquery, SubqueryKind};
use crate::plan::{Level, QueryPlan, Rel, plan_query};

impl Binder<'_> {
    /// `(SELECT ...)`
    pub(super) fn scalar_subquery(&mut self, query: &ast::Query) -> SqlResult<Typed> {
        let (plan, outer) = self.plan_subquery(query)?;
        let [column] = &plan.columns[..] else { return Err(one_column_only()) };
        let data_type = column.data_type;
        typed(self.subquery(SubqueryKind::Scalar, plan.rel, outer, Vec::new())?, data_type)
    }

    /// `EXISTS (SELECT ...)`
    pub(super) fn exists(&mut self, query: &ast::Query) -> SqlResult<Typed> {
        let (plan, outer) = self.plan_subquery(query)?;
        boolean(self.subquery(SubqueryKind::Exists, plan.rel, outer, Vec::new())?)
    }

    /// `operand op ANY (SELECT ...)`, or ALL
    pub(super) fn quantified_query(
        &mut self,
        op: BinaryOperator,
        operand: &ast::Expr,
        query: &ast::Query,
        all: bool,
    ) -> SqlResult<Typed> {
        let operands = match operand {
            ast::Expr::Row(items) => items.as_slice(),
            one => core::slice::from_ref(one),
        };
        let (plan, outer) = self.plan_subquery(query)?;
        if plan.columns.len() != operands.len() {
            let few = if plan.columns.len() < operands.len() { "few" } else { "many" };
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("subquery has too {few} columns")));
        }
        if operands.len() > 1 && op != BinaryOperator::Eq {
            return Err(SqlError::not_supported("a row compared with a subquery other than by ="));
        }
        // Both sides are made such that they can be compared.
        let (mut bound, mut outputs) = (Vec::new(), Vec::new());
        for (index, (operand, column)) in operands.iter().zip(&plan.columns).enumerate() {
            let left = self.bind(operand)?;
            let right = Typed { expr: Expr::Column(index), data_type: Some(column.data_type) };
            let (left, right) = self.comparable(op, left, right)?;
            bound.push(left);
            outputs.push(right);
        }
        let is_plain = outputs.iter().enumerate().all(|(at, output)| *output == Expr::Column(at));
        let rel = if is_plain { plan.rel } else { plan.rel.project(outputs) };
        boolean(self.subquery(SubqueryKind::Quantified(op, all), rel, outer, bound)?)
    }

    /// Plans `query`, with what it sees of this query's rows.
    fn plan_subquery(&mut self, query: &ast::Query) -> SqlResult<(QueryPlan, Vec<Expr>)> {
        self.planner.levels.push(Level {
            scope: self.scope.clone(),
            outer: Vec::new(),
            aggregates: self.aggregates,
            calls: core::mem::take(&mut self.calls),
        });
        let plan = plan_query(query, &[], self.planner);
        let Some(level) = self.planner.levels.pop() else { return Err(SqlError::corrupted("subquery")) };
        self.calls = level.calls;
        Ok((plan?, level.outer))
    }

    fn subquery(
        &mut self,
        kind: SubqueryKind,
        mut rel: Rel,
        outer: Vec<Expr>,
        operands: Vec<Expr>,
    ) -> SqlResult<Expr> {
        let id = self.planner.next_id();
        let is_volatile = rel.is_volatile()?;
        Ok(Expr::Subquery(Arc::new(Subquery { id, kind, rel, outer, operands, is_volatile })))
    }
}

fn one_column_only() -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column")
}
