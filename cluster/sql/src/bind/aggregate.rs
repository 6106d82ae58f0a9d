//! Aggregates. `sum(bigint)` and `avg` are `numeric` in Postgres, a type that Relix lacks: here they are
//! `bigint`, failing on overflow, and `double precision`.

use alloc::format;
use alloc::vec::Vec;

use super::{Aggregates, Binder, Typed, typed};
use crate::ast;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::expr::Expr;
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

impl Binder<'_> {
    /// Binds `call` if it is of an aggregate.
    pub(super) fn aggregate(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        let Some(function) = by_name(&call.name) else { return Ok(None) };
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
        let argument = match (call.arguments.as_slice(), call.star) {
            ([], true) if function == AggregateFunction::Count => None,
            ([argument], false) => Some(argument),
            _ => return Err(super::call::undefined(&call.name, &[])),
        };
        self.aggregates = Aggregates::Inside;
        let argument = argument.map(|argument| self.bind(argument)).transpose();
        self.aggregates = Aggregates::Allowed;
        let argument = argument?;
        let given = argument.as_ref().and_then(|argument| argument.data_type);
        let result =
            result_type(function, given).ok_or_else(|| super::call::undefined(&call.name, &[given]))?;
        let to = given.unwrap_or(result);
        let argument = argument.map(|argument| self.coerce_unknown(argument, to)).transpose()?;
        let arguments = argument.into_iter().collect();
        let aggregate = AggregateCall { function, arguments, distinct: call.distinct, data_type: result };
        let index = match self.calls.iter().position(|known| *known == aggregate) {
            Some(index) => index,
            None => {
                self.calls.push(aggregate);
                self.calls.len() - 1
            }
        };
        typed(Expr::Aggregate(index), result).map(Some)
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
