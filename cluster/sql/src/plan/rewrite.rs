//! Going through a plan and changing it.

use alloc::sync::Arc;

use super::rel::{
    Aggregate, Apply, Distinct, Filter, Join, Limit, Measured, Project, Recursive, Rel, Set, Shared, Sort,
    Unroll, Window,
};
use crate::error::SqlResult;
use crate::expr::{Expr, SortExpr};

impl Rel {
    /// The same operator over what `change` makes of its inputs.
    pub(crate) fn map_inputs(self, change: &mut dyn FnMut(Rel) -> SqlResult<Rel>) -> SqlResult<Rel> {
        macro_rules! over {
            ($variant:ident, $node:expr, $kind:ident, $($input:ident),*) => {{
                let mut node: $kind = Arc::unwrap_or_clone($node);
                $(node.$input = change(core::mem::replace(&mut node.$input, Rel::Row))?;)*
                Rel::$variant(Arc::new(node))
            }};
        }
        Ok(match self {
            Rel::Row | Rel::Empty(_) | Rel::Values(_) | Rel::Scan(_) | Rel::Live(_) => self,
            Rel::Settings | Rel::System(_) | Rel::Series(_) | Rel::Working(..) | Rel::Called(_) => self,
            Rel::Unroll(node) => over!(Unroll, node, Unroll, input),
            Rel::Shared(node) => over!(Shared, node, Shared, input),
            Rel::Recursive(node) => over!(Recursive, node, Recursive, base, step),
            Rel::Measured(node) => over!(Measured, node, Measured, input),
            Rel::Filter(node) => over!(Filter, node, Filter, input),
            Rel::Project(node) => over!(Project, node, Project, input),
            Rel::Join(node) => over!(Join, node, Join, left, right),
            Rel::Apply(node) => over!(Apply, node, Apply, left, right),
            Rel::Aggregate(node) => over!(Aggregate, node, Aggregate, input),
            Rel::Window(node) => over!(Window, node, Window, input),
            Rel::Sort(node) => over!(Sort, node, Sort, input),
            Rel::Distinct(node) => over!(Distinct, node, Distinct, input),
            Rel::Limit(node) => over!(Limit, node, Limit, input),
            Rel::Set(node) => over!(Set, node, Set, left, right),
        })
    }

    /// Calls `visit` with each expression of this operator, not of those below.
    pub(crate) fn for_each_expr(
        &mut self,
        visit: &mut dyn FnMut(&mut Expr) -> SqlResult<()>,
    ) -> SqlResult<()> {
        match self {
            Rel::Row | Rel::Empty(_) | Rel::Live(_) | Rel::Settings | Rel::Working(..) => Ok(()),
            Rel::System(_) => Ok(()),
            Rel::Measured(_) | Rel::Shared(_) | Rel::Recursive(_) | Rel::Distinct(_) | Rel::Set(_) => Ok(()),
            Rel::Values(node) => Arc::make_mut(node).rows.iter_mut().flatten().try_for_each(visit),
            Rel::Scan(node) => {
                let node = Arc::make_mut(node);
                node.filter.iter_mut().try_for_each(visit)
            }
            Rel::Series(node) => Arc::make_mut(node).arguments.iter_mut().try_for_each(visit),
            Rel::Called(node) => Arc::make_mut(node).call.arguments.iter_mut().try_for_each(visit),
            Rel::Unroll(node) => {
                let sets = &mut Arc::make_mut(node).sets;
                sets.iter_mut().try_for_each(|set| set.for_each_expr(visit))
            }
            Rel::Filter(node) => visit(&mut Arc::make_mut(node).predicate),
            Rel::Project(node) => Arc::make_mut(node).outputs.iter_mut().try_for_each(visit),
            Rel::Join(node) => {
                let node = Arc::make_mut(node);
                for (left, right) in &mut node.equal {
                    visit(left)?;
                    visit(right)?;
                }
                node.condition.iter_mut().try_for_each(visit)
            }
            Rel::Apply(node) => {
                let node = Arc::make_mut(node);
                node.outer.iter_mut().try_for_each(&mut *visit)?;
                node.condition.iter_mut().try_for_each(visit)
            }
            Rel::Aggregate(node) => {
                let node = Arc::make_mut(node);
                node.keys.iter_mut().try_for_each(&mut *visit)?;
                node.calls.iter_mut().try_for_each(|call| call.for_each_expr(visit))
            }
            Rel::Window(node) => {
                let node = Arc::make_mut(node);
                node.partition.iter_mut().try_for_each(&mut *visit)?;
                sort_exprs(&mut node.order, visit)?;
                node.calls.iter_mut().try_for_each(|call| call.for_each_expr(visit))
            }
            Rel::Sort(node) => match &mut Arc::make_mut(node).top {
                None => Ok(()),
                Some((limit, offset)) => limit.iter_mut().chain(offset).try_for_each(visit),
            },
            Rel::Limit(node) => {
                let node = Arc::make_mut(node);
                node.limit.iter_mut().chain(&mut node.offset).try_for_each(visit)
            }
        }
    }

    /// Calls `visit` with every expression of this plan, and with those of the subqueries in them.
    pub(crate) fn walk_exprs(&mut self, visit: &mut dyn FnMut(&mut Expr)) -> SqlResult<()> {
        self.for_each_expr(&mut |expr| {
            expr.walk(&mut |expr| {
                visit(expr);
            });
            Ok(())
        })?;
        let rel = core::mem::replace(self, Rel::Row);
        *self = rel.map_inputs(&mut |mut input| {
            input.walk_exprs(visit)?;
            Ok(input)
        })?;
        Ok(())
    }

    /// Whether it has a routine in `FROM` that may change tables.
    fn calls_volatile(&self) -> bool {
        matches!(self, Rel::Called(called) if called.call.routine.descriptor.is_volatile())
            || self.inputs().into_iter().any(Rel::calls_volatile)
    }

    /// Whether running it twice may give different rows.
    pub(crate) fn is_volatile(&mut self) -> SqlResult<bool> {
        let mut is_volatile = false;
        self.walk_exprs(&mut |expr| is_volatile |= expr.is_volatile())?;
        Ok(is_volatile || self.calls_volatile())
    }
}

pub(crate) fn sort_exprs(
    keys: &mut [SortExpr],
    visit: &mut dyn FnMut(&mut Expr) -> SqlResult<()>,
) -> SqlResult<()> {
    keys.iter_mut().try_for_each(|key| visit(&mut key.expr))
}
