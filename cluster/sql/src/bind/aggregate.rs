//! Aggregates. `sum(bigint)` and `avg` are `numeric` in Postgres, a type that Relix lacks: here they are
//! `bigint`, failing on overflow, and `double precision`.

use alloc::format;
use alloc::vec::Vec;

use super::{Aggregates, Binder, Typed, typed};
use crate::ast;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::{Expr, SortExpr};
use crate::types::DataType;

/// What an aggregate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateFunction {
    Count,
    Sum,
    Average,
    Least,
    Greatest,
    All,
    Any,
}

/// One aggregate of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregateCall {
    pub(crate) function: AggregateFunction,
    /// None for `count(*)`.
    pub(crate) arguments: Vec<Expr>,
    pub(crate) distinct: bool,
    /// Which rows it sees; all if none.
    pub(crate) filter: Option<Expr>,
    /// The order in which it sees them.
    pub(crate) order: Vec<SortExpr>,
    /// The type of the result.
    pub(crate) data_type: DataType,
}

fn by_name(name: &str) -> Option<AggregateFunction> {
    Some(match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Average,
        "min" => AggregateFunction::Least,
        "max" => AggregateFunction::Greatest,
        "bool_and" | "every" => AggregateFunction::All,
        "bool_or" => AggregateFunction::Any,
        _ => return None,
    })
}

impl AggregateCall {
    /// Calls `visit` with each of its expressions.
    pub(crate) fn for_each_expr(
        &mut self,
        visit: &mut dyn FnMut(&mut Expr) -> SqlResult<()>,
    ) -> SqlResult<()> {
        self.arguments.iter_mut().try_for_each(&mut *visit)?;
        self.order.iter_mut().try_for_each(|key| visit(&mut key.expr))?;
        self.filter.iter_mut().try_for_each(visit)
    }
}

impl Binder<'_> {
    /// Binds `call` if it is of an aggregate.
    pub(super) fn aggregate(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        if by_name(&call.name).is_none() {
            return Ok(None);
        }
        match self.aggregates {
            Aggregates::Allowed => {}
            Aggregates::Forbidden(clause) => {
                let message = format!("aggregate functions are not allowed in {clause}");
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
            }
            Aggregates::Inside => {
                let message = "aggregate function calls cannot be nested";
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
            }
        }
        self.aggregates = Aggregates::Inside;
        let windows = self.windows.take();
        let bound = self.aggregate_call(call);
        self.aggregates = Aggregates::Allowed;
        self.windows = windows;
        let Some((aggregate, result)) = bound? else { return Ok(None) };
        let index = match self.calls.iter().position(|known| *known == aggregate) {
            Some(index) => index,
            None => {
                self.calls.push(aggregate);
                self.calls.len() - 1
            }
        };
        typed(Expr::Aggregate(index), result).map(Some)
    }

    /// What `call` computes, and its type; none if it is not of an aggregate.
    pub(super) fn aggregate_call(
        &mut self,
        call: &ast::Call,
    ) -> SqlResult<Option<(AggregateCall, DataType)>> {
        let Some(function) = by_name(&call.name) else { return Ok(None) };
        let argument = match (call.arguments.as_slice(), call.star) {
            ([], true) if function == AggregateFunction::Count => None,
            ([argument], false) => Some(argument),
            _ => return Err(super::call::undefined(&call.name, &[])),
        };
        let argument = argument.map(|argument| self.bind(argument)).transpose()?;
        let given = argument.as_ref().and_then(|argument| argument.data_type);
        let result =
            result_type(function, given).ok_or_else(|| super::call::undefined(&call.name, &[given]))?;
        let to = given.unwrap_or(result);
        let argument = argument.map(|argument| self.coerce_unknown(argument, to)).transpose()?;
        let arguments: Vec<Expr> = argument.into_iter().collect();
        let filter = call.filter.as_ref().map(|filter| self.condition(filter, "FILTER")).transpose()?;
        let order = self.sort_exprs(&call.order_by)?;
        if call.distinct && order.iter().any(|key| !arguments.contains(&key.expr)) {
            let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        let distinct = call.distinct;
        Ok(Some((AggregateCall { function, arguments, distinct, filter, order, data_type: result }, result)))
    }
}

fn result_type(function: AggregateFunction, argument: Option<DataType>) -> Option<DataType> {
    match (function, argument) {
        (AggregateFunction::Count, _) => Some(DataType::Int8),
        (AggregateFunction::Sum, Some(DataType::Int4 | DataType::Int8)) => Some(DataType::Int8),
        (AggregateFunction::Sum, None | Some(DataType::Float8)) => Some(DataType::Float8),
        (AggregateFunction::Average, None) => Some(DataType::Float8),
        (AggregateFunction::Average, Some(argument)) if argument.is_numeric() => Some(DataType::Float8),
        (AggregateFunction::Least | AggregateFunction::Greatest, None) => Some(DataType::Text),
        (AggregateFunction::Least | AggregateFunction::Greatest, Some(DataType::Bool)) => None,
        (AggregateFunction::Least | AggregateFunction::Greatest, argument) => argument,
        (AggregateFunction::All | AggregateFunction::Any, None | Some(DataType::Bool)) => {
            Some(DataType::Bool)
        }
        _ => None,
    }
}
